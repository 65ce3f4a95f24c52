//! Handlers that do not answer: their callers are, at the deadline, and others are served meanwhile.

use std::{
    thread,
    time::{Duration, Instant},
};

use token_host::{CreateToken, Error, ErrorKind, Host};
use token_host_tests::{PATIENCE, Plugin, Scratch, wait_until};

const DEADLINE: &str = "deadline_ms = 300";

/// A plugin with one handler that does as told.
fn told(execution: &str, keys: &str) -> Scratch {
    let mut scratch = Scratch::new();
    let journal = scratch.journal().setting();
    let handler =
        format!("{{ name = 'told', execution = '{execution}', verify = 'as_told', create = 'as_told', slow_ms = 20 }}");
    scratch.plugin_with("slow", Plugin::Hostile, keys, &format!("{journal}handlers = [{handler}]"));
    scratch
}

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

/// An error that says who did not answer, and within which deadline.
fn assert_exceeded(error: &Error) {
    assert_eq!((error.kind(), error.plugin()), (&ErrorKind::Plugin, Some("slow")), "{error}");
    let text = error.to_string();
    assert!(text.contains("plugin \"slow\"") && text.contains("handler \"told\""), "{text}");
    assert!(text.contains("deadline of 300 ms"), "{text}");
}

#[test]
fn a_call_that_hangs_is_answered_at_its_deadline() {
    for execution in ["blocking", "async"] {
        let scratch = told(execution, DEADLINE);
        let host = host(&scratch);
        let start = Instant::now();
        assert_exceeded(&host.verify_token_blocking("x:hang").unwrap_err());
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(300) && took < PATIENCE, "{execution}: {took:?}");
        assert!(host.verify_token_blocking("x:accept").unwrap().is_some(), "{execution}: the next is served");
    }
}

#[test]
fn a_creation_that_hangs_is_answered_at_its_deadline() {
    for execution in ["blocking", "async"] {
        let scratch = told(execution, DEADLINE);
        let host = host(&scratch);
        assert_exceeded(&host.create_token_blocking(&CreateToken::new("x:hang")).unwrap_err());
        assert!(host.create_token_blocking(&CreateToken::new("x:ok")).is_ok(), "{execution}");
    }
}

#[test]
fn the_command_line_ends_although_a_handler_hangs() {
    for (execution, deed) in [("blocking", "hang"), ("async", "hang"), ("async", "block")] {
        let scratch = told(execution, DEADLINE);
        let verified = scratch.run(["verify", &format!("x:{deed}")]);
        assert_eq!((verified.code(), verified.stdout.as_str()), (5, ""), "{execution} {deed}: {verified}");
        assert!(verified.stderr.contains("deadline of 300 ms"), "{execution} {deed}: {verified}");
    }
}

#[test]
fn the_next_line_is_served_after_one_that_hangs() {
    let scratch = told("blocking", DEADLINE);
    let answers = scratch.feed(["verify", "-"], b"x:hang\nx:accept\nx:hang\nx:reject\n").json_lines();
    let statuses: Vec<&str> = answers.iter().map(|answer| answer["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["error", "accepted", "error", "rejected"]);
}

#[test]
fn a_call_that_takes_its_time_within_the_deadline_is_fine() {
    for execution in ["inline", "blocking", "async"] {
        let scratch = told(execution, "deadline_ms = 60000");
        let host = host(&scratch);
        assert!(host.verify_token_blocking("x:slow").unwrap().is_some(), "{execution}");
        assert!(host.create_token_blocking(&CreateToken::new("x:slow")).is_ok(), "{execution}");
    }
}

fn wait_for_drop(scratch: &Scratch) {
    wait_until("the future is dropped", || {
        scratch.journal().calls().iter().any(|call| call == "told dropped_future").then_some(())
    });
}

#[test]
fn a_future_is_dropped_at_its_deadline() {
    let scratch = told("async", DEADLINE);
    let host = host(&scratch);
    assert_exceeded(&host.verify_token_blocking("x:hang").unwrap_err());
    wait_for_drop(&scratch);
}

#[test]
fn a_future_that_panics_when_it_is_dropped_harms_nobody() {
    let mut scratch = Scratch::new();
    let journal = scratch.journal().setting();
    let handler = "{ name = 'told', execution = 'async', verify = 'as_told', drop = 'panic' }";
    scratch.plugin_with("slow", Plugin::Hostile, DEADLINE, &format!("{journal}handlers = [{handler}]"));
    let mut verifier = scratch.verifier();
    assert_eq!(verifier.ask(b"x:hang")["status"], "error");
    wait_for_drop(&scratch);
    assert_eq!(verifier.ask(b"x:accept")["status"], "accepted");
}

#[test]
fn a_plugin_that_is_stuck_keeps_no_more_threads_than_it_may() {
    let mut scratch = told("blocking", "deadline_ms = 300\nmax_blocking_calls = 1");
    let other = "handlers = [{ name = 'other', execution = 'blocking', claims = ['o:'] }]";
    scratch.plugin_with("other", Plugin::Hostile, "tryfirst = true", other);
    let host = host(&scratch);
    for _ in 0..4 {
        // The first is stuck, the others wait for it, each until its own deadline.
        assert_exceeded(&host.verify_token_blocking("x:hang").unwrap_err());
    }
    let hung = scratch.journal().calls().iter().filter(|call| *call == "told verify").count();
    assert_eq!(hung, 1, "only one call got as far as the plugin");
    assert!(host.verify_token_blocking("o:").unwrap().is_some(), "others are served");
}

#[test]
fn an_async_handler_that_keeps_its_thread_harms_its_own_plugin_alone() {
    let mut scratch = told("async", DEADLINE);
    for execution in ["async", "blocking"] {
        let other = format!("handlers = [{{ name = 'o', execution = '{execution}', claims = ['{execution}'] }}]");
        scratch.plugin_with(execution, Plugin::Hostile, "tryfirst = true", &other);
    }
    let host = host(&scratch);
    for _ in 0..3 {
        assert_exceeded(&host.verify_token_blocking("x:block").unwrap_err());
        for other in ["async", "blocking"] {
            assert!(host.verify_token_blocking(other).unwrap().is_some(), "{other}");
        }
    }
}

#[test]
fn stuck_callers_do_not_hold_up_others() {
    let scratch = told("blocking", "deadline_ms = 3000\nmax_blocking_calls = 2");
    let host = host(&scratch);
    thread::scope(|scope| {
        let stuck = scope.spawn(|| host.verify_token_blocking("x:hang"));
        let journal = scratch.journal();
        wait_until("the handler hangs", || {
            (!journal.calls().iter().all(|call| call == "plugin register")).then_some(())
        });
        assert!(host.verify_token_blocking("x:accept").unwrap().is_some());
        assert!(!stuck.is_finished(), "it was served while the other waited");
    });
}

#[test]
fn a_caller_who_goes_away_takes_his_call_with_him() {
    let scratch = told("async", "deadline_ms = 60000");
    let host = host(&scratch);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let verifying = host.verify_token("x:hang");
    let gone = runtime.block_on(async { tokio::time::timeout(Duration::from_millis(50), verifying).await });
    assert!(gone.is_err(), "the caller gave up");
    wait_for_drop(&scratch);
}

/// Four times sixteen threads are more than any one pool had, and four pollers more than this machine may have cores.
#[test]
fn plugins_that_are_stuck_with_all_their_threads_leave_others_theirs() {
    let mut scratch = Scratch::new();
    let (journal, stuck) = (scratch.journal(), ["s1", "s2", "s3", "s4"]);
    for name in stuck {
        let handler = |execution: &str| {
            format!(
                "{{ name = '{execution}', claims = ['{name}:{execution}'], execution = '{execution}', verify = 'block' }}"
            )
        };
        let settings = format!("{}handlers = [{}, {}]", journal.setting(), handler("blocking"), handler("async"));
        scratch.plugin_with(name, Plugin::Hostile, "deadline_ms = 60000\nmax_blocking_calls = 16", &settings);
    }
    let free = "handlers = [{ name = 'b', execution = 'blocking', claims = ['blocking'] }, \
                { name = 'a', execution = 'async', claims = ['async'] }]";
    scratch.plugin_with("free", Plugin::Hostile, "deadline_ms = 10000", free);
    let host = host(&scratch);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    // One call more of each than there are threads for it. Futures have as many as there are cores, up to four.
    let pollers = thread::available_parallelism().unwrap().get().min(4);
    let calls = stuck
        .iter()
        .flat_map(|name| [("blocking", 17), ("async", pollers + 1)].map(|(kind, calls)| (name, kind, calls)));
    for (name, kind, calls) in calls {
        for _ in 0..calls {
            let (host, token) = (host.clone(), format!("{name}:{kind}"));
            runtime.spawn(async move { host.verify_token(&token).await.map(drop) });
        }
    }
    wait_until("all threads are stuck", || {
        let entries = journal.entries();
        let stuck = entries.iter().filter(|entry| entry.what == "verify").count();
        (stuck == 4 * (16 + pollers)).then_some(())
    });
    for token in ["blocking", "async"].repeat(3) {
        assert!(host.verify_token_blocking(token).unwrap().is_some(), "{token}");
    }
}
