//! Scopes (RFC 6749 §3.3): what a client asks for, narrowed to what it may have.

use std::collections::BTreeMap;

use token_plugin_api::Client;

/// A scope that is malformed, unknown, or more than there may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidScope;

/// Whether this can be the name of one scope.
pub(crate) fn is_scope(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// The scopes that a `scope` parameter names, each once.
fn parse(scope: &str) -> Result<Vec<String>, InvalidScope> {
    let mut scopes: Vec<String> = Vec::new();
    for name in scope.split(' ') {
        if !is_scope(name) {
            return Err(InvalidScope);
        }
        if !scopes.iter().any(|known| known == name) {
            scopes.push(name.to_owned());
        }
    }
    Ok(scopes)
}

/// Whether a client may have a scope of those that there are.
pub(super) fn may_have(client: &Client, known: &BTreeMap<String, String>, scope: &str) -> bool {
    known.contains_key(scope) && client.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|one| one == scope))
}

/// What a client gets that asks for this. Who asks for nothing gets the default as far as it may have it.
pub(super) fn asked_for(
    scope: Option<&str>,
    client: &Client,
    known: &BTreeMap<String, String>,
    default: &[String],
) -> Result<Vec<String>, InvalidScope> {
    let may_have = |scope: &&String| may_have(client, known, scope);
    let Some(scope) = scope else { return Ok(default.iter().filter(may_have).cloned().collect()) };
    let scopes = parse(scope)?;
    if scopes.iter().all(|scope| may_have(&scope)) { Ok(scopes) } else { Err(InvalidScope) }
}

/// What a token gets that is to replace one with the scopes `had`: the same or less, never more (RFC 6749 §6).
pub(super) fn narrowed(scope: Option<&str>, had: &[String]) -> Result<Vec<String>, InvalidScope> {
    let Some(scope) = scope else { return Ok(had.to_vec()) };
    let scopes = parse(scope)?;
    if scopes.iter().all(|scope| had.contains(scope)) { Ok(scopes) } else { Err(InvalidScope) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_client_gets_what_it_asks_for_and_may_have() {
        let known: BTreeMap<_, _> =
            names(&["read", "write", "admin"]).into_iter().map(|n| (n, String::new())).collect();
        let mut client = Client::new("c");
        let ask = |client: &Client, scope| asked_for(scope, client, &known, &names(&["read", "admin"]));
        assert_eq!(ask(&client, Some("write read write")), Ok(names(&["write", "read"])));
        assert_eq!(ask(&client, None), Ok(names(&["read", "admin"])));
        client.scopes = Some(names(&["read", "gone"]));
        assert_eq!(ask(&client, None), Ok(names(&["read"])));
        assert_eq!(ask(&client, Some("read")), Ok(names(&["read"])));
        for more in
            ["write", "read write", "gone", "unknown", "READ", " read", "read ", "read  read", "r\"", "é", "a\tb"]
        {
            assert_eq!(ask(&client, Some(more)), Err(InvalidScope), "{more}");
        }
        client.scopes = Some(Vec::new());
        assert_eq!((ask(&client, None), ask(&client, Some("read"))), (Ok(Vec::new()), Err(InvalidScope)));
    }

    #[test]
    fn a_refreshed_token_never_has_more() {
        let had = names(&["read", "write"]);
        assert_eq!(narrowed(None, &had), Ok(had.clone()));
        assert_eq!(narrowed(Some("write"), &had), Ok(names(&["write"])));
        for more in ["admin", "read admin", "", "read,write"] {
            assert_eq!(narrowed(Some(more), &had), Err(InvalidScope), "{more}");
        }
        assert_eq!(narrowed(Some("read"), &[]), Err(InvalidScope));
    }
}
