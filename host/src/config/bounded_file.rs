//! Reading of one small regular file, whole, into memory that is wiped afterwards.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

/// The content of the file at `path`, at most `limit` bytes, and what the file system says of the opened file.
///
/// The buffer is allocated once, at its largest: one that grew would leave copies of secrets behind.
pub(crate) fn read(path: &Path, limit: usize) -> Result<(Zeroizing<Vec<u8>>, Metadata), Problem> {
    // Asked before opening, since the opening of a FIFO would wait for a writer, perhaps for ever.
    regular(&std::fs::metadata(path)?)?;
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;

    let mut bytes = Zeroizing::new(vec![0; limit + 1]);
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    if length > limit {
        return Err(Problem::TooLarge { limit });
    }
    bytes.truncate(length);
    Ok((bytes, metadata))
}

/// Why a file could not be read.
#[derive(Debug)]
pub(crate) enum Problem {
    Missing,
    Folder,
    /// A device, a FIFO, a socket.
    NotRegular,
    TooLarge {
        limit: usize,
    },
    Other(io::Error),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Other(error),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("there is no such file"),
            Self::Folder => formatter.write_str("expected a file, found a folder"),
            Self::NotRegular => formatter.write_str("expected a regular file, found a device, pipe or socket"),
            Self::TooLarge { limit } => write!(formatter, "expected at most {} KiB", limit / 1024),
            Self::Other(error) => write!(formatter, "{error}"),
        }
    }
}

fn regular(metadata: &Metadata) -> Result<(), Problem> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(if metadata.is_dir() { Problem::Folder } else { Problem::NotRegular })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_small_regular_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let problem = |path: &Path| read(path, 1024).unwrap_err().to_string();
        assert_eq!(problem(&folder.path().join("missing")), "there is no such file");
        assert_eq!(problem(folder.path()), "expected a file, found a folder");
        #[cfg(unix)]
        assert_eq!(problem(Path::new("/dev/null")), "expected a regular file, found a device, pipe or socket");

        let file = folder.path().join("file");
        std::fs::write(&file, [b'x'; 1024]).unwrap();
        assert_eq!(read(&file, 1024).unwrap().0.len(), 1024);
        std::fs::write(&file, [b'x'; 1025]).unwrap();
        assert_eq!(problem(&file), "expected at most 1 KiB");
    }
}
