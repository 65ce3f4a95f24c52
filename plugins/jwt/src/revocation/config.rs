//! [`RevocationConfig`]: where revocations are kept.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The settings, as written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RevocationConfig {
    /// `sqlite:` and the path of a file, or `none`: tokens cannot be revoked.
    /// Default: `sqlite:NAME-revocations.db`, with the plugin's name: the actors of two issuers are different ones.
    pub(crate) url: Option<String>,
    /// Milliseconds between two looks for what other processes have revoked, 100 to 60000.
    pub(crate) poll_ms: u64,
}

impl Default for RevocationConfig {
    /// A second is about what people wait for an answer; a look for news where there are none takes some 20 µs.
    fn default() -> Self {
        Self { url: None, poll_ms: 1000 }
    }
}

/// Where revocations are kept, as resolved.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Nowhere,
    Sqlite(PathBuf),
}

impl RevocationConfig {
    /// Where they are kept. A relative path begins at this folder; the result is absolute.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings. A url that is not understood is not quoted: there may be a password in it.
    pub(super) fn place(&self, plugin: &str, folder: &Path) -> Result<Place, String> {
        if !(100..=60_000).contains(&self.poll_ms) {
            return Err(format!("`poll_ms`: {}, expected 100 to 60000 ms", self.poll_ms));
        }
        let url = self.url.clone().unwrap_or_else(|| format!("sqlite:{plugin}-revocations.db"));
        let path = match url.split_once(':') {
            None if url == "none" => return Ok(Place::Nowhere),
            Some(("sqlite", path)) => path,
            _ => return Err("`url`: expected `sqlite:` and the path of a file, or `none`".to_owned()),
        };
        // Others read `//` in three different ways, and have parameters, and files that are in memory.
        if path.is_empty() || path.starts_with("//") || path.starts_with(':') || path.contains(['?', '\0']) {
            let expected = "`url`: expected the plain path of a file after `sqlite:`, relative or absolute";
            return Err(format!("{expected}, as in `sqlite:jwt-revocations.db`"));
        }
        // Absolute, or SQLite would read a path that begins with `file:` as a URI.
        let path = std::path::absolute(folder.join(path)).map_err(|error| format!("`url`: {error}"))?;
        Ok(Place::Sqlite(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(config: &str) -> Result<Place, String> {
        let config: RevocationConfig = serde_json::from_str(config).map_err(|error| error.to_string())?;
        config.place("jwt", Path::new("/etc/tokens"))
    }

    #[test]
    fn a_path_is_relative_to_the_folder_or_absolute() {
        let file = |path: &str| Ok(Place::Sqlite(PathBuf::from(path)));
        assert_eq!(place("{}"), file("/etc/tokens/jwt-revocations.db"));
        assert_eq!(place(r#"{"url":"sqlite:a/b.db"}"#), file("/etc/tokens/a/b.db"));
        assert_eq!(place(r#"{"url":"sqlite:/var/lib/b.db","poll_ms":100}"#), file("/var/lib/b.db"));
        assert_eq!(place(r#"{"url":"none","poll_ms":60000}"#), Ok(Place::Nowhere));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for url in ["", "None", "none:", "sqlite", "b.db", "postgres://root:secret@db/tokens", "SQLITE:b.db"] {
            let error = place(&format!(r#"{{"url":"{url}"}}"#)).unwrap_err();
            assert_eq!(error, "`url`: expected `sqlite:` and the path of a file, or `none`", "{url}");
        }
        for url in ["sqlite:", "sqlite::memory:", "sqlite://b.db", "sqlite:///b.db", "sqlite:b.db?mode=ro"] {
            let error = place(&format!(r#"{{"url":"{url}"}}"#)).unwrap_err();
            assert!(error.starts_with("`url`: expected the plain path"), "{url}: {error}");
        }
        for config in [r#"{"poll_ms":99}"#, r#"{"poll_ms":60001}"#, r#"{"poll":1000}"#, r#"{"url":7}"#] {
            assert!(place(config).is_err(), "{config}");
        }
    }
}
