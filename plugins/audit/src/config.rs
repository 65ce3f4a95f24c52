//! [`Config`]: the settings as written, and [`Settings`]: the same, checked.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use token_audit_chain::Seal;
use token_plugin_api::{EventKind, PluginError, Result, Secret};

/// The settings.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The file, absolute or relative to the folder of the host's configuration.
    path: PathBuf,
    /// Whether a creation, update or invalidation of tokens fails when it could not be written down.
    required: bool,
    /// When lines are made to survive a failure of power: `always`, before anything else is done; `changes`, the same
    /// for creations, updates and invalidations; `interval`, within `fsync_interval_ms`; `never`, when the system does.
    /// Default: `changes` when it is required, else `interval`.
    fsync: Option<Fsync>,
    /// Milliseconds after which lines are on the disk for which nobody waits.
    fsync_interval_ms: u64,
    /// A file of so many bytes is not written to any more, and another one begun; 0: never.
    rotate_bytes: u64,
    /// How many full files are kept, at least 1; none: all.
    keep_files: Option<usize>,
    /// Which kinds of events are written down; none: all.
    events: Option<Vec<Kind>>,
    /// Binds the lines with HMAC-SHA-256 in place of SHA-256.
    key: Option<Secret>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            path: "audit.jsonl".into(),
            required: false,
            fsync: None,
            // What a failure of power may cost, against a wait for the disk at most once in that time.
            fsync_interval_ms: 1000,
            // Some 200,000 lines: an editor opens it, and a year does not make thousands of files.
            rotate_bytes: 64 << 20,
            // An audit file that deletes itself must be asked for.
            keep_files: None,
            events: None,
            key: None,
        }
    }
}

/// When lines are made to survive a failure of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fsync {
    Always,
    Changes,
    Interval,
    Never,
}

/// The kinds of events, by their names; others are no kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    TokenCreated,
    TokenUsed,
    TokenRejected,
    TokenExpired,
    TokenUpdated,
    TokenInvalidated,
    /// What this version has no name for.
    Unknown,
}

impl Kind {
    fn of(kind: EventKind) -> Self {
        match kind {
            EventKind::TokenCreated => Self::TokenCreated,
            EventKind::TokenUsed => Self::TokenUsed,
            EventKind::TokenRejected => Self::TokenRejected,
            EventKind::TokenExpired => Self::TokenExpired,
            EventKind::TokenUpdated => Self::TokenUpdated,
            EventKind::TokenInvalidated => Self::TokenInvalidated,
            _ => Self::Unknown,
        }
    }
}

/// The settings, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    pub(crate) required: bool,
    pub(crate) fsync: Fsync,
    pub(crate) fsync_interval: Duration,
    pub(crate) rotate_bytes: Option<u64>,
    pub(crate) keep_files: Option<usize>,
    pub(crate) seal: Seal,
    events: Option<Vec<Kind>>,
}

impl Config {
    /// The settings, with a path that begins at this folder when it is a relative one.
    ///
    /// # Errors
    ///
    /// Which setting makes no sense.
    pub(crate) fn check(self, folder: &Path) -> Result<Settings> {
        let refused = |setting: &str, why: &str| Err(PluginError::invalid_argument(format!("`{setting}`: {why}")));
        let path = std::path::absolute(folder.join(&self.path)).map_err(PluginError::failed)?;
        if self.path.as_os_str().is_empty() || path.file_name().is_none() {
            return refused("path", "it names no file, expected one such as `audit.jsonl`");
        }
        if !(MIN_FSYNC_INTERVAL_MS..=MAX_FSYNC_INTERVAL_MS).contains(&self.fsync_interval_ms) {
            let why = format!("expected {MIN_FSYNC_INTERVAL_MS} to {MAX_FSYNC_INTERVAL_MS} ms");
            return refused("fsync_interval_ms", &why);
        }
        if (1..MIN_ROTATE_BYTES).contains(&self.rotate_bytes) {
            return refused("rotate_bytes", &format!("expected at least {MIN_ROTATE_BYTES} bytes, or 0 for never"));
        }
        if self.keep_files == Some(0) {
            return refused("keep_files", "expected at least 1: a new file goes on from the last one");
        }
        if let Some(events) = &self.events {
            if events.is_empty() {
                return refused("events", "it is empty, expected kinds of events, or nothing for all");
            }
            if self.required && !CHANGES.iter().all(|kind| events.contains(kind)) {
                let why =
                    "expected token_created, token_updated and token_invalidated among them, as `required` is set";
                return refused("events", why);
            }
        }
        let seal = match &self.key {
            None => Seal::Plain,
            Some(key) => Seal::keyed(key.expose().as_bytes())
                .map_err(|short| PluginError::invalid_argument(format!("`key`: {short}")))?,
        };
        let usual = if self.required { Fsync::Changes } else { Fsync::Interval };
        Ok(Settings {
            path,
            required: self.required,
            fsync: self.fsync.unwrap_or(usual),
            fsync_interval: Duration::from_millis(self.fsync_interval_ms),
            rotate_bytes: Some(self.rotate_bytes).filter(|bytes| *bytes > 0),
            keep_files: self.keep_files,
            seal,
            events: self.events,
        })
    }
}

impl Settings {
    /// Whether events of this kind are written down.
    pub(crate) fn records(&self, kind: EventKind) -> bool {
        self.events.as_ref().is_none_or(|events| events.contains(&Kind::of(kind)))
    }
}

/// What the host waits for when the sink is a required one.
pub(crate) fn is_change(kind: EventKind) -> bool {
    CHANGES.contains(&Kind::of(kind))
}

const CHANGES: [Kind; 3] = [Kind::TokenCreated, Kind::TokenUpdated, Kind::TokenInvalidated];
/// More often is `always`.
const MIN_FSYNC_INTERVAL_MS: u64 = 10;
/// Systems do it every half minute themselves.
const MAX_FSYNC_INTERVAL_MS: u64 = 60_000;
/// Four lines of the greatest length.
const MIN_ROTATE_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Settings, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check(Path::new("/etc/tokens")).map_err(|error| error.to_string())
    }

    #[test]
    fn without_settings_all_is_written_and_kept() {
        let settings = check("{}").unwrap();
        assert_eq!(settings.path, std::path::absolute("/etc/tokens/audit.jsonl").unwrap());
        assert_eq!((settings.required, settings.fsync, settings.keep_files), (false, Fsync::Interval, None));
        assert!(settings.records(EventKind::TokenUsed) && settings.records(EventKind::Unknown));
        assert_eq!(check(r#"{"required":true}"#).unwrap().fsync, Fsync::Changes);
        assert_eq!(check(r#"{"required":true,"fsync":"never"}"#).unwrap().fsync, Fsync::Never);
        assert_eq!(check(r#"{"rotate_bytes":0}"#).unwrap().rotate_bytes, None);
        assert_eq!(check(r#"{"path":"/var/log/a"}"#).unwrap().path, Path::new("/var/log/a"));
    }

    #[test]
    fn kinds_can_be_chosen() {
        let settings = check(r#"{"events":["token_created","token_rejected"]}"#).unwrap();
        assert!(settings.records(EventKind::TokenRejected) && !settings.records(EventKind::TokenUsed));
        assert!(!settings.records(EventKind::Unknown));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name() {
        for (json, expected) in [
            (r#"{"path":""}"#, "`path`: it names no file, expected one such as `audit.jsonl`"),
            (r#"{"path":"/"}"#, "`path`: it names no file, expected one such as `audit.jsonl`"),
            (r#"{"fsync_interval_ms":9}"#, "`fsync_interval_ms`: expected 10 to 60000 ms"),
            (r#"{"fsync_interval_ms":60001}"#, "`fsync_interval_ms`: expected 10 to 60000 ms"),
            (r#"{"rotate_bytes":65535}"#, "`rotate_bytes`: expected at least 65536 bytes, or 0 for never"),
            (r#"{"keep_files":0}"#, "`keep_files`: expected at least 1: a new file goes on from the last one"),
            (r#"{"events":[]}"#, "`events`: it is empty, expected kinds of events, or nothing for all"),
            (r#"{"key":"short"}"#, "`key`: the key is too short, expected at least 32 bytes"),
        ] {
            assert_eq!(check(json).unwrap_err(), expected, "{json}");
        }
        let error = check(r#"{"required":true,"events":["token_created","token_updated"]}"#).unwrap_err();
        assert!(error.starts_with("`events`: expected token_created, token_updated and token_invalidated"), "{error}");
        for json in
            [r#"{"events":["token_create"]}"#, r#"{"fsync":"Always"}"#, r#"{"file":"x"}"#, r#"{"keep_files":-1}"#]
        {
            assert!(check(json).is_err(), "{json}");
        }
    }

    #[test]
    fn no_key_is_shown() {
        let settings = check(r#"{"key":"a key of thirty-two bytes, or more"}"#).unwrap();
        assert!(!format!("{settings:?}").contains("thirty"), "{settings:?}");
        assert_eq!(settings.seal.name(), "hmac-sha256");
    }
}
