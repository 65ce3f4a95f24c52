//! Proxies with the configurations that are shipped, run for real: what of a request reaches the application, and what does
//! not.
//!
//! Apache, which introspects, is in `proxies_apache`.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use token_host_tests::{
    Behind, HS256, JWT_SECRET, Plugin, Proxy, ProxyKind, Reply, SECRET, Scratch, Seen, Served, Upstream, forge, jwt,
    now, skipped,
};

/// Runs each of these functions, which take a [`ProxyKind`], as a test with every proxy that asks `/auth`.
macro_rules! with_each_proxy {
    ($($test:ident),+ $(,)?) => {
        $crate::proxies::with_each_proxy!(nginx Nginx [$($test)+]);
        $crate::proxies::with_each_proxy!(caddy Caddy [$($test)+]);
        $crate::proxies::with_each_proxy!(haproxy HaProxy [$($test)+]);
        $crate::proxies::with_each_proxy!(envoy Envoy [$($test)+]);
        $crate::proxies::with_each_proxy!(traefik Traefik [$($test)+]);
    };
    ($module:ident $kind:ident [$($test:ident)+]) => {
        mod $module {
            $(#[test]
            fn $test() {
                super::$test(token_host_tests::ProxyKind::$kind);
            })+
        }
    };
}

pub(crate) use with_each_proxy;

with_each_proxy!(
    a_good_token_passes_with_who_it_is_from,
    what_is_refused_never_reaches_the_application,
    nothing_passes_while_token_host_is_down,
    who_fails_often_is_told_when_to_come_back,
);

pub(crate) const RULES: &str = "
[[http.rule]]
path = '/admin/*'
action = 'insert-row'

[[http.rule]]
methods = ['DELETE']
action = 'delete-row'
";

/// A proxy between clients and an application, and the token-host that it asks.
pub(crate) struct Scene {
    pub(crate) served: Served,
    pub(crate) application: Upstream,
    pub(crate) proxy: Proxy,
    _scratch: Scratch,
}

impl Scene {
    /// One with these lines in `[http]`, and these changes in the proxy's configuration; `None` where it cannot be run.
    pub(crate) fn with(kind: ProxyKind, http: &str, changes: &[(&str, &str)]) -> Option<Self> {
        let mut scratch = Scratch::new();
        scratch.entry(&format!("[http]\ntrusted_proxies = ['127.0.0.1']\n{http}"));
        // What it claims comes from a store that is down.
        let down = "handlers = [{ name = 'down', claims = ['down-'], verify = 'fail' }]";
        scratch.signed("").plugin("hostile", Plugin::Hostile, down);
        scratch.plugin("jwt", Plugin::Jwt, &format!("secret = '{JWT_SECRET}'"));
        let (served, application) = (Served::start(&scratch), Upstream::start());
        let behind = Behind { token_host: served.address, application: application.address, changes, environment: &[] };
        let proxy = skipped(&format!("{kind:?}"), Proxy::start(kind, behind))?;
        Some(Self { served, application, proxy, _scratch: scratch })
    }

    pub(crate) fn of(kind: ProxyKind) -> Option<Self> {
        Self::with(kind, RULES, &[])
    }

    /// What a client gets for this first line and these headers, and what of it reached the application.
    pub(crate) fn ask(&self, line: &str, headers: &[&str]) -> (Reply, Vec<Seen>) {
        self.send(line, headers, "")
    }

    pub(crate) fn send(&self, line: &str, headers: &[&str], body: &str) -> (Reply, Vec<Seen>) {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let reply = self.proxy.exchange(format!("{line} HTTP/1.1\r\nHost: app.example\r\n{headers}\r\n{body}"));
        (reply, self.application.take())
    }

    /// The same for what must pass: what reached the application.
    #[track_caller]
    pub(crate) fn passes(&self, line: &str, headers: &[&str]) -> Seen {
        let (reply, mut seen) = self.ask(line, headers);
        assert_eq!((reply.status, seen.len()), (200, 1), "{line} {headers:?}: {reply:?}");
        seen.remove(0)
    }

    /// The same for what must not.
    #[track_caller]
    pub(crate) fn refused(&self, line: &str, headers: &[&str]) -> Reply {
        let (reply, seen) = self.ask(line, headers);
        assert!(seen.is_empty() && reply.status >= 400, "{line} {headers:?}: {reply:?} {seen:?}");
        reply
    }
}

/// A header with a token that says just this, besides when it was made.
pub(crate) fn bearer(mut payload: Value) -> String {
    payload["t"] = payload.get("t").cloned().unwrap_or_else(|| now().into());
    format!("Authorization: Bearer {}", forge(SECRET, payload.to_string()))
}

pub(crate) fn alice() -> String {
    bearer(json!({ "a": "alice" }))
}

/// Alice, who may only look.
pub(crate) fn restricted() -> String {
    bearer(json!({ "a": "alice", "_r": { "a": ["vi"] } }))
}

/// Whether a header says nothing: some proxies do not send it then.
pub(crate) fn is_empty(seen: &Seen, name: &str) -> bool {
    seen.header(name).unwrap_or_default().is_empty()
}

fn a_good_token_passes_with_who_it_is_from(kind: ProxyKind) {
    let Some(scene) = Scene::of(kind) else { return };
    let seen = scene.passes("GET /db/t?a=1&b=%20", &[&alice()]);
    assert_eq!((seen.method.as_str(), seen.target.to_string().as_str()), ("GET", "/db/t?a=1&b=%20"));
    assert_eq!(seen.header("host"), Some("app.example"));
    for (name, value) in [("actor-id", "alice"), ("handler", "signed"), ("token-kind", "dstok")] {
        assert_eq!(seen.header(&format!("x-auth-{name}")), Some(value), "{seen:?}");
    }
    assert!(is_empty(&seen, "x-auth-expires") && is_empty(&seen, "x-auth-scopes"), "{seen:?}");
    let actor = URL_SAFE_NO_PAD.decode(seen.header("x-auth-actor").unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&actor).unwrap()["id"], "alice");
    assert!(seen.header("authorization").is_none(), "the token stays with the proxy: {seen:?}");
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"), "{seen:?}");

    let expiring = bearer(json!({ "a": "alice", "d": 3600 }));
    let expires: u64 = scene.passes("GET /", &[&expiring]).header("x-auth-expires").unwrap().parse().unwrap();
    assert!(expires > now());

    let claims = json!({ "sub": "alice", "exp": now() + 3600, "scope": "read write" });
    let scoped = format!("Authorization: Bearer {}", jwt(HS256, claims.to_string()));
    let seen = scene.passes("GET /", &[&scoped]);
    let told = ["actor-id", "handler", "scopes"].map(|name| seen.header(&format!("x-auth-{name}")));
    assert_eq!(told, [Some("alice"), Some("jwt"), Some("read write")]);

    // As long as the identity headers may be.
    let long = bearer(json!({ "a": "a".repeat(1000), "_r": { "a": ["vi"] } }));
    assert_eq!(scene.passes("GET /", &[&long]).header("x-auth-actor-id").unwrap().len(), 1000);

    for (headers, body) in
        [(["Content-Length: 5"], "hello"), (["Transfer-Encoding: chunked"], "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")]
    {
        let (reply, seen) = scene.send("POST /db/t", &[&alice(), headers[0]], body);
        assert_eq!((reply.status, seen.len()), (200, 1), "{reply:?}");
        assert_eq!((seen[0].method.as_str(), seen[0].body.as_slice()), ("POST", &b"hello"[..]));
    }
    for method in ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        assert_eq!(scene.passes(&format!("{method} /db/t"), &[&alice()]).method, method);
    }
}

fn what_is_refused_never_reaches_the_application(kind: ProxyKind) {
    let Some(scene) = Scene::of(kind) else { return };
    let challenge = |reply: &Reply| {
        let all: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
        let [one] = all[..] else { panic!("expected one challenge: {reply:?}") };
        one.to_str().unwrap().to_owned()
    };
    let nothing = scene.refused("GET /", &[]);
    assert_eq!((nothing.status, challenge(&nothing).as_str()), (401, "Bearer realm=\"token-host\""));
    let expired = bearer(json!({ "a": "alice", "t": now() - 100, "d": 10 }));
    let forged =
        format!("Authorization: Bearer {}", forge("another secret", format!("{{\"a\":\"alice\",\"t\":{}}}", now())));
    for bad in ["Authorization: Bearer nobody-knows-this", &expired, &forged] {
        let reply = scene.refused("GET /", &[bad]);
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(challenge(&reply).contains("error=\"invalid_token\""), "{reply:?}");
    }
    for line in ["GET /admin/users", "DELETE /db/t"] {
        let reply = scene.refused(line, &[&restricted()]);
        assert_eq!(reply.status, 403, "{reply:?}");
        assert!(challenge(&reply).contains("error=\"insufficient_scope\""), "{reply:?}");
        scene.passes(line, &[&alice()]);
    }
    scene.passes("GET /db/t", &[&restricted()]);

    // Envoy makes one header of them, which is no token.
    let two = scene.refused("GET /", &[&alice(), &restricted()]);
    assert!(two.status == 400 || (kind == ProxyKind::Envoy && two.status == 401), "{two:?}");

    let failing = scene.refused("GET /", &["Authorization: Bearer down-1"]);
    let passes_on = matches!(kind, ProxyKind::Envoy | ProxyKind::Traefik);
    let expected = if passes_on { (403, "503") } else { (503, "") };
    assert_eq!((failing.status, failing.header("x-error-status")), expected, "{failing:?}");
    assert!(failing.header("retry-after").parse::<u64>().is_ok(), "{failing:?}");
}

fn nothing_passes_while_token_host_is_down(kind: ProxyKind) {
    let Some(mut scene) = Scene::of(kind) else { return };
    scene.passes("GET /", &[&alice()]);
    scene.served.kill();
    let expected = match kind {
        ProxyKind::Caddy => 502,
        ProxyKind::Traefik => 500,
        _ => 503,
    };
    for headers in [&[] as &[&str], &[&alice()], &[&alice(), "X-Auth-Actor-Id: root"]] {
        assert_eq!(scene.refused("GET /", headers).status, expected);
    }
    assert!(scene.proxy.is_running(), "{}", scene.proxy.log());
}

fn who_fails_often_is_told_when_to_come_back(kind: ProxyKind) {
    let Some(scene) = Scene::with(kind, "failures_per_address = 1", &[]) else { return };
    // Whoever they say that they are.
    let statuses = ["192.0.2.1", "192.0.2.2"].map(|address| {
        let forwarded = format!("X-Forwarded-For: {address}");
        scene.refused("GET /", &["Authorization: Bearer nobody-knows-this", &forwarded])
    });
    let [first, second] = &statuses;
    assert_eq!((first.status, second.status), (401, 429), "{statuses:?}");
    assert!(second.header("retry-after").parse::<u64>().is_ok(), "{second:?}");
    scene.passes("GET /", &[&alice()]);
}
