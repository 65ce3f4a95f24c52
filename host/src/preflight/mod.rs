//! Step 6 of admission, the preflight: all that the host is going to do with a plugin, done by a child process before.
//!
//! Nothing that can be read in a file tells what its code does. So before a plugin is loaded into the
//! host, a child process loads it, checks its layout, makes it with its real configuration, has each
//! handler judge a token that nobody made, tries it as [`trial`](crate::trial) does, drops it, and
//! ends. A plugin that crashes, hangs, or uses up memory or processor time there never reaches the
//! host. The child is a `token-host` executable under a hidden subcommand ([`SUBCOMMAND`]); it has a
//! deadline, limits of address space and processor time, and writes no core file.
//!
//! What passed is remembered by file and configuration ([`passed`]), so that a start costs nothing
//! the second time. It is a net for accidents and for careless plugins, not a wall: a plugin that
//! *wants* to behave in the child and not in the host can.

mod child;
mod conformance;
mod guard;
mod passed;
mod process;
mod wire;

use std::{
    collections::VecDeque,
    io,
    path::Path,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use token_plugin_api::{PluginError, PluginErrorKind};

pub(crate) use self::passed::{Pass, Passed};
use self::{
    passed::{Folder, Tried},
    process::Ended,
    wire::{Line, Request, Stage, Task},
};
use crate::{
    admit::{Examined, hexadecimal},
    config::{PluginEntry, PluginSettings, PreflightSettings},
};

/// The argument that makes a `token-host` a preflight child.
pub const SUBCOMMAND: &str = "preflight";

/// Does what a preflight child does, on standard input and output: for executables that are named
/// as `[preflight] program` and are run with [`SUBCOMMAND`] as their one argument.
pub fn answer() -> ExitCode {
    match child::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use io::Write;
            // Whoever runs this by hand wants to know what it is.
            let _ = writeln!(io::stderr(), "expected a preflight's request on standard input: {error}");
            ExitCode::from(2)
        }
    }
}

/// Why a plugin did not pass.
pub(crate) enum Failed {
    /// The file is none that the host could load, or its plugin does not behave.
    Refused(String),
    /// The plugin cannot be made of its settings.
    Settings(PluginError),
}

/// One plugin to be tried.
pub(crate) struct Candidate<'a> {
    pub(crate) entry: &'a PluginEntry,
    pub(crate) examined: &'a Examined,
}

/// Tries plugins, several at once, and gives what became of each: how it passed, or why it failed.
pub(crate) fn try_out(
    program: &Path,
    settings: &PreflightSettings,
    passed: &Passed,
    candidates: &[Candidate<'_>],
) -> Vec<Result<Pass, Failed>> {
    let folder = Folder::open(settings.cache.as_deref());
    let mut outcomes: Vec<_> =
        candidates.iter().map(|candidate| passed.find(&candidate.tried(), folder.as_ref()).map(Ok)).collect();
    let waiting = outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none()).map(|(place, _)| place);
    let waiting: VecDeque<usize> = waiting.collect();
    let workers = thread::available_parallelism().map_or(1, usize::from).min(waiting.len());
    let (waiting, tried) = (Mutex::new(waiting), Mutex::new(Vec::new()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        while let Some(place) = next() {
            let outcome = candidates[place].try_out(program, settings);
            tried.lock().unwrap_or_else(PoisonError::into_inner).push((place, outcome));
        }
    };
    thread::scope(|scope| {
        // Those that cannot be started leave their work to the others, and to this one.
        (1..workers).for_each(|_| drop(thread::Builder::new().spawn_scoped(scope, work)));
        work();
    });
    for (place, outcome) in tried.into_inner().unwrap_or_else(PoisonError::into_inner) {
        if let Ok(warnings) = &outcome {
            passed.keep(&candidates[place].tried(), warnings, folder.as_ref());
        }
        outcomes[place] = Some(outcome.map(|warnings| Pass { warnings, is_recent: true }));
    }
    let untried = || Err(Failed::Refused("its preflight was not run".to_owned()));
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(untried)).collect()
}

impl Candidate<'_> {
    fn tried(&self) -> Tried<'_> {
        Tried {
            sha256: self.examined.sha256(),
            name: &self.entry.name,
            settings: self.entry.settings.digest(),
            call_deadline_ms: milliseconds(self.entry.deadline),
        }
    }

    fn try_out(&self, program: &Path, settings: &PreflightSettings) -> Result<Vec<String>, Failed> {
        let refused = |problem: String| {
            Failed::Refused(format!("the preflight of {} failed: {problem}", self.examined.path().display()))
        };
        let request = request(Task::TryOut, self.entry, self.examined, settings).map_err(refused)?;
        let mut heard = Heard::default();
        let ended = process::run(program, &request, self.examined.shared_bytes(), settings.deadline, |line| {
            heard.hear(line);
        });
        let ended = ended.map_err(|error| refused(format!("cannot run {}: {error}", program.display())))?;
        if let Some(failed) = heard.failed {
            return Err(match failed {
                Line::NotMade { invalid_argument: true, message } => {
                    Failed::Settings(PluginError::invalid_argument(message))
                }
                Line::NotMade { message, .. } => Failed::Settings(PluginError::new(PluginErrorKind::Failed, message)),
                Line::NotLoaded(message) => Failed::Refused(message),
                other => refused(other.problem()),
            });
        }
        match ended.status {
            Some(status) if heard.is_done && status.success() => {}
            _ => {
                let ending = ending(&ended, settings, &self.entry.settings);
                return Err(refused(format!("while {}, {ending}", heard.stage)));
            }
        }
        if ended.stray_bytes > 0 {
            let bytes = ended.stray_bytes;
            heard.warnings.push(format!(
                "it wrote {bytes} bytes to standard output in its preflight: programs that read the host's may trip over it"
            ));
        }
        Ok(heard.warnings)
    }
}

/// What a child is told about a plugin.
fn request(
    task: Task,
    entry: &PluginEntry,
    examined: &Examined,
    limits: &PreflightSettings,
) -> Result<Request, String> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| format!("no random number for it: {error}"))?;
    Ok(Request {
        task,
        nonce: hexadecimal(&nonce),
        name: entry.name.clone(),
        file: examined.path().display().to_string(),
        settings: entry.settings.json().to_owned(),
        folder: entry.folder.to_string_lossy().into_owned(),
        resolved: entry.settings.resolved().iter().map(|value| value.to_string()).collect(),
        call_deadline_ms: milliseconds(entry.deadline),
        max_memory_bytes: limits.max_memory_bytes,
        max_cpu_seconds: limits.max_cpu_seconds,
    })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How a child ended that did not end well, and what it said at last.
fn ending(ended: &Ended, limits: &PreflightSettings, settings: &PluginSettings) -> String {
    let ending = match ended.status {
        None => format!("it was not over within {} ms", limits.deadline.as_millis()),
        Some(status) => format!("the process {}", how(status, limits)),
    };
    match last_line(&ended.last_words, settings) {
        Some(words) => format!("{ending}; its last words: {words}"),
        None => ending,
    }
}

/// The last line that tells something, without secrets and control characters, and not too long.
fn last_line(words: &str, settings: &PluginSettings) -> Option<String> {
    const MAX_LETTERS: usize = 200;
    let is_telling = |line: &&str| !line.trim().is_empty() && !line.starts_with("note: ");
    let words = settings.without_values(words);
    let line = words.lines().rev().find(is_telling)?.trim();
    let printable = |letter: char| if letter.is_control() { '?' } else { letter };
    Some(line.chars().take(MAX_LETTERS).map(printable).collect())
}

/// What a child has said so far.
struct Heard {
    stage: Stage,
    warnings: Vec<String>,
    failed: Option<Line>,
    is_done: bool,
}

impl Default for Heard {
    fn default() -> Self {
        Self { stage: Stage::Start, warnings: Vec::new(), failed: None, is_done: false }
    }
}

impl Heard {
    fn hear(&mut self, line: Line) {
        match line {
            Line::Begun(stage) => self.stage = stage,
            Line::Warning(warning) if self.warnings.len() < MAX_WARNINGS => self.warnings.push(warning),
            Line::Warning(_) => {}
            Line::Done => self.is_done = true,
            failed => {
                self.failed.get_or_insert(failed);
            }
        }
    }
}

/// As many as anybody reads.
const MAX_WARNINGS: usize = 32;

/// How a process ended, to follow "the process".
#[cfg(unix)]
fn how(status: std::process::ExitStatus, settings: &PreflightSettings) -> String {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    let Some(signal) = status.signal() else { return exited(status) };
    let name = match Signal::from_named_raw(signal) {
        Some(Signal::XCPU) => return format!("used up its {} s of processor time", settings.max_cpu_seconds),
        Some(Signal::ABORT) => "SIGABRT",
        Some(Signal::SEGV) => "SIGSEGV",
        Some(Signal::BUS) => "SIGBUS",
        Some(Signal::ILL) => "SIGILL",
        Some(Signal::FPE) => "SIGFPE",
        Some(Signal::TRAP) => "SIGTRAP",
        Some(Signal::SYS) => "SIGSYS",
        Some(Signal::KILL) => "SIGKILL",
        _ => return format!("was ended by signal {signal}"),
    };
    format!("crashed ({name})")
}

#[cfg(not(unix))]
fn how(status: std::process::ExitStatus, _: &PreflightSettings) -> String {
    exited(status)
}

fn exited(status: std::process::ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with exit code {code}"),
        None => "ended".to_owned(),
    }
}
