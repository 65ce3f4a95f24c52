//! A file that holds one secret: reading it, and making it for the first time.

use std::fmt;
use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::bounded_file;

/// What a secret's file holds.
pub(super) struct Content {
    /// The text without the line breaks at its end, which editors and `echo` add.
    pub(super) secret: Zeroizing<String>,
    /// What [`open_to_others`] says of it.
    pub(super) open_to_others: Option<u32>,
}

/// Reads the secret in the file at `path`.
pub(super) fn read(path: &Path) -> Result<Content, Problem> {
    let (bytes, metadata) = bounded_file::read(path, MAX_SECRET_BYTES).map_err(Problem::File)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| Problem::NotUtf8)?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err(Problem::Empty);
    }
    Ok(Content { secret: Zeroizing::new(secret.to_owned()), open_to_others: open_to_others(&metadata) })
}

/// As [`read`], for a file that another host may be making right now: it is given time to write what it created.
pub(super) fn read_perhaps_new(path: &Path) -> Result<Content, Problem> {
    for _ in 0..NEW_FILE_TRIES {
        match read(path) {
            Err(Problem::Empty) => std::thread::sleep(NEW_FILE_WAIT),
            found => return found,
        }
    }
    read(path)
}

/// Makes a secret in a new file that only its owner can read; an error of `AlreadyExists` when there is a file.
pub(super) fn create(path: &Path) -> io::Result<Zeroizing<String>> {
    let secret = random()?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let line = Zeroizing::new(format!("{}\n", secret.as_str()));
    if let Err(error) = file.write_all(line.as_bytes()).and_then(|()| file.sync_all()) {
        // A secret that may be half written must not be the one that the next start finds.
        drop(file);
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(secret)
}

/// 32 random bytes of the operating system, as 64 hex digits.
pub(super) fn random() -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(io::Error::other)?;
    let mut secret = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    for byte in bytes.iter() {
        secret.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX_DIGITS[usize::from(digit)])));
    }
    Ok(secret)
}

/// Why a file gives no secret.
#[derive(Debug)]
pub(super) enum Problem {
    File(bounded_file::Problem),
    NotUtf8,
    Empty,
}

impl Problem {
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::File(bounded_file::Problem::Missing))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(problem) => write!(formatter, "{problem}"),
            Self::NotUtf8 => formatter.write_str("its content must be UTF-8"),
            Self::Empty => formatter.write_str("it is empty"),
        }
    }
}

/// The file's mode, when it lets group or others do anything. Never on Windows, where folders' rights decide.
#[cfg(unix)]
pub(crate) fn open_to_others(metadata: &Metadata) -> Option<u32> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
pub(crate) fn open_to_others(_: &Metadata) -> Option<u32> {
    None
}

/// More than any key, and little enough to read at every start and reload.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Half a second in all: a host that makes a secret writes it right after creating the file.
const NEW_FILE_TRIES: u32 = 50;
const NEW_FILE_WAIT: Duration = Duration::from_millis(10);

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_line_breaks_at_the_end_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, " two\nlines \r\n\n").unwrap();
        assert_eq!(read(&path).ok().unwrap().secret.as_str(), " two\nlines ");
    }

    #[test]
    fn a_file_without_a_usable_secret_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let problem = || read(&path).err().unwrap().to_string();
        assert_eq!(problem(), "there is no such file");
        fs::write(&path, "\n\n").unwrap();
        assert_eq!(problem(), "it is empty");
        fs::write(&path, [0xE9]).unwrap();
        assert_eq!(problem(), "its content must be UTF-8");
        fs::write(&path, vec![b'x'; MAX_SECRET_BYTES + 1]).unwrap();
        assert_eq!(problem(), "expected at most 64 KiB");
    }

    #[test]
    fn a_file_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let made = create(&path).unwrap();
        assert!(made.len() == 64 && made.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let content = read(&path).ok().unwrap();
        assert_eq!((content.secret, content.open_to_others), (made, None));
        assert_eq!(create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_file_that_is_just_being_made_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "").unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| read_perhaps_new(&path).ok().unwrap().secret);
            std::thread::sleep(NEW_FILE_WAIT * 2);
            fs::write(&path, "late\n").unwrap();
            assert_eq!(reader.join().unwrap().as_str(), "late");
        });
    }
}
