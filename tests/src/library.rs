//! Plugin libraries with something changed in them.

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
