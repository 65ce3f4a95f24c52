//! Handlers that keep their tokens: finding, changing and invalidating them, and who learns of it.

use serde_json::json;
use token_host::{
    Actors, CreateToken, ErrorKind, Event, EventKind, Events, Host, InvalidateTokens, InvalidatedTokens, TokenFilter,
    TokenSelector, UpdateToken, token_plugin_api::Expires,
};
use token_host_tests::{Plugin, Scratch};

/// A handler that keeps its tokens, behind one that keeps none.
fn keeping(execution: &str, more: &str) -> (Host, Scratch) {
    let mut scratch = Scratch::new();
    let journal = scratch.journal().setting();
    let handlers = format!(
        "handlers = [{{ name = 'none', create = 'unsupported' }}, \
         {{ name = 'keeps', execution = '{execution}', store = 'memory' }}]"
    );
    scratch.plugin("x", Plugin::Hostile, &format!("{journal}{handlers}\n{more}"));
    (Host::from_file(scratch.config()).unwrap(), scratch)
}

/// A host whose store holds `kept-1` to `kept-4` of these actors.
fn filled(execution: &str, more: &str) -> (Host, Scratch) {
    let (host, scratch) = keeping(execution, more);
    for (place, actor) in ["ann", "bob", "ann", "cid"].into_iter().enumerate() {
        let created = host.create_token_blocking(&CreateToken::new(actor)).unwrap();
        assert_eq!(created.id, Some(format!("kept-{}", place + 1)));
    }
    (host, scratch)
}

fn all_of(actors: &[&str]) -> TokenSelector {
    TokenSelector::Filter(TokenFilter::of(Actors::These(actors.iter().map(|&id| id.to_owned()).collect())))
}

fn id(id: &str) -> TokenSelector {
    TokenSelector::Id(id.to_owned())
}

fn wait<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn next(events: &mut Events) -> Event {
    events.try_next().expect("an event was sent before the answer")
}

#[test]
fn what_is_kept_is_listed_and_found() {
    for execution in ["inline", "blocking", "async"] {
        let (host, _scratch) = filled(execution, "");
        let listed = |handler, filter: &TokenFilter| {
            let page = wait(host.list_tokens(handler, filter)).unwrap();
            page.tokens.into_iter().map(|record| format!("{} {}", record.id, record.actor_id)).collect::<Vec<_>>()
        };
        let everyone = TokenFilter::of(Actors::Everyone);
        for handler in [None, Some("keeps")] {
            assert_eq!(
                listed(handler, &everyone),
                ["kept-1 ann", "kept-2 bob", "kept-3 ann", "kept-4 cid"],
                "{execution}"
            );
        }
        let anns = TokenFilter::of(Actors::These(vec!["ann".to_owned()]));
        assert_eq!(listed(None, &anns), ["kept-1 ann", "kept-3 ann"]);
        assert_eq!(listed(None, &TokenFilter::of(Actors::These(Vec::new()))), [""; 0], "nobody is nobody");
        let found = wait(host.get_token(None, &TokenSelector::Token("kept-2".to_owned()))).unwrap().unwrap();
        assert_eq!((found.actor_id.as_str(), found.valid), ("bob", true));
        assert_eq!(wait(host.get_token(None, &id("kept-9"))).unwrap(), None);
        let mut curious = everyone;
        curious.after = Some("x".to_owned());
        let error = wait(host.list_tokens(None, &curious)).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::InvalidArgument, "the handler's own error comes out: {error}");
    }
}

#[test]
fn a_token_is_looked_for_in_every_store() {
    let mut scratch = Scratch::new();
    for name in ["one", "other"] {
        scratch.plugin(name, Plugin::Hostile, &format!("handlers = [{{ name = '{name}', store = 'memory' }}]"));
    }
    let host = Host::from_file(scratch.config()).unwrap();
    for (handler, actor) in [("one", "ann"), ("one", "bob"), ("other", "cid")] {
        host.create_token_blocking(&CreateToken::new(actor).handler(handler)).unwrap();
    }
    let actor = |handler, token| wait(host.get_token(handler, &id(token))).unwrap().map(|record| record.actor_id);
    assert_eq!(actor(None, "kept-1").as_deref(), Some("cid"), "the first in call order knows it");
    assert_eq!(actor(None, "kept-2").as_deref(), Some("bob"), "the first does not know it");
    assert_eq!(actor(Some("other"), "kept-2"), None, "nobody else was asked");
    assert_eq!(actor(None, "kept-3"), None);
}

#[test]
fn a_handler_that_keeps_nothing_says_so() {
    let (host, _scratch) = keeping("inline", "");
    let none = Some("none");
    let (filter, invalidate) = (TokenFilter::of(Actors::Everyone), InvalidateTokens::new(all_of(&["ann"]), ""));
    let update = UpdateToken::new(id("kept-1"));
    for (operation, error) in [
        ("list_tokens", wait(host.list_tokens(none, &filter)).unwrap_err()),
        ("get_token", wait(host.get_token(none, &id("kept-1"))).unwrap_err()),
        ("invalidate_tokens", wait(host.invalidate_tokens(none, &invalidate)).unwrap_err()),
        ("update_token", wait(host.update_token(none, &update)).unwrap_err()),
    ] {
        assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error}");
        assert_eq!(error.to_string(), format!("{operation} is not supported by handler \"none\""));
    }
    let unknown = wait(host.list_tokens(Some("nobody"), &filter)).unwrap_err();
    assert_eq!(*unknown.kind(), ErrorKind::UnknownHandler);
}

#[test]
fn each_token_that_is_invalidated_is_an_event() {
    for execution in ["inline", "blocking", "async"] {
        let (host, scratch) = filled(execution, "sinks = [{ name = 'audit', required = true }]");
        let mut events = host.subscribe();
        let request = InvalidateTokens::new(all_of(&["ann", "cid"]), "they left");
        let invalidated = wait(host.invalidate_tokens(None, &request)).unwrap();
        let expected = [("kept-1", "ann"), ("kept-3", "ann"), ("kept-4", "cid")];
        assert_eq!(invalidated, InvalidatedTokens::new(expected), "{execution}");
        for (id, actor) in expected {
            let event = next(&mut events);
            assert_eq!((event.kind, event.handler.as_deref()), (EventKind::TokenInvalidated, Some("keeps")));
            assert_eq!((event.token_id.as_deref(), event.actor_id.as_deref()), (Some(id), Some(actor)));
            assert_eq!(event.reason.as_deref(), Some("they left"));
        }
        assert!(events.try_next().is_none());
        let entries = scratch.journal().entries();
        let recorded = entries.iter().filter(|entry| entry.detail["kind"] == "token_invalidated");
        let recorded: Vec<_> = recorded.map(|entry| entry.detail["token_id"].clone()).collect();
        assert_eq!(recorded, ["kept-1", "kept-3", "kept-4"], "before the answer, without waiting");

        let again = wait(host.invalidate_tokens(None, &InvalidateTokens::new(all_of(&["ann", "bob"]), ""))).unwrap();
        assert_eq!(again, InvalidatedTokens::new([("kept-2", "bob")]), "only what was valid before");
        assert_eq!(next(&mut events).token_id.as_deref(), Some("kept-2"));
        assert!(events.try_next().is_none());
        let kept = wait(host.get_token(None, &id("kept-1"))).unwrap().unwrap();
        assert_eq!((kept.valid, kept.invalid_reason.as_deref()), (false, Some("they left")), "the first reason stays");
    }
}

#[test]
fn an_update_is_an_event() {
    for execution in ["inline", "blocking", "async"] {
        let (host, scratch) = filled(execution, "sinks = [{ name = 'audit', required = true }]");
        let mut events = host.subscribe();
        let mut request = UpdateToken::new(id("kept-2"));
        request.note = Some("rotated".to_owned());
        request.expires = Some(Expires::At(1_234));
        let record = wait(host.update_token(None, &request)).unwrap();
        assert_eq!(
            (record.actor_id.as_str(), record.note.as_deref(), record.expires_at),
            ("bob", Some("rotated"), Some(1_234))
        );
        let event = next(&mut events);
        assert_eq!((event.kind, event.handler.as_deref()), (EventKind::TokenUpdated, Some("keeps")));
        assert_eq!((event.token_id.as_deref(), event.actor_id.as_deref()), (Some("kept-2"), Some("bob")));
        let last = scratch.journal().entries().pop().unwrap().detail;
        assert_eq!((&last["kind"], &last["token_id"]), (&json!("token_updated"), &json!("kept-2")));

        request.token = id("kept-9");
        let error = wait(host.update_token(None, &request)).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::NotFound("token".to_owned()), "{error}");
        assert!(events.try_next().is_none(), "nothing happened");
    }
}

/// The error tells that it was not recorded. A token that was made is made worthless again, and nobody got to see it;
/// what else was done is not undone.
#[test]
fn a_sink_that_must_record_fails_updates_and_invalidations() {
    let sinks = "sinks = [{ name = 'audit', required = true, record = 'fail' }, { name = 'listens' }]";
    let (host, scratch) = keeping("blocking", sinks);
    assert!(host.create_token_blocking(&CreateToken::new("ann")).is_err());
    let made = wait(host.get_token(None, &id("kept-1"))).unwrap().unwrap();
    assert_eq!((made.valid, made.invalid_reason.as_deref()), (false, Some("its creation could not be recorded")));
    let mut update = UpdateToken::new(id("kept-1"));
    (update.note, update.valid) = (Some("seen".to_owned()), Some(true));
    let invalidate = InvalidateTokens::new(all_of(&["ann"]), "");
    for error in [
        wait(host.update_token(None, &update)).unwrap_err(),
        wait(host.invalidate_tokens(None, &invalidate)).unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.plugin()), (&ErrorKind::Plugin, Some("x")), "{error}");
        assert!(error.to_string().contains("event sink \"audit\" could not record: it was told to fail"), "{error}");
    }
    let kept = wait(host.get_token(None, &id("kept-1"))).unwrap().unwrap();
    assert_eq!((kept.valid, kept.note.as_deref()), (false, Some("seen")));
    drop(host);
    let entries = scratch.journal().entries();
    let heard: Vec<_> =
        entries.iter().filter(|entry| entry.who == "listens").map(|entry| &entry.detail["kind"]).collect();
    assert_eq!(heard, ["token_created", "token_updated", "token_invalidated"], "the other sink has them all");
}
