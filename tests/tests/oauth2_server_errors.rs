//! Everything that the token endpoint refuses, and what it says then: RFC 6749 §5.2, a row for each way there.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Request;
use token_host::{Client, oauth2::Peer};
use token_host_tests::{encoded, form_in};

use crate::oauth2_server::{
    APP, BACK, CHALLENGE, VERIFIER, actor, asking, code, exchange, is_error, refresh, server, tokens,
};

#[test]
fn every_request_that_is_none_has_its_error() {
    let oauth2 = server();
    let own = ("grant_type", "client_credentials");
    let unknown = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let by_form = |id: &'static str, secret: &'static str| [("client_id", id), ("client_secret", secret), own];
    for (basic, form, status, error) in [
        // The request.
        (APP, &[][..], 400, "invalid_request"),
        (APP, &[("grant_type", "")], 400, "invalid_request"),
        (APP, &[own, own], 400, "invalid_request"),
        (APP, &[own, ("scope", "read"), ("scope", "read")], 400, "invalid_request"),
        (APP, &[own, ("x", "1"), ("x", "2")], 400, "invalid_request"),
        (APP, &[("grant_type", "authorization_code")], 400, "invalid_request"),
        (APP, &[("grant_type", "refresh_token")], 400, "invalid_request"),
        // The client.
        (APP, &by_form("app", "xyz"), 400, "invalid_request"),
        (APP, &[own, ("client_id", "other")], 400, "invalid_request"),
        (None, &[own], 400, "invalid_client"),
        (None, &[own, ("client_secret", "xyz")], 400, "invalid_client"),
        (None, &[own, ("client_id", "app")], 400, "invalid_client"),
        (None, &by_form("app", "wrong"), 400, "invalid_client"),
        (None, &by_form("nobody", "xyz"), 400, "invalid_client"),
        (None, &by_form("app\0", "xyz"), 400, "invalid_client"),
        (None, &by_form("device", "xyz"), 400, "invalid_client"),
        (Some(("app", "wrong")), &[own], 401, "invalid_client"),
        (Some(("app", "")), &[own], 401, "invalid_client"),
        (Some(("nobody", "xyz")), &[own], 401, "invalid_client"),
        (Some(("device", "xyz")), &[own], 401, "invalid_client"),
        (Some(("App", "xyz")), &[own], 401, "invalid_client"),
        // The grant type.
        (APP, &[unknown], 400, "unsupported_grant_type"),
        (APP, &[("grant_type", "password"), ("username", "a"), ("password", "b")], 400, "unsupported_grant_type"),
        (None, &[own, ("client_id", "device")], 400, "unauthorized_client"),
        // The scope.
        (APP, &[own, ("scope", "admin")], 400, "invalid_scope"),
        (APP, &[own, ("scope", "read admin")], 400, "invalid_scope"),
        (APP, &[own, ("scope", "read  write")], 400, "invalid_scope"),
        (APP, &[own, ("scope", "\"")], 400, "invalid_scope"),
        // The grant.
        (APP, &exchange("thc_nothing"), 400, "invalid_grant"),
        (APP, &exchange("thc_\u{e9}"), 400, "invalid_grant"),
        (APP, &[("grant_type", "refresh_token"), ("refresh_token", "thr_nothing")], 400, "invalid_grant"),
        (APP, &[("grant_type", "refresh_token"), ("refresh_token", "\n")], 400, "invalid_grant"),
    ] {
        let reply = oauth2.token(basic, form);
        let row = format!("{basic:?} {form:?}: {reply:?}");
        assert_eq!((reply.status, reply.text("error").as_str()), (status, error), "{row}");
        assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"), "{row}");
        assert_eq!(reply.header("content-type"), "application/json", "{row}");
        assert_eq!(reply.header("www-authenticate").starts_with("Basic "), status == 401, "{row}");
        let is_allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(reply.text("error_description").bytes().all(is_allowed), "{row}");
    }
}

#[test]
fn who_a_client_is_cannot_be_found_out() {
    let oauth2 = server();
    let ask = |id, secret| oauth2.token(Some((id, secret)), &[("grant_type", "client_credentials")]);
    let wrong = ask("app", "wrong");
    for (id, secret) in [("nobody", "xyz"), ("device", "xyz"), ("app", "")] {
        let other = ask(id, secret);
        assert_eq!((&other.body, &other.headers), (&wrong.body, &wrong.headers), "{id}");
    }
}

#[test]
fn a_client_may_only_do_what_it_was_given() {
    let oauth2 = server();
    let only = |grant: &'static str| {
        move |client: &mut Client| {
            client.authorized_grants = Some(vec![grant.to_owned()]);
            client.redirect_uris = vec![BACK.to_owned()];
            client.scopes = Some(vec!["read".to_owned()]);
        }
    };
    oauth2.add("codes", Some("x"), only("authorization_code")).add("own", Some("x"), only("client_credentials"));
    let own = [("grant_type", "client_credentials"), ("scope", "read")];
    is_error(&oauth2.token(Some(("codes", "x")), &own), 400, "unauthorized_client");
    for form in [&exchange("x")[..], &[("grant_type", "refresh_token"), ("refresh_token", "x")]] {
        is_error(&oauth2.token(Some(("own", "x")), form), 400, "unauthorized_client");
    }
    assert_eq!(oauth2.token(Some(("own", "x")), &own).status, 200);
    let more = [("grant_type", "client_credentials"), ("scope", "read write")];
    is_error(&oauth2.token(Some(("own", "x")), &more), 400, "invalid_scope");
    let query = asking("codes", &[("scope", "read")]);
    let code = oauth2.allow(&oauth2.user("ann"), &query)["code"].clone();
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", BACK)];
    let reply = oauth2.token(Some(("codes", "x")), &form);
    assert!(reply.status == 200 && reply.json().get("refresh_token").is_none(), "{reply:?}");
}

#[test]
fn only_a_form_that_is_posted_is_read() {
    let oauth2 = server();
    let secret = format!("Basic {}", STANDARD.encode("app:xyz"));
    let form = encoded(&[("grant_type", "client_credentials")]);
    let ask = |method: &str, uri: &str, content_type: Option<&str>, body: Vec<u8>| {
        let request = Request::builder().method(method).uri(uri).header("authorization", &secret);
        let request = content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
        oauth2.ask(&request.body(body).unwrap(), Peer::Unknown)
    };
    let (path, kind) = ("/oauth2/token", Some("application/x-www-form-urlencoded"));
    for good in [kind, Some("Application/X-WWW-Form-URLencoded; charset=UTF-8")] {
        assert_eq!(ask("POST", path, good, form.clone().into_bytes()).status, 200);
    }
    for method in ["GET", "PUT", "DELETE", "HEAD"] {
        let reply = ask(method, path, kind, form.clone().into_bytes());
        assert_eq!((reply.status, reply.header("allow")), (405, "POST"), "{method}");
    }
    let get = ask("GET", &format!("{path}?{form}"), None, Vec::new());
    is_error(&get, 405, "invalid_request");
    for bad in [None, Some("application/json"), Some("text/plain"), Some("multipart/form-data"), Some("")] {
        is_error(&ask("POST", path, bad, form.clone().into_bytes()), 400, "invalid_request");
    }
    is_error(&ask("POST", &format!("{path}?scope=read"), kind, form.clone().into_bytes()), 400, "invalid_request");
    let long = format!("{form}&x={}", "y".repeat(64 * 1024));
    is_error(&ask("POST", path, kind, long.into_bytes()), 413, "invalid_request");
    for broken in ["%", "grant_type=%zz", "grant_type=%ff"] {
        is_error(&ask("POST", path, kind, broken.as_bytes().to_vec()), 400, "invalid_request");
    }
    let request =
        form_in(Request::post(path).header("authorization", &secret), &[("grant_type", "client_credentials")]);
    let (mut parts, body) = request.into_parts();
    parts.headers.append("authorization", secret.parse().unwrap());
    is_error(&oauth2.ask(&Request::from_parts(parts, body), Peer::Unknown), 400, "invalid_request");
}

#[test]
fn a_code_is_good_for_its_client_and_verifier_alone() {
    let oauth2 = server();
    let code = code(&oauth2, "app");
    let good = exchange(&code);
    let with = |name: &str, value: Option<&'static str>| -> Vec<(&str, &str)> {
        let changed = good.iter().map(|(known, old)| (*known, if *known == name { value } else { Some(*old) }));
        changed.filter_map(|(name, value)| Some((name, value?))).collect()
    };
    for (basic, form) in [
        (Some(("other", "xyz")), good.to_vec()),
        (None, good.iter().copied().chain([("client_id", "device")]).collect()),
        (APP, with("redirect_uri", Some("https://app.example/back/"))),
        (APP, with("redirect_uri", Some("https://evil.example/"))),
        (APP, with("redirect_uri", None)),
        (APP, with("code_verifier", None)),
        (APP, with("code_verifier", Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"))),
        (APP, with("code_verifier", Some("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK"))),
    ] {
        is_error(&oauth2.token(basic, &form), 400, "invalid_grant");
    }
    assert_eq!(oauth2.token(APP, &good).status, 200, "none of that used it up");

    // Whoever took the challenge out of the request does not get away with it.
    let code = oauth2.allow(&oauth2.user("ann"), &asking("app", &[]))["code"].clone();
    is_error(&oauth2.token(APP, &exchange(&code)), 400, "invalid_grant");
    let plain = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", BACK)];
    assert_eq!(oauth2.token(APP, &plain).status, 200, "a client with a secret may do without");
    assert_eq!((CHALLENGE[1].1, VERIFIER.len()), ("S256", 43));
}

#[test]
fn a_refresh_token_is_good_for_its_client_and_scopes_alone() {
    let oauth2 = server();
    let first = tokens(&oauth2);
    let refresh_token = first.text("refresh_token");
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
    is_error(&oauth2.token(Some(("other", "xyz")), &form), 400, "invalid_grant");
    for wide in ["admin", "read write admin", "READ", ""] {
        let reply = refresh(&oauth2, &refresh_token, &[("scope", wide)]);
        match wide {
            "" => assert_eq!(reply.text("scope"), "read write", "nothing is no scope"),
            _ => is_error(&reply, 400, "invalid_scope"),
        }
    }
    let second = tokens(&oauth2);
    // What is one kind of thing is no other.
    let (token, refresh_token) = (second.text("access_token"), second.text("refresh_token"));
    is_error(&refresh(&oauth2, &token, &[]), 400, "invalid_grant");
    for code in [&token, &refresh_token] {
        is_error(&oauth2.token(APP, &exchange(code)), 400, "invalid_grant");
    }
    assert_eq!(actor(&oauth2.host, &refresh_token), None);
    assert!(actor(&oauth2.host, &token).is_some());
}

#[test]
fn damaged_requests_get_no_token() {
    let oauth2 = server();
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", "thr_x"), ("client_id", "device"), ("scope", "read")];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..3_000 {
        let mut body = encoded(&form).into_bytes();
        for _ in 0..random.usize(1..6) {
            let place = random.usize(..body.len());
            match random.u8(..3) {
                0 => body.truncate(place.max(1)),
                1 => body[place] = random.u8(..),
                _ => body.insert(place, *random.choice(b"&=%+;\0").unwrap()),
            }
        }
        let request = Request::post("/oauth2/token").header("content-type", "application/x-www-form-urlencoded");
        let reply = oauth2.ask(&request.body(body.clone()).unwrap(), Peer::Unknown);
        assert!(
            reply.status == 400 && !reply.text("error").is_empty(),
            "{:?}: {reply:?}",
            String::from_utf8_lossy(&body)
        );
    }
}

#[test]
fn of_many_at_once_one_gets_it() {
    let oauth2 = server();
    let code = code(&oauth2, "app");
    let all_at_once = |ask: &(dyn Fn() -> u16 + Sync)| {
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            let statuses: Vec<u16> = asking.into_iter().map(|asking| asking.join().unwrap()).collect();
            statuses.iter().filter(|status| **status == 200).count()
        })
    };
    assert!(all_at_once(&|| oauth2.token(APP, &exchange(&code)).status) <= 1, "none, when the family ended first");
    let refresh_token = tokens(&oauth2).text("refresh_token");
    assert_eq!(all_at_once(&|| refresh(&oauth2, &refresh_token, &[]).status), 1);
}

/// The log of this program's authorization servers, from the first call on.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_happens_is_logged_and_nothing_secret_is() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter("oauth2=trace").with_ansi(false).with_writer(move || writer.clone());
    // For all threads: much of it happens on the host's own.
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let oauth2 = server();
    let code = code(&oauth2, "app");
    let first = oauth2.token(APP, &exchange(&code));
    oauth2.token(APP, &exchange(&code));
    let another = tokens(&oauth2);
    let second = refresh(&oauth2, &another.text("refresh_token"), &[]);
    refresh(&oauth2, &another.text("refresh_token"), &[]);
    oauth2.token(Some(("app", "a wrong secret")), &exchange(&code));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for said in ["a code was used a second time client_id=\"app\"", "a refresh token was used again"] {
        assert!(log.contains(said), "{said}: {log}");
    }
    let secrets = [&first, &another, &second].map(|reply| [reply.text("access_token"), reply.text("refresh_token")]);
    for secret in secrets.as_flattened().iter().chain([&code, &"a wrong secret".to_owned(), &VERIFIER.to_owned()]) {
        assert!(!log.contains(secret.as_str()), "{secret}: {log}");
    }
}
