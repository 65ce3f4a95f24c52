//! Admission: whether a file may be loaded, decided before any of its code runs.
//!
//! Loading a library runs its constructors before anything of it can be looked at, and a truncated
//! one kills the process while it loads. So a file goes through these steps first, and leaves at
//! the first that it does not pass, with one [`Refusal`]:
//!
//! 1. `open`: opened once, without following a link or waiting; a regular file of acceptable size;
//! 2. `ownership`: nobody but root and the host's user can change the file or a folder above it;
//! 3. the `sha256` pin, when there is one, and `signature`: signed by a trusted key, when there is one;
//! 4. `image` and `elf`: a library for this machine, whole, with a manifest that fits; then `lock`:
//!    the file that `plugins.lock` has, when there is one;
//! 5. `seal`: a copy of those very bytes that nobody can change, and that is what gets loaded;
//! 6. the [`preflight`](crate::preflight): all that the host is going to do with it, done by a child
//!    process before.
//!
//! Absent here, and to stay so: anything that maps, loads or runs a plugin.

mod discover;
mod elf;
mod elf_tables;
mod image;
mod lock;
mod open;
mod ownership;
mod refusal;
mod seal;
mod signature;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod fixture;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use token_plugin_api::abi::manifest::Manifest;

use self::open::{Links, Opened};
pub use self::{
    discover::{discover, library_file_name, locate},
    lock::{Lock, LockedFile},
    refusal::{Refusal, RefusalReason, hexadecimal},
    seal::Sealed,
    signature::PublicKey,
};
pub(crate) use self::{
    open::read_small,
    ownership::{changeable_by_others, check_folder, check_path},
    signature::path_of_signature,
};
use crate::config::Config;

/// What admission is strict about.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Accept files that other users of the machine can change (step 2). Whoever can write to such
    /// a file runs code as the host.
    pub danger_insecure_permissions: bool,
    /// The longest file that is read, in bytes.
    pub max_bytes: u64,
    /// When there are any, each file must be signed by one of them.
    pub public_keys: Vec<PublicKey>,
    /// When there is one, each file must be in it.
    pub lock: Option<Lock>,
}

impl Policy {
    /// What a configuration asks for.
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            danger_insecure_permissions: config.host.danger_insecure_permissions,
            max_bytes: config.host.max_plugin_bytes,
            public_keys: config.trust.public_keys.clone(),
            lock: config.lock.clone(),
        }
    }
}

impl Default for Policy {
    /// Permissions count, signatures and locks are not asked for. Files may have 256 MiB: a debug build with a database driver in it has
    /// tens, and a file is held in memory twice while it is admitted.
    fn default() -> Self {
        Self { danger_insecure_permissions: false, max_bytes: 256 * 1024 * 1024, public_keys: Vec::new(), lock: None }
    }
}

/// Takes a file through steps 1 to 4. Nothing of it is executed, and it is opened only once: what
/// happens to the path afterwards changes nothing.
///
/// `pin` is the SHA-256 that the file must have.
///
/// # Errors
///
/// A [`Refusal`] that says which step the file did not pass.
pub fn examine(path: &Path, pin: Option<&[u8; 32]>, policy: &Policy) -> Result<Examined, Refusal> {
    let examined = || {
        let opened = Opened::new(path, Links::Refuse, policy.max_bytes)?;
        if !policy.danger_insecure_permissions {
            ownership::check(path, opened.metadata())?;
        }
        let bytes = opened.read()?;
        let sha256 = sha256_of(&bytes);
        if let Some(pin) = pin.filter(|pin| **pin != sha256) {
            return Err(RefusalReason::Sha256Mismatch { expected: hexadecimal(pin), found: hexadecimal(&sha256) });
        }
        if !policy.public_keys.is_empty() {
            signature::check(path, &bytes, &policy.public_keys)?;
        }
        let manifest = image::check(&bytes)?;
        if let Some(lock) = &policy.lock {
            lock.check(path, &sha256, &manifest)?;
        }
        Ok(Examined { path: path.to_owned(), bytes: bytes.into(), sha256, manifest })
    };
    examined().map_err(|reason| Refusal::new(path, reason))
}

/// What another process examined and sent here: step 4 once more.
pub(crate) fn examine_sent(path: &Path, bytes: Vec<u8>) -> Result<Examined, Refusal> {
    let manifest = image::check(&bytes).map_err(|reason| Refusal::new(path, reason))?;
    Ok(Examined { path: path.to_owned(), sha256: sha256_of(&bytes), bytes: bytes.into(), manifest })
}

/// A file that passed steps 1 to 4, with its content.
#[derive(Clone)]
pub struct Examined {
    path: PathBuf,
    /// Shared, since several entries may name one file.
    bytes: Arc<[u8]>,
    sha256: [u8; 32],
    manifest: Manifest,
}

impl Examined {
    /// Where the file was found, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The content that was examined.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content, to be held on to.
    pub(crate) fn shared_bytes(&self) -> Arc<[u8]> {
        Arc::clone(&self.bytes)
    }

    /// The digest of the content.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Step 5: copies the content to where nobody can change it. Each call makes a copy of its own,
    /// which the dynamic loader takes for another library.
    ///
    /// # Errors
    ///
    /// When the system gives neither memory nor a private folder for it.
    pub fn seal(&self) -> Result<Sealed, Refusal> {
        Sealed::new(&self.bytes, &self.manifest.name).map_err(|reason| Refusal::new(&self.path, reason))
    }
}

impl std::fmt::Debug for Examined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Examined")
            .field("path", &self.path)
            .field("size_bytes", &self.bytes.len())
            .field("sha256", &hexadecimal(&self.sha256))
            .field("manifest", &self.manifest)
            .finish()
    }
}

/// Reads the manifest of a library, for whoever wants to know what a file is.
///
/// Unlike [`examine`] it follows links, does not ask who could change the file, and answers for a
/// library that this host would not load too (another platform, another ABI level).
///
/// # Errors
///
/// When the file cannot be read, is no library, or has no manifest.
pub fn inspect(path: &Path, max_bytes: u64) -> Result<Inspected, Refusal> {
    let read = || Opened::new(path, Links::Follow, max_bytes)?.read();
    inspect_bytes(path, &read().map_err(|reason| Refusal::new(path, reason))?)
}

/// [`inspect`] for a content that is in memory already. `path` is what messages call it; nothing is looked for there.
///
/// # Errors
///
/// When the content is no library, or has no manifest.
pub fn inspect_bytes(path: &Path, bytes: &[u8]) -> Result<Inspected, Refusal> {
    let refused = |reason| Refusal::new(path, reason);
    let manifest = image::manifest(bytes).map_err(refused)?;
    let objection = image::check(bytes).err().map(refused);
    Ok(Inspected { manifest, sha256: sha256_of(bytes), size_bytes: bytes.len() as u64, objection })
}

/// What there is to know of a library without loading it. Not enough to load it: see [`examine`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspected {
    /// What the plugin says of itself.
    pub manifest: Manifest,
    /// The digest of the file.
    pub sha256: [u8; 32],
    /// The length of the file, in bytes.
    pub size_bytes: u64,
    /// Why this host would not load the content, wherever it lay. `None` when it would.
    pub objection: Option<Refusal>,
}

fn sha256_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use tempfile::TempDir;

    use super::{fixture::Plugin, *};

    fn put(bytes: &[u8]) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(library_file_name("fixture"));
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        (folder, path)
    }

    fn refused(path: &Path, pin: Option<&[u8; 32]>) -> Refusal {
        let refusal = examine(path, pin, &Policy::default()).unwrap_err();
        assert!(refusal.to_string().contains(path.to_str().unwrap()), "{refusal}");
        refusal
    }

    #[test]
    fn what_was_examined_is_what_is_sealed_whatever_happens_to_the_file() {
        let (_folder, path) = put(fixture::plugin());
        let examined = examine(&path, None, &Policy::default()).unwrap();
        fs::write(&path, "overwritten in place").unwrap();
        let sealed = examined.seal().unwrap();
        assert_eq!(fs::read(sealed.load_path()).unwrap(), fixture::plugin());
        assert_eq!((examined.path(), examined.bytes().len()), (path.as_path(), fixture::plugin().len()));
        assert_eq!(examined.manifest().name, "fixture");
        assert_ne!(examined.seal().unwrap().load_path(), sealed.load_path());
        assert!(!format!("{examined:?}").contains("bytes: ["));
    }

    #[test]
    fn a_pin_decides_before_the_content_does() {
        let (_folder, path) = put(fixture::plugin());
        let sha256 = *examine(&path, None, &Policy::default()).unwrap().sha256();
        examine(&path, Some(&sha256), &Policy::default()).unwrap();
        let message = refused(&path, Some(&[0xab; 32])).to_string();
        assert!(message.ends_with(&format!("expected the pinned {}", "ab".repeat(32))), "{message}");
        fs::write(&path, "text").unwrap();
        assert!(matches!(refused(&path, Some(&sha256)).reason(), RefusalReason::Sha256Mismatch { .. }));
    }

    #[test]
    fn insecure_permissions_are_refused_unless_asked_for() {
        let (_folder, path) = put(fixture::plugin());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(refused(&path, None).reason(), RefusalReason::WritableByOthers { .. }));
        let policy = Policy { danger_insecure_permissions: true, ..Policy::default() };
        examine(&path, None, &policy).unwrap();
    }

    #[test]
    fn a_linked_plugin_is_inspected_but_not_examined() {
        let (folder, path) = put(fixture::plugin());
        let link = folder.path().join("link.so");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(refused(&link, None).reason(), RefusalReason::SymbolicLink));
        let inspected = inspect(&link, Policy::default().max_bytes).unwrap();
        assert_eq!(inspected.size_bytes, fixture::plugin().len() as u64);
        assert!(inspected.objection.is_none());
    }

    #[test]
    fn inspect_answers_for_what_would_be_refused() {
        let (_folder, path) = put(&Plugin { abi_level: "7", ..Plugin::default() }.build());
        let inspected = inspect(&path, Policy::default().max_bytes).unwrap();
        assert_eq!(inspected.manifest.abi_level, 7);
        assert!(inspected.objection.unwrap().to_string().contains("ABI level 7, expected level 1"));
        assert!(matches!(refused(&path, None).reason(), RefusalReason::AbiLevel { found: 7, .. }));
    }

    #[test]
    fn libraries_that_are_no_plugins_and_other_files_are_told_apart() {
        let policy = Policy { danger_insecure_permissions: true, ..Policy::default() };
        let library = fixture::system_library("libc.so.6");
        let refusal = examine(&library, None, &policy).unwrap_err();
        assert!(matches!(refusal.reason(), RefusalReason::NotAPlugin), "{refusal}");
        let (_folder, path) = put(b"just text, but long enough to be something");
        assert!(matches!(refused(&path, None).reason(), RefusalReason::NotALibrary { .. }));
    }
}
