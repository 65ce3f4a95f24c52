//! Whom introspection does not answer, and how it says so (RFC 7662 §2.3).

use http::Request;
use serde_json::json;
use token_host::{CreateToken, Host, TokenRestrictions, block_on};
use token_host_tests::{Place, Reply, Scratch, SetClock, basic, form_in};

use crate::{
    introspection::{app, every_handler, every_handler_with, jwt_with},
    oauth2_server::tokens,
};

#[test]
fn only_who_may_ask_is_answered() {
    let oauth2 = every_handler();
    let token = tokens(&oauth2).text("access_token");
    let whole = format!("Bearer {}", oauth2.user("ann"));
    let of_app = format!("Bearer {token}");
    let other = oauth2.naming("ann", &["view-instance", "tokenreview", "revoke"]);
    let on_a_database = CreateToken::new("ann").handler("signed");
    let on_a_database =
        on_a_database.restricted_to(TokenRestrictions::nothing().allow_database("introspect", "introspect"));
    let on_a_database = format!("Bearer {}", oauth2.host.create_token_blocking(&on_a_database).unwrap().token);
    let good = oauth2.naming("rs", &["introspect"]);
    let both = r#"Basic realm="token-host"|Bearer realm="token-host""#;
    let (scope, bad) = (r#"scope="introspect""#, r#"error="invalid_token""#);
    let by_form = [("client_id", "app"), ("client_secret", "xyz")];
    let (app, wrong, nobody) = (app(), basic("app", "wrong"), basic("nobody", "xyz"));
    let public = basic("device", "");
    for (authorizations, form, status, error, challenge) in [
        (&[][..], &[][..], 401, "invalid_client", both),
        (&[&*wrong], &[], 401, "invalid_client", both),
        (&[&*nobody], &[], 401, "invalid_client", both),
        (&["Basic !"], &[], 401, "invalid_client", both),
        (&["Digest x=y"], &[], 401, "invalid_client", both),
        (&["token abc"], &[], 401, "invalid_client", both),
        (&[], &[("client_id", "app"), ("client_secret", "wrong")], 401, "invalid_client", both),
        (&[], &[("client_id", "app")], 401, "invalid_client", both),
        (&[], &[("access_token", &good[7..])], 401, "invalid_client", both),
        // Anybody can say that they are a public client.
        (&[&*public], &[], 401, "invalid_client", both),
        (&[], &[("client_id", "device")], 401, "invalid_client", both),
        // Tokens that are no good, and tokens that every user has.
        (&["Bearer nothing"], &[], 401, "invalid_token", bad),
        (&[&*whole], &[], 401, "insufficient_scope", scope),
        (&[&*of_app], &[], 401, "insufficient_scope", scope),
        (&[&*other], &[], 401, "insufficient_scope", scope),
        (&[&*on_a_database], &[], 401, "insufficient_scope", scope),
        (&["Bearer down_x"], &[], 503, "temporarily_unavailable", ""),
        // Two ways at once.
        (&[&*app, &*app], &[], 400, "invalid_request", ""),
        (&[&*app, &*good], &[], 400, "invalid_request", ""),
        (&[&*good, &*good], &[], 400, "invalid_request", ""),
        (&["Digest x=y", &*good], &[], 400, "invalid_request", ""),
        (&[&*app], &by_form, 400, "invalid_request", ""),
        (&[&*good], &by_form, 400, "invalid_request", ""),
        (&[&*good], &[("client_id", "app")], 400, "invalid_request", ""),
        (&[&*good], &[("client_secret", "xyz")], 400, "invalid_request", ""),
        (&["Bearer a b"], &[], 400, "invalid_request", ""),
        (&["Bearer"], &[], 400, "invalid_request", ""),
        (&[&*app], &[("client_id", "other")], 400, "invalid_request", ""),
    ] {
        let form: Vec<_> = [("token", &*token)].into_iter().chain(form.iter().copied()).collect();
        let reply = oauth2.post_form("/oauth2/introspect", authorizations, &form);
        let case = format!("{authorizations:?} {form:?} {reply:?}");
        assert_eq!((reply.status, reply.text("error").as_str()), (status, error), "{case}");
        let challenges = reply.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap());
        let challenges = challenges.collect::<Vec<_>>().join("|");
        assert!(challenges.contains(challenge) && challenges.is_empty() == challenge.is_empty(), "{case}");
        assert_eq!(reply.header("retry-after"), if status == 503 { "5" } else { "" });
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}

#[test]
fn the_configuration_says_whose_word_counts() {
    let more = "[http.admin]\nactors = ['root']\nhandlers = ['signed']";
    let oauth2 = every_handler_with(more);
    let token = tokens(&oauth2).text("access_token");
    let status = |caller: &str| oauth2.post_form("/oauth2/introspect", &[caller], &[("token", &token)]).status;
    assert_eq!((status(&oauth2.naming("root", &["admin"])), status(&oauth2.naming("ann", &["admin"]))), (200, 401));
    assert_eq!(status(&oauth2.naming("rs", &["introspect"])), 200, "that is not an administrator");
    let of_jwt = format!("Bearer {}", jwt_with(&json!({ "sub": "root", "_r": { "a": ["introspect", "admin"] } })));
    assert_eq!(status(&of_jwt), 401, "whoever makes these is not asked what they may do here");
    let oauth2 = every_handler_with("[http.admin]\ncallers = ['apache']");
    let token = tokens(&oauth2).text("access_token");
    let whose = ["apache", "ann", "root"].map(|actor| {
        let caller = oauth2.naming(actor, &["introspect", "revoke"]);
        ["introspect", "revoke"]
            .map(|path| oauth2.post_form(&format!("/oauth2/{path}"), &[&caller], &[("token", &token)]).status)
    });
    assert_eq!(whose, [[200, 200], [401, 403], [401, 403]], "they chose what their tokens name, not who they are");
    assert_eq!(
        oauth2.post_form("/oauth2/revoke", &[&oauth2.naming("root", &["admin"])], &[("token", "x")]).status,
        200
    );
    let oauth2 = every_handler();
    let token = tokens(&oauth2).text("access_token");
    assert_eq!(oauth2.post_form("/oauth2/introspect", &[&of_jwt], &[("token", &token)]).status, 200);
}

#[test]
fn every_request_that_is_none_has_its_error() {
    let oauth2 = every_handler();
    let token = oauth2.user("ann");
    let valid = format!("token={token}").into_bytes();
    let form = "application/x-www-form-urlencoded";
    let huge = format!("token={}", "x".repeat(16 * 1024)).into_bytes();
    for (method, query, content_type, body, status, error) in [
        ("POST", "", form, valid.clone(), 200, ""),
        ("POST", "", "APPLICATION/x-www-form-urlencoded; charset=utf-8", valid.clone(), 200, ""),
        ("GET", "", form, valid.clone(), 405, "invalid_request"),
        ("PUT", "", form, valid.clone(), 405, "invalid_request"),
        ("POST", "", "application/json", br#"{"token":"x"}"#.to_vec(), 400, "invalid_request"),
        ("POST", "", "", valid.clone(), 400, "invalid_request"),
        ("POST", "?token=x", form, valid.clone(), 400, "invalid_request"),
        ("POST", "?token=x", form, Vec::new(), 400, "invalid_request"),
        ("POST", "", form, b"token=a&token=b".to_vec(), 400, "invalid_request"),
        ("POST", "", form, b"token=a&%74oken=b".to_vec(), 400, "invalid_request"),
        ("POST", "", form, b"token=a&x=1&x=2".to_vec(), 400, "invalid_request"),
        ("POST", "", form, b"token=%zz".to_vec(), 400, "invalid_request"),
        ("POST", "", form, b"token=\xff".to_vec(), 400, "invalid_request"),
        ("POST", "", form, b"token=".to_vec(), 400, "invalid_request"),
        ("POST", "", form, Vec::new(), 400, "invalid_request"),
        ("POST", "", form, huge, 413, "invalid_request"),
    ] {
        for path in ["/oauth2/introspect", "/oauth2/revoke"] {
            let request = Request::builder().method(method).uri(format!("{path}{query}"));
            let request = request.header("authorization", app()).header("content-type", content_type);
            let reply = oauth2.introspection(&request.body(body.clone()).unwrap());
            assert_eq!(reply.status, status, "{method} {query} {content_type} {reply:?}");
            assert_eq!(reply.header("allow"), if status == 405 { "POST" } else { "" });
            if status != 200 {
                assert_eq!(reply.text("error"), error);
            }
        }
    }
}

#[test]
fn what_cannot_be_told_is_no_no() {
    let oauth2 = every_handler();
    let reply = oauth2.post_form("/oauth2/introspect", &[&app()], &[("token", "down_x")]);
    assert_eq!((reply.status, reply.header("retry-after")), (503, "5"));
    assert_eq!(reply.text("error"), "temporarily_unavailable");
}

#[test]
fn a_host_without_clients_answers_who_names_the_action() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let host = Host::builder().config_file(scratch.config()).clock(SetClock::at(Place::NOW)).build().unwrap();
    let request = CreateToken::new("rs").restricted_to(TokenRestrictions::nothing().allow_all("introspect"));
    let caller = host.create_token_blocking(&request).unwrap().token;
    let ask = |authorization: String| {
        let request = Request::post("/oauth2/introspect").header("authorization", authorization);
        let request = form_in(request, &[("token", &caller)]);
        Reply::from(block_on(host.introspection().introspect(&request)))
    };
    assert_eq!(ask(format!("Bearer {caller}")).json()["sub"], "rs");
    let reply = ask(app());
    assert_eq!((reply.status, reply.text("error").as_str()), (401, "invalid_client"));
    assert_eq!(reply.header("www-authenticate"), r#"Bearer realm="token-host""#);
}

#[test]
fn whoever_fails_too_often_is_told_to_wait() {
    let oauth2 = every_handler_with("[http]\nfailures_per_token = 3");
    let introspection = oauth2.host.introspection();
    let ask = |authorization: &str| {
        let request = Request::post("/oauth2/introspect").header("authorization", authorization);
        let request = form_in(request, &[("token", "x")]);
        Reply::from(block_on(introspection.clone().introspect(&request)))
    };
    let replies: Vec<_> = (0..4).map(|_| ask("Bearer guessed")).collect();
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [401, 401, 401, 429]);
    assert!(!replies[3].header("retry-after").is_empty());
    assert_eq!(ask(&oauth2.naming("rs", &["introspect"])).status, 200);
}
