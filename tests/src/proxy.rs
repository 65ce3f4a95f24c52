//! Reverse proxies that ask token-host, as processes of their own.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::Stdio,
};

use crate::{ProxyKind, Reply, Skip, exchange, set_mode, tended::Tended, wait_until};

/// A proxy on a port of its own at 127.0.0.1. It ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    process: Tended,
    log: PathBuf,
}

/// What stands behind a proxy, and what its configuration says besides.
#[derive(Debug, Clone, Copy)]
pub struct Behind<'b> {
    /// The token-host that is asked.
    pub token_host: SocketAddr,
    /// The application.
    pub application: SocketAddr,
    /// What is changed in the configuration that is shipped, besides addresses and paths: each first text, which must be
    /// there, becomes the second.
    pub changes: &'b [(&'b str, &'b str)],
    /// Variables of its environment.
    pub environment: &'b [(&'b str, &'b str)],
}

impl Proxy {
    /// Starts one with the configuration that is shipped for it, and waits until it listens.
    ///
    /// # Errors
    ///
    /// When the program is not there and cannot be installed.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(kind: ProxyKind, behind: Behind<'_>) -> Result<Self, Skip> {
        const TRIES: u32 = 10;
        let installed = kind.install()?;
        let mut log = String::new();
        // Between looking for a port and taking it, somebody may.
        for _ in 0..TRIES {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let folder = tempfile::Builder::new().prefix("proxy-").tempdir().unwrap();
            // What Apache does for clients it does as somebody else.
            set_mode(folder.path(), 0o755);
            let mut command = installed.command(folder.path(), address, behind);
            let log_file = folder.path().join("log");
            let output = File::create(&log_file).unwrap();
            command
                .stdin(Stdio::null())
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .envs(behind.environment.iter().copied());
            let mut process = Tended::start(command.current_dir(folder.path()), folder);
            let is_up = wait_until("the proxy listens", || {
                let is_listening = TcpStream::connect(address).is_ok();
                (is_listening || !process.is_running()).then_some(is_listening)
            });
            // Another may have had the port all along.
            if is_up && process.is_running() {
                if kind == ProxyKind::Traefik {
                    let knows_routes =
                        || exchange(address, "GET / HTTP/1.1\r\nHost: ready.example\r\n\r\n").status != 404;
                    wait_until("the routes are known", || knows_routes().then_some(()));
                }
                return Ok(Self { address, process, log: log_file });
            }
            log = fs::read_to_string(log_file).unwrap_or_default();
        }
        panic!("{kind:?} does not start: {log}")
    }

    /// What it answers to exactly these bytes.
    ///
    /// # Panics
    ///
    /// When that is no response.
    pub fn exchange(&self, request: impl AsRef<[u8]>) -> Reply {
        exchange(self.address, request)
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// What it has said so far.
    ///
    /// # Panics
    ///
    /// When that cannot be read.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }
}
