//! Step 5: the bytes that were examined, where nobody can change them, under a path to load.

use std::{
    fs::File,
    io::{self, Write},
    mem::ManuallyDrop,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{discover::library_file_name, refusal::RefusalReason};

/// A copy of an examined library that cannot change any more, ready to be loaded.
///
/// On Linux it is a sealed memory file, elsewhere (or where there is no `/proc`, or half of the
/// descriptors are in use) a file in a fresh folder that only the host's user can enter.
///
/// Dropping it keeps the copy, for the life of the process, and that is on purpose: the dynamic
/// loader knows libraries by their path, so a descriptor number that is used again would make it
/// hand out the *old* library for the new file. Only a copy that was never loaded may go: see
/// [`discard`](Self::discard). The private file of other platforms outlives the process; it lies
/// in the folder for temporary files, as `token-host-*`.
#[derive(Debug)]
pub struct Sealed {
    load_path: PathBuf,
    copy: ManuallyDrop<Held>,
}

impl Sealed {
    /// The path to give to the dynamic loader: `/proc/self/fd/N` on Linux.
    ///
    /// It means something in this process only.
    pub fn load_path(&self) -> &Path {
        &self.load_path
    }

    /// Releases the copy. Only for one that was not loaded: see the type's description.
    pub fn discard(self) {
        drop(ManuallyDrop::into_inner(self.copy));
    }

    /// Copies `bytes`; `name` is what shows up in `/proc/PID/maps`.
    pub(super) fn new(bytes: &[u8], name: &str) -> Result<Self, RefusalReason> {
        if let Some((file, load_path)) = in_memory(bytes, name) {
            return Ok(Self { load_path, copy: ManuallyDrop::new(Held::Memory(file)) });
        }
        let (folder, load_path) = in_private_folder(bytes).map_err(RefusalReason::io("make a private copy of it"))?;
        Ok(Self { load_path, copy: ManuallyDrop::new(Held::Folder(folder)) })
    }
}

/// Held for what happens, or does not, when it is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "the values keep a descriptor or a folder alive")]
enum Held {
    Memory(File),
    Folder(TempDir),
}

/// `None` where the system has no memory files, forbids them to be executed, or has no `/proc`:
/// then the private folder is the answer, so the cause is not worth an error.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn in_memory(bytes: &[u8], name: &str) -> Option<(File, PathBuf)> {
    use std::{
        fs,
        os::{fd::AsRawFd, unix::fs::MetadataExt},
    };

    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

    // The kernel's bound is 249 bytes, and what shows in `maps` should be harmless.
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).take(64).collect();
    let name = format!("token-plugin-{name}");
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know MFD_EXEC; later ones warn, or refuse, without it.
    let descriptor = match memfd_create(name.as_str(), flags | MemfdFlags::EXEC) {
        Err(rustix::io::Errno::INVAL) => memfd_create(name.as_str(), flags),
        made => made,
    };
    let mut file = File::from(descriptor.ok()?);
    if !leaves_room(file.as_raw_fd()) {
        return None;
    }
    file.write_all(bytes).ok()?;
    fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL).ok()?;

    let load_path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let (there, here) = (fs::metadata(&load_path).ok()?, file.metadata().ok()?);
    ((there.dev(), there.ino()) == (here.dev(), here.ino())).then_some((file, load_path))
}

/// Whether the process keeps descriptors for other things than copies, of which each takes one for good: a host that
/// is reloaded a thousand times with new files must still be able to accept a connection.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn leaves_room(descriptor: i32) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.is_none_or(|limit| u64::try_from(descriptor).is_ok_and(|descriptor| descriptor < limit / 2))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn in_memory(_: &[u8], _: &str) -> Option<(File, PathBuf)> {
    None
}

fn in_private_folder(bytes: &[u8]) -> io::Result<(TempDir, PathBuf)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("token-host-");
    #[cfg(unix)]
    builder.permissions(mode(0o700));
    let folder = builder.tempdir()?;
    let path = folder.path().canonicalize()?.join(library_file_name("plugin"));
    File::create_new(&path)?.write_all(bytes)?;
    // Not on Windows, where a file that is read-only cannot be removed.
    #[cfg(unix)]
    std::fs::set_permissions(&path, mode(0o500))?;
    Ok((folder, path))
}

#[cfg(unix)]
fn mode(bits: u32) -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(bits)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_sealed_cannot_be_written_cut_or_grown() {
        let sealed = Sealed::new(b"content", "x/../y\0").unwrap();
        let path = sealed.load_path().to_owned();
        assert!(path.starts_with("/proc/self/fd"));
        assert!(fs::read_link(&path).unwrap().to_string_lossy().contains("token-plugin-x..y"));
        assert_eq!(fs::read(&path).unwrap(), b"content");
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for refused in [(&file).write_all(b"other"), file.set_len(1), file.set_len(100)] {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        assert!(File::create(&path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"content");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_dropped_copy_stays_and_a_discarded_one_goes() {
        let sealed = Sealed::new(b"stays", "x").unwrap();
        let path = sealed.load_path().to_owned();
        drop(sealed);
        assert_eq!(fs::read(&path).unwrap(), b"stays");

        let (folder, path) = in_private_folder(b"goes").unwrap();
        Sealed { load_path: path.clone(), copy: ManuallyDrop::new(Held::Folder(folder)) }.discard();
        assert!(!path.exists());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_sealed_plugin_loads() {
        use crate::admit::fixture;

        let sealed = Sealed::new(fixture::plugin(), "fixture").unwrap();
        let number = sealed.load_path().file_name().unwrap().to_str().unwrap();
        let from_outside = PathBuf::from(format!("/proc/{}/fd/{number}", std::process::id()));
        assert_eq!(fixture::open_in_a_child(&from_outside).code(), Some(0));
        let (_folder, path) = in_private_folder(fixture::plugin()).unwrap();
        assert_eq!(fixture::open_in_a_child(&path).code(), Some(0));
    }

    #[test]
    fn a_private_copy_is_for_us_alone() {
        use std::os::unix::fs::PermissionsExt;

        let (folder, path) = in_private_folder(b"content").unwrap();
        let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode_of(folder.path()), mode_of(&path)), (0o700, 0o500));
        assert_eq!(fs::read(&path).unwrap(), b"content");
    }
}
