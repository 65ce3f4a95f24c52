//! [`Guest`]: a connection to another system's database, which is only read.

use std::path::PathBuf;

use token_plugin_api::{PluginError, Result, runtime};
use tokio_postgres::{Row, types::ToSql};

use super::{
    connector::{Connector, Link},
    settings::Settings,
};

/// A connection to another system's database, with the rules for TLS that our own have.
pub(crate) struct Guest {
    connector: Connector,
    link: Link,
}

impl Guest {
    /// Connects to the database with this URL.
    pub(crate) async fn connect(url: &str, tls_root: Option<PathBuf>) -> Result<Self> {
        let settings = Settings { tls_root, ..Settings::new(url) };
        let connector = Connector::new(&settings).map_err(PluginError::invalid_argument)?;
        let connected = runtime::run(async move {
            let link = connector.connect(|_| {}).await?;
            // The tables are where its owner looks for them, and stay as they are.
            let session = "RESET search_path; SET default_transaction_read_only TO on";
            connector.in_time(link.client.batch_execute(session)).await?;
            Ok(Self { connector, link })
        });
        connected.await?
    }

    /// The rows that a statement selects.
    pub(crate) async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.link.client.query(sql, parameters).await.map_err(|error| self.connector.failed(&error))
    }
}
