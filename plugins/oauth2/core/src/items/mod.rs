//! [`Items`]: what a backend must be able to do to keep what the stores need: single items by key, sets of keys, and one
//! atomic step on a single item.
//!
//! The stores' promises are made from these alone, in [`store`](crate::store), once for all backends. So a backend needs no
//! transactions: a memcached can do it. What several items must agree on is decided by a swap of one of them.
//!
//! A backend judges nothing, and is free to forget what has expired. What it answers may have expired a moment ago: what that
//! is about says so itself.

mod database;
mod key;
mod memcached;
mod memory;
mod redis;
mod stored;

use std::{future::Future, pin::Pin, sync::Arc};

use token_plugin_api::{Migrations, PluginError, Result};

pub(crate) use database::Database;
pub(crate) use key::{Key, Kind};
pub(crate) use memcached::{Memcached, expiry};
pub(crate) use memory::Memory;
pub(crate) use redis::{Redis, Settings as RedisSettings};
pub(crate) use stored::{CodeRecord, FamilyRecord, RefreshRecord, Stored, TokenRecord};

/// An answer that is waited for. Dropped before it is there, what was asked for may be done or not.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// An item as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) stored: Arc<Stored>,
    pub(crate) proof: Proof,
}

/// What shows a backend that an item is still the one that was read. It prints as nothing.
#[derive(Clone)]
pub(crate) enum Proof {
    /// A number that the backend gives to each writing.
    Version(i64),
    /// The very bytes that it holds.
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("_")
    }
}

/// What becomes of an item in a swap.
#[derive(Debug)]
pub(crate) enum Next {
    /// It is replaced by this, until a time in Unix seconds, or for good.
    Is(Stored, Option<u64>),
    /// It is removed.
    Nothing,
}

/// A backend. Times are Unix seconds, by the host's clock; what expires is kept as long by the backend's own.
pub(crate) trait Items: Send + Sync + 'static {
    /// [`get`](Self::get) where nothing has to be waited for; `None`: it would be.
    fn get_at_once(&self, key: &Key, now: u64) -> Option<Result<Option<Item>>> {
        let _ = (key, now);
        None
    }

    /// The item with this key.
    fn get(&self, key: Key, now: u64) -> Answer<'_, Option<Item>>;

    /// Puts an item there, whatever was there before.
    fn put(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, ()>;

    /// Puts an item where there is none; whether there was none.
    fn add(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, bool>;

    /// Replaces or removes an item if it is still the one that was read; whether it was. Of several who do that at once a
    /// single one is told so.
    fn swap(&self, key: Key, read: Proof, next: Next, now: u64) -> Answer<'_, bool>;

    /// Removes an item; whether there was one.
    fn remove(&self, key: Key, now: u64) -> Answer<'_, bool>;

    /// Adds a key to a set, until a time or for good.
    fn note(&self, set: Key, member: Key, expires_at: Option<u64>, now: u64) -> Answer<'_, ()>;

    /// The keys of a set. They may name items that are gone.
    fn members(&self, set: Key, now: u64) -> Answer<'_, Vec<Key>>;

    /// Takes keys out of a set.
    fn forget(&self, set: Key, members: Vec<Key>, now: u64) -> Answer<'_, ()>;

    /// Brings the backend to the form that is needed, or says what that would change.
    fn migrate(&self, check: bool, now: u64) -> Answer<'_, Migrations> {
        let _ = (check, now);
        Box::pin(async { Err(PluginError::unsupported("migrate")) })
    }

    /// Which backend it is, without credentials: for messages.
    fn name(&self) -> &str;
}

impl std::fmt::Debug for dyn Items {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Items").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// Whether something that expires at this time has, at that one.
pub(crate) fn is_over(expires_at: Option<u64>, now: u64) -> bool {
    expires_at.is_some_and(|expires_at| now >= expires_at)
}
