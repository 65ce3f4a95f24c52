//! [`Process`]: a server on a core of its own, which ends with this.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The cores of servers and of the load: as far from each other as they can be.
pub(crate) const SERVER_CORE: &str = "0";
pub(crate) const LOAD_CORE: &str = "1";

/// How long a server may take to be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a program on the servers' core. It is there when it answers at this port; `None`: it cannot be had here.
    pub(crate) fn start(command: &[&str], port: u16) -> Option<Self> {
        let child = pinned(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let mut process = Self(child);
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if process.0.try_wait().unwrap().is_some() || began.elapsed() > PATIENCE {
                return None;
            }
            thread::sleep(Duration::from_millis(20));
        }
        Some(process)
    }

    /// Starts a program that says where it is: `listening on http://ADDRESS`.
    pub(crate) fn start_telling(command: &mut Command) -> (Self, String) {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        // What it says later must not stop it.
        thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        let url = line.trim().strip_prefix("listening on ").expect("it says where it is").to_owned();
        (Self(child), url)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command on the servers' core.
pub(crate) fn pinned(command: &[&str]) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", SERVER_CORE]).args(command);
    pinned
}

/// A port that is free.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The memory that a process has, in bytes.
pub(crate) fn resident_bytes(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let kilobytes =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.unwrap_or(0.0) * 1024.0
}
