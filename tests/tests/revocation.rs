//! Revocation (RFC 7009): who may end which token, and what goes on as it was.

use serde_json::json;
use token_host::{AccessToken, CreateToken, Event, EventKind, block_on};
use token_host_tests::{JWT_SECRET, OAuth2, Place, Plugin, Reply, basic, form_in};

use crate::{
    introspection::{app, every_handler, jwt_with},
    oauth2_server::{APP, SCOPES, actor, code, exchange, is_error, refresh, server, tokens, with_clients},
    oauth2_server_down::host_without_stores,
};

/// What becomes of a request to revoke a token.
fn revoke(oauth2: &OAuth2, authorization: &str, token: &str) -> Reply {
    oauth2.post_form("/oauth2/revoke", &[authorization], &[("token", token)])
}

#[track_caller]
fn is_done(reply: &Reply) {
    assert_eq!((reply.status, reply.body.as_str(), reply.header("cache-control")), (200, "", "no-store"), "{reply:?}");
}

fn is_good(oauth2: &OAuth2, token: &str) -> bool {
    actor(&oauth2.host, token).is_some()
}

#[test]
fn a_client_ends_its_own_tokens() {
    let oauth2 = server();
    let first = tokens(&oauth2);
    for _ in 0..2 {
        is_done(&revoke(&oauth2, &app(), &first.text("access_token")));
        assert!(!is_good(&oauth2, &first.text("access_token")));
    }
    let second = refresh(&oauth2, &first.text("refresh_token"), &[]);
    assert_eq!(second.status, 200, "the refresh token goes on: {second:?}");
    assert!(is_good(&oauth2, &second.text("access_token")));

    // With a refresh token ends all that came of it.
    let another = tokens(&oauth2);
    let hint = ("token_type_hint", "access_token");
    let form = [("token", &*second.text("refresh_token")), hint];
    is_done(&oauth2.post_form("/oauth2/revoke", &[&app()], &form));
    assert!(!is_good(&oauth2, &second.text("access_token")) && is_good(&oauth2, &another.text("access_token")));
    is_error(&refresh(&oauth2, &second.text("refresh_token"), &[]), 400, "invalid_grant");

    // With one that is used up, too: whoever shows it has it from somewhere.
    let next = refresh(&oauth2, &another.text("refresh_token"), &[]);
    is_done(&revoke(&oauth2, &app(), &another.text("refresh_token")));
    assert!(!is_good(&oauth2, &next.text("access_token")));
    is_error(&refresh(&oauth2, &next.text("refresh_token"), &[]), 400, "invalid_grant");
}

#[test]
fn a_public_client_ends_its_own_tokens_by_its_name() {
    let oauth2 = server();
    let grant = code(&oauth2, "device");
    let form: Vec<_> = exchange(&grant).into_iter().chain([("client_id", "device")]).collect();
    let access = oauth2.token(None, &form).text("access_token");
    let foreign = tokens(&oauth2).text("access_token");
    for token in [&access, &foreign] {
        is_done(&oauth2.post_form("/oauth2/revoke", &[], &[("client_id", "device"), ("token", token)]));
    }
    assert!(!is_good(&oauth2, &access) && is_good(&oauth2, &foreign));
}

#[test]
fn what_is_not_the_client_s_goes_on() {
    let oauth2 = every_handler();
    let theirs = tokens(&oauth2);
    let (access, refresh_token) = (theirs.text("access_token"), theirs.text("refresh_token"));
    let create = |handler: &str| {
        oauth2.host.create_token_blocking(&CreateToken::new("other").handler(handler).expires_after(60)).unwrap().token
    };
    // Of a handler that issues nothing for this server, whatever it says.
    let own_word = jwt_with(&json!({ "client_id": "other", "jti": "7" }));
    let others = [create("signed"), create("jwt"), create("database"), own_word];
    for token in [&access, &refresh_token].into_iter().chain(&others) {
        is_done(&revoke(&oauth2, &basic("other", "xyz"), token));
    }
    for token in ["nothing", "thr_nothing", "\0", "é", " ", &"x".repeat(9000)] {
        is_done(&revoke(&oauth2, &app(), token));
    }
    for token in [&access].into_iter().chain(&others) {
        assert!(is_good(&oauth2, token));
    }
    assert_eq!(refresh(&oauth2, &refresh_token, &[]).status, 200);
}

#[test]
fn whoever_names_the_action_ends_any_token() {
    let oauth2 = every_handler();
    let create = |handler: &str| {
        oauth2.host.create_token_blocking(&CreateToken::new("ann").handler(handler).expires_after(60)).unwrap().token
    };
    for action in ["revoke", "admin"] {
        let caller = oauth2.naming("root", &[action]);
        let of_a_client = tokens(&oauth2);
        for token in [create("database"), create("jwt"), of_a_client.text("access_token")] {
            assert!(is_good(&oauth2, &token));
            for _ in 0..2 {
                is_done(&revoke(&oauth2, &caller, &token));
                assert!(!is_good(&oauth2, &token));
            }
        }
        is_done(&revoke(&oauth2, &caller, &of_a_client.text("refresh_token")));
        is_error(&refresh(&oauth2, &of_a_client.text("refresh_token"), &[]), 400, "invalid_grant");
        is_done(&revoke(&oauth2, &caller, "nothing"));
    }
    let caller = oauth2.naming("root", &["revoke"]);
    // It would be good later.
    let early = jwt_with(&json!({ "nbf": Place::NOW + 50, "jti": "early" }));
    is_done(&revoke(&oauth2, &caller, &early));
    oauth2.clock.set(Place::NOW + 55);
    assert!(!is_good(&oauth2, &early));
    assert!(is_good(&oauth2, &jwt_with(&json!({ "nbf": Place::NOW + 50, "jti": "another" }))));

    let signed = oauth2.user("ann");
    is_error(&revoke(&oauth2, &caller, &signed), 400, "unsupported_token_type");
    let nameless = jwt_with(&json!({}));
    is_error(&revoke(&oauth2, &caller, &nameless), 400, "unsupported_token_type");
    assert!(is_good(&oauth2, &signed) && is_good(&oauth2, &nameless));
    let down = revoke(&oauth2, &caller, "down_x");
    is_error(&down, 503, "temporarily_unavailable");
    assert_eq!(down.header("retry-after"), "5");
}

#[test]
fn only_who_may_ask_is_heard() {
    let oauth2 = every_handler();
    let token = tokens(&oauth2).text("access_token");
    let user = format!("Bearer {}", oauth2.user("ann"));
    let own = format!("Bearer {token}");
    let other = oauth2.naming("ann", &["introspect", "tokenreview"]);
    let good = oauth2.naming("root", &["revoke"]);
    for (authorizations, form, status, error) in [
        (&[][..], &[][..], 401, "invalid_client"),
        (&["Basic !"], &[], 401, "invalid_client"),
        (&[&*basic("app", "wrong")], &[], 401, "invalid_client"),
        (&[], &[("client_id", "app")], 401, "invalid_client"),
        (&[], &[("client_id", "nobody")], 401, "invalid_client"),
        (&[], &[("client_id", "device"), ("client_secret", "x")], 401, "invalid_client"),
        (&["Bearer nothing"], &[], 401, "invalid_token"),
        (&[&*user], &[], 403, "insufficient_scope"),
        (&[&*own], &[], 403, "insufficient_scope"),
        (&[&*other], &[], 403, "insufficient_scope"),
        (&[&*good, &*good], &[], 400, "invalid_request"),
        (&[&*app(), &*good], &[], 400, "invalid_request"),
        (&[&*good], &[("client_id", "app")], 400, "invalid_request"),
        (&[&*app()], &[("client_secret", "xyz")], 400, "invalid_request"),
    ] {
        let form: Vec<_> = [("token", &*token)].into_iter().chain(form.iter().copied()).collect();
        let reply = oauth2.post_form("/oauth2/revoke", authorizations, &form);
        is_error(&reply, status, error);
        assert_eq!(reply.headers.contains_key("www-authenticate"), status == 401 || status == 403, "{reply:?}");
    }
    assert!(is_good(&oauth2, &token));
}

#[test]
fn access_tokens_that_a_handler_made_end_as_well() {
    for (revocation, is_possible) in [("", true), ("revocation = { url = 'none' }", false)] {
        let settings = format!("access_token = {{ handler = 'jwt' }}\n{SCOPES}");
        let oauth2 = OAuth2::of(OAuth2::ISSUER, &settings, |scratch| {
            scratch.plugin(
                "jwt",
                Plugin::Jwt,
                &format!(
                    "secret = '{JWT_SECRET}'\ntyp = 'at+jwt'\n{revocation}\n\
                issuer = '{}'\naudience = 'api'",
                    OAuth2::ISSUER
                ),
            );
        });
        with_clients(&oauth2);
        let own = oauth2.token(APP, &[("grant_type", "client_credentials")]).text("access_token");
        let of_ann = tokens(&oauth2).text("access_token");
        for token in [&own, &of_ann] {
            is_done(&revoke(&oauth2, &basic("other", "xyz"), token));
            assert!(is_good(&oauth2, token), "it is another's");
            let reply = revoke(&oauth2, &app(), token);
            if is_possible {
                is_done(&reply);
            } else {
                is_error(&reply, 400, "unsupported_token_type");
            }
            assert_eq!(is_good(&oauth2, token), !is_possible);
        }
    }
}

#[test]
fn who_watches_hears_of_what_ended() {
    let oauth2 = server();
    let first = tokens(&oauth2);
    let (access, refresh_token) = (first.text("access_token"), first.text("refresh_token"));
    let id = oauth2.told(&app(), &access)["token_id"].clone();
    let mut events = oauth2.host.subscribe();
    for token in [&access, &access, &refresh_token, &refresh_token] {
        is_done(&revoke(&oauth2, &app(), token));
    }
    let heard: Vec<Event> = std::iter::from_fn(|| events.try_next()).collect();
    let ended: Vec<_> = heard.iter().filter(|event| event.kind == EventKind::TokenInvalidated).collect();
    let [of_access, of_refresh] = ended[..] else { panic!("once each: {heard:?}") };
    for event in [of_access, of_refresh] {
        assert_eq!((event.handler.as_deref(), event.actor_id.as_deref()), (Some("oauth2"), Some("ann")));
        assert_eq!(event.reason.as_deref(), Some("revoked at the revocation endpoint"));
        let context = event.context.as_ref().unwrap();
        assert_eq!((context.path.as_deref(), &context.extra["by"]), (Some("/oauth2/revoke"), &json!("app")));
    }
    assert_eq!(of_access.token_id.as_deref(), id.as_str());
    let text = serde_json::to_string(&heard).unwrap();
    assert!(!text.contains(&access) && !text.contains(&refresh_token));
}

#[test]
fn who_revoked_another_s_token_is_told() {
    let oauth2 = every_handler();
    let request = CreateToken::new("bob").handler("database").expires_after(60);
    let token = oauth2.host.create_token_blocking(&request).unwrap().token;
    let mut events = oauth2.host.subscribe();
    is_done(&revoke(&oauth2, &oauth2.naming("carl", &["revoke"]), &token));
    let heard: Vec<Event> = std::iter::from_fn(|| events.try_next()).collect();
    let ended = heard.iter().find(|event| event.kind == EventKind::TokenInvalidated).unwrap();
    assert_eq!(ended.actor_id.as_deref(), Some("bob"));
    assert_eq!(ended.context.as_ref().unwrap().extra["by"], "carl");
}

#[test]
fn what_could_not_be_recorded_is_no_success() {
    let oauth2 = OAuth2::of(OAuth2::ISSUER, SCOPES, |scratch| {
        let journal = scratch.journal().setting();
        let sinks = format!("{journal}sinks = [{{ name = 'audit', required = true, record = 'fail' }}]");
        scratch.plugin("audit", Plugin::Hostile, &sinks);
    });
    with_clients(&oauth2);
    let mut kept = AccessToken::new("app", "authorization_code", "tho_x");
    kept.user_id = Some("ann".to_owned());
    kept.refresh_token = Some("thr_x".to_owned());
    block_on(oauth2.host.stores().access_tokens("oauth2").unwrap().save_token(&kept)).unwrap();
    is_error(&revoke(&oauth2, &app(), "thr_x"), 503, "temporarily_unavailable");
    is_done(&revoke(&oauth2, &app(), "thr_x"));
}

#[test]
fn a_store_that_cannot_be_asked_is_no_no() {
    for has_clients in [false, true] {
        let host = host_without_stores(has_clients);
        for path in ["/oauth2/introspect", "/oauth2/revoke"] {
            for hint in ["refresh_token", "access_token"] {
                let request = http::Request::post(path).header("authorization", basic("app", "xyz"));
                let request = form_in(request, &[("token", "thr_x"), ("token_type_hint", hint)]);
                let reply = Reply::from(block_on(host.introspection().serve(&request)).unwrap());
                is_error(&reply, 503, "temporarily_unavailable");
                assert_eq!(reply.header("retry-after"), "5");
                assert!(!reply.body.contains("hunter2"));
            }
        }
    }
}
