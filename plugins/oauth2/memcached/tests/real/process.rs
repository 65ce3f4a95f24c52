//! [`Process`]: a memcached of a test's own, on a port of its own.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use token_host_tests::{Skip, debian_program, skipped, wait_until};

/// A memcached, which ends with this, or with the test program.
pub(crate) struct Process {
    program: PathBuf,
    options: Vec<String>,
    port: u16,
    /// How many connections it has had from here.
    visits: AtomicUsize,
    running: Mutex<Option<Running>>,
}

impl Process {
    /// Starts one, or says why the test is skipped.
    pub(crate) fn start(test: &str) -> Option<Self> {
        Self::start_with(test, &[])
    }

    pub(crate) fn start_with(test: &str, options: &[&str]) -> Option<Self> {
        skipped(test, Self::begin(options))
    }

    fn begin(options: &[&str]) -> Result<Self, Skip> {
        let program = debian_program("memcached", "memcached")?;
        let options = options.iter().map(ToString::to_string).collect();
        let mut process = Self { program, options, port: 0, visits: AtomicUsize::new(0), running: Mutex::new(None) };
        // Another program may take the port before memcached does.
        for _ in 0..10 {
            process.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if process.launch() {
                return Ok(process);
            }
        }
        Err(Skip("memcached does not start".to_owned()))
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it, whatever it is doing.
    pub(crate) fn kill(&self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Starts it again, without the values that it had.
    pub(crate) fn restart(&self) {
        assert!(self.launch(), "its port is still its own");
    }

    /// It goes on accepting connections, and answers nothing.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// The first line that it answers to one, on a connection of its own.
    pub(crate) fn says(&self, line: &str) -> String {
        let mut stream = self.visit().unwrap();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    /// How many connections it has had from clients.
    pub(crate) fn connections(&self) -> usize {
        let mut stream = BufReader::new(self.visit().unwrap());
        // The one on which it listens counts.
        let others = 1 + self.visits.load(Ordering::SeqCst);
        // Its threads count for themselves: what it says may be from a moment ago.
        wait_until("it has counted our own", || {
            stream.get_mut().write_all(b"stats\r\n").unwrap();
            let lines = stream.by_ref().lines().map(Result::unwrap).take_while(|line| line != "END");
            let total = lines.filter_map(|line| line.strip_prefix("STAT total_connections ").map(str::parse));
            let total: usize = total.last().unwrap().unwrap();
            total.checked_sub(others)
        })
    }

    fn visit(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address())?;
        self.visits.fetch_add(1, Ordering::SeqCst);
        Ok(stream)
    }

    fn launch(&self) -> bool {
        self.visits.store(0, Ordering::SeqCst);
        let mut command = Command::new(&self.program);
        command.args(["-l", "127.0.0.1", "-U", "0", "-t", "2", "-u", "root", "-p", &self.port.to_string()]);
        command.args(&self.options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Running::new(command.spawn().unwrap());
        let is_up = wait_until("memcached listens", || {
            let is_up = self.visit().is_ok();
            let has_ended = running.child.try_wait().unwrap().is_some();
            (is_up || has_ended).then_some(!has_ended)
        });
        if is_up {
            *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        }
        is_up
    }

    fn signal(&self, name: &str) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let id = running.as_ref().expect("it runs").child.id().to_string();
        let status = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &id]).status().unwrap();
        assert!(status.success());
    }
}

struct Running {
    child: Child,
    /// Ends the server when this program ends without having done it: then its pipe closes.
    reaper: Child,
}

impl Running {
    fn new(child: Child) -> Self {
        let id = child.id().to_string();
        let mut command = Command::new("sh");
        command.args(["-c", "read -r _; kill -s KILL \"$1\"", "reaper", &id]);
        // Spared by what ends the test and all that it has started.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let reaper = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, reaper }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // First the reaper, which would otherwise end whoever has the server's number next.
        for child in [&mut self.reaper, &mut self.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
