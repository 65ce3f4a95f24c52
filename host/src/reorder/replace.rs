//! [`replace`]: puts another text in the place of a configuration's, unless somebody else has written it meanwhile.

use std::{
    fmt,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write},
    path::Path,
    time::Duration,
};

use crate::config::text_of;

/// Replaces the text of a file at once, if it is the old one: whoever reads it sees the old one or the new one. Mode and
/// owner stay. `patience` is how long others may keep the folder locked.
pub(super) fn replace(path: &Path, old: &str, new: &str, patience: Duration) -> Result<(), NotReplaced> {
    let path = fs::canonicalize(path)?;
    let folder = path.parent().ok_or_else(|| io::Error::other("it lies in no folder"))?;
    let _lock = lock(folder, patience)?;
    // A file that may not be written to is not to be replaced either.
    let metadata = OpenOptions::new().write(true).open(&path)?.metadata()?;
    let mut file = tempfile::Builder::new().prefix(".plugins-").suffix(".tmp").tempfile_in(folder)?;
    keep_owner_and_mode(file.as_file(), &metadata)?;
    file.write_all(new.as_bytes())?;
    file.as_file().sync_all()?;
    // As late as can be: editors know nothing of the lock.
    if !text_of(&path).is_ok_and(|text| *text == old) {
        return Err(NotReplaced::Changed);
    }
    file.persist(&path).map_err(io::Error::from)?;
    // The file's new place in the folder must survive a power cut as well.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// Why the file was not replaced.
#[derive(Debug)]
pub(super) enum NotReplaced {
    /// Its text is not the old one any more.
    Changed,
    /// Somebody else has kept its folder locked for too long.
    Locked,
    Failed(io::Error),
}

impl fmt::Display for NotReplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("the configuration has been changed meanwhile"),
            Self::Locked => f.write_str("somebody else is writing the configuration"),
            Self::Failed(error) => write!(f, "the configuration cannot be written: {error}"),
        }
    }
}

impl From<io::Error> for NotReplaced {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Keeps others who lock it from replacing a file in this folder, until what this gives is dropped. It is the folder's own
/// lock: one of the file would go with the file, and one of a file of its own would leave that behind. Where there are no
/// such locks, it goes on without.
#[cfg(unix)]
fn lock(folder: &Path, patience: Duration) -> Result<Option<File>, NotReplaced> {
    use rustix::{
        fs::{FlockOperation, flock},
        io::Errno,
    };
    use std::{thread, time::Instant};

    let (folder, until) = (File::open(folder)?, Instant::now() + patience);
    loop {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => thread::sleep(LOCK_PAUSE),
            Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(NotReplaced::Locked),
            Err(_) => return Ok(None),
            Ok(()) => return Ok(Some(folder)),
        }
    }
}

#[cfg(not(unix))]
fn lock(_: &Path, _: Duration) -> Result<Option<File>, NotReplaced> {
    Ok(None)
}

#[cfg(unix)]
fn keep_owner_and_mode(new: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;

    let own = new.metadata()?;
    let owner = (own.uid() != old.uid()).then(|| rustix::fs::Uid::from_raw(old.uid()));
    let group = (own.gid() != old.gid()).then(|| rustix::fs::Gid::from_raw(old.gid()));
    if owner.is_some() || group.is_some() {
        rustix::fs::fchown(new, owner, group)?;
    }
    new.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep_owner_and_mode(new: &File, old: &Metadata) -> io::Result<()> {
    new.set_permissions(old.permissions())
}

/// Whoever has the lock needs it for some milliseconds, until the disk has what was written. Longer, and it is somebody who
/// only wants to be in the way: anybody may lock a folder who may read it.
pub(super) const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Between two tries.
#[cfg(unix)]
const LOCK_PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A folder with a configuration of this text.
    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plugins.toml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn what_is_not_the_old_text_any_more_is_not_replaced() {
        let (folder, path) = written("# Somebody's.\n");
        let not = replace(&path, "# Old.\n", "# New.\n", LOCK_PATIENCE).unwrap_err();
        assert_eq!(not.to_string(), "the configuration has been changed meanwhile");
        assert_eq!(fs::read_to_string(&path).unwrap(), "# Somebody's.\n");
        replace(&path, "# Somebody's.\n", "# New.\n", LOCK_PATIENCE).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# New.\n");
        assert_eq!(names(folder.path()), ["plugins.toml"], "nothing is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn while_another_host_writes_nobody_else_does() {
        let (folder, path) = written("# Old.\n");
        let other = lock(folder.path(), Duration::ZERO).unwrap();
        let not = replace(&path, "# Old.\n", "# New.\n", Duration::ZERO).unwrap_err();
        assert!(matches!(not, NotReplaced::Locked), "{not}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "# Old.\n");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| replace(&path, "# Old.\n", "# New.\n", Duration::from_secs(60)));
            // Under its lock the other one writes something else; then it is this one's turn.
            fs::write(&path, "# The other's.\n").unwrap();
            drop(other);
            assert!(matches!(waiting.join().unwrap(), Err(NotReplaced::Changed)));
        });
        assert_eq!(fs::read_to_string(&path).unwrap(), "# The other's.\n");
    }

    /// Each adds a line to what it has read, as often as it takes: no line may be lost.
    #[cfg(unix)]
    #[test]
    fn of_many_hosts_that_write_at_once_none_loses_what_another_wrote() {
        const LINES: usize = 10;
        let (folder, path) = written("");
        let add = |host: usize, line: usize| {
            loop {
                let old = fs::read_to_string(&path).unwrap();
                match replace(&path, &old, &format!("{old}# {host}: {line}\n"), Duration::from_secs(60)) {
                    Ok(()) => return,
                    Err(NotReplaced::Changed) => {}
                    Err(not) => panic!("{not}"),
                }
            }
        };
        std::thread::scope(|scope| {
            for host in 0..4 {
                let add = &add;
                scope.spawn(move || (0..LINES).for_each(|line| add(host, line)));
            }
        });
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4 * LINES);
        assert_eq!(names(folder.path()), ["plugins.toml"]);
    }
}
