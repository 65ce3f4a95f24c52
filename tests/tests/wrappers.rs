//! Wrappers: around every create and verify, set up in call order, torn down in reverse, as in pluggy 1.7.

use serde_json::{Value, json};
use token_host::{CreateToken, ErrorKind, EventKind, Host, RequestContext, Verdict};
use token_host_tests::{Plugin, Scratch};

/// A handler that does as told inside of these wrappers, the outermost first.
fn wrapped(wrappers: &str) -> Scratch {
    let mut scratch = Scratch::new();
    let journal = scratch.journal().setting();
    let handler = "{ name = 'told', verify = 'as_told', create = 'as_told' }";
    scratch.plugin("x", Plugin::Hostile, &format!("{journal}handlers = [{handler}]\nwrappers = [{wrappers}]"));
    scratch
}

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

/// The calls since the plugin was made.
fn calls(scratch: &Scratch) -> Vec<String> {
    scratch.journal().calls().into_iter().filter(|call| call != "plugin register").collect()
}

/// What a wrapper was told about the outcome.
fn told(scratch: &Scratch, who: &str, what: &str) -> String {
    let entries = scratch.journal().entries();
    let entry = entries.iter().find(|entry| entry.who == who && entry.what == what).unwrap();
    entry.detail.as_str().unwrap().to_owned()
}

const TWO: &str = "{ name = 'outer' }, { name = 'inner' }";

#[test]
fn set_up_in_call_order_and_torn_down_in_reverse() {
    let scratch = wrapped(TWO);
    let host = host(&scratch);
    let actor = host.verify_token_blocking("x:accept").unwrap().unwrap();
    assert_eq!(json!(actor)["wrappers"], json!(["inner", "outer"]));
    let verify =
        ["outer before_verify", "inner before_verify", "told verify", "inner after_verify", "outer after_verify"];
    assert_eq!(calls(&scratch), verify);

    let created = host.create_token_blocking(&CreateToken::new("x:ok")).unwrap();
    assert!(created.token.ends_with("|inner|outer"), "{}", created.token);
    let create =
        ["outer before_create", "inner before_create", "told create", "inner after_create", "outer after_create"];
    assert_eq!(calls(&scratch)[5..], create);
}

#[test]
fn wrappers_of_several_plugins_follow_the_order_law() {
    let mut scratch = Scratch::new();
    let journal = scratch.journal().setting();
    scratch.plugin("h", Plugin::Hostile, "handlers = [{ name = 'h' }]");
    for (name, keys) in
        [("a", "tryfirst = true"), ("b", "trylast = true"), ("c", ""), ("d", ""), ("e", "tryfirst = true")]
    {
        scratch.plugin_with(name, Plugin::Hostile, keys, &format!("{journal}wrappers = [{{ name = '{name}' }}]"));
    }
    let actor = host(&scratch).verify_token_blocking("token").unwrap().unwrap();
    assert_eq!(json!(actor)["wrappers"], json!(["b", "c", "d", "a", "e"]), "the innermost signs first");
}

#[test]
fn every_outcome_passes_through() {
    let scratch = wrapped(TWO);
    let host = host(&scratch);
    assert_eq!(host.verify_token_blocking("x:not_recognized").unwrap(), None);
    let rejected = host.verify_token_blocking("x:reject").unwrap_err();
    assert_eq!(rejected.to_string(), "it was told to reject|inner|outer");
    assert!(matches!(rejected.kind(), ErrorKind::TokenInvalid(_)));
    let failed = host.verify_token_blocking("x:fail").unwrap_err();
    assert_eq!(*failed.kind(), ErrorKind::Plugin);
    assert!(failed.to_string().contains("it was told to fail|inner|outer"), "{failed}");
    let missing = host.create_token_blocking(&CreateToken::new("x:missing_token_info")).unwrap_err();
    assert_eq!(*missing.kind(), ErrorKind::MissingTokenInfo("seed".into()), "kinds survive wrappers");
    let panicked = host.verify_token_blocking("x:panic").unwrap_err();
    assert!(panicked.to_string().contains("it was told to panic"), "{panicked}");
}

#[test]
fn a_wrapper_that_fails_before_is_not_torn_down_but_those_around_it_are() {
    let message = "middle was told to fail before";
    let scratch = wrapped("{ name = 'outer' }, { name = 'middle', before = 'fail' }, { name = 'inner' }");
    let host = host(&scratch);
    let error = host.verify_token_blocking("x:accept").unwrap_err();
    assert_eq!((error.kind(), error.plugin()), (&ErrorKind::Plugin, Some("x")));
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(calls(&scratch), ["outer before_verify", "middle before_verify", "outer after_verify"]);
    assert!(told(&scratch, "outer", "after_verify").contains(message));
    let error = host.create_token_blocking(&CreateToken::new("x:ok")).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(calls(&scratch)[3..], ["outer before_create", "middle before_create", "outer after_create"]);
}

#[test]
fn a_wrapper_may_reject_before_any_handler_is_asked() {
    let scratch = wrapped("{ name = 'guard', before = 'reject' }");
    let error = host(&scratch).verify_token_blocking("x:accept").unwrap_err();
    let ErrorKind::TokenInvalid(reason) = error.kind() else { panic!("{error}") };
    assert_eq!(reason.message(), "guard was told to reject before");
    assert_eq!(calls(&scratch), ["guard before_verify"]);
    let verified = scratch.run(["verify", "x:accept"]);
    assert_eq!(verified.code(), 1, "{verified}");
}

/// It is an answer and no failure, as if a handler had given it.
#[test]
fn what_a_wrapper_rejects_is_a_rejection_everywhere() {
    let (before, after) = ("{ name = 'guard', before = 'reject' }", "{ name = 'guard', after = 'reject' }");
    let behind = |guard: &str| format!("{{ name = 'outer' }}, {guard}");
    for wrappers in [before, after, &behind(before), &behind(after)] {
        let scratch = wrapped(wrappers);
        let host = host(&scratch);
        let mut events = host.subscribe();
        let verified = host.verify_blocking("x:fail", &RequestContext::default());
        let Ok(Verdict::Rejected(reason)) = verified.verdict else { panic!("{wrappers}: {verified:?}") };
        let message = reason.message();
        assert!(message.contains("was told to reject"), "{wrappers}: {message}");
        assert_eq!(message.ends_with("|outer"), wrappers.contains("outer"), "{wrappers}: {message}");
        let event = events.try_next().unwrap();
        assert_eq!((event.kind, event.reason.as_deref()), (EventKind::TokenRejected, Some(message)), "{wrappers}");
        let answer = &scratch.feed(["verify", "-"], b"x:fail\n").json_lines()[0];
        assert_eq!((&answer["status"], &answer["reason"]), (&json!("rejected"), &json!(message)), "{wrappers}");
        assert_eq!(scratch.run(["explain", "--json", "x:fail"]).json()["status"], "rejected", "{wrappers}");
        assert_eq!(scratch.run(["verify", "x:fail"]).code(), 1, "{wrappers}");
    }
}

#[test]
fn teardown_runs_also_when_something_inside_failed() {
    let scratch = wrapped("{ name = 'outer' }, { name = 'inner', after = 'fail' }");
    let error = host(&scratch).verify_token_blocking("x:fail").unwrap_err();
    assert!(error.to_string().contains("inner was told to fail after"), "{error}");
    assert!(told(&scratch, "inner", "after_verify").contains("it was told to fail"));
    assert!(told(&scratch, "outer", "after_verify").contains("inner was told to fail after"));
}

#[test]
fn a_wrapper_may_replace_the_outcome() {
    for (after, token, expected) in [
        ("accept", "x:reject", Some("accepted")),
        ("accept", "x:fail", Some("accepted")),
        ("reject", "x:accept", Some("rejected")),
        ("not_recognized", "x:accept", None),
    ] {
        let scratch = wrapped(&format!("{{ name = 'outer', after = '{after}' }}"));
        let verified = host(&scratch).verify_token_blocking(token);
        let status = match &verified {
            Ok(Some(actor)) => (actor.id() == "outer").then_some("accepted"),
            Ok(None) => None,
            Err(error) => matches!(error.kind(), ErrorKind::TokenInvalid(_)).then_some("rejected"),
        };
        assert_eq!(status, expected, "{after} after {token}: {verified:?}");
    }
    let scratch = wrapped("{ name = 'outer', after = 'accept' }");
    let created = host(&scratch).create_token_blocking(&CreateToken::new("x:fail")).unwrap();
    assert_eq!(created.token, "outer");
    let scratch = wrapped("{ name = 'outer', after = 'reject' }");
    let error = host(&scratch).create_token_blocking(&CreateToken::new("x:ok")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_wrapper_that_panics_is_an_error_of_its_plugin() {
    for (wrapper, message) in
        [("before = 'panic'", "outer was told to panic before"), ("after = 'panic'", "outer was told to panic after")]
    {
        let scratch = wrapped(&format!("{{ name = 'outer', {wrapper} }}"));
        let answers = scratch.feed(["verify", "-"], b"x:accept\nx:accept\n").json_lines();
        for answer in answers {
            assert_eq!((&answer["status"], &answer["plugin"]), (&json!("error"), &json!("x")), "{answer}");
            assert!(answer["reason"].as_str().unwrap().contains(message), "{answer}");
        }
        let created = scratch.run(["create", "x:ok"]);
        assert_eq!((created.code(), created.stdout.as_str()), (5, ""), "{created}");
    }
}

/// The state is dropped within `after`, so its panic is one of `after`. (Were `after` to panic as well, the second panic
/// would come while the first unwinds, and no fence can keep Rust from ending the process then.)
#[test]
fn a_state_that_panics_when_it_is_dropped_is_an_error_of_its_plugin() {
    for wrappers in [
        "{ name = 'w', drop_state = 'panic' }",
        "{ name = 'w', drop_state = 'panic' }, { name = 'inner', before = 'fail' }",
    ] {
        let scratch = wrapped(wrappers);
        let run = scratch.feed(["verify", "-"], b"x:accept\nx:accept\n");
        assert_eq!(run.code(), 0, "{wrappers}: {run}");
        for answer in run.json_lines() {
            assert_eq!((&answer["status"], &answer["plugin"]), (&json!("error"), &json!("x")), "{wrappers}: {answer}");
            assert!(answer["reason"].as_str().unwrap().contains("it was told to panic when dropped"), "{answer}");
        }
    }
}

#[test]
fn a_wrapper_learns_that_the_caller_went_away() {
    let mut scratch = Scratch::new();
    let journal = scratch.journal();
    let handler = "handlers = [{ name = 'hangs', execution = 'async', verify = 'hang' }]";
    let settings = format!("{}{handler}\nwrappers = [{{ name = 'outer' }}]", journal.setting());
    scratch.plugin_with("x", Plugin::Hostile, "deadline_ms = 60000", &settings);
    let host = host(&scratch);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let gave_up = runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_millis(50), host.verify_token("token")).await
    });
    assert!(gave_up.is_err());
    assert!(told(&scratch, "outer", "after_verify").starts_with("Cancelled: "));
}

#[test]
fn wrappers_are_listed_before_handlers() {
    let scratch = wrapped(TWO);
    let rows = scratch.run(["plugins", "--json"]).json()["plugins"].take();
    let rows: Vec<(&Value, &Value)> = rows.as_array().unwrap().iter().map(|row| (&row["name"], &row["kind"])).collect();
    let (wrapper, handler) = (json!("wrapper"), json!("handler"));
    assert_eq!(rows, [(&json!("outer"), &wrapper), (&json!("inner"), &wrapper), (&json!("told"), &handler)]);
}
