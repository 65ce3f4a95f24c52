//! [`Config`]: the plugin's settings.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde::Deserialize;
use token_database_core::{ItemDatabase, PostgresConfig, SqliteConfig, Url};
use token_plugin_api::{HostHandle, PluginError, Result, Secret};

use crate::{
    forms::Form,
    items::{Database, Items, Memcached, Memory, Redis, RedisSettings},
    python::{PythonMemcached, Values},
};

/// The settings, as they are written in `[plugin.config]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The handler's name, and that of its stores.
    pub(crate) name: String,
    /// Where everything is kept: `memory:`, `memcached://a:11211,b:11211`, `redis://...`, `rediss://...`,
    /// `redis+cluster://a:7000,b:7001`, `rediss+cluster://...`, `sqlite:PATH` (relative to the configuration's folder) or `postgres://...`.
    pub(crate) url: Url,
    /// How things are kept there: `token-host`, or `python-oauth2`, as that library does, for the time of a move: with tokens
    /// and secrets in plain text.
    pub(crate) layout: Layout,
    /// Create a database, and bring it to the form that this version needs, when that turns out to be necessary.
    pub(crate) migrate: bool,
    /// What tokens that the handler makes look like: `opaque`, `uuid4` or `urandom`.
    pub(crate) token: Form,
    /// What tokens may look like that are asked for. The one above always.
    pub(crate) accept: Vec<Form>,
    /// What opaque tokens begin with, before a `_`.
    pub(crate) prefix: String,
    /// Seconds that a token lives for which no other life is asked. An hour: whoever holds an access token can use it.
    pub(crate) default_expires_seconds: u64,
    /// The client that tokens belong to which are made without naming one.
    pub(crate) default_client_id: String,
    /// What the id of an actor begins with that is a client, and no user. With none, a client could call itself like a user:
    /// see RFC 9700, §4.15.
    pub(crate) client_actor_prefix: String,
    /// What keys begin with on memcached and Redis, before a `:`: several hosts may share a server. In the other layout what
    /// that library calls `prefix`.
    pub(crate) key_prefix: String,
    pub(crate) memory: MemoryConfig,
    pub(crate) memcached: MemcachedConfig,
    pub(crate) redis: RedisConfig,
    pub(crate) sqlite: SqliteConfig,
    pub(crate) postgres: PostgresConfig,
}

/// Settings of `memory:`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MemoryConfig {
    /// How many items there may be: a token takes two to four. When it is full nothing is forgotten, and nothing new is
    /// taken in.
    pub(crate) max_items: usize,
}

/// Settings of `memcached://`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MemcachedConfig {
    /// How a key's server is chosen: as pylibmc does with `{"ketama": True}`, with `{"ketama": True, "hash": "md5"}`, or with
    /// `{"ketama_weighted": True}`.
    pub(crate) distribution: Distribution,
    /// How long a server may take to answer. Many times what it takes, and short enough that a dead one fails fast.
    pub(crate) timeout_ms: u64,
    /// For servers that want a password (memcached's ASCII authentication, `-Y`).
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    /// In the layout of python-oauth2, by which a Python client knows JSON: 1 is what python-memcached has for what its
    /// pickler wrote.
    pub(crate) flags: u32,
}

/// Settings of `redis://`, `rediss://`, and of clusters.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RedisConfig {
    /// How long a call may take, connecting included. Hundreds of times what Redis takes, and short enough that one that is
    /// gone fails fast.
    pub(crate) timeout_ms: u64,
    /// A file with the certificates that are trusted, in PEM, relative to the configuration's folder. Default: those that
    /// browsers trust.
    pub(crate) tls_root: Option<PathBuf>,
}

/// How things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Layout {
    #[serde(rename = "token-host")]
    TokenHost,
    #[serde(rename = "python-oauth2")]
    PythonOauth2,
}

/// How a key's server is chosen.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Distribution {
    Ketama,
    KetamaMd5,
    KetamaWeighted,
}

impl Default for MemcachedConfig {
    fn default() -> Self {
        Self { distribution: Distribution::Ketama, timeout_ms: 500, user: None, password: None, flags: 1 }
    }
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self { timeout_ms: 500, tls_root: None }
    }
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self { max_items: 1_000_000 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "oauth2".to_owned(),
            url: Url::new("memory:"),
            layout: Layout::TokenHost,
            migrate: true,
            token: Form::Opaque,
            accept: Vec::new(),
            prefix: "tho".to_owned(),
            default_expires_seconds: 3_600,
            default_client_id: "token-host".to_owned(),
            client_actor_prefix: String::new(),
            key_prefix: "oauth2".to_owned(),
            memory: MemoryConfig::default(),
            memcached: MemcachedConfig::default(),
            redis: RedisConfig::default(),
            sqlite: SqliteConfig::default(),
            postgres: PostgresConfig::default(),
        }
    }
}

impl Config {
    /// The backend that the settings want. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// When the URL is none of a backend.
    pub(crate) fn items(&self, host: &HostHandle) -> Result<Arc<dyn Items>> {
        let Self { url, migrate, sqlite, postgres, .. } = self;
        match url.as_str().split_once(':') {
            Some(("memory", "")) => Ok(Arc::new(Memory::new(self.memory.max_items))),
            Some(("memcached", servers)) => Ok(Arc::new(self.memcached(servers)?)),
            Some(("redis" | "rediss" | "redis+cluster" | "rediss+cluster", _)) => Ok(Arc::new(self.redis(host)?)),
            Some(("sqlite" | "postgres" | "postgresql", _)) => {
                let database = ItemDatabase::new(url.as_str(), *migrate, sqlite, postgres, host.folder())?;
                Ok(Arc::new(Database::new(database)))
            }
            _ => Err(PluginError::invalid_argument(
                "`url`: expected `memory:`, `memcached://HOST:PORT,...`, `redis://...`, `sqlite:PATH` or `postgres://...`",
            )),
        }
    }

    /// The same for the layout of python-oauth2.
    ///
    /// # Errors
    ///
    /// When the URL is none of a backend that this layout can be on.
    pub(crate) fn values(&self, host: &HostHandle) -> Result<Arc<dyn Values>> {
        match self.url.as_str().split_once(':') {
            Some(("memcached", servers)) => {
                Ok(Arc::new(PythonMemcached::new(self.memcached(servers)?, self.memcached.flags)))
            }
            Some(("redis" | "rediss" | "redis+cluster" | "rediss+cluster", _)) => Ok(Arc::new(self.redis(host)?)),
            _ => Err(PluginError::invalid_argument(
                "`layout`: python-oauth2 keeps things on memcached and Redis, expected `memcached://...` or `redis://...` \
                 in `url`",
            )),
        }
    }

    fn memcached(&self, servers: &str) -> Result<Memcached> {
        let servers = servers.strip_prefix("//").unwrap_or_default();
        Memcached::new(servers, &self.key_prefix, &self.memcached)
    }

    fn redis(&self, host: &HostHandle) -> Result<Redis> {
        let RedisConfig { timeout_ms, tls_root } = &self.redis;
        let settings = RedisSettings {
            url: Secret::new(self.url.as_str()),
            prefix: self.key_prefix.clone(),
            timeout: Duration::from_millis(*timeout_ms),
            tls_root: tls_root.as_ref().map(|path| host.folder().join(path)),
        };
        Redis::new(&settings).map_err(PluginError::invalid_argument)
    }
}
