//! Whether what `[oauth2]` names is there.

use token_plugin_api::abi::stores::StoreKind;

use super::finding_list::FindingList;
use crate::{
    config::{AccessTokenFormat, OAuth2Settings, Severity},
    registry::Parts,
};

/// Refuses a table whose stores or handler no plugin has: the first client to come would be the one to find out.
pub(super) fn check(settings: &OAuth2Settings, parts: &Parts, findings: &mut FindingList<'_>) {
    let mut missing = |what: String| {
        findings.wrong = true;
        findings.add(Severity::Error, settings.place, None, format!("[oauth2] needs {what}, which no plugin has"));
    };
    for kind in [StoreKind::AccessTokens, StoreKind::AuthCodes, StoreKind::Clients] {
        let is_it = |name: &str, of: StoreKind| of == kind && name == settings.store;
        if !parts.stores.iter().any(|store| is_it(store.name(), store.kind())) {
            missing(format!("the store {:?} of {}", settings.store, kind.name()));
        }
    }
    if let AccessTokenFormat::Handler(name) = &settings.access_token
        && !parts.handlers.iter().any(|handler| handler.name() == name)
    {
        missing(format!("the handler {name:?}"));
    }
}
