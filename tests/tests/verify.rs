//! Verifying tokens: the one table that everything follows, from the library to the exit code.

use std::thread;

use serde_json::{Value, json};
use token_host::{Clock, CreateToken, ErrorKind, Host, ReasonKind, RequestContext, Verdict};
use token_host_tests::{Plugin, Scratch, joined};

fn handlers(settings: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.plugin("hostile", Plugin::Hostile, settings);
    scratch
}

fn as_told() -> Scratch {
    handlers("handlers = [{ name = 'told', verify = 'as_told', claims = ['t:'] }]")
}

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

#[test]
fn an_accepted_token_is_its_actor() {
    let scratch = as_told();
    let verified = scratch.run(["verify", "t:accept"]);
    assert_eq!(verified.code(), 0, "{verified}");
    assert!(verified.stdout.contains("someone"), "{verified}");
    let actor = scratch.run(["verify", "--json", "t:accept"]).json();
    let actor = actor.get("actor").unwrap_or(&actor);
    assert_eq!(
        (&actor["id"], &actor["token"], &actor["plugin"]),
        (&json!("someone"), &json!("hostile"), &json!("hostile"))
    );
    assert_eq!(host(&scratch).verify_token_blocking("t:accept").unwrap().unwrap().id(), "someone");
}

#[test]
fn a_rejected_token() {
    let scratch = as_told();
    let verified = scratch.run(["verify", "t:reject"]);
    assert_eq!(verified.code(), 1, "{verified}");
    assert!(format!("{verified}").contains("it was told to reject"), "{verified}");
    let error = host(&scratch).verify_token_blocking("t:reject").unwrap_err();
    let ErrorKind::TokenInvalid(reason) = error.kind() else { panic!("{error}") };
    assert_eq!((reason.kind(), reason.message()), (ReasonKind::Malformed, "it was told to reject"));
    let error = host(&scratch).verify_token_blocking("t:token_invalid").unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TokenInvalid(_)), "an error may say so, too: {error}");
}

#[test]
fn a_token_that_nobody_recognizes() {
    let scratch = as_told();
    for token in ["t:not_recognized", "other"] {
        let verified = scratch.run(["verify", token]);
        assert_eq!(verified.code(), 1, "{token}: {verified}");
        assert_eq!(host(&scratch).verify_token_blocking(token).unwrap(), None);
    }
}

#[test]
fn a_handler_that_cannot_tell() {
    let scratch = as_told();
    for (token, message) in [
        ("t:fail", "it was told to fail"),
        ("t:panic", "panicked: it was told to panic"),
        ("t:panic_with_bomb", "panicked: "),
        ("t:no such deed", "unknown variant"),
    ] {
        let verified = scratch.run(["verify", token]);
        assert_eq!(verified.code(), 5, "{token}: {verified}");
        assert!(verified.stderr.contains(message) && verified.stderr.contains("plugin \"hostile\""), "{verified}");
        let error = host(&scratch).verify_token_blocking(token).unwrap_err();
        assert_eq!((error.kind(), error.plugin()), (&ErrorKind::Plugin, Some("hostile")));
    }
}

/// Where a creation's error is the caller's own fault, a verification's is not: nobody said "no".
#[test]
fn an_error_of_any_kind_tells_nothing_about_the_token() {
    for wrappers in ["", "wrappers = [{ name = 'outer' }]"] {
        let scratch = handlers(&format!("handlers = [{{ name = 'told', verify = 'as_told' }}]\n{wrappers}"));
        let host = host(&scratch);
        for (token, message) in [
            ("t:not_found", "client not found"),
            ("t:invalid_argument", "it was told that this is no argument"),
            ("t:unsupported", " is not supported by "),
            ("t:disabled", "hostile tokens are not enabled"),
        ] {
            let error = host.verify_token_blocking(token).unwrap_err();
            assert_eq!((error.kind(), error.plugin()), (&ErrorKind::Plugin, Some("hostile")), "{token}: {error}");
            let verified = scratch.run(["verify", token]);
            assert_eq!((verified.code(), verified.stdout.as_str()), (5, ""), "{token}: {verified}");
            let answer = &scratch.feed(["verify", "-"], token.as_bytes()).json_lines()[0];
            assert_eq!((&answer["status"], &answer["plugin"]), (&json!("error"), &json!("hostile")), "{answer}");
            for said in [&error.to_string(), &verified.stderr, answer["reason"].as_str().unwrap()] {
                assert!(said.contains("plugin \"hostile\" cannot tell: ") && said.contains(message), "{said}");
            }
        }
    }
}

#[test]
fn a_line_of_answers_for_a_line_of_tokens() {
    let scratch = as_told();
    let tokens = ["t:accept", "t:reject", "t:not_recognized", "t:fail", "", "t:expired", "other", "t:accept"];
    let answers = scratch.feed(["verify", "-"], (tokens.join("\n") + "\n").as_bytes());
    assert_eq!(answers.code(), 0, "all lines were answered: {answers}");
    let lines = answers.json_lines();
    let statuses: Vec<&str> = lines.iter().map(|line| line["status"].as_str().unwrap()).collect();
    let (accepted, rejected, not_recognized) = ("accepted", "rejected", "not_recognized");
    let expected = [accepted, rejected, not_recognized, "error", not_recognized, rejected, not_recognized, accepted];
    assert_eq!(statuses, expected);
    assert_eq!((&lines[0]["handler"], &lines[0]["actor"]["id"]), (&json!("told"), &json!("someone")));
    assert_eq!(lines[1], json!({ "status": "rejected", "handler": "told", "reason": "it was told to reject" }));
    assert_eq!(lines[2], json!({ "status": "not_recognized" }));
    assert_eq!((&lines[3]["status"], &lines[3]["plugin"]), (&json!("error"), &json!("hostile")));
    assert!(lines[3]["reason"].as_str().unwrap().contains("it was told to fail"), "{}", lines[3]);
    assert_eq!(lines[5], json!({ "status": "rejected", "handler": "told", "reason": "token has expired" }));
    assert!(lines.iter().all(|line| line.get("token").is_none()), "an answer never holds the token");
}

#[test]
fn each_line_is_answered_before_the_next_is_asked() {
    let scratch = as_told();
    let mut verifier = scratch.verifier();
    for (token, status) in [("t:accept", "accepted"), ("t:panic", "error"), ("other", "not_recognized")] {
        assert_eq!(verifier.ask(token.as_bytes())["status"], status);
    }
}

#[test]
fn empty_lines_are_tokens_and_the_last_line_needs_no_end() {
    let scratch = as_told();
    let statuses = |input: &str| {
        let lines = scratch.feed(["verify", "-"], input.as_bytes()).json_lines();
        lines.iter().map(|line| line["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses("t:accept\nt:accept"), ["accepted", "accepted"]);
    assert_eq!(statuses(""), [""; 0]);
    assert_eq!(statuses("\n\n"), ["not_recognized", "not_recognized"]);
}

/// Which handlers were asked, in order.
fn asked(scratch: &Scratch) -> Vec<String> {
    scratch.journal().calls().iter().filter_map(|call| call.strip_suffix(" verify")).map(str::to_owned).collect()
}

/// Three handlers that keep a journal; the second does this.
fn second_of_three(verify: &str, on_error: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.no_preflight();
    let journal = scratch.journal().setting();
    for (name, verify) in [("third", "accept"), ("second", verify), ("first", "not_recognized")] {
        let settings = format!("{journal}handlers = [{{ name = '{name}', verify = '{verify}' }}]");
        scratch.plugin_with(name, Plugin::Hostile, &format!("on_error = '{on_error}'"), &settings);
    }
    scratch
}

#[test]
fn nobody_is_asked_after_a_handler_has_decided() {
    for (verify, expected) in [
        ("accept", Some("accepted")),
        ("reject", Some("rejected")),
        ("fail", Some("error")),
        ("panic", Some("error")),
        ("not_recognized", None),
    ] {
        let scratch = second_of_three(verify, "stop");
        let answer = &scratch.feed(["verify", "-"], b"token\n").json_lines()[0];
        assert_eq!(answer["status"], expected.unwrap_or("accepted"), "{verify}: {answer}");
        let all = ["first", "second", "third"];
        assert_eq!(asked(&scratch), all[..if expected.is_some() { 2 } else { 3 }], "{verify}");
    }
}

#[test]
fn an_error_may_be_passed_over_but_not_forgotten() {
    let scratch = second_of_three("fail", "continue");
    let answer = &scratch.feed(["verify", "-"], b"token\n").json_lines()[0];
    assert_eq!((&answer["status"], &answer["handler"]), (&json!("accepted"), &json!("third")));

    for last in ["not_recognized", "reject"] {
        let mut scratch = Scratch::new();
        scratch.plugin("last", Plugin::Hostile, &format!("handlers = [{{ name = 'last', verify = '{last}' }}]"));
        let failing = "handlers = [{ name = 'failing', verify = 'fail' }]";
        scratch.plugin_with("failing", Plugin::Hostile, "on_error = 'continue'", failing);
        let answer = &scratch.feed(["verify", "-"], b"token\n").json_lines()[0];
        assert_eq!((&answer["status"], &answer["plugin"]), (&json!("error"), &json!("failing")), "{last}");
    }
}

#[test]
fn a_handler_is_only_asked_for_tokens_that_it_claims() {
    let mut scratch = Scratch::new();
    let journal = scratch.journal().setting();
    let handler =
        |name: &str, claims: &str| format!("{{ name = '{name}', verify = 'not_recognized', claims = [{claims}] }}");
    let all = [handler("a", "'a_', 'A'"), handler("ab", "'a_b'"), handler("any", ""), handler("u", "'ü_'")];
    scratch.plugin("x", Plugin::Hostile, &format!("{journal}handlers = [{}]", all.join(", ")));
    let host = host(&scratch);
    let mut before = 0;
    for (token, expected) in [
        ("a_b", vec!["a", "ab", "any"]),
        ("a_", vec!["a", "any"]),
        ("A", vec!["a", "any"]),
        ("a", vec!["any"]),
        ("", vec!["any"]),
        ("xa_b", vec!["any"]),
        ("ü_x", vec!["any", "u"]),
        ("ü", vec!["any"]),
    ] {
        assert_eq!(host.verify_token_blocking(token).unwrap(), None);
        let asked = asked(&scratch);
        assert_eq!(asked[before..], expected, "{token}");
        before = asked.len();
    }
}

#[test]
fn a_token_that_is_too_long_reaches_no_handler() {
    let mut scratch = Scratch::new();
    let journal = scratch.journal().setting();
    scratch.host("max_token_bytes = 10").no_preflight();
    scratch.plugin("x", Plugin::Hostile, &format!("{journal}handlers = [{{ name = 'any' }}]"));
    let answers = scratch.feed(["verify", "-"], b"1234567890\n12345678901\n1234567890\n").json_lines();
    assert_eq!(answers[0]["status"], "accepted");
    assert_eq!(
        (&answers[1]["status"], &answers[1]["reason"]),
        (&json!("rejected"), &json!("token is longer than 10 bytes"))
    );
    assert_eq!(answers[2]["status"], "accepted");
    assert_eq!(asked(&scratch), ["any", "any"]);
    let error = host(&scratch).verify_token_blocking("12345678901").unwrap_err();
    let ErrorKind::TokenInvalid(reason) = error.kind() else { panic!("{error}") };
    assert_eq!(reason.kind(), ReasonKind::TooLong);
}

#[test]
fn explain_tells_what_each_handler_said_and_never_the_token() {
    let token = "a token of nobody's business";
    let scratch = second_of_three("reject", "stop");
    let run = scratch.run(["explain", token]);
    let json = scratch.run(["explain", "--json", token]);
    assert_eq!((run.code(), json.code()), (0, 0), "it explained: {run}");
    for name in ["first", "second", "third", "it was told to reject"] {
        assert!(run.stdout.contains(name), "{name}: {run}");
    }
    assert!(!format!("{run}{json}").contains("nobody's business"), "{run}");
    let explained = json.json();
    assert_eq!((&explained["status"], &explained["reason"]), (&json!("rejected"), &json!("it was told to reject")));
    let handlers = explained["handlers"].as_array().unwrap();
    let said: Vec<(&Value, &Value)> = handlers.iter().map(|step| (&step["handler"], &step["said"])).collect();
    let expected = [
        (&json!("first"), &json!("not_recognized")),
        (&json!("second"), &json!("rejected")),
        (&json!("third"), &json!("not_asked")),
    ];
    assert_eq!(said, expected);
    assert!(handlers[1]["took_us"].as_f64().is_some_and(|took| took > 0.0), "{explained}");
}

struct At(u64);

impl Clock for At {
    fn now(&self) -> u64 {
        self.0
    }
}

#[test]
fn a_call_knows_its_plugin_its_time_and_where_it_came_from() {
    let scratch = handlers(
        "handlers = [{ name = 'inline', claims = ['i'] }, { name = 'blocking', claims = ['b'], execution = 'blocking' }, { name = 'async', claims = ['a'], execution = 'async' }]",
    );
    let host = Host::builder().config_file(scratch.config()).clock(At(1_234)).build().unwrap();
    let mut context = RequestContext::default();
    context.client_address = Some("192.0.2.7".to_owned());
    context.extra.insert("ünïcode".to_owned(), json!([1]));
    for token in ["inline", "blocking", "async"] {
        let verified = host.verify_blocking(token, &context);
        let Ok(Verdict::Accepted(actor)) = verified.verdict else { panic!("{verified:?}") };
        let claims = json!(actor);
        assert_eq!(
            (&claims["handler"], &claims["plugin"], &claims["now"]),
            (&json!(token), &json!("hostile"), &json!(1_234))
        );
        assert_eq!(claims["context"], json!({ "client_address": "192.0.2.7", "ünïcode": [1] }));
        assert_eq!((verified.handler.as_deref(), verified.plugin.as_deref()), (Some(token), Some("hostile")));
    }
}

#[test]
fn the_blocking_twins_work_inside_and_outside_of_a_runtime() {
    let scratch = handlers(
        "handlers = [{ name = 'blocking', claims = ['b'], execution = 'blocking', verify = 'slow', slow_ms = 20 }, \
         { name = 'async', claims = ['a'], execution = 'async', verify = 'slow', slow_ms = 20 }, { name = 'inline' }]",
    );
    let host = host(&scratch);
    let all = || {
        for token in ["a", "b", "i"] {
            assert!(host.verify_token_blocking(token).unwrap().is_some(), "{token}");
        }
    };
    all();
    let single = tokio::runtime::Builder::new_current_thread().build().unwrap();
    single.block_on(async { all() });
    let several = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    several.block_on(async {
        all();
        for token in ["a", "b", "i"] {
            assert!(host.verify_token(token).await.unwrap().is_some(), "{token}");
        }
    });
}

/// A task has a budget of polls, which only its own scheduler refills: many more calls than it are answered, too.
#[test]
fn many_calls_in_a_row_in_one_task_are_all_answered() {
    let scratch = handlers(
        "handlers = [{ name = 'blocking', claims = ['b'], execution = 'blocking' }, \
         { name = 'async', claims = ['a'], execution = 'async' }]",
    );
    let host = host(&scratch);
    let runtimes = [
        ("current-thread", tokio::runtime::Builder::new_current_thread().build().unwrap()),
        ("multi-thread", tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap()),
    ];
    for (name, runtime) in runtimes {
        let host = host.clone();
        let task = async move {
            for call in 0..300 {
                for token in ["a", "b"] {
                    assert!(host.verify_token_blocking(token).unwrap().is_some(), "{name}: call {call}");
                }
                assert!(host.create_token_blocking(&CreateToken::new("root")).is_ok(), "{name}: call {call}");
            }
        };
        let task = thread::spawn(move || runtime.block_on(runtime.spawn(task)));
        joined(name, task).unwrap();
    }
}
