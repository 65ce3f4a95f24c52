//! Other users, and other processes: what a test that is root needs for programs that refuse to be.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::Skip;
#[cfg(unix)]
use crate::install::attempt;

/// Whom a program runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    /// None: as the test does.
    #[cfg(unix)]
    ids: Option<(u32, u32)>,
}

/// What a process can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Hangup,
    Interrupt,
    Terminate,
    Quit,
    Kill,
    Stop,
    Continue,
}

#[cfg(unix)]
impl User {
    /// The test's own user, or, when that is root, another.
    pub(crate) fn unprivileged() -> Result<Self, Skip> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { ids: None });
        }
        let id = |option, name| {
            let output = attempt(Command::new("id").args([option, name]))?;
            let id = String::from_utf8_lossy(&output.stdout).trim().parse();
            id.map_err(|_| Skip(format!("there is no user {name}")))
        };
        let ids = |name| Ok((id("-u", name)?, id("-g", name)?));
        Ok(Self { ids: Some(ids("postgres").or_else(|_: Skip| ids("nobody"))?) })
    }

    /// Has a program run as this user.
    pub(crate) fn run(self, command: &mut Command) -> &mut Command {
        use std::os::unix::process::CommandExt;
        match self.ids {
            Some((user, group)) => command.uid(user).gid(group),
            None => command,
        }
    }

    /// Gives a file or folder to this user.
    pub(crate) fn own(self, path: &Path) {
        if let Some((user, group)) = self.ids {
            std::os::unix::fs::chown(path, Some(user), Some(group)).expect("root can do that");
        }
    }
}

#[cfg(not(unix))]
impl User {
    pub(crate) fn unprivileged() -> Result<Self, Skip> {
        Err(Skip("users are known on Unix only".to_owned()))
    }

    pub(crate) fn run(self, command: &mut Command) -> &mut Command {
        command
    }

    pub(crate) fn own(self, _: &Path) {}
}

/// Has a program spared by what ends the test and all that it has started, at a terminal or for its time is up.
#[cfg(unix)]
pub(crate) fn apart(command: &mut Command) -> &mut Command {
    std::os::unix::process::CommandExt::process_group(command, 0)
}

#[cfg(not(unix))]
pub(crate) fn apart(command: &mut Command) -> &mut Command {
    command
}

/// A process that runs a script for a folder, its `$1`, once this program has ended, however that came: then what the script
/// reads first is over.
pub(crate) fn reaper(script: &str, folder: &Path) -> (Child, Option<ChildStdin>) {
    let mut command = Command::new("sh");
    command.args([OsStr::new("-c"), script.as_ref(), "reaper".as_ref(), folder.as_os_str()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = apart(&mut command).spawn().unwrap();
    let stdin = child.stdin.take();
    (child, stdin)
}

/// Sends a signal to a process, if it is there still.
#[cfg(unix)]
pub(crate) fn send(process: u32, signal: Signal) {
    use rustix::process::{Pid, Signal as Unix, kill_process};
    let signal = match signal {
        Signal::Hangup => Unix::HUP,
        Signal::Interrupt => Unix::INT,
        Signal::Terminate => Unix::TERM,
        Signal::Quit => Unix::QUIT,
        Signal::Kill => Unix::KILL,
        Signal::Stop => Unix::STOP,
        Signal::Continue => Unix::CONT,
    };
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).expect("it is the number of a process");
    let _ = kill_process(process, signal);
}

#[cfg(not(unix))]
pub(crate) fn send(_: u32, _: Signal) {}

/// The processes that a process has started, and that are there still.
pub(crate) fn children(process: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-o", "pid=", "--ppid", &process.to_string()]).output();
    let listed = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    listed.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
