//! Checks of stores for authorization codes.

use serde_json::json;

use super::{RACES, Store, StoreCheck, UNICODE, expect_same};
use crate::{
    AUTHORIZATION_CODE, AuthorizationCode, Consumption,
    abi::stores::operation::{CONSUME_CODE, DELETE_CODE, FETCH_BY_CODE, SAVE_CODE},
    conformance::report::{Checked, failed},
};

pub(super) const CHECKS: [(&str, StoreCheck); 4] = [
    ("codes_are_kept", codes_are_kept),
    ("codes_expire", codes_expire),
    ("codes_are_consumed", codes_are_consumed),
    ("codes_have_one_consumer", codes_have_one_consumer),
];

const REDIRECT_URI: &str = "https://client.example/callback?a=b";

fn code(store: &Store<'_>) -> AuthorizationCode {
    let (client, value, family) = (store.name("client"), store.value("code"), store.name("family"));
    let mut code = AuthorizationCode::new(client, value, store.now() + 60, REDIRECT_URI, family);
    code.scopes = vec![UNICODE.to_owned(), "read".to_owned()];
    code.user_id = Some(store.name(UNICODE));
    code.data.insert("code_challenge".to_owned(), json!({ "text": UNICODE }));
    code
}

fn value(code: &AuthorizationCode) -> &str {
    code.code.as_deref().unwrap_or_default()
}

fn without_value(code: &AuthorizationCode) -> AuthorizationCode {
    AuthorizationCode { code: None, ..code.clone() }
}

fn codes_are_kept(store: &Store<'_>) -> Checked {
    let kept = code(store);
    store.expect::<()>(SAVE_CODE, &kept)?;
    let found: AuthorizationCode = store.expect(FETCH_BY_CODE, &value(&kept))?;
    expect_same("a code", &without_value(&kept), &without_value(&found))?;
    let replaced = AuthorizationCode { scopes: Vec::new(), ..kept.clone() };
    store.expect::<()>(SAVE_CODE, &replaced)?;
    let found: AuthorizationCode = store.expect(FETCH_BY_CODE, &value(&kept))?;
    expect_same("a code that was replaced", &without_value(&replaced), &without_value(&found))?;
    store.expect_none(FETCH_BY_CODE, &store.value("nobody"), AUTHORIZATION_CODE, "that nobody made")?;
    store.expect_none(FETCH_BY_CODE, &kept.client_id, AUTHORIZATION_CODE, "for a client's identifier")?;
    store.expect::<()>(DELETE_CODE, &value(&kept))?;
    store.expect_none(FETCH_BY_CODE, &value(&kept), AUTHORIZATION_CODE, "that was deleted")?;
    store.expect_none(DELETE_CODE, &value(&kept), AUTHORIZATION_CODE, "that was deleted")
}

fn codes_expire(store: &Store<'_>) -> Checked {
    let (kept, began) = (code(store), store.now());
    store.expect::<()>(SAVE_CODE, &kept)?;
    store.set_now(began + 59);
    store.expect::<AuthorizationCode>(FETCH_BY_CODE, &value(&kept))?;
    store.set_now(began + 60);
    let when = "at the second of its expiry";
    store.expect_none(FETCH_BY_CODE, &value(&kept), AUTHORIZATION_CODE, when)?;
    let asked = (value(&kept), kept.client_id.as_str(), REDIRECT_URI);
    store.expect_none(CONSUME_CODE, &asked, AUTHORIZATION_CODE, when)
}

fn codes_are_consumed(store: &Store<'_>) -> Checked {
    let kept = code(store);
    store.expect::<()>(SAVE_CODE, &kept)?;
    let (value, client) = (value(&kept), kept.client_id.as_str());
    for (asked, when) in [
        ((value, "nobody", REDIRECT_URI), "of another client"),
        ((value, client, "https://client.example/callback"), "of another redirect URI"),
        ((value, client, ""), "of no redirect URI"),
    ] {
        store.expect_none(CONSUME_CODE, &asked, AUTHORIZATION_CODE, when)?;
    }
    let asked = (value, client, REDIRECT_URI);
    match store.expect(CONSUME_CODE, &asked)? {
        Consumption::Done(found) => expect_same("a consumed code", &without_value(&kept), &without_value(&found))?,
        Consumption::Reused { .. } => return failed("a code that was not consumed is told to have been"),
    }
    store.expect_none(FETCH_BY_CODE, &value, AUTHORIZATION_CODE, "that was consumed")?;
    match store.expect(CONSUME_CODE, &asked)? {
        Consumption::Reused { family_id } => expect_same("a consumed code's family", &kept.family_id, &family_id),
        Consumption::Done(_) => failed("a code is good a second time"),
    }
}

fn codes_have_one_consumer(store: &Store<'_>) -> Checked {
    for _ in 0..RACES {
        let kept = code(store);
        store.expect::<()>(SAVE_CODE, &kept)?;
        let asked = (value(&kept), kept.client_id.as_str(), REDIRECT_URI);
        let mut winners = 0;
        for answer in store.race(|| store.ask::<Consumption>(CONSUME_CODE, &asked))? {
            match answer {
                Ok(Consumption::Done(_)) => winners += 1,
                Ok(Consumption::Reused { .. }) => {}
                Err(error) => return Err(store.unexpected(CONSUME_CODE, &error)),
            }
        }
        if winners != 1 {
            return failed(format!("{winners} callers at once consumed one code, expected one"));
        }
    }
    Ok(())
}
