//! [`ItemDatabase`]: single items by key, and sets of keys, in the same databases as tokens: for plugins that keep something
//! else, and want what is here already: one file or one schema, its migrations, connections that come back, lookups that
//! wait for nothing.
//!
//! Keys and values are bytes, and nothing is known here of what they mean. Times are Unix seconds and come with each call;
//! what has expired is not there, and is deleted by and by. What is answered is on the disk.

mod postgres;
mod sqlite;

use std::path::Path;

use token_plugin_api::{Migrations, PluginError, Result};

use crate::{
    config::{PostgresConfig, SqliteConfig},
    store::{self, Backend, Store},
};

/// An item as it was read.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseItem {
    /// What was put there.
    pub value: Vec<u8>,
    /// A number that no two writings have in common.
    pub version: i64,
}

/// What is to be written. It prints as nothing.
#[derive(Clone)]
pub struct Write {
    /// What is kept.
    pub value: Vec<u8>,
    /// Until when, in Unix seconds; none: for good.
    pub expires_at: Option<u64>,
}

impl std::fmt::Debug for DatabaseItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseItem")
    }
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Write")
    }
}

/// A database of items.
pub struct ItemDatabase(Backend);

impl std::fmt::Debug for ItemDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ItemDatabase").field(&self.name()).finish()
    }
}

/// Passes a call on to whichever it is, and waits for it.
macro_rules! passed_on {
    ($items:expr, $backend:ident => $call:expr) => {
        match &$items.0 {
            Backend::Sqlite($backend) => $call.await,
            Backend::Postgres($backend) => $call.await,
        }
    };
}

impl ItemDatabase {
    /// The database with this URL, as the handler has it. Paths are relative to this folder. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// When the URL is none of a database, or a setting makes no sense.
    pub fn new(
        url: &str,
        migrate: bool,
        sqlite: &SqliteConfig,
        postgres: &PostgresConfig,
        folder: &Path,
    ) -> Result<Self> {
        store::backend(url, migrate, sqlite, postgres, folder).map(Self)
    }

    /// The item with this key, where nothing has to be waited for; `None`: it would be.
    pub fn get_at_once(&self, key: &[u8], now: u64) -> Option<Result<Option<DatabaseItem>>> {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.item_at_once(key, now),
            Backend::Postgres(_) => None,
        }
    }

    /// The item with this key.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn get(&self, key: Vec<u8>, now: u64) -> Result<Option<DatabaseItem>> {
        passed_on!(self, backend => backend.item(key, now))
    }

    /// Puts an item there, whatever was there before.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn put(&self, key: Vec<u8>, write: Write, now: u64) -> Result<()> {
        let version = version()?;
        passed_on!(self, backend => backend.put_item(key, write, version, now))
    }

    /// Puts an item where there is none; whether there was none.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn add(&self, key: Vec<u8>, write: Write, now: u64) -> Result<bool> {
        let version = version()?;
        passed_on!(self, backend => backend.add_item(key, write, version, now))
    }

    /// Replaces an item, or removes it, if it has this version still; whether it had.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn swap(&self, key: Vec<u8>, read: i64, write: Option<Write>, now: u64) -> Result<bool> {
        let version = version()?;
        passed_on!(self, backend => backend.swap_item(key, read, write, version, now))
    }

    /// Removes an item; whether there was one.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn remove(&self, key: Vec<u8>, now: u64) -> Result<bool> {
        passed_on!(self, backend => backend.remove_item(key, now))
    }

    /// Adds a key to a set, until a time or for good.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn note(&self, set: Vec<u8>, member: Vec<u8>, expires_at: Option<u64>, now: u64) -> Result<()> {
        passed_on!(self, backend => backend.note_member(set, member, expires_at, now))
    }

    /// The keys of a set.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn members(&self, set: Vec<u8>, now: u64) -> Result<Vec<Vec<u8>>> {
        passed_on!(self, backend => backend.members(set, now))
    }

    /// Takes keys out of a set.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked.
    pub async fn forget(&self, set: Vec<u8>, members: Vec<Vec<u8>>) -> Result<()> {
        passed_on!(self, backend => backend.forget_members(set, members))
    }

    /// Brings the database to the form that is needed, or says what that would change.
    ///
    /// # Errors
    ///
    /// When the database cannot be asked, or is of a later version.
    pub async fn migrate(&self, check: bool, now: u64) -> Result<Migrations> {
        passed_on!(self, backend => backend.migrate(check, now))
    }

    /// Which database it is, without credentials.
    pub fn name(&self) -> &str {
        match &self.0 {
            Backend::Sqlite(sqlite) => sqlite.name(),
            Backend::Postgres(postgres) => postgres.name(),
        }
    }
}

/// How many of what has expired are deleted with each writing: more than come in, so that none are left in the end.
const EXPIRED_AT_ONCE: i64 = 4;

/// Counted up, an item that was removed and put back could be taken for what it was before.
fn version() -> Result<i64> {
    getrandom::u64().map(u64::cast_signed).map_err(PluginError::failed)
}
