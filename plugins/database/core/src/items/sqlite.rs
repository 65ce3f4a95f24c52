//! Items in SQLite.

use rusqlite::{OptionalExtension, Transaction, params};
use token_plugin_api::Result;

use super::{DatabaseItem, EXPIRED_AT_ONCE, Write};
use crate::store::{
    Answer,
    sql::to_column,
    sqlite::{ItemRow, Sqlite},
};

impl ItemRow {
    /// The item, if it has not expired.
    fn live(self, now: u64) -> Option<DatabaseItem> {
        let Self { value, version, expires_at } = self;
        expires_at.is_none_or(|expires_at| expires_at > to_column(now)).then_some(DatabaseItem { value, version })
    }
}

impl Sqlite {
    pub(super) fn item_at_once(&self, key: &[u8], now: u64) -> Option<Result<Option<DatabaseItem>>> {
        Some(self.item_row_at_once(key)?.map(|row| row.and_then(|row| row.live(now))))
    }

    pub(super) fn item(&self, key: Vec<u8>, now: u64) -> Answer<'_, Option<DatabaseItem>> {
        let row = self.item_row(key);
        Box::pin(async move { Ok(row.await?.and_then(|row| row.live(now))) })
    }

    pub(super) fn put_item(&self, key: Vec<u8>, write: Write, version: i64, now: u64) -> Answer<'_, ()> {
        self.write(move |transaction| {
            expire(transaction, now)?;
            let mut statement = transaction.prepare_cached(
                "INSERT INTO items (key, value, version, expires_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) \
                 DO UPDATE SET (value, version, expires_at) = (excluded.value, excluded.version, excluded.expires_at)",
            )?;
            statement.execute(params![key, write.value, version, write.expires_at.map(to_column)]).map(drop)
        })
    }

    pub(super) fn add_item(&self, key: Vec<u8>, write: Write, version: i64, now: u64) -> Answer<'_, bool> {
        self.write(move |transaction| {
            expire(transaction, now)?;
            let mut statement = transaction.prepare_cached(
                "INSERT INTO items (key, value, version, expires_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) \
                 DO UPDATE SET (value, version, expires_at) = (excluded.value, excluded.version, excluded.expires_at) \
                 WHERE items.expires_at <= ?5",
            )?;
            let expires_at = write.expires_at.map(to_column);
            Ok(statement.execute(params![key, write.value, version, expires_at, to_column(now)])? > 0)
        })
    }

    pub(super) fn swap_item(
        &self,
        key: Vec<u8>,
        read: i64,
        write: Option<Write>,
        version: i64,
        now: u64,
    ) -> Answer<'_, bool> {
        self.write(move |transaction| {
            let now = to_column(now);
            let changed = match write {
                Some(write) => {
                    let mut statement = transaction.prepare_cached(
                        "UPDATE items SET value = ?4, version = ?5, expires_at = ?6 \
                         WHERE key = ?1 AND version = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
                    )?;
                    let expires_at = write.expires_at.map(to_column);
                    statement.execute(params![key, read, now, write.value, version, expires_at])?
                }
                None => {
                    let mut statement = transaction.prepare_cached(
                        "DELETE FROM items \
                         WHERE key = ?1 AND version = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
                    )?;
                    statement.execute(params![key, read, now])?
                }
            };
            Ok(changed > 0)
        })
    }

    pub(super) fn remove_item(&self, key: Vec<u8>, now: u64) -> Answer<'_, bool> {
        self.write(move |transaction| {
            let text = "DELETE FROM items WHERE key = ?1 RETURNING expires_at";
            let mut statement = transaction.prepare_cached(text)?;
            let removed: Option<Option<i64>> = statement.query_row([key], |row| row.get(0)).optional()?;
            Ok(removed.is_some_and(|expires_at| expires_at.is_none_or(|expires_at| expires_at > to_column(now))))
        })
    }

    pub(super) fn note_member(
        &self,
        set: Vec<u8>,
        member: Vec<u8>,
        expires_at: Option<u64>,
        now: u64,
    ) -> Answer<'_, ()> {
        self.write(move |transaction| {
            expire(transaction, now)?;
            let mut statement = transaction.prepare_cached(
                "INSERT INTO item_sets (item_set, member, expires_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (item_set, member) DO UPDATE SET expires_at = excluded.expires_at",
            )?;
            statement.execute(params![set, member, expires_at.map(to_column)]).map(drop)
        })
    }

    pub(super) fn members(&self, set: Vec<u8>, now: u64) -> Answer<'_, Vec<Vec<u8>>> {
        self.read(Vec::new(), move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT member FROM item_sets WHERE item_set = ?1 AND (expires_at IS NULL OR expires_at > ?2) \
                 ORDER BY member",
            )?;
            statement.query_map(params![set, to_column(now)], |row| row.get(0))?.collect()
        })
    }

    pub(super) fn forget_members(&self, set: Vec<u8>, members: Vec<Vec<u8>>) -> Answer<'_, ()> {
        self.write(move |transaction| {
            let text = "DELETE FROM item_sets WHERE item_set = ?1 AND member = ?2";
            let mut statement = transaction.prepare_cached(text)?;
            members.iter().try_for_each(|member| statement.execute(params![set, member]).map(drop))
        })
    }
}

/// Deletes a few of the items, and of the members of sets, that have expired.
fn expire(transaction: &Transaction<'_>, now: u64) -> rusqlite::Result<()> {
    for text in [
        "DELETE FROM items WHERE key IN (SELECT key FROM items WHERE expires_at <= ?1 LIMIT ?2)",
        "DELETE FROM item_sets WHERE (item_set, member) IN \
         (SELECT item_set, member FROM item_sets WHERE expires_at <= ?1 LIMIT ?2)",
    ] {
        transaction.prepare_cached(text)?.execute(params![to_column(now), EXPIRED_AT_ONCE])?;
    }
    Ok(())
}
