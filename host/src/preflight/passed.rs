//! [`Passed`]: the preflights that were passed, remembered by this process and in a cache folder.
//!
//! A plugin is remembered by a digest of everything that it was tried with: the host's version, its
//! file's SHA-256, its name and its settings. The settings hold secrets, so the digest is keyed with
//! a random value that lies in the folder, and nobody but the host's user may read either; a folder
//! that others can write to is not used, for whoever writes there says what has passed.
//!
//! Each pass is a file of its own, named by the digest; in it are the warnings. So nothing has to be
//! locked, and a file that is cut short does no harm.

use std::{
    collections::HashMap,
    env, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};

use crate::admit::{RefusalReason, check_folder, hexadecimal, read_small};

/// What a plugin was tried with.
pub(super) struct Tried<'a> {
    pub(super) sha256: &'a [u8; 32],
    pub(super) name: &'a str,
    pub(super) settings: [u8; 32],
    pub(super) call_deadline_ms: u64,
}

/// The plugins that passed, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Passed(Mutex<HashMap<[u8; 32], Known>>);

#[derive(Debug)]
struct Known {
    warnings: Vec<String>,
    /// When it passed here; none: a cache folder says that it did at some time.
    passed: Option<Instant>,
}

/// A preflight that was passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) warnings: Vec<String>,
    /// It was so lately that another trial would tell nothing new, not even of what the plugin depends on.
    pub(crate) is_recent: bool,
}

/// How long a trial tells how things are.
const RECENT: Duration = Duration::from_secs(60);

impl Passed {
    /// How it passed before.
    pub(super) fn find(&self, tried: &Tried<'_>, folder: Option<&Folder>) -> Option<Pass> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&tried.digest(&[])) {
            let is_recent = known.passed.is_some_and(|passed| passed.elapsed() < RECENT);
            return Some(Pass { warnings: known.warnings.clone(), is_recent });
        }
        let warnings = folder?.read(tried)?;
        self.remember(tried, &warnings, None);
        Some(Pass { warnings, is_recent: false })
    }

    /// Remembers that it passed just now, in the folder as well.
    pub(super) fn keep(&self, tried: &Tried<'_>, warnings: &[String], folder: Option<&Folder>) {
        self.remember(tried, warnings, Some(Instant::now()));
        let Some(folder) = folder else { return };
        if let Err(error) = folder.write(tried, warnings) {
            tracing::warn!(folder = %folder.path.display(), %error, "a preflight was passed, and cannot be remembered");
        }
    }

    fn remember(&self, tried: &Tried<'_>, warnings: &[String], passed: Option<Instant>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // As many as a host that is reloaded for years may come to; then it starts anew.
        if known.len() >= MAX_PASSES {
            known.clear();
        }
        known.insert(tried.digest(&[]), Known { warnings: warnings.to_owned(), passed });
    }
}

impl Tried<'_> {
    fn digest(&self, key: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(b"token-host preflight 1");
        // Each part of fixed length, or preceded by its length.
        for part in [key, env!("CARGO_PKG_VERSION").as_bytes(), self.name.as_bytes()] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.update(self.sha256);
        digest.update(self.settings);
        digest.update(self.call_deadline_ms.to_le_bytes());
        digest.finalize().into()
    }
}

/// The cache folder.
pub(super) struct Folder {
    path: PathBuf,
    key: Vec<u8>,
}

impl Folder {
    /// The folder that the configuration names, or the user's own. None where there is none, or none that is safe
    /// to use; then preflights are remembered by the process alone.
    pub(super) fn open(configured: Option<&Path>) -> Option<Self> {
        let path = configured.map(Path::to_owned).or_else(of_the_user)?;
        match create(&path).and_then(|path| Ok(Self { key: read_key(&path)?, path })) {
            Ok(folder) => Some(folder),
            Err(error) => {
                tracing::warn!(folder = %path.display(), %error, "preflights are not remembered: the folder is of no use");
                None
            }
        }
    }

    fn file_of(&self, tried: &Tried<'_>) -> PathBuf {
        self.path.join(hexadecimal(&tried.digest(&self.key)))
    }

    fn read(&self, tried: &Tried<'_>) -> Option<Vec<String>> {
        serde_json::from_slice(&read_small(&self.file_of(tried), MAX_PASS_BYTES).ok()?).ok()
    }

    fn write(&self, tried: &Tried<'_>, warnings: &[String]) -> io::Result<()> {
        self.make_room()?;
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        file.write_all(serde_json::to_string(warnings)?.as_bytes())?;
        file.persist(self.file_of(tried)).map(drop).map_err(|error| error.error)
    }

    /// Removes the oldest passes when there are too many.
    fn make_room(&self) -> io::Result<()> {
        let mut passes = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if is_pass(&entry.file_name()) {
                passes.push((entry.metadata().and_then(|metadata| metadata.modified()).ok(), entry.path()));
            }
        }
        if passes.len() >= MAX_PASSES {
            passes.sort();
            for (_, path) in passes.into_iter().take(MAX_PASSES / 4) {
                // Another host may have removed it as well.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }
}

/// Whether a file is one of ours: the folder may be one that others use as well.
fn is_pass(name: &std::ffi::OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() == 64 && name.iter().all(|letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f'))
}

fn of_the_user() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = match cfg!(windows) {
        true => absolute("LOCALAPPDATA"),
        false => absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache"))),
    };
    Some(caches?.join("token-host").join("preflight"))
}

/// Makes the folder where it is missing, and gives its real path. Nothing is made in a folder that is another's.
fn create(path: &Path) -> io::Result<PathBuf> {
    let denied = |reason: RefusalReason| io::Error::new(io::ErrorKind::PermissionDenied, reason.to_string());
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let existing = path.ancestors().find(|folder| folder.exists()).ok_or_else(missing)?;
    if existing != path {
        check_folder(existing, false).map_err(denied)?;
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)?;
    }
    check_folder(path, true).map_err(denied)
}

/// The folder's random value, made by whichever host comes first.
fn read_key(folder: &Path) -> io::Result<Vec<u8>> {
    let path = folder.join(KEY_FILE);
    for _ in 0..2 {
        let unusable = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, format!("its key: {why}")));
        match read_small(&path, KEY_BYTES as u64) {
            Ok(key) if key.len() == KEY_BYTES => return Ok(key),
            Ok(_) => return unusable("it is not of the right length".to_owned()),
            Err(RefusalReason::Missing) => {}
            Err(reason) => return unusable(reason.to_string()),
        }
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        // Whole, or not at all; readable by its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&key)?;
        match file.persist_noclobber(&path) {
            Ok(_) => return Ok(key.to_vec()),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error),
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "its key comes and goes"))
}

const KEY_FILE: &str = "key";
const KEY_BYTES: usize = 32;

/// How many passes are remembered: some hundred plugins in some dozen configurations.
const MAX_PASSES: usize = 4096;

/// The longest list of warnings that is read, in bytes.
const MAX_PASS_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(settings: u8) -> Tried<'static> {
        Tried { sha256: &[1; 32], name: "x", settings: [settings; 32], call_deadline_ms: 1 }
    }

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").join("b");
        (folder, path)
    }

    #[test]
    fn another_process_remembers_what_passed_here() {
        let (_folder, path) = folder();
        let open = || Folder::open(Some(&path));
        let here = Passed::default();
        assert_eq!(here.find(&tried(1), open().as_ref()), None);
        here.keep(&tried(1), &["odd".to_owned()], open().as_ref());
        let pass = |is_recent| Some(Pass { warnings: vec!["odd".to_owned()], is_recent });
        assert_eq!(here.find(&tried(1), None), pass(true));
        let there = Passed::default();
        assert_eq!(there.find(&tried(1), open().as_ref()), pass(false));
        assert_eq!(there.find(&tried(2), open().as_ref()), None, "other settings");
    }

    #[test]
    fn a_pass_that_is_damaged_is_none() {
        let (_folder, path) = folder();
        let open = Folder::open(Some(&path)).unwrap();
        open.write(&tried(1), &[]).unwrap();
        assert_eq!(open.read(&tried(1)), Some(Vec::new()));
        fs::write(open.file_of(&tried(1)), "").unwrap();
        assert_eq!(open.read(&tried(1)), None);
    }

    #[test]
    fn files_of_others_in_the_folder_are_left_alone() {
        let (_folder, path) = folder();
        let open = Folder::open(Some(&path)).unwrap();
        let documents: Vec<PathBuf> = (0..MAX_PASSES).map(|number| path.join(format!("document {number}"))).collect();
        documents.iter().for_each(|document| fs::write(document, "").unwrap());
        open.write(&tried(1), &[]).unwrap();
        assert!(documents.iter().all(|document| document.exists()));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_is_none_is_neither_waited_for_nor_read_to_its_end() {
        let (_folder, path) = folder();
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let key = path.join(KEY_FILE);
        for target in ["/dev/zero", "/dev/null"] {
            std::os::unix::fs::symlink(target, &key).unwrap();
            assert!(Folder::open(Some(&path)).is_none());
            fs::remove_file(&key).unwrap();
        }
        assert!(std::process::Command::new("mkfifo").arg(&key).status().unwrap().success());
        assert!(Folder::open(Some(&path)).is_none());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_it_and_one_that_others_can_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path) = folder();
        let open = Folder::open(Some(&path)).unwrap();
        open.write(&tried(1), &[]).unwrap();
        for file in [path.clone(), path.join(KEY_FILE), open.file_of(&tried(1))] {
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0, "{}", file.display());
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Folder::open(Some(&path)).is_none());
    }
}
