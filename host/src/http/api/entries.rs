//! The `[[plugin]]` entries of `plugins.toml`, as requests and answers have them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    extract::Object,
    values::{EntryName, Sha256Text},
};
use crate::config::{EntryPlace, FlagChange};

/// The most entries of a configuration that is reordered.
const MAX_ENTRIES: usize = 1000;

/// An order of the entries: all of them, each once, as they are to stand in the file. Later entries are called first.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrder {
    #[schema(max_items = 1000, value_type = Vec<NewPlace>)]
    order: Vec<Object<NewPlace>>,
}

/// An order of the entries, and of which text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrderToSet {
    #[schema(max_items = 1000, value_type = Vec<NewPlace>)]
    order: Vec<Object<NewPlace>>,
    /// That of the file as the caller knows it: what the plan tells.
    text_sha256: Sha256Text,
}

/// Where an entry is to stand, and its flags.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPlace {
    name: EntryName,
    /// Null or not there: as in the file.
    #[serde(default)]
    tryfirst: Option<NewFlag>,
    /// Null or not there: as in the file.
    #[serde(default)]
    trylast: Option<NewFlag>,
}

/// What a flag is to be; `default` takes it out of the file, so that the plugin's own word counts.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(untagged)]
enum NewFlag {
    Written(bool),
    Default(DefaultFlag),
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DefaultFlag {
    Default,
}

/// An entry as it is written.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entry {
    name: String,
    /// Null: it is not written, and the plugin's own word counts.
    #[schema(required)]
    tryfirst: Option<bool>,
    /// Null: it is not written, and the plugin's own word counts.
    #[schema(required)]
    trylast: Option<bool>,
}

impl NewOrder {
    pub(super) fn places(self) -> Result<Vec<EntryPlace>, &'static str> {
        places(self.order)
    }
}

impl OrderToSet {
    /// The order, and the SHA-256 of the text that it is for.
    pub(super) fn places(self) -> Result<(Vec<EntryPlace>, String), &'static str> {
        Ok((places(self.order)?, self.text_sha256.into_string()))
    }
}

impl From<EntryPlace> for Entry {
    fn from(EntryPlace { name, tryfirst, trylast }: EntryPlace) -> Self {
        let written = |flag| match flag {
            FlagChange::True => Some(true),
            FlagChange::False => Some(false),
            FlagChange::AsWritten | FlagChange::Unwritten => None,
        };
        Self { name, tryfirst: written(tryfirst), trylast: written(trylast) }
    }
}

fn places(order: Vec<Object<NewPlace>>) -> Result<Vec<EntryPlace>, &'static str> {
    let change = |flag: Option<NewFlag>| match flag {
        None => FlagChange::AsWritten,
        Some(NewFlag::Written(true)) => FlagChange::True,
        Some(NewFlag::Written(false)) => FlagChange::False,
        Some(NewFlag::Default(DefaultFlag::Default)) => FlagChange::Unwritten,
    };
    if order.len() > MAX_ENTRIES {
        return Err("expected at most 1000 entries");
    }
    let place = |Object(NewPlace { name, tryfirst, trylast }): Object<NewPlace>| {
        let (name, tryfirst, trylast) = (name.into_string(), change(tryfirst), change(trylast));
        EntryPlace { name, tryfirst, trylast }
    };
    Ok(order.into_iter().map(place).collect())
}
