//! [`Rules`]: what is required of a request, by its host, path and method.
//!
//! What a rule protects, the application behind must not know by another name. So a path of which programs make
//! different things (empty segments, dots, encoded slashes, double escapes) is not matched at all: it is refused. So is a
//! request that a rule would be for if letters in the other case were the same, if nothing stood behind a `;`, or if
//! Datasette's escapes (`~73`) were read: to some programs it is.

use std::{collections::BTreeMap, str::FromStr};

use super::{
    path_pattern::{Fit, PathPattern, part_name, segments},
    refusal::Refusal,
    requirement::{RequiredAction, RequiredResource, Requirement},
};

/// What is required of a request. The first rule that fits counts; where none does, any good token will do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// One rule: which requests it is for, and what it requires of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// For requests to this host. Default: any.
    pub host: Option<HostPattern>,
    /// For requests with such a path. Default: any.
    pub path: Option<PathPattern>,
    /// For requests with one of these methods; GET means HEAD as well. Default: any.
    pub methods: Vec<String>,
    /// What it requires. Each text may be a part of the path, `{name}`.
    pub requirement: Requirement,
    /// Whether the method that a policy must allow is the request's own.
    pub policy_method_is_own: bool,
    /// Let requests without a token pass, too. Default: false.
    pub optional: bool,
}

/// What was found for a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// What is required of it.
    pub requirement: Requirement,
    /// Whether it passes without a token.
    pub optional: bool,
}

/// A request, as far as rules look at it; what is `None` was not told.
#[derive(Debug, Clone, Copy)]
pub struct Target<'r> {
    /// Its method.
    pub method: Option<&'r str>,
    /// The host that it is for, with or without a port.
    pub host: Option<&'r str>,
    /// Its path, as it came, without the query.
    pub path: Option<&'r str>,
}

impl Rules {
    /// These rules, in this order.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is required of a request.
    ///
    /// # Errors
    ///
    /// When what a rule asks for was not told, or the path means different things to different programs: nobody knows
    /// then which rule is right.
    pub fn find(&self, target: Target<'_>) -> Result<Found, Refusal> {
        if self.is_empty() {
            return Ok(Found::default());
        }
        let path = target.path.ok_or(Refusal::Request("expected to be told the path that is asked for"))?;
        let method = target.method.ok_or(Refusal::Request("expected to be told the method that is asked for"))?;
        let segments = segments(path).ok_or(AMBIGUOUS)?;
        for rule in &self.0 {
            if let Some(host) = &rule.host {
                let told = target.host.ok_or(Refusal::Request("expected to be told the host that is asked for"))?;
                // What is no host to us may be one to a server that is less strict.
                if !is_host(told) {
                    return Err(Refusal::Request("the host is malformed"));
                }
                if !host.fits(told) {
                    continue;
                }
            }
            let (captured, is_sure) = match rule.path.as_ref().map(|path| path.fit(&segments)) {
                None => (BTreeMap::new(), true),
                Some(Fit::Yes(captured)) => (captured, true),
                Some(Fit::Perhaps) => (BTreeMap::new(), false),
                Some(Fit::No) => continue,
            };
            match rule.is_for(method) {
                IsFor::Yes if is_sure => {}
                IsFor::No => continue,
                IsFor::Perhaps => return Err(AMBIGUOUS_METHOD),
                IsFor::Yes => return Err(AMBIGUOUS),
            }
            let policy_asks_for_it = rule.policy_method_is_own && rule.requirement.policy.is_some();
            // To servers that write methods in upper case a policy is to be asked for another one.
            if policy_asks_for_it && method.bytes().any(|byte| byte.is_ascii_lowercase()) {
                return Err(AMBIGUOUS_METHOD);
            }
            return Ok(Found { requirement: rule.filled(&captured, method), optional: rule.optional });
        }
        Ok(Found::default())
    }
}

impl Rule {
    /// The names of parts of the path that the rule's texts mention.
    pub(crate) fn mentioned(&self) -> impl Iterator<Item = &str> {
        let action = self.requirement.action.iter();
        let policy = self.requirement.policy.iter();
        let texts = action.flat_map(|RequiredAction { action, database, resource }| {
            [Some(action), database.as_ref(), resource.as_ref()]
        });
        let texts =
            texts.chain(policy.flat_map(|RequiredResource { resource, id, .. }| [Some(resource), id.as_ref(), None]));
        texts.flatten().filter_map(|text| part_name(text))
    }

    fn is_for(&self, method: &str) -> IsFor {
        match self.methods.iter().find(|known| stands_for(known, method)) {
            None if self.methods.is_empty() => IsFor::Yes,
            None => IsFor::No,
            Some(known) if known == method || (known == "GET" && method == "HEAD") => IsFor::Yes,
            Some(_) => IsFor::Perhaps,
        }
    }

    fn filled(&self, captured: &BTreeMap<&str, &str>, method: &str) -> Requirement {
        let fill = |text: &String| match part_name(text).and_then(|name| captured.get(name)) {
            Some(part) => (*part).to_owned(),
            None => text.clone(),
        };
        let Requirement { action, policy, scopes } = &self.requirement;
        Requirement {
            action: action.as_ref().map(|RequiredAction { action, database, resource }| RequiredAction {
                action: fill(action),
                database: database.as_ref().map(fill),
                resource: resource.as_ref().map(fill),
            }),
            policy: policy.as_ref().map(|policy| RequiredResource {
                resource: fill(&policy.resource),
                method: if self.policy_method_is_own { method.to_owned() } else { policy.method.clone() },
                id: policy.id.as_ref().map(fill),
            }),
            scopes: scopes.clone(),
        }
    }
}

const AMBIGUOUS: Refusal = Refusal::Request("the path is ambiguous");
const AMBIGUOUS_METHOD: Refusal = Refusal::Request("the method is ambiguous");

/// Whether a rule is for a method.
enum IsFor {
    Yes,
    No,
    /// To a server that takes letters in either case for the same.
    Perhaps,
}

/// GET stands for HEAD as well: it is the same, without a body.
fn stands_for(known: &str, method: &str) -> bool {
    let is_head_for_get = known.eq_ignore_ascii_case("GET") && method.eq_ignore_ascii_case("HEAD");
    known.eq_ignore_ascii_case(method) || is_head_for_get
}

/// A host, or with `*.` before it all below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    name: String,
    is_below: bool,
}

impl HostPattern {
    fn fits(&self, host: &str) -> bool {
        let host = bare_host(host);
        if !self.is_below {
            return host == self.name;
        }
        host.strip_suffix(self.name.as_str()).is_some_and(|before| before.len() > 1 && before.ends_with('.'))
    }
}

impl FromStr for HostPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (is_below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        if !is_host(name) || bare_host(name) != name.to_ascii_lowercase() {
            return Err("must be a host without a port (`db.example`), or all below one (`*.example`)");
        }
        Ok(Self { name: name.to_ascii_lowercase(), is_below })
    }
}

/// Whether it is a name or an address, with or without a port.
fn is_host(host: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("address", port),
        Some(_) => return false,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    !name.is_empty() && name.bytes().all(is_name) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

/// A host in lower case, without its port and without the dot that may end it.
fn bare_host(host: &str) -> String {
    let end = match host.strip_prefix('[') {
        Some(rest) => rest.find(']').map_or(host.len(), |end| end + 2),
        None => host.find(':').unwrap_or(host.len()),
    };
    host[..end].trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str, change: impl FnOnce(&mut Rule)) -> Rule {
        let mut rule = Rule { path: Some(path.parse().unwrap()), ..Rule::default() };
        change(&mut rule);
        rule
    }

    fn found(rules: &Rules, method: &str, path: &str) -> Result<Found, Refusal> {
        rules.find(Target { method: Some(method), host: Some("DB.Example.:8080"), path: Some(path) })
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let action = |action: &str| Requirement::action(action, Some("{database}"), Some("{table}"));
        let rules = Rules::new(vec![
            rule("/-/health", |rule| rule.optional = true),
            rule("/{database}/{table}", |rule| {
                rule.methods = vec!["GET".to_owned()];
                rule.requirement = action("view-table");
            }),
            rule("/{database}/{table}/*", |rule| rule.requirement = action("insert-row")),
        ]);
        let required = |method, path| found(&rules, method, path).unwrap().requirement;
        let wanted = Requirement::action("view-table", Some("fix tures"), Some("a+b"));
        assert_eq!(required("GET", "/fix%20tures/a+b"), wanted);
        assert_eq!(required("HEAD", "/fix%20tures/a+b/"), wanted, "a slash at the end hides nothing");
        let insert = Requirement::action("insert-row", Some("db"), Some("t"));
        assert_eq!((required("POST", "/db/t"), required("POST", "/db/t/-/insert")), (insert.clone(), insert));
        assert_eq!(required("GET", "/db"), Requirement::nothing());
        assert!(found(&rules, "GET", "/-/health").unwrap().optional);
    }

    #[test]
    fn a_policy_is_asked_for_the_request_s_own_method() {
        let rules = Rules::new(vec![rule("/api/{resource}/{id}", |rule| {
            rule.requirement = Requirement::resource("{resource}", "", Some("{id}"));
            rule.policy_method_is_own = true;
        })]);
        let found = found(&rules, "PATCH", "/api/review/42").unwrap();
        assert_eq!(found.requirement, Requirement::resource("review", "PATCH", Some("42")));
        for ambiguous in ["patch", "Delete", "dELETE"] {
            let target = Target { method: Some(ambiguous), host: None, path: Some("/api/review/42") };
            assert_eq!(rules.find(target), Err(AMBIGUOUS_METHOD), "a policy that blocks it would not know it");
        }
    }

    #[test]
    fn a_path_that_is_ambiguous_fits_no_rule_and_is_refused() {
        let rules = Rules::new(vec![rule("/admin/*", |rule| rule.requirement = Requirement::scope("admin"))]);
        for path in [
            "//admin",
            "/admin//",
            "/a//b",
            "/./admin",
            "/x/../admin",
            "/%2e/admin",
            "/x/%2E%2e/admin",
            "/admin%2fx",
            "/admin%5Cx",
            "/a\\b",
            "/admin%00",
            "/%",
            "/%zz",
            "/%ff",
            "/%252e%252e/admin",
            "/%25%32%65",
            "/%2561dmin",
            "admin",
            "",
            "*",
            "/x/..;/admin",
            "/;/admin",
            "/a%0d%0ab",
            "/admin#x",
            "/#/admin",
            "/admin x",
        ] {
            assert!(matches!(found(&rules, "GET", path), Err(Refusal::Request(_))), "{path}");
            assert_eq!(found(&Rules::default(), "GET", path), Ok(Found::default()), "there is nothing to evade");
        }
        assert_eq!(found(&rules, "GET", "/%61dmin").unwrap().requirement, Requirement::scope("admin"));
        assert_eq!(found(&rules, "GET", "/admin").unwrap().requirement, Requirement::scope("admin"));
        assert_eq!(found(&rules, "GET", "/").unwrap().requirement, Requirement::nothing());
    }

    #[test]
    fn what_a_rule_may_be_for_is_refused() {
        let rules = Rules::new(vec![
            rule("/admin/*", |rule| rule.requirement = Requirement::scope("admin")),
            rule("/item/{id}", |rule| {
                rule.methods = vec!["GET".to_owned(), "POST".to_owned()];
                rule.requirement = Requirement::resource("item", "GET", Some("{id}"));
            }),
        ]);
        for (method, path) in [
            ("GET", "/Admin"),
            ("GET", "/ADMIN/users"),
            ("GET", "/admin;v=1/users"),
            ("GET", "/Admin%3bx"),
            ("GET", "/item/42;x"),
            ("POST", "/Item/42"),
            ("post", "/item/42"),
            ("Head", "/item/42"),
            ("GET", "/~61dmin"),
            ("GET", "/adm~69n/users"),
            ("GET", "/admin%3Fx"),
            ("GET", "/admin%23x/users"),
        ] {
            assert!(matches!(found(&rules, method, path), Err(Refusal::Request(_))), "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/admin/a;b/C"),
            ("DELETE", "/item/42;x"),
            ("get", "/other;x"),
            ("HEAD", "/item/a"),
            ("GET", "/~ann"),
        ] {
            assert!(found(&rules, method, path).is_ok(), "{method} {path}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_all_below_one() {
        let on = |host: &str| {
            Rules::new(vec![Rule { host: Some(host.parse().unwrap()), optional: true, ..Rule::default() }])
        };
        let fits = |pattern: &str, host| {
            let target = Target { method: Some("GET"), host: Some(host), path: Some("/") };
            on(pattern).find(target).unwrap().optional
        };
        assert!(fits("db.example", "DB.example.:80") && fits("*.example", "a.b.example") && fits("[::1]", "[::1]:80"));
        assert!(!fits("*.example", "example") && !fits("*.example", ".example") && !fits("db.example", "xdb.example"));
        let untold = Target { method: Some("GET"), host: None, path: Some("/") };
        assert!(on("db.example").find(untold).is_err());
        for malformed in
            ["db.example,x", "a b", "", "[::1", "[x]:1", "db.example:8x", "a/b", "a@db.example", "db.example\u{e9}"]
        {
            let target = Target { method: Some("GET"), host: Some(malformed), path: Some("/") };
            assert!(on("db.example").find(target).is_err(), "{malformed}");
        }
        for bad in ["", "a b", "db.example:80", "*.", "*"] {
            assert!(bad.parse::<HostPattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_not_told_is_not_guessed() {
        let rules = Rules::new(vec![rule("/a", |_| {})]);
        let told = Target { method: Some("GET"), host: None, path: Some("/a") };
        assert!(rules.find(told).is_ok());
        assert!(
            rules.find(Target { method: None, ..told }).is_err() && rules.find(Target { path: None, ..told }).is_err()
        );
    }
}
