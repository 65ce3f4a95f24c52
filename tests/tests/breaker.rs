//! Plugins that fail again and again: they are left alone for a while, and one call at a time tries them.

use std::{future::Future, thread};

use serde_json::json;
use token_host::{Actors, CreateToken, Error, ErrorKind, Host, PluginRow, TokenFilter};
use token_host_tests::{Plugin, Scratch, joined, run, wait_until};

/// Three failures are enough, and then it is left alone for longer than any test takes.
const THREE: &str = "breaker_failures = 3\nbreaker_pause_ms = 600000\ndeadline_ms = 60000";

/// The same, tried again at once.
const BRIEF: &str = "breaker_failures = 3\nbreaker_pause_ms = 1\ndeadline_ms = 60000";

const EXECUTIONS: [&str; 3] = ["inline", "blocking", "async"];

/// A plugin "store" with one handler that does as told.
fn told(execution: &str, keys: &str) -> Scratch {
    let mut scratch = Scratch::new();
    rewritten(&mut scratch, execution, keys, "");
    scratch
}

/// The same configuration with other keys, or with more in the handler's settings.
fn rewritten(scratch: &mut Scratch, execution: &str, keys: &str, more: &str) {
    let (journal, until) = (scratch.journal().setting(), scratch.join("go-on"));
    let handler = format!(
        "{{ name = 'told', execution = '{execution}', verify = 'as_told', create = 'as_told', \
         slow_until = '{}' {more} }}",
        until.display()
    );
    let settings = format!("{journal}handlers = [{handler}]");
    scratch.no_entries().plugin_with("store", Plugin::Hostile, keys, &settings);
}

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

/// How often the plugin was asked to verify or to create.
fn calls(scratch: &Scratch) -> usize {
    scratch.journal().entries().iter().filter(|entry| ["verify", "create"].contains(&entry.what.as_str())).count()
}

/// A call with something to be done.
type Ask = fn(&Host, &str) -> Result<(), Error>;

fn verify(host: &Host, deed: &str) -> Result<(), Error> {
    host.verify_token_blocking(&format!("x:{deed}")).map(drop)
}

fn create(host: &Host, deed: &str) -> Result<(), Error> {
    host.create_token_blocking(&CreateToken::new(format!("x:{deed}"))).map(drop)
}

fn row(host: &Host) -> PluginRow {
    host.plugins().into_iter().find(|row| row.kind == "handler").unwrap()
}

/// Has the plugin fail three times, each time for itself.
fn trip(host: &Host) {
    for failures in 1..=3 {
        let error = verify(host, "fail").unwrap_err();
        assert!(!is_refused(&error), "failure {failures}: {error}");
    }
    assert_eq!(row(host).state, Some("tripped"));
}

fn is_refused(error: &Error) -> bool {
    error.to_string().contains("it is switched off")
}

/// Calls until the pause is over, which the call that is let through shows.
fn let_through(call: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    wait_until("a call is let through", || Some(call()).filter(|answer| !answer.as_ref().is_err_and(is_refused)))
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn a_plugin_that_fails_often_enough_is_not_called_any_more() {
    for execution in EXECUTIONS {
        for (call, operation) in [(verify as Ask, "verify_token"), (create, "create_token")] {
            for (deed, reason) in [("fail", "it was told to fail")] {
                let scratch = told(execution, THREE);
                let host = host(&scratch);
                for failures in 1..=3 {
                    let error = call(&host, deed).unwrap_err();
                    assert!(!is_refused(&error) && error.to_string().contains(reason), "{error}");
                    assert_eq!(calls(&scratch), failures);
                }
                for other in [verify, create] {
                    let error = other(&host, "accept").unwrap_err();
                    assert_eq!((error.kind(), error.plugin()), (&ErrorKind::Plugin, Some("store")), "{error}");
                }
                let error = call(&host, "accept").unwrap_err().to_string();
                let expected = format!(
                    "plugin \"store\": handler \"told\" could not {operation}: \
                     it is switched off after 3 failures in a row (the last: {reason}"
                );
                assert!(error.starts_with(&expected), "{execution}: {error}");
                assert!(error.contains("); tried again in ") && error.ends_with(" s"), "{error}");
                assert_eq!(calls(&scratch), 3, "{execution} {operation}: it is not called");
            }
        }
    }
}

#[test]
fn a_deadline_is_a_failure() {
    for execution in ["blocking", "async"] {
        for call in [verify as Ask, create] {
            let scratch = told(execution, "breaker_failures = 2\nbreaker_pause_ms = 600000\ndeadline_ms = 100");
            let host = host(&scratch);
            for _ in 0..2 {
                let error = call(&host, "hang").unwrap_err();
                assert!(!is_refused(&error) && error.to_string().contains("deadline of 100 ms"), "{error}");
            }
            let error = call(&host, "hang").unwrap_err();
            assert!(is_refused(&error), "{execution}: {error}");
            assert!(error.to_string().contains("(the last: no answer within its deadline of 100 ms)"), "{error}");
            assert_eq!(calls(&scratch), 2, "{execution}: nobody waits for it any more");
        }
    }
}

/// Or else whoever finds a token that makes a plugin panic, or err, could keep everybody else from being served.
#[test]
fn what_is_about_the_token_trips_nothing() {
    for execution in EXECUTIONS {
        for deed in ["panic", "panic_with_bomb", "invalid_argument", "disabled", "not_found", "unsupported"] {
            let scratch = told(execution, THREE);
            let host = host(&scratch);
            for _ in 0..10 {
                assert!(!is_refused(&verify(&host, deed).unwrap_err()), "{execution} {deed}");
            }
            verify(&host, "accept").unwrap();
            assert_eq!(row(&host).failures_in_a_row, Some(0));
        }
    }
}

#[test]
fn a_panic_neither_ends_a_row_of_failures_nor_adds_to_it_and_gives_the_probe_to_another() {
    for execution in EXECUTIONS {
        let scratch = told(execution, BRIEF);
        let host = host(&scratch);
        trip(&host);
        let error = let_through(|| verify(&host, "panic")).unwrap_err();
        assert!(error.to_string().contains("it was told to panic"), "{error}");
        assert_eq!((row(&host).state, row(&host).failures_in_a_row), (Some("tripped"), Some(3)), "{execution}");
        let_through(|| verify(&host, "accept")).unwrap();
        assert_eq!(row(&host).state, Some("serving"), "{execution}");
    }
}

#[test]
fn an_answer_of_any_kind_ends_a_row_of_failures() {
    let verifying = ["accept", "not_recognized", "reject", "expired", "token_invalid"];
    let creating = [
        "ok",
        "invalid_argument",
        "disabled",
        "missing_token_info",
        "token_generation",
        "not_found",
        "token_invalid",
        "unsupported",
    ];
    let answers = || {
        let verifying = verifying.into_iter().map(|deed| (verify as Ask, deed));
        verifying.chain(creating.into_iter().map(|deed| (create as Ask, deed)))
    };
    for execution in EXECUTIONS {
        for (call, deed) in answers() {
            let scratch = told(execution, THREE);
            let host = host(&scratch);
            for _ in 0..3 {
                for failures in 1..=2 {
                    assert!(!is_refused(&verify(&host, "fail").unwrap_err()), "{execution} {deed}");
                    assert_eq!(row(&host).failures_in_a_row, Some(failures));
                }
                let _ = call(&host, deed);
                assert_eq!((row(&host).state, row(&host).failures_in_a_row), (Some("serving"), Some(0)), "{deed}");
            }
            assert_eq!(calls(&scratch), 9, "{execution} {deed}: each call was made");
        }
    }
}

#[test]
fn operations_on_kept_tokens_count_and_are_refused() {
    let listing = |host: &Host| wait(host.list_tokens(None, &TokenFilter::of(Actors::Everyone))).map(drop);
    for execution in EXECUTIONS {
        let mut scratch = told(execution, THREE);
        rewritten(&mut scratch, execution, THREE, ", store = 'fail'");
        let failing = host(&scratch);
        for _ in 0..3 {
            assert!(!is_refused(&listing(&failing).unwrap_err()));
        }
        for error in [listing(&failing), verify(&failing, "accept"), create(&failing, "ok")].map(Result::unwrap_err) {
            assert!(is_refused(&error), "{execution}: {error}");
        }

        rewritten(&mut scratch, execution, THREE, ", store = 'memory'");
        let keeping = host(&scratch);
        for _ in 0..3 {
            assert!(verify(&keeping, "fail").is_err() && verify(&keeping, "fail").is_err());
            assert!(listing(&keeping).is_ok(), "{execution}: an answer to another question");
        }
        trip(&keeping);
        assert!(is_refused(&listing(&keeping).unwrap_err()), "{execution}");
    }
}

#[test]
fn ten_failures_are_enough_by_default_and_none_where_the_configuration_says_so() {
    let scratch = told("inline", "");
    let by_default = host(&scratch);
    for failures in 0..20 {
        assert_eq!(is_refused(&verify(&by_default, "fail").unwrap_err()), failures >= 10, "{failures}");
    }
    let scratch = told("inline", "breaker_failures = 0");
    let never = host(&scratch);
    for _ in 0..25 {
        assert!(!is_refused(&verify(&never, "fail").unwrap_err()));
    }
    assert_eq!(calls(&scratch), 25);
    assert_eq!((row(&never).state, row(&never).failures_in_a_row), (Some("serving"), Some(25)));
    let run = scratch.feed(["verify", "-"], "x:fail\n".repeat(12).as_bytes());
    assert!(!run.stderr.contains("switched off"), "{run}");
}

#[test]
fn one_call_at_a_time_tries_it_and_an_answer_switches_it_on() {
    for execution in EXECUTIONS {
        let scratch = told(execution, BRIEF);
        let host = host(&scratch);
        trip(&host);
        let probe = {
            let host = host.clone();
            thread::spawn(move || let_through(|| verify(&host, "slow")))
        };
        wait_until("the probe is on its way", || (calls(&scratch) == 4).then_some(()));
        assert_eq!(row(&host).state, Some("probing"));
        for call in [verify, create].repeat(5) {
            let error = call(&host, "accept").unwrap_err();
            assert!(is_refused(&error) && error.to_string().ends_with("; another call is trying it now"), "{error}");
        }
        assert_eq!(calls(&scratch), 4, "{execution}: nothing but the probe");
        scratch.file("go-on", "");
        joined("the probe", probe).unwrap();
        let row = row(&host);
        assert_eq!((row.state, row.failures_in_a_row), (Some("serving"), Some(0)), "{execution}");
        assert_eq!(row.last_failure.as_deref(), Some("it was told to fail"), "it is still known");
        for _ in 0..3 {
            verify(&host, "accept").unwrap();
        }
        trip(&host);
    }
}

#[test]
fn a_probe_that_fails_leaves_it_switched_off_for_another_pause() {
    for execution in EXECUTIONS {
        let mut scratch = told(execution, BRIEF);
        let host = host(&scratch);
        trip(&host);
        rewritten(&mut scratch, execution, THREE, "");
        host.reload().unwrap();
        let error = let_through(|| verify(&host, "fail")).unwrap_err();
        assert!(error.to_string().contains("it was told to fail"), "{error}");
        let refused = verify(&host, "accept").unwrap_err().to_string();
        assert!(refused.contains("after 4 failures in a row (the last: it was told to fail"), "{refused}");
        assert!(refused.contains("; tried again in "), "{refused}");
        assert_eq!((row(&host).state, row(&host).failures_in_a_row), (Some("tripped"), Some(4)));
        assert_eq!(calls(&scratch), 4, "{execution}");
    }
}

#[test]
fn a_caller_who_goes_away_lets_another_one_try() {
    for (execution, deed) in [("async", "hang"), ("blocking", "slow")] {
        let mut scratch = told(execution, BRIEF);
        let host = host(&scratch);
        trip(&host);
        rewritten(&mut scratch, execution, THREE, "");
        host.reload().unwrap();
        // A future that is polled once has been let through, or refused.
        wait_until("the pause is over", || {
            let token = format!("x:{deed}");
            let mut probe = Box::pin(host.verify_token(&token));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let is_waiting = probe.as_mut().poll(&mut context).is_pending();
            assert_eq!(row(&host).state, Some(if is_waiting { "probing" } else { "tripped" }));
            is_waiting.then_some(())
        });
        assert_eq!(row(&host).state, Some("tripped"), "{execution}: the caller has gone");
        scratch.file("go-on", "");
        verify(&host, "accept").unwrap();
        assert_eq!(row(&host).state, Some("serving"), "{execution}: without another pause");
    }
}

#[test]
fn a_reload_keeps_the_state_of_what_it_keeps() {
    let mut scratch = told("inline", THREE);
    let host = host(&scratch);
    trip(&host);
    host.reload().unwrap();
    assert!(is_refused(&verify(&host, "accept").unwrap_err()), "the same instance");
    assert_eq!(row(&host).failures_in_a_row, Some(3));

    rewritten(&mut scratch, "inline", "breaker_failures = 0", "");
    host.reload().unwrap();
    assert_eq!(row(&host).state, Some("serving"), "this generation switches nothing off");
    assert!(!is_refused(&verify(&host, "fail").unwrap_err()));
    assert_eq!(row(&host).failures_in_a_row, Some(4));

    rewritten(&mut scratch, "inline", THREE, "");
    host.reload().unwrap();
    assert!(!is_refused(&verify(&host, "fail").unwrap_err()));
    assert!(is_refused(&verify(&host, "accept").unwrap_err()), "one failure more was enough");

    rewritten(&mut scratch, "inline", THREE, ", slow_ms = 1");
    host.reload().unwrap();
    let row = row(&host);
    assert_eq!((row.state, row.failures_in_a_row, row.last_failure), (Some("serving"), Some(0), None));
    verify(&host, "accept").unwrap();
}

#[test]
fn it_is_the_whole_plugin_that_is_switched_off_and_no_other() {
    let mut scratch = Scratch::new();
    for name in ["one", "two"] {
        let handler =
            |more: &str| format!("{{ name = '{name}{more}', claims = ['{name}{more}:'], verify = 'as_told' }}");
        let settings = format!("handlers = [{}, {}]", handler(""), handler("-more"));
        scratch.plugin_with(name, Plugin::Hostile, THREE, &settings);
    }
    let host = host(&scratch);
    for _ in 0..3 {
        assert!(host.verify_token_blocking("one:fail").is_err());
    }
    let error = host.verify_token_blocking("one-more:accept").unwrap_err().to_string();
    assert!(error.contains("plugin \"one\": handler \"one-more\"") && error.contains("it is switched off"), "{error}");
    assert!(host.verify_token_blocking("two:accept").unwrap().is_some());
    let rows = host.plugins();
    let states: Vec<_> = rows.iter().map(|row| (row.plugin.as_str(), row.state.unwrap())).collect();
    assert_eq!(states, [("two", "serving"), ("two", "serving"), ("one", "tripped"), ("one", "tripped")]);
}

#[test]
fn where_errors_let_the_next_be_asked_so_does_a_plugin_that_is_switched_off() {
    let mut scratch = Scratch::new();
    scratch.plugin("second", Plugin::Hostile, "handlers = [{ name = 'second', verify = 'as_told' }]");
    let first = "handlers = [{ name = 'first', verify = 'fail' }]";
    scratch.plugin_with("first", Plugin::Hostile, &format!("{THREE}\non_error = 'continue'"), first);
    let host = host(&scratch);
    for _ in 0..6 {
        assert!(host.verify_token_blocking("x:accept").unwrap().is_some());
    }
    assert_eq!(row(&host).state, Some("tripped"));
    let error = host.verify_token_blocking("x:not_recognized").unwrap_err();
    assert!(is_refused(&error) && error.plugin() == Some("first"), "nobody accepted: {error}");
}

#[test]
fn the_listing_shows_how_plugins_fare() {
    let scratch = told("blocking", THREE);
    let rows = scratch.run(["plugins", "--json"]).json()["plugins"].take();
    let shown = ["state", "failures_in_a_row", "last_failure", "slow_calls"].map(|key| rows[0][key].clone());
    assert_eq!(shown, [json!("serving"), json!(0), json!(null), json!(null)]);
    let table = scratch.run(["plugins"]).stdout;
    assert!(table.contains("  STATE  ") && table.contains("  serving  "), "{table}");

    let host = host(&scratch);
    trip(&host);
    let rows = json!(host.plugins());
    let shown = ["state", "failures_in_a_row", "last_failure"].map(|key| rows[0][key].clone());
    assert_eq!(shown, [json!("tripped"), json!(3), json!("it was told to fail")]);
}

#[test]
fn the_log_says_once_that_it_is_switched_off_and_once_that_it_is_on_again() {
    let mut scratch = told("inline", BRIEF);
    let slow = "handlers = [{ name = 'slow', claims = ['slow'], verify = 'slow', slow_ms = 20 }]";
    scratch.plugin("other", Plugin::Hostile, slow);
    let mut command = scratch.command(["verify", "-"]);
    let tokens =
        [["x:fail"; 3].as_slice(), &["slow", "x:fail", "slow", "x:fail", "slow", "x:accept", "x:accept"]].concat();
    let run = run(command.env("TOKEN_HOST_LOG", "info"), tokens.join("\n").as_bytes());
    let lines = |what: &str| run.stderr.lines().filter(|line| line.contains(what)).collect::<Vec<_>>();
    let [off] = lines("it is switched off")[..] else { panic!("one line: {run}") };
    for part in ["WARN", "store", "failures_in_a_row=3", "it was told to fail"] {
        assert!(off.contains(part), "{part}: {off}");
    }
    let [on] = lines("it is switched on")[..] else { panic!("one line: {run}") };
    assert!(on.contains("INFO") && on.contains("store"), "{on}");
}
