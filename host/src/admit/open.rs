//! Step 1: opens a file once, and reads from that one descriptor what all later steps look at.

use std::{
    fs::{self, File, FileType, Metadata, OpenOptions},
    io::{self, Read},
    path::Path,
};

use super::refusal::RefusalReason;

/// What to do when the last component of a path is a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// Something that will be executed: the link's owner and the target's may differ.
    Refuse,
    /// Something that is only looked at.
    Follow,
}

/// A regular file of acceptable size, open for reading.
#[derive(Debug)]
pub(super) struct Opened {
    file: File,
    metadata: Metadata,
    max_bytes: u64,
}

impl Opened {
    /// Opens without waiting: a FIFO without a writer would hang an ordinary `open` for ever.
    pub(super) fn new(path: &Path, links: Links, max_bytes: u64) -> Result<Self, RefusalReason> {
        let mut options = OpenOptions::new();
        options.read(true);
        set_flags(&mut options, links);
        let file = options.open(path).map_err(|error| explain(path, links, error))?;
        let metadata = file.metadata().map_err(RefusalReason::io("ask for its size"))?;
        refuse_irregular(metadata.file_type())?;
        match metadata.len() {
            0 => Err(RefusalReason::Empty),
            bytes if bytes > max_bytes => Err(RefusalReason::TooLarge { bytes, max_bytes }),
            _ => Ok(Self { file, metadata, max_bytes }),
        }
    }

    /// What the open descriptor, not the path, says of the file.
    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Reads everything, and sees to it that it is what was there when the file was opened, as far
    /// as length and time of change can tell.
    pub(super) fn read(self) -> Result<Vec<u8>, RefusalReason> {
        let expected = self.metadata.len();
        let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
        (&self.file)
            .take(self.max_bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(RefusalReason::io("read it"))?;
        let now = self.file.metadata().map_err(RefusalReason::io("ask for its size"))?;
        let unchanged = now.len() == expected && now.modified().ok() == self.metadata.modified().ok();
        if !unchanged || bytes.len() as u64 != expected {
            return Err(RefusalReason::ChangedWhileReading);
        }
        Ok(bytes)
    }
}

/// The content of a regular file of at most so many bytes, opened without following a link and without waiting.
pub(crate) fn read_small(path: &Path, max_bytes: u64) -> Result<Vec<u8>, RefusalReason> {
    Opened::new(path, Links::Refuse, max_bytes)?.read()
}

#[cfg(unix)]
fn set_flags(options: &mut OpenOptions, links: Links) {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    // The standard library adds O_CLOEXEC. All these bits are below the sign bit.
    options.custom_flags(flags.bits() as i32);
}

#[cfg(windows)]
fn set_flags(options: &mut OpenOptions, links: Links) {
    use std::os::windows::fs::OpenOptionsExt;

    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    if links == Links::Refuse {
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    }
}

#[cfg(not(any(unix, windows)))]
fn set_flags(_: &mut OpenOptions, _: Links) {}

/// The errors of `open` for links and sockets differ among systems, so the path is asked what it is.
fn explain(path: &Path, links: Links, error: io::Error) -> RefusalReason {
    let found = match links {
        Links::Refuse => fs::symlink_metadata(path),
        Links::Follow => fs::metadata(path),
    };
    match found.map(|metadata| refuse_irregular(metadata.file_type())) {
        Ok(Err(reason)) => reason,
        _ if error.kind() == io::ErrorKind::NotFound => RefusalReason::Missing,
        _ => RefusalReason::io("open it")(error),
    }
}

fn refuse_irregular(kind: FileType) -> Result<(), RefusalReason> {
    if kind.is_file() {
        Ok(())
    } else if kind.is_symlink() {
        Err(RefusalReason::SymbolicLink)
    } else if kind.is_dir() {
        Err(RefusalReason::NotAFile { found: "a folder" })
    } else {
        Err(RefusalReason::NotAFile { found: name_of(kind) })
    }
}

#[cfg(unix)]
fn name_of(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn name_of(_: FileType) -> &'static str {
    "something special"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Result<Vec<u8>, String> {
        Opened::new(path, Links::Refuse, 100).and_then(Opened::read).map_err(|reason| reason.to_string())
    }

    #[test]
    fn reads_a_file_of_acceptable_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, [7; 100]).unwrap();
        assert_eq!(read(&path).unwrap(), [7; 100]);
        fs::write(&path, [7; 101]).unwrap();
        assert_eq!(read(&path).unwrap_err(), "it has 101 bytes, expected at most 100");
        fs::write(&path, []).unwrap();
        assert_eq!(read(&path).unwrap_err(), "it is empty, expected a shared library");
    }

    #[test]
    fn a_missing_file_and_a_folder_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("none")).unwrap_err(), "it does not exist");
        assert_eq!(read(folder.path()).unwrap_err(), "it is a folder, expected a regular file");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_refused_without_waiting() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(read(&fifo).unwrap_err(), "it is a FIFO, expected a regular file");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(read(&socket).unwrap_err(), "it is a socket, expected a regular file");
        assert_eq!(read(Path::new("/dev/null")).unwrap_err(), "it is a device, expected a regular file");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_only_to_look() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        fs::write(folder.path().join("x"), "content").unwrap();
        std::os::unix::fs::symlink("x", &link).unwrap();
        assert!(read(&link).unwrap_err().starts_with("it is a symbolic link"));
        assert_eq!(Opened::new(&link, Links::Follow, 100).unwrap().read().unwrap(), b"content");
        fs::remove_file(folder.path().join("x")).unwrap();
        assert!(read(&link).unwrap_err().starts_with("it is a symbolic link"), "dangling");
    }

    #[test]
    fn a_file_that_grows_under_the_reader_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "half").unwrap();
        let opened = Opened::new(&path, Links::Refuse, 100).unwrap();
        fs::write(&path, "half and the rest").unwrap();
        assert!(matches!(opened.read(), Err(RefusalReason::ChangedWhileReading)));
    }
}
