//! `token-host serve` as what it is: a process with a life of its own, told by signals, heard by its lines, log and end.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle},
};

use crate::{
    PATIENCE,
    tended::Tended,
    user::{Signal, send},
    wait_until,
};

/// A service whose start, signals and end are what is tested. It ends when this is dropped.
#[derive(Debug)]
pub struct Daemon {
    process: Tended,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
    logging: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts the command.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::start_as_is(command)
    }

    /// The same with a stdin, stdout and stderr that the caller has chosen; what is not a pipe is not heard.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start_as_is(command: &mut Command) -> Self {
        let mut process = Tended::start(command, tempfile::tempdir().unwrap());
        let child = process.child();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (sender, lines) = channel();
        if let Some(stdout) = stdout {
            // To the end, so that it is never left with a pipe that is full.
            thread::spawn(move || {
                BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| _ = sender.send(line))
            });
        }
        let log = Arc::<Mutex<String>>::default();
        let logging = stderr.map(|stderr| {
            let log = Arc::clone(&log);
            thread::spawn(move || note_down(stderr, &log))
        });
        Self { process, lines, log, logging }
    }

    /// The next line on its stdout.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it says nothing more: {}", self.log()))
    }

    /// Where the next of its lines says that it listens.
    ///
    /// # Panics
    ///
    /// When it says something else.
    pub fn place(&mut self) -> String {
        let line = self.line();
        line.strip_prefix("listening on ").unwrap_or_else(|| panic!("it says {line:?}")).to_owned()
    }

    /// The address of that place.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn address(&mut self) -> SocketAddr {
        let place = self.place();
        let address = place.split_once("://").and_then(|(_, address)| address.parse().ok());
        address.unwrap_or_else(|| panic!("it listens on {place}"))
    }

    /// What it has logged so far.
    ///
    /// # Panics
    ///
    /// When it logged something that is not UTF-8.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until this stands in the log.
    ///
    /// # Panics
    ///
    /// When it never does.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} in the log"), || self.log().contains(text).then_some(()));
    }

    /// The number of its process.
    pub fn id(&mut self) -> u32 {
        self.process.child().id()
    }

    /// Tells it to end, as service managers do.
    pub fn terminate(&mut self) {
        send(self.id(), Signal::Terminate);
    }

    /// Tells it to end, as whoever sits at its terminal does.
    pub fn interrupt(&mut self) {
        send(self.id(), Signal::Interrupt);
    }

    /// Tells it to reload.
    pub fn hang_up(&mut self) {
        send(self.id(), Signal::Hangup);
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn end(&mut self) -> ExitStatus {
        let status = wait_until("the service ends", || self.process.child().try_wait().unwrap());
        if let Some(logging) = self.logging.take() {
            logging.join().unwrap();
        }
        status
    }
}

fn note_down(stderr: impl Read, log: &Mutex<String>) {
    for line in BufReader::new(stderr).lines() {
        let line = line.expect("programs write UTF-8");
        let mut log = log.lock().unwrap();
        log.push_str(&line);
        log.push('\n');
    }
}
