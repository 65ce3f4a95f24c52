//! A real Datasette that serves, with the tests' secret, and `tests/python/datasette_plugins`.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::Stdio,
    sync::mpsc::channel,
    thread,
};

use crate::{PATIENCE, Python, Reply, SECRET, Skip, exchange, repository, tended::Tended};

/// A Datasette, on a port of its own at 127.0.0.1. It ends when this is dropped.
#[derive(Debug)]
pub struct Datasette {
    /// Where it listens.
    pub address: SocketAddr,
    _process: Tended,
}

impl Datasette {
    /// Starts one, and waits until it listens.
    ///
    /// # Errors
    ///
    /// When there is no Python for it: see [`Python::with_datasette`].
    ///
    /// # Panics
    ///
    /// When it does not listen.
    pub fn start() -> Result<Self, Skip> {
        let mut command = Python::with_datasette()?.command();
        command.args(["-m", "datasette", "serve", "--memory", "--host", "127.0.0.1", "--port", "0", "--plugins-dir"]);
        command.arg(repository().join("tests/python/datasette_plugins")).args(["--secret", SECRET]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Tended::start(&mut command, tempfile::tempdir().unwrap());
        let stderr = process.child().stderr.take().unwrap();
        let (sender, addresses) = channel();
        // To the end, so that it is never left with a pipe that is full.
        thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| {
                let url = line.split_once("running on http://").and_then(|(_, rest)| rest.split(' ').next());
                let address = url.and_then(|address| address.parse::<SocketAddr>().ok());
                address.map(|address| sender.send(address));
            })
        });
        let address = addresses.recv_timeout(PATIENCE).expect("Datasette says where it listens");
        Ok(Self { address, _process: process })
    }

    /// What it answers to exactly these bytes.
    ///
    /// # Panics
    ///
    /// When that is no response.
    pub fn exchange(&self, request: impl AsRef<[u8]>) -> Reply {
        exchange(self.address, request)
    }
}
