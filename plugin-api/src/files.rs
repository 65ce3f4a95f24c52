//! For plugins that keep a file: [`create_private`] makes one that is its owner's alone, [`FileId`] tells whether it is
//! still the same.

use std::{
    fs::{self, OpenOptions},
    io,
    path::Path,
};

/// What tells one file from another that took its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
    #[cfg(not(unix))]
    created: Option<std::time::SystemTime>,
}

impl FileId {
    /// The file at this path; none: there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be looked at, or what is there is no file.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        Ok(Some(Self {
            #[cfg(unix)]
            device_and_inode: {
                use std::os::unix::fs::MetadataExt;
                (metadata.dev(), metadata.ino())
            },
            #[cfg(not(unix))]
            created: metadata.created().ok(),
        }))
    }
}

/// Creates a file that is its owner's alone, unless there is one. SQLite gives the files next to it the same rights.
///
/// What root creates belongs to the owner of the folder, who could not read it otherwise.
///
/// # Errors
///
/// When it cannot be created.
pub fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(file) => {
            #[cfg(unix)]
            give_to_owner_of_folder(&file, path);
            drop(file);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Only root can do that. Where even root cannot, as in some containers, the service is most likely root, too.
#[cfg(unix)]
fn give_to_owner_of_folder(file: &fs::File, path: &Path) {
    use std::os::unix::fs::{MetadataExt, fchown};
    if !rustix::process::geteuid().is_root() {
        return;
    }
    if let Some(Ok(folder)) = path.parent().map(fs::metadata) {
        let _ = fchown(file, Some(folder.uid()), Some(folder.gid()));
    }
}
