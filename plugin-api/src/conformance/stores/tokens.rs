//! Checks of stores for access tokens.

use serde_json::{Map, Value, json};

use super::{RACES, Store, StoreCheck, UNICODE, expect_same};
use crate::{
    ACCESS_TOKEN, AccessToken, PluginErrorKind, RotateRefreshToken, Rotation,
    abi::stores::operation::{
        DELETE_REFRESH_TOKEN, FETCH_BY_REFRESH_TOKEN, FETCH_BY_TOKEN, FETCH_EXISTING_TOKEN_OF_USER, REVOKE_FAMILY,
        REVOKE_TOKEN, REVOKE_TOKENS_OF_CLIENT, REVOKE_TOKENS_OF_USER, ROTATE_REFRESH_TOKEN, SAVE_TOKEN,
    },
    conformance::report::{Checked, failed},
};

pub(super) const CHECKS: [(&str, StoreCheck); 9] = [
    ("tokens_are_kept", tokens_are_kept),
    ("tokens_are_not_found", tokens_are_not_found),
    ("tokens_expire", tokens_expire),
    ("tokens_of_a_user", tokens_of_a_user),
    ("refresh_tokens_are_deleted", refresh_tokens_are_deleted),
    ("refresh_tokens_are_rotated", refresh_tokens_are_rotated),
    ("refresh_tokens_have_one_user", refresh_tokens_have_one_user),
    ("families_are_revoked", families_are_revoked),
    ("tokens_are_revoked", tokens_are_revoked),
];

/// A token with a refresh token, of a user.
fn token(store: &Store<'_>) -> AccessToken {
    let mut token = AccessToken::new(store.name("client"), "authorization_code", store.value("access"));
    token.refresh_token = Some(store.value("refresh"));
    token.user_id = Some(store.name("user"));
    token.expires_at = Some(store.now() + 3_600);
    token.refresh_expires_at = Some(store.now() + 7_200);
    token.scopes = vec!["read".to_owned(), "write".to_owned()];
    token
}

fn value(token: &AccessToken) -> &str {
    token.token.as_deref().unwrap_or_default()
}

fn refresh(token: &AccessToken) -> &str {
    token.refresh_token.as_deref().unwrap_or_default()
}

/// The same without what a store need not tell, and may choose.
fn without_values(token: &AccessToken) -> AccessToken {
    AccessToken { token: None, refresh_token: None, family_id: None, ..token.clone() }
}

fn rotation(store: &Store<'_>, token: &AccessToken) -> RotateRefreshToken {
    let mut request = RotateRefreshToken::new(
        refresh(token),
        token.client_id.as_str(),
        store.value("new-access"),
        store.value("new-refresh"),
    );
    request.expires_at = Some(store.now() + 3_600);
    request.refresh_expires_at = Some(store.now() + 7_200);
    request
}

fn rotated(store: &Store<'_>, request: &RotateRefreshToken) -> Checked<AccessToken> {
    match store.expect(ROTATE_REFRESH_TOKEN, request)? {
        Rotation::Done(token) => Ok(*token),
        Rotation::Reused => failed("a refresh token that was not used is told to have been"),
    }
}

fn gone(store: &Store<'_>, token: &AccessToken, when: &str) -> Checked {
    store.expect_none(FETCH_BY_TOKEN, &value(token), ACCESS_TOKEN, when)?;
    store.expect_none(FETCH_BY_REFRESH_TOKEN, &refresh(token), ACCESS_TOKEN, when)
}

fn tokens_are_kept(store: &Store<'_>) -> Checked {
    let mut data = Map::new();
    data.insert(UNICODE.to_owned(), json!({ "list": [1, -2.5, null, true], "text": UNICODE }));
    data.insert("large".to_owned(), Value::from("x".repeat(100_000)));
    let plain = AccessToken::new(store.name("client"), "client_credentials", store.value("access"));
    let mut full = token(store);
    full.data = data;
    full.user_id = Some(store.name(UNICODE));
    full.scopes = vec![UNICODE.to_owned()];
    for kept in [&plain, &full] {
        store.expect::<()>(SAVE_TOKEN, kept)?;
        let found: AccessToken = store.expect(FETCH_BY_TOKEN, &value(kept))?;
        expect_same("a token", &without_values(kept), &without_values(&found))?;
    }
    let found: AccessToken = store.expect(FETCH_BY_REFRESH_TOKEN, &refresh(&full))?;
    expect_same("a token, by its refresh token,", &without_values(&full), &without_values(&found))?;

    let replaced =
        AccessToken { scopes: vec!["other".to_owned()], refresh_token: None, refresh_expires_at: None, ..full.clone() };
    store.expect::<()>(SAVE_TOKEN, &replaced)?;
    let found: AccessToken = store.expect(FETCH_BY_TOKEN, &value(&full))?;
    expect_same("a token that was replaced", &without_values(&replaced), &without_values(&found))?;
    let when = "of a token that was replaced by one without";
    store.expect_none(FETCH_BY_REFRESH_TOKEN, &refresh(&full), ACCESS_TOKEN, when)
}

fn tokens_are_not_found(store: &Store<'_>) -> Checked {
    let kept = token(store);
    store.expect::<()>(SAVE_TOKEN, &kept)?;
    for (token, when) in [
        (store.value("nobody"), "that nobody made"),
        (String::new(), "of no characters"),
        (format!("{} ", value(&kept)), "with a space behind it"),
        (value(&kept).to_uppercase(), "in upper case"),
        (refresh(&kept).to_owned(), "for a refresh token"),
        (kept.client_id.clone(), "for a client's identifier"),
        ("x".repeat(100_000), "of a hundred thousand characters"),
        ("a\r\nb\0c".to_owned(), "with control characters"),
    ] {
        store.expect_none(FETCH_BY_TOKEN, &token, ACCESS_TOKEN, when)?;
    }
    store.expect_none(FETCH_BY_REFRESH_TOKEN, &value(&kept), ACCESS_TOKEN, "for an access token")?;
    store.expect_none(DELETE_REFRESH_TOKEN, &value(&kept), ACCESS_TOKEN, "for an access token")?;
    let of_access = RotateRefreshToken { refresh_token: value(&kept).to_owned(), ..rotation(store, &kept) };
    store.expect_none(ROTATE_REFRESH_TOKEN, &of_access, ACCESS_TOKEN, "for an access token")
}

fn tokens_expire(store: &Store<'_>) -> Checked {
    let (kept, began) = (token(store), store.now());
    store.expect::<()>(SAVE_TOKEN, &kept)?;
    store.set_now(began + 3_599);
    store.expect::<AccessToken>(FETCH_BY_TOKEN, &value(&kept))?;
    store.set_now(began + 3_600);
    store.expect_none(FETCH_BY_TOKEN, &value(&kept), ACCESS_TOKEN, "at the second of its expiry")?;
    store.expect::<AccessToken>(FETCH_BY_REFRESH_TOKEN, &refresh(&kept))?;
    store.set_now(began + 7_199);
    store.expect::<AccessToken>(FETCH_BY_REFRESH_TOKEN, &refresh(&kept))?;
    store.set_now(began + 7_200);
    let when = "at the second of the refresh token's expiry";
    store.expect_none(FETCH_BY_REFRESH_TOKEN, &refresh(&kept), ACCESS_TOKEN, when)?;
    store.expect_none(ROTATE_REFRESH_TOKEN, &rotation(store, &kept), ACCESS_TOKEN, when)
}

fn tokens_of_a_user(store: &Store<'_>) -> Checked {
    let first = token(store);
    store.expect::<()>(SAVE_TOKEN, &first)?;
    let user = first.user_id.as_deref().unwrap_or_default();
    let asked = (first.client_id.as_str(), first.grant_type.as_str(), user);
    let found: AccessToken = store.expect_if_offered(FETCH_EXISTING_TOKEN_OF_USER, &asked)?;
    expect_same("a user's token", &without_values(&first), &without_values(&found))?;
    let later = AccessToken { token: Some(store.value("access")), scopes: vec!["later".to_owned()], ..first.clone() };
    let later = AccessToken { refresh_token: Some(store.value("refresh")), ..later };
    store.expect::<()>(SAVE_TOKEN, &later)?;
    let found: AccessToken = store.expect(FETCH_EXISTING_TOKEN_OF_USER, &asked)?;
    expect_same("a user's last token", &without_values(&later), &without_values(&found))?;
    let (client, grant, _) = asked;
    for (asked, when) in [
        ((client, grant, "nobody"), "of another user"),
        (("nobody", grant, user), "of another client"),
        ((client, "password", user), "of another grant type"),
        ((grant, client, user), "with client and grant type exchanged"),
    ] {
        store.expect_none(FETCH_EXISTING_TOKEN_OF_USER, &asked, ACCESS_TOKEN, when)?;
    }
    store.set_now(store.now() + 3_600);
    store.expect_none(FETCH_EXISTING_TOKEN_OF_USER, &asked, ACCESS_TOKEN, "that has expired")
}

fn refresh_tokens_are_deleted(store: &Store<'_>) -> Checked {
    let kept = token(store);
    store.expect::<()>(SAVE_TOKEN, &kept)?;
    store.expect::<()>(DELETE_REFRESH_TOKEN, &refresh(&kept))?;
    gone(store, &kept, "that was deleted")?;
    store.expect_none(ROTATE_REFRESH_TOKEN, &rotation(store, &kept), ACCESS_TOKEN, "that was deleted")?;
    store.expect_none(DELETE_REFRESH_TOKEN, &refresh(&kept), ACCESS_TOKEN, "that was deleted")
}

fn refresh_tokens_are_rotated(store: &Store<'_>) -> Checked {
    let kept = token(store);
    store.expect::<()>(SAVE_TOKEN, &kept)?;
    let foreign = RotateRefreshToken { client_id: store.name("client"), ..rotation(store, &kept) };
    store.expect_none(ROTATE_REFRESH_TOKEN, &foreign, ACCESS_TOKEN, "of another client")?;
    let wider = RotateRefreshToken { scopes: Some(vec!["admin".to_owned()]), ..rotation(store, &kept) };
    match store.ask::<Rotation>(ROTATE_REFRESH_TOKEN, &wider) {
        Err(error) if *error.kind() == PluginErrorKind::InvalidArgument => {}
        _ => return failed("a rotation to a scope that was not granted is no error, expected an invalid argument"),
    }
    store.expect::<AccessToken>(FETCH_BY_REFRESH_TOKEN, &refresh(&kept))?;

    let request = RotateRefreshToken { scopes: Some(vec!["read".to_owned()]), ..rotation(store, &kept) };
    let new = rotated(store, &request)?;
    let expected = AccessToken { scopes: vec!["read".to_owned()], ..kept.clone() };
    expect_same("a rotated token", &without_values(&expected), &without_values(&new))?;
    gone(store, &kept, "that was rotated")?;
    store.expect::<AccessToken>(FETCH_BY_TOKEN, &request.new_token)?;
    let found: AccessToken = store.expect(FETCH_BY_REFRESH_TOKEN, &request.new_refresh_token)?;
    expect_same("what a rotated refresh token is good for", &kept.scopes, &found.scopes)?;

    // Somebody has the old one.
    match store.expect(ROTATE_REFRESH_TOKEN, &rotation(store, &kept))? {
        Rotation::Reused => {}
        Rotation::Done(_) => return failed("a refresh token is good a second time"),
    }
    let new = AccessToken {
        token: Some(request.new_token.clone()),
        refresh_token: Some(request.new_refresh_token.clone()),
        ..new
    };
    gone(store, &new, "of a family of which a refresh token was used twice")?;
    store.expect_none(ROTATE_REFRESH_TOKEN, &rotation(store, &new), ACCESS_TOKEN, "of such a family")
}

fn refresh_tokens_have_one_user(store: &Store<'_>) -> Checked {
    for _ in 0..RACES {
        let kept = token(store);
        store.expect::<()>(SAVE_TOKEN, &kept)?;
        let answers = store.race(|| {
            let request = rotation(store, &kept);
            (store.ask::<Rotation>(ROTATE_REFRESH_TOKEN, &request), request)
        })?;
        let mut winners = Vec::new();
        for (answer, request) in answers {
            match answer {
                Ok(Rotation::Done(_)) => winners.push(request),
                Ok(Rotation::Reused) => {}
                // When the family was revoked in between, its refresh tokens may be gone already.
                Err(error) if *error.kind() == PluginErrorKind::NotFound(ACCESS_TOKEN.to_owned()) => {}
                Err(error) => return Err(store.unexpected(ROTATE_REFRESH_TOKEN, &error)),
            }
        }
        if winners.len() != 1 {
            return failed(format!(
                "{} callers at once got new tokens for one refresh token, expected one",
                winners.len()
            ));
        }
        // All the others have used it a second time.
        for winner in winners {
            let when = "of a family of which a refresh token was used twice at once";
            store.expect_none(FETCH_BY_TOKEN, &winner.new_token, ACCESS_TOKEN, when)?;
            store.expect_none(FETCH_BY_REFRESH_TOKEN, &winner.new_refresh_token, ACCESS_TOKEN, when)?;
        }
    }
    Ok(())
}

fn families_are_revoked(store: &Store<'_>) -> Checked {
    let family = store.name("family");
    let of_family = || AccessToken { family_id: Some(family.clone()), ..token(store) };
    let (one, other, foreign) = (of_family(), of_family(), token(store));
    for token in [&one, &other, &foreign] {
        store.expect::<()>(SAVE_TOKEN, token)?;
    }
    store.expect::<()>(REVOKE_FAMILY, &family)?;
    gone(store, &one, "of a family that was revoked")?;
    gone(store, &other, "of a family that was revoked")?;
    store.expect::<AccessToken>(FETCH_BY_TOKEN, &value(&foreign))?;
    let late = of_family();
    store.expect_none(SAVE_TOKEN, &late, ACCESS_TOKEN, "into a family that was revoked")?;
    gone(store, &late, "of a family that was revoked before")?;
    let unborn = store.name("family");
    store.expect::<()>(REVOKE_FAMILY, &unborn)?;
    let late = AccessToken { family_id: Some(unborn), ..token(store) };
    store.expect_none(SAVE_TOKEN, &late, ACCESS_TOKEN, "into a family that was revoked before it had a token")
}

fn tokens_are_revoked(store: &Store<'_>) -> Checked {
    let kept = token(store);
    store.expect::<()>(SAVE_TOKEN, &kept)?;
    let revoke = |token: &str, client: Option<&str>| store.expect::<bool>(REVOKE_TOKEN, &(token, client));
    let nobody = store.name("client");
    if revoke(value(&kept), Some(&nobody))? || revoke(refresh(&kept), Some(&nobody))? {
        return failed("a token is revoked for another client");
    }
    if revoke(&store.value("nobody"), None)? {
        return failed("a token that nobody made is told to have been revoked");
    }
    store.expect::<AccessToken>(FETCH_BY_TOKEN, &value(&kept))?;
    if !revoke(value(&kept), Some(&kept.client_id))? {
        return failed("a token is told not to have been there when it was revoked");
    }
    store.expect_none(FETCH_BY_TOKEN, &value(&kept), ACCESS_TOKEN, "that was revoked")?;

    let (one, other) = (token(store), token(store));
    store.expect::<()>(SAVE_TOKEN, &one)?;
    store.expect::<()>(SAVE_TOKEN, &other)?;
    if !revoke(refresh(&one), None)? {
        return failed("a refresh token is told not to have been there when it was revoked");
    }
    gone(store, &one, "whose refresh token was revoked")?;

    let user = other.user_id.clone().unwrap_or_default();
    let new = rotated(store, &rotation(store, &other))?;
    if store.expect_if_offered::<u64>(REVOKE_TOKENS_OF_USER, &user)? == 0 {
        return failed("a user's tokens are told not to have been there when they were revoked");
    }
    gone(store, &new, "of a user whose tokens were revoked")?;
    let other = token(store);
    store.expect::<()>(SAVE_TOKEN, &other)?;
    if store.expect_if_offered::<u64>(REVOKE_TOKENS_OF_CLIENT, &other.client_id)? == 0 {
        return failed("a client's tokens are told not to have been there when they were revoked");
    }
    gone(store, &other, "of a client whose tokens were revoked")
}
