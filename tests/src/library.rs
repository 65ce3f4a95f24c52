//! Plugin libraries with something changed in them on purpose.

use std::{path::Path, process::Command};

/// The library with `from` replaced by `to` in its manifest; the lengths may differ downwards.
///
/// # Panics
///
/// When `from` is not there exactly once, or `to` is longer.
pub fn with_manifest(library: &[u8], from: &str, to: &str) -> Vec<u8> {
    // A record ends in a NUL byte, and the reader passes over what is no record.
    let to = format!("{to}{}", "\0".repeat(from.len().checked_sub(to.len()).expect("there is room")));
    replace_once(library, format!("\0{from}\0").as_bytes(), format!("\0{to}\0").as_bytes())
}

/// [`Plugin::Constructor`](crate::Plugin::Constructor) or [`Plugin::Root`](crate::Plugin::Root) with this deed:
/// `abort`, `exit`, `_exit`, `panic`, `sleep`, `thread`, `stdout`, `segfault`, or `child SECONDS`, which leaves a
/// process `sleep SECONDS` behind.
///
/// # Panics
///
/// When the library is none of the two, or the deed too long.
pub fn with_deed(library: &[u8], deed: &str) -> Vec<u8> {
    const ROOM_BYTES: usize = 48;
    let marker = |deed: &str| format!("{:.<ROOM_BYTES$}", format!("hostile-deed:{deed}"));
    replace_once(library, marker("nothing").as_bytes(), marker(deed).as_bytes())
}

/// The bytes with the one occurrence of `from` replaced by `to`, of the same length.
///
/// # Panics
///
/// When `from` is not there exactly once, or the lengths differ.
pub fn replace_once(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    let [at] = places.as_slice() else {
        panic!("{} is there {} times", from.escape_ascii(), places.len());
    };
    let mut bytes = bytes.to_owned();
    bytes[*at..at + to.len()].copy_from_slice(to);
    bytes
}

/// A library without its symbols and debug information, so that what is changed at random in it is more often
/// something that the loader reads. The file's own content where there is no `strip`.
///
/// # Panics
///
/// When the file cannot be read, or there is no temporary folder.
pub fn stripped(library: &Path) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("stripped");
    // What Apple's `strip` leaves out by default, a library still exports.
    let keep_exports: &[&str] = if cfg!(target_vendor = "apple") { &["-x"] } else { &[] };
    let done = Command::new("strip").args(keep_exports).arg("-o").arg(&copy).arg(library).output();
    let file = if done.is_ok_and(|output| output.status.success()) { &copy } else { library };
    std::fs::read(file).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Plugin;

    #[test]
    fn a_deed_is_all_that_is_changed() {
        let library = std::fs::read(Plugin::Root.path()).unwrap();
        let changed = with_deed(&library, "child 60.5");
        assert_eq!(changed.len(), library.len());
        assert!(with_deed(&library, "nothing") == library && changed != library);
    }
}
