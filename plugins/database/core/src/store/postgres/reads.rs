//! What only reads.

use token_plugin_api::{ActorPage, InactiveActor, Result, TokenRecord};
use tokio_postgres::{Row, error::SqlState, types::Type};

use super::{
    Postgres,
    hidden::Hidden,
    lanes::{Lanes, Plan},
    rows,
};
use crate::{
    digest::Digest,
    store::{
        Known, One, Page,
        sql::{self, Dialect},
    },
};

/// How lookups are made: by index, whatever is known of the tables. A plan is kept for as long as the connection, and
/// what was right for an empty table is not for a full one.
pub(super) fn look_ups() -> Plan {
    Plan {
        session: "SET plan_cache_mode TO force_generic_plan; SET enable_seqscan TO off; SET enable_bitmapscan TO off; \
            SET enable_hashjoin TO off; SET enable_mergejoin TO off",
        statement: sql::look_up(Dialect::Postgres),
    }
}

/// How items are read: one with a key that has not expired.
pub(super) fn items() -> Plan {
    let statement = "SELECT value, version FROM items WHERE key = $1 AND (expires_at IS NULL OR expires_at > $2)";
    Plan { statement: statement.to_owned(), ..look_ups() }
}

impl Postgres {
    /// The row of the item with a key that has not expired.
    pub(crate) async fn item_row(&self, key: &[u8], now: i64) -> Result<Option<Row>> {
        let row = row_of(&self.items, &[Hidden(&key), Hidden(&now)]).await?;
        row.map_err(|error| self.connector.failed(&error))
    }

    pub(super) async fn known(&self, digest: Digest) -> Result<Option<Known>> {
        let row = row_of(&self.lookups, &[Hidden(&digest)]).await?;
        let known = row.and_then(|row| row.as_ref().map(rows::known).transpose());
        Ok(known.map_err(|error| self.connector.failed(&error))?.map(sql::KnownRow::into_known))
    }

    pub(super) async fn record_of(&self, which: One) -> Result<Option<TokenRecord>> {
        Ok(self.records(&sql::record(Dialect::Postgres, &which)).await?.pop())
    }

    pub(super) async fn page(&self, page: Page) -> Result<Vec<TokenRecord>> {
        self.records(&sql::list(Dialect::Postgres, &page)).await
    }

    pub(super) async fn one_inactive_actor(&self, actor_id: String) -> Result<Option<InactiveActor>> {
        const TEXT: &str = "SELECT actor_id, since, reason FROM inactive_actors WHERE actor_id = $1";
        let failed = |error| self.connector.failed(&error);
        let mut lease = self.pool.take().await?;
        let rows = lease.client().query_typed(TEXT, &[(&actor_id as _, Type::TEXT)]).await.map_err(failed)?;
        lease.done();
        rows.first().map(rows::inactive_actor).transpose().map_err(failed)
    }

    pub(super) async fn inactive_actors(&self, after: Option<String>, limit: u32) -> Result<ActorPage> {
        const TEXT: &str = "SELECT actor_id, since, reason FROM inactive_actors \
            WHERE $1::text IS NULL OR actor_id > $1 ORDER BY actor_id LIMIT $2";
        let failed = |error| self.connector.failed(&error);
        // One more tells whether there is a next page.
        let most = i64::from(limit) + 1;
        let mut lease = self.pool.take().await?;
        let parameters = [(&after as _, Type::TEXT), (&most as _, Type::INT8)];
        let rows = lease.client().query_typed(TEXT, &parameters).await.map_err(failed)?;
        lease.done();
        let mut actors = rows.iter().map(rows::inactive_actor).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let has_next = actors.len() > limit as usize;
        actors.truncate(limit as usize);
        let next = actors.last().filter(|_| has_next).map(|last| last.actor_id.clone());
        Ok(ActorPage::new(actors, next))
    }

    async fn records(&self, statement: &sql::Statement) -> Result<Vec<TokenRecord>> {
        let mut lease = self.pool.take().await?;
        let rows = rows::query(lease.client(), statement).await.map_err(|error| self.connector.failed(&error))?;
        lease.done();
        rows.iter().map(|row| self.token_record(row)).collect()
    }

    pub(super) fn token_record(&self, row: &tokio_postgres::Row) -> Result<TokenRecord> {
        let row = rows::record(row).map_err(|error| self.connector.failed(&error))?;
        row.into_record().map_err(|error| self.connector.error(error))
    }
}

/// The one row that lanes give with these parameters.
async fn row_of(lanes: &Lanes, parameters: &[Hidden<'_>]) -> Result<Result<Option<Row>, tokio_postgres::Error>> {
    // Connections that were closed between two calls are no trouble of this one's: each may have been.
    let mut tries = lanes.count();
    loop {
        match lanes.ready().await?.row(parameters).await {
            Err(error) if is_gone(&error) && tries > 0 => tries -= 1,
            row => return Ok(row),
        }
    }
}

/// Whether it is the connection that failed, and nothing else.
fn is_gone(error: &tokio_postgres::Error) -> bool {
    let shutdown = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    error.is_closed() || error.code().is_some_and(|code| shutdown.contains(code))
}
