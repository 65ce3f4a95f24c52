//! Rows and parameters in SQLite's form.

use rusqlite::{
    Connection, Row, ToSql,
    types::{ToSqlOutput, Type},
};
use token_plugin_api::TokenRecord;

use crate::store::{
    Known,
    sql::{KnownRow, Parameter, RecordRow, Statement},
};

/// The ids of what ended before `?1`, at most `?2`.
pub(super) const ENDED: &str = "SELECT id FROM invalid_tokens WHERE invalid_at < ?1 \
     UNION SELECT id FROM tokens WHERE expires_at < ?1 LIMIT ?2";

/// Notes that token `?1` was used at `?2`, if there is such a token.
pub(super) const USED: &str = "INSERT INTO token_uses (id, last_used_at) \
     SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM token_details WHERE id = ?1) \
     ON CONFLICT (id) DO UPDATE SET last_used_at = max(last_used_at, excluded.last_used_at)";

impl ToSql for Parameter {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Integer(number) => ToSqlOutput::from(*number),
            Self::Text(text) => ToSqlOutput::from(text.as_str()),
            Self::Texts(texts) => ToSqlOutput::from(serde_json::Value::from(texts.as_slice()).to_string()),
            Self::Digest(digest) => ToSqlOutput::from(digest.as_bytes()),
        })
    }
}

/// All rows that a statement selects.
pub(super) fn select<T>(
    connection: &Connection,
    statement: &Statement,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut prepared = connection.prepare_cached(&statement.text)?;
    prepared.query_map(rusqlite::params_from_iter(&statement.parameters), read)?.collect()
}

pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let row = KnownRow {
        id: row.get(0)?,
        actor_id: row.get(1)?,
        generator_id: row.get(2)?,
        expires_at: row.get(3)?,
        restrictions: row.get(4)?,
        policy: row.get(5)?,
        invalid_at: row.get(6)?,
        invalid_reason: row.get(7)?,
        inactive_since: row.get(8)?,
    };
    Ok(row.into_known())
}

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<TokenRecord> {
    let row = RecordRow {
        id: row.get(0)?,
        actor_id: row.get(1)?,
        generator_id: row.get(2)?,
        created_at: row.get(3)?,
        expires_at: row.get(4)?,
        restrictions: row.get(5)?,
        policy: row.get(6)?,
        hint: row.get(7)?,
        updated_at: row.get(8)?,
        note: row.get(9)?,
        auto_generated: row.get(10)?,
        extra: row.get(11)?,
        last_used_at: row.get(12)?,
        invalid_at: row.get(13)?,
        invalid_reason: row.get(14)?,
    };
    let unreadable = |error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error));
    row.into_record().map_err(unreadable)
}
