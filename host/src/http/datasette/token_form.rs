//! [`TokenForm`]: what somebody filled in, as Datasette's form has it, and [`TokenForm::wanted`]: the token that it asks for.
//!
//! A field that looks like a restriction and is none is a mistake, never nothing: the token would do more than it was
//! meant to.

use token_plugin_api::{CreateToken, TokenRestrictions};

use crate::{
    authenticate::{OWN_ACTIONS, decoded},
    http::api::Lifetime,
};

/// Rows of the page for databases and resources that it cannot list.
pub(super) const ROWS: std::ops::RangeInclusive<usize> = 1..=5;

/// More are not taken: as many as Datasette takes fields.
const MAX_FIELDS: usize = 1000;

/// Longer than names of databases, tables and actions are.
const MAX_NAME_BYTES: usize = 1024;

/// The fields of a form, decoded. A field without a value is there: a restriction is its name alone.
#[derive(Debug, Default)]
pub(super) struct TokenForm(Vec<(String, String)>);

/// What is wrong with a form, each a sentence.
pub(super) type Mistakes = Vec<String>;

impl TokenForm {
    /// Reads `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub(super) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        const EXPECTED: &str = "Expected a form";
        let body = std::str::from_utf8(body).map_err(|_| EXPECTED)?;
        let mut fields = Vec::new();
        for pair in body.split('&').filter(|pair| !pair.is_empty()) {
            if fields.len() == MAX_FIELDS {
                return Err("Too many fields");
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (decoded(name), decoded(value)) else { return Err(EXPECTED) };
            fields.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(fields))
    }

    /// A field's value, without what is around it; empty when it is not there.
    pub(super) fn value(&self, name: &str) -> &str {
        self.values(name).next().unwrap_or_default().trim()
    }

    /// Whether a box is ticked.
    pub(super) fn is_ticked(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The token that it asks for, for this user.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub(super) fn wanted(&self, user: &str) -> Result<CreateToken, Mistakes> {
        let mut mistakes = Mistakes::new();
        let mut wanted = CreateToken::new(user);
        match self.expires_after() {
            Ok(seconds) => wanted.expires_after = seconds,
            Err(mistake) => mistakes.push(mistake.to_owned()),
        }
        match self.restrictions() {
            Ok(restrictions) => wanted.restrictions = restrictions,
            Err(mistake) => mistakes.push(mistake),
        }
        if mistakes.is_empty() { Ok(wanted) } else { Err(mistakes) }
    }

    fn expires_after(&self) -> Result<Option<u64>, &'static str> {
        if ["expire_type", "expire_duration"].iter().any(|name| self.values(name).count() > 1) {
            return Err("Invalid expire duration");
        }
        let duration = self.value("expire_duration");
        let unit_seconds = match self.value("expire_type") {
            "" if duration.is_empty() => return Ok(None),
            // A page without scripts cannot hide the number: somebody who gave one did not mean "never".
            "" => return Err("Choose the unit of the expire duration"),
            "minutes" => 60,
            "hours" => 60 * 60,
            "days" => 24 * 60 * 60,
            _ => return Err("Invalid expire duration unit"),
        };
        let is_number = !duration.is_empty() && duration.bytes().all(|byte| byte.is_ascii_digit());
        let duration = duration.parse::<u32>().ok().filter(|duration| is_number && *duration > 0);
        // As long as by the API: a time beyond the year 9999 is more than programs that read it can say.
        let lifetime = duration.and_then(|duration| Lifetime::try_from(u64::from(duration) * unit_seconds).ok());
        lifetime.map(|seconds| Some(seconds.0)).ok_or("Invalid expire duration")
    }

    /// `None`: there is none, and the token may do all that its user may.
    fn restrictions(&self) -> Result<Option<TokenRestrictions>, String> {
        let mut found = None;
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (kind, parts) = match name.split_once(':') {
                Some((kind @ ("all" | "database" | "resource"), rest)) => (kind, rest.split(':').collect::<Vec<_>>()),
                _ => continue,
            };
            let restriction = match (kind, &parts[..]) {
                ("all", [action]) => Restriction::of(String::new(), String::new(), action),
                ("database", [database, action]) => tilde_decoded(database).and_then(|database| {
                    Restriction::of(database, String::new(), action).filter(|restriction| !restriction.is_for_all())
                }),
                ("resource", [database, resource, action]) => {
                    let (database, resource) = (tilde_decoded(database), tilde_decoded(resource));
                    let restriction = database.zip(resource).map(|(database, resource)| (database, resource, action));
                    restriction
                        .filter(|(database, resource, _)| !database.is_empty() && !resource.is_empty())
                        .and_then(|(database, resource, action)| Restriction::of(database, resource, action))
                }
                _ => None,
            };
            let restriction = restriction.ok_or_else(|| "Invalid restriction".to_owned())?;
            found = Some(restriction.add_to(found));
        }
        for row in ROWS {
            let of = |what: &str| self.value(&format!("{what}-{row}"));
            let (database, resource, action) = (of("database"), of("resource"), of("action"));
            let names = [database, resource, action];
            if names.iter().all(|name| name.is_empty()) {
                continue;
            }
            let is_repeated =
                ["database", "resource", "action"].iter().any(|what| self.values(&format!("{what}-{row}")).count() > 1);
            let restriction =
                Restriction::of(database.to_owned(), resource.to_owned(), action).filter(|_| !is_repeated);
            let expected = "needs an action that is not the host's own, and a table only goes with a database";
            let restriction = restriction.ok_or_else(|| format!("Row {row} {expected}"))?;
            found = Some(restriction.add_to(found));
        }
        Ok(found)
    }

    fn values<'f>(&'f self, name: &str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// One thing that the token may do. Empty names are none: everywhere, or the whole database.
struct Restriction {
    database: String,
    resource: String,
    action: String,
}

impl Restriction {
    fn of(database: String, resource: String, action: &str) -> Option<Self> {
        let is_name = |name: &str| name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
        // Whoever may name these in a token of their own would give themselves what the host's operator has.
        let is_action =
            !action.is_empty() && is_name(action) && !action.contains([' ', ':']) && !OWN_ACTIONS.contains(&action);
        let has_place = !database.is_empty() || resource.is_empty();
        let is_good = is_action && has_place && is_name(&database) && is_name(&resource);
        is_good.then(|| Self { database, resource, action: action.to_owned() })
    }

    fn is_for_all(&self) -> bool {
        self.database.is_empty()
    }

    fn add_to(self, found: Option<TokenRestrictions>) -> TokenRestrictions {
        let found = found.unwrap_or_else(TokenRestrictions::nothing);
        match (self.database.is_empty(), self.resource.is_empty()) {
            (true, _) => found.allow_all(self.action),
            (false, true) => found.allow_database(self.database, self.action),
            (false, false) => found.allow_resource(self.database, self.resource, self.action),
        }
    }
}

/// Undoes Datasette's tilde encoding: `~2F` is a slash, `+` a space, and `%` is itself.
fn tilde_decoded(name: &str) -> Option<String> {
    let escaped = name.replace('%', "%25").replace('~', "%");
    decoded(&escaped).map(|name| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(body: &str) -> Result<(Option<u64>, Option<String>), Mistakes> {
        let wanted = TokenForm::parse(body.as_bytes()).unwrap().wanted("ann")?;
        let restrictions = wanted.restrictions.map(|restrictions| serde_json::to_string(&restrictions).unwrap());
        Ok((wanted.expires_after, restrictions))
    }

    fn restricted(body: &str) -> Option<String> {
        wanted(body).unwrap().1
    }

    #[test]
    fn restrictions_are_the_names_of_fields() {
        assert_eq!(restricted("expire_type=&csrftoken=x&nonsense:a=on&alle:x=1"), None);
        assert_eq!(restricted("all%3Aview-instance=on").as_deref(), Some(r#"{"a":["vi"]}"#));
        assert_eq!(restricted("all:view-instance=").as_deref(), Some(r#"{"a":["vi"]}"#), "the value means nothing");
        assert_eq!(restricted("all:own").as_deref(), Some(r#"{"a":["own"]}"#));
        assert_eq!(
            restricted("database:a~2Fb:view-database=on&resource:my+db:50%25~7E~C3~A9:insert-row=on").as_deref(),
            Some(r#"{"d":{"a/b":["vd"]},"r":{"my db":{"50%~é":["ir"]}}}"#)
        );
        assert_eq!(
            restricted("database-1=+a/b+&resource-1=t~2F&action-1=view-table&action-2=vi&database-5=d&action-5=x")
                .as_deref(),
            Some(r#"{"a":["vi"],"d":{"d":["x"]},"r":{"a/b":{"t~2F":["vt"]}}}"#),
            "rows are as they are typed"
        );
    }

    #[test]
    fn what_is_no_restriction_is_a_mistake_and_never_left_out() {
        for bad in [
            "all:",
            "all:a:b",
            "all:a+b",
            "database:x",
            "database:a:b:c",
            "database::view-table",
            "database:a:",
            "database:~zz:view-table",
            "database:~ff:view-table",
            "resource:a:view-table",
            "resource:a::view-table",
            "resource::t:view-table",
            "resource:a:b:c:d",
            "all:a%00b",
            "all:admin",
            "database:a:tokenreview",
            "database-1=a&action-1=introspect",
            "database-1=a",
            "resource-1=t&action-1=view-table",
            "database-1=a&database-1=b&action-1=view-table",
            "action-3=view+table",
        ] {
            assert!(wanted(&format!("{bad}&all:view-instance=on")).is_err(), "{bad}");
        }
        assert!(wanted(&format!("all:{}=on", "a".repeat(1025))).is_err());
    }

    #[test]
    fn a_life_is_a_number_and_its_unit() {
        let life = |body: &str| wanted(body).map(|(seconds, _)| seconds);
        assert_eq!(life(""), Ok(None));
        assert_eq!(life("expire_type=&expire_duration="), Ok(None));
        for (body, seconds) in [
            ("minutes&expire_duration=5", 300),
            ("hours&expire_duration=2", 7200),
            ("days&expire_duration=+007", 604_800),
            ("days&expire_duration=2932896", 253_402_214_400),
        ] {
            assert_eq!(life(&format!("expire_type={body}")), Ok(Some(seconds)));
        }
        for bad in
            ["", "0", "-1", "%2B1", "1.5", "1e3", "2932897", "4294967295", "4294967296", "99999999999999999999", "٣"]
        {
            assert!(life(&format!("expire_type=days&expire_duration={bad}")).is_err(), "{bad}");
        }
        for bad in [
            "expire_type=weeks&expire_duration=1",
            "expire_duration=5",
            "expire_type=days&expire_type=&expire_duration=5",
        ] {
            assert!(life(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for bad in [&b"a=%"[..], b"a=%zz", b"%ff=1", b"a=\xff"] {
            assert!(TokenForm::parse(bad).is_err(), "{bad:?}");
        }
        assert!(TokenForm::parse("a&".repeat(1000).as_bytes()).is_ok());
        assert!(TokenForm::parse("a&".repeat(1001).as_bytes()).is_err());
    }
}
