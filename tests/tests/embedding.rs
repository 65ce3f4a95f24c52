//! The layer that lets no request through without a token: each refusal, what passes, and what callbacks cannot do.

use std::{
    convert::Infallible,
    future::{Ready, poll_fn, ready},
    mem,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread,
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use serde_json::{Value, json};
use token_host::{
    Actor, Host, Peer, Reason, StaticPlugin, TokenRestrictions, Verdict,
    authenticate::{AuthenticateSettings, Authenticator, Identity, Refusal, Requirement},
    block_on,
    token_plugin_api::{Call, Hooks, NoConfig, PluginError, Result, TokenHandler},
    tower::RequireToken,
};
use token_host_tests::Reply;
use tower_layer::Layer;
use tower_service::Service;

/// A handler whose tokens say what becomes of them.
struct Spelt;

impl TokenHandler for Spelt {
    fn name(&self) -> &str {
        "spelt"
    }

    fn verify_token(&self, _: &Call<'_>, token: &str) -> Result<Verdict> {
        let restrictions = || TokenRestrictions::nothing().allow_all("view-instance");
        Ok(match token.split_once('.').unwrap_or((token, "ann")) {
            ("good", name) => Verdict::Accepted(Actor::new(name, "spelt")),
            ("old", name) => Verdict::Accepted(Actor::new(name, "spelt").claim("token_deprecated", true)),
            ("viewer", name) => Verdict::Accepted(Actor::new(name, "spelt").restricted_to(restrictions())),
            ("bad", _) => Verdict::Rejected(Reason::expired()),
            ("down", _) => return Err(PluginError::failed("the store is down, at 10.9.8.7")),
            _ => Verdict::NotRecognized,
        })
    }
}

/// Hosts whose handler answers at once, and whose handler is waited for.
fn hosts() -> [Host; 2] {
    let inline = StaticPlugin::new("spelt", |hooks: &mut Hooks, _: NoConfig| {
        hooks.handler(Spelt);
        Ok(())
    });
    let waiting = StaticPlugin::new("spelt", |hooks: &mut Hooks, _: NoConfig| {
        hooks.blocking_handler(Spelt);
        Ok(())
    });
    [inline, waiting].map(|plugin| Host::builder().plugin(plugin).build().unwrap())
}

/// A service that says whom it was called for. It insists on being ready, and a clone of it is not.
#[derive(Default)]
struct WhoIsIt {
    is_ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for WhoIsIt {
    fn clone(&self) -> Self {
        Self { is_ready: false, calls: Arc::clone(&self.calls) }
    }
}

impl Service<Request<()>> for WhoIsIt {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<std::result::Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        assert!(mem::take(&mut self.is_ready), "it is called without being ready");
        self.calls.fetch_add(1, Ordering::SeqCst);
        let identity = request.extensions().get::<Identity>();
        let who = identity.map_or("nobody".to_owned(), |identity| {
            format!("{} by {}", identity.actor.id(), identity.handler.as_deref().unwrap_or("a wrapper"))
        });
        ready(Ok(Response::new(Full::from(who))))
    }
}

/// Asks such a service behind a layer; how often it was called, too.
fn ask_counted(layer: &RequireToken, request: Request<()>) -> (Reply, usize) {
    let inner = WhoIsIt::default();
    let calls = Arc::clone(&inner.calls);
    let mut service = layer.layer(inner);
    let reply = block_on(async {
        poll_fn(|context| service.poll_ready(context)).await.unwrap();
        let (parts, body) = service.call(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8(body.into()).unwrap() }
    });
    (reply, calls.load(Ordering::SeqCst))
}

fn ask(layer: &RequireToken, request: Request<()>) -> Reply {
    ask_counted(layer, request).0
}

fn with(authorization: &str) -> Request<()> {
    Request::builder().header("authorization", authorization).body(()).unwrap()
}

fn without() -> Request<()> {
    Request::new(())
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.get(name).map(|value| value.to_str().unwrap())
}

fn view() -> Requirement {
    Requirement::action("view-table", Some("db"), None)
}

#[test]
fn each_refusal_has_its_status_its_challenge_and_its_document() {
    let two = || {
        let mut request = with("Bearer good");
        request.headers_mut().append("authorization", "Bearer good".parse().unwrap());
        request
    };
    let challenge = |code: &str, description: &str| {
        format!(r#"Bearer realm="token-host", error="{code}", error_description="{description}""#)
    };
    let scope = format!(r#"{}, scope="view-table""#, challenge("insufficient_scope", "the token is not good for this"));
    let cases = [
        (without(), 401, "token-required", "a token is required", Some(r#"Bearer realm="token-host""#.to_owned())),
        (
            with("Basic YTpi"),
            401,
            "token-required",
            "a token is required",
            Some(r#"Bearer realm="token-host""#.to_owned()),
        ),
        (
            two(),
            400,
            "invalid-request",
            "expected one header with a token",
            Some(challenge("invalid_request", "expected one header with a token")),
        ),
        (
            with("Bearer bad"),
            401,
            "token-invalid",
            "token has expired",
            Some(challenge("invalid_token", "token has expired")),
        ),
        (
            with("Bearer unheard-of"),
            401,
            "token-invalid",
            "token is not known",
            Some(challenge("invalid_token", "token is not known")),
        ),
        (with("Bearer viewer"), 403, "insufficient-scope", "the token is not good for this", Some(scope)),
        (with("Bearer down"), 503, "unavailable", "the token cannot be judged at the moment", None),
    ];
    for host in hosts() {
        let layer = RequireToken::new(host).require(view());
        for (request, status, kind, detail, challenge) in &cases {
            let (reply, calls) = ask_counted(&layer, request.clone());
            assert_eq!((reply.status, calls), (*status, 0), "{reply:?}");
            assert_eq!(header(&reply, "www-authenticate"), challenge.as_deref(), "{reply:?}");
            let document: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(document["type"], format!("urn:token-host:problem:{kind}"));
            assert_eq!((&document["status"], &document["detail"]), (&json!(status), &json!(detail)));
            assert!(document["title"].is_string());
            assert_eq!(header(&reply, "content-type"), Some("application/problem+json"));
            assert_eq!(header(&reply, "cache-control"), Some("no-store"));
            assert_eq!(header(&reply, "retry-after"), (*status == 503).then_some("5"));
            assert!(!reply.body.contains("10.9.8.7"), "nothing of the host's inside is told");
        }
        assert_eq!(ask(&layer, with("token good.bob")).body, "bob by spelt", "Djblets' scheme");
    }
}

#[test]
fn an_optional_layer_lets_requests_without_a_token_through_and_none_with_a_bad_one() {
    for host in hosts() {
        let layer = RequireToken::new(host).optional().require(view());
        assert_eq!(ask_counted(&layer, without()).1, 1);
        assert_eq!(
            (ask(&layer, without()).body, ask(&layer, with("Basic YTpi")).body),
            ("nobody".into(), "nobody".into())
        );
        assert_eq!(ask(&layer, with("Bearer good")).body, "ann by spelt");
        for (token, status) in [("bad", 401), ("unheard-of", 401), ("viewer", 403), ("down", 503), ("a b", 400)] {
            let (reply, calls) = ask_counted(&layer, with(&format!("Bearer {token}")));
            assert_eq!((reply.status, calls), (status, 0), "{token}");
        }
    }
}

#[test]
fn what_is_required_may_depend_on_the_request() {
    for host in hosts() {
        let layer = RequireToken::new(host).require_for(|parts| match parts.uri.path() {
            "/open" => Requirement::nothing(),
            _ => Requirement::action("drop-table", None, None),
        });
        let to = |path: &str| {
            let mut request = with("Bearer viewer");
            *request.uri_mut() = path.parse().unwrap();
            request
        };
        assert_eq!((ask(&layer, to("/open")).status, ask(&layer, to("/closed")).status), (200, 403));
        assert_eq!(ask(&layer.require(Requirement::nothing()), to("/closed")).status, 200, "the last one counts");
    }
}

#[test]
fn what_is_required_may_stand_in_the_configuration() {
    let plugin = StaticPlugin::new("spelt", |hooks: &mut Hooks, _: NoConfig| {
        hooks.handler(Spelt);
        Ok(())
    });
    let rules = "[[http.rule]]\npath = '/health'\noptional = true\n\
                 [[http.rule]]\npath = '/{database}/drop'\nmethods = ['POST']\naction = 'drop-table'\n\
                 database = '{database}'\n";
    let host = Host::builder().config_text(rules, ".").plugin(plugin).build().unwrap();
    let layer = RequireToken::new(host).require_by_rules();
    let asked = |method: &str, path: &str, token: Option<&str>| {
        let mut request = token.map_or_else(without, with);
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = path.parse().unwrap();
        let (reply, calls) = ask_counted(&layer, request);
        assert_eq!(reply.status == 200, calls == 1);
        reply.status
    };
    assert_eq!((asked("GET", "/health", None), asked("GET", "/", None)), (200, 401));
    assert_eq!(asked("GET", "/health", Some("Bearer bad")), 401);
    assert_eq!(asked("POST", "/db/drop", Some("Bearer good")), 200);
    for path in ["/db/drop", "/db/drop/", "/db/%64rop"] {
        assert_eq!(asked("POST", path, Some("Bearer viewer")), 403, "{path}");
    }
    assert_eq!(asked("GET", "/db/drop", Some("Bearer viewer")), 200);
    for path in ["/db//drop", "/db/%2e/drop", "/x/../db/drop", "/health%2f..%2fdb", "//health"] {
        assert_eq!(asked("POST", path, Some("Bearer good")), 400, "{path}");
        assert_eq!(asked("POST", path, None), 400, "{path}");
    }
    for (uri, hosts, status) in [
        ("http://a/", &[][..], 200),
        ("http://a/", &["A"], 200),
        ("/", &["a"], 200),
        ("http://a/", &["b"], 400),
        ("/", &["a", "b"], 400),
    ] {
        let mut request = with("Bearer good");
        *request.uri_mut() = uri.parse().unwrap();
        hosts.iter().for_each(|host| _ = request.headers_mut().append("host", host.parse().unwrap()));
        assert_eq!(ask(&layer, request).status, status, "what is behind may go by another host: {uri} {hosts:?}");
    }
}

#[test]
fn a_callback_shapes_a_refusal_and_makes_no_success_of_it() {
    let [host, _] = hosts();
    for status in 100..=999_u16 {
        let layer = RequireToken::new(host.clone()).on_refusal(move |refusal, prepared| {
            assert_eq!((refusal, prepared.status()), (&Refusal::NoCredentials, StatusCode::UNAUTHORIZED));
            let shaped = Response::builder().status(status).header("x-shaped", "yes").header("content-length", "999");
            shaped.header("cache-control", "public").body(b"go away".to_vec()).unwrap()
        });
        let (reply, calls) = ask_counted(&layer, without());
        let is_refusal = (400..600).contains(&status);
        assert_eq!((reply.status, calls), (if is_refusal { status } else { 401 }, 0));
        assert_eq!((reply.body.as_str(), header(&reply, "x-shaped")), ("go away", Some("yes")));
        assert_eq!(header(&reply, "www-authenticate"), Some(r#"Bearer realm="token-host""#));
        assert_eq!((header(&reply, "cache-control"), header(&reply, "content-length")), (Some("no-store"), None));
        assert_eq!(ask(&layer, with("Bearer good")).status, 200, "who is not refused is nothing of the callback's");
    }
    let hiding = RequireToken::new(host).on_refusal(|_, mut prepared| {
        prepared.headers_mut().clear();
        *prepared.status_mut() = StatusCode::NOT_FOUND;
        prepared
    });
    let reply = ask(&hiding, with("Bearer bad"));
    assert_eq!(reply.status, 404);
    assert!(header(&reply, "www-authenticate").unwrap().contains(r#"error="invalid_token""#));
}

#[test]
fn an_identity_from_elsewhere_is_taken_out() {
    let [host, _] = hosts();
    let authenticator = Authenticator::new(host.clone());
    let (parts, ()) = with("Bearer good.mallory").into_parts();
    let subject = token_host::authenticate::Subject::of(&parts, None);
    let mallory = block_on(authenticator.authenticate(&subject, &Requirement::nothing())).unwrap();
    for host in hosts() {
        let layer = RequireToken::new(host).optional().require_for(|parts| {
            assert!(parts.extensions.get::<Identity>().is_none());
            Requirement::nothing()
        });
        for (mut request, who) in [(without(), "nobody"), (with("Bearer good"), "ann by spelt")] {
            request.extensions_mut().insert(mallory.clone());
            assert_eq!(ask(&layer, request).body, who);
        }
    }
}

#[test]
fn many_requests_at_once_are_each_their_own() {
    for host in hosts() {
        let service = RequireToken::new(host).layer(WhoIsIt::default());
        thread::scope(|scope| {
            for number in 0..8 {
                let service = service.clone();
                scope.spawn(move || {
                    for round in 0..50 {
                        let name = format!("user-{number}-{round}");
                        let (mut one, mut other) = (service.clone(), service.clone());
                        let both = block_on(async {
                            poll_fn(|context| one.poll_ready(context)).await.unwrap();
                            poll_fn(|context| other.poll_ready(context)).await.unwrap();
                            let first = one.call(with(&format!("Bearer good.{name}")));
                            let second = other.call(with("Bearer bad"));
                            // Ready for the next before the first is over.
                            poll_fn(|context| one.poll_ready(context)).await.unwrap();
                            let third = one.call(with(&format!("Bearer good.{name}-again")));
                            (third.await.unwrap(), second.await.unwrap(), first.await.unwrap())
                        });
                        let body = |response: Response<_>| block_on(BodyExt::collect(response.into_body())).unwrap();
                        let (third, second, first) = both;
                        assert!(matches!(second.status().as_u16(), 401 | 429));
                        assert_eq!(body(first).to_bytes(), format!("{name} by spelt"));
                        assert_eq!(body(third).to_bytes(), format!("{name}-again by spelt"));
                    }
                });
            }
        });
    }
}

#[test]
fn a_request_that_is_given_up_calls_nobody() {
    for host in hosts() {
        let inner = WhoIsIt::default();
        let calls = Arc::clone(&inner.calls);
        let mut service = RequireToken::new(host).layer(inner);
        block_on(poll_fn(|context| service.poll_ready(context))).unwrap();
        drop(service.call(with("Bearer good")));
        assert_eq!(calls.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_token_that_is_to_be_replaced_says_so() {
    for host in hosts() {
        let layer = RequireToken::new(host).require(Requirement::nothing());
        let reply = ask(&layer, with("Bearer old"));
        assert_eq!((reply.status, header(&reply, "x-api-token-deprecated")), (200, Some("true")));
        assert_eq!(header(&ask(&layer, with("Bearer good")), "x-api-token-deprecated"), None);
    }
}

#[test]
fn failures_are_counted_by_the_client_s_address_and_keep_no_good_token_out() {
    let [host, _] = hosts();
    let mut settings = AuthenticateSettings::default();
    settings.failures_per_address = 2;
    let layer = RequireToken::with_authenticator(Authenticator::with_settings(host, settings))
        .trusted_proxies(["10.0.0.0/8".parse().unwrap()]);
    let from = |peer: [u8; 4], forwarded: &str, token: &str| {
        let mut request = with(&format!("Bearer {token}"));
        request.extensions_mut().insert(Peer::Address(IpAddr::from(peer)));
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        request
    };
    let tried = |peer, forwarded: &str| {
        let tokens = ["bad.a", "bad.b", "bad.c"];
        tokens.map(|token| ask(&layer, from(peer, forwarded, token)).status)
    };
    assert_eq!(tried([10, 0, 0, 1], "9.9.9.1"), [401, 401, 429]);
    assert_eq!(tried([10, 0, 0, 1], "9.9.9.2"), [401, 401, 429], "it is another client, by the proxy's word");
    assert_eq!(tried([8, 8, 8, 8], "9.9.9.3"), [401, 401, 429]);
    assert_eq!(tried([8, 8, 8, 8], "9.9.9.4"), [429, 429, 429], "whose word nobody takes is who it is");
    assert_eq!(ask(&layer, from([8, 8, 8, 8], "9.9.9.4", "good")).status, 200);
    let refused = ask(&layer, from([8, 8, 8, 8], "", "bad.d"));
    assert!(header(&refused, "retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(header(&refused, "www-authenticate"), None);
}
