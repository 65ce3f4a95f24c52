//! What SQLite and PostgreSQL are asked in the same words: the lookup, and which tokens are meant; and what they answer.

use token_plugin_api::{PluginError, Result, TokenRecord};

use super::{Conditions, Invalidated, Known, One, Page, Which};
use crate::digest::Digest;

/// Where the words differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// What a statement is about. It prints as nothing: libraries log what they are given.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Parameter {
    Integer(i64),
    Text(String),
    /// As JSON for SQLite.
    Texts(Vec<String>),
    Digest(Digest),
}

impl std::fmt::Debug for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("_")
    }
}

/// A statement, with its parameters in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    dialect: Dialect,
    pub(crate) text: String,
    pub(crate) parameters: Vec<Parameter>,
}

/// The lookup by a digest, the only parameter. The columns are those of [`KnownRow`].
pub(crate) fn look_up(dialect: Dialect) -> String {
    let digest = dialect.placeholder(1);
    format!(
        "SELECT t.id, t.actor_id, t.generator_id, t.expires_at, t.restrictions, t.policy, i.invalid_at, i.reason, a.since \
         FROM tokens t LEFT JOIN invalid_tokens i ON i.id = t.id LEFT JOIN inactive_actors a ON a.actor_id = t.actor_id \
         WHERE t.digest = {digest}"
    )
}

/// One token's record. The columns are those of [`RecordRow`].
pub(crate) fn record(dialect: Dialect, which: &One) -> Statement {
    let mut statement = Statement::new(dialect, &format!("SELECT {RECORD} {} WHERE ", from(|_| String::new())));
    statement.one(which);
    statement
}

/// The records of a page. Where it begins is said of each table: a database that goes through them side by side would
/// begin at their beginning, and take the longer the further it is.
pub(crate) fn list(dialect: Dialect, page: &Page) -> Statement {
    let mut statement = Statement::new(dialect, "");
    statement.parameters.extend(page.after.map(Parameter::Integer));
    let behind = |table: &str| match page.after {
        Some(_) => format!(" AND {table}.id > {}", dialect.placeholder(1)),
        None => String::new(),
    };
    statement.push(&format!("SELECT {RECORD} {} WHERE 1 = 1{}", from(behind), behind("t")));
    statement.all(&page.conditions).push(" ORDER BY t.id LIMIT ").bind(Parameter::Integer(page.limit.into()));
    statement
}

/// The ids and actors of the tokens that are valid and meant, in the order of their ids.
pub(crate) fn valid(dialect: Dialect, which: &Which) -> Statement {
    let text = format!("SELECT t.id, t.actor_id {} WHERE i.id IS NULL", from(|_| String::new()));
    let mut statement = Statement::new(dialect, &text);
    match which {
        Which::One(one) => statement.push(" AND ").one(one),
        Which::All(conditions) => statement.all(conditions),
    };
    statement.push(" ORDER BY t.id");
    statement
}

impl Statement {
    pub(crate) fn new(dialect: Dialect, text: &str) -> Self {
        Self { dialect, text: text.to_owned(), parameters: Vec::new() }
    }

    /// Appends text.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a parameter.
    pub(crate) fn bind(&mut self, parameter: Parameter) -> &mut Self {
        self.parameters.push(parameter);
        self.text.push_str(&self.dialect.placeholder(self.parameters.len()));
        self
    }

    fn and(&mut self, before: &str, parameter: Parameter, after: &str) -> &mut Self {
        self.push(" AND ").push(before).bind(parameter).push(after)
    }

    /// The condition that it is this one.
    pub(crate) fn one(&mut self, which: &One) -> &mut Self {
        match which {
            One::Id(id) => self.push("t.id = ").bind(Parameter::Integer(*id)),
            One::Digests(digests) => {
                // Two of them, for want of which SQLite would not take the word.
                self.push("t.id = COALESCE(CAST(NULL AS bigint), CAST(NULL AS bigint)");
                for digest in digests {
                    self.push(", (SELECT id FROM tokens WHERE digest = ").bind(Parameter::Digest(*digest)).push(")");
                }
                self.push(")")
            }
        }
    }

    /// The conditions that all of these hold, each behind an `AND`.
    pub(crate) fn all(&mut self, conditions: &Conditions) -> &mut Self {
        let (text, time) = (|text: &str| Parameter::Text(text.to_owned()), |time| Parameter::Integer(to_column(time)));
        match conditions.actors.as_deref() {
            None => {}
            // An index has the tokens of one actor in the order of their ids.
            Some([actor]) => _ = self.and("t.actor_id = ", text(actor), ""),
            Some(actors) => {
                let (before, after) = match self.dialect {
                    Dialect::Sqlite => ("t.actor_id IN (SELECT value FROM json_each(", "))"),
                    Dialect::Postgres => ("t.actor_id = ANY(", ")"),
                };
                self.and(before, Parameter::Texts(actors.to_vec()), after);
            }
        }
        if let Some(generator) = &conditions.generator_id {
            self.and("t.generator_id = ", text(generator), "");
        }
        if let Some(part) = &conditions.note_contains {
            let before = match self.dialect {
                Dialect::Sqlite => "instr(d.note, ",
                Dialect::Postgres => "strpos(d.note, ",
            };
            self.and(before, text(part), ") > 0");
        }
        match &conditions.policy {
            None => {}
            Some(None) => _ = self.push(" AND t.policy IS NULL"),
            Some(Some(policy)) => _ = self.and("t.policy = ", text(policy), ""),
        }
        if let Some(before) = conditions.created_before {
            self.and("t.created_at < ", time(before), "");
        }
        if let Some(since) = conditions.unused_since {
            self.and("t.created_at < ", time(since), "");
            self.and("(u.last_used_at IS NULL OR u.last_used_at < ", time(since), ")");
        }
        match conditions.expired {
            None => {}
            Some((true, now)) => _ = self.and("t.expires_at <= ", time(now), ""),
            Some((false, now)) => _ = self.and("(t.expires_at IS NULL OR t.expires_at > ", time(now), ")"),
        }
        match conditions.valid {
            None => self,
            Some(true) => self.push(" AND i.id IS NULL"),
            Some(false) => self.push(" AND i.id IS NOT NULL"),
        }
    }
}

impl Dialect {
    fn placeholder(self, number: usize) -> String {
        match self {
            Self::Sqlite => format!("?{number}"),
            Self::Postgres => format!("${number}"),
        }
    }
}

/// A row of [`look_up`].
#[derive(Debug)]
pub(crate) struct KnownRow {
    pub(crate) id: i64,
    pub(crate) actor_id: String,
    pub(crate) generator_id: String,
    pub(crate) expires_at: Option<i64>,
    pub(crate) restrictions: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) invalid_at: Option<i64>,
    pub(crate) invalid_reason: Option<String>,
    pub(crate) inactive_since: Option<i64>,
}

impl KnownRow {
    pub(crate) fn into_known(self) -> Known {
        let reason = self.invalid_reason.unwrap_or_default();
        Known {
            id: self.id,
            actor_id: self.actor_id,
            generator_id: self.generator_id,
            expires_at: self.expires_at.map(from_column),
            restrictions: self.restrictions,
            policy: self.policy,
            invalidated: self.invalid_at.map(|at| Invalidated { at: from_column(at), reason }),
            inactive_since: self.inactive_since.map(from_column),
        }
    }
}

/// A row of [`record`] and [`list`].
#[derive(Debug)]
pub(crate) struct RecordRow {
    pub(crate) id: i64,
    pub(crate) actor_id: String,
    pub(crate) generator_id: String,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) restrictions: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) hint: String,
    pub(crate) updated_at: i64,
    pub(crate) note: String,
    pub(crate) auto_generated: bool,
    pub(crate) extra: Option<String>,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) invalid_at: Option<i64>,
    pub(crate) invalid_reason: Option<String>,
}

impl RecordRow {
    /// # Errors
    ///
    /// When there is something in the database that is not what was put there.
    pub(crate) fn into_record(self) -> Result<TokenRecord> {
        let id = self.id;
        let unreadable = |column| move |_| PluginError::failed(format!("token {id}: its {column} cannot be read"));
        let said = |text: String| Some(text).filter(|text| !text.is_empty());
        let mut record = TokenRecord::new(id.to_string(), self.actor_id, from_column(self.created_at));
        record.token_generator_id = said(self.generator_id);
        record.updated_at = Some(from_column(self.updated_at));
        record.last_used_at = self.last_used_at.map(from_column);
        record.expires_at = self.expires_at.map(from_column);
        record.valid = self.invalid_at.is_none();
        record.invalid_at = self.invalid_at.map(from_column);
        record.invalid_reason = self.invalid_reason.and_then(said);
        let restrictions = self.restrictions.as_deref().map(serde_json::from_str).transpose();
        record.restrictions = restrictions.map_err(unreadable("restrictions"))?;
        record.note = said(self.note);
        record.policy = self.policy.as_deref().map(serde_json::from_str).transpose().map_err(unreadable("policy"))?;
        record.auto_generated = self.auto_generated;
        record.hint = said(self.hint);
        let extra = self.extra.as_deref().map(serde_json::from_str).transpose();
        record.extra = extra.map_err(unreadable("extra fields"))?.unwrap_or_default();
        Ok(record)
    }
}

/// A time as it is kept. What a column has no room for is as good as never.
pub(crate) fn to_column(time: u64) -> i64 {
    i64::try_from(time).unwrap_or(i64::MAX)
}

/// A time as it was kept; one before 1970 is long ago.
pub(crate) fn from_column(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

const RECORD: &str = "t.id, t.actor_id, t.generator_id, t.created_at, t.expires_at, t.restrictions, t.policy, d.hint, \
    d.updated_at, d.note, d.auto_generated, d.extra, u.last_used_at, i.invalid_at, i.reason";

/// All tables. Tables of which nothing is asked are left out by the databases themselves:
/// their ids are unique.
fn from(more: impl Fn(&str) -> String) -> String {
    let tables = [("token_details", "d"), ("token_uses", "u"), ("invalid_tokens", "i")];
    let joined = tables.map(|(table, short)| format!(" LEFT JOIN {table} {short} ON {short}.id = t.id{}", more(short)));
    format!("FROM tokens t{}", joined.concat())
}
