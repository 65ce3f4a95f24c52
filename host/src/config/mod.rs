//! The configuration: `plugins.toml`, read strictly.
//!
//! ```text
//! text -> raw (as written: types, unknown keys) -> resolve (ranges, paths, secrets) -> Config
//! ```
//!
//! - Every finding of a text is reported, with line and column, not just the first; see [`Findings`].
//! - An unknown key is an error everywhere but in `[plugin.config]`, whose keys are the plugin's to know.
//! - A [`Config`] that exists is a checked one. It holds secrets, and shows them to nobody: not in `Debug`, not in a
//!   finding. A file's text is wiped after reading. What the TOML parser copies is not (strings spelt with escapes, the
//!   text of a syntax error): one more reason to write references rather than secrets.
//! - Nothing here looks at a library, or knows that plugins can be loaded at all.

pub(crate) mod bounded_file;
#[cfg(feature = "http")]
pub(crate) mod edit;
mod findings;
mod http;
mod http_rule;
mod keys;
pub(crate) mod lock_file;
mod oauth2;
mod plugin_settings;
mod raw;
mod report;
mod resolve;
pub(crate) mod secret_file;
mod secret_reference;

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;
use zeroize::Zeroizing;

use crate::admit::{Lock, PublicKey};

#[cfg(feature = "http")]
pub use edit::{EntryPlace, FlagChange};
pub use findings::{Finding, Findings, Origin, Place, Severity};
pub use http::{AdminSettings, HttpSettings, IdentityHeaders, Listen, TlsSettings};
pub use oauth2::{AccessTokenFormat, OAuth2Settings};
pub use plugin_settings::PluginSettings;
pub use raw::{OrderEntry, order_entries};

pub(crate) use resolve::{PLUGIN_NAME_RULE, is_plugin_name};

use raw::RawConfig;
use report::Report;
use resolve::Resolved;

/// A configuration, checked and resolved: paths are absolute, secrets are read.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it came from.
    pub origin: Origin,
    /// Its folder, absolute: what relative paths in it are relative to.
    pub folder: PathBuf,
    /// The `[host]` table.
    pub host: HostSettings,
    /// The `[preflight]` table.
    pub preflight: PreflightSettings,
    /// The `[trust]` table.
    pub trust: TrustSettings,
    /// The `[oauth2]` table; `None`: the host is no authorization server.
    pub oauth2: Option<OAuth2Settings>,
    /// The `[http]` table.
    pub http: HttpSettings,
    /// The `[[plugin]]` entries, in the order of the file.
    pub plugins: Vec<PluginEntry>,
    /// The `plugins.lock` beside the file, when there is one and it was asked for.
    pub lock: Option<Lock>,
    /// What the operator should know of a configuration that works: warnings and notices, in the order of the text.
    pub warnings: Vec<Finding>,
}

/// The `[host]` table. `HostSettings::default()` is what an absent table means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSettings {
    /// The folder of which every library is a plugin. Default: none, so that nothing loads that nobody named.
    pub drop_in: Option<PathBuf>,
    /// The folders where bare library names are looked up, in order. Default: none.
    pub search: Vec<PathBuf>,
    /// Longer tokens are refused before any handler sees them. From 1 to 1 MiB; default 8192 bytes, about what HTTP
    /// servers take as one header.
    pub max_token_bytes: usize,
    /// How many events are held for slow sinks before new ones are dropped. From 1 to 1,000,000; default 4096, a burst
    /// of some seconds at little memory.
    pub event_queue: usize,
    /// Larger libraries are refused. From 1 byte to 4 GiB; default 256 MiB: a copy of each is held in memory, and
    /// plugins with debug information stay well below.
    pub max_plugin_bytes: u64,
    /// Load libraries that others than root and the host's user can change. Default: false, since whoever can write
    /// the file becomes the host.
    pub danger_insecure_permissions: bool,
    /// Libraries that were replaced cannot be unloaded; when they take more bytes than this, the log says so. From 0
    /// to 1 TiB; default 256 MiB, some hundred replacements of a usual plugin.
    pub superseded_warning_bytes: u64,
}

/// The `[preflight]` table: how a plugin is tried in a child process before it is loaded.
/// `PreflightSettings::default()` is what an absent table means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreflightSettings {
    /// The executable that does it, a `token-host`. Default: the command line uses itself; an embedder names one here
    /// or with [`HostBuilder::preflight_program`](crate::HostBuilder::preflight_program), else there is no preflight,
    /// and a warning says so.
    pub program: Option<PathBuf>,
    /// How long a plugin may take for all of it, loading to dropping. From 1 ms to 10 minutes; default 10 s: a usual
    /// one takes a hundredth of a second, but a store may be slow to answer, and the machine busy.
    pub deadline: Duration,
    /// How much address space the child may have, where the system can limit it. From 16 MiB to 1 TiB; default 2 GiB:
    /// threads and allocators reserve much more than they use.
    pub max_memory_bytes: u64,
    /// How many seconds of processor time the child may take, where the system can limit it. From 1 to 600; default
    /// 10: more than any plugin needs, less than a loop takes.
    pub max_cpu_seconds: u64,
    /// The folder where plugins that passed are remembered. Default: `token-host/preflight` in the user's cache
    /// folder (`XDG_CACHE_HOME`, `~/.cache`); where there is none, they are remembered by the running host alone.
    pub cache: Option<PathBuf>,
    /// Load plugins without having tried them. Default: false, since a plugin that crashes when it is loaded then
    /// ends the host.
    pub danger_skip: bool,
}

/// The `[trust]` table. `TrustSettings::default()` is what an absent table means: signatures are not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustSettings {
    /// The minisign keys of which one must have signed each plugin file. Default: none, signatures are not asked for.
    pub public_keys: Vec<PublicKey>,
    /// Refuse everything while there is no `plugins.lock`. Default: false, and who removes the lock removes its effect.
    pub require_lock: bool,
}

/// One `[[plugin]]` entry.
#[derive(Debug, Clone)]
pub struct PluginEntry {
    /// What messages and the order call it: unique, 1 to 64 of the characters A-Z, a-z, 0-9, `_`, `.` and `-`.
    pub name: String,
    /// The library. Default: the bare name `token_NAME`.
    pub file: LibraryName,
    /// What the library's SHA-256 must be. Default: not pinned.
    pub sha256: Option<[u8; 32]>,
    /// Call it before others. Default: what the plugin declares.
    pub tryfirst: Option<bool>,
    /// Call it after others. Default: what the plugin declares.
    pub trylast: Option<bool>,
    /// A statement that the plugin is, or is not, a wrapper, to be held against what it declares. Default: none made.
    pub wrapper: Option<bool>,
    /// What an error of this plugin means for the call. Default: [`OnError::Stop`].
    pub on_error: OnError,
    /// How long a blocking or async call may take. From 1 ms to 10 minutes; default 1 s: a caller waits for the answer.
    /// Inline handlers and wrappers cannot be interrupted: one that runs for longer is reported in the log, and counted.
    pub deadline: Duration,
    /// How long an operation on the tokens that a handler keeps may take: to list, invalidate, import them. From 1 ms to
    /// an hour; default 30 s: it may be about a million tokens, and an operator waits for it, not a request.
    pub manage_deadline: Duration,
    /// How many blocking calls may run at once, those that outlived their deadline included: the plugin's own threads,
    /// so that a stuck plugin leaves the others theirs. From 1 to 1024; default 16: they wait for a store, whose own
    /// pool is rarely larger.
    pub max_blocking_calls: usize,
    /// After how many failures in a row (`PluginError::failed`, deadlines; an answer of any kind ends the row) the plugin
    /// is tripped: its calls then fail at once. From 0, which is never, to 1,000,000; default 10: what fails as often is
    /// down, and its callers need not wait to hear so. Panics do not count: they are about what was asked.
    pub breaker_failures: u32,
    /// How long a tripped plugin is left alone before one call tries it again. From 1 ms to 10 minutes; default 5 s:
    /// time to breathe for a store that restarts, and little to wait for those who need it.
    pub breaker_pause: Duration,
    /// The plugin's own settings. Default: `{}`.
    pub settings: PluginSettings,
    /// What relative paths in the settings are relative to: the configuration's folder.
    pub folder: PathBuf,
    /// Where the entry begins; `None` when no configuration has it.
    pub place: Option<Place>,
}

impl PluginEntry {
    /// What a plugin without an entry of its own gets: every default.
    pub fn unwritten(name: impl Into<String>, settings: PluginSettings, folder: &Path) -> Self {
        resolve::unwritten(name.into(), settings, folder)
    }
}

/// How an entry names its library.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LibraryName {
    /// A name without prefix and ending, which are the platform's; looked up in `search`.
    Bare(String),
    /// A path, resolved: the value has a path separator, or ends in `.so`, `.dylib` or `.dll`.
    Path(PathBuf),
}

/// What an error of a plugin (not a rejection) means for the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnError {
    /// The call fails. The default, since a laxer handler must not accept because a stricter one was down.
    #[default]
    Stop,
    /// The next is asked; the error is still the answer if nobody accepts.
    Continue,
}

/// What `generate = true` does when the secret's file is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MakeSecrets {
    /// Makes it: 32 random bytes as hex, in a new file of mode 0600.
    Create,
    /// Makes one up for this run and writes nothing: for `check`.
    Ephemeral,
}

impl Config {
    /// Reads the file at `path`; relative paths in it are relative to its folder.
    ///
    /// # Errors
    ///
    /// Everything that is wrong: a file that cannot be read (missing, a folder, over 1 MiB, not UTF-8), text that is
    /// not TOML, unknown keys, wrong types, values out of range, names used twice, secrets that cannot be read.
    pub fn from_file(path: &Path, make: MakeSecrets) -> Result<Self, Findings> {
        let text = text_of(path)?;
        Self::parse(&text, Origin::File(path.to_owned()), path.parent().unwrap_or(Path::new("")), make)
    }

    /// Reads `text`; relative paths in it are relative to `base`, which is itself relative to the working directory.
    ///
    /// # Errors
    ///
    /// As [`Config::from_file`], the file's own aside.
    pub fn parse(text: &str, origin: Origin, base: &Path, make: MakeSecrets) -> Result<Self, Findings> {
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        // Made absolute now, so that a later change of the working directory changes nothing.
        let base = std::path::absolute(base).map_err(|error| {
            Finding::error(&origin, format!("the folder {} cannot be made absolute: {error}", base.display()))
        })?;
        let (resolved, warnings) = parsing(text, &origin, |document, report| {
            let raw = RawConfig::read(document, report);
            resolve::resolve(raw, &base, make, report)
        })?;
        let Resolved { host, preflight, trust, oauth2, http, plugins } = resolved;
        Ok(Self { origin, folder: base, host, preflight, trust, oauth2, http, plugins, lock: None, warnings })
    }

    /// Nothing at all: every default.
    pub(crate) fn empty() -> Self {
        Self {
            origin: Origin::Text,
            folder: std::path::absolute(".").unwrap_or_default(),
            host: HostSettings::default(),
            preflight: PreflightSettings::default(),
            trust: TrustSettings::default(),
            oauth2: None,
            http: HttpSettings::default(),
            plugins: Vec::new(),
            lock: None,
            warnings: Vec::new(),
        }
    }

    /// The folders where bare library names are looked up, in order.
    pub(crate) fn library_folders(&self) -> impl Iterator<Item = &Path> {
        self.host.drop_in.iter().chain(&self.host.search).map(PathBuf::as_path)
    }
}

/// The text of the configuration at `path`.
pub(crate) fn text_of(path: &Path) -> Result<Zeroizing<String>, Findings> {
    let origin = Origin::File(path.to_owned());
    let (mut bytes, _) = bounded_file::read(path, MAX_CONFIG_BYTES)
        .map_err(|problem| Finding::error(&origin, format!("cannot read the configuration: {problem}")))?;
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        let (end, bytes) = (error.utf8_error().valid_up_to(), Zeroizing::new(error.into_bytes()));
        let line = 1 + bytes[..end].iter().filter(|byte| **byte == b'\n').count();
        Finding::error(&origin, format!("expected UTF-8 text, found other bytes in line {line}"))
    })?;
    Ok(Zeroizing::new(text))
}

/// Parses `text` and has `read` look at it. All findings when one is an error, else what `read` made and the warnings.
///
/// It does so on a thread with a stack of its own: TOML's dotted keys within inline tables nest some 6,500 deep before
/// the parser's limits stop them, and freeing such a document overflows the stack of a usual thread.
fn parsing<T: Send>(
    text: &str,
    origin: &Origin,
    read: impl FnOnce(&DeTable<'_>, &mut Report<'_>) -> T + Send,
) -> Result<(T, Vec<Finding>), Findings> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let parse = || {
        let mut report = Report::new(origin, text);
        let made = match DeTable::parse(text) {
            Ok(document) => Some(read(document.get_ref(), &mut report)),
            Err(error) => {
                // Only its message: the error's own `Display` shows the line, which may hold a secret.
                report.error(report.place(&error.span().unwrap_or_default()), error.message());
                None
            }
        };
        let findings = report.finish()?;
        let unread = || Finding::error(origin, "the text could not be read");
        Ok((made.ok_or_else(unread)?, findings))
    };
    on_deep_stack(origin, parse)?
}

/// Does something on a thread whose stack is deep enough for every document that parses.
pub(crate) fn on_deep_stack<T: Send>(origin: &Origin, something: impl FnOnce() -> T + Send) -> Result<T, Findings> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("config".to_owned()).stack_size(PARSER_STACK_BYTES);
        let thread = thread
            .spawn_scoped(scope, something)
            .map_err(|error| Finding::error(origin, format!("cannot start a thread to read it: {error}")))?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Hundreds of plugins fit, and a wrong path (a log, a disk image) is refused at once.
const MAX_CONFIG_BYTES: usize = 1024 * 1024;

/// The deepest document that parses takes under 6 MiB in an unoptimized build. Pages not touched cost nothing.
const PARSER_STACK_BYTES: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests;
