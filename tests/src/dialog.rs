//! A program that answers each line with a line, at once.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::Value;

use crate::PATIENCE;

/// A conversation with a child process. It ends, and so does the child, when this is dropped.
#[derive(Debug)]
pub struct Dialog {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
}

impl Dialog {
    /// Starts the program. Its standard error goes to the test's.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, answers) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(stdout).lines().map_while(Result::ok);
            // The test may have ended before the program did.
            let _ = lines.map(|line| sender.send(line)).take_while(Result::is_ok).count();
        });
        Self { child, stdin, answers }
    }

    /// Writes a line and waits for the answer, which must be JSON.
    ///
    /// # Panics
    ///
    /// When there is no answer within [`PATIENCE`], or it is no JSON.
    pub fn ask(&mut self, line: &[u8]) -> Value {
        self.stdin.write_all(line).unwrap();
        self.stdin.write_all(b"\n").unwrap();
        self.stdin.flush().unwrap();
        let answer = self.answers.recv_timeout(PATIENCE).expect("an answer comes before the next question");
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("no JSON ({error}): {answer}"))
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
