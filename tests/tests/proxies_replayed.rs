//! What proxies are documented to send, and what they read of the answer, without the proxies.

use token_host_tests::{Reply, Scratch, Served};

use crate::proxies::{RULES, alice, restricted};

const IDENTITY: [&str; 6] =
    ["x-auth-actor-id", "x-auth-handler", "x-auth-token-kind", "x-auth-expires", "x-auth-scopes", "x-auth-actor"];

/// A way of asking about a request with this method, host and target; and whether 400 and 429 are understood.
struct Form {
    request: fn(&str, &str, &str) -> String,
    is_strict: bool,
}

/// Traefik's `forwardAuth`: always GET, without a body; the headers of the client, and these. Caddy's `forward_auth` sends
/// the same but for the port.
const TRAEFIK: Form = Form {
    request: |method, host, target| {
        format!(
            "GET /auth HTTP/1.1\r\nHost: 127.0.0.1:8700\r\nUser-Agent: curl/8\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\
             X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-Method: {method}\r\n\
             X-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Uri: {target}\r\n\
             X-Original-URI: /\r\nX-Original-Method: GET\r\n"
        )
    },
    is_strict: false,
};

/// Envoy's `ext_authz` over HTTP: the method, host and path of the request, `Content-Length` of none, `Authorization`.
const ENVOY: Form = Form {
    request: |method, host, target| {
        format!(
            "{method} /auth/envoy{target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nx-forwarded-for: 192.0.2.7\r\n\
             x-envoy-internal: true\r\nx-envoy-expected-rq-timeout-ms: 5000\r\n\
             x-forwarded-uri: /\r\nx-forwarded-method: GET\r\n"
        )
    },
    is_strict: false,
};

/// nginx' `auth_request`: HTTP/1.0 unless told otherwise, and only 2xx, 401 and 403 are answers.
const NGINX: Form = Form {
    request: |method, host, target| {
        format!(
            "GET /auth/nginx HTTP/1.0\r\nHost: {host}\r\nX-Original-Method: {method}\r\nX-Original-Host: {host}\r\n\
             X-Original-URI: {target}\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Uri: /\r\nX-Forwarded-Method: GET\r\n"
        )
    },
    is_strict: true,
};

fn served(http: &str) -> (Scratch, Served) {
    let mut scratch = Scratch::new();
    scratch.entry(&format!("[http]\n{http}\n{RULES}")).signed("");
    let served = Served::start(&scratch);
    (scratch, served)
}

fn ask(served: &Served, form: &Form, [method, host, target]: [&str; 3], headers: &[&str]) -> Reply {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    served.exchange(format!("{}{headers}\r\n", (form.request)(method, host, target)))
}

#[test]
fn each_form_is_judged_by_the_request_that_it_tells_of() {
    let (_scratch, served) = served("trusted_proxies = ['127.0.0.1']");
    for form in [TRAEFIK, ENVOY, NGINX] {
        for request in [["GET", "app.example", "/db/t?a=1"], ["POST", "app.example:8443", "/"]] {
            let reply = ask(&served, &form, request, &[&restricted()]);
            assert_eq!((reply.status, reply.header("x-auth-actor-id")), (200, "alice"), "{reply:?}");
            assert!(IDENTITY.iter().all(|name| reply.headers.get_all(*name).iter().count() == 1), "{reply:?}");
        }
        for request in [["GET", "app.example", "/admin/users?action=view-instance"], ["DELETE", "app.example", "/db"]] {
            assert_eq!(ask(&served, &form, request, &[&alice()]).status, 200);
            let reply = ask(&served, &form, request, &[&restricted()]);
            assert_eq!(reply.status, 403, "{reply:?}");
            // Whatever a proxy copies of a refusal is nobody.
            assert!(IDENTITY.iter().all(|name| reply.header(name).is_empty()), "{reply:?}");
        }
        let reply = ask(&served, &form, ["GET", "app.example", "/"], &[]);
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, "Bearer realm=\"token-host\""));
        let ambiguous = ["GET", "app.example", "/db/../admin/users"];
        let reply = ask(&served, &form, ambiguous, &[&alice()]);
        let expected = if form.is_strict { (401, "400") } else { (400, "") };
        assert_eq!((reply.status, reply.header("x-error-status")), expected, "{reply:?}");
        let reply = ask(&served, &form, ["GET", "app.example", "/"], &[&alice(), &alice()]);
        assert_eq!((reply.status, reply.header("x-error-status")), expected, "{reply:?}");
    }
}

#[test]
fn what_somebody_else_tells_of_is_not_believed() {
    let (_scratch, served) = served("");
    for form in [TRAEFIK, NGINX] {
        // No rule can be looked up: the request is not told.
        let reply = ask(&served, &form, ["GET", "app.example", "/"], &[&alice()]);
        let expected = if form.is_strict { (401, "400") } else { (400, "") };
        assert_eq!((reply.status, reply.header("x-error-status")), expected, "{reply:?}");
    }
    // What Envoy tells of is the request itself, and its path is not the question's.
    assert_eq!(ask(&served, &ENVOY, ["GET", "app.example", "/admin/users"], &[&restricted()]).status, 403);
}
