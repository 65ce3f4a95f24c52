//! A child process that ends with its test, however that ends.

use std::{
    fs,
    process::{Child, ChildStdin, Command},
};

use tempfile::TempDir;

use crate::user::reaper;

/// A child process with a folder of its own: both are gone once this is dropped, or the test program has ended.
#[derive(Debug)]
pub(crate) struct Tended {
    child: Child,
    folder: TempDir,
    /// On Unix only: there is a shell.
    reaper: Option<(Child, Option<ChildStdin>)>,
}

impl Tended {
    /// Starts the program.
    pub(crate) fn start(command: &mut Command, folder: TempDir) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        fs::write(folder.path().join("reap"), child.id().to_string()).unwrap();
        let reaper = cfg!(unix).then(|| reaper(REAP, folder.path()));
        Self { child, folder, reaper }
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The child process.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        // Of a number that is free again, the reaper must not know.
        let _ = fs::remove_file(self.folder.path().join("reap"));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Tended {
    fn drop(&mut self) {
        self.kill();
        if let Some((reaper, stdin)) = &mut self.reaper {
            drop(stdin.take());
            let _ = reaper.wait();
        }
    }
}

/// Kills the process when this program ends without having done it.
const REAP: &str = r#"read -r _; [ -f "$1/reap" ] && kill -KILL "$(cat "$1/reap")" && rm -rf "$1""#;
