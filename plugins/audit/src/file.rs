//! [`Locked`]: the audit file, open, and kept from all others who write to it, in this process and in others.
//!
//! The file is opened anew each time: whoever removes, renames or replaces it is noticed, and nothing has to be
//! remembered but what was written last.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use token_plugin_api::files::create_private;

/// What tells one file from another that took its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
    #[cfg(not(unix))]
    created: Option<std::time::SystemTime>,
}

impl FileId {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            #[cfg(unix)]
            device_and_inode: {
                use std::os::unix::fs::MetadataExt;
                (metadata.dev(), metadata.ino())
            },
            #[cfg(not(unix))]
            created: metadata.created().ok(),
        }
    }
}

/// A file that nobody else writes to, as long as they lock it as well.
#[derive(Debug)]
pub(crate) struct Locked {
    file: File,
    pub(crate) id: FileId,
    /// In bytes.
    pub(crate) length: u64,
}

impl Locked {
    /// Opens and locks the file at this path, which is created when there is none.
    pub(crate) fn open_or_create(path: &Path, patience: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(file) = Self::open_until(path, deadline)? {
                return Ok(file);
            }
            create_private(path)?;
            if Instant::now() > deadline {
                return Err(io::Error::other("others remove it as soon as it is created"));
            }
        }
    }

    /// Opens and locks the file at this path; none: there is none.
    pub(crate) fn open(path: &Path, patience: Duration) -> io::Result<Option<Self>> {
        Self::open_until(path, Instant::now() + patience)
    }

    fn open_until(path: &Path, deadline: Instant) -> io::Result<Option<Self>> {
        loop {
            // Each time anew, as another one may have taken its place.
            let locked = match open(path, Use::Write) {
                Ok(file) => try_lock(&file)?.then_some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) if is_locked_by_another(&error) => None,
                Err(error) => return Err(error),
            };
            if let Some(file) = locked {
                let metadata = file.metadata()?;
                let id = FileId::of(&metadata);
                // Whoever had it locked may have given it another name.
                if fs::symlink_metadata(path).is_ok_and(|there| FileId::of(&there) == id) {
                    return Ok(Some(Self { file, id, length: metadata.len() }));
                }
            }
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "others have kept it locked for too long"));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Appends as a whole, or not at all.
    pub(crate) fn append(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        if let Err(error) = self.file.write_all(text) {
            // When this fails as well, whoever writes next finds a torn line.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += text.len() as u64;
        Ok(())
    }

    /// Cuts off what comes after so many bytes.
    pub(crate) fn shorten(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.length = length;
        Ok(())
    }

    /// What is between two places.
    pub(crate) fn read(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        read(&self.file, from, to)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Lets others write. Where only open files are locked, they have to wait until this is closed.
    pub(crate) fn unlock(self) -> File {
        #[cfg(unix)]
        let _ = rustix::fs::flock(&self.file, rustix::fs::FlockOperation::Unlock);
        self.file
    }
}

/// A file that is only read, and that nobody writes to any more.
#[derive(Debug)]
pub(crate) struct Finished {
    file: File,
    /// In bytes.
    pub(crate) length: u64,
}

impl Finished {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = open(path, Use::Read)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// What is between two places.
    pub(crate) fn read(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        read(&self.file, from, to)
    }
}

/// Makes sure that names in a folder survive a failure of power. Only where folders can be opened.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn read(mut file: &File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Write,
}

/// Opens a regular file that is there, and no other one by way of a link.
fn open(path: &Path, wanted: Use) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        // The opening of a FIFO must not wait for its other end.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        options.append(wanted == Use::Write).custom_flags(flags.bits().cast_signed());
    }
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        options.write(wanted == Use::Write).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        if wanted == Use::Write {
            // This is the lock: as long as it is open, nobody else can open it to write.
            options.share_mode(FILE_SHARE_READ);
        }
    }
    let file = options.open(path).map_err(named)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

#[cfg(windows)]
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
#[cfg(windows)]
const FILE_SHARE_READ: u32 = 1;

/// The system's words for a link are about too many of them.
fn named(error: io::Error) -> io::Error {
    #[cfg(unix)]
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return io::Error::other("it is a symbolic link, expected the file itself");
    }
    error
}

/// Whether it is ours now.
#[cfg(unix)]
fn try_lock(file: &File) -> io::Result<bool> {
    use rustix::{
        fs::{FlockOperation, flock},
        io::Errno,
    };
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Who has it open has it alone.
#[cfg(not(unix))]
fn try_lock(_: &File) -> io::Result<bool> {
    Ok(true)
}

fn is_locked_by_another(error: &io::Error) -> bool {
    /// `ERROR_SHARING_VIOLATION`
    const SHARING_VIOLATION: i32 = 32;
    cfg!(windows) && error.raw_os_error() == Some(SHARING_VIOLATION)
}

/// Between two tries. The one who has it needs it for some microseconds, or for a rotation.
const PAUSE: Duration = Duration::from_millis(1);
