//! [`TokenRestrictions`]: what a token may do, in Datasette's `_r` form.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
    ser::SerializeMap,
};

/// What a token may do: an allow-list of actions, for everything, for databases, for resources.
///
/// "No restrictions" and "restricted to nothing" are different values: the first is the absence
/// of this type (`Option::None`), the second is [`TokenRestrictions::nothing`]. (In Datasette an
/// empty `TokenRestrictions()` quietly means "unrestricted".)
///
/// As JSON it has Datasette's `_r` form with abbreviated actions: `a` for everything, `d` for
/// databases, `r` for resources.
///
/// ```
/// use token_plugin_api::TokenRestrictions;
///
/// let restrictions = TokenRestrictions::nothing()
///     .allow_all("view-instance")
///     .allow_database("docs", "view-query")
///     .allow_resource("docs", "pages", "insert-row");
/// assert_eq!(
///     serde_json::to_string(&restrictions).unwrap(),
///     r#"{"a":["vi"],"d":{"docs":["vq"]},"r":{"docs":{"pages":["ir"]}}}"#
/// );
/// assert!(restrictions.allows("insert-row", Some("docs"), Some("Pages")), "table names ignore ASCII case");
/// assert!(restrictions.allows("ir", Some("docs"), Some("pages")), "an abbreviation is the same action");
/// assert!(!restrictions.allows("insert-row", Some("docs"), None));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRestrictions {
    all: Vec<String>,
    databases: BTreeMap<String, Vec<String>>,
    resources: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl TokenRestrictions {
    /// Restricted to nothing at all, the start for what is then allowed.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Allows an action everywhere.
    #[must_use]
    pub fn allow_all(mut self, action: impl Into<String>) -> Self {
        self.all.push(action.into());
        self
    }

    /// Allows an action on a database and on all its resources.
    #[must_use]
    pub fn allow_database(mut self, database: impl Into<String>, action: impl Into<String>) -> Self {
        self.databases.entry(database.into()).or_default().push(action.into());
        self
    }

    /// Allows an action on one resource (a table, a view, a query) of a database.
    #[must_use]
    pub fn allow_resource(
        mut self,
        database: impl Into<String>,
        resource: impl Into<String>,
        action: impl Into<String>,
    ) -> Self {
        let resources = self.resources.entry(database.into()).or_default();
        resources.entry(resource.into()).or_default().push(action.into());
        self
    }

    /// Whether `action` is allowed on the instance (no database), on a database, or on a resource
    /// of a database, as Datasette decides it: a global allowance covers everything, a database's
    /// covers its resources, and an action's full name and its abbreviation are the same action.
    ///
    /// Names of tables are compared without regard to ASCII case, as SQLite does. The actions that
    /// Datasette's `also_requires` adds are the application's to ask for.
    pub fn allows(&self, action: &str, database: Option<&str>, resource: Option<&str>) -> bool {
        let action = Action::named(action);
        let listed = |actions: &[String]| actions.iter().any(|allowed| action.is(allowed));
        if listed(&self.all) {
            return true;
        }
        let Some(database) = database else { return false };
        if self.databases.get(database).is_some_and(|actions| listed(actions)) {
            return true;
        }
        let (Some(resource), Some(resources)) = (resource, self.resources.get(database)) else { return false };
        resources.iter().any(|(name, actions)| action.same_resource(name, resource) && listed(actions))
    }

    /// The same restrictions with every action's name passed through `rename`: for handlers that
    /// know more abbreviations than Datasette's own.
    #[must_use]
    pub fn map_actions(mut self, rename: impl Fn(&str) -> Option<String>) -> Self {
        let lists = self.databases.values_mut().chain(self.resources.values_mut().flat_map(BTreeMap::values_mut));
        for action in std::iter::once(&mut self.all).chain(lists).flatten() {
            if let Some(renamed) = rename(action) {
                *action = renamed;
            }
        }
        self
    }

    /// Every action that is named, with repetitions.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        let lists = self.databases.values().chain(self.resources.values().flat_map(BTreeMap::values));
        std::iter::once(&self.all).chain(lists).flatten().map(String::as_str)
    }
}

/// The names of Datasette's own actions.
pub fn action_names() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, ..)| *name)
}

/// Datasette's name for an action, when `action` is a name or an abbreviation of one of its own.
pub fn action_name(action: &str) -> Option<&'static str> {
    ACTIONS.iter().find(|(name, short, _)| *name == action || *short == action).map(|(name, ..)| *name)
}

/// Datasette's abbreviation of an action, when it is one of its own; both forms are understood.
pub fn action_abbreviation(action: &str) -> Option<&'static str> {
    ACTIONS.iter().find(|(name, short, _)| *name == action || *short == action).map(|(_, short, _)| *short)
}

/// An action together with its other spelling.
struct Action<'a> {
    name: &'a str,
    abbreviation: &'a str,
    on: On,
}

impl<'a> Action<'a> {
    fn named(action: &'a str) -> Self {
        match ACTIONS.iter().find(|(name, short, _)| *name == action || *short == action) {
            Some(&(name, abbreviation, on)) => Self { name, abbreviation, on },
            None => Self { name: action, abbreviation: action, on: On::Other },
        }
    }

    fn is(&self, allowed: &str) -> bool {
        allowed == self.name || allowed == self.abbreviation
    }

    fn same_resource(&self, allowed: &str, asked: &str) -> bool {
        match self.on {
            On::Table => allowed.eq_ignore_ascii_case(asked),
            On::Other => allowed == asked,
        }
    }
}

#[derive(Clone, Copy)]
enum On {
    Table,
    Other,
}

/// Datasette 1.0's actions: name, abbreviation, and whether their resource is a table.
const ACTIONS: &[(&str, &str, On)] = &[
    ("view-instance", "vi", On::Other),
    ("permissions-debug", "pd", On::Other),
    ("debug-menu", "dm", On::Other),
    ("view-database", "vd", On::Other),
    ("view-database-download", "vdd", On::Other),
    ("execute-sql", "es", On::Other),
    ("execute-write-sql", "ews", On::Other),
    ("create-table", "ct", On::Other),
    ("create-view", "cv", On::Other),
    ("store-query", "sq", On::Other),
    ("view-table", "vt", On::Table),
    ("insert-row", "ir", On::Table),
    ("delete-row", "dr", On::Table),
    ("update-row", "ur", On::Table),
    ("alter-table", "at", On::Table),
    ("set-column-type", "sct", On::Table),
    ("drop-table", "dt", On::Table),
    ("drop-view", "dv", On::Table),
    ("view-query", "vq", On::Other),
    ("update-query", "uq", On::Other),
    ("delete-query", "dq", On::Other),
];

impl Serialize for TokenRestrictions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.all.is_empty() {
            map.serialize_entry("a", &short(&self.all))?;
        }
        if !self.databases.is_empty() {
            let databases: BTreeMap<_, _> = self.databases.iter().map(|(name, list)| (name, short(list))).collect();
            map.serialize_entry("d", &databases)?;
        }
        if !self.resources.is_empty() {
            let resources: BTreeMap<_, BTreeMap<_, _>> = self
                .resources
                .iter()
                .map(|(database, of)| (database, of.iter().map(|(name, list)| (name, short(list))).collect()))
                .collect();
            map.serialize_entry("r", &resources)?;
        }
        map.end()
    }
}

fn short(actions: &[String]) -> Vec<&str> {
    actions.iter().map(|action| action_abbreviation(action).unwrap_or(action)).collect()
}

impl<'de> Deserialize<'de> for TokenRestrictions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// `_r` as it stands in a token. Keys that it does not know can only allow more, so they
        /// are passed over; a `null` in place of a list is malformed.
        #[derive(Deserialize)]
        struct Written {
            #[serde(default)]
            a: Vec<String>,
            #[serde(default)]
            d: BTreeMap<String, Vec<String>>,
            #[serde(default)]
            r: BTreeMap<String, BTreeMap<String, Vec<String>>>,
        }
        /// A derived struct would also be read from a list; `_r` is an object and nothing else.
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Written, A::Error> {
                Written::deserialize(MapAccessDeserializer::new(map))
            }
        }
        let Written { a, d, r } = deserializer.deserialize_map(Object)?;
        Ok(Self { all: a, databases: d, resources: r })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_not_everything() {
        let nothing = TokenRestrictions::nothing();
        assert!(!nothing.allows("view-instance", None, None));
        assert_eq!(serde_json::to_string(&nothing).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<TokenRestrictions>("{}").unwrap(), nothing);
    }

    #[test]
    fn nulls_and_wrong_types_are_malformed() {
        for text in ["null", "[]", r#"{"a":null}"#, r#"{"a":"vi"}"#, r#"{"d":{"x":null}}"#, r#"{"r":{"x":["vt"]}}"#] {
            assert!(serde_json::from_str::<TokenRestrictions>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_action_has_one_name_and_one_abbreviation() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, short, _) in ACTIONS {
            assert!(seen.insert(name) && seen.insert(short), "{name} or {short} stands twice");
        }
    }
}
