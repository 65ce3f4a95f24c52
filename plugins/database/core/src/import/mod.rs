//! [`read`]: one part of another system's tokens, as a store is to keep them.
//!
//! Nothing is written here, and the other database is only read. What a row of it means is said in one file a system
//! ([`djblets`], [`datasette_auth_tokens`], [`django_rest_knox`]), which know nothing of databases; where rows come from,
//! in one file a kind of database ([`sqlite`]). A row that cannot be brought over as it is meant is skipped, and the
//! operator is told: no token gets more rights by an import.

mod datasette_auth_tokens;
mod django;
mod django_rest_knox;
mod djblets;
mod options;
mod postgres;
mod rows;
mod sqlite;
#[cfg(test)]
mod tests;
mod time;

use std::{collections::BTreeSet, path::Path};

use rows::{Query, Row, Rows};
use token_plugin_api::{ImportTokens, InactiveActor, PluginError, Result};

use self::options::Options;
use crate::{
    digest::Digester,
    store::{Details, ForeignToken, NewToken},
};

/// One part of an import, before a store has seen it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// How many tokens the other system has in all.
    pub(crate) total: u64,
    /// How many of them are in this part.
    pub(crate) read: u64,
    pub(crate) tokens: Vec<ForeignToken>,
    /// Actors of tokens in this part that are deactivated in the other system.
    pub(crate) inactive: Vec<InactiveActor>,
    /// How many of those that were read are not among `tokens`.
    pub(crate) skipped: u64,
    /// Why, and what else the operator should know.
    pub(crate) notes: Vec<String>,
    /// Behind which row the next part begins; none: this was the last.
    pub(crate) next: Option<String>,
}

/// How many rows are in one part.
const ROWS: u32 = 5_000;

/// How many notes there are of one part. More of the same help nobody.
const MAX_NOTES: usize = 100;

/// Reads the part behind `request.after`. Relative paths are relative to `folder`; `now` is in Unix seconds. Files block:
/// it belongs on a thread that may wait.
pub(crate) async fn read(request: &ImportTokens, folder: &Path, digester: &Digester, now: u64) -> Result<Part> {
    let system = System::of(request)?;
    let mut rows = open(&request.from, folder).await?;
    let query = system.query(&mut *rows).await?;
    let total = rows.count(&query).await?;
    let read = rows.page(&query, request.after.clone(), ROWS).await?;
    let is_full = read.len() == ROWS as usize;
    let next = read.last().filter(|_| is_full).and_then(|row| row.key(&query));
    Ok(Part { total, next, ..system.convert(&read, &Context { digester, now }) })
}

/// Opens the database at this URL, to be read only.
async fn open(from: &str, folder: &Path) -> Result<Box<dyn Rows>> {
    if let Some(path) = from.strip_prefix("sqlite:") {
        return Ok(Box::new(sqlite::SqliteRows::open(&folder.join(path.strip_prefix("//").unwrap_or(path)))?));
    }
    if from.starts_with("postgres://") || from.starts_with("postgresql://") {
        return Ok(Box::new(postgres::PostgresRows::connect(from, None).await?));
    }
    Err(PluginError::invalid_argument("the URL of the other database must begin with `sqlite:` or `postgres://`"))
}

/// Another system, with what has to be known of it.
#[derive(Debug)]
enum System {
    Djblets(djblets::Djblets),
    DatasetteAuthTokens(datasette_auth_tokens::DatasetteAuthTokens),
    DjangoRestKnox(django_rest_knox::DjangoRestKnox),
}

impl System {
    fn of(request: &ImportTokens) -> Result<Self> {
        let options = Options::new(&request.options);
        match &*request.system {
            "djblets" => djblets::Djblets::new(&options).map(Self::Djblets),
            "datasette-auth-tokens" => {
                datasette_auth_tokens::DatasetteAuthTokens::new(&options).map(Self::DatasetteAuthTokens)
            }
            "django-rest-knox" => django_rest_knox::DjangoRestKnox::new(&options).map(Self::DjangoRestKnox),
            other => Err(PluginError::invalid_argument(format!(
                "{other:?} is no system that tokens are imported from, expected `djblets`, `datasette-auth-tokens` or \
                 `django-rest-knox`"
            ))),
        }
    }

    async fn query(&self, rows: &mut dyn Rows) -> Result<Query> {
        match self {
            Self::Djblets(system) => system.query(rows).await,
            Self::DatasetteAuthTokens(system) => system.query(rows).await,
            Self::DjangoRestKnox(system) => system.query(rows).await,
        }
    }

    fn convert(&self, rows: &[Row], context: &Context<'_>) -> Part {
        let mut part = Part { read: rows.len() as u64, ..Part::default() };
        let (mut inactive, mut notes) = (BTreeSet::new(), Notes::default());
        for row in rows {
            let (name, foreign) = match self {
                Self::Djblets(system) => (system.name(row), system.convert(row, context)),
                Self::DatasetteAuthTokens(system) => (system.name(row), system.convert(row, context)),
                Self::DjangoRestKnox(system) => (system.name(row), system.convert(row, context)),
            };
            match foreign {
                Ok(Foreign { token, is_active, remark }) => {
                    if !is_active && inactive.insert(token.token.actor_id.clone()) {
                        let reason = "deactivated in the system that it was imported from";
                        part.inactive.push(InactiveActor::new(&token.token.actor_id, context.now, reason));
                    }
                    notes.extend(remark.map(|remark| format!("{name}: {remark}")));
                    part.tokens.push(token);
                }
                Err(Skip(why)) => {
                    part.skipped += 1;
                    notes.extend([format!("{name} was skipped: {why}")]);
                }
            }
        }
        part.notes = notes.into_notes();
        part
    }
}

/// What is needed to convert a row.
struct Context<'a> {
    digester: &'a Digester,
    /// Unix seconds.
    now: u64,
}

/// A token as it comes from another system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Foreign {
    token: ForeignToken,
    /// Whether its actor may use it.
    is_active: bool,
    /// What the operator should know of it.
    remark: Option<String>,
}

/// Why a row is not brought over.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Skip(String);

impl Skip {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// What an actor's id and a generator's may have, in bytes: what they are compared by is never cut.
const MAX_ID_BYTES: usize = 1_024;
/// What texts may have that only people read: the rest of them is cut off.
const MAX_TEXT_BYTES: usize = 16_384;

/// An id as it is, unless a store cannot keep it.
fn id(what: &str, id: &str) -> Result<String, Skip> {
    let fault = match id {
        "" => "is empty",
        _ if id.contains('\0') => "has a NUL in it",
        _ if id.len() > MAX_ID_BYTES => "is too long",
        _ => return Ok(id.to_owned()),
    };
    Err(Skip(format!("its {what} {fault}")))
}

/// A text for people, as a store can keep it.
fn text(text: Option<&str>) -> String {
    let mut text = text.unwrap_or_default().replace('\0', "");
    if text.len() > MAX_TEXT_BYTES {
        let whole = |end: &usize| text.is_char_boundary(*end);
        text.truncate((0..=MAX_TEXT_BYTES).rfind(whole).unwrap_or(0));
    }
    text
}

/// The first notes of a part.
#[derive(Default)]
struct Notes {
    notes: Vec<String>,
    more: usize,
}

impl Extend<String> for Notes {
    fn extend<I: IntoIterator<Item = String>>(&mut self, notes: I) {
        for note in notes {
            if self.notes.len() < MAX_NOTES {
                self.notes.push(note);
            } else {
                self.more += 1;
            }
        }
    }
}

impl Notes {
    fn into_notes(mut self) -> Vec<String> {
        if self.more > 0 {
            self.notes.push(format!("and {} more", self.more));
        }
        self.notes
    }
}
