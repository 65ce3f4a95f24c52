//! Brings the schema to the form that is needed.

use sha2::{Digest, Sha256};
use token_plugin_api::{Migrations, Result};
use tokio_postgres::{
    Client,
    error::SqlState,
    types::{ToSql, Type},
};

use super::connector::Connector;
use crate::{
    migrations::{self, Step},
    store::sql::to_column,
};

/// Makes sure that the schema has the form, if that is allowed.
pub(super) async fn ensure(connector: &Connector, client: &mut Client) -> Result<()> {
    let version = version(connector, client).await?;
    let missing = migrations::missing(version).map_err(|error| connector.error(error))?;
    if missing.is_empty() {
        return Ok(());
    }
    if !connector.may_migrate {
        let what = format!("it has the schema version {version}, expected {}", migrations::VERSION);
        return Err(connector.error(format!("{what}: `token-host migrate` brings it there")));
    }
    apply(connector, client, None).await?;
    Ok(())
}

/// Brings the schema to the form, or says what that would change.
pub(super) async fn migrate(connector: &Connector, check: bool, now: u64) -> Result<Migrations> {
    let mut link = connector.connect(|_| {}).await?;
    let (from, steps) = if check {
        let version = version(connector, &link.client).await?;
        (version, migrations::missing(version).map_err(|error| connector.error(error))?)
    } else {
        apply(connector, &mut link.client, Some(now)).await?
    };
    Ok(migrations::report(connector.name(), from, steps))
}

/// Does all that is missing, in one transaction, when no other host is at it; the version that it began with.
async fn apply(connector: &Connector, client: &mut Client, now: Option<u64>) -> Result<(u32, &'static [Step])> {
    let failed = |error| connector.failed(&error);
    let transaction = client.transaction().await.map_err(failed)?;
    let client = transaction.client();
    let key = lock_key(&connector.schema);
    client.query_typed("SELECT pg_advisory_xact_lock($1)", &[(&key, Type::INT8)]).await.map_err(failed)?;
    create_schema(&connector.schema, client).await.map_err(failed)?;
    let from = version(connector, client).await?;
    let steps = migrations::missing(from).map_err(|error| connector.error(error))?;
    for step in steps {
        client.batch_execute(step.postgres).await.map_err(failed)?;
        let (version, now) = (i64::from(step.version), now.map(to_column));
        let done: [(&(dyn ToSql + Sync), Type); 3] =
            [(&version, Type::INT8), (&step.title, Type::TEXT), (&now, Type::INT8)];
        client.query_typed(STEP_DONE, &done).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok((from, steps))
}

/// The database's clock where nobody says what time it is.
const STEP_DONE: &str = "INSERT INTO migrations (version, title, applied_at) \
    VALUES ($1, $2, COALESCE($3, extract(epoch FROM now())::bigint))";

async fn create_schema(schema: &str, client: &Client) -> Result<(), tokio_postgres::Error> {
    let there = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
    // `IF NOT EXISTS` would want the right to create one, also when there is one.
    if client.query_typed_opt(there, &[(&schema, Type::TEXT)]).await?.is_none() {
        client.batch_execute(&format!("CREATE SCHEMA \"{schema}\"")).await?;
    }
    let table = "CREATE TABLE IF NOT EXISTS migrations \
        (version bigint PRIMARY KEY, title text NOT NULL, applied_at bigint NOT NULL)";
    client.batch_execute(table).await
}

/// The version that the schema has; 0: there is nothing.
async fn version(connector: &Connector, client: &Client) -> Result<u32> {
    connector.in_time(read_version(client)).await
}

async fn read_version(client: &Client) -> Result<u32, tokio_postgres::Error> {
    match client.query_typed_one("SELECT COALESCE(max(version), 0) FROM migrations", &[]).await {
        // What is not a version is none that is known.
        Ok(row) => row.try_get(0).map(|version: i64| version.try_into().unwrap_or(u32::MAX)),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(0),
        Err(error) => Err(error),
    }
}

/// The lock that all hosts take which change this schema.
fn lock_key(schema: &str) -> i64 {
    let digest = Sha256::new().chain_update("token-host migrations ").chain_update(schema).finalize();
    digest.iter().take(8).fold(0, |key, byte| (key << 8) | i64::from(*byte))
}
