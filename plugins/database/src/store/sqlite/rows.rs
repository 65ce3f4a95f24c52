//! Rows and conditions in SQLite's words.

use rusqlite::{Row, types::Value};
use token_plugin_api::TokenRecord;

use crate::store::{Conditions, Invalidated, Known};

/// What a verification asks.
pub(super) const LOOK_UP: &str = "SELECT t.id, t.actor_id, t.generator_id, t.expires_at, t.restrictions, t.policy, \
     i.invalid_at, i.reason, a.since \
     FROM tokens t LEFT JOIN invalid_tokens i ON i.id = t.id LEFT JOIN inactive_actors a ON a.actor_id = t.actor_id \
     WHERE t.digest = ?1";

/// What people ask, to be followed by `WHERE`.
pub(super) const RECORDS: &str = "SELECT t.id, t.actor_id, t.generator_id, t.created_at, t.expires_at, t.restrictions, \
     t.policy, d.hint, d.updated_at, d.note, d.auto_generated, d.extra, i.invalid_at, i.reason, u.last_used_at \
     FROM tokens t JOIN token_details d ON d.id = t.id LEFT JOIN invalid_tokens i ON i.id = t.id \
     LEFT JOIN token_uses u ON u.id = t.id";

/// The ids of what ended before `?1`, at most `?2`.
pub(super) const ENDED: &str = "SELECT id FROM invalid_tokens WHERE invalid_at < ?1 \
     UNION SELECT id FROM tokens WHERE expires_at < ?1 LIMIT ?2";

/// Notes that token `?1` was used at `?2`, if there is such a token.
pub(super) const USED: &str = "INSERT INTO token_uses (id, last_used_at) \
     SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM token_details WHERE id = ?1) \
     ON CONFLICT (id) DO UPDATE SET last_used_at = max(last_used_at, excluded.last_used_at)";

/// The tables that these conditions are about, and that of invalid tokens.
pub(super) fn tables_for(wanted: &Conditions) -> String {
    let mut tables = "tokens t LEFT JOIN invalid_tokens i ON i.id = t.id".to_owned();
    if wanted.note_contains.is_some() {
        tables.push_str(" JOIN token_details d ON d.id = t.id");
    }
    if wanted.unused_since.is_some() {
        tables.push_str(" LEFT JOIN token_uses u ON u.id = t.id");
    }
    tables
}

/// The conditions, with parameters from `?1` on.
pub(super) fn conditions(wanted: &Conditions) -> (String, Vec<Value>) {
    let Conditions { actors, generator_id, note_contains, policy, created_before, unused_since, expired, valid } =
        wanted;
    let (mut texts, mut parameters) = (vec!["TRUE".to_owned()], Vec::new());
    let mut with = |text: &str, parameter: Value| {
        parameters.push(parameter);
        texts.push(text.replace('?', &format!("?{}", parameters.len())));
    };
    if let Some(actors) = actors {
        // A list of any length is one parameter.
        let list = serde_json::Value::from(actors.as_slice()).to_string();
        with("t.actor_id IN (SELECT value FROM json_each(?))", list.into());
    }
    if let Some(generator_id) = generator_id {
        with("t.generator_id = ?", generator_id.clone().into());
    }
    if let Some(text) = note_contains {
        with("instr(d.note, ?) > 0", text.clone().into());
    }
    if let Some(policy) = policy {
        with("t.policy IS ?", policy.clone().into());
    }
    if let Some(time) = created_before {
        with("t.created_at < ?", signed(*time).into());
    }
    if let Some(time) = unused_since {
        with("max(t.created_at, COALESCE(u.last_used_at, t.created_at)) < ?", signed(*time).into());
    }
    match expired {
        Some((true, now)) => with("t.expires_at <= ?", signed(*now).into()),
        Some((false, now)) => with("(t.expires_at IS NULL OR t.expires_at > ?)", signed(*now).into()),
        None => {}
    }
    match valid {
        Some(true) => texts.push("i.id IS NULL".to_owned()),
        Some(false) => texts.push("i.id IS NOT NULL".to_owned()),
        None => {}
    }
    (texts.join(" AND "), parameters)
}

pub(super) fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let invalid_at: Option<i64> = row.get(6)?;
    let invalidated = match invalid_at {
        Some(at) => Some(Invalidated { at: unsigned(at), reason: row.get(7)? }),
        None => None,
    };
    Ok(Known {
        id: row.get(0)?,
        actor_id: row.get(1)?,
        generator_id: row.get(2)?,
        expires_at: row.get::<_, Option<i64>>(3)?.map(unsigned),
        restrictions: row.get(4)?,
        policy: row.get(5)?,
        invalidated,
        inactive_since: row.get::<_, Option<i64>>(8)?.map(unsigned),
    })
}

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<TokenRecord> {
    let (id, actor_id): (i64, String) = (row.get(0)?, row.get(1)?);
    let mut record = TokenRecord::new(id.to_string(), actor_id, unsigned(row.get(3)?));
    record.token_generator_id = row.get(2)?;
    record.expires_at = row.get::<_, Option<i64>>(4)?.map(unsigned);
    record.restrictions = json(row, 5)?;
    record.policy = json(row, 6)?;
    record.hint = Some(row.get(7)?);
    record.updated_at = Some(unsigned(row.get(8)?));
    record.note = Some(row.get::<_, String>(9)?).filter(|note| !note.is_empty());
    record.auto_generated = row.get(10)?;
    record.extra = json(row, 11)?.unwrap_or_default();
    record.invalid_at = row.get::<_, Option<i64>>(12)?.map(unsigned);
    record.valid = record.invalid_at.is_none();
    record.invalid_reason = row.get(13)?;
    record.last_used_at = row.get::<_, Option<i64>>(14)?.map(unsigned);
    Ok(record)
}

fn json<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let unreadable =
        |error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error));
    text.map(|text| serde_json::from_str(&text).map_err(unreadable)).transpose()
}

/// A time as SQLite keeps numbers. What is beyond is the end of time all the same.
pub(super) fn signed(unix_seconds: u64) -> i64 {
    i64::try_from(unix_seconds).unwrap_or(i64::MAX)
}

/// The other way; no time of ours is before 1970.
pub(super) fn unsigned(unix_seconds: i64) -> u64 {
    u64::try_from(unix_seconds).unwrap_or(0)
}
