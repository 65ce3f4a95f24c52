//! [`PostgresRows`]: rows of a PostgreSQL database.

use std::path::PathBuf;

use token_plugin_api::{PluginError, Result};
use zeroize::Zeroizing;

use super::rows::{After, Cell, Dialect, Kind, Query, Row, Rows};
use crate::store::{Answer, postgres::Guest};

/// A database that others may be writing to.
pub(super) struct PostgresRows(Guest);

impl PostgresRows {
    pub(super) async fn connect(url: &str, tls_root: Option<PathBuf>) -> Result<Self> {
        Guest::connect(url, tls_root).await.map(Self)
    }
}

impl Rows for PostgresRows {
    fn tables_with<'a>(&'a mut self, columns: &'a [&'static str]) -> Answer<'a, Vec<String>> {
        Box::pin(async {
            let rows = self.0.query(&Dialect::Postgres.tables_sql(columns), &[]).await?;
            rows.iter().map(|row| row.try_get(0).map_err(odd)).collect()
        })
    }

    fn count<'a>(&'a mut self, query: &'a Query) -> Answer<'a, u64> {
        Box::pin(async {
            let rows = self.0.query(&query.count_sql(), &[]).await?;
            let count = rows.first().map(|row| row.try_get::<_, i64>(0).map_err(odd)).transpose()?;
            Ok(count.unwrap_or(0).unsigned_abs())
        })
    }

    fn page<'a>(&'a mut self, query: &'a Query, after: Option<String>, limit: u32) -> Answer<'a, Vec<Row>> {
        Box::pin(async move {
            let after = query.after(after)?;
            let sql = query.sql(Dialect::Postgres, after.as_ref(), limit);
            let rows = match after {
                None => self.0.query(&sql, &[]).await?,
                Some(After::Integer(number)) => self.0.query(&sql, &[&number]).await?,
                Some(After::Text(text)) => self.0.query(&sql, &[&text]).await?,
            };
            let cells = |row: &tokio_postgres::Row| {
                let columns = query.columns.iter().enumerate();
                columns.map(|(index, column)| cell(row, index, column.kind)).collect::<Result<Vec<Cell>>>()
            };
            rows.iter().map(|row| Ok(query.row(cells(row)?))).collect()
        })
    }
}

fn cell(row: &tokio_postgres::Row, index: usize, kind: Kind) -> Result<Cell> {
    Ok(match kind {
        Kind::Text => {
            let text: Option<String> = row.try_get(index).map_err(odd)?;
            text.map_or(Cell::Null, |text| Cell::Text(Zeroizing::new(text)))
        }
        Kind::Integer | Kind::Boolean | Kind::Time => {
            let number: Option<i64> = row.try_get(index).map_err(odd)?;
            number.map_or(Cell::Null, Cell::Integer)
        }
    })
}

/// The error is not told: it might quote what is in the row.
fn odd(_: tokio_postgres::Error) -> PluginError {
    PluginError::failed("the other database: it answered in another form than it was asked for")
}
