//! [`Users`]: Django's users, as actors.

use token_plugin_api::Result;

use super::{
    Skip, id,
    options::Options,
    rows::{Column, Identifier, Kind, Row, Rows, find_table, required},
};

/// Where the users are, and what of them is an actor's id.
#[derive(Debug)]
pub(super) struct Users {
    table: Identifier,
    actor: ActorId,
}

/// What of a user is its actor's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ActorId {
    Username,
    Id,
}

impl Users {
    /// The options that say so.
    pub(super) const OPTIONS: [&str; 2] = ["users", "actor"];

    /// The columns that are asked for beside those of the tokens.
    pub(super) const COLUMNS: [Column; 2] =
        [Column::of_user("username", Kind::Text), Column::of_user("is_active", Kind::Boolean)];

    pub(super) fn new(options: &Options<'_>) -> Result<Self> {
        let table = options.identifier("users")?.map_or_else(|| Identifier::new("auth_user"), Ok)?;
        let actor = options.choice("actor", [("username", ActorId::Username), ("id", ActorId::Id)])?;
        Ok(Self { table, actor })
    }

    /// The table, if it is there.
    pub(super) async fn find(&self, rows: &mut dyn Rows) -> Result<Identifier> {
        find_table(rows, Some(&self.table), &["id", "username", "is_active"]).await
    }

    /// The actor of a row, and whether it is active.
    pub(super) fn actor(&self, row: &Row) -> Result<(String, bool), Skip> {
        let Some(is_active) = row.boolean("is_active")? else { return Err(Skip::new("its user does not exist")) };
        let actor_id = match self.actor {
            ActorId::Username => id("username", required("username", row.text("username")?)?)?,
            ActorId::Id => required("user_id", row.integer("user_id")?)?.to_string(),
        };
        Ok((actor_id, is_active))
    }
}
