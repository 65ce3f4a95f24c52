//! Kubernetes' `TokenReview`: the host as the webhook of an API server.

use http::Request;
use serde_json::{Value, json};
use token_host::block_on;
use token_host_tests::{OAuth2, Reply, basic};

use crate::{
    introspection::{every_handler, jwt_with},
    oauth2_server::{APP, tokens},
};

const PATH: &str = "/k8s/tokenreviews";

/// What an API server sends (`kubectl` and client-go write all of these fields).
fn review_of(token: &str, audiences: &[&str]) -> Value {
    let mut spec = json!({ "token": token });
    if !audiences.is_empty() {
        spec["audiences"] = audiences.into();
    }
    json!({
        "kind": "TokenReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": { "creationTimestamp": null },
        "spec": spec,
        "status": { "user": {} },
    })
}

fn ask(oauth2: &OAuth2, body: &Value) -> Reply {
    // As API servers do.
    oauth2.post_json(&format!("{PATH}?timeout=30s"), &[&oauth2.naming("kube", &["tokenreview"])], body)
}

/// The `status` of the answer.
#[track_caller]
fn status(oauth2: &OAuth2, token: &str, audiences: &[&str]) -> Value {
    let reply = ask(oauth2, &review_of(token, audiences));
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{reply:?}");
    assert_eq!(reply.header("cache-control"), "no-store");
    let mut answer = reply.json();
    let status = answer["status"].take();
    assert_eq!(answer, json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": null }));
    status
}

#[test]
fn a_good_token_is_a_user() {
    let oauth2 = every_handler();
    let plain = json!({ "username": "ann", "uid": "ann", "groups": [], "extra": { "token-host/handler": ["signed"] } });
    let expected = json!({ "authenticated": true, "user": plain });
    assert_eq!(status(&oauth2, &oauth2.user("ann"), &[]), expected);
    assert_eq!(status(&oauth2, &oauth2.user("ann"), &["https://kubernetes"]), expected, "it names no audience itself");

    let claims = json!({ "groups": ["dev", "ops"], "aud": ["https://kubernetes", "b"], "scope": "read", "jti": "7" });
    let extra = json!({
        "token-host/handler": ["jwt"], "token-host/scopes": ["read"], "token-host/token-id": ["7"],
    });
    let user = json!({ "username": "ann", "uid": "ann", "groups": ["dev", "ops"], "extra": extra });
    let expected = json!({ "authenticated": true, "user": user, "audiences": ["https://kubernetes"] });
    assert_eq!(status(&oauth2, &jwt_with(&claims), &["a", "https://kubernetes"]), expected);
}

#[test]
fn every_other_token_is_nobody() {
    let oauth2 = every_handler();
    assert_eq!(status(&oauth2, "nothing", &[]), json!({ "authenticated": false }), "it may be another's");
    let expired = jwt_with(&json!({ "exp": 5 }));
    for (token, audiences) in [
        (expired.clone(), &[][..]),
        (format!("{}x", jwt_with(&json!({}))), &[]),
        ("x".repeat(9000), &[]),
        (jwt_with(&json!({ "aud": "b" })), &["a"]),
        (jwt_with(&json!({ "aud": "b" })), &[]),
        (jwt_with(&json!({ "sub": "system:admin" })), &[]),
        (jwt_with(&json!({ "groups": ["system:masters"] })), &[]),
        // What a client got from a user is not the user.
        (tokens(&oauth2).text("access_token"), &[]),
        (oauth2.token(APP, &[("grant_type", "client_credentials")]).text("access_token"), &[]),
        (oauth2.naming("ann", &["view-instance"])[7..].to_owned(), &[]),
        (oauth2.naming("kube", &["tokenreview"])[7..].to_owned(), &[]),
    ] {
        let status = status(&oauth2, &token, audiences);
        assert_eq!(status["authenticated"], false, "{status}");
        assert!(status["error"].is_string() && status.get("user").is_none(), "{status}");
        assert!(!status.to_string().contains(&token));
    }
    assert_eq!(status(&oauth2, &oauth2.naming("ann", &["kubernetes"])[7..], &[])["authenticated"], true);
}

#[test]
fn what_kubernetes_keeps_for_itself_is_let_through_on_purpose_alone() {
    let oauth2 = every_handler();
    let token = jwt_with(&json!({ "sub": "system:node:a", "groups": ["system:nodes"] }));
    assert_eq!(status(&oauth2, &token, &[])["authenticated"], false);
    let request = Request::post(PATH).header("authorization", oauth2.naming("kube", &["tokenreview"]));
    let request = request.header("content-type", "application/json").body(review_of(&token, &[]).to_string().into());
    let introspection = oauth2.host.introspection().danger_allow_system_identities();
    let reply = Reply::from(block_on(introspection.token_review(&request.unwrap())));
    assert_eq!(reply.json()["status"]["user"]["username"], "system:node:a");
}

#[test]
fn what_cannot_be_told_is_no_no() {
    let oauth2 = every_handler();
    let reply = ask(&oauth2, &review_of("down_x", &[]));
    assert_eq!((reply.status, reply.header("retry-after")), (503, "5"));
    assert!(!reply.body.contains("authenticated"));
}

#[test]
fn what_is_no_review_is_refused() {
    let oauth2 = every_handler();
    let good = review_of(&oauth2.user("ann"), &[]);
    let with = |pointer: &str, value: Value| {
        let mut review = good.clone();
        *review.pointer_mut(pointer).unwrap() = value;
        review
    };
    for bad in [
        with("/apiVersion", json!("authentication.k8s.io/v1beta1")),
        with("/apiVersion", json!("v1")),
        with("/apiVersion", Value::Null),
        with("/kind", json!("SubjectAccessReview")),
        with("/spec", Value::Null),
        with("/spec", json!(["x"])),
        with("/spec", json!({ "token": "" })),
        with("/spec", json!({ "token": 5 })),
        with("/spec", json!({ "audiences": [] })),
        with("/spec", json!({ "token": "x", "audiences": "a" })),
        with("/spec", json!({ "token": "x", "audiences": [5] })),
        json!({}),
        json!(["authentication.k8s.io/v1", "TokenReview", { "token": "x" }]),
        json!(null),
    ] {
        let reply = ask(&oauth2, &bad);
        assert_eq!((reply.status, reply.text("error").as_str()), (400, "invalid_request"), "{bad}");
    }
    assert_eq!(ask(&oauth2, &with("/spec/token", json!("x".repeat(64 * 1024)))).status, 413);
    for (method, content_type, body, status) in [
        ("GET", "application/json", good.to_string(), 405),
        ("POST", "text/plain", good.to_string(), 400),
        ("POST", "application/json; charset=utf-8", good.to_string(), 200),
        ("POST", "application/json", good.to_string()[1..].to_owned(), 400),
        ("POST", "application/json", format!("{good}{good}"), 400),
        ("POST", "application/json", good.to_string().replace(r#""token":"#, r#""token":"x","token":"#), 400),
        ("POST", "application/json", String::new(), 400),
        ("POST", "application/json", "[".repeat(10_000), 400),
    ] {
        let request = Request::builder().method(method).uri(PATH).header("content-type", content_type);
        let request = request.header("authorization", oauth2.naming("kube", &["tokenreview"]));
        let reply = oauth2.introspection(&request.body(body.clone().into_bytes()).unwrap());
        assert_eq!(reply.status, status, "{method} {content_type} {body} {reply:?}");
    }
}

#[test]
fn only_an_api_server_is_answered() {
    let oauth2 = every_handler();
    let good = oauth2.naming("kube", &["tokenreview"]);
    let user = format!("Bearer {}", oauth2.user("ann"));
    for (authorizations, status) in [
        (&[&*good][..], 200),
        (&[&*oauth2.naming("kube", &["introspect"])], 200),
        (&[&*oauth2.naming("root", &["admin"])], 200),
        (&[], 401),
        (&["Bearer nothing"], 401),
        (&[&*basic("app", "xyz")], 401),
        (&[&*user], 403),
        (&[&*oauth2.naming("kube", &["revoke", "kubernetes"])], 403),
        (&[&*good, &*good], 400),
        (&["Bearer down_x"], 503),
    ] {
        let reply = oauth2.post_json(PATH, authorizations, &review_of(&oauth2.user("ann"), &[]));
        assert_eq!(reply.status, status, "{authorizations:?} {reply:?}");
        let challenge = if status == 401 || status == 403 { "Bearer " } else { "" };
        assert!(reply.header("www-authenticate").starts_with(challenge), "{reply:?}");
        assert!(!reply.header("www-authenticate").contains("Basic"), "{reply:?}");
    }
}
