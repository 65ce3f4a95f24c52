//! One run of a program: what it was fed, what it said, how it ended.

use std::{
    fmt,
    io::{Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use serde_json::Value;

use crate::PATIENCE;

/// How a program ended and what it wrote.
#[derive(Debug, Clone)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Run {
    /// The exit code.
    ///
    /// # Panics
    ///
    /// When a signal ended the program: nothing that is tested may crash.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("the program crashed: {self}"))
    }

    /// The standard output, read as one JSON value.
    ///
    /// # Panics
    ///
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// The standard output, read as one JSON value a line.
    ///
    /// # Panics
    ///
    /// When a line is none.
    pub fn json_lines(&self) -> Vec<Value> {
        let read = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}"));
        self.stdout.lines().map(read).collect()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n--- stdout ---\n{}\n--- stderr ---\n{}", self.status, self.stdout, self.stderr)
    }
}

/// Runs a program with this standard input until it ends.
///
/// # Panics
///
/// When it cannot be started, writes something that is not UTF-8, or does not end within
/// [`PATIENCE`]; it is killed then.
pub fn run(command: &mut Command, stdin: &[u8]) -> Run {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let (mut feed, stdin) = (child.stdin.take().unwrap(), stdin.to_owned());
    // A program that does not want its input closes the pipe: no error of the test's.
    let feeding = thread::spawn(move || drop(feed.write_all(&stdin)));
    let (stdout, stderr) = (reading(child.stdout.take().unwrap()), reading(child.stderr.take().unwrap()));
    let status = end_of(&mut child);
    feeding.join().unwrap();
    let run = |status| Run { status, stdout: text(stdout), stderr: text(stderr) };
    match status {
        Some(status) => run(status),
        None => panic!("{command:?} did not end within {PATIENCE:?}: {}", run(child.wait().unwrap())),
    }
}

/// `None` when it had to be killed.
fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    None
}

fn reading(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

fn text(reading: thread::JoinHandle<Vec<u8>>) -> String {
    String::from_utf8(reading.join().unwrap()).expect("programs write UTF-8")
}
