//! Events: what sinks and subscribers learn of, and what a sink that fails can and cannot do.

use std::{
    future::Future,
    task::{Context, Waker},
};

use serde_json::{Value, json};
use token_host::{CreateToken, ErrorKind, EventKind, Host};
use token_host_tests::{Plugin, Scratch, wait_until};

const HANDLER: &str = "{ name = 'told', verify = 'as_told' }";

fn with_sink(sink: &str) -> Scratch {
    let mut scratch = Scratch::new();
    let journal = scratch.journal().setting();
    let settings = format!("{journal}handlers = [{HANDLER}]\nsinks = [{sink}]");
    scratch.plugin_with("x", Plugin::Hostile, "deadline_ms = 300", &settings);
    scratch
}

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

/// The events in the journal.
fn recorded(scratch: &Scratch) -> Vec<Value> {
    let entries = scratch.journal().entries();
    entries.into_iter().filter(|entry| entry.what == "event").map(|entry| entry.detail).collect()
}

fn wait_for(scratch: &Scratch, count: usize) -> Vec<Value> {
    wait_until("the events are recorded", || Some(recorded(scratch)).filter(|events| events.len() >= count))
}

#[test]
fn a_sink_learns_what_happens_in_order_and_never_a_token() {
    let scratch = with_sink("{ name = 'audit' }");
    let host = host(&scratch);
    host.create_token_blocking(&CreateToken::new("root")).unwrap();
    for token in ["my-secret:accept", "my-secret:reject", "my-secret:expired", "my-secret:not_recognized", "x:fail"] {
        let _ = host.verify_token_blocking(token);
    }
    host.create_token_blocking(&CreateToken::new("last")).unwrap();
    let events = wait_for(&scratch, 5);
    let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["token_created", "token_used", "token_rejected", "token_expired", "token_created"]);
    assert_eq!((&events[0]["actor_id"], &events[0]["token_id"]), (&json!("root"), &json!("told")));
    assert_eq!((&events[1]["actor_id"], &events[1]["handler"]), (&json!("someone"), &json!("told")));
    assert_eq!(events[2]["reason"], "it was told to reject");
    assert!(events.iter().all(|event| event["at"].as_u64().is_some_and(|at| at > 1_700_000_000)));
    assert!(!json!(events).to_string().contains("my-secret"));
}

#[test]
fn the_command_line_has_its_events_recorded_before_it_ends() {
    let scratch = with_sink("{ name = 'audit' }");
    assert_eq!(scratch.run(["create", "root"]).code(), 0);
    assert_eq!(scratch.run(["verify", "x:accept"]).code(), 0);
    scratch.feed(["verify", "-"], b"x:reject\nx:accept\n");
    let kinds: Vec<Value> = recorded(&scratch).into_iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["token_created", "token_used", "token_rejected", "token_used"]);
}

#[test]
fn a_sink_that_must_record_fails_the_creation() {
    for (record, message) in [
        ("fail", "it was told to fail to record"),
        ("panic", "it was told to panic when recording"),
        ("hang", "deadline of 300 ms"),
    ] {
        let scratch = with_sink(&format!("{{ name = 'audit', required = true, record = '{record}' }}"));
        let created = scratch.run(["create", "root"]);
        assert_eq!((created.code(), created.stdout.as_str()), (5, ""), "no token is shown: {created}");
        assert!(created.stderr.contains(message) && created.stderr.contains("\"audit\""), "{created}");
        let error = host(&scratch).create_token_blocking(&CreateToken::new("root")).unwrap_err();
        assert_eq!((error.kind(), error.plugin()), (&ErrorKind::Plugin, Some("x")));
        if record != "hang" {
            assert!(host(&scratch).verify_token_blocking("x:accept").unwrap().is_some(), "uses are only queued");
        }
    }
}

#[test]
fn what_must_be_recorded_is_recorded_before_the_answer() {
    let scratch = with_sink("{ name = 'audit', required = true }");
    host(&scratch).create_token_blocking(&CreateToken::new("root")).unwrap();
    // Without waiting.
    assert_eq!(recorded(&scratch).len(), 1);
}

/// What is done is done, whoever still waits for it.
#[test]
fn what_must_be_recorded_is_recorded_although_the_caller_went_away() {
    for execution in ["blocking", "async"] {
        let mut scratch = Scratch::new();
        let (journal, until) = (scratch.journal(), scratch.join("until"));
        let handler = format!(
            "handlers = [{{ name = 'slow', execution = '{execution}', create = 'slow', slow_until = '{}' }}]",
            until.display()
        );
        let settings = format!("{}{handler}\nsinks = [{{ name = 'audit', required = true }}]", journal.setting());
        scratch.plugin_with("x", Plugin::Hostile, "deadline_ms = 60000", &settings);
        let host = host(&scratch);
        let request = CreateToken::new("root");
        let mut creating = Box::pin(host.create_token(&request));
        let mut context = Context::from_waker(Waker::noop());
        assert!(creating.as_mut().poll(&mut context).is_pending());
        wait_until("it is being created", || journal.calls().contains(&"slow create".to_owned()).then_some(()));
        assert!(creating.as_mut().poll(&mut context).is_pending(), "{execution}");
        drop(creating);
        std::fs::write(until, "").unwrap();
        let events = wait_for(&scratch, 1);
        assert_eq!((&events[0]["kind"], &events[0]["actor_id"]), (&json!("token_created"), &json!("root")));
    }
}

#[test]
fn a_sink_that_only_listens_fails_nothing() {
    for record in ["fail", "panic"] {
        let scratch = with_sink(&format!("{{ name = 'broken', record = '{record}' }}, {{ name = 'audit' }}"));
        let host = host(&scratch);
        host.create_token_blocking(&CreateToken::new("root")).unwrap();
        host.create_token_blocking(&CreateToken::new("root")).unwrap();
        assert_eq!(wait_for(&scratch, 2).len(), 2, "{record}: the other sink has them");
    }
}

#[test]
fn a_sink_that_hangs_costs_events_and_no_answers() {
    let mut scratch = with_sink("{ name = 'stuck', record = 'hang' }, { name = 'audit' }");
    scratch.host("event_queue = 8");
    let host = host(&scratch);
    for _ in 0..50 {
        host.create_token_blocking(&CreateToken::new("root")).unwrap();
    }
    let dropped = host.status().dropped_events;
    assert!(dropped >= 50 - 8 - 1, "{dropped} dropped");
}

#[test]
fn an_event_that_a_plugin_sends_reaches_sinks_and_subscribers() {
    let scratch = with_sink("{ name = 'audit' }");
    let host = host(&scratch);
    let mut events = host.subscribe();
    host.verify_token_blocking("x:emit").unwrap();
    let sent = events.try_next().unwrap();
    assert_eq!((sent.kind, &sent.extra["from"]), (EventKind::TokenUpdated, &json!("told")));
    assert_eq!(events.try_next().unwrap().kind, EventKind::TokenUsed);
    assert!(events.try_next().is_none());
    let recorded = wait_for(&scratch, 2);
    assert_eq!((&recorded[0]["kind"], &recorded[0]["extra"]), (&json!("token_updated"), &json!({ "from": "told" })));
}

#[test]
fn every_subscriber_gets_every_event() {
    let scratch = with_sink("");
    let host = host(&scratch);
    let (mut one, mut other) = (host.subscribe(), host.subscribe());
    host.create_token_blocking(&CreateToken::new("root")).unwrap();
    drop(host.subscribe());
    for events in [&mut one, &mut other] {
        let event = events.try_next().unwrap();
        assert_eq!((event.kind, event.actor_id.as_deref()), (EventKind::TokenCreated, Some("root")));
    }
}
