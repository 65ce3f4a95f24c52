//! [`Listener`]: where the service listens: addresses, Unix sockets, what systemd opened; with TLS or without.

#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::{io, net::TcpListener, sync::Arc};

use super::tls::{self, Read, Tls};
#[cfg(unix)]
use super::{systemd, unix_socket::SocketFile};
use crate::{
    builder::Source,
    config::{Finding, HttpSettings, Listen, Origin, Severity},
    error::{Error, ErrorKind},
    host::Host,
};

/// A socket that connections come to.
#[derive(Debug)]
pub struct Listener {
    #[cfg(unix)]
    pub(super) file: Option<SocketFile>,
    pub(super) socket: Socket,
    /// For addresses alone: a Unix socket never leaves the machine.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) started: Arc<Started>,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// What the sockets were opened by.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) generation: u64,
    settings: Arc<HttpSettings>,
    places: Vec<Listen>,
}

/// Opens the sockets at these places; none: those of the `[http]` table. All of them, or none.
///
/// # Errors
///
/// [`ErrorKind::Config`] when the certificate or its key is not good, with every finding; [`ErrorKind::Internal`] when a
/// socket cannot be opened.
pub fn listen(host: &Host, places: &[Listen]) -> Result<Vec<Listener>, Error> {
    let registry = host.0.registry.load_full();
    let (generation, settings) = (registry.generation, Arc::clone(&registry.http));
    let tls = match &settings.tls {
        Some(tls) => {
            let Read { config, warning } = tls::read(tls);
            tls::warn(warning);
            Some(Arc::new(Tls::new(config.map_err(|problems| unusable(host, problems))?, generation)))
        }
        None => None,
    };
    let places = if places.is_empty() { settings.listen.clone() } else { places.to_vec() };
    let started = Arc::new(Started { generation, settings, places });
    let mut listeners = Vec::new();
    for place in &started.places {
        let failed = |error: io::Error| {
            let message = format!("cannot listen on {}: {error}", shown(place));
            Error::new(ErrorKind::Internal, message)
        };
        listeners.extend(open(place, &started, tls.as_ref()).map_err(failed)?);
    }
    #[cfg(unix)]
    warn_of_unused_sockets();
    Ok(listeners)
}

/// Whether the service could start on a host's configuration, as far as can be told without opening a socket: whether the
/// certificate is good. What is not as it should be, and keeps it from nothing.
///
/// # Errors
///
/// [`ErrorKind::Config`], with every finding.
pub fn check(host: &Host) -> Result<Vec<Finding>, Error> {
    let registry = host.0.registry.load_full();
    let Some(settings) = &registry.http.tls else { return Ok(Vec::new()) };
    let Read { config, warning } = tls::read(settings);
    config.map_err(|problems| unusable(host, problems))?;
    let warning = warning.map(|message| Finding {
        severity: Severity::Warning,
        ..Finding::error(&origin(host), format!("[http.tls]: {message}"))
    });
    Ok(warning.into_iter().collect())
}

impl Listener {
    /// Where it is: `http://127.0.0.1:8700`, `unix:/run/token-host.sock`.
    pub fn place(&self) -> String {
        match &self.socket {
            Socket::Tcp(listener) => match listener.local_addr() {
                Ok(address) if self.tls.is_some() => format!("https://{address}"),
                Ok(address) => format!("http://{address}"),
                Err(error) => format!("an address that is not known: {error}"),
            },
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let address = listener.local_addr().ok();
                // The address is the name that the socket was made under.
                let path = self.file.as_ref().map(SocketFile::path);
                let path = path.or_else(|| address.as_ref().and_then(|address| address.as_pathname()));
                format!("unix:{}", path.unwrap_or(std::path::Path::new("")).display())
            }
        }
    }
}

impl Started {
    /// What was read at the start alone, and is another now.
    pub(super) fn differences(&self, now: &HttpSettings) -> impl Iterator<Item = &'static str> {
        // Who was told where to listen does not go by the table.
        let goes_by_table = self.places == self.settings.listen;
        let listen = (goes_by_table && now.listen != self.settings.listen).then_some("`listen` in [http]");
        let tls = (now.tls.is_some() != self.settings.tls.is_some()).then_some("whether there is [http.tls]");
        listen.into_iter().chain(tls)
    }
}

fn open(place: &Listen, started: &Arc<Started>, tls: Option<&Arc<Tls>>) -> io::Result<Vec<Listener>> {
    let listener = |socket| Listener {
        #[cfg(unix)]
        file: None,
        tls: tls.filter(|_| matches!(socket, Socket::Tcp(_))).cloned(),
        socket,
        started: Arc::clone(started),
    };
    Ok(match place {
        Listen::Tcp(address) => {
            let socket = TcpListener::bind(address)?;
            #[cfg(unix)]
            rustix::net::listen(&socket, BACKLOG)?;
            vec![listener(Socket::Tcp(socket))]
        }
        #[cfg(unix)]
        Listen::Unix(path) => {
            let (socket, file) = super::unix_socket::bind(path)?;
            rustix::net::listen(&socket, BACKLOG)?;
            vec![Listener { file: Some(file), ..listener(Socket::Unix(socket)) }]
        }
        #[cfg(unix)]
        Listen::Systemd => systemd::sockets()?.into_iter().map(listener).collect(),
        #[cfg(not(unix))]
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no such sockets")),
    })
}

/// How many connections wait to be accepted: many at once after a restart. The standard library has 128 wait.
#[cfg(unix)]
const BACKLOG: i32 = 4096;

/// As it is written.
fn shown(place: &Listen) -> String {
    match place {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => format!("unix:{}", path.display()),
        Listen::Systemd => "systemd".to_owned(),
    }
}

/// The error of a host whose certificate has these problems.
fn unusable(host: &Host, problems: Vec<String>) -> Error {
    let origin = origin(host);
    let finding = |problem| Finding::error(&origin, format!("[http.tls]: {problem}"));
    Error::from_findings(ErrorKind::Config, problems.into_iter().map(finding).collect())
}

fn origin(host: &Host) -> Origin {
    match &host.0.source {
        Source::File(path) => Origin::File(path.clone()),
        Source::Nothing | Source::Text { .. } => Origin::Text,
    }
}

/// Whoever connects to one of these waits for ever.
#[cfg(unix)]
fn warn_of_unused_sockets() {
    let unused = systemd::unused();
    if unused > 0 {
        tracing::warn!(target: "http", unused, "systemd opened sockets that nobody listens on: listen on \"systemd\"");
    }
}
