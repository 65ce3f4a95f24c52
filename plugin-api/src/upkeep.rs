//! What a handler that keeps its tokens is asked beside what concerns single tokens: to delete old ones, to bring tokens
//! over from elsewhere, to deactivate actors, to change the form of its store.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request to delete tokens that ended: they were invalidated, or expired, before a time. A deleted token is one that
/// nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DeleteTokens {
    /// Unix seconds.
    pub ended_before: u64,
    /// Count them, and delete nothing.
    #[serde(default)]
    pub dry_run: bool,
}

impl DeleteTokens {
    /// A request to delete those that ended before this time, in Unix seconds.
    pub fn new(ended_before: u64) -> Self {
        Self { ended_before, dry_run: false }
    }
}

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DeletedTokens {
    /// How many tokens.
    pub count: u64,
}

impl DeletedTokens {
    /// So many.
    pub fn new(count: u64) -> Self {
        Self { count }
    }
}

/// A request to bring over tokens of another system, which go on working. One call reads a part: whoever asks goes on
/// with [`ImportedTokens::next`] until there is none.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImportTokens {
    /// The other system: `djblets`, `datasette-auth-tokens` or `django-rest-knox`.
    pub system: String,
    /// The URL of its database. It may hold a password: it is never printed.
    pub from: String,
    /// What has to be known of that system, by name. May hold secrets: never printed.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
    /// Read and judge everything, and keep nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Go on behind this [`ImportedTokens::next`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl ImportTokens {
    /// A request to bring over this system's tokens from the database with this URL.
    pub fn new(system: impl Into<String>, from: impl Into<String>) -> Self {
        Self { system: system.into(), from: from.into(), options: Map::new(), dry_run: false, after: None }
    }
}

impl fmt::Debug for ImportTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportTokens")
            .field("system", &self.system)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

/// What became of one part of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ImportedTokens {
    /// How many tokens the other system has in all.
    pub total: u64,
    /// Read in this part.
    pub read: u64,
    /// Of these: brought over, or in a dry run: would be.
    pub imported: u64,
    /// Of these: there already.
    pub present: u64,
    /// Of these: not brought over, for a reason that [`notes`](Self::notes) tell of.
    pub skipped: u64,
    /// Actors that were deactivated with it, as they were in the other system.
    pub inactive_actors: u64,
    /// What the operator should know: by the row's id, never with any part of a token.
    pub notes: Vec<String>,
    /// Where the next part begins; none: that was all.
    pub next: Option<String>,
}

/// A request to activate actors, or to deactivate them: then all of their tokens are rejected until they are active
/// again, also tokens that are made meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SetActors {
    /// Who; an empty list is nobody.
    pub actors: Vec<String>,
    /// What they are to be.
    pub active: bool,
    /// Why they are deactivated; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl SetActors {
    /// A request to activate these.
    pub fn activate<A: Into<String>>(actors: impl IntoIterator<Item = A>) -> Self {
        Self { actors: actors.into_iter().map(Into::into).collect(), active: true, reason: String::new() }
    }

    /// A request to deactivate these, for this reason.
    pub fn deactivate<A: Into<String>>(actors: impl IntoIterator<Item = A>, reason: impl Into<String>) -> Self {
        Self { actors: actors.into_iter().map(Into::into).collect(), active: false, reason: reason.into() }
    }
}

/// An actor who is deactivated; or was, until just now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct InactiveActor {
    /// Who.
    pub actor_id: String,
    /// Since when, in Unix seconds.
    pub since: u64,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl InactiveActor {
    /// An actor who was deactivated at this time, in Unix seconds, for this reason.
    pub fn new(actor_id: impl Into<String>, since: u64, reason: impl Into<String>) -> Self {
        Self { actor_id: actor_id.into(), since, reason: reason.into() }
    }
}

/// A request for one page of the deactivated actors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ListActors {
    /// Continue behind this [`ActorPage::next`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many at the most; none: the handler's page size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only this one, if it is deactivated; none: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// One page of a listing of actors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ActorPage {
    /// The actors, by their ids.
    pub actors: Vec<InactiveActor>,
    /// Where the next page begins; none: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl ActorPage {
    /// A page, and where the next one begins.
    pub fn new(actors: Vec<InactiveActor>, next: Option<String>) -> Self {
        Self { actors, next }
    }
}

/// A request to bring a store to the form that its handler needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Migrate {
    /// Say what would change, and change nothing.
    pub check: bool,
}

impl Migrate {
    /// A request to say what would change.
    pub fn check() -> Self {
        Self { check: true }
    }
}

/// The steps that lead to the form that a handler needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Migrations {
    /// Which store it is: its URL without credentials.
    pub store: String,
    /// The version that the store had; 0: there was nothing.
    pub from: u32,
    /// The version that the handler needs.
    pub to: u32,
    /// What was done, or would be, in this order.
    pub steps: Vec<Migration>,
}

impl Migrations {
    /// These steps, from one version to another.
    pub fn new(store: impl Into<String>, from: u32, to: u32, steps: Vec<Migration>) -> Self {
        Self { store: store.into(), from, to, steps }
    }
}

/// One step of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Migration {
    /// The version that it leads to.
    pub version: u32,
    /// What it does.
    pub title: String,
}

impl Migration {
    /// The step to this version.
    pub fn new(version: u32, title: impl Into<String>) -> Self {
        Self { version, title: title.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_import_comes_from_is_not_printed() {
        let mut request = ImportTokens::new("djblets", "postgres://root:hunter2@db/reviews");
        request.options.insert("secret".to_owned(), "hunter2".into());
        assert!(!format!("{request:?}").contains("hunter2"), "{request:?}");
    }
}
