//! From the configuration as written to the one that is used: ranges checked, paths resolved, secrets read.

use std::fmt::Display;
use std::path::{Path, is_separator};
use std::time::Duration;

use super::keys::Written;
use super::plugin_settings::PluginSettings;
use super::raw::{RawConfig, RawHost, RawPlugin, RawPreflight, RawTrust};
use super::report::Report;
use super::secret_reference::Secrets;
use super::{
    HostSettings, HttpSettings, LibraryName, MakeSecrets, OAuth2Settings, OnError, PluginEntry, PreflightSettings,
    TrustSettings,
};
use super::{http, oauth2};

/// The tables of a configuration, checked.
pub(super) struct Resolved {
    pub(super) host: HostSettings,
    pub(super) preflight: PreflightSettings,
    pub(super) trust: TrustSettings,
    pub(super) oauth2: Option<OAuth2Settings>,
    pub(super) http: HttpSettings,
    pub(super) plugins: Vec<PluginEntry>,
}

/// Checks and resolves `raw`; relative paths are relative to `base`. What is wrong goes to `report`, and its default
/// stands in for it, so that everything else is checked too.
pub(super) fn resolve(raw: RawConfig<'_>, base: &Path, make: MakeSecrets, report: &mut Report<'_>) -> Resolved {
    let host = host_settings(raw.host, base, report);
    let preflight = preflight_settings(raw.preflight, base, report);
    let trust = trust_settings(raw.trust, report);
    let oauth2 = raw.oauth2.and_then(|raw| oauth2::resolve(raw, base, report));
    let http = raw.http.map(|raw| http::resolve(raw, base, report)).unwrap_or_default();
    // A file that is refused anyway must not leave new secrets behind.
    let make = if report.has_errors() { MakeSecrets::Ephemeral } else { make };
    let mut secrets = Secrets::new(base, make);
    let plugins = raw.plugins.into_iter().filter_map(|raw| plugin_entry(raw, base, &mut secrets, report)).collect();
    report.plugin = None;
    Resolved { host, preflight, trust, oauth2, http, plugins }
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            drop_in: None,
            search: Vec::new(),
            max_token_bytes: MAX_TOKEN_BYTES.default,
            event_queue: EVENT_QUEUE.default,
            max_plugin_bytes: MAX_PLUGIN_BYTES.default,
            danger_insecure_permissions: false,
            superseded_warning_bytes: SUPERSEDED_WARNING_BYTES.default,
        }
    }
}

impl Default for PreflightSettings {
    fn default() -> Self {
        Self {
            program: None,
            deadline: Duration::from_millis(PREFLIGHT_DEADLINE_MS.default),
            max_memory_bytes: MAX_MEMORY_BYTES.default,
            max_cpu_seconds: MAX_CPU_SECONDS.default,
            cache: None,
            danger_skip: false,
        }
    }
}

fn host_settings(raw: RawHost, base: &Path, report: &mut Report<'_>) -> HostSettings {
    let mut folder = |key: &str, written: Written<String>| {
        if written.value.is_empty() {
            report.error(written.place, format!("`{key}` must name a folder (`.` is the configuration's own)"));
        }
        base.join(written.value)
    };
    HostSettings {
        drop_in: raw.drop_in.map(|written| folder("drop_in", written)),
        search: raw.search.into_iter().map(|written| folder("search", written)).collect(),
        max_token_bytes: MAX_TOKEN_BYTES.read(raw.max_token_bytes, report),
        event_queue: EVENT_QUEUE.read(raw.event_queue, report),
        max_plugin_bytes: MAX_PLUGIN_BYTES.read(raw.max_plugin_bytes, report),
        danger_insecure_permissions: raw.danger_insecure_permissions.is_some_and(|written| written.value),
        superseded_warning_bytes: SUPERSEDED_WARNING_BYTES.read(raw.superseded_warning_bytes, report),
    }
}

fn preflight_settings(raw: RawPreflight, base: &Path, report: &mut Report<'_>) -> PreflightSettings {
    let mut path = |key: &str, written: Written<String>| {
        if written.value.is_empty() || written.value.contains('\0') {
            report.error(written.place, format!("`{key}` must be a path"));
        }
        base.join(written.value)
    };
    PreflightSettings {
        program: raw.program.map(|written| path("program", written)),
        cache: raw.cache.map(|written| path("cache", written)),
        deadline: Duration::from_millis(PREFLIGHT_DEADLINE_MS.read(raw.deadline_ms, report)),
        max_memory_bytes: MAX_MEMORY_BYTES.read(raw.max_memory_bytes, report),
        max_cpu_seconds: MAX_CPU_SECONDS.read(raw.max_cpu_seconds, report),
        danger_skip: raw.danger_skip.is_some_and(|written| written.value),
    }
}

fn trust_settings(raw: RawTrust, report: &mut Report<'_>) -> TrustSettings {
    let mut public_keys = Vec::new();
    if let Some(place) = raw.public_keys.as_ref().filter(|(_, keys)| keys.is_empty()).map(|(place, _)| *place) {
        report.error(place, "`public_keys` must name at least one key; without the key, signatures are not asked for");
    }
    for written in raw.public_keys.into_iter().flat_map(|(_, keys)| keys) {
        match written.value.parse() {
            Ok(key) => public_keys.push(key),
            Err(expected) => report.error(written.place, format!("`public_keys`: {expected}")),
        }
    }
    TrustSettings { public_keys, require_lock: raw.require_lock.is_some_and(|written| written.value) }
}

/// The entry, or `None` when it has no name to go by.
fn plugin_entry(
    raw: RawPlugin<'_>,
    base: &Path,
    secrets: &mut Secrets<'_>,
    report: &mut Report<'_>,
) -> Option<PluginEntry> {
    report.plugin = raw.name.as_ref().map(|name| name.value.clone());
    let file = raw.file.map(|written| library_name(&written, base, report));
    let sha256 = raw.sha256.and_then(|written| sha256(&written, report));
    let on_error = raw.on_error.map_or(OnError::Stop, |written| on_error(&written, report));
    let deadline = Duration::from_millis(DEADLINE_MS.read(raw.deadline_ms, report));
    let manage_deadline = Duration::from_millis(MANAGE_DEADLINE_MS.read(raw.manage_deadline_ms, report));
    let max_blocking_calls = MAX_BLOCKING_CALLS.read(raw.max_blocking_calls, report);
    let breaker_failures = BREAKER_FAILURES.read(raw.breaker_failures, report);
    let breaker_pause = Duration::from_millis(BREAKER_PAUSE_MS.read(raw.breaker_pause_ms, report));
    let settings = PluginSettings::read(raw.config, raw.place, secrets, report);
    if let (Some(Written { value: true, .. }), Some(Written { value: true, place })) = (&raw.tryfirst, &raw.trylast) {
        report.warning(*place, "`tryfirst` and `trylast` are both true: `trylast` wins, as in pluggy");
    }
    let name = raw.name?;
    if !is_plugin_name(&name.value) {
        report.error(name.place, format!("`name` must be {PLUGIN_NAME_RULE}"));
    }
    Some(PluginEntry {
        file: file.unwrap_or_else(|| bare_library_name(&name.value)),
        name: name.value,
        sha256,
        tryfirst: raw.tryfirst.map(|written| written.value),
        trylast: raw.trylast.map(|written| written.value),
        wrapper: raw.wrapper.map(|written| written.value),
        on_error,
        deadline,
        manage_deadline,
        max_blocking_calls,
        breaker_failures,
        breaker_pause,
        settings,
        folder: base.to_owned(),
        place: Some(raw.place),
    })
}

pub(super) fn unwritten(name: String, settings: PluginSettings, folder: &Path) -> PluginEntry {
    PluginEntry {
        file: bare_library_name(&name),
        name,
        sha256: None,
        tryfirst: None,
        trylast: None,
        wrapper: None,
        on_error: OnError::Stop,
        deadline: Duration::from_millis(DEADLINE_MS.default),
        manage_deadline: Duration::from_millis(MANAGE_DEADLINE_MS.default),
        max_blocking_calls: MAX_BLOCKING_CALLS.default,
        breaker_failures: BREAKER_FAILURES.default,
        breaker_pause: Duration::from_millis(BREAKER_PAUSE_MS.default),
        settings,
        folder: folder.to_owned(),
        place: None,
    }
}

/// Cargo writes a library's file name with `_` for `-`.
fn bare_library_name(plugin: &str) -> LibraryName {
    LibraryName::Bare(format!("token_{}", plugin.replace('-', "_")))
}

fn library_name(written: &Written<String>, base: &Path, report: &mut Report<'_>) -> LibraryName {
    let file = written.value.as_str();
    if file.is_empty() || file.contains('\0') {
        report.error(written.place, "`file` must be a library's bare name (`token_signed`) or its path");
    }
    let is_path = file.contains(is_separator) || [".so", ".dylib", ".dll"].iter().any(|end| file.ends_with(end));
    if is_path { LibraryName::Path(base.join(file)) } else { LibraryName::Bare(file.to_owned()) }
}

fn sha256(written: &Written<String>, report: &mut Report<'_>) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> =
        written.value.chars().map(|letter| letter.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digest = digits.and_then(|digits| {
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        <[u8; 32]>::try_from(bytes).ok().filter(|_| digits.len() == 64)
    });
    if digest.is_none() {
        report.error(written.place, "`sha256` must be 64 hexadecimal digits, as `sha256sum` prints them");
    }
    digest
}

fn on_error(written: &Written<String>, report: &mut Report<'_>) -> OnError {
    match written.value.as_str() {
        "stop" => OnError::Stop,
        "continue" => OnError::Continue,
        _ => {
            report.error(written.place, "`on_error` must be \"stop\" or \"continue\"");
            OnError::Stop
        }
    }
}

/// A whole number that the configuration may set: from `least` to `largest`.
pub(super) struct Number<T> {
    pub(super) key: &'static str,
    pub(super) unit: &'static str,
    pub(super) least: T,
    pub(super) largest: T,
    pub(super) default: T,
}

impl<T: Copy + Display + PartialOrd + TryFrom<i128>> Number<T> {
    pub(super) fn read(&self, written: Option<Written<i128>>, report: &mut Report<'_>) -> T {
        let Some(written) = written else { return self.default };
        let number = T::try_from(written.value).ok().filter(|number| (self.least..=self.largest).contains(number));
        if number.is_none() {
            let Self { key, unit, least, largest, .. } = self;
            report.error(written.place, format!("`{key}` must be from {least} to {largest} {unit}"));
        }
        number.unwrap_or(self.default)
    }
}

/// What a plugin may be called, in words.
pub(crate) const PLUGIN_NAME_RULE: &str = "1 to 64 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`";

/// Whether a plugin may be called this: names stand in messages, logs and file names.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    let is_good = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
    (1..=64).contains(&name.len()) && name.chars().all(is_good)
}

// The defaults' reasons stand with the public fields that they fill.
const MAX_TOKEN_BYTES: Number<usize> =
    Number { key: "max_token_bytes", unit: "bytes", least: 1, largest: 1024 * 1024, default: 8 * 1024 };
const EVENT_QUEUE: Number<usize> =
    Number { key: "event_queue", unit: "events", least: 1, largest: 1_000_000, default: 4096 };
const MAX_PLUGIN_BYTES: Number<u64> =
    Number { key: "max_plugin_bytes", unit: "bytes", least: 1, largest: 4 << 30, default: 256 << 20 };
const SUPERSEDED_WARNING_BYTES: Number<u64> =
    Number { key: "superseded_warning_bytes", unit: "bytes", least: 0, largest: 1 << 40, default: 256 << 20 };
const PREFLIGHT_DEADLINE_MS: Number<u64> =
    Number { key: "deadline_ms", unit: "milliseconds", least: 1, largest: 600_000, default: 10_000 };
const MAX_MEMORY_BYTES: Number<u64> =
    Number { key: "max_memory_bytes", unit: "bytes", least: 16 << 20, largest: 1 << 40, default: 2 << 30 };
const MAX_CPU_SECONDS: Number<u64> =
    Number { key: "max_cpu_seconds", unit: "seconds", least: 1, largest: 600, default: 10 };
const DEADLINE_MS: Number<u64> =
    Number { key: "deadline_ms", unit: "milliseconds", least: 1, largest: 600_000, default: 1000 };
const MANAGE_DEADLINE_MS: Number<u64> =
    Number { key: "manage_deadline_ms", unit: "milliseconds", least: 1, largest: 3_600_000, default: 30_000 };
const MAX_BLOCKING_CALLS: Number<usize> =
    Number { key: "max_blocking_calls", unit: "calls", least: 1, largest: 1024, default: 16 };
const BREAKER_FAILURES: Number<u32> =
    Number { key: "breaker_failures", unit: "failures", least: 0, largest: 1_000_000, default: 10 };
const BREAKER_PAUSE_MS: Number<u64> =
    Number { key: "breaker_pause_ms", unit: "milliseconds", least: 1, largest: 600_000, default: 5000 };

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Config, Origin};
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let base = if cfg!(windows) { r"C:\etc\token" } else { "/etc/token" };
        Config::parse(text, Origin::Text, Path::new(base), MakeSecrets::Ephemeral).map_err(|found| found.to_string())
    }

    #[test]
    fn numbers_out_of_range_say_range_and_unit() {
        let text = "[host]\nmax_token_bytes = 1048577\nevent_queue = -1\n\
                    max_plugin_bytes = 99999999999999999999999999999999999999999999\n\
                    [[plugin]]\nname = 'a'\ndeadline_ms = 600001\nmax_blocking_calls = 0\n\
                    breaker_failures = -1\nbreaker_pause_ms = 0";
        assert_eq!(
            parse(text).unwrap_err(),
            "<string>:2:19: `max_token_bytes` must be from 1 to 1048576 bytes\n\
             <string>:3:15: `event_queue` must be from 1 to 1000000 events\n\
             <string>:4:20: `max_plugin_bytes` must be from 1 to 4294967296 bytes\n\
             <string>:7:15: plugin \"a\": `deadline_ms` must be from 1 to 600000 milliseconds\n\
             <string>:8:22: plugin \"a\": `max_blocking_calls` must be from 1 to 1024 calls\n\
             <string>:9:20: plugin \"a\": `breaker_failures` must be from 0 to 1000000 failures\n\
             <string>:10:20: plugin \"a\": `breaker_pause_ms` must be from 1 to 600000 milliseconds"
        );
        let config = parse("[host]\nmax_token_bytes = 1048576\nevent_queue = 1").unwrap();
        assert_eq!((config.host.max_token_bytes, config.host.event_queue), (1_048_576, 1));
    }

    #[test]
    fn a_file_is_a_path_or_a_bare_name() {
        let text = "[[plugin]]\nname = 'a-b.c'\n[[plugin]]\nname = 'b'\nfile = 'signed'\n[[plugin]]\nname = 'c'\n\
                    file = 'libx.so'\n[[plugin]]\nname = 'd'\nfile = 'sub/x'";
        let config = parse(text).unwrap();
        let files: Vec<&LibraryName> = config.plugins.iter().map(|plugin| &plugin.file).collect();
        let base = Path::new(if cfg!(windows) { r"C:\etc\token" } else { "/etc/token" });
        let path = |name: &str| LibraryName::Path(PathBuf::from(base).join(name));
        let bare = |name: &str| LibraryName::Bare(name.to_owned());
        assert_eq!(files, [&bare("token_a_b.c"), &bare("signed"), &path("libx.so"), &path("sub/x")]);
    }

    #[test]
    fn an_entry_s_values_are_checked() {
        let text = "[[plugin]]\nname = 'a b'\nfile = ''\nsha256 = 'zz'\non_error = 'ignore'\n\
                    [[plugin]]\nname = ''\n[[plugin]]\nname = 'ok'\ntryfirst = true\ntrylast = true\n\
                    [host]\ndrop_in = ''\nsearch = ['']";
        let name = "`name` must be 1 to 64 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`";
        let folder = "must name a folder (`.` is the configuration's own)";
        assert_eq!(
            parse(text).unwrap_err(),
            format!(
                "<string>:2:8: plugin \"a b\": {name}\n\
                 <string>:3:8: plugin \"a b\": `file` must be a library's bare name (`token_signed`) or its path\n\
                 <string>:4:10: plugin \"a b\": `sha256` must be 64 hexadecimal digits, as `sha256sum` prints them\n\
                 <string>:5:12: plugin \"a b\": `on_error` must be \"stop\" or \"continue\"\n\
                 <string>:7:8: plugin \"\": {name}\n\
                 <string>:11:11: warning: plugin \"ok\": `tryfirst` and `trylast` are both true: `trylast` wins, as in \
                 pluggy\n\
                 <string>:13:11: `drop_in` {folder}\n\
                 <string>:14:11: `search` {folder}"
            )
        );
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        let pin = |digits: &str| parse(&format!("[[plugin]]\nname = 'a'\nsha256 = '{digits}'"));
        let mut expected = [0_u8; 32];
        expected[0] = 0xAB;
        expected[31] = 0x1F;
        let digits = format!("aB{}1f", "0".repeat(60));
        assert_eq!(pin(&digits).unwrap().plugins[0].sha256, Some(expected));
        assert!(pin(&digits[..63]).is_err());
        assert!(pin(&digits[..62]).is_err());
        assert!(pin(&format!("{digits}0")).is_err());
    }

    #[test]
    fn a_refused_configuration_makes_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[[plugin]]\nname = 'a'\nunknown = 1\nconfig.secret = { file = 'secret', generate = true }";
        let found = Config::parse(text, Origin::Text, folder.path(), MakeSecrets::Create).unwrap_err();
        assert_eq!(found.iter().count(), 2, "{found}");
        assert!(!folder.path().join("secret").exists());
    }
}
