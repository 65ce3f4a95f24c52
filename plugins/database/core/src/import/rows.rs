//! [`Rows`]: where rows come from. [`Query`]: which. [`Row`]: one of them.

use token_plugin_api::{PluginError, Result};
use zeroize::Zeroizing;

use super::{Skip, time};
use crate::store::Answer;

/// Another system's database. It is only read.
pub(super) trait Rows: Send {
    /// The names of those tables that have all of these columns, in order.
    fn tables_with<'a>(&'a mut self, columns: &'a [&'static str]) -> Answer<'a, Vec<String>>;

    /// How many rows the query has in all.
    fn count<'a>(&'a mut self, query: &'a Query) -> Answer<'a, u64>;

    /// The first rows behind a [key](Row::key), in the order of keys.
    fn page<'a>(&'a mut self, query: &'a Query, after: Option<String>, limit: u32) -> Answer<'a, Vec<Row>>;
}

/// What is asked of a database: columns of one table, with those of the user that each row belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) table: Identifier,
    /// The table of users, by whose `id` the column `user_id` finds them.
    pub(super) users: Option<Identifier>,
    /// The first is the key.
    pub(super) columns: &'static [Column],
}

/// A column, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    of_user: bool,
}

/// What is in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Boolean,
    /// A date with a time.
    Time,
}

impl Column {
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, of_user: false }
    }

    pub(super) const fn of_user(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, of_user: true }
    }
}

/// The kinds of databases, which differ in their SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// It gives what is in the columns.
    Sqlite,
    /// It gives texts, and all other kinds as `bigint`: times in Unix seconds, booleans as 0 and 1.
    Postgres,
}

impl Query {
    /// The statement that [`Rows::page`] asks; with `after` it has one parameter.
    pub(super) fn sql(&self, dialect: Dialect, after: Option<&After>, limit: u32) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| dialect.value_of(*column)).collect();
        let mut sql = format!(r#"SELECT {} FROM "{}" AS t"#, columns.join(", "), self.table.0);
        if let Some(users) = &self.users {
            sql.push_str(&format!(r#" LEFT JOIN "{}" AS u ON u."id" = t."user_id""#, users.0));
        }
        let key = self.key().name;
        if after.is_some() {
            let parameter = if dialect == Dialect::Sqlite { "?1" } else { "$1" };
            sql.push_str(&format!(r#" WHERE t."{key}" > {parameter}"#));
        }
        sql.push_str(&format!(r#" ORDER BY t."{key}" LIMIT {limit}"#));
        sql
    }

    pub(super) fn count_sql(&self) -> String {
        format!(r#"SELECT count(*) FROM "{}""#, self.table.0)
    }

    /// The value of the key behind which to go on.
    pub(super) fn after(&self, after: Option<String>) -> Result<Option<After>> {
        let Some(after) = after else { return Ok(None) };
        if self.key().kind == Kind::Text {
            return Ok(Some(After::Text(after)));
        }
        let number = after.parse().map_err(|_| PluginError::invalid_argument("`after` must be a row's number"))?;
        Ok(Some(After::Integer(number)))
    }

    fn key(&self) -> Column {
        self.columns[0]
    }

    /// A row of this query.
    pub(super) fn row(&self, cells: Vec<Cell>) -> Row {
        Row { columns: self.columns, cells }
    }
}

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum After {
    Integer(i64),
    Text(String),
}

impl Dialect {
    fn value_of(self, column: Column) -> String {
        let value = format!(r#"{}."{}""#, if column.of_user { "u" } else { "t" }, column.name);
        match (self, column.kind) {
            (Self::Sqlite, _) => value,
            (Self::Postgres, Kind::Text) => format!("{value}::text"),
            (Self::Postgres, Kind::Integer) => format!("{value}::bigint"),
            (Self::Postgres, Kind::Boolean) => format!("{value}::int::bigint"),
            (Self::Postgres, Kind::Time) => format!("floor(extract(epoch FROM {value}))::bigint"),
        }
    }

    /// The statement that [`Rows::tables_with`] asks.
    pub(super) fn tables_sql(self, columns: &[&'static str]) -> String {
        let (count, columns) = (columns.len(), columns.join("', '"));
        match self {
            // Virtual tables have no root page: to describe one, its module would be needed.
            Self::Sqlite => format!(
                "SELECT t.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c \
                 WHERE t.type = 'table' AND t.rootpage > 0 AND c.name IN ('{columns}') \
                 GROUP BY t.name HAVING count(*) = {count} ORDER BY t.name"
            ),
            Self::Postgres => format!(
                "SELECT table_name::text FROM information_schema.columns \
                 WHERE table_schema = ANY (current_schemas(false)) AND column_name IN ('{columns}') \
                 GROUP BY table_name HAVING count(DISTINCT column_name) = {count} ORDER BY table_name"
            ),
        }
    }
}

/// The name of a table, as it may stand in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identifier(String);

impl Identifier {
    /// The longest that PostgreSQL knows.
    const MAX_BYTES: usize = 63;

    pub(super) fn new(name: &str) -> Result<Self> {
        let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let is_name = name.starts_with(is_letter) && name.chars().all(|c| is_letter(c) || c.is_ascii_digit());
        if !is_name || name.len() > Self::MAX_BYTES {
            return Err(PluginError::invalid_argument(format!(
                "{name:?} is no name of a table, expected letters, digits and `_`"
            )));
        }
        Ok(Self(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Integer(i64),
    /// Wiped after use: it may be a token.
    Text(Zeroizing<String>),
    /// What no column should have.
    Other,
}

/// A row. It does not print: it may have a token in it.
#[derive(Clone, PartialEq)]
pub(super) struct Row {
    columns: &'static [Column],
    cells: Vec<Cell>,
}

impl Row {
    /// The key, for the next part to begin behind it.
    pub(super) fn key(&self, query: &Query) -> Option<String> {
        match self.cell(query.key().name) {
            Cell::Integer(key) => Some(key.to_string()),
            Cell::Text(key) => Some(key.to_string()),
            Cell::Null | Cell::Other => None,
        }
    }

    pub(super) fn text(&self, column: &str) -> Result<Option<&str>, Skip> {
        match self.cell(column) {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            Cell::Integer(_) | Cell::Other => Err(fault(column, "no text")),
        }
    }

    pub(super) fn integer(&self, column: &str) -> Result<Option<i64>, Skip> {
        match self.cell(column) {
            Cell::Null => Ok(None),
            Cell::Integer(number) => Ok(Some(*number)),
            Cell::Text(_) | Cell::Other => Err(fault(column, "no integer")),
        }
    }

    pub(super) fn boolean(&self, column: &str) -> Result<Option<bool>, Skip> {
        match self.integer(column)? {
            None => Ok(None),
            Some(0) => Ok(Some(false)),
            Some(1) => Ok(Some(true)),
            Some(_) => Err(fault(column, "no boolean")),
        }
    }

    /// In Unix seconds. What lies before 1970 is 0; a fraction of a second is passed over, so that nothing lasts longer.
    pub(super) fn time(&self, column: &str) -> Result<Option<u64>, Skip> {
        let seconds = match self.cell(column) {
            Cell::Null => return Ok(None),
            Cell::Integer(seconds) => Some(*seconds),
            Cell::Text(text) => time::unix_seconds(text),
            Cell::Other => None,
        };
        let seconds = seconds.ok_or_else(|| fault(column, "no time"))?;
        Ok(Some(u64::try_from(seconds).unwrap_or(0)))
    }

    fn cell(&self, name: &str) -> &Cell {
        let index = self.columns.iter().position(|column| column.name == name);
        index.and_then(|index| self.cells.get(index)).unwrap_or(&Cell::Null)
    }
}

/// What a column must have.
pub(super) fn required<T>(column: &str, value: Option<T>) -> Result<T, Skip> {
    value.ok_or_else(|| fault(column, "empty"))
}

fn fault(column: &str, what: &str) -> Skip {
    Skip(format!("its `{column}` is {what}"))
}

/// The one table to be read, if it has these columns; none: the only one that has them.
pub(super) async fn find_table(
    rows: &mut dyn Rows,
    name: Option<&Identifier>,
    columns: &[&'static str],
) -> Result<Identifier> {
    let tables = rows.tables_with(columns).await?;
    let columns = columns.join(", ");
    match (name, &tables[..]) {
        (Some(name), tables) if tables.iter().any(|table| table == name.as_str()) => Ok(name.clone()),
        (Some(name), _) => Err(PluginError::invalid_argument(format!(
            "the other database has no table `{}` with the columns {columns}",
            name.as_str()
        ))),
        (None, [table]) => Identifier::new(table),
        (None, []) => {
            Err(PluginError::invalid_argument(format!("the other database has no table with the columns {columns}")))
        }
        (None, several) => Err(PluginError::invalid_argument(format!(
            "the option `table` must say which of these tables has the tokens: {}",
            several.join(", ")
        ))),
    }
}
