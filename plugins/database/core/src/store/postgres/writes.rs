//! What changes something, and tells hosts.

use token_plugin_api::{InactiveActor, Result, TokenRecord};
use tokio_postgres::{
    Client, Row,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{Postgres, hidden::Hidden, lanes::Plan, rows};
use crate::{
    cutoffs::Notice,
    digest::Digest,
    store::{
        Change, Inserted, Learned, NewToken, One, Which,
        sql::{self, Dialect, Parameter, Statement, to_column},
    },
};

/// How tokens are kept.
pub(super) fn inserts() -> Plan {
    const TEXT: &str = "WITH d AS ( \
            INSERT INTO token_details (hint, updated_at, note, auto_generated, extra) \
            VALUES ($1, $2, $3, $4, $5) RETURNING id \
        ) \
        INSERT INTO tokens (digest, id, actor_id, generator_id, created_at, expires_at, restrictions, policy) \
        SELECT $6::bytea, d.id, $7::text, $8::text, $2::bigint, $9::bigint, $10::text, $11::text FROM d RETURNING id";
    Plan { session: "", statement: TEXT.to_owned() }
}

impl Postgres {
    pub(super) async fn keep(&self, token: NewToken) -> Result<Inserted> {
        let (details, created_at) = (&token.details, to_column(token.created_at));
        let expires_at = token.expires_at.map(to_column);
        let parameters: [&(dyn ToSql + Sync); 11] = [
            &details.hint,
            &created_at,
            &details.note,
            &details.auto_generated,
            &details.extra,
            &token.digest,
            &token.actor_id,
            &token.generator_id,
            &expires_at,
            &token.restrictions,
            &token.policy,
        ];
        let row = self.inserts.ready().await?.row(&parameters.map(Hidden)).await;
        let id = row.and_then(|row| row.map(|row| row.try_get(0)).transpose());
        match id {
            Ok(Some(id)) => Ok(Inserted::As(id)),
            Ok(None) => Err(self.connector.error("it did not say which id the token has")),
            Err(error) if is_digest_taken(&error) => Ok(Inserted::DigestTaken),
            Err(error) => Err(self.connector.failed(&error)),
        }
    }

    pub(super) async fn make_invalid(&self, which: Which, at: u64, reason: String) -> Result<Vec<(i64, String)>> {
        let mut lease = self.pool.take().await?;
        let client = lease.client();
        let mut done = self.try_invalidate(client, plain_invalidation(&which, at, &reason)).await;
        // Some of them were invalidated by somebody else, just now.
        if done.as_ref().is_err_and(|error| error.code() == Some(&SqlState::UNIQUE_VIOLATION)) {
            done = self.try_invalidate(client, contested_invalidation(&which, at, &reason)).await;
        }
        let (tokens, notices) = done.map_err(|error| self.connector.failed(&error))?;
        lease.done();
        self.tell(&notices);
        Ok(tokens)
    }

    async fn try_invalidate(
        &self,
        client: &mut Client,
        statement: Statement,
    ) -> Result<(Vec<(i64, String)>, Vec<Notice>), tokio_postgres::Error> {
        let transaction = client.transaction().await?;
        let rows = rows::query(transaction.client(), &statement).await?;
        let tokens = rows.iter().map(rows::token_and_actor).collect::<Result<Vec<_>, _>>()?;
        let notices = Notice::of_actors(tokens.iter().map(|(_, actor)| actor.as_str()));
        self.notify(transaction.client(), &notices).await?;
        transaction.commit().await?;
        Ok((tokens, notices))
    }

    pub(super) async fn change(&self, which: One, change: Change, now: u64) -> Result<Option<TokenRecord>> {
        let failed = |error| self.connector.failed(&error);
        let mut lease = self.pool.take().await?;
        let transaction = lease.client().transaction().await.map_err(failed)?;
        let client = transaction.client();
        let mut statement = Statement::new(Dialect::Postgres, "SELECT t.id, t.actor_id FROM tokens t WHERE ");
        statement.one(&which).push(" FOR UPDATE");
        let rows = rows::query(client, &statement).await.map_err(failed)?;
        let Some((id, actor)) = rows.first().map(rows::token_and_actor).transpose().map_err(failed)? else {
            return Ok(None);
        };
        apply(client, id, &change, now).await.map_err(failed)?;
        let rows = rows::query(client, &sql::record(Dialect::Postgres, &One::Id(id))).await.map_err(failed)?;
        let record = rows.first().map(|row| self.token_record(row)).transpose()?;
        let notices = [Notice::Actor(actor)];
        self.notify(client, &notices).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        lease.done();
        self.tell(&notices);
        Ok(record)
    }

    pub(super) async fn delete_ended(&self, before: u64, dry_run: bool) -> Result<u64> {
        const COUNT: &str = "SELECT count(*) FROM ( \
            SELECT id FROM invalid_tokens WHERE invalid_at < $1 UNION SELECT id FROM tokens WHERE expires_at < $1 \
            ) AS ended JOIN tokens USING (id)";
        // Locked first: what is made valid meanwhile stays.
        const DELETE: &str = "WITH invalid AS (SELECT id FROM invalid_tokens WHERE invalid_at < $1 FOR UPDATE), \
            expired AS (SELECT id FROM tokens WHERE expires_at < $1 FOR UPDATE), \
            ended AS (SELECT id FROM invalid UNION SELECT id FROM expired), \
            t AS (DELETE FROM tokens USING ended WHERE tokens.id = ended.id RETURNING tokens.id), \
            d AS (DELETE FROM token_details USING ended WHERE token_details.id = ended.id), \
            i AS (DELETE FROM invalid_tokens USING ended WHERE invalid_tokens.id = ended.id), \
            u AS (DELETE FROM token_uses USING ended WHERE token_uses.id = ended.id) \
            SELECT count(*) FROM t";
        let before = to_column(before);
        let rows = self.once(if dry_run { COUNT } else { DELETE }, &[(&before, Type::INT8)]).await?;
        let count: Result<i64, _> = rows.first().map_or(Ok(0), |row| row.try_get(0));
        Ok(count.map_err(|error| self.connector.failed(&error))?.unsigned_abs())
    }

    pub(super) async fn set_inactive(
        &self,
        actors: Vec<String>,
        inactive: Option<(u64, String)>,
    ) -> Result<Vec<InactiveActor>> {
        const DEACTIVATE: &str = "WITH done AS ( \
            INSERT INTO inactive_actors (actor_id, since, reason) \
            SELECT DISTINCT actor_id COLLATE \"C\", $2::bigint, $3::text FROM unnest($1) AS actor_id ORDER BY 1 \
            ON CONFLICT (actor_id) DO NOTHING RETURNING actor_id, since, reason \
            ) SELECT actor_id, since, reason FROM done ORDER BY actor_id";
        const ACTIVATE: &str = "WITH found AS ( \
            SELECT actor_id FROM inactive_actors WHERE actor_id = ANY($1) ORDER BY actor_id FOR UPDATE \
            ), done AS ( \
            DELETE FROM inactive_actors USING found WHERE inactive_actors.actor_id = found.actor_id \
            RETURNING inactive_actors.actor_id, since, reason \
            ) SELECT actor_id, since, reason FROM done ORDER BY actor_id";
        let failed = |error| self.connector.failed(&error);
        let mut lease = self.pool.take().await?;
        let transaction = lease.client().transaction().await.map_err(failed)?;
        let client = transaction.client();
        let rows = match &inactive {
            None => client.query_typed(ACTIVATE, &[(&actors, Type::TEXT_ARRAY)]).await,
            Some((since, reason)) => {
                let since = to_column(*since);
                let parameters =
                    [(&actors as _, Type::TEXT_ARRAY), (&since as _, Type::INT8), (reason as _, Type::TEXT)];
                client.query_typed(DEACTIVATE, &parameters).await
            }
        };
        let rows = rows.map_err(failed)?;
        let changed = rows.iter().map(rows::inactive_actor).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let notices = Notice::of_actors(changed.iter().map(|actor| actor.actor_id.as_str()));
        self.notify(client, &notices).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        lease.done();
        self.tell(&notices);
        Ok(changed)
    }

    pub(super) async fn write_learned(&self, learned: Learned) -> Result<()> {
        const TEXT: &str = "WITH uses AS ( \
            INSERT INTO token_uses (id, last_used_at) \
            SELECT s.id, max(s.at) FROM unnest($1, $2) AS s (id, at) JOIN tokens t ON t.id = s.id \
            GROUP BY s.id ORDER BY s.id \
            ON CONFLICT (id) DO UPDATE SET last_used_at = EXCLUDED.last_used_at \
            WHERE token_uses.last_used_at < EXCLUDED.last_used_at \
            ) UPDATE tokens t SET digest = s.new FROM unnest($3, $4, $5) AS s (id, old, new) \
            WHERE t.id = s.id AND t.digest = s.old AND NOT EXISTS (SELECT 1 FROM tokens o WHERE o.digest = s.new)";
        let (used, at): (Vec<i64>, Vec<i64>) = learned.uses.iter().map(|(id, at)| (*id, to_column(*at))).unzip();
        let moved: Vec<i64> = learned.digests.iter().map(|(id, ..)| *id).collect();
        let (old, new): (Vec<Digest>, Vec<Digest>) = learned.digests.iter().map(|(_, old, new)| (*old, *new)).unzip();
        let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
            (&used, Type::INT8_ARRAY),
            (&at, Type::INT8_ARRAY),
            (&moved, Type::INT8_ARRAY),
            (&old, Type::BYTEA_ARRAY),
            (&new, Type::BYTEA_ARRAY),
        ];
        self.once(TEXT, &parameters).await.map(drop)
    }

    /// Has hosts told when the transaction is there.
    pub(super) async fn notify(&self, client: &Client, notices: &[Notice]) -> Result<(), tokio_postgres::Error> {
        const TEXT: &str = "SELECT pg_notify($1, what) FROM unnest($2) AS what";
        if notices.is_empty() {
            return Ok(());
        }
        let texts: Vec<String> = notices.iter().map(Notice::to_text).collect();
        let parameters = [(&self.connector.channel as _, Type::TEXT), (&texts as _, Type::TEXT_ARRAY)];
        client.query_typed(TEXT, &parameters).await.map(drop)
    }

    /// Runs one statement, which is a transaction of its own.
    pub(crate) async fn once(&self, text: &str, parameters: &[(&(dyn ToSql + Sync), Type)]) -> Result<Vec<Row>> {
        let mut lease = self.pool.take().await?;
        let rows = lease.client().query_typed(text, parameters).await;
        let rows = rows.map_err(|error| self.connector.failed(&error))?;
        lease.done();
        Ok(rows)
    }
}

/// Invalidates tokens, or fails when somebody else does: to be ready for that would take half as long again.
fn plain_invalidation(which: &Which, at: u64, reason: &str) -> Statement {
    let mut statement = invalidation(which, at, reason);
    statement.push(") SELECT id, actor_id FROM chosen ORDER BY id");
    statement
}

/// The same, whoever is at it.
fn contested_invalidation(which: &Which, at: u64, reason: &str) -> Statement {
    let mut statement = invalidation(which, at, reason);
    statement.push(" ON CONFLICT (id) DO NOTHING RETURNING id)");
    statement.push(" SELECT c.id, c.actor_id FROM chosen c JOIN done d ON d.id = c.id ORDER BY c.id");
    statement
}

/// Always in the order of ids: or two such statements might wait for each other.
fn invalidation(which: &Which, at: u64, reason: &str) -> Statement {
    let mut statement = sql::valid(Dialect::Postgres, which);
    statement.text = format!("WITH chosen AS ({}), done AS (", statement.text);
    statement.push("INSERT INTO invalid_tokens (id, invalid_at, reason) SELECT id, ");
    statement.bind(Parameter::Integer(to_column(at))).push(", ").bind(Parameter::Text(reason.to_owned()));
    statement.push(" FROM chosen");
    statement
}

/// Changes what is to change of a token that is locked.
async fn apply(client: &Client, id: i64, change: &Change, now: u64) -> Result<(), tokio_postgres::Error> {
    const TOKEN: &str = "UPDATE tokens SET policy = CASE WHEN $2 THEN $3 ELSE policy END, \
        expires_at = CASE WHEN $4 THEN $5 ELSE expires_at END WHERE id = $1";
    const DETAILS: &str = "UPDATE token_details SET note = COALESCE($2, note), updated_at = $3 WHERE id = $1";
    const INVALID: &str =
        "INSERT INTO invalid_tokens (id, invalid_at, reason) VALUES ($1, $2, '') ON CONFLICT DO NOTHING";
    const VALID: &str = "DELETE FROM invalid_tokens WHERE id = $1";
    if *change == Change::default() {
        return Ok(());
    }
    let now = to_column(now);
    if change.policy.is_some() || change.expires_at.is_some() {
        let (policy, expires_at) = (change.policy.clone().flatten(), change.expires_at.flatten().map(to_column));
        let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
            (&id, Type::INT8),
            (&change.policy.is_some(), Type::BOOL),
            (&policy, Type::TEXT),
            (&change.expires_at.is_some(), Type::BOOL),
            (&expires_at, Type::INT8),
        ];
        client.execute_typed(TOKEN, &parameters).await?;
    }
    match change.valid {
        None => {}
        Some(false) => _ = client.execute_typed(INVALID, &[(&id, Type::INT8), (&now, Type::INT8)]).await?,
        Some(true) => _ = client.execute_typed(VALID, &[(&id, Type::INT8)]).await?,
    }
    let details = [(&id as _, Type::INT8), (&change.note as _, Type::TEXT), (&now as _, Type::INT8)];
    client.execute_typed(DETAILS, &details).await.map(drop)
}

/// Whether it is the digest that there is already: an id would be one that somebody has put back.
fn is_digest_taken(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::UNIQUE_VIOLATION)
        && error.as_db_error().is_some_and(|error| error.constraint() == Some("tokens_pkey"))
}
