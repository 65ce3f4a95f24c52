//! The check `names`.

use std::collections::BTreeSet;

use super::{
    instance::Instance,
    report::{Checked, failed},
    stores::stores_of,
};
use crate::{MAX_CLAIM_BYTES, abi::stores::StoreKind};

/// What an instance registered, by its names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Each with its claims.
    handlers: Vec<(String, Vec<String>)>,
    wrappers: Vec<String>,
    sinks: Vec<String>,
    generators: Vec<String>,
    extensions: Vec<String>,
    stores: Vec<(StoreKind, String)>,
}

impl Names {
    pub(super) fn of(instance: &Instance) -> Self {
        let claims = |entry: &crate::abi::v1::HandlerEntryV1| entry.claims.iter().map(ToString::to_string).collect();
        Self {
            handlers: instance.handlers.iter().map(|entry| (entry.name.to_string(), claims(entry))).collect(),
            wrappers: instance.wrappers.iter().map(|entry| entry.name.to_string()).collect(),
            sinks: instance.sinks.iter().map(|entry| entry.name.to_string()).collect(),
            generators: instance.generators.iter().map(|entry| entry.id.to_string()).collect(),
            stores: stores_of(instance).map(|(kind, name)| (kind, name.to_owned())).collect(),
            extensions: instance.extensions.iter().map(|entry| entry.id.to_string()).collect(),
        }
    }

    pub(super) fn handlers(&self) -> impl Iterator<Item = &str> {
        self.handlers.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn stores(&self) -> &[(StoreKind, String)] {
        &self.stores
    }

    pub(super) fn generators(&self) -> impl Iterator<Item = &str> {
        self.generators.iter().map(String::as_str)
    }
}

/// Two instances that live at the same time, as they do during a reload.
pub(super) fn names(first: &Instance, second: &Instance) -> Checked {
    let names = Names::of(first);
    if names == Names::default() {
        return failed("nothing was registered, expected a handler or another hook");
    }
    let handlers: Vec<_> = names.handlers().map(str::to_owned).collect();
    let kinds = [
        ("handler", &handlers),
        ("wrapper", &names.wrappers),
        ("event sink", &names.sinks),
        ("token generator", &names.generators),
    ];
    for (kind, names) in kinds {
        let mut seen = BTreeSet::new();
        for name in names {
            expect_name(kind, name)?;
            if !seen.insert(name) {
                return failed(format!("two of its {kind}s are named `{name}`, expected different names"));
            }
        }
    }
    let mut seen = BTreeSet::new();
    for (kind, name) in &names.stores {
        expect_name("store", name)?;
        if !seen.insert((kind.name(), name)) {
            return failed(format!(
                "two of its stores of {} are named `{name}`, expected different names",
                kind.name()
            ));
        }
    }
    for (name, claims) in &names.handlers {
        if let Some(claim) = claims.iter().find(|claim| claim.is_empty() || claim.len() > MAX_CLAIM_BYTES) {
            return failed(format!(
                "handler `{name}` claims a prefix of {} bytes, expected 1 to {MAX_CLAIM_BYTES}",
                claim.len()
            ));
        }
    }
    if names != Names::of(second) {
        return failed("two instances of the same settings differ in their names or claims, expected the same ones");
    }
    Ok(())
}

fn expect_name(kind: &str, name: &str) -> Checked {
    let is_good = !name.trim().is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
    match is_good {
        true => Ok(()),
        false => failed(format!(
            "a {kind} is named `{}`, expected 1 to {MAX_NAME_BYTES} bytes that can be printed",
            name.escape_debug()
        )),
    }
}

/// Names are labels of metrics and columns of listings.
const MAX_NAME_BYTES: usize = 64;
