//! Why a file was refused: one variant for each reason, one sentence for each variant.

use std::{
    error, fmt, io,
    path::{Path, PathBuf},
};

use token_plugin_api::abi::manifest::ManifestError;

/// A file that the host does not load, and why.
///
/// Its message is one sentence for whoever put the file there; it names the path and what was
/// expected. An operating system's own error is part of the message and also [`source`].
///
/// [`source`]: error::Error::source
#[derive(Debug)]
pub struct Refusal {
    path: PathBuf,
    reason: RefusalReason,
}

impl Refusal {
    /// The file or folder that was refused, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why it was refused.
    pub fn reason(&self) -> &RefusalReason {
        &self.reason
    }

    pub(super) fn new(path: &Path, reason: RefusalReason) -> Self {
        Self { path: path.to_owned(), reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot admit {}: {}", self.path.display(), self.reason)
    }
}

impl error::Error for Refusal {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.reason {
            RefusalReason::Io { source, .. } => Some(source),
            RefusalReason::BadManifest(source) => Some(source),
            _ => None,
        }
    }
}

/// Why a file was refused, in the order in which the checks are made.
///
#[derive(Debug)]
#[non_exhaustive]
pub enum RefusalReason {
    /// There is nothing at this path.
    Missing,
    /// The drop-in folder is no folder.
    NotAFolder,
    /// The last component of the path is a symbolic link: who may change its target is another
    /// question than who may change the link, and only one of them can be checked.
    SymbolicLink,
    /// Something else than a regular file.
    NotAFile {
        /// What it is instead: "a folder", "a FIFO".
        found: &'static str,
    },
    /// The file has no content.
    Empty,
    /// The file is longer than the policy allows.
    TooLarge {
        /// The length of the file, in bytes.
        bytes: u64,
        /// The longest that is read, in bytes.
        max_bytes: u64,
    },
    /// The file was written to, or replaced, while it was looked at.
    ChangedWhileReading,
    /// The file, or a folder above it, belongs to somebody who could change it.
    Owner {
        /// The file or folder.
        what: PathBuf,
        /// Whose it is.
        owner_uid: u32,
        /// Whose it may be, besides root's.
        expected_uid: u32,
    },
    /// The file, or a folder above it, can be written to by its group or by everybody.
    WritableByOthers {
        /// The file or folder.
        what: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not the one that was pinned.
    Sha256Mismatch {
        /// The pin, in hexadecimal.
        expected: String,
        /// What the file has, in hexadecimal.
        found: String,
    },
    /// A signature is required, and there is no good one.
    Unsigned {
        /// Where the signature belongs.
        signature: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is a `plugins.lock`, and it does not have the file.
    NotLocked,
    /// The file is not the one in `plugins.lock`.
    DiffersFromLock {
        /// What differs: what was found, and what is locked.
        difference: String,
    },
    /// Not a shared library.
    NotALibrary {
        /// What it is instead: "a program", "a file of unknown format".
        found: &'static str,
    },
    /// A library for another operating system.
    WrongPlatform {
        /// The format that this platform loads.
        expected: &'static str,
        /// The format of the file.
        found: &'static str,
    },
    /// A library for another processor.
    WrongArchitecture {
        /// What this host is built for: name, word size, byte order.
        expected: String,
        /// What the file is built for.
        found: String,
    },
    /// A part of the library that the dynamic loader reads is not there, or contradicts another.
    /// Such a file can kill the process inside `dlopen`.
    CutShort {
        /// The part, and what is wrong with it.
        part: String,
    },
    /// A library without a manifest: not one of ours.
    NotAPlugin,
    /// There is a manifest, and it cannot be read.
    BadManifest(ManifestError),
    /// The library does not export the root module that the host starts from.
    NoRootSymbol,
    /// The plugin was built for another level of the ABI.
    AbiLevel {
        /// The plugin's.
        found: u32,
        /// The host's.
        expected: u32,
    },
    /// A panic of the plugin would end the host.
    PanicAbort,
    /// The library makes the loader bring in others that nobody examined.
    OtherLibraries {
        /// The entry of its dynamic section that does.
        entry: &'static str,
    },
    /// The operating system said no.
    Io {
        /// What was tried: "open it".
        doing: &'static str,
        /// What it answered.
        source: io::Error,
    },
}

impl RefusalReason {
    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    pub(super) fn cut_short(part: impl Into<String>) -> Self {
        Self::CutShort { part: part.into() }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it does not exist"),
            Self::NotAFolder => f.write_str("it is no folder, expected a folder of plugin libraries"),
            Self::SymbolicLink => f.write_str(
                "it is a symbolic link, which is not followed; expected the library itself: name or copy its target",
            ),
            Self::NotAFile { found } => write!(f, "it is {found}, expected a regular file"),
            Self::Empty => f.write_str("it is empty, expected a shared library"),
            Self::TooLarge { bytes, max_bytes } => {
                write!(f, "it has {bytes} bytes, expected at most {max_bytes}")
            }
            Self::ChangedWhileReading => {
                f.write_str("it changed while it was read; expected a finished file, so move new ones into place")
            }
            Self::Owner { what, owner_uid, expected_uid } => write!(
                f,
                "{} belongs to user {owner_uid}, expected root or the host's user {expected_uid}",
                what.display()
            ),
            Self::WritableByOthers { what, mode } => write!(
                f,
                "{} can be changed by other users (mode {mode:04o}), expected no write permission for group and \
                 others: `chmod go-w` it",
                what.display()
            ),
            Self::Sha256Mismatch { expected, found } => {
                write!(f, "its sha256 is {found}, expected the pinned {expected}")
            }
            Self::Unsigned { signature, problem } => write!(
                f,
                "its signature {} is not good: {problem}; expected one by a key of `[trust] public_keys`",
                signature.display()
            ),
            Self::NotLocked => {
                f.write_str("it is not in plugins.lock: if it is to be loaded, run `token-host lock` and read the difference")
            }
            Self::DiffersFromLock { difference } => write!(
                f,
                "it is not the file in plugins.lock ({difference}): if it is to be loaded, run `token-host lock`"
            ),
            Self::NotALibrary { found } => write!(f, "it is {found}, expected a shared library"),
            Self::WrongPlatform { expected, found } => {
                write!(f, "it is a library for another platform ({found}), expected {expected}")
            }
            Self::WrongArchitecture { expected, found } => {
                write!(f, "it is built for {found}, expected {expected}")
            }
            Self::CutShort { part } => write!(f, "it is cut short or damaged: {part}"),
            Self::NotAPlugin => f.write_str(
                "it is a library but no token plugin: expected a manifest, as token-plugin-api's export macro writes it",
            ),
            Self::BadManifest(error) => write!(f, "{error}, expected one as token-plugin-api writes it"),
            Self::NoRootSymbol => {
                f.write_str("it has a manifest but exports no root module, expected exactly one exported plugin")
            }
            Self::AbiLevel { found, expected } => write!(
                f,
                "it is built for ABI level {found}, expected level {expected}: rebuild it with a token-plugin-api \
                 of the host's major version"
            ),
            Self::OtherLibraries { entry } => write!(
                f,
                "it has {entry}, which loads libraries that were not examined, expected only the system's libraries"
            ),
            Self::PanicAbort => {
                f.write_str("it is built with panic = \"abort\" and would end the host, expected panic = \"unwind\"")
            }
            Self::Io { doing, source } => write!(f, "could not {doing}: {source}"),
        }
    }
}

/// A digest as people write it.
pub fn hexadecimal(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_message_names_the_path_and_what_was_expected() {
        let refusal = Refusal::new(Path::new("/p/libx.so"), RefusalReason::AbiLevel { found: 2, expected: 1 });
        let message = refusal.to_string();
        assert!(message.starts_with("cannot admit /p/libx.so: it is built for ABI level 2, expected level 1"));
        assert!(refusal.source().is_none());
    }

    #[test]
    fn an_operating_system_error_is_the_source() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let refusal = Refusal::new(Path::new("x"), RefusalReason::io("open it")(denied));
        assert_eq!(refusal.to_string(), "cannot admit x: could not open it: permission denied");
        assert_eq!(refusal.source().unwrap().to_string(), "permission denied");
    }
}
