//! [`Gate`]: the lock under which a SQLite file is used, by as many copies of SQLite as there are.
//!
//! SQLite's own locks belong to the process on Unix: two copies of it in one process, as two images of this plugin bring
//! along, do not exclude each other, and when one closes the file the other's locks are gone. This one belongs to whoever
//! opened it. Elsewhere SQLite's do, too, and there is no gate.

use std::{
    ffi::OsString,
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use token_plugin_api::files::create_private;

/// A file beside the one that is guarded. It is always empty, and stays.
pub(super) struct Gate {
    path: PathBuf,
}

/// The gate is kept until this is dropped.
#[must_use]
pub(super) struct Pass(#[expect(dead_code, reason = "it is locked as long as it is open")] Option<File>);

impl Gate {
    /// The gate of this file.
    pub(super) fn of(file: &Path) -> Self {
        Self { path: beside(file, "-lock") }
    }

    /// Creates it, if need be.
    pub(super) fn create(&self) -> Result<(), String> {
        if cfg!(unix) { create_private(&self.path).map_err(|error| self.failed(&error)) } else { Ok(()) }
    }

    /// Waits until nobody has it alone. Where there is no such file, it is open to all.
    pub(super) fn share(&self, patience: Duration) -> Result<Pass, String> {
        self.pass(Hold::Shared, patience).map(Pass).map_err(|error| self.failed(&error))
    }

    /// Waits until nobody has it. Where there is no such file, it is open to all.
    pub(super) fn take(&self, patience: Duration) -> Result<Pass, String> {
        self.pass(Hold::Alone, patience).map(Pass).map_err(|error| self.failed(&error))
    }

    #[cfg(unix)]
    fn pass(&self, hold: Hold, patience: Duration) -> io::Result<Option<File>> {
        use rustix::{
            fs::{FlockOperation, flock},
            io::Errno,
        };
        use std::{thread, time::Instant};

        let operation = match hold {
            Hold::Shared => FlockOperation::NonBlockingLockShared,
            Hold::Alone => FlockOperation::NonBlockingLockExclusive,
        };
        let deadline = Instant::now() + patience;
        loop {
            // Each time anew: another one may have taken its place.
            let file = match self.open() {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            match flock(&file, operation) {
                Ok(()) => return Ok(Some(file)),
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < deadline => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "others have kept it locked for too long"));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[cfg(not(unix))]
    fn pass(&self, _: Hold, _: Duration) -> io::Result<Option<File>> {
        Ok(None)
    }

    #[cfg(unix)]
    fn open(&self) -> io::Result<File> {
        // Network file systems want it writable, for a lock that is not shared.
        File::options().read(true).write(true).open(&self.path).or_else(|_| File::open(&self.path))
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("{}: cannot be locked: {error}", self.path.display())
    }
}

#[derive(Clone, Copy)]
enum Hold {
    Shared,
    Alone,
}

/// A file that belongs to this one, and has its name with something at the end.
pub(super) fn beside(file: &Path, end: &str) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(end);
    path.into()
}

/// Between two tries. The one who has it needs it for some milliseconds, until the disk has what was written.
#[cfg(unix)]
const PAUSE: Duration = Duration::from_millis(1);

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_it_alone_keeps_out_all_others() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [(); 2].map(|()| Gate::of(&folder.path().join("x.db")));
        one.create().unwrap();
        two.create().unwrap();
        let (short, long) = (Duration::from_millis(20), Duration::from_secs(30));
        let alone = one.take(short).unwrap();
        for error in [one.take(short).err(), two.take(short).err(), two.share(short).err()] {
            assert!(error.unwrap().ends_with("x.db-lock: cannot be locked: others have kept it locked for too long"));
        }
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| two.share(long).is_ok());
            drop(alone);
            assert!(waiting.join().unwrap());
        });
        let shared = (one.share(short).unwrap(), two.share(short).unwrap());
        assert!(two.take(short).is_err());
        drop(shared);
        drop(two.take(short).unwrap());
    }

    #[test]
    fn where_there_is_none_all_pass() {
        let folder = tempfile::tempdir().unwrap();
        let gate = Gate::of(&folder.path().join("x.db"));
        let _passes = (gate.take(Duration::ZERO).unwrap(), gate.share(Duration::ZERO).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
