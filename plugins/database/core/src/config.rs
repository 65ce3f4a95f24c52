//! [`Config`]: the settings as they are written.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Deserializer, de::IntoDeserializer};
use token_plugin_api::{PluginError, Result, Secret, Secrets};
use zeroize::Zeroizing;

use crate::forms::Form;

/// The settings of the handler. Those of policies and generators have Djblets' names where it has one.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The handler's name, by which callers choose it. Default `database`: another one for each further entry.
    pub(crate) name: String,
    /// Where the tokens are: `sqlite:PATH`, relative to the configuration's folder, or `postgres://...`. Default
    /// `sqlite:tokens.db`.
    pub(crate) url: Url,
    /// Create the database, and bring it to the form that this version needs, when that turns out to be necessary.
    /// Otherwise `token-host migrate` does, and until then no token can be judged. Default true.
    pub(crate) migrate: bool,

    /// What the tokens of the generator `token_host` begin with, before `_`. Default `tht`.
    pub(crate) prefix: String,
    /// The generator of tokens that name none (`DJBLETS_DEFAULT_API_TOKEN_GENERATOR`). Default `token_host`.
    pub(crate) default_token_generator: String,
    /// Generators whose tokens work and should be replaced (`DJBLETS_DEPRECATED_TOKEN_GENERATORS`). Default
    /// `legacy_sha1`.
    pub(crate) deprecated_token_generators: Vec<String>,
    /// What tokens may look like: the ids of generators, of any plugin, and `django_rest_knox` and
    /// `datasette_auth_tokens` for imported ones. Others are left to other handlers, without asking the database. With
    /// `token_host` alone the handler claims its prefix. Default: all that this plugin knows.
    pub(crate) accept: Vec<Form>,
    /// A secret that is mixed into what is kept of tokens (HMAC), or several for rotation: the first is used, tokens that
    /// are kept under another, or none, are moved to it at their next use. Without it a digest is a plain SHA-256.
    pub(crate) pepper: Option<Secrets>,

    /// Seconds that a token lives when nobody says how long. Default: for ever.
    pub(crate) default_expires_seconds: Option<u64>,
    /// Seconds between two notes of when a token was last used; 0: it is not noted. Default 60.
    pub(crate) last_used_seconds: u64,
    /// What a policy means for what none of its rules names. Default `allow`, as in Djblets. A token that has no policy may
    /// do all that its actor may, in either case.
    pub(crate) policy_default: PolicyDefault,
    /// The ids of the resources that policies may name. Default: any.
    pub(crate) policy_resources: Option<Vec<String>>,

    /// Verifications that are kept in memory.
    pub(crate) cache: CacheConfig,
    /// How SQLite is used.
    pub(crate) sqlite: SqliteConfig,
    /// How PostgreSQL is used.
    pub(crate) postgres: PostgresConfig,
}

/// A database's URL. It prints as nothing: there may be a password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Zeroizing<String>);

impl Url {
    /// A URL.
    pub fn new(url: &str) -> Self {
        Self(url.to_owned().into())
    }

    /// The URL, with the password that may be in it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether somebody could read a password in it.
    fn has_password(url: &str) -> bool {
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let user = authority.split(['/', '?']).next().unwrap_or("").rsplit_once('@').map_or("", |(user, _)| user);
        user.contains(':') || url.contains("password=")
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let url = Zeroizing::new(String::deserialize(deserializer)?);
        if Self::has_password(&url) {
            // Read as what it is, for the warning should it stand in the configuration itself.
            Secret::deserialize(IntoDeserializer::<D::Error>::into_deserializer(url.as_str()))?;
        }
        Ok(Self(url))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Url([url])")
    }
}

/// What a policy means for what none of its rules names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PolicyDefault {
    #[default]
    Allow,
    Deny,
}

/// Verifications that are kept in memory. What any host changes is heard by all; while that cannot be heard, nothing in
/// the cache is used.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CacheConfig {
    /// How many tokens. Default 0: none, and each verification asks the database.
    pub(crate) tokens: usize,
    /// Seconds that a token that was found is kept. Default 60.
    pub(crate) seconds: u64,
    /// Seconds that it is kept that there is no such token. Default 10.
    pub(crate) unknown_seconds: u64,
}

/// How SQLite is used.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqliteConfig {
    /// KiB of the file that each of its connections may keep in memory. There are two a core. Default 64 MiB.
    pub(crate) cache_kib: u32,
    /// Bytes of the file that are mapped into memory, which is faster than reading it. Default 0: when somebody cuts a
    /// mapped file short, the process that reads it ends.
    pub(crate) danger_mmap_bytes: u64,
}

/// How PostgreSQL is used.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresConfig {
    /// The schema in which the tables are. Default `token_host`.
    pub(crate) schema: String,
    /// Connections for lookups, each with many in flight. Default 4.
    pub(crate) connections: usize,
    /// Connections for tokens that are made, and as many for everything else. Default 4.
    pub(crate) transactions: usize,
    /// A file with the certificates that are trusted, in PEM. Default: those that browsers trust.
    pub(crate) tls_root: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "database".to_owned(),
            url: Url::new("sqlite:tokens.db"),
            migrate: true,
            prefix: "tht".to_owned(),
            default_token_generator: "token_host".to_owned(),
            deprecated_token_generators: vec!["legacy_sha1".to_owned()],
            accept: Form::ALL.map(Form::named).to_vec(),
            pepper: None,
            default_expires_seconds: None,
            last_used_seconds: 60,
            policy_default: PolicyDefault::Allow,
            policy_resources: None,
            cache: CacheConfig::default(),
            sqlite: SqliteConfig::default(),
            postgres: PostgresConfig::default(),
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { tokens: 0, seconds: 60, unknown_seconds: 10 }
    }
}

impl Default for SqliteConfig {
    fn default() -> Self {
        Self { cache_kib: 64 * 1024, danger_mmap_bytes: 0 }
    }
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self { schema: "token_host".to_owned(), connections: 4, transactions: 4, tls_root: None }
    }
}

/// A cache that is larger wants another kind of cache.
const MAX_CACHED_TOKENS: usize = 10_000_000;
/// Whatever was missed is made up for after this time.
const MAX_CACHE_SECONDS: u64 = 3_600;
/// A shorter one can be tried out.
const MIN_PEPPER_BYTES: usize = 16;

impl Config {
    /// What is wrong with the settings.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(PluginError::invalid_argument(message));
        if self.name.is_empty() {
            return wrong("`name`: it is empty".to_owned());
        }
        if self.accept.is_empty() {
            return wrong("`accept`: expected at least one form of token".to_owned());
        }
        let default = Form::named(&self.default_token_generator);
        if matches!(default, Form::Known(_)) && !self.accept.contains(&default) {
            return wrong("`default_token_generator`: its tokens are not among what `accept` names".to_owned());
        }
        if self.default_expires_seconds == Some(0) {
            return wrong("`default_expires_seconds`: expected at least 1 s".to_owned());
        }
        if self.cache.tokens > MAX_CACHED_TOKENS {
            return wrong(format!("`cache.tokens`: expected at most {MAX_CACHED_TOKENS}"));
        }
        for (name, seconds) in
            [("cache.seconds", self.cache.seconds), ("cache.unknown_seconds", self.cache.unknown_seconds)]
        {
            if seconds > MAX_CACHE_SECONDS {
                return wrong(format!("`{name}`: expected at most {MAX_CACHE_SECONDS} s"));
            }
        }
        for pepper in self.pepper.iter().flat_map(Secrets::iter) {
            if pepper.expose().len() < MIN_PEPPER_BYTES {
                return wrong(format!("`pepper`: expected at least {MIN_PEPPER_BYTES} random bytes"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_seen() {
        for url in ["postgres://root:hunter2@db/tokens", "postgres://db/tokens?user=root&password=x"] {
            assert!(Url::has_password(url), "{url}");
        }
        for url in ["sqlite:tokens.db", "postgres://root@db/tokens", "postgres://db:5432/tokens?x=a@b:c"] {
            assert!(!Url::has_password(url), "{url}");
        }
        let config: Config = serde_json::from_str(r#"{ "url": "postgres://root:hunter2@db/tokens" }"#).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
