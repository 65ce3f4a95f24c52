//! [`Listener`]: where the service listens: addresses, Unix sockets, what systemd opened; with TLS or without.

use std::{io, net::TcpListener};

use crate::{config::Listen, host::Host};

/// A socket that connections come to.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: Socket,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// Opens the sockets at these places; none: those of the `[http]` table.
///
/// # Errors
///
/// When one of them cannot be opened.
pub fn listen(host: &Host, places: &[Listen]) -> io::Result<Vec<Listener>> {
    let registry = host.0.registry.load();
    let places = if places.is_empty() { &registry.http.listen } else { places };
    places.iter().map(Listener::open).collect()
}

impl Listener {
    fn open(place: &Listen) -> io::Result<Self> {
        let socket = match place {
            Listen::Tcp(address) => Socket::Tcp(TcpListener::bind(address)?),
            #[cfg(unix)]
            Listen::Unix(path) => Socket::Unix(std::os::unix::net::UnixListener::bind(path)?),
            _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "no such sockets here")),
        };
        Ok(Self { socket })
    }

    /// Where it is: `http://127.0.0.1:8700`, `unix:/run/token-host.sock`.
    pub fn place(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}"),
                Err(error) => format!("an address that is not known: {error}"),
            },
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let path = listener.local_addr().ok().and_then(|address| address.as_pathname().map(ToOwned::to_owned));
                format!("unix:{}", path.unwrap_or_default().display())
            }
        }
    }
}
