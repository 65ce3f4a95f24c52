//! [`Rotated`]: the full files, which stand beside the audit file with a number behind its name.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// A full file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rotated {
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
}

impl Rotated {
    /// What the audit file with this number is called once it is full.
    pub(crate) fn new(path: &Path, number: u64) -> Self {
        let mut name = OsString::from(path);
        name.push(format!(".{number:0DIGITS$}"));
        Self { number, path: name.into() }
    }

    /// All that there are of this audit file, by their numbers.
    pub(crate) fn all(path: &Path) -> io::Result<Vec<Self>> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let rest = entry.file_name().as_encoded_bytes().strip_prefix(name.as_encoded_bytes()).map(<[u8]>::to_vec);
            if let Some(number) = rest.as_deref().and_then(number) {
                found.push(Self { number, path: entry.path() });
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    /// Its name in messages and lines.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().map(|name| name.display().to_string()).unwrap_or_default()
    }
}

/// Of `.000001`. Fewer digits are those of others who rotate files, and count the other way round.
fn number(end: &[u8]) -> Option<u64> {
    let digits = end.strip_prefix(b".").filter(|digits| digits.len() >= DIGITS)?;
    let digits = digits.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(digits).ok())??;
    digits.parse().ok()
}

/// With these, names are in order for a million files.
const DIGITS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_files_of_ours_are_found_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "a.jsonl",
            "a.jsonl.000002",
            "a.jsonl.000010",
            "a.jsonl.000001",
            "a.jsonl.1000000",
            "a.jsonl.1",
            "a.jsonl.00001x",
            "a.jsonl.000003.gz",
            "a.jsonl.",
            "b.jsonl.000007",
            "a.jsonl-000004",
            "a.jsonl.99999999999999999999",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let path = folder.path().join("a.jsonl");
        let all = Rotated::all(&path).unwrap();
        assert_eq!(all.iter().map(|one| one.number).collect::<Vec<_>>(), [1, 2, 10, 1_000_000]);
        assert_eq!(all[2], Rotated::new(&path, 10));
        assert_eq!(all[3].name(), "a.jsonl.1000000");
    }
}
