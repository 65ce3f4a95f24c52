//! One `[[http.rule]]`: what is required of which requests.

use toml::de::{DeTable, DeValue};

use super::Place;
use super::http::is_token;
use super::keys::{Keys, Written, parsed, wrong_type};
use super::report::Report;
use crate::authenticate::{PathPattern, RequiredAction, RequiredResource, Requirement, Rule};

/// The rule as written.
pub(super) struct RawRule {
    place: Place,
    host: Option<Written<String>>,
    path: Option<Written<String>>,
    methods: Vec<Written<String>>,
    action: Option<Written<String>>,
    database: Option<Written<String>>,
    resource: Option<Written<String>>,
    scopes: Vec<String>,
    policy: Option<Written<String>>,
    policy_method: Option<Written<String>>,
    policy_id: Option<Written<String>>,
    optional: Option<Written<bool>>,
}

impl RawRule {
    pub(super) fn read(table: &Written<&DeTable<'_>>, report: &mut Report<'_>) -> Self {
        let mut keys = Keys::new(table.value);
        let rule = Self {
            place: table.place,
            host: keys.string("host", report),
            path: keys.string("path", report),
            methods: keys.strings("methods", report),
            action: keys.string("action", report),
            database: keys.string("database", report),
            resource: keys.string("resource", report),
            scopes: scopes(&mut keys, report),
            policy: keys.string("policy", report),
            policy_method: keys.string("policy_method", report),
            policy_id: keys.string("policy_id", report),
            optional: keys.boolean("optional", report),
        };
        keys.finish("", report);
        rule
    }
}

/// `scope`, separated by spaces as RFC 6749 writes them.
fn scopes(keys: &mut Keys<'_>, report: &mut Report<'_>) -> Vec<String> {
    let Some((_, value)) = keys.value("scope", report) else { return Vec::new() };
    let DeValue::String(text) = value.get_ref() else {
        wrong_type("scope", "a string", value, report);
        return Vec::new();
    };
    let scopes: Vec<String> = text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
    if scopes.is_empty() {
        report.error(report.place(&value.span()), "`scope` must name a scope");
    }
    scopes
}

/// Methods are told apart by case (RFC 9110 §9.1). One in lower case is none that is in use: it would be a rule for nothing.
fn is_method(text: &str) -> bool {
    is_token(text) && !text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// Checks the rule. What is wrong goes to `report`, which refuses the configuration.
pub(super) fn resolve_rule(raw: RawRule, report: &mut Report<'_>) -> Rule {
    for method in raw.methods.iter().filter(|method| !is_method(&method.value)) {
        report.error(method.place, "`methods` must be methods in upper case, as in \"GET\"");
    }
    if let Some(method) = raw.policy_method.as_ref().filter(|method| !is_method(&method.value)) {
        report.error(method.place, "`policy_method` must be a method in upper case, as in \"GET\"");
    }
    for (key, written) in [("action", &raw.action), ("policy", &raw.policy)] {
        if let Some(written) = written.as_ref().filter(|written| written.value.is_empty()) {
            report.error(written.place, format!("`{key}` must not be empty"));
        }
    }
    if raw.action.is_none() && (raw.database.is_some() || raw.resource.is_some()) {
        report.error(raw.place, "`database` and `resource` are of an `action`, which the rule does not name");
    }
    if raw.action.is_some() && raw.resource.is_some() && raw.database.is_none() {
        report.error(raw.place, "a `resource` is one of a `database`, which the rule does not name");
    }
    if raw.policy.is_none() && (raw.policy_method.is_some() || raw.policy_id.is_some()) {
        report.error(raw.place, "`policy_method` and `policy_id` are of a `policy`, which the rule does not name");
    }
    let text = |written: Option<Written<String>>| written.map(|written| written.value);
    let database = text(raw.database);
    let resource = text(raw.resource);
    let policy_method = text(raw.policy_method);
    let id = text(raw.policy_id);
    let rule = Rule {
        host: raw.host.and_then(|written| parsed("host", &written, report)),
        path: raw.path.and_then(|written| parsed("path", &written, report)),
        methods: raw.methods.into_iter().map(|written| written.value).collect(),
        policy_method_is_own: policy_method.is_none(),
        requirement: Requirement {
            action: text(raw.action).map(|action| RequiredAction { action, database, resource }),
            policy: text(raw.policy).map(|resource| RequiredResource {
                resource,
                method: policy_method.unwrap_or_default(),
                id,
            }),
            scopes: raw.scopes,
        },
        optional: raw.optional.is_some_and(|written| written.value),
    };
    let known: Vec<&str> = rule.path.iter().flat_map(PathPattern::names).collect();
    for name in rule.mentioned().filter(|name| !known.contains(name)) {
        report.error(raw.place, format!("`{{{name}}}` must be a part of the rule's `path`"));
    }
    rule
}
