//! Items in PostgreSQL.

use token_plugin_api::Result;
use tokio_postgres::types::{ToSql, Type};

use super::{DatabaseItem, EXPIRED_AT_ONCE, Write};
use crate::store::{postgres::Postgres, sql::to_column};

impl Postgres {
    pub(super) async fn item(&self, key: Vec<u8>, now: u64) -> Result<Option<DatabaseItem>> {
        let Some(row) = self.item_row(&key, to_column(now)).await? else { return Ok(None) };
        let read = || Ok(DatabaseItem { value: row.try_get(0)?, version: row.try_get(1)? });
        read().map(Some).map_err(|error| self.failed(&error))
    }

    pub(super) async fn put_item(&self, key: Vec<u8>, write: Write, version: i64, now: u64) -> Result<()> {
        self.insert_item(key, write, version, now, "").await.map(drop)
    }

    pub(super) async fn add_item(&self, key: Vec<u8>, write: Write, version: i64, now: u64) -> Result<bool> {
        self.insert_item(key, write, version, now, " WHERE items.expires_at <= $5").await
    }

    /// Inserts an item, or replaces one for which a condition holds; whether it did.
    async fn insert_item(&self, key: Vec<u8>, write: Write, version: i64, now: u64, replaced: &str) -> Result<bool> {
        // What has expired is deleted by the way; that of this very key is replaced.
        let text = format!(
            "WITH old AS (DELETE FROM items WHERE key IN (SELECT key FROM items \
             WHERE expires_at <= $5 AND key <> $1 LIMIT {EXPIRED_AT_ONCE} FOR UPDATE SKIP LOCKED)) \
             INSERT INTO items (key, value, version, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (key) \
             DO UPDATE SET (value, version, expires_at) = (excluded.value, excluded.version, excluded.expires_at)\
             {replaced} RETURNING 1"
        );
        let (expires_at, now) = (write.expires_at.map(to_column), to_column(now));
        let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
            (&key, Type::BYTEA),
            (&write.value, Type::BYTEA),
            (&version, Type::INT8),
            (&expires_at, Type::INT8),
            (&now, Type::INT8),
        ];
        Ok(!self.once(&text, &parameters).await?.is_empty())
    }

    pub(super) async fn swap_item(
        &self,
        key: Vec<u8>,
        read: i64,
        write: Option<Write>,
        version: i64,
        now: u64,
    ) -> Result<bool> {
        const UPDATE: &str = "UPDATE items SET value = $4, version = $5, expires_at = $6 \
            WHERE key = $1 AND version = $2 AND (expires_at IS NULL OR expires_at > $3) RETURNING 1";
        const DELETE: &str = "DELETE FROM items \
            WHERE key = $1 AND version = $2 AND (expires_at IS NULL OR expires_at > $3) RETURNING 1";
        let now = to_column(now);
        let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            vec![(&key, Type::BYTEA), (&read, Type::INT8), (&now, Type::INT8)];
        let expires_at = write.as_ref().and_then(|write| write.expires_at).map(to_column);
        let rows = match &write {
            None => self.once(DELETE, &parameters).await?,
            Some(write) => {
                parameters.push((&write.value, Type::BYTEA));
                parameters.extend([(&version as _, Type::INT8), (&expires_at as _, Type::INT8)]);
                self.once(UPDATE, &parameters).await?
            }
        };
        Ok(!rows.is_empty())
    }

    pub(super) async fn remove_item(&self, key: Vec<u8>, now: u64) -> Result<bool> {
        const TEXT: &str = "DELETE FROM items WHERE key = $1 RETURNING (expires_at IS NULL OR expires_at > $2)";
        let now = to_column(now);
        let rows = self.once(TEXT, &[(&key, Type::BYTEA), (&now, Type::INT8)]).await?;
        let removed = rows.first().map_or(Ok(false), |row| row.try_get(0));
        removed.map_err(|error| self.failed(&error))
    }

    pub(super) async fn note_member(
        &self,
        set: Vec<u8>,
        member: Vec<u8>,
        expires_at: Option<u64>,
        now: u64,
    ) -> Result<()> {
        let text = format!(
            "WITH old AS (DELETE FROM item_sets WHERE (item_set, member) IN (SELECT item_set, member FROM item_sets \
             WHERE expires_at <= $4 AND (item_set, member) <> ($1, $2) LIMIT {EXPIRED_AT_ONCE} FOR UPDATE SKIP LOCKED)) \
             INSERT INTO item_sets (item_set, member, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (item_set, member) DO UPDATE SET expires_at = excluded.expires_at"
        );
        let (expires_at, now) = (expires_at.map(to_column), to_column(now));
        let parameters: [(&(dyn ToSql + Sync), Type); 4] =
            [(&set, Type::BYTEA), (&member, Type::BYTEA), (&expires_at, Type::INT8), (&now, Type::INT8)];
        self.once(&text, &parameters).await.map(drop)
    }

    pub(super) async fn members(&self, set: Vec<u8>, now: u64) -> Result<Vec<Vec<u8>>> {
        const TEXT: &str = "SELECT member FROM item_sets \
            WHERE item_set = $1 AND (expires_at IS NULL OR expires_at > $2) ORDER BY member";
        let now = to_column(now);
        let rows = self.once(TEXT, &[(&set, Type::BYTEA), (&now, Type::INT8)]).await?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| self.failed(&error))
    }

    pub(super) async fn forget_members(&self, set: Vec<u8>, members: Vec<Vec<u8>>) -> Result<()> {
        const TEXT: &str = "DELETE FROM item_sets WHERE item_set = $1 AND member = ANY($2)";
        self.once(TEXT, &[(&set, Type::BYTEA), (&members, Type::BYTEA_ARRAY)]).await.map(drop)
    }
}
