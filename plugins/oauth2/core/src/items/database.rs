//! [`Database`]: items in SQLite or PostgreSQL, by the layer that the database handler keeps its tokens with.

use token_database_core::{DatabaseItem, ItemDatabase, Write};
use token_plugin_api::{Migrations, PluginError, Result};

use super::{Answer, Item, Items, Key, Next, Proof, Stored};

/// Items in a database.
#[derive(Debug)]
pub(crate) struct Database(ItemDatabase);

impl Database {
    pub(crate) fn new(items: ItemDatabase) -> Self {
        Self(items)
    }
}

fn write(stored: &Stored, expires_at: Option<u64>) -> Result<Write> {
    Ok(Write { value: stored.to_json()?, expires_at })
}

fn item(read: Option<DatabaseItem>) -> Result<Option<Item>> {
    let Some(DatabaseItem { value, version, .. }) = read else { return Ok(None) };
    Ok(Some(Item { stored: Stored::from_json(&value)?.into(), proof: Proof::Version(version) }))
}

fn bytes(key: &Key) -> Vec<u8> {
    key.to_bytes().to_vec()
}

impl Items for Database {
    fn get_at_once(&self, key: &Key, now: u64) -> Option<Result<Option<Item>>> {
        Some(self.0.get_at_once(&key.to_bytes(), now)?.and_then(item))
    }

    fn get(&self, key: Key, now: u64) -> Answer<'_, Option<Item>> {
        Box::pin(async move { item(self.0.get(bytes(&key), now).await?) })
    }

    fn put(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, ()> {
        Box::pin(async move { self.0.put(bytes(&key), write(&stored, expires_at)?, now).await })
    }

    fn add(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, bool> {
        Box::pin(async move { self.0.add(bytes(&key), write(&stored, expires_at)?, now).await })
    }

    fn swap(&self, key: Key, read: Proof, next: Next, now: u64) -> Answer<'_, bool> {
        Box::pin(async move {
            let Proof::Version(read) = read else { return Err(PluginError::failed("an item of another backend")) };
            let next = match next {
                Next::Is(stored, expires_at) => Some(write(&stored, expires_at)?),
                Next::Nothing => None,
            };
            self.0.swap(bytes(&key), read, next, now).await
        })
    }

    fn remove(&self, key: Key, now: u64) -> Answer<'_, bool> {
        Box::pin(self.0.remove(bytes(&key), now))
    }

    fn note(&self, set: Key, member: Key, expires_at: Option<u64>, now: u64) -> Answer<'_, ()> {
        Box::pin(self.0.note(bytes(&set), bytes(&member), expires_at, now))
    }

    fn members(&self, set: Key, now: u64) -> Answer<'_, Vec<Key>> {
        Box::pin(async move {
            let members = self.0.members(bytes(&set), now).await?;
            Ok(members.iter().filter_map(|member| Key::from_bytes(member)).collect())
        })
    }

    fn forget(&self, set: Key, members: Vec<Key>, _: u64) -> Answer<'_, ()> {
        Box::pin(self.0.forget(bytes(&set), members.iter().map(bytes).collect()))
    }

    fn migrate(&self, check: bool, now: u64) -> Answer<'_, Migrations> {
        Box::pin(self.0.migrate(check, now))
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}
