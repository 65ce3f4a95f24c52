//! The extractors for axum, and the examples: services that embed the host, asked over HTTP.

use std::{
    future::poll_fn,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use axum::{Router, body::Body, extract::FromRef, routing::get};
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use token_host::{
    CreateToken, Host, TokenRestrictions,
    authenticate::{Authenticator, Requirement},
    axum::{Authenticated, AuthenticatedByState, Rejection},
    block_on,
    tower::RequireToken,
};
use token_host_tests::{Reply, Scratch, host_example};
use tower_service::Service;

fn scratch() -> Scratch {
    let mut scratch = Scratch::new();
    scratch.no_preflight().signed("");
    scratch
}

fn host() -> (Scratch, Host) {
    let scratch = scratch();
    let host = Host::from_file(scratch.config()).unwrap();
    (scratch, host)
}

fn token(host: &Host, restrictions: Option<TokenRestrictions>) -> String {
    let mut request = CreateToken::new("ann");
    request.restrictions = restrictions;
    host.create_token_blocking(&request).unwrap().token
}

fn ask(router: &Router, path: &str, token: Option<&str>) -> Reply {
    let mut router = router.clone();
    let mut request = Request::builder().uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    block_on(async {
        poll_fn(|context| Service::<Request<Body>>::poll_ready(&mut router, context)).await.unwrap();
        let (parts, body) = router.call(request.body(Body::empty()).unwrap()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8(body.into()).unwrap() }
    })
}

async fn strict(who: Authenticated) -> String {
    assert_eq!(who.handler.as_deref(), Some("signed"));
    who.actor().id().to_owned()
}

async fn open(who: Option<Authenticated>) -> String {
    who.map_or("nobody".to_owned(), |who| who.into_inner().actor.id().to_owned())
}

async fn editing(who: Authenticated) -> Result<String, Rejection> {
    who.require(&Requirement::action("insert-row", None, None))?;
    Ok("done".to_owned())
}

async fn by_state(who: AuthenticatedByState) -> String {
    who.actor().id().to_owned()
}

async fn open_by_state(who: Option<AuthenticatedByState>) -> String {
    who.map_or("nobody".to_owned(), |who| who.actor().id().to_owned())
}

fn said(reply: &Reply) -> (u16, &str) {
    (reply.status, &reply.body)
}

fn challenge(reply: &Reply) -> &str {
    reply.headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap())
}

#[test]
fn handlers_are_told_what_the_layer_found() {
    let (_scratch, host) = host();
    let routes = || Router::new().route("/", get(strict)).route("/open", get(open)).route("/edit", get(editing));
    let layer = RequireToken::new(host.clone());
    let (required, optional) = (routes().layer(layer.clone()), routes().layer(layer.optional()));
    let good = token(&host, None);
    for router in [&required, &optional] {
        assert_eq!(said(&ask(router, "/", Some(&good))), (200, "ann"));
        assert_eq!(said(&ask(router, "/open", Some(&good))), (200, "ann"));
        assert_eq!(ask(router, "/open", Some("dstok_bad")).status, 401);
    }
    assert_eq!(ask(&required, "/open", None).status, 401);
    assert_eq!(said(&ask(&optional, "/open", None)), (200, "nobody"));
    let refused = ask(&optional, "/", None);
    assert_eq!((refused.status, challenge(&refused)), (401, r#"Bearer realm="token-host""#));
    assert_eq!(refused.headers["content-type"], "application/problem+json");
}

#[test]
fn a_handler_may_require_more() {
    let (_scratch, host) = host();
    let router = Router::new().route("/edit", get(editing)).layer(RequireToken::new(host.clone()));
    assert_eq!(said(&ask(&router, "/edit", Some(&token(&host, None)))), (200, "done"));
    let viewer = token(&host, Some(TokenRestrictions::nothing().allow_all("view-instance")));
    let refused = ask(&router, "/edit", Some(&viewer));
    assert_eq!(refused.status, 403);
    assert!(
        challenge(&refused).contains(r#"error="insufficient_scope""#) && challenge(&refused).contains("insert-row")
    );
}

#[test]
fn without_a_layer_nobody_is_let_through() {
    let router = Router::new().route("/", get(strict)).route("/open", get(open));
    for path in ["/", "/open"] {
        let reply = ask(&router, path, Some("any"));
        assert_eq!((reply.status, reply.body.as_str()), (500, ""), "{path}");
    }
}

#[derive(Clone)]
struct State {
    authenticator: Authenticator,
}

impl FromRef<State> for Authenticator {
    fn from_ref(state: &State) -> Self {
        state.authenticator.clone()
    }
}

#[test]
fn the_state_can_stand_in_for_a_layer() {
    let (_scratch, host) = host();
    let state = State { authenticator: Authenticator::new(host.clone()) };
    let routes = Router::new().route("/", get(by_state)).route("/open", get(open_by_state));
    let alone: Router = routes.clone().with_state(state.clone());
    let layered = routes.with_state(state).layer(RequireToken::new(host.clone()).optional());
    let good = token(&host, None);
    for router in [&alone, &layered] {
        assert_eq!(said(&ask(router, "/", Some(&good))), (200, "ann"));
        assert_eq!(said(&ask(router, "/open", Some(&good))), (200, "ann"));
        assert_eq!(said(&ask(router, "/open", None)), (200, "nobody"));
        let refused = ask(router, "/", None);
        assert_eq!((refused.status, challenge(&refused)), (401, r#"Bearer realm="token-host""#));
        for path in ["/", "/open"] {
            let refused = ask(router, path, Some("dstok_bad"));
            assert_eq!(refused.status, 401);
            assert!(challenge(&refused).contains(r#"error="invalid_token""#));
        }
    }
}

/// An example that runs, and where.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn start(name: &str, scratch: &Scratch) -> Self {
        let mut command = Command::new(host_example(name));
        command.arg(scratch.config()).arg("127.0.0.1:0").stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url =
            line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("it said {line:?}")).to_owned();
        Self { child, url }
    }

    fn get(&self, path: &str, token: Option<&str>) -> (u16, String, Option<String>) {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        let mut request = ureq::Agent::new_with_config(config).get(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.call().unwrap();
        let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap(), challenge)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn detail(body: &str) -> String {
    let document: Value = serde_json::from_str(body).unwrap();
    document["detail"].as_str().unwrap().to_owned()
}

#[test]
fn the_example_for_axum_runs() {
    let (scratch, host) = host();
    let running = Running::start("axum", &scratch);
    let good = token(&host, None);
    let viewer = token(&host, Some(TokenRestrictions::nothing().allow_resource("db", "open", "view-table")));
    assert_eq!(running.get("/", Some(&good)), (200, "hello ann\n".to_owned(), None));
    assert_eq!(running.get("/greet", None), (200, "hello stranger\n".to_owned(), None));
    assert_eq!(running.get("/greet", Some(&good)).1, "hello again ann\n");
    assert_eq!(running.get("/db/open", Some(&viewer)).1, "the rows of open\n");
    let (status, body, _) = running.get("/db/closed", Some(&viewer));
    assert_eq!((status, detail(&body).as_str()), (403, "the token is not good for this"));
    let (status, body, challenge) = running.get("/", None);
    assert_eq!((status, detail(&body).as_str()), (401, "a token is required"));
    assert_eq!(challenge.as_deref(), Some(r#"Bearer realm="token-host""#));
    // 60 in a minute, and one more for each second that this takes.
    let mut failing = (0..600).map(|number| running.get("/greet", Some(&format!("dstok_{number}"))).0);
    assert!(failing.any(|status| status == 429), "it knows who is at the other end of a connection");
}

#[test]
fn the_example_for_hyper_runs() {
    let (scratch, host) = host();
    let running = Running::start("hyper", &scratch);
    assert_eq!(running.get("/", Some(&token(&host, None))), (200, "hello ann\n".to_owned(), None));
    let nothing = token(&host, Some(TokenRestrictions::nothing()));
    assert_eq!(running.get("/", Some(&nothing)).0, 403);
    let (status, body, challenge) = running.get("/", Some("dstok_bad"));
    assert!(status == 401 && !detail(&body).is_empty());
    assert!(challenge.unwrap().contains(r#"error="invalid_token""#));
    assert_eq!(running.get("/", None).0, 401);
}
