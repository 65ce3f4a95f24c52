//! What clients try with proxies: to be somebody else, to have another request judged than the one that is made, to have
//! something else required of their token.

use std::fs;

use token_host_tests::{ProxyKind, Seen, repository};

use crate::proxies::{Scene, alice, restricted, with_each_proxy};

with_each_proxy!(
    nobody_can_say_who_they_are,
    no_header_can_have_another_removed,
    no_header_can_have_another_request_judged,
    paths_are_judged_as_the_application_gets_them,
    nobody_can_choose_what_is_required,
    nothing_but_websockets_is_upgraded_to,
);

/// Headers with which a client says that it is somebody else, or may do more.
pub(crate) const INJECTED: [&[&str]; 8] = [
    &["X-Auth-Actor-Id: root"],
    &["x-auth-actor-id: root", "X-AUTH-ACTOR-ID: root", "X-Auth-Actor-Id: alice"],
    // What token-host says nothing of in this case.
    &["X-Auth-Expires: 99999999999", "X-Auth-Scopes: admin"],
    &["X_Auth_Actor_Id: root", "X-Auth_Actor_Id: root", "X_AUTH_EXPIRES: 1", "X-Auth-Scopes_: a"],
    &["X.Auth.Actor.Id: root", "X+Auth+Scopes: admin", "X~Auth~Actor: e30"],
    // The last of those that are alike says nothing.
    &["X.Auth.Actor: e30", "X!Auth!Actor: e30", "x~auth~actor:", "X.Auth-Handler: x", "X|Auth^Token`Kind: x"],
    &["X-Auth-Actor: eyJpZCI6InJvb3QifQ", "X-Auth-Handler:", "X-Auth-Token-Kind: \t"],
    &["Cookie: X-Auth-Actor-Id=root", "X-Auth-Other: root"],
];

/// Headers that may make another request of the one that was judged, in the spellings that an application may read alike.
pub(crate) fn overriding_headers() -> Vec<String> {
    const NAMES: [&str; 11] = [
        "Forwarded",
        "X-Forwarded-Host",
        "X-Forwarded-Method",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-HTTP-Method",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "X-Original-URI",
        "X-Original-URL",
        "X-Rewrite-URL",
    ];
    let spelt = |separator: &str| NAMES.map(|name| format!("{}: overridden", name.replace('-', separator)));
    let mut headers = ["-", "_", ".", "~", "+"].map(spelt).concat();
    // Of these the proxies say something of their own.
    headers.extend(["X_Forwarded_Proto: overridden", "X.Forwarded.For: overridden"].map(str::to_owned));
    headers.push("X-HTTP_Method.Override: overridden".to_owned());
    headers
}

/// Whether none of these is there.
#[track_caller]
pub(crate) fn is_not_overridden(seen: &Seen) {
    let is_overriding = |value: &str| value.contains("overridden");
    assert!(!seen.headers.values().any(|value| value.to_str().is_ok_and(is_overriding)), "{seen:?}");
}

/// What the application may take for identity headers: CGI and its kin write `-` and `_` alike, some every other character.
pub(crate) fn identity_headers(seen: &Seen) -> Vec<(String, String)> {
    let plain = |name: &str| name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
    let headers = seen.headers.iter().filter(|(name, _)| plain(name.as_str()).starts_with("x_auth_"));
    headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

/// Whether they say what token-host says of Alice's token, each once.
#[track_caller]
fn is_alice(seen: &Seen) {
    let mut headers = identity_headers(seen);
    headers.retain(|(_, value)| !value.is_empty());
    headers.sort();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["x-auth-actor", "x-auth-actor-id", "x-auth-handler", "x-auth-token-kind"], "{seen:?}");
    assert_eq!((headers[1].1.as_str(), headers[2].1.as_str()), ("alice", "signed"), "{seen:?}");
}

fn nobody_can_say_who_they_are(kind: ProxyKind) {
    let Some(scene) = Scene::of(kind) else { return };
    for injected in INJECTED {
        let alice = alice();
        let headers: Vec<&str> = injected.iter().copied().chain([alice.as_str()]).collect();
        let seen = scene.passes("GET /", &headers);
        let mut known = seen.clone();
        // No identity header, and nginx takes headers away by their whole names.
        if kind == ProxyKind::Nginx {
            known.headers.remove("x-auth-other");
        }
        is_alice(&known);
        scene.refused("GET /", injected);
    }
    // More than a proxy takes is refused, or it is not sent on.
    let oversized = format!("X-Auth-Actor: {}", "a".repeat(64 << 10));
    let (reply, seen) = scene.ask("GET /", &[&oversized, &alice()]);
    assert!(matches!(reply.status, 200 | 400 | 431), "{reply:?}");
    seen.iter().for_each(is_alice);
    // A name that ends in a space is another name to some, and the same to others.
    let (reply, seen) = scene.ask("GET /", &["X-Auth-Actor-Id : root", &alice()]);
    assert!(reply.status == 400 && seen.is_empty(), "{reply:?}");
    // The end of a header within one.
    let (reply, seen) = scene.ask("GET /", &["X-Other: a\rX-Auth-Actor-Id: root", &alice()]);
    assert!(matches!(reply.status, 200 | 400), "{reply:?}");
    seen.iter().for_each(is_alice);
}

fn no_header_can_have_another_removed(kind: ProxyKind) {
    let Some(scene) = Scene::of(kind) else { return };
    for connection in [
        &["Connection: close, X-Auth-Actor-Id, X-Auth-Actor, X-Auth-Handler"][..],
        &["Connection: close", "Connection: x-auth-actor-id"],
        &["Connection: close,\tX-AUTH-ACTOR-ID"],
        &["Connection: X-Forwarded-Uri, X-Forwarded-Method, X-Forwarded-For, X-Original-URI, X-Original-Method"],
        &["Proxy-Connection: X-Auth-Actor-Id", "Keep-Alive: X-Auth-Actor-Id", "TE: X-Auth-Actor-Id"],
    ] {
        let alice = alice();
        let headers: Vec<&str> = connection.iter().copied().chain([alice.as_str()]).collect();
        let (reply, seen) = scene.ask("GET /", &headers);
        // Envoy refuses what it does not know there.
        assert_eq!(reply.status == 200, seen.len() == 1, "{reply:?}");
        assert!(matches!(reply.status, 200 | 400), "{reply:?}");
        for seen in &seen {
            is_alice(seen);
            let kept = seen.header("connection").unwrap_or_default().to_ascii_lowercase();
            assert!(!kept.contains("x-"), "the next proxy would remove it: {seen:?}");
        }
        // Nor can it have the rules looked up for another request.
        let restricted = restricted();
        let headers: Vec<&str> = connection.iter().copied().chain([restricted.as_str()]).collect();
        scene.refused("GET /admin/users", &headers);
        scene.refused("DELETE /", &headers);
    }
}

fn no_header_can_have_another_request_judged(kind: ProxyKind) {
    let Some(scene) = Scene::of(kind) else { return };
    let told = [
        "X-Forwarded-Uri: /",
        "X-Forwarded-Method: GET",
        "X-Forwarded-Host: other.example",
        "X-Forwarded-For: 192.0.2.1",
        "X-Forwarded-Proto: https",
        "X-Original-URI: /",
        "X-Original-Method: GET",
        "X-Original-Host: other.example",
        "X-Original-URL: /",
        "X-Rewrite-URL: /",
        "X-HTTP-Method-Override: GET",
        "Forwarded: for=192.0.2.1;host=other.example",
    ];
    let restricted = restricted();
    for header in told {
        for line in ["GET /admin/users", "DELETE /db/t"] {
            assert_eq!(scene.refused(line, &[header, &restricted]).status, 403, "{header}");
        }
    }
    let all: Vec<&str> = told.iter().copied().chain([restricted.as_str()]).collect();
    assert_eq!(scene.refused("GET /admin/users", &all).status, 403);
    // The other way round: what the application might take for another request does not reach it.
    let overriding = ["X-Original-URL: /admin/", "X-Rewrite-URL: /admin/", "X-HTTP-Method-Override: DELETE"];
    let all: Vec<&str> = told.iter().copied().chain(overriding).chain([restricted.as_str()]).collect();
    let seen = scene.passes("GET /db/t", &all);
    for (name, value) in &seen.headers {
        let value = value.to_str().unwrap();
        let is_told = ["192.0.2.1", "other.example", "/admin/", "DELETE"].iter().any(|word| value.contains(word));
        assert!(!is_told, "{name}: {value}");
    }
    for name in ["x-forwarded-uri", "x-forwarded-method", "x-original-uri", "x-original-url", "x-http-method-override"]
    {
        assert!(seen.header(name).is_none(), "{name}: {seen:?}");
    }
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));

    let overriding = overriding_headers();
    let all: Vec<&str> = overriding.iter().chain([&restricted]).map(String::as_str).collect();
    is_not_overridden(&scene.passes("GET /db/t", &all));
    for line in ["GET /admin/users", "DELETE /db/t"] {
        assert_eq!(scene.refused(line, &all).status, 403);
    }
}

fn paths_are_judged_as_the_application_gets_them(kind: ProxyKind) {
    let Some(scene) = Scene::of(kind) else { return };
    let restricted = restricted();
    for path in [
        "//admin/users",
        "/./admin/users",
        "/x/../admin/users",
        "/%61dmin/users",
        "/admin%2fusers",
        "/admin%5cusers",
        "/x/%2e%2e/admin/users",
        "/x/..%2fadmin/users",
        "/admin/users%00",
        "/admin/users#/../../db",
        "/admin;x/users",
        "/admin/./users",
        "/admin//users",
        "/\\admin/users",
        "/admin\\users",
        "/%zz",
        "http://app.example/admin/users",
        "http://app.example:80/admin/users",
        "*",
    ] {
        let (reply, seen) = scene.ask(&format!("GET {path}"), &[&restricted]);
        // What passes is no request that the rule is about, however the application reads it.
        for seen in &seen {
            let target = seen.target.path().to_ascii_lowercase();
            assert!(
                reply.status == 200 && !target.contains("admin/") && !target.contains("..") && !target.contains("%5c"),
                "{path}: {seen:?}"
            );
        }
        assert!(!seen.is_empty() || reply.status >= 400 || path == "*", "{path}: {reply:?}");
    }
    // What is not made plain before both is sent on as it is.
    if matches!(kind, ProxyKind::Nginx | ProxyKind::Caddy | ProxyKind::HaProxy) {
        let seen = scene.passes("GET /db/%74%20%7e?a=%2f", &[&restricted]);
        assert_eq!(seen.target.to_string(), "/db/%74%20%7e?a=%2f");
    }
    scene.refused("GET /db/t", &["Host: other.example", &alice()]);
    // The host in the target counts, not that of the header: nobody gets by with two.
    let (reply, seen) = scene.ask("GET http://other.example/db/t", &[&restricted]);
    for seen in &seen {
        assert_eq!(seen.header("host"), Some("other.example"), "what was judged: {seen:?}");
        assert!(!seen.target.path().contains("other"), "{seen:?}");
    }
    assert_eq!(reply.status == 200, seen.len() == 1, "{reply:?}");
}

fn nobody_can_choose_what_is_required(kind: ProxyKind) {
    let required: &[(&str, &str)] = match kind {
        ProxyKind::Nginx => &[("/auth/nginx\";", "/auth/nginx?action=insert-row\";")],
        ProxyKind::Caddy => &[("uri /auth?\n", "uri /auth?action=insert-row\n")],
        ProxyKind::HaProxy => &[("8700/auth\n", "8700/auth?action=insert-row\n")],
        ProxyKind::Traefik => &[("8700/auth\n", "8700/auth?action=insert-row\n")],
        // There it is in the rules alone.
        _ => &[],
    };
    let Some(scene) = Scene::with(kind, "", required) else { return };
    for query in ["", "?action=view-instance", "?scope=", "?action=insert-row&policy=x"] {
        scene.passes(&format!("GET /db/t{query}"), &[&alice()]);
        if kind != ProxyKind::Envoy {
            assert_eq!(scene.refused(&format!("GET /db/t{query}"), &[&restricted()]).status, 403, "{query}");
        }
    }
    // The same where rules say it.
    let Some(scene) = Scene::of(kind) else { return };
    for query in ["", "?action=view-instance", "?action", "?x=1"] {
        scene.passes(&format!("GET /admin/users{query}"), &[&alice()]);
        assert_eq!(scene.refused(&format!("GET /admin/users{query}"), &[&restricted()]).status, 403, "{query}");
    }
}

#[test]
fn each_location_of_nginx_has_required_what_it_says() {
    let file = fs::read_to_string(repository().join("host/proxies/nginx.conf")).unwrap();
    let begin = "    location / {\n";
    let from = file.find(begin).unwrap();
    let end = from + file[from..].find("\n    }\n").unwrap();
    // A copy at another path, which asks something else.
    let location = |path: &str, asked: &str| {
        let copy = file[from..end].replace("location /", &format!("location {path}"));
        format!("{}\n    }}\n", copy.replace("set $token_host_asked \"/auth/nginx\";", asked))
    };
    let strict = location("/strict/", "set $token_host_asked \"/auth/nginx?action=insert-row\";");
    let within = location("/strict/silent/", "").replace('\n', "\n    ");
    let strict = strict.replace("\n    }\n", &format!("\n{within}    }}\n"));
    let (silent, auth) = (location("/silent/", ""), location("/auth/", ""));
    let with_others = format!("{strict}{silent}{auth}{begin}");
    let Some(scene) = Scene::with(ProxyKind::Nginx, "", &[(begin, &with_others)]) else { return };
    let restricted = restricted();
    scene.passes("GET /db/t", &[&restricted]);
    scene.passes("GET /strict/t", &[&alice()]);
    assert_eq!(scene.refused("GET /strict/t", &[&restricted]).status, 403);
    // However its path is written.
    assert_eq!(scene.refused("GET /x/..//str%69ct/t", &[&restricted]).status, 403);
    // One that says nothing lets nothing pass, not even where the client's own words would do for a question.
    for path in ["/silent/t", "/strict/silent/t", "/auth/nginx", "/auth/nginx?action=view-instance"] {
        assert_eq!(scene.refused(&format!("GET {path}"), &[&alice()]).status, 503, "{path}");
    }
}

fn nothing_but_websockets_is_upgraded_to(kind: ProxyKind) {
    let Some(scene) = Scene::of(kind) else { return };
    let h2c = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"];
    let (reply, seen) = scene.ask("GET /", &[h2c[0], h2c[1], h2c[2], &alice()]);
    assert!(matches!(reply.status, 200 | 400 | 403), "{reply:?}");
    for seen in &seen {
        assert!(seen.header("upgrade").is_none(), "within it requests would not be judged: {seen:?}");
        is_alice(seen);
    }
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let websocket = ["Connection: Upgrade, X-Auth-Handler", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key];
    scene.refused("GET /", &websocket);
    let seen = scene.passes("GET /", &[websocket[0], websocket[1], websocket[2], websocket[3], &alice()]);
    is_alice(&seen);
    let upgraded = ["upgrade", "connection"].map(|name| seen.header(name).unwrap_or_default().to_ascii_lowercase());
    assert_eq!(upgraded, ["websocket", "upgrade"], "{seen:?}");
}
