//! Creating tokens: which handler does it, what it is told, and what becomes of its errors.

use serde_json::{Map, Value, json};
use token_host::{CreateToken, ErrorKind, Host, TokenDetails, TokenRestrictions};
use token_host_tests::{Plugin, Scratch};

fn handlers(settings: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.plugin("hostile", Plugin::Hostile, settings);
    scratch
}

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

/// The hostile plugin's tokens tell what they were made of.
fn made(host: &Host, request: &CreateToken) -> Value {
    let created = host.create_token_blocking(request).unwrap();
    serde_json::from_str(&created.token).unwrap()
}

#[test]
fn the_first_handler_that_can_makes_the_token() {
    let scratch =
        handlers("handlers = [{ name = 'cannot', create = 'unsupported' }, { name = 'can' }, { name = 'also' }]");
    let host = host(&scratch);
    assert_eq!(made(&host, &CreateToken::new("root"))["handler"], "can");
    assert_eq!(made(&host, &CreateToken::new("root").handler("also"))["handler"], "also");
    let error = host.create_token_blocking(&CreateToken::new("root").handler("cannot")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn a_handler_that_fails_is_not_passed_over() {
    let scratch = handlers("handlers = [{ name = 'first', create = 'fail' }, { name = 'second' }]");
    let error = host(&scratch).create_token_blocking(&CreateToken::new("root")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Plugin, "{error}");
}

#[test]
fn the_handler_gets_the_whole_request() {
    let mut details = TokenDetails::default();
    details.note = Some("for ünit tests".to_owned());
    details.policy = Some(json!({ "resources": ["*"] }));
    details.token_generator_id = Some("vendor".to_owned());
    details.token_info = Map::from_iter([("token_type".to_owned(), json!("abc"))]);
    details.max_attempts = 7;
    details.auto_generated = true;
    details.extra = Map::from_iter([("team".to_owned(), json!(["a", null]))]);
    let restrictions = TokenRestrictions::nothing()
        .allow_all("view-instance")
        .allow_database("docs", "view-query")
        .allow_resource("docs", "pages", "insert-row");
    let request =
        CreateToken::new("rööt\0'\"").expires_after(3600).restricted_to(restrictions).with_details(details.clone());
    for execution in ["inline", "blocking", "async"] {
        let scratch = handlers(&format!("handlers = [{{ name = 'one', execution = '{execution}' }}]"));
        let made = made(&host(&scratch), &request);
        let expected = json!({
            "handler": "one",
            "actor_id": "rööt\0'\"",
            "expires_after": 3600,
            "restrictions": { "a": ["vi"], "d": { "docs": ["vq"] }, "r": { "docs": { "pages": ["ir"] } } },
            "details": details,
        });
        assert_eq!(made, expected, "{execution}");
    }
}

#[test]
fn no_restrictions_and_restricted_to_nothing_are_told_apart() {
    let scratch = handlers("handlers = [{ name = 'one' }]");
    let host = host(&scratch);
    assert_eq!(made(&host, &CreateToken::new("root"))["restrictions"], Value::Null);
    let nothing = CreateToken::new("root").restricted_to(TokenRestrictions::nothing());
    assert_eq!(made(&host, &nothing)["restrictions"], json!({}));
}

#[test]
fn each_error_has_its_kind_and_its_exit_code() {
    let scratch = handlers("handlers = [{ name = 'as_told', create = 'as_told' }]");
    let host = host(&scratch);
    for (deed, code, kind, message) in [
        ("fail", 5, ErrorKind::Plugin, "it was told to fail"),
        ("panic", 5, ErrorKind::Plugin, "panicked: it was told to panic"),
        ("panic_with_bomb", 5, ErrorKind::Plugin, "panicked: "),
        ("invalid_argument", 2, ErrorKind::InvalidArgument, "it was told that this is no argument"),
        ("disabled", 2, ErrorKind::Disabled, "hostile tokens are not enabled"),
        ("missing_token_info", 2, ErrorKind::MissingTokenInfo("seed".into()), "must contain a `seed` key"),
        ("token_generation", 4, ErrorKind::TokenGeneration, "no unique token after 20 attempts"),
        ("not_found", 1, ErrorKind::NotFound("client".into()), "client not found"),
        ("unsupported", 2, ErrorKind::Unsupported, "create_token is not supported by handler \"as_told\""),
    ] {
        let actor = format!("root:{deed}");
        let error = host.create_token_blocking(&CreateToken::new(&actor)).unwrap_err();
        assert_eq!(*error.kind(), kind, "{deed}: {error}");
        assert!(error.to_string().contains(message), "{deed}: {error}");
        let run = scratch.run(["create", &actor]);
        assert_eq!((run.code(), run.stdout.as_str()), (code, ""), "{deed}: {run}");
        assert!(run.stderr.contains(message), "{deed}: {run}");
        if kind == ErrorKind::Plugin {
            assert!(run.stderr.contains("plugin \"hostile\""), "{deed}: {run}");
        }
    }
    let invalid = host.create_token_blocking(&CreateToken::new("root:token_invalid")).unwrap_err();
    assert!(matches!(invalid.kind(), ErrorKind::TokenInvalid(_)), "{invalid}");
    assert_eq!(scratch.run(["create", "root:token_invalid"]).code(), 1);
    assert_eq!(scratch.run(["create", "root:ok"]).code(), 0, "after all of that");
}

#[test]
fn without_handlers_there_is_no_token() {
    let scratch = Scratch::new();
    let created = scratch.run(["create", "root"]);
    assert_eq!((created.code(), created.stdout.as_str()), (3, ""), "{created}");
    assert!(created.stderr.contains("No token handlers are registered"), "{created}");
    let error = host(&scratch).create_token_blocking(&CreateToken::new("root")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NoHandlers);
}

#[test]
fn an_unknown_handler_is_named_with_those_that_are_there_in_call_order() {
    let mut scratch = handlers("handlers = [{ name = 'b' }, { name = 'c' }]");
    scratch.plugin("later", Plugin::Hostile, "handlers = [{ name = 'a' }]");
    let created = scratch.run(["create", "root", "--handler", "x"]);
    assert_eq!((created.code(), created.stdout.as_str()), (2, ""), "{created}");
    let expected = "Token handler 'x' not found. Available handlers: ['a', 'b', 'c']";
    assert!(created.stderr.contains(expected), "{created}");
    let error = host(&scratch).create_token_blocking(&CreateToken::new("root").handler("x")).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (&ErrorKind::UnknownHandler, expected));
}

#[test]
fn a_life_of_no_seconds_is_no_life() {
    let scratch = handlers("handlers = [{ name = 'one' }]");
    let error = host(&scratch).create_token_blocking(&CreateToken::new("root").expires_after(0)).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_token_that_no_handler_would_see_again_is_not_made() {
    let mut scratch = handlers("handlers = [{ name = 'one' }]");
    let bytes = host(&scratch).create_token_blocking(&CreateToken::new("root")).unwrap().token.len();
    scratch.host(&format!("max_token_bytes = {bytes}"));
    assert_eq!(scratch.run(["create", "root"]).code(), 0, "just as long as it may be");
    let limit = bytes - 1;
    scratch.host(&format!("max_token_bytes = {limit}"));
    let refused = host(&scratch);
    let mut events = refused.subscribe();
    let error = refused.create_token_blocking(&CreateToken::new("root")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(events.try_next().is_none(), "nothing happened");
    let created = scratch.run(["create", "root"]);
    assert_eq!((created.code(), created.stdout.as_str()), (2, ""), "{created}");
    let expected = format!("the token would be {bytes} bytes, longer than the {limit} that this host verifies");
    assert!(created.stderr.contains(&expected) && error.to_string() == expected, "{created}");
}

#[test]
fn a_handler_finds_a_generator_of_another_plugin() {
    let mut scratch =
        handlers("handlers = [{ name = 'one', create = 'generate', verify = 'validate', generator = 'coin' }]");
    // Registered after the handler that asks for it.
    scratch.plugin("mint", Plugin::Hostile, "generators = [{ id = 'coin' }, { id = 'broken', generate = 'fail' }]");
    scratch.plugin("worse", Plugin::Hostile, "generators = [{ id = 'panics', generate = 'panic' }]");
    let host = host(&scratch);
    let create = |generator: &str, seed: Option<&str>| {
        let mut details = TokenDetails::default();
        details.token_generator_id = Some(generator.to_owned());
        details.token_info = seed.map(|seed| ("seed".to_owned(), json!(seed))).into_iter().collect();
        let before = details.clone();
        let request = CreateToken::new("root").with_details(details);
        let created = host.create_token_blocking(&request);
        assert_eq!(*request.details(), before, "the caller's token_info is never changed");
        created
    };
    assert_eq!(create("coin", Some("42")).unwrap().token, "coin_42");
    let kind = |generator: &str, seed| create(generator, seed).unwrap_err().kind().clone();
    assert_eq!(kind("coin", None), ErrorKind::MissingTokenInfo("seed".into()));
    assert_eq!(kind("none", Some("42")), ErrorKind::NotFound("token generator".into()));
    assert_eq!(kind("broken", Some("42")), ErrorKind::Plugin);
    assert_eq!(kind("panics", Some("42")), ErrorKind::Plugin);
    assert!(host.verify_token_blocking("coin_42").unwrap().is_some());
    assert!(host.verify_token_blocking("note_42").unwrap().is_none());
}

#[test]
fn of_two_generators_with_one_id_the_first_in_call_order_counts() {
    let mut scratch = handlers("handlers = [{ name = 'one', create = 'generate' }]");
    scratch.plugin("early", Plugin::Hostile, "generators = [{ id = 'coin', generate = 'fail' }]");
    scratch.plugin("late", Plugin::Hostile, "generators = [{ id = 'coin' }]");
    let mut details = TokenDetails::default();
    details.token_generator_id = Some("coin".to_owned());
    details.token_info = Map::from_iter([("seed".to_owned(), json!("42"))]);
    let created = host(&scratch).create_token_blocking(&CreateToken::new("root").with_details(details)).unwrap();
    assert_eq!(created.token, "coin_42");
}
