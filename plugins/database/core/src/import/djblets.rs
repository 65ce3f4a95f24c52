//! [`Djblets`]: the tokens of a Django project with Djblets, such as Review Board.
//!
//! Djblets keeps them in plain text, in a table that each project names for itself. Here their digests are kept.
//!
//! A token ends at the second of its `expires`, whose fraction is passed over.

use serde_json::{Map, Value};
use token_plugin_api::{Policy, Result};

use super::{
    Context, Details, Foreign, ForeignToken, NewToken, Skip,
    django::Users,
    id,
    options::Options,
    rows::{Column, Identifier, Kind, Query, Row, Rows, find_table, required},
    text,
};
use crate::{generators, store::Invalidated};

/// Where the tokens are.
#[derive(Debug)]
pub(super) struct Djblets {
    /// None: the only table that could be it.
    table: Option<Identifier>,
    users: Users,
}

impl Djblets {
    pub(super) fn new(options: &Options<'_>) -> Result<Self> {
        let [users, actor] = Users::OPTIONS;
        options.only(&["table", users, actor])?;
        Ok(Self { table: options.identifier("table")?, users: Users::new(options)? })
    }

    pub(super) async fn query(&self, rows: &mut dyn Rows) -> Result<Query> {
        let own: Vec<&'static str> = COLUMNS[..OWN].iter().map(|column| column.name).collect();
        let table = find_table(rows, self.table.as_ref(), &own).await?;
        Ok(Query { table, users: Some(self.users.find(rows).await?), columns: &COLUMNS })
    }

    pub(super) fn name(&self, row: &Row) -> String {
        row.integer("id").ok().flatten().map_or_else(|| "a row without an id".to_owned(), |id| format!("token {id}"))
    }

    pub(super) fn convert(&self, row: &Row, context: &Context<'_>) -> Result<Foreign, Skip> {
        let (actor_id, is_active) = self.users.actor(row)?;
        let token = required("token", row.text("token")?.filter(|token| !token.is_empty()))?;
        let created_at = required("time_added", row.time("time_added")?)?;
        let updated_at = row.time("last_updated")?.unwrap_or(created_at);
        let invalidated = match required("valid", row.boolean("valid")?)? {
            true => None,
            false => Some(Invalidated {
                at: row.time("invalid_date")?.unwrap_or(updated_at),
                reason: text(row.text("invalid_reason")?),
            }),
        };
        let (extra, remark) = extra(row.text("extra_data")?);
        let new = NewToken {
            digest: context.digester.digest(token),
            actor_id,
            generator_id: id("token_generator_id", required("token_generator_id", row.text("token_generator_id")?)?)?,
            created_at,
            expires_at: row.time("expires")?,
            restrictions: None,
            policy: policy(row.text("policy")?)?,
            details: Details {
                hint: generators::hint(token),
                note: text(row.text("note")?),
                auto_generated: false,
                extra,
            },
        };
        let last_used_at = row.time("last_used")?;
        Ok(Foreign { token: ForeignToken { token: new, updated_at, last_used_at, invalidated }, is_active, remark })
    }
}

/// The columns of `BaseWebAPIToken`, and then those of its user.
const COLUMNS: [Column; OWN + 2] = [
    Column::new("id", Kind::Integer),
    Column::new("user_id", Kind::Integer),
    Column::new("token", Kind::Text),
    Column::new("token_generator_id", Kind::Text),
    Column::new("time_added", Kind::Time),
    Column::new("last_updated", Kind::Time),
    Column::new("last_used", Kind::Time),
    Column::new("expires", Kind::Time),
    Column::new("valid", Kind::Boolean),
    Column::new("invalid_date", Kind::Time),
    Column::new("invalid_reason", Kind::Text),
    Column::new("note", Kind::Text),
    Column::new("policy", Kind::Text),
    Column::new("extra_data", Kind::Text),
    Users::COLUMNS[0],
    Users::COLUMNS[1],
];
const OWN: usize = 14;

/// The policy as it is kept here; none: full access, which Djblets writes in three ways.
fn policy(written: Option<&str>) -> Result<Option<String>, Skip> {
    let Some(written) = written.filter(|written| !written.is_empty()) else { return Ok(None) };
    let document: Value = serde_json::from_str(written).map_err(|_| Skip::new("its policy is no JSON"))?;
    Policy::new(&document).map_err(|error| Skip(format!("its policy is none: {error}")))?;
    let is_empty = document.as_object().is_some_and(Map::is_empty);
    Ok((!is_empty).then(|| document.to_string()))
}

/// The fields of the project's own as they are kept here; none: there are none. What cannot be kept is told.
fn extra(written: Option<&str>) -> (Option<String>, Option<String>) {
    let Some(written) = written.filter(|written| !written.is_empty()) else { return (None, None) };
    match serde_json::from_str(written) {
        Ok(Value::Null) => (None, None),
        Ok(Value::Object(map)) if map.is_empty() => (None, None),
        Ok(Value::Object(map)) if written.len() <= super::MAX_TEXT_BYTES => {
            (Some(Value::Object(map).to_string()), None)
        }
        Ok(Value::Object(_)) => (None, Some("its `extra_data` was left out: it is too long".to_owned())),
        Ok(_) | Err(_) => (None, Some("its `extra_data` was left out: it is no JSON object".to_owned())),
    }
}
