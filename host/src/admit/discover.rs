//! Where libraries are looked for: the drop-in folder, and the search folders for bare names.

use std::{
    env::consts::{DLL_EXTENSION, DLL_PREFIX, DLL_SUFFIX},
    ffi::OsStr,
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
};

use super::refusal::{Refusal, RefusalReason};

/// The files of the drop-in folder that are named like libraries of this platform, by file name.
///
/// That is, whose name ends in `.so`, `.dylib` or `.dll`. Left out are hidden files, what editors
/// and copying programs leave behind (`x.so~`, `x.so.tmp`, `.x.so.swp`), versioned names
/// (`libx.so.1`) and subfolders. A link, a FIFO or an empty file of such a name is listed, so that
/// [`examine`](super::examine) refuses it with a message: what was put there as a plugin is never
/// skipped in silence.
///
/// # Errors
///
/// When the folder is missing, is no folder, or cannot be read.
pub fn discover(folder: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let refuse = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::NotADirectory => RefusalReason::NotAFolder,
            io::ErrorKind::NotFound => RefusalReason::Missing,
            _ => RefusalReason::io("list it")(error),
        };
        Refusal::new(folder, reason)
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(refuse)? {
        let entry = entry.map_err(refuse)?;
        if is_library_name(&entry.file_name()) && !is_folder(&entry) {
            names.push(entry.file_name());
        }
    }
    names.sort();
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

/// The first library of a bare name in these folders: `token_signed` is `libtoken_signed.so` on
/// Linux. `None` when there is none.
pub fn locate(bare: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let name = library_file_name(bare);
    folders.iter().map(|folder| folder.join(&name)).find(|path| fs::symlink_metadata(path).is_ok())
}

/// The file name that this platform's compiler gives to a library: `libtoken_signed.so`,
/// `libtoken_signed.dylib`, `token_signed.dll`.
pub fn library_file_name(bare: &str) -> String {
    format!("{DLL_PREFIX}{bare}{DLL_SUFFIX}")
}

fn is_library_name(name: &OsStr) -> bool {
    let ending = Path::new(name).extension();
    let fits = ending.is_some_and(|ending| match cfg!(windows) {
        true => ending.eq_ignore_ascii_case(DLL_EXTENSION),
        false => ending == DLL_EXTENSION,
    });
    fits && !name.as_encoded_bytes().starts_with(b".")
}

/// An entry that is gone by now counts as none: removing a plugin is no error.
fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |kind| kind.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_libraries_by_file_name_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let library = |bare: &str| folder.path().join(library_file_name(bare));
        for bare in ["b", "a", "Z"] {
            fs::write(library(bare), "").unwrap();
        }
        for other in ["notes.txt", "a.tmp", "README"] {
            fs::write(folder.path().join(other), "").unwrap();
        }
        for ending in ["~", ".tmp", ".swp", ".bak", ".1"] {
            fs::write(folder.path().join(format!("{}{ending}", library_file_name("a"))), "").unwrap();
        }
        fs::write(folder.path().join(format!(".hidden{DLL_SUFFIX}")), "").unwrap();
        fs::write(folder.path().join(DLL_SUFFIX), "").unwrap();
        fs::create_dir(library("folder")).unwrap();
        assert_eq!(discover(folder.path()).unwrap(), [library("Z"), library("a"), library("b")]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_listed_so_that_it_can_be_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join(library_file_name("link"));
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert_eq!(discover(folder.path()).unwrap(), [link]);
    }

    #[test]
    fn a_folder_that_is_missing_or_a_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = discover(&folder.path().join("none")).unwrap_err();
        assert!(matches!(missing.reason(), RefusalReason::Missing));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(discover(&file).unwrap_err().reason(), RefusalReason::NotAFolder));
    }

    #[test]
    fn a_bare_name_is_looked_up_in_order() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = [first.path().to_owned(), second.path().to_owned()];
        assert_eq!(locate("x", &folders), None);
        for folder in folders.iter().rev() {
            let library = folder.join(library_file_name("x"));
            fs::write(&library, "").unwrap();
            assert_eq!(locate("x", &folders), Some(library));
        }
    }
}
