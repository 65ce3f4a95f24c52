//! Checks of stores for clients.

use super::{Store, StoreCheck, UNICODE, expect_same};
use crate::{
    CLIENT, Client, ClientPage, ClientSecret, ListClients, PluginErrorKind,
    abi::stores::operation::{ADD_CLIENT, FETCH_BY_CLIENT_ID, LIST_CLIENTS, REMOVE_CLIENT, UPDATE_CLIENT},
    conformance::report::{Checked, failed},
};

pub(super) const CHECKS: [(&str, StoreCheck); 2] =
    [("clients_are_kept", clients_are_kept), ("clients_are_listed", clients_are_listed)];

/// A hash of nobody's secret.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG";

fn clients_are_kept(store: &Store<'_>) -> Checked {
    store.expect_none(FETCH_BY_CLIENT_ID, &store.name("nobody"), CLIENT, "that nobody added")?;
    let mut kept = Client::new(store.name("client"));
    kept.name = UNICODE.to_owned();
    kept.secret = Some(ClientSecret::Argon2id(HASH.to_owned()));
    kept.redirect_uris = vec!["https://client.example/a".to_owned(), "http://127.0.0.1:8000/".to_owned()];
    kept.authorized_grants = Some(vec!["authorization_code".to_owned()]);
    kept.authorized_response_types = Some(Vec::new());
    kept.scopes = Some(vec!["read".to_owned()]);
    let public = Client::new(store.name(UNICODE));
    for client in [&kept, &public] {
        store.expect_if_offered::<()>(ADD_CLIENT, client)?;
        let found: Client = store.expect(FETCH_BY_CLIENT_ID, &client.identifier)?;
        expect_same("a client", client, &found)?;
    }
    match store.ask::<()>(ADD_CLIENT, &kept) {
        Err(error) if *error.kind() == PluginErrorKind::InvalidArgument => {}
        _ => return failed("a second client of one identifier is no error, expected an invalid argument"),
    }
    kept.secret = None;
    kept.redirect_uris.clear();
    store.expect::<()>(UPDATE_CLIENT, &kept)?;
    expect_same("a client that was changed", &kept, &store.expect(FETCH_BY_CLIENT_ID, &kept.identifier)?)?;
    store.expect::<()>(REMOVE_CLIENT, &kept.identifier)?;
    for operation in [FETCH_BY_CLIENT_ID, REMOVE_CLIENT] {
        store.expect_none(operation, &kept.identifier, CLIENT, "that was removed")?;
    }
    store.expect_none(UPDATE_CLIENT, &kept, CLIENT, "that was removed")?;
    expect_same("another client", &public, &store.expect(FETCH_BY_CLIENT_ID, &public.identifier)?)?;
    store.expect::<()>(REMOVE_CLIENT, &public.identifier)
}

fn clients_are_listed(store: &Store<'_>) -> Checked {
    let mut added: Vec<Client> = (0..5).map(|number| Client::new(store.name(&format!("listed{number}")))).collect();
    // Not in their order.
    for client in added.iter().rev() {
        store.expect_if_offered::<()>(ADD_CLIENT, client)?;
    }
    let (mut request, mut listed) = (ListClients { after: None, limit: Some(2) }, Vec::new());
    loop {
        let page: ClientPage = store.expect_if_offered(LIST_CLIENTS, &request)?;
        if page.clients.len() > 2 {
            return failed(format!("a page of at most 2 clients has {}", page.clients.len()));
        }
        listed.extend(page.clients);
        match page.next {
            Some(next) if request.after.as_ref().is_none_or(|after| *after < next) => request.after = Some(next),
            Some(_) => return failed("a listing does not come to its end"),
            None => break,
        }
    }
    if !listed.is_sorted_by(|one, other| one.identifier < other.identifier) {
        return failed("clients are not listed in the order of their identifiers, each once");
    }
    listed.retain(|client| added.contains(client));
    added.sort_by(|one, other| one.identifier.cmp(&other.identifier));
    expect_same("a listing", &added, &listed)?;
    added.iter().try_for_each(|client| store.expect::<()>(REMOVE_CLIENT, &client.identifier))
}
