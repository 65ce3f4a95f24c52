//! [`Policy`]: what a token may access in an API, in the form of Djblets' policy documents.

use std::{collections::BTreeMap, fmt, io};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::PluginError;

/// What a token may access in an API: Djblets' policy document, checked as Djblets checks it.
///
/// A document has rules for all resources (`*`), for one (`review_request`), and in there for all of its items (`*`) or
/// for one (`42`). Each rule allows or blocks a method (`GET`), or all (`*`).
///
/// ```
/// use serde_json::json;
/// use token_plugin_api::Policy;
///
/// let policy = Policy::new(&json!({
///     "resources": {
///         "*": { "allow": ["GET"], "block": ["*"] },
///         "user": { "*": { "block": ["*"] }, "root": { "allow": ["GET"] } },
///     },
/// }))?;
/// assert!(policy.allows("review", "GET", None), "all may be read");
/// assert!(!policy.allows("review", "POST", None));
/// assert!(!policy.allows("user", "GET", Some("guest")), "but for users");
/// assert!(policy.allows("user", "GET", Some("root")), "an item comes before its resource");
///
/// let faulty = Policy::new(&json!({ "resources": { "*": {} } }));
/// assert_eq!(
///     faulty.unwrap_err().to_string(),
///     r#"The "resources.*" section must have "allow" and/or "block" rules."#
/// );
/// # Ok::<(), token_plugin_api::PolicyError>(())
/// ```
///
/// # Which rule counts
///
/// The first of these sections that has a rule for the method: that of the item, that of all items of the resource, that
/// of all resources. Inside a section a rule that names the method comes before `*`, and then a block before an allow.
/// Methods, resources and items are compared as they are written.
///
/// What no rule names is allowed, as in Djblets, or denied: see [`default_to`](Self::default_to). The empty document
/// `{}` is Djblets' way to write "full access", and means that with either default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// None: full access.
    sections: Option<Sections>,
    default: PolicyDefault,
}

/// What becomes of that which no rule of a [`Policy`] names. Exhaustive: there is no third way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PolicyDefault {
    /// It is allowed, as in Djblets.
    #[default]
    Allow,
    /// It is denied.
    Deny,
}

impl Policy {
    /// The longest document, in bytes of JSON: it is handed out with every verification.
    pub const MAX_BYTES: usize = 65_536;
    /// The most sections that a document has in all.
    pub const MAX_SECTIONS: usize = 1_000;
    /// The most rules that a document has in all.
    pub const MAX_RULES: usize = 5_000;

    /// The policy that a document describes.
    ///
    /// # Errors
    ///
    /// With Djblets' message. What Djblets lets pass, and then trips over or ignores, is an error as well: a resource
    /// that is no object, a rule that is no string; and so is what is larger than the bounds.
    pub fn new(document: &Value) -> Result<Self, PolicyError> {
        Self::read(document, |_| true)
    }

    /// The same, in an API that has these resources and no others.
    ///
    /// # Errors
    ///
    /// Also when the document names another one.
    pub fn new_with_resources<R: AsRef<str>>(document: &Value, resources: &[R]) -> Result<Self, PolicyError> {
        Self::read(document, |name| resources.iter().any(|resource| resource.as_ref() == name))
    }

    /// The same policy, with another answer for what no rule names.
    #[must_use]
    pub fn default_to(mut self, default: PolicyDefault) -> Self {
        self.default = default;
        self
    }

    /// Whether a method may be used on a resource, or on one item of it.
    pub fn allows(&self, resource: &str, method: &str, id: Option<&str>) -> bool {
        let Some(sections) = &self.sections else { return true };
        sections.decide(resource, method, id).unwrap_or(self.default == PolicyDefault::Allow)
    }

    fn read(document: &Value, is_resource: impl Fn(&str) -> bool) -> Result<Self, PolicyError> {
        let policy = document.as_object().ok_or_else(|| PolicyError::new("The policy must be a JSON object."))?;
        let bytes = json_bytes(document);
        if bytes > Self::MAX_BYTES {
            let most = Self::MAX_BYTES;
            return Err(PolicyError(format!("The policy must not be longer than {most} bytes, and has {bytes}.")));
        }
        let sections = if policy.is_empty() { None } else { Some(Sections::read(policy, is_resource)?) };
        Ok(Self { sections, default: PolicyDefault::default() })
    }
}

/// Why a document is no policy: Djblets' message, for whoever wrote the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError(String);

impl PolicyError {
    pub(crate) fn new(message: &str) -> Self {
        Self(message.to_owned())
    }

    fn of_section(section: &str, fault: &str) -> Self {
        Self(format!(r#"The "{section}" section {fault}"#))
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PolicyError {}

impl From<PolicyError> for PluginError {
    fn from(error: PolicyError) -> Self {
        Self::invalid_argument(error.0)
    }
}

/// The rules of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sections {
    /// For all resources.
    everywhere: Option<Rules>,
    /// By resource, then by item.
    resources: BTreeMap<String, BTreeMap<String, Rules>>,
}

/// The name that stands for all.
const ALL: &str = "*";

impl Sections {
    fn read(policy: &Map<String, Value>, is_resource: impl Fn(&str) -> bool) -> Result<Self, PolicyError> {
        let resources = policy.get("resources");
        let resources = resources.ok_or_else(|| PolicyError::new(r#"The policy is missing a "resources" section."#))?;
        let resources = resources
            .as_object()
            .ok_or_else(|| PolicyError::new(r#"The policy's "resources" section must be a JSON object."#))?;
        if resources.is_empty() {
            return Err(PolicyError::new(r#"The policy's "resources" section must not be empty."#));
        }
        let everywhere = resources.get(ALL).map(|section| Rules::read(section, "resources.*")).transpose()?;
        let mut sections = Self { everywhere, resources: BTreeMap::new() };
        for (name, items) in resources.iter().filter(|(name, _)| *name != ALL) {
            if !is_resource(name) {
                return Err(PolicyError(format!(r#""{name}" is not a valid resource policy ID."#)));
            }
            sections.resources.insert(name.clone(), read_items(name, items)?);
        }
        sections.check_bounds()
    }

    fn check_bounds(self) -> Result<Self, PolicyError> {
        let all = || self.everywhere.iter().chain(self.resources.values().flat_map(BTreeMap::values));
        // One without items is a section as well.
        let sections = self.resources.len() + all().count();
        let rules: usize = all().map(|rules| rules.allow.len() + rules.block.len()).sum();
        for (count, most, what) in [(sections, Policy::MAX_SECTIONS, "sections"), (rules, Policy::MAX_RULES, "rules")] {
            if count > most {
                return Err(PolicyError(format!("The policy must not have more than {most} {what}, and has {count}.")));
            }
        }
        Ok(self)
    }

    /// Whether a rule allows it, or blocks it; none: there is no rule for it.
    fn decide(&self, resource: &str, method: &str, id: Option<&str>) -> Option<bool> {
        let items = self.resources.get(resource);
        let of = |id: &str| items.and_then(|items| items.get(id));
        let from_narrow_to_wide = [id.and_then(of), of(ALL), self.everywhere.as_ref()];
        from_narrow_to_wide.into_iter().flatten().find_map(|rules| rules.decide(method))
    }
}

fn read_items(resource: &str, items: &Value) -> Result<BTreeMap<String, Rules>, PolicyError> {
    let section = format!("resources.{resource}");
    let items = items.as_object().ok_or_else(|| PolicyError::of_section(&section, "must be a JSON object."))?;
    items.iter().map(|(id, rules)| Ok((id.clone(), Rules::read(rules, &format!("{section}.{id}"))?))).collect()
}

/// The rules of one section.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules {
    allow: Vec<String>,
    block: Vec<String>,
}

impl Rules {
    fn read(rules: &Value, section: &str) -> Result<Self, PolicyError> {
        let rules = rules.as_object().ok_or_else(|| PolicyError::of_section(section, "must be a JSON object."))?;
        if !["allow", "block"].iter().any(|kind| rules.contains_key(*kind)) {
            return Err(PolicyError::of_section(section, r#"must have "allow" and/or "block" rules."#));
        }
        Ok(Self { allow: read_methods(rules, "allow", section)?, block: read_methods(rules, "block", section)? })
    }

    fn decide(&self, method: &str) -> Option<bool> {
        let names = |methods: &[String], wanted: &str| methods.iter().any(|method| method == wanted);
        [method, ALL].into_iter().find_map(|method| {
            let blocked = names(&self.block, method).then_some(false);
            blocked.or_else(|| names(&self.allow, method).then_some(true))
        })
    }
}

fn read_methods(rules: &Map<String, Value>, kind: &str, section: &str) -> Result<Vec<String>, PolicyError> {
    let Some(methods) = rules.get(kind) else { return Ok(Vec::new()) };
    let fault =
        |expected: &str| PolicyError(format!(r#"The "{section}" section's "{kind}" rule must be a {expected}."#));
    let methods = methods.as_array().ok_or_else(|| fault("list"))?;
    methods.iter().map(|method| Ok(method.as_str().ok_or_else(|| fault("list of strings"))?.to_owned())).collect()
}

/// How long the document is, without writing it.
fn json_bytes(document: &Value) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // What cannot be counted is too long.
    serde_json::to_writer(&mut counter, document).map_or(usize::MAX, |()| counter.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(resources: Value) -> Policy {
        Policy::new(&json!({ "resources": resources })).unwrap()
    }

    fn fault(document: Value) -> String {
        Policy::new(&document).unwrap_err().to_string()
    }

    #[test]
    fn a_block_beats_an_allow_and_a_name_beats_all() {
        let policy = policy(json!({
            "both": { "*": { "allow": ["GET"], "block": ["GET"] } },
            "named": { "*": { "allow": ["GET"], "block": ["*"] } },
            "blocked": { "*": { "allow": ["*"], "block": ["PUT"] } },
            "all": { "*": { "allow": ["*"], "block": ["*"] } },
        }));
        assert!(!policy.allows("both", "GET", None));
        assert!(policy.allows("named", "GET", None) && !policy.allows("named", "PUT", None));
        assert!(!policy.allows("blocked", "PUT", None) && policy.allows("blocked", "GET", None));
        assert!(!policy.allows("all", "GET", None));
        assert!(policy.allows("named", "GET", None) && !policy.allows("named", "get", None), "as it is written");
    }

    #[test]
    fn the_narrower_section_counts_where_it_has_a_rule() {
        let policy = policy(json!({
            "*": { "block": ["GET", "PUT", "POST"] },
            "review": { "*": { "allow": ["GET", "PUT"] }, "42": { "allow": ["DELETE"], "block": ["PUT"] } },
            "empty": {},
        }));
        assert!(policy.allows("review", "GET", Some("42")), "42 has no rule for it");
        assert!(!policy.allows("review", "PUT", Some("42")) && policy.allows("review", "PUT", Some("1")));
        assert!(policy.allows("review", "PUT", None) && !policy.allows("review", "POST", Some("42")));
        assert!(!policy.allows("empty", "GET", None) && !policy.allows("other", "GET", Some("*")));
    }

    #[test]
    fn what_no_rule_names_follows_the_default() {
        let policy = policy(json!({ "review": { "1": { "allow": ["GET"] }, "2": { "block": [] } } }));
        let strict = policy.clone().default_to(PolicyDefault::Deny);
        for (resource, method, id) in [("review", "PUT", Some("1")), ("review", "GET", None), ("user", "GET", None)] {
            assert!(policy.allows(resource, method, id) && !strict.allows(resource, method, id), "{resource} {method}");
        }
        assert!(strict.allows("review", "GET", Some("1")));
        let full = Policy::new(&json!({})).unwrap();
        assert!(full.allows("user", "GET", None) && full.default_to(PolicyDefault::Deny).allows("user", "GET", None));
    }

    #[test]
    fn what_djblets_trips_over_is_an_error() {
        assert_eq!(
            fault(json!({ "resources": { "user": ["GET"] } })),
            r#"The "resources.user" section must be a JSON object."#
        );
        assert_eq!(
            fault(json!({ "resources": { "user": { "*": { "block": ["GET", 5] } } } })),
            r#"The "resources.user.*" section's "block" rule must be a list of strings."#
        );
    }

    #[test]
    fn resources_are_known_where_somebody_knows_them() {
        let document = json!({ "resources": { "*": { "allow": [] }, "user": 5 } });
        let unknown = Policy::new_with_resources(&document, &["review"]).unwrap_err().to_string();
        assert_eq!(unknown, r#""user" is not a valid resource policy ID."#, "that is said first");
        let document = json!({ "resources": { "review": {} } });
        assert_eq!(Policy::new_with_resources(&document, &["review"]), Policy::new(&document));
    }

    #[test]
    fn a_document_has_bounds() {
        let long = fault(json!({ "resources": { "*": { "allow": ["G".repeat(Policy::MAX_BYTES)] } } }));
        assert!(long.starts_with("The policy must not be longer than 65536 bytes"), "{long}");
        let sections: Map<String, Value> =
            (0..=Policy::MAX_SECTIONS).map(|resource| (resource.to_string(), json!({}))).collect();
        assert_eq!(
            fault(json!({ "resources": sections })),
            "The policy must not have more than 1000 sections, and has 1001."
        );
        let rules = vec!["G"; Policy::MAX_RULES];
        policy(json!({ "*": { "allow": rules } }));
        let many = fault(json!({ "resources": { "*": { "allow": rules, "block": ["G"] } } }));
        assert_eq!(many, "The policy must not have more than 5000 rules, and has 5001.");
    }
}
