//! [`Lock`]: the plugin files that an operator vouched for, as `plugins.lock` lists them.
//!
//! Where there is a lock, a file is admitted only when the lock has it, with the same content. What
//! else the lock says of a file (version, ABI level, compiler) is for people who read a difference:
//! the SHA-256 alone decides.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use token_plugin_api::abi::manifest::Manifest;

use super::{Examined, hexadecimal, refusal::RefusalReason};

/// The files that may be loaded, by their path relative to the lock's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    folder: PathBuf,
    files: BTreeMap<String, LockedFile>,
}

/// What a lock says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// The path, relative to the lock's folder where it lies below it, with `/` on every platform.
    pub file: String,
    /// The SHA-256 of the content, in hexadecimal.
    pub sha256: String,
    /// The plugin's version.
    pub version: String,
    /// The level of the ABI it was built for.
    pub abi_level: u32,
    /// The compiler that built it.
    pub rustc: String,
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    #[serde(default)]
    plugin: Vec<LockedFile>,
}

/// The form of the file; another one is refused.
const VERSION: u32 = 1;

impl Lock {
    /// A lock of these files, to be written into `folder`.
    pub fn of<'e>(folder: &Path, files: impl IntoIterator<Item = &'e Examined>) -> Self {
        let files = files.into_iter().map(|examined| {
            let file = name_in(folder, examined.path());
            (file.clone(), LockedFile::of(file, examined.sha256(), examined.manifest()))
        });
        Self { folder: folder.to_owned(), files: files.collect() }
    }

    /// Reads a lock's text.
    ///
    /// # Errors
    ///
    /// One sentence: it is not TOML, not of this form, or names a file twice.
    pub fn parse(folder: &Path, text: &str) -> Result<Self, String> {
        let written: Written = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if written.version != VERSION {
            return Err(format!("it is of version {}, expected {VERSION}", written.version));
        }
        let mut files = BTreeMap::new();
        for locked in written.plugin {
            if locked.sha256.len() != 64 || !locked.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("the sha256 of {} is not 64 hexadecimal digits in lower case", locked.file));
            }
            if let Some(twice) = files.insert(locked.file.clone(), locked) {
                return Err(format!("it names {} twice", twice.file));
            }
        }
        Ok(Self { folder: folder.to_owned(), files })
    }

    /// The files, by their names.
    pub fn files(&self) -> impl Iterator<Item = &LockedFile> {
        self.files.values()
    }

    /// The files that are not among these.
    pub(crate) fn unused<'l>(&'l self, used: &[&Path]) -> impl Iterator<Item = &'l str> {
        let used: Vec<String> = used.iter().map(|path| name_in(&self.folder, path)).collect();
        self.files.keys().map(String::as_str).filter(move |file| !used.iter().any(|used| used == file))
    }

    /// Whether the file may be loaded.
    pub(super) fn check(&self, path: &Path, sha256: &[u8; 32], manifest: &Manifest) -> Result<(), RefusalReason> {
        let file = name_in(&self.folder, path);
        let found = LockedFile::of(file.clone(), sha256, manifest);
        match self.files.get(&file) {
            None => Err(RefusalReason::NotLocked),
            Some(locked) if locked.sha256 == found.sha256 => Ok(()),
            Some(locked) => Err(RefusalReason::DiffersFromLock { difference: locked.difference(&found) }),
        }
    }
}

impl fmt::Display for Lock {
    /// The text to be written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# The plugin files that may be loaded. Written by `token-host lock`; do not edit.")?;
        writeln!(f, "version = {VERSION}")?;
        for locked in self.files.values() {
            writeln!(f, "\n[[plugin]]")?;
            for (key, text) in [("file", &locked.file), ("sha256", &locked.sha256), ("version", &locked.version)] {
                writeln!(f, "{key} = {}", quoted(text))?;
            }
            writeln!(f, "abi_level = {}", locked.abi_level)?;
            writeln!(f, "rustc = {}", quoted(&locked.rustc))?;
        }
        Ok(())
    }
}

impl LockedFile {
    fn of(file: String, sha256: &[u8; 32], manifest: &Manifest) -> Self {
        let (version, rustc) = (manifest.version.clone(), manifest.rustc.clone());
        Self { file, sha256: hexadecimal(sha256), version, abi_level: manifest.abi_level, rustc }
    }

    /// What is locked and what was found, where they differ.
    fn difference(&self, found: &Self) -> String {
        let levels = [self.abi_level.to_string(), found.abi_level.to_string()];
        let printable = |text: &str| text.escape_debug().to_string();
        [
            ("sha256", self.sha256.as_str(), found.sha256.as_str()),
            ("version", &self.version, &found.version),
            ("ABI level", &levels[0], &levels[1]),
            ("rustc", &self.rustc, &found.rustc),
        ]
        .into_iter()
        .filter(|(_, locked, found)| locked != found)
        .map(|(what, locked, found)| format!("{what} {}, locked {}", printable(found), printable(locked)))
        .collect::<Vec<_>>()
        .join("; ")
    }
}

/// The name of a file in a lock in this folder.
fn name_in(folder: &Path, file: &Path) -> String {
    // By the real folders: `search = ["../x"]` and a link in the way are the same place.
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file = match (file.parent(), file.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => file.to_owned(),
    };
    let name = file.strip_prefix(real(folder)).unwrap_or(&file).to_string_lossy().into_owned();
    if cfg!(windows) { name.replace('\\', "/") } else { name }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(file: &str) -> LockedFile {
        LockedFile {
            file: file.to_owned(),
            sha256: "ab".repeat(32),
            version: "1.0.0".to_owned(),
            abi_level: 1,
            rustc: "rustc \"1.95\"\u{7}\\".to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let files = ["libx.so", "plugins.d/ü \" .so"].map(|file| (file.to_owned(), locked(file)));
        let lock = Lock { folder: "f".into(), files: files.into() };
        assert_eq!(Lock::parse(Path::new("f"), &lock.to_string()).unwrap(), lock);
        assert_eq!(Lock::parse(Path::new("f"), "version = 1").unwrap().files().count(), 0);
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let entry = "[[plugin]]\nfile = 'x'\nversion = '1'\nabi_level = 1\nrustc = 'r'\n";
        let twice = format!("version = 1\n{entry}sha256 = '{0}'\n{entry}sha256 = '{0}'", "ab".repeat(32));
        for (text, why) in [
            ("version = 2".to_owned(), "it is of version 2, expected 1"),
            (String::new(), "missing field `version`"),
            ("version = 1\nnew = 1".to_owned(), "unknown field `new`"),
            (format!("version = 1\n{entry}sha256 = 'AB'"), "the sha256 of x is not 64"),
            (twice, "it names x twice"),
            ("version =".to_owned(), ""),
        ] {
            let error = Lock::parse(Path::new("f"), &text).unwrap_err();
            assert!(error.contains(why) && !error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn a_difference_tells_what_differs_and_nothing_else() {
        let newer = LockedFile { version: "1.1.0".to_owned(), sha256: "cd".repeat(32), ..locked("x") };
        let (ab, cd) = ("ab".repeat(32), "cd".repeat(32));
        let expected = format!("sha256 {cd}, locked {ab}; version 1.1.0, locked 1.0.0");
        assert_eq!(locked("x").difference(&newer), expected);
    }
}
