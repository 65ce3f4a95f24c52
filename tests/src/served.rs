//! `token-host serve`, as a test's own process.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::Stdio,
    sync::mpsc::channel,
    thread,
};

use crate::{
    PATIENCE, Reply, Scratch, exchange,
    tended::Tended,
    user::{Signal, send},
};

/// The HTTP service of a scratch folder, on a port of its own at 127.0.0.1. It ends when this is dropped.
#[derive(Debug)]
pub struct Served {
    /// Its URL, without a path.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    process: Tended,
}

impl Served {
    /// Starts the service on the folder's configuration, and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn start(scratch: &Scratch) -> Self {
        Self::start_with(scratch, &[])
    }

    /// The same with more arguments.
    ///
    /// # Panics
    ///
    /// When it does not listen at 127.0.0.1.
    pub fn start_with(scratch: &Scratch, arguments: &[&str]) -> Self {
        let mut command = scratch.command(["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Tended::start(&mut command, tempfile::tempdir().unwrap());
        let stdout = process.child().stdout.take().unwrap();
        let (sender, lines) = channel();
        // To the end, so that it is never left with a pipe that is full.
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| _ = sender.send(line))
        });
        let line = lines.recv_timeout(PATIENCE).expect("the service says where it listens");
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("it says {line:?}")).to_owned();
        let address = url.split_once("://").and_then(|(_, address)| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("it listens on {url}"));
        Self { url, address, process }
    }

    /// The number of its process.
    pub fn id(&mut self) -> u32 {
        self.process.child().id()
    }

    /// What it answers to exactly these bytes.
    ///
    /// # Panics
    ///
    /// When that is no response.
    pub fn exchange(&self, request: impl AsRef<[u8]>) -> Reply {
        exchange(self.address, request)
    }

    /// Lets it do nothing until it is resumed, without closing a connection.
    pub fn pause(&mut self) {
        send(self.id(), Signal::Stop);
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        send(self.id(), Signal::Continue);
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }
}
