//! [`SqliteRows`]: rows of a SQLite file.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, Params, types::ValueRef};
use token_plugin_api::{PluginError, Result};
use zeroize::Zeroizing;

use super::rows::{After, Cell, Dialect, Query, Row, Rows};
use crate::store::Answer;

/// A file that others may be writing to. Calls block: they belong on a thread that may wait.
pub(super) struct SqliteRows(Connection);

impl SqliteRows {
    /// Opens a file that is there, to be read only.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !path.is_file() {
            return Err(PluginError::invalid_argument(format!("{}: there is no such file", path.display())));
        }
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            // What is in the file is another's: it calls no functions.
            connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON")?;
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(connection)
        };
        open().map(Self).map_err(|error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => {
                PluginError::invalid_argument(format!("{}: it is not a SQLite file", path.display()))
            }
            _ => PluginError::failed(format!("{}: {error}", path.display())),
        })
    }

    fn query<T>(
        &mut self,
        sql: &str,
        parameters: impl Params,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let query = || -> rusqlite::Result<Vec<T>> { self.0.prepare(sql)?.query_map(parameters, read)?.collect() };
        query().map_err(|error| PluginError::failed(format!("the other database: {error}")))
    }
}

impl Rows for SqliteRows {
    fn tables_with<'a>(&'a mut self, columns: &'a [&'static str]) -> Answer<'a, Vec<String>> {
        Box::pin(async { self.query(&Dialect::Sqlite.tables_sql(columns), [], |row| row.get(0)) })
    }

    fn count<'a>(&'a mut self, query: &'a Query) -> Answer<'a, u64> {
        Box::pin(async {
            let counts = self.query(&query.count_sql(), [], |row| row.get::<_, i64>(0))?;
            Ok(counts.first().map_or(0, |count| count.unsigned_abs()))
        })
    }

    fn page<'a>(&'a mut self, query: &'a Query, after: Option<String>, limit: u32) -> Answer<'a, Vec<Row>> {
        Box::pin(async move {
            let after = query.after(after)?;
            let sql = query.sql(Dialect::Sqlite, after.as_ref(), limit);
            let row = |row: &rusqlite::Row<'_>| {
                let cells = (0..query.columns.len()).map(|index| row.get_ref(index).map(cell));
                Ok(query.row(cells.collect::<rusqlite::Result<_>>()?))
            };
            match after {
                None => self.query(&sql, [], row),
                Some(After::Integer(number)) => self.query(&sql, [number], row),
                Some(After::Text(text)) => self.query(&sql, [text], row),
            }
        })
    }
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Text(text) => {
            str::from_utf8(text).map_or(Cell::Other, |text| Cell::Text(Zeroizing::new(text.to_owned())))
        }
        ValueRef::Real(_) | ValueRef::Blob(_) => Cell::Other,
    }
}

/// How long to wait for whoever writes.
const PATIENCE: Duration = Duration::from_secs(5);
