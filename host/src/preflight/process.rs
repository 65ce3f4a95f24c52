//! The parent's half: one child process from its start to its end.
//!
//! A child is expected to hang, to die, to write what nobody asked for, and to leave processes of its
//! own behind. It has a process group to itself, which is killed at the deadline and at its end.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    SUBCOMMAND,
    wire::{Line, Request},
};

/// How a child ended, and what it wrote that was not asked for.
pub(super) struct Ended {
    /// None: it was killed, for it did not end within its deadline.
    pub(super) status: Option<ExitStatus>,
    /// Bytes on standard output that are no line of the preflight's.
    pub(super) stray_bytes: u64,
    /// The end of what it wrote to standard error.
    pub(super) last_words: String,
}

/// Runs a child to its end, or to its deadline.
///
/// # Errors
///
/// When no child could be started.
pub(super) fn run(
    program: &Path,
    request: &Request,
    library: Arc<[u8]>,
    deadline: Duration,
    mut hear: impl FnMut(Line),
) -> io::Result<Ended> {
    let until = Instant::now() + deadline;
    let mut child = Group::new(command(program).spawn()?);
    let text = request.to_text()?;
    if let Some(mut stdin) = child.child.stdin.take() {
        // A child that dies early closes the pipe: its end is what tells.
        spawn("feeds", move || {
            let written = stdin.write_all(&text).and_then(|()| stdin.write_all(b"\n"));
            let _ = written.and_then(|()| stdin.write_all(&library));
        })?;
    }
    let last_words: Arc<Mutex<Vec<u8>>> = Arc::default();
    if let Some(stderr) = child.child.stderr.take() {
        let last_words = Arc::clone(&last_words);
        spawn("listens", move || keep_the_end(stderr, &last_words))?;
    }
    let stray_bytes = Arc::default();
    let lines = match child.child.stdout.take() {
        Some(stdout) => lines(stdout, &request.nonce, &stray_bytes)?,
        None => mpsc::channel().1,
    };
    while Instant::now() < until && child.look() == Look::Runs {
        match lines.recv_timeout(LOOK) {
            Ok(line) => hear(line),
            Err(RecvTimeoutError::Timeout) => {}
            // It closed its output, and is about to end.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK / 4),
        }
    }
    let status = child.end()?;
    // What is still in the pipe; nobody of its group is left to hold it open.
    let until = Instant::now() + LEFTOVERS;
    while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        hear(line);
    }
    let last_words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
    let mut last_words = String::from_utf8_lossy(&last_words).into_owned();
    // Of what was cut off, the rest of a line may be the rest of a secret.
    if last_words.len() >= LAST_WORDS {
        last_words = last_words.split_once('\n').map(|(_, whole)| whole.to_owned()).unwrap_or_default();
    }
    Ok(Ended { status, stray_bytes: stray_bytes.load(Ordering::Relaxed), last_words })
}

/// The interval between two looks at whether the child has ended: its lines are heard at once.
const LOOK: Duration = Duration::from_millis(4);

/// How long to wait for what a child wrote before it ended: no longer than a reader takes, unless a process that left
/// the group holds the pipe open.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// How much of standard error is kept, in bytes.
const LAST_WORDS: usize = 2048;

/// The longest line that is listened to, in bytes; of a longer one the rest is passed over.
const MAX_LINE_BYTES: u64 = 64 * 1024;

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(SUBCOMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // With glibc each thread reserves address space for an arena of its own: on many cores more than the limit.
    command.env("MALLOC_ARENA_MAX", "2");
    // Last words are to say what happened, and a backtrace comes after them.
    command.env("RUST_BACKTRACE", "0");
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

fn spawn(what: &str, code: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // Not waited for: a process that left the group may hold a pipe open for ever.
    thread::Builder::new().name(format!("preflight-{what}")).spawn(code).map(drop)
}

/// The lines of the preflight's own; the bytes of all others are counted.
fn lines(stdout: impl Read + Send + 'static, nonce: &str, stray: &Arc<AtomicU64>) -> io::Result<Receiver<Line>> {
    let (sender, lines) = mpsc::channel();
    let (stray, start) = (Arc::clone(stray), format!("{nonce} "));
    spawn("reads", move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut stdout).take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let own = line.strip_prefix(start.as_bytes()).and_then(|line| serde_json::from_slice(line).ok());
            match own {
                Some(line) => {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
                // The preflight's own lines come after an empty one.
                None if line == b"\n" => {}
                None => {
                    stray.fetch_add(line.len() as u64, Ordering::Relaxed);
                }
            }
        }
    })?;
    Ok(lines)
}

fn keep_the_end(mut from: impl Read, end: &Mutex<Vec<u8>>) {
    let mut buffer = [0; LAST_WORDS];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
        end.extend_from_slice(&buffer[..count]);
        let surplus = end.len().saturating_sub(LAST_WORDS);
        end.drain(..surplus);
    }
}

/// A child and the process group that it leads. None of it is left when this is dropped.
struct Group {
    child: Child,
    reaped: bool,
}

#[derive(PartialEq, Eq)]
enum Look {
    Runs,
    Ended,
    /// Somebody else has reaped it: its number may be another's by now. Never on Windows, where there is a handle.
    Lost,
}

impl Group {
    fn new(child: Child) -> Self {
        Self { child, reaped: false }
    }

    /// How the child is. It is not reaped: its number, which is the group's, is not given to another.
    #[cfg(unix)]
    fn look(&mut self) -> Look {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match self.id().map(|id| waitid(WaitId::Pid(id), options)) {
            Some(Ok(None)) => Look::Runs,
            Some(Ok(Some(_))) => Look::Ended,
            Some(Err(_)) | None => Look::Lost,
        }
    }

    #[cfg(not(unix))]
    fn look(&mut self) -> Look {
        if matches!(self.child.try_wait(), Ok(None)) { Look::Runs } else { Look::Ended }
    }

    /// Kills what is left of the group, and tells how the child had ended by then, if it had.
    fn end(&mut self) -> io::Result<Option<ExitStatus>> {
        let look = self.look();
        self.reaped = true;
        if look == Look::Lost {
            return Err(io::Error::other(
                "how it ended cannot be told, for this process ignores SIGCHLD, or waits for children that it did not start",
            ));
        }
        self.kill();
        Ok(Some(self.child.wait()?).filter(|_| look == Look::Ended))
    }

    #[cfg(unix)]
    fn kill(&mut self) {
        use rustix::process::{Signal, kill_process_group};
        if let Some(id) = self.id() {
            let _ = kill_process_group(id, Signal::KILL);
        }
    }

    #[cfg(not(unix))]
    fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// The number of the child and its group, which is theirs until the child is reaped.
    #[cfg(unix)]
    fn id(&self) -> Option<rustix::process::Pid> {
        rustix::process::Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.end();
        }
    }
}
