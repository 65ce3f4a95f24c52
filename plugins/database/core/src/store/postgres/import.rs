//! Keeps tokens of other systems, many at a time.

use token_plugin_api::{InactiveActor, Result};
use tokio_postgres::{
    Client, Error,
    types::{ToSql, Type},
};

use super::{Postgres, rows};
use crate::{
    cutoffs::Notice,
    digest::Digest,
    store::{ForeignToken, sql::to_column},
};

impl Postgres {
    pub(super) async fn bring_over(
        &self,
        tokens: Vec<ForeignToken>,
        inactive: Vec<InactiveActor>,
        dry_run: bool,
    ) -> Result<(Vec<bool>, Vec<InactiveActor>)> {
        let failed = |error| self.connector.failed(&error);
        let mut lease = self.pool.take().await?;
        let transaction = lease.client().transaction().await.map_err(failed)?;
        let client = transaction.client();
        let present = keep(client, &tokens).await.map_err(failed)?;
        let inactive = deactivate(client, &inactive).await.map_err(failed)?;
        if dry_run {
            transaction.rollback().await.map_err(failed)?;
            lease.done();
        } else {
            self.notify(client, &[Notice::Everyone]).await.map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            lease.done();
            self.tell(&[Notice::Everyone]);
        }
        Ok((present, inactive))
    }
}

/// Keeps those that are not there yet; which were.
async fn keep(client: &Client, tokens: &[ForeignToken]) -> Result<Vec<bool>, Error> {
    const TEXT: &str = "WITH source AS ( \
            SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) WITH ORDINALITY AS s \
            (digest, actor_id, generator_id, created_at, expires_at, restrictions, policy, \
            hint, note, auto_generated, extra, updated_at, last_used_at, invalid_at, reason, n) \
        ), fresh AS ( \
            SELECT DISTINCT ON (digest) * FROM source s \
            WHERE NOT EXISTS (SELECT 1 FROM tokens t WHERE t.digest = s.digest) ORDER BY digest, n \
        ), numbered AS ( \
            SELECT nextval(pg_get_serial_sequence('token_details', 'id')) AS id, f.* \
            FROM (SELECT * FROM fresh ORDER BY n) AS f \
        ), details AS ( \
            INSERT INTO token_details (id, hint, updated_at, note, auto_generated, extra) \
            SELECT id, hint, updated_at, note, auto_generated, extra FROM numbered \
        ), kept AS ( \
            INSERT INTO tokens (digest, id, actor_id, generator_id, created_at, expires_at, restrictions, policy) \
            SELECT digest, id, actor_id, generator_id, created_at, expires_at, restrictions, policy FROM numbered \
        ), ended AS ( \
            INSERT INTO invalid_tokens (id, invalid_at, reason) \
            SELECT id, invalid_at, COALESCE(reason, '') FROM numbered WHERE invalid_at IS NOT NULL \
        ), used AS ( \
            INSERT INTO token_uses (id, last_used_at) \
            SELECT id, last_used_at FROM numbered WHERE last_used_at IS NOT NULL \
        ) SELECT n FROM fresh";
    let digests: Vec<Digest> = column(tokens, |token| token.token.digest);
    let actors: Vec<&str> = column(tokens, |token| &*token.token.actor_id);
    let generators: Vec<&str> = column(tokens, |token| &*token.token.generator_id);
    let created: Vec<i64> = column(tokens, |token| to_column(token.token.created_at));
    let expires: Vec<Option<i64>> = column(tokens, |token| token.token.expires_at.map(to_column));
    let restrictions: Vec<Option<&str>> = column(tokens, |token| token.token.restrictions.as_deref());
    let policies: Vec<Option<&str>> = column(tokens, |token| token.token.policy.as_deref());
    let hints: Vec<&str> = column(tokens, |token| &*token.token.details.hint);
    let notes: Vec<&str> = column(tokens, |token| &*token.token.details.note);
    let auto_generated: Vec<bool> = column(tokens, |token| token.token.details.auto_generated);
    let extra: Vec<Option<&str>> = column(tokens, |token| token.token.details.extra.as_deref());
    let updated: Vec<i64> = column(tokens, |token| to_column(token.updated_at));
    let used: Vec<Option<i64>> = column(tokens, |token| token.last_used_at.map(to_column));
    let invalid: Vec<Option<i64>> = column(tokens, |token| token.invalidated.as_ref().map(|it| to_column(it.at)));
    let reasons: Vec<Option<&str>> = column(tokens, |token| token.invalidated.as_ref().map(|it| &*it.reason));
    let parameters: [(&(dyn ToSql + Sync), Type); 15] = [
        (&digests, Type::BYTEA_ARRAY),
        (&actors, Type::TEXT_ARRAY),
        (&generators, Type::TEXT_ARRAY),
        (&created, Type::INT8_ARRAY),
        (&expires, Type::INT8_ARRAY),
        (&restrictions, Type::TEXT_ARRAY),
        (&policies, Type::TEXT_ARRAY),
        (&hints, Type::TEXT_ARRAY),
        (&notes, Type::TEXT_ARRAY),
        (&auto_generated, Type::BOOL_ARRAY),
        (&extra, Type::TEXT_ARRAY),
        (&updated, Type::INT8_ARRAY),
        (&used, Type::INT8_ARRAY),
        (&invalid, Type::INT8_ARRAY),
        (&reasons, Type::TEXT_ARRAY),
    ];
    let mut present = vec![true; tokens.len()];
    for row in client.query_typed(TEXT, &parameters).await? {
        let number: i64 = row.try_get(0)?;
        // Numbers begin at 1.
        let place = usize::try_from(number - 1).ok().and_then(|index| present.get_mut(index));
        if let Some(present) = place {
            *present = false;
        }
    }
    Ok(present)
}

/// Deactivates those that are active; which were.
async fn deactivate(client: &Client, actors: &[InactiveActor]) -> Result<Vec<InactiveActor>, Error> {
    const TEXT: &str = "WITH done AS ( \
            INSERT INTO inactive_actors (actor_id, since, reason) \
            SELECT s.actor_id, s.since, s.reason \
            FROM unnest($1, $2, $3) WITH ORDINALITY AS s (actor_id, since, reason, n) \
            ORDER BY s.actor_id COLLATE \"C\", s.n \
            ON CONFLICT (actor_id) DO NOTHING RETURNING actor_id, since, reason \
        ) SELECT actor_id, since, reason FROM done ORDER BY actor_id";
    let ids: Vec<&str> = column(actors, |actor| &*actor.actor_id);
    let since: Vec<i64> = column(actors, |actor| to_column(actor.since));
    let reasons: Vec<&str> = column(actors, |actor| &*actor.reason);
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&ids, Type::TEXT_ARRAY), (&since, Type::INT8_ARRAY), (&reasons, Type::TEXT_ARRAY)];
    client.query_typed(TEXT, &parameters).await?.iter().map(rows::inactive_actor).collect()
}

fn column<'r, R, T>(rows: &'r [R], value: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
