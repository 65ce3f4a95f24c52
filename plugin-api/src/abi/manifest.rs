//! The manifest: what a plugin library says of itself, read from the file without running any of it.
//!
//! The export macro puts one byte string into a section of the library. Its form is
//!
//! ```text
//! MAGIC (16 bytes) · body length (u32, little endian) · body
//! body: records "key=value", each ended by a NUL byte, UTF-8
//! ```
//!
//! A static string rather than a table of pointers, so that it needs no relocation and survives
//! `strip`. Unknown keys are ignored, so later versions may add some.

use std::fmt;

/// The first bytes of a manifest. The last of them is the version of this format.
pub const MAGIC: &[u8; 16] = b"token-plugin\0\0\0\x01";

/// The level of the ABI that this crate exports: the major version of its boundary types.
pub const ABI_LEVEL: u32 = 1;

/// The `rustc` that compiled this crate, hence the plugin.
pub const RUSTC: &str = env!("TOKEN_PLUGIN_RUSTC");

/// Longest body that a reader accepts, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;

/// The name of the section that holds the manifest in an ELF library.
pub const SECTION_ELF: &str = ".token_plugin";
/// The name of the section that holds the manifest in a Mach-O library (segment `__DATA`).
pub const SECTION_MACHO: &str = "__token_plugin";
/// The name of the section that holds the manifest in a PE library.
pub const SECTION_PE: &str = ".tokplug";

/// The hooks that a plugin may fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Hook {
    /// [`TokenHandler`](crate::TokenHandler), in any of its executions.
    TokenHandler,
    /// [`Wrapper`](crate::Wrapper)
    Wrapper,
    /// [`EventSink`](crate::EventSink)
    EventSink,
    /// [`TokenGenerator`](crate::TokenGenerator)
    TokenGenerator,
    /// [`AccessTokenStore`](crate::AccessTokenStore), [`AuthCodeStore`](crate::AuthCodeStore) or
    /// [`ClientStore`](crate::ClientStore)
    Store,
}

impl Hook {
    /// Every hook of this version, in the order in which listings show them.
    pub const ALL: [Hook; 5] = [Hook::Wrapper, Hook::TokenHandler, Hook::EventSink, Hook::TokenGenerator, Hook::Store];

    /// The hook's name in manifests and listings.
    pub const fn name(self) -> &'static str {
        match self {
            Hook::TokenHandler => "handler",
            Hook::Wrapper => "wrapper",
            Hook::EventSink => "event_sink",
            Hook::TokenGenerator => "token_generator",
            Hook::Store => "store",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a plugin was told to treat a panic, from `-C panic`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanicStrategy {
    /// A panic unwinds to the fence and comes out as an error.
    Unwind,
    /// A panic ends the process: such a plugin is refused.
    Abort,
}

/// What a plugin library says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The plugin's name, as its author gave it.
    pub name: String,
    /// The plugin crate's version.
    pub version: String,
    /// One line of description, may be empty.
    pub description: String,
    /// The level of the ABI the plugin was built for: see [`ABI_LEVEL`].
    pub abi_level: u32,
    /// The version of this crate that the plugin was built with.
    pub api_version: String,
    /// `rustc --version` of the compiler that built the plugin.
    pub rustc: String,
    /// What the plugin does on a panic.
    pub panic: PanicStrategy,
    /// The hooks that the plugin fills.
    pub hooks: Vec<Hook>,
    /// Hook names that this version does not know.
    pub unknown_hooks: Vec<String>,
    /// The plugin was built with SHA and AVX instructions enabled statically, which makes hashing slow.
    pub static_sha_and_avx: bool,
    /// The plugin asks to be called before others.
    pub tryfirst: bool,
    /// The plugin asks to be called after others.
    pub trylast: bool,
}

/// Why bytes are not a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestError(String);

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    /// Reads a manifest from the content of its section. Padding after it is allowed.
    ///
    /// # Errors
    ///
    /// When the bytes do not start with [`MAGIC`], are cut short, are not UTF-8, or lack a key.
    pub fn parse(section: &[u8]) -> Result<Self, ManifestError> {
        let error = |message: &str| ManifestError(message.to_owned());
        let rest = section
            .strip_prefix(MAGIC.as_slice())
            .ok_or_else(|| error("manifest does not start with its magic bytes"))?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| error("manifest is cut short"))?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > MAX_BODY_BYTES {
            return Err(ManifestError(format!("manifest of {length} bytes is longer than {MAX_BODY_BYTES}")));
        }
        let body = rest.get(..length).ok_or_else(|| error("manifest is cut short"))?;
        let body = std::str::from_utf8(body).map_err(|_| error("manifest is not UTF-8"))?;
        let records: Vec<(&str, &str)> = body.split_terminator('\0').filter_map(|r| r.split_once('=')).collect();
        let value = |key: &str| records.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let required = |key: &str| value(key).ok_or_else(|| ManifestError(format!("manifest has no `{key}`")));
        let names = || records.iter().filter(|(k, _)| *k == "hook").map(|(_, v)| *v);
        Ok(Self {
            name: required("name")?.to_owned(),
            version: required("version")?.to_owned(),
            description: value("description").unwrap_or_default().to_owned(),
            abi_level: required("abi")?.parse().map_err(|_| error("manifest has an `abi` level that is no number"))?,
            api_version: required("api")?.to_owned(),
            rustc: required("rustc")?.to_owned(),
            panic: match required("panic")? {
                "unwind" => PanicStrategy::Unwind,
                _ => PanicStrategy::Abort,
            },
            hooks: names().filter_map(Hook::from_name).collect(),
            unknown_hooks: names().filter(|n| Hook::from_name(n).is_none()).map(str::to_owned).collect(),
            static_sha_and_avx: value("static_sha_and_avx") == Some("true"),
            tryfirst: value("tryfirst") == Some("true"),
            trylast: value("trylast") == Some("true"),
        })
    }
}

/// The length of a manifest with these records, for the macro's array type.
#[doc(hidden)]
pub const fn encoded_len(records: &[(&str, &str)]) -> usize {
    MAGIC.len() + 4 + body_len(records)
}

const fn body_len(records: &[(&str, &str)]) -> usize {
    let mut length = 0;
    let mut i = 0;
    while i < records.len() {
        length += records[i].0.len() + records[i].1.len() + 2;
        i += 1;
    }
    length
}

/// Writes a manifest at compile time. `N` is [`encoded_len`] of the same records.
///
/// # Panics
///
/// At compile time, when a value holds a NUL byte or the body is longer than [`MAX_BODY_BYTES`].
#[doc(hidden)]
pub const fn encode<const N: usize>(records: &[(&str, &str)]) -> [u8; N] {
    let body = body_len(records);
    assert!(body <= MAX_BODY_BYTES, "the plugin's manifest is too long: shorten its description");
    let mut out = [0; N];
    let mut at = put(&mut out, 0, MAGIC);
    at = put(&mut out, at, &(body as u32).to_le_bytes());
    let mut i = 0;
    while i < records.len() {
        at = put(&mut out, at, records[i].0.as_bytes());
        at = put(&mut out, at, b"=");
        at = put(&mut out, at, records[i].1.as_bytes());
        at += 1;
        i += 1;
    }
    out
}

const fn put<const N: usize>(out: &mut [u8; N], mut at: usize, bytes: &[u8]) -> usize {
    let is_magic = at == 0;
    let is_length = at == MAGIC.len();
    let mut i = 0;
    while i < bytes.len() {
        assert!(bytes[i] != 0 || is_magic || is_length, "a manifest value holds a NUL byte");
        out[at] = bytes[i];
        at += 1;
        i += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &[(&str, &str)] = &[
        ("name", "x"),
        ("version", "1.2.3"),
        ("abi", "1"),
        ("api", "1.0.0"),
        ("rustc", RUSTC),
        ("panic", "unwind"),
        ("hook", "handler"),
        ("hook", "teleporter"),
        ("tryfirst", "true"),
    ];
    const BYTES: [u8; encoded_len(RECORDS)] = encode(RECORDS);

    #[test]
    fn reads_back_what_was_written() {
        let mut padded = BYTES.to_vec();
        padded.extend([0; 7]);
        let manifest = Manifest::parse(&padded).unwrap();
        assert_eq!(manifest.name, "x");
        assert_eq!(manifest.hooks, [Hook::TokenHandler]);
        assert_eq!(manifest.unknown_hooks, ["teleporter"]);
        assert!(manifest.tryfirst && !manifest.trylast);
        assert!(manifest.rustc.starts_with("rustc "));
    }

    #[test]
    fn every_truncation_is_refused() {
        for length in 0..BYTES.len() {
            assert!(Manifest::parse(&BYTES[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_missing_panic_strategy_is_not_taken_for_unwind() {
        const NO_PANIC: &[(&str, &str)] =
            &[("name", "x"), ("version", "1"), ("abi", "1"), ("api", "1"), ("rustc", "r")];
        const ENCODED: [u8; encoded_len(NO_PANIC)] = encode(NO_PANIC);
        assert_eq!(Manifest::parse(&ENCODED).unwrap_err().to_string(), "manifest has no `panic`");
    }
}
