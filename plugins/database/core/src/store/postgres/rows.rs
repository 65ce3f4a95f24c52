//! What PostgreSQL answers.

use token_plugin_api::InactiveActor;
use tokio_postgres::{Client, Error, Row};

use crate::store::sql::{KnownRow, RecordRow, Statement, from_column};

/// Runs a statement.
pub(super) async fn query(client: &Client, statement: &Statement) -> Result<Vec<Row>, Error> {
    let parameters: Vec<_> = statement.parameters.iter().map(|parameter| parameter.typed()).collect();
    client.query_typed(&statement.text, &parameters).await
}

pub(super) fn known(row: &Row) -> Result<KnownRow, Error> {
    Ok(KnownRow {
        id: row.try_get(0)?,
        actor_id: row.try_get(1)?,
        generator_id: row.try_get(2)?,
        expires_at: row.try_get(3)?,
        restrictions: row.try_get(4)?,
        policy: row.try_get(5)?,
        invalid_at: row.try_get(6)?,
        invalid_reason: row.try_get(7)?,
        inactive_since: row.try_get(8)?,
    })
}

pub(super) fn record(row: &Row) -> Result<RecordRow, Error> {
    Ok(RecordRow {
        id: row.try_get(0)?,
        actor_id: row.try_get(1)?,
        generator_id: row.try_get(2)?,
        created_at: row.try_get(3)?,
        expires_at: row.try_get(4)?,
        restrictions: row.try_get(5)?,
        policy: row.try_get(6)?,
        hint: row.try_get(7)?,
        updated_at: row.try_get(8)?,
        note: row.try_get(9)?,
        auto_generated: row.try_get(10)?,
        extra: row.try_get(11)?,
        last_used_at: row.try_get(12)?,
        invalid_at: row.try_get(13)?,
        invalid_reason: row.try_get(14)?,
    })
}

/// Columns: id, actor.
pub(super) fn token_and_actor(row: &Row) -> Result<(i64, String), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Columns: actor, since, reason.
pub(super) fn inactive_actor(row: &Row) -> Result<InactiveActor, Error> {
    Ok(InactiveActor::new(row.try_get::<_, String>(0)?, from_column(row.try_get(1)?), row.try_get::<_, String>(2)?))
}
