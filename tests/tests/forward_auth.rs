//! `/auth` without a proxy: what it answers to which credentials, which rules it finds, and what it tells of an actor.
//!
//! How often somebody may fail, and what happens when too much does, is in `forward_auth_limits`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use token_host_tests::{HS256, JWT_SECRET, Plugin, Reply, SECRET, Scratch, Served, forge, jwt, now, wait_until};

const IDENTITY: [&str; 6] =
    ["x-auth-actor-id", "x-auth-handler", "x-auth-token-kind", "x-auth-expires", "x-auth-scopes", "x-auth-actor"];

const CALLERS: [&str; 3] = ["/auth", "/auth/nginx", "/auth/envoy/"];

/// A service that is asked as a proxy does.
pub(crate) struct Auth {
    pub(crate) served: Served,
    pub(crate) scratch: Scratch,
}

impl Auth {
    /// One with these lines in `[http]`, and the handlers `hostile` (claims `h-`), `jwt` and `signed`.
    pub(crate) fn with(http: &str) -> Self {
        Self::of(http, "handlers = [{ name = 'hostile', claims = ['h-'] }]")
    }

    /// The same with these settings of the hostile plugin.
    pub(crate) fn of(http: &str, hostile: &str) -> Self {
        let mut scratch = Scratch::new();
        scratch.entry(&format!("[http]\n{http}")).signed("");
        scratch.plugin("jwt", Plugin::Jwt, &format!("secret = '{JWT_SECRET}'"));
        scratch.plugin("hostile", Plugin::Hostile, hostile);
        Self { served: Served::start(&scratch), scratch }
    }

    /// What is answered to this method and target, with these headers.
    pub(crate) fn ask(&self, line: &str, headers: &[&str]) -> Reply {
        self.served.exchange(request(line, headers))
    }

    /// What is answered about a request with this method and target.
    fn about(&self, judged: &str, headers: &[&str]) -> Reply {
        let (method, target) = judged.split_once(' ').unwrap();
        let (method, target) = (format!("X-Forwarded-Method: {method}"), format!("X-Forwarded-Uri: {target}"));
        let told = [method.as_str(), &target, "X-Forwarded-Host: db.example"];
        self.ask("GET /auth", &[&told, headers].concat())
    }
}

pub(crate) fn request(line: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{line} HTTP/1.1\r\nHost: auth.example\r\n{headers}\r\n")
}

/// A header with a token of Alice's that says this besides.
pub(crate) fn alice(more: Value) -> String {
    let mut payload = json!({ "a": "alice", "t": now() });
    payload.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("Authorization: Bearer {}", forge(SECRET, payload.to_string()))
}

/// A header with a JWT that has these claims.
fn claiming(claims: Value) -> String {
    format!("Authorization: Bearer {}", jwt(HS256, claims.to_string()))
}

/// That this is a refusal, with this challenge, and tells nobody's identity.
#[track_caller]
fn refused(reply: &Reply, status: u16, challenge: &str) {
    assert_eq!((reply.status, reply.header("www-authenticate")), (status, challenge), "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.header("cache-control"), "no-store");
    let problem: Value = serde_json::from_str(&reply.body).unwrap();
    assert!(problem["type"].as_str().unwrap().starts_with("urn:token-host:problem:") && problem["detail"].is_string());
    for name in IDENTITY {
        assert!(reply.headers.contains_key(name) && reply.header(name).is_empty(), "{name}: {reply:?}");
    }
}

/// That it is refused as a request that makes no sense, as each caller understands it.
#[track_caller]
fn refused_as_malformed(auth: &Auth, headers: &[&str]) {
    for path in CALLERS {
        let reply = auth.ask(&format!("GET {path}"), headers);
        let (status, told) = if path == "/auth/nginx" { (401, "400") } else { (400, "") };
        assert_eq!((reply.status, reply.header("x-error-status")), (status, told), "{path} {headers:?}: {reply:?}");
        let challenge = reply.header("www-authenticate").to_owned();
        let begins = "Bearer realm=\"token-host\", error=\"invalid_request\", error_description=\"";
        assert!(challenge.starts_with(begins), "{challenge}");
        refused(&reply, status, &challenge);
    }
}

#[test]
fn without_credentials_there_is_a_challenge_without_an_error() {
    let auth = Auth::with("");
    for path in CALLERS {
        for headers in
            [&[][..], &["Authorization: Basic YWxpY2U6c2VjcmV0"], &["Authorization: Bearerx"], &["Authorization:"]]
        {
            refused(&auth.ask(&format!("GET {path}"), headers), 401, "Bearer realm=\"token-host\"");
        }
    }
    // Where nobody was told to look, there is nothing.
    let token = alice(json!({})).replace("Authorization: Bearer ", "");
    let elsewhere = [
        format!("X-Api-Key: {token}"),
        format!("Cookie: session={token}"),
        format!("X-Forwarded-Uri: /?access_token={token}"),
    ];
    let elsewhere: Vec<&str> = elsewhere.iter().map(String::as_str).collect();
    refused(&auth.ask("GET /auth", &elsewhere), 401, "Bearer realm=\"token-host\"");
    assert_eq!(auth.ask("GET /authentication", &[&alice(json!({}))]).status, 404, "no other path is one of these");
}

#[test]
fn a_token_comes_behind_a_scheme_in_either_case() {
    let auth = Auth::with("");
    let token = alice(json!({})).replace("Authorization: Bearer ", "");
    for scheme in ["Bearer", "bearer", "BEARER", "token", "Token"] {
        for path in CALLERS {
            let reply = auth.ask(&format!("GET {path}"), &[&format!("Authorization: {scheme}  {token}")]);
            assert_eq!((reply.status, reply.header("x-auth-actor-id")), (200, "alice"), "{scheme} {path}: {reply:?}");
        }
    }
}

#[test]
fn two_tokens_or_half_of_one_are_a_malformed_request() {
    let auth = Auth::with(
        "token_header = 'X-Api-Key'\ntoken_cookie = 'session'\ntoken_query = 'access_token'\ntrusted_proxies = ['127.0.0.1']",
    );
    let (bearer, other) = (alice(json!({})), alice(json!({ "d": 60 })));
    let token = bearer.replace("Authorization: Bearer ", "");
    let (key, cookie) = (format!("X-Api-Key: {token}"), format!("Cookie: a=b; session={token}"));
    let query = [format!("X-Forwarded-Uri: /?access_token={token}"), format!("X-Original-URI: /?access_token={token}")];
    for one in [&bearer, &key, &cookie, &query[0]] {
        let reply = auth.ask("GET /auth", &[one]);
        assert_eq!((reply.status, reply.header("x-auth-actor-id")), (200, "alice"), "{one}: {reply:?}");
    }
    assert_eq!(auth.ask(&format!("GET /auth/envoy/?access_token={token}"), &[]).status, 200);
    for several in [
        &[bearer.as_str(), &bearer][..],
        &[&bearer, &other],
        &[&bearer, "Authorization: Basic YTpi"],
        &[&bearer, &key],
        &[&bearer, &cookie],
        &[&key, &cookie],
        &[&key, &key],
        &[&cookie, &cookie],
        &["Authorization: Bearer"],
        &["Authorization: Bearer a b"],
        &["Authorization: Bearer a,b"],
        &["Authorization: Bearer ="],
        &["Authorization: Bearer a\tb"],
        &["Authorization: Bearer \u{e9}"],
        &["Authorization: token \"a\""],
        &["X-Api-Key: a b"],
        &["Cookie: session=a b"],
    ] {
        refused_as_malformed(&auth, several);
    }
    for path in ["/auth", "/auth/nginx"] {
        let reply = auth.ask(&format!("GET {path}"), &[&bearer, &query[0], &query[1]]);
        assert!(matches!((reply.status, reply.header("x-error-status")), (400, "") | (401, "400")), "{reply:?}");
    }
    assert_eq!(auth.ask(&format!("GET /auth/envoy/?access_token={token}"), &[&bearer]).status, 400);
    assert_eq!(auth.ask(&format!("GET /auth/envoy/?access_token={token}&acces%73_token=a"), &[]).status, 400);
}

#[test]
fn a_bad_token_is_invalid_and_its_client_is_told_why() {
    let auth = Auth::with("");
    let expired = alice(json!({ "t": now() - 100, "d": 60 }));
    let forged =
        format!("Authorization: Bearer {}", forge("another secret", json!({ "a": "root", "t": now() }).to_string()));
    let long = format!("Authorization: Bearer h-{}", "a".repeat(8192));
    for (header, why) in [
        (expired.as_str(), "expired"),
        (&forged, "signature"),
        (&long, "8192"),
        ("Authorization: Bearer abc", "not known"),
        (&claiming(json!({ "sub": "a", "exp": 1 })), "expired"),
    ] {
        for path in CALLERS {
            let reply = auth.ask(&format!("GET {path}"), &[header]);
            let challenge = reply.header("www-authenticate").to_owned();
            let description =
                challenge.strip_prefix("Bearer realm=\"token-host\", error=\"invalid_token\", error_description=\"");
            assert!(description.is_some_and(|description| description.contains(why)), "{challenge}");
            refused(&reply, 401, &challenge);
            let token = header.rsplit(' ').next().unwrap();
            assert!(!reply.body.contains(&token[..token.len().min(12)]) || token == "abc", "{reply:?}");
        }
    }
}

#[test]
fn what_a_token_is_not_good_for_is_insufficient_scope() {
    let auth = Auth::with("trusted_proxies = ['127.0.0.1']");
    let looking = alice(json!({ "_r": { "d": { "fixtures": ["vt"] } } }));
    let reader = claiming(json!({ "sub": "ann", "exp": now() + 60, "scope": "read list" }));
    let policy =
        json!({ "resources": { "review": { "*": { "allow": ["GET"], "block": ["*"] }, "42": { "block": ["*"] } } } });
    let reviewer = claiming(json!({ "sub": "ann", "exp": now() + 60, "policy": policy }));
    let scope = |text: &str| if text.is_empty() { String::new() } else { format!(", scope=\"{text}\"") };
    for (header, query, allowed, told) in [
        (&looking, "action=view-table&database=fixtures&resource=facetable", true, ""),
        (&looking, "action=view-table&database=other", false, "view-table"),
        (&looking, "action=view-table", false, "view-table"),
        (&looking, "action=insert-row&database=fixtures&resource=facetable", false, "insert-row"),
        (&reader, "scope=read", true, ""),
        (&reader, "scope=read+list", true, ""),
        (&reader, "scope=read+write", false, "read write"),
        (&alice(json!({})), "scope=read", false, "read"),
        (&reviewer, "policy=review&policy_method=GET&policy_id=1", true, ""),
        (&reviewer, "policy=review&policy_method=PUT&policy_id=1", false, ""),
        (&reviewer, "policy=review&policy_method=GET&policy_id=42", false, ""),
    ] {
        for path in ["/auth", "/auth/nginx"] {
            let reply = auth.ask(&format!("GET {path}?{query}"), &[header]);
            assert_eq!(reply.status == 200, allowed, "{query}: {reply:?}");
            if !allowed {
                let challenge = format!(
                    "Bearer realm=\"token-host\", error=\"insufficient_scope\", \
                     error_description=\"the token is not good for this\"{}",
                    scope(told)
                );
                refused(&reply, 403, &challenge);
            }
        }
        // There the query is the client's own.
        assert_eq!(auth.ask(&format!("GET /auth/envoy/?{query}"), &[header]).status, 200);
    }
    for misspelt in [
        "acton=view-table",
        "action",
        "action=",
        "action=a&action=b",
        "resource=a",
        "policy=a",
        "policy=review&policy_method=get",
        "scope=%",
        "scope=+",
        "scope=%20",
    ] {
        for header in [&looking, &alice(json!({}))] {
            assert_eq!(auth.ask(&format!("GET /auth?{misspelt}"), &[header]).status, 400, "{misspelt}");
            let reply = auth.ask(&format!("GET /auth/nginx?{misspelt}"), &[header]);
            assert_eq!((reply.status, reply.header("x-error-status")), (401, "400"), "{misspelt}");
            assert_eq!(serde_json::from_str::<Value>(&reply.body).unwrap()["status"], 401, "as it is sent: {misspelt}");
        }
    }
}

const RULES: &str = "
[[http.rule]]
host = 'db.example'
path = '/-/open/*'
optional = true

[[http.rule]]
host = 'db.example'
path = '/{database}/{table}'
methods = ['GET']
action = 'view-table'
database = '{database}'
resource = '{table}'

[[http.rule]]
host = 'db.example'
path = '/api/{resource}/{id}'
policy = '{resource}'
policy_id = '{id}'

[[http.rule]]
host = 'db.example'
methods = ['POST', 'DELETE']
scope = 'write'

[[http.rule]]
host = '*.other.example'
scope = 'other'
";

#[test]
fn rules_say_what_is_required_by_host_path_and_method() {
    let auth = Auth::with(&format!("trusted_proxies = ['127.0.0.1']\n{RULES}"));
    let looking = alice(json!({ "_r": { "r": { "fixtures": { "facetable": ["vt"] } } } }));
    let writer = claiming(json!({ "sub": "ann", "exp": now() + 60, "scope": "write" }));
    let policy =
        json!({ "resources": { "review": { "*": { "block": ["*"] }, "7": { "allow": ["GET"], "block": ["*"] } } } });
    let reviewer = claiming(json!({ "sub": "ann", "exp": now() + 60, "policy": policy }));
    for (header, request, status) in [
        (&looking, "GET /fixtures/facetable", 200),
        (&looking, "HEAD /fixtures/facetable/?_size=1", 200),
        (&looking, "GET /fixtures/%66acetable", 200),
        (&looking, "GET /fixtures/other", 403),
        (&looking, "POST /fixtures/facetable", 403),
        (&writer, "POST /fixtures/facetable", 200),
        (&writer, "DELETE /", 200),
        (&alice(json!({})), "DELETE /", 403),
        (&alice(json!({})), "GET /fixtures", 200),
        (&reviewer, "GET /api/review/7", 200),
        (&reviewer, "PUT /api/review/7", 403),
        (&reviewer, "GET /api/review/8", 403),
    ] {
        assert_eq!(auth.about(request, &[header]).status, status, "{request} {header}");
    }
    let (other, told) =
        ("X-Forwarded-Host: a.other.example:8443", ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /a/b"]);
    assert_eq!(auth.ask("GET /auth", &[told[0], told[1], other, &writer]).status, 403);
    assert_eq!(auth.ask("GET /auth", &[told[0], told[1], "X-Forwarded-Host: unknown.example", &looking]).status, 200);
    // What no rule can be looked up for, and what the caller requires besides.
    assert_eq!(auth.ask("GET /auth", &[told[0], told[1], &writer]).status, 400, "no host");
    assert_eq!(auth.ask("GET /auth", &[told[0], other, &writer]).status, 400, "no path");
    assert_eq!(auth.ask("GET /auth", &[told[1], other, &writer]).status, 400, "no method");
    let judged = ["X-Forwarded-Method: POST", "X-Forwarded-Uri: /", "X-Forwarded-Host: db.example", writer.as_str()];
    assert_eq!(auth.ask("GET /auth?scope=write", &judged).status, 200);
    assert_eq!(auth.ask("GET /auth?scope=read", &judged).status, 403);
}

#[test]
fn where_a_token_is_optional_nobody_passes_and_a_bad_token_does_not() {
    let auth = Auth::with(&format!("trusted_proxies = ['127.0.0.1']\n{RULES}"));
    let reply = auth.about("GET /-/open/a", &[]);
    assert_eq!(reply.status, 200);
    for name in IDENTITY {
        assert!(reply.headers.contains_key(name) && reply.header(name).is_empty(), "{name}: {reply:?}");
    }
    assert_eq!(auth.about("GET /-/open/a", &[&alice(json!({}))]).header("x-auth-actor-id"), "alice");
    assert_eq!(auth.about("GET /-/open/a", &["Authorization: Bearer abc"]).status, 401);
    assert_eq!(auth.about("GET /-/open/a", &["Authorization: Bearer a b"]).status, 400);
    assert_eq!(auth.about("GET /-/opened/a", &[]).status, 401);
    let judged = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /-/open/a", "X-Forwarded-Host: db.example"];
    assert_eq!(auth.ask("GET /auth?scope=read", &judged).status, 401, "whoever asks requires a token");
}

#[test]
fn paths_with_two_meanings_are_refused_or_meet_the_rule() {
    let auth = Auth::with(
        "trusted_proxies = ['127.0.0.1']\n[[http.rule]]\npath = '/admin/*'\nscope = 'admin'\n[[http.rule]]\npath = '/item/{id}'\nmethods = ['POST']\nscope = 'admin'",
    );
    let alice = alice(json!({}));
    assert_eq!(auth.about("GET /other/a;b", &[&alice]).status, 200, "there is nothing to evade");
    for path in ["/admin", "/admin/", "/admin/users", "/%61dmin/users", "/admin/a;b", "/admin?a=b"] {
        assert_eq!(auth.about(&format!("GET {path}"), &[&alice]).status, 403, "{path}");
        let reply = auth.ask(&format!("GET /auth/envoy{path}"), &[&alice]);
        assert_eq!(reply.status, 403, "{path}");
    }
    for path in [
        "//admin",
        "/admin//",
        "/./admin",
        "/x/../admin",
        "/%2e/admin",
        "/x/%2e%2E/admin",
        "/admin%2fusers",
        "/admin%5cusers",
        "/admin\\users",
        "/admin%00",
        "/admin%0d%0aX",
        "/%2561dmin",
        "/x/%252e%252e/admin",
        "/x/..;/admin",
        "/;/admin",
        "/admin;x/users",
        "/Admin",
        "/ADMIN/users",
        "/%41dmin",
        "/%",
        "/%4",
        "/%gg",
        "/%c0%ae%c0%ae/admin",
        "/%ff",
    ] {
        let reply = auth.about(&format!("GET {path}"), &[&alice]);
        assert_eq!(reply.status, 400, "{path}: {reply:?}");
        assert!(reply.header("www-authenticate").contains("error=\"invalid_request\""), "{reply:?}");
        let told = [&format!("X-Original-URI: {path}"), "X-Original-Method: GET", "X-Original-Host: a", &alice];
        let reply = auth.ask("GET /auth/nginx", &told);
        assert_eq!((reply.status, reply.header("x-error-status")), (401, "400"), "{path}: {reply:?}");
        assert_eq!(auth.ask(&format!("GET /auth/envoy{path}"), &[&alice]).status, 400, "{path}");
    }
    // In a header it may stand; of a target it would be no part.
    for path in [
        "/admin#x",
        "/#/../admin",
        "/admin x",
        "/admin\tx",
        "/admin?",
        "http://a/admin",
        "*",
        "admin",
        "",
        "/adm\u{e9}n",
    ] {
        let status = auth.about(&format!("GET {path}"), &[&alice]).status;
        assert_eq!(status, if path == "/admin?" { 403 } else { 400 }, "{path}");
    }
    for method in ["post", "Post"] {
        assert_eq!(auth.about(&format!("{method} /item/1"), &[&alice]).status, 400, "{method}");
    }
    assert_eq!(auth.about("PUT /item/1", &[&alice]).status, 200);
}

#[test]
fn the_actor_is_told_whole_encoded_and_within_4_kib() {
    let auth = Auth::with("");
    let expires = now() + 3600;
    let claims = json!({ "sub": "Zo\u{eb} 100%\r\nX-Auth-Actor-Id: root", "exp": expires, "scope": "read write", "token_deprecated": true });
    let reply = auth.ask("GET /auth", &[&claiming(claims)]);
    let told = IDENTITY.map(|name| reply.header(name).to_owned());
    assert_eq!(
        told[..5],
        ["Zo%C3%AB 100%25%0D%0AX-Auth-Actor-Id: root", "jwt", "jwt", &expires.to_string(), "read write"]
    );
    let actor: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&told[5]).unwrap()).unwrap();
    assert_eq!(actor["id"], "Zo\u{eb} 100%\r\nX-Auth-Actor-Id: root");
    assert_eq!(reply.header("x-api-token-deprecated"), "true", "{reply:?}");
    assert_eq!((reply.header("cache-control"), reply.body.as_str()), ("no-store", ""));

    let reply = auth.ask("GET /auth", &[&alice(json!({}))]);
    assert!(!reply.headers.contains_key("x-api-token-deprecated"));
    assert_eq!(["x-auth-expires", "x-auth-scopes"].map(|name| reply.header(name)), ["", ""]);

    for length in [2000, 3000, 5000] {
        let claims = json!({ "sub": "ann", "exp": expires, "note": "x".repeat(length) });
        let reply = auth.ask("GET /auth", &[&claiming(claims)]);
        let bytes: usize = IDENTITY.iter().map(|name| name.len() + reply.header(name).len() + 4).sum();
        assert!(reply.status == 200 && bytes <= 4096, "{length}: {bytes}");
        assert_eq!((reply.header("x-auth-actor-id"), reply.header("x-auth-actor").is_empty()), ("ann", length > 2900));
    }
    let reply = auth.ask("GET /auth", &[&claiming(json!({ "sub": "\u{e9}".repeat(1400), "exp": expires }))]);
    refused(&reply, 403, "");
    assert!(reply.body.contains("actor-too-long"), "{reply:?}");
}

#[test]
fn identity_headers_have_the_names_that_they_were_given() {
    let auth = Auth::with("[http.identity_headers]\nactor_id = 'Remote-User'\nactor = 'X-Actor'");
    let reply = auth.ask("GET /auth", &[&alice(json!({}))]);
    assert_eq!((reply.header("remote-user"), reply.header("x-auth-handler")), ("alice", "signed"));
    assert!(reply.headers.contains_key("x-actor") && !reply.headers.contains_key("x-auth-actor-id"), "{reply:?}");
    let reply = auth.ask("GET /auth", &[]);
    assert!(reply.headers.contains_key("remote-user") && reply.header("remote-user").is_empty(), "{reply:?}");
}

/// What the hostile handler was told of the request.
fn context(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    let actor: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(reply.header("x-auth-actor")).unwrap()).unwrap();
    actor["context"].clone()
}

#[test]
fn only_listed_peers_are_believed() {
    let told = [
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-Method: PUT",
        "X-Forwarded-Uri: /told?access_token=secret",
        "X-Forwarded-Host: told.example",
        "Authorization: Bearer h-x",
        "User-Agent: test",
    ];
    let believing = Auth::with("trusted_proxies = ['127.0.0.0/8']");
    let known = context(&believing.ask("GET /auth", &told));
    let all =
        ["client_address", "method", "path", "host", "user_agent"].map(|key| known[key].as_str().unwrap_or("none"));
    assert_eq!(all, ["192.0.2.7", "PUT", "/told", "told.example", "test"], "{known}");
    assert!(!known.to_string().contains("secret"), "{known}");
    // Behind the first address that is no proxy's, anybody may have written anything.
    let several = ["X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 192.0.2.1, 198.51.100.9, 127.0.0.5", told[4]];
    assert_eq!(context(&believing.ask("GET /auth", &several))["client_address"], "198.51.100.9");

    for other in ["", "trusted_proxies = ['10.0.0.0/8', '::1', 'unix']"] {
        let auth = Auth::with(other);
        let known = context(&auth.ask("GET /auth", &told));
        let all = ["client_address", "method", "path", "host"].map(|key| known[key].as_str().unwrap_or("none"));
        assert_eq!(all, ["127.0.0.1", "GET", "/auth", "none"], "{other}: {known}");
        // Under Envoy's path the request speaks for itself, but not for another client.
        let known = context(&auth.ask("PUT /auth/envoy/a?b", &told));
        let all = ["client_address", "method", "path", "host"].map(|key| known[key].as_str().unwrap_or("none"));
        assert_eq!(all, ["127.0.0.1", "PUT", "/a", "auth.example"], "{other}: {known}");
    }
}

#[test]
fn any_method_asks() {
    let auth = Auth::with("");
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "X-CUSTOM"] {
        for path in CALLERS {
            let reply = auth.ask(&format!("{method} {path}"), &[&alice(json!({}))]);
            assert_eq!((reply.status, reply.header("x-auth-actor-id")), (200, "alice"), "{method} {path}: {reply:?}");
            let reply = auth.ask(&format!("{method} {path}"), &[]);
            assert_eq!((reply.status, reply.body.is_empty()), (401, method == "HEAD"), "{method} {path}: {reply:?}");
        }
    }
    // Its body is not looked at, and is no request.
    let hidden = request("GET /metrics", &[]);
    let length = format!("Content-Length: {}", hidden.len());
    let reply = auth.served.exchange(request("POST /auth", &[&alice(json!({})), &length]) + &hidden);
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[test]
fn who_asked_for_what_arrives_in_events() {
    let mut scratch = Scratch::new();
    let journal = scratch.journal();
    scratch.entry("[http]\ntrusted_proxies = ['127.0.0.1']").signed("");
    scratch.plugin("events", Plugin::Hostile, &format!("{}sinks = [{{ name = 'sink' }}]", journal.setting()));
    let auth = Auth { served: Served::start(&scratch), scratch };
    let judged = ["X-Forwarded-For: 192.0.2.7", "X-Request-Id: r-1"];
    assert_eq!(auth.about("DELETE /db/t?secret=1", &[judged[0], judged[1], &alice(json!({}))]).status, 200);
    assert_eq!(auth.about("GET /a", &["Authorization: Bearer dstok_a.b"]).status, 401);
    let events = wait_until("both are told", || {
        let events: Vec<Value> = auth.scratch.journal().entries().into_iter().map(|entry| entry.detail).collect();
        let told = |kind: &str| events.iter().find(|event| event["kind"] == kind).cloned();
        Some([told("token_used")?, told("token_rejected")?])
    });
    let known = &events[0]["context"];
    for (key, value) in [
        ("client_address", "192.0.2.7"),
        ("method", "DELETE"),
        ("path", "/db/t"),
        ("host", "db.example"),
        ("request_id", "r-1"),
    ] {
        assert_eq!(known[key], value, "{known}");
    }
    assert_eq!(
        (&events[1]["context"]["path"], &events[1]["context"]["client_address"]),
        (&json!("/a"), &json!("127.0.0.1"))
    );
    assert!(!events.iter().any(|event| event.to_string().contains("secret")), "{events:?}");
}
