//! Tokens that a database keeps: how they are found, changed, invalidated, exported and deleted.

use std::thread;

use serde_json::{Value, json};
use token_host::{
    Actors, CreateToken, DeleteTokens, ErrorKind, EventKind, Expires, Host, InvalidateTokens, SetActors, TokenDetails,
    TokenFilter, TokenSelector, UpdateToken, block_on,
};
use token_host_tests::{Made, Place, Plugin, Said, invalidate, listed, on_each_database, wait_until};

on_each_database! {
    a_single_token_is_invalidated_once_and_its_first_reason_stays,
    whom_a_filter_does_not_name_it_does_not_touch,
    everyone_is_meant_only_when_that_is_said,
    a_token_that_was_changed_is_judged_as_it_is_now,
    filters_find_what_they_say,
    long_listings_come_page_by_page,
    what_ended_long_ago_can_be_deleted_and_nothing_else,
    the_command_line_manages_tokens,
    an_export_has_every_record_and_no_token,
    a_database_is_migrated_when_that_is_asked_for,
    an_entry_of_another_name_keeps_tokens_of_its_own,
}

const NOW: u64 = Place::NOW;

fn of_actors(actors: &[&str]) -> TokenFilter {
    TokenFilter::of(Actors::These(actors.iter().map(|actor| (*actor).to_owned()).collect()))
}

fn everyones(change: impl FnOnce(&mut TokenFilter)) -> TokenFilter {
    let mut filter = TokenFilter::of(Actors::Everyone);
    change(&mut filter);
    filter
}

fn with_details(actor: &str, change: impl FnOnce(&mut TokenDetails)) -> CreateToken {
    let mut details = TokenDetails::default();
    change(&mut details);
    CreateToken::new(actor).with_details(details)
}

fn noted(actor: &str, note: &str) -> CreateToken {
    with_details(actor, |details| details.note = Some(note.to_owned()))
}

fn kind_of<T: std::fmt::Debug>(answer: Result<T, token_host::Error>) -> ErrorKind {
    answer.unwrap_err().kind().clone()
}

/// Tokens of this actor, made by several at once.
fn many(host: &Host, actor: &str, count: usize) -> Vec<Made> {
    const THREADS: usize = 50;
    thread::scope(|scope| {
        let make = |_| scope.spawn(|| (0..count / THREADS).map(|_| Made::by(host, actor)).collect::<Vec<_>>());
        let threads: Vec<_> = (0..THREADS).map(make).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

fn a_single_token_is_invalidated_once_and_its_first_reason_stays(place: Place) {
    let host = place.host();
    let mut events = host.subscribe();
    let (by_value, by_id, kept) = (Made::by(&host, "root"), Made::by(&host, "root"), Made::by(&host, "root"));
    assert!(by_value.is_good(&host) && by_id.is_good(&host));
    assert_eq!(invalidate(&host, by_value.by_value(), "first").unwrap(), [by_value.id.as_str()]);
    assert_eq!(invalidate(&host, by_id.by_id(), "first").unwrap(), [by_id.id.as_str()]);
    assert!(!by_value.is_good(&host) && !by_id.is_good(&host) && kept.is_good(&host));
    place.clock.set(NOW + 5);
    for made in [&by_value, &by_id] {
        assert!(invalidate(&host, made.by_value(), "second").unwrap().is_empty());
        let record = made.record(&host);
        assert_eq!((record.invalid_at, record.invalid_reason.as_deref()), (Some(NOW), Some("first")));
    }
    for selector in [
        TokenSelector::Id("0".to_owned()),
        TokenSelector::Id("-1".to_owned()),
        TokenSelector::Id(format!("{}0", kept.id)),
        TokenSelector::Id("99999999999999999999".to_owned()),
        TokenSelector::Token("tht_nothing".to_owned()),
        TokenSelector::Token(String::new()),
    ] {
        assert!(matches!(kind_of(invalidate(&host, selector.clone(), "")), ErrorKind::NotFound(_)));
        assert_eq!(block_on(host.get_token(None, &selector)).unwrap(), None);
    }
    let events = std::iter::from_fn(|| events.try_next()).filter(|event| event.kind == EventKind::TokenInvalidated);
    let told: Vec<_> = events.map(|event| (event.token_id, event.actor_id, event.reason)).collect();
    let told_of = |made: &Made| (Some(made.id.clone()), Some("root".to_owned()), Some("first".to_owned()));
    assert_eq!(told, [told_of(&by_value), told_of(&by_id)], "one event each, and none when nothing happened");
}

fn whom_a_filter_does_not_name_it_does_not_touch(place: Place) {
    let host = place.host();
    let policy = json!({ "resources": { "*": { "allow": ["GET"] } } });
    let old = Made::of(&host, &noted("ann", "Old ones")).unwrap();
    let expiring = Made::of(&host, &CreateToken::new("bob").expires_after(100)).unwrap();
    place.clock.set(NOW + 100);
    let new = Made::by(&host, "ann");
    let vendor = Made::of(
        &host,
        &with_details("cid", |details| {
            details.token_generator_id = Some("vendor_checksum".to_owned());
            details.token_info.insert("token_type".to_owned(), json!("acme"));
        }),
    )
    .unwrap();
    let ruled = Made::of(&host, &with_details("cid", |details| details.policy = Some(policy.clone()))).unwrap();
    let all = [&old, &expiring, &new, &vendor, &ruled];
    // All are made valid again, each time.
    let meant = |filter: TokenFilter| -> Vec<usize> {
        let ids = invalidate(&host, TokenSelector::Filter(filter), "it leaked").unwrap();
        let places = all.iter().enumerate().filter(|(_, made)| ids.contains(&made.id)).map(|(place, _)| place);
        let places: Vec<usize> = places.collect();
        assert_eq!(places.len(), ids.len(), "no other");
        for (place, made) in all.iter().enumerate() {
            assert_eq!(made.record(&host).valid, !places.contains(&place));
            let mut update = UpdateToken::new(made.by_id());
            update.valid = Some(true);
            block_on(host.update_token(None, &update)).unwrap();
        }
        places
    };
    assert_eq!(meant(of_actors(&[])), [0; 0], "an empty list is nobody");
    assert_eq!(meant(of_actors(&["ann"])), [0, 2]);
    assert_eq!(meant(of_actors(&["ann", "bob", "nobody", "ann"])), [0, 1, 2]);
    assert_eq!(meant(of_actors(&["Ann"])), [0; 0]);
    assert_eq!(meant(everyones(|filter| filter.token_generator_id = Some("vendor_checksum".to_owned()))), [3]);
    assert_eq!(meant(everyones(|filter| filter.note_contains = Some("Old".to_owned()))), [0]);
    assert_eq!(meant(everyones(|filter| filter.note_contains = Some("old".to_owned()))), [0; 0]);
    assert_eq!(meant(everyones(|filter| filter.note_contains = Some("O%".to_owned()))), [0; 0]);
    assert_eq!(meant(everyones(|filter| filter.policy = Some(policy.clone()))), [4]);
    assert_eq!(meant(everyones(|filter| filter.policy = Some(Value::Null))), [0, 1, 2, 3]);
    assert_eq!(meant(everyones(|filter| filter.created_before = Some(NOW + 100))), [0, 1]);
    assert_eq!(meant(everyones(|filter| filter.expired = Some(true))), [1]);
    assert_eq!(meant(everyones(|filter| filter.expired = Some(false))), [0, 2, 3, 4]);
    assert_eq!(meant(everyones(|filter| filter.valid = Some(false))), [0; 0], "what was valid before is told");
    assert_eq!(meant(everyones(|filter| filter.valid = Some(true))), [0, 1, 2, 3, 4]);
    place.clock.set(NOW + 200);
    assert!(old.is_good(&host));
    assert_eq!(meant(everyones(|filter| filter.unused_since = Some(NOW + 101))), [1, 2, 3, 4], "one was used since");
    assert_eq!(
        meant(everyones(|filter| filter.unused_since = Some(NOW + 100))),
        [1],
        "no longer unused than it is old"
    );
    let mut both = of_actors(&["cid"]);
    both.token_generator_id = Some("token_host".to_owned());
    assert_eq!(meant(both), [4], "all conditions hold");
    let mut page = of_actors(&["ann"]);
    page.limit = Some(1);
    assert_eq!(kind_of(invalidate(&host, TokenSelector::Filter(page), "")), ErrorKind::Unsupported);
    let mut page = of_actors(&["ann"]);
    page.after = Some("1".to_owned());
    assert_eq!(kind_of(invalidate(&host, TokenSelector::Filter(page), "")), ErrorKind::Unsupported);
    assert_eq!(kind_of(invalidate(&host, TokenSelector::Filter(of_actors(&[""])), "")), ErrorKind::InvalidArgument);
}

fn everyone_is_meant_only_when_that_is_said(place: Place) {
    let host = place.host();
    let made: Vec<Made> = ["a", "b", "c"].iter().flat_map(|actor| many(&host, actor, 50)).collect();
    invalidate(&host, made[0].by_id(), "first").unwrap();
    for arguments in [&["invalidate"][..], &["invalidate", "--everyone"], &["invalidate", "--note=x", "--yes"]] {
        assert_eq!(place.scratch.run(arguments).code(), 2, "{arguments:?}");
    }
    assert!(made[1].is_good(&host));
    let mut events = host.subscribe();
    let all = TokenSelector::Filter(TokenFilter::of(Actors::Everyone));
    let done = host.invalidate_tokens_blocking(None, &InvalidateTokens::new(all, "a breach")).unwrap();
    assert_eq!((done.tokens.len(), done.cutoffs.len()), (149, 0));
    assert!(made.iter().all(|made| !made.is_good(&host)));
    let events = std::iter::from_fn(|| events.try_next()).filter(|event| event.kind == EventKind::TokenInvalidated);
    let mut ids: Vec<String> = events.map(|event| event.token_id.unwrap()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 149, "one event for each token");
    assert_eq!(made[0].record(&host).invalid_reason.as_deref(), Some("first"));
    assert!(Made::by(&host, "a").is_good(&host), "who comes later is not meant");
}

fn a_token_that_was_changed_is_judged_as_it_is_now(place: Place) {
    let host = place.host();
    let made = Made::of(&host, &noted("root", "before").expires_after(10)).unwrap();
    let mut events = host.subscribe();
    let update = |change: &dyn Fn(&mut UpdateToken)| {
        let mut request = UpdateToken::new(made.by_value());
        change(&mut request);
        let record = block_on(host.update_token(None, &request)).unwrap();
        assert_eq!(record, made.record(&host), "it is answered as it is");
        record
    };
    place.clock.set(NOW + 3);
    let record = update(&|request| request.note = Some("after".to_owned()));
    assert_eq!(
        (record.note.as_deref(), record.updated_at, record.created_at),
        (Some("after"), Some(NOW + 3), Some(NOW))
    );
    assert_eq!(update(&|request| request.note = Some(String::new())).note, None);
    assert_eq!(update(&|request| request.expires = Some(Expires::At(NOW + 4))).expires_at, Some(NOW + 4));
    place.clock.set(NOW + 4);
    assert!(!made.is_good(&host));
    assert_eq!(update(&|request| request.expires = Some(Expires::Never)).expires_at, None);
    place.clock.set(NOW + 100);
    assert!(made.is_good(&host));
    let record = update(&|request| request.valid = Some(false));
    assert_eq!((record.valid, record.invalid_at, record.invalid_reason.as_deref()), (false, Some(NOW + 100), None));
    assert!(!made.is_good(&host));
    place.clock.set(NOW + 101);
    let record = update(&|request| request.valid = Some(false));
    assert_eq!(record.invalid_at, Some(NOW + 100), "it was not valid");
    let record = update(&|request| request.valid = Some(true));
    assert_eq!((record.valid, record.invalid_at, record.invalid_reason), (true, None, None));
    assert!(made.is_good(&host));
    assert_eq!(invalidate(&host, made.by_id(), "again").unwrap().len(), 1);
    let record = update(&|_| {});
    assert_eq!((record.valid, record.invalid_reason.as_deref()), (false, Some("again")), "what is not said stays");
    let all: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    let updated = all.iter().filter(|event| event.kind == EventKind::TokenUpdated);
    let told: Vec<_> = updated.map(|event| (event.token_id.as_deref(), event.actor_id.as_deref())).collect();
    assert_eq!(told, [(Some(made.id.as_str()), Some("root")); 8]);
    let missing = UpdateToken::new(TokenSelector::Id("77".to_owned()));
    assert!(matches!(kind_of(block_on(host.update_token(None, &missing))), ErrorKind::NotFound(_)));
}

fn filters_find_what_they_say(place: Place) {
    let host = place.host();
    let made = [
        Made::of(&host, &noted("ann", "one two")).unwrap(),
        Made::of(&host, &noted("bob", "two three").expires_after(50)).unwrap(),
        Made::by(&host, "ann"),
    ];
    place.clock.set(NOW + 50);
    let last = Made::by(&host, "cid");
    invalidate(&host, made[2].by_id(), "").unwrap();
    assert!(made[0].is_good(&host));
    let found = |change: &dyn Fn(&mut TokenFilter)| {
        let ids = listed(&host, change).into_iter().map(|record| record.id);
        let all = [&made[0], &made[1], &made[2], &last];
        ids.map(|id| all.iter().position(|made| made.id == id).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(found(&|_| {}), [0, 1, 2, 3]);
    assert_eq!(found(&|filter| *filter = of_actors(&[])), [0; 0]);
    assert_eq!(found(&|filter| *filter = of_actors(&["ann", "cid"])), [0, 2, 3]);
    assert_eq!(found(&|filter| filter.note_contains = Some("two".to_owned())), [0, 1]);
    assert_eq!(found(&|filter| filter.note_contains = Some(String::new())), [0, 1, 2, 3]);
    assert_eq!(found(&|filter| filter.expired = Some(true)), [1]);
    assert_eq!(found(&|filter| filter.expired = Some(false)), [0, 2, 3]);
    assert_eq!(found(&|filter| filter.valid = Some(true)), [0, 1, 3]);
    assert_eq!(found(&|filter| filter.valid = Some(false)), [2]);
    assert_eq!(found(&|filter| filter.created_before = Some(NOW + 50)), [0, 1, 2]);
    assert_eq!(found(&|filter| filter.created_before = Some(u64::MAX)), [0, 1, 2, 3]);
    assert_eq!(found(&|filter| filter.unused_since = Some(NOW + 1)), [1, 2]);
    assert_eq!(found(&|filter| filter.token_generator_id = Some("token_host".to_owned())), [0, 1, 2, 3]);
}

fn long_listings_come_page_by_page(place: Place) {
    const TOKENS: usize = 2_500;
    let host = place.host();
    let ids: Vec<u64> = {
        let mut ids: Vec<u64> = many(&host, "root", TOKENS).iter().map(|made| made.id.parse().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "no id twice");
    let page = |limit: Option<u32>, after: Option<String>| {
        let mut filter = TokenFilter::of(Actors::Everyone);
        (filter.limit, filter.after) = (limit, after);
        block_on(host.list_tokens(None, &filter)).unwrap()
    };
    for (limit, expected) in [(None, 100), (Some(1), 1), (Some(700), 700), (Some(1_000_000), 1_000), (Some(0), 1)] {
        assert_eq!(page(limit, None).tokens.len(), expected, "{limit:?}");
    }
    for limit in [333, 1_000, 500] {
        let listed = listed(&host, |filter| filter.limit = Some(limit));
        let listed: Vec<u64> = listed.iter().map(|record| record.id.parse().unwrap()).collect();
        assert!(listed == ids, "each once, in their order, at {limit} a page");
    }
    // What is deleted or made in between moves no page.
    let first = page(Some(10), None);
    let (second, next) = (page(Some(10), first.next.clone()).tokens, first.next);
    Made::by(&host, "root");
    assert_eq!(page(Some(10), next).tokens, second);
    for garbage in ["x", "", "-", "1;", "99999999999999999999", "1 OR 1=1"] {
        let mut filter = TokenFilter::of(Actors::Everyone);
        filter.after = Some(garbage.to_owned());
        assert_eq!(kind_of(block_on(host.list_tokens(None, &filter))), ErrorKind::InvalidArgument, "{garbage}");
    }
    let beyond = page(None, Some(u32::MAX.to_string()));
    assert!(beyond.tokens.is_empty() && beyond.next.is_none());
    let everyone = listed(&host, |filter| *filter = of_actors(&["root", "guest"]));
    assert_eq!(everyone.len(), TOKENS + 1);
    let count = place.scratch.run(["list", "--all", "--json"]).json()["tokens"].as_array().unwrap().len();
    assert_eq!(count, TOKENS + 1);
}

fn what_ended_long_ago_can_be_deleted_and_nothing_else(place: Place) {
    let host = place.host();
    let (valid, later) = (Made::by(&host, "a"), Made::of(&host, &CreateToken::new("b").expires_after(1_000)).unwrap());
    let (expired, invalid) = (Made::of(&host, &CreateToken::new("c").expires_after(10)).unwrap(), Made::by(&host, "d"));
    place.clock.set(NOW + 20);
    invalidate(&host, invalid.by_id(), "").unwrap();
    place.clock.set(NOW + 500);
    let delete = |ended_before: u64, dry_run: bool| {
        let mut request = DeleteTokens::new(ended_before);
        request.dry_run = dry_run;
        block_on(host.delete_tokens(None, &request)).map(|deleted| deleted.count)
    };
    assert_eq!(kind_of(delete(NOW + 501, false)), ErrorKind::InvalidArgument, "good ones would be meant");
    assert_eq!(kind_of(delete(NOW + 501, true)), ErrorKind::InvalidArgument);
    assert_eq!(delete(NOW + 10, false).unwrap(), 0, "before is before");
    assert_eq!([delete(NOW + 11, true).unwrap(), delete(NOW + 21, true).unwrap()], [1, 2]);
    assert_eq!(listed(&host, |_| {}).len(), 4, "that was to count them");
    assert_eq!(delete(NOW + 11, false).unwrap(), 1);
    assert_eq!(expired.said(&host), Said::Unknown);
    assert_eq!(delete(NOW + 500, false).unwrap(), 1);
    assert_eq!(delete(NOW + 500, false).unwrap(), 0);
    assert_eq!(invalid.said(&host), Said::Unknown);
    assert!(valid.is_good(&host) && later.is_good(&host));
    let ids: Vec<String> = listed(&host, |_| {}).into_iter().map(|record| record.id).collect();
    assert_eq!(ids, [valid.id.clone(), later.id]);
    let next = Made::by(&host, "e");
    assert!(next.id.parse::<u64>().unwrap() > invalid.id.parse().unwrap(), "no id is used twice");
    for table in ["tokens", "token_details"] {
        assert_eq!(place.sql(&format!("SELECT count(*) FROM {table}")), "3", "{table}");
    }
    assert_eq!(place.sql("SELECT count(*) FROM invalid_tokens"), "0");
    assert_eq!(place.scratch.run(["purge", "--older-than=1d"]).code(), 2, "it asks");
    let run = place.scratch.run(["purge", "--older-than=1d", "--yes", "--json"]);
    assert_eq!((run.code(), &run.json()["count"]), (0, &json!(1)), "by the real clock one has expired: {run}");
    assert!(valid.is_good(&host));
}

fn the_command_line_manages_tokens(place: Place) {
    let scratch = &place.scratch;
    let create = |actor: &str| scratch.run(["create", actor, "--json"]).json();
    let (one, two) = (create("ann"), create("bob"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (token, id) = (text(&one["token"]), text(&one["id"]));
    let code = |token: &str| scratch.feed(["verify", token], b"").code();
    assert_eq!(code(&token), 0);
    let shown = scratch.run(["update", "--id", &id, "--note=changed", "--expires=1h", "--json"]).json();
    assert_eq!((&shown["note"], shown["expires_at"].is_u64()), (&json!("changed"), true));
    let shown = scratch.run(["update", "--id", &id, "--valid=false", "--expires=never", "--json"]).json();
    assert_eq!((&shown["valid"], shown.get("expires_at")), (&json!(false), None));
    assert_eq!(code(&token), 1);
    assert_eq!(scratch.run(["update", "--id", &id, "--valid=true"]).code(), 0);
    assert_eq!(code(&token), 0);
    let run = scratch.feed(["invalidate", "--token", "-", "--reason", "it leaked"], token.as_bytes());
    assert_eq!((run.code(), run.stdout), (0, format!("token {id} of ann\n")));
    let run = scratch.run(["verify", &token]);
    assert!(run.code() == 1 && run.stderr.contains(" UTC: it leaked"), "{run}");
    let run = scratch.run(["invalidate", "--actor=bob", "--actor=ann", "--yes", "--json"]).json();
    assert_eq!(run, json!({ "tokens": [{ "id": two["id"], "actor_id": "bob" }], "cutoffs": [] }));
    let run = scratch.run(["actor", "deactivate", "cid", "--yes"]);
    assert_eq!((run.code(), run.stdout.as_str()), (0, "deactivated: cid\n"));
    assert_eq!(code(&text(&create("cid")["token"])), 1);
    let table = scratch.run(["list"]).stdout;
    assert!(table.contains("token_host") && table.contains("UTC: it leaked") && table.contains("changed"), "{table}");
    let run = scratch.run(["explain", &token]);
    assert!(run.stdout.contains("database"), "{run}");
}

fn an_export_has_every_record_and_no_token(place: Place) {
    let host = place.host();
    let made = many(&host, "root", 1_050);
    invalidate(&host, made[3].by_id(), "it leaked").unwrap();
    let records = listed(&host, |filter| filter.limit = Some(1_000));
    let run = place.scratch.run(["export"]);
    assert_eq!(run.code(), 0, "{}", run.stderr);
    assert_eq!(json!(run.json_lines()), json!(records));
    assert!(made.iter().all(|made| !run.stdout.contains(&made.token[4..12])));
    let run = place.scratch.run(["export", "--output=tokens.jsonl", "--invalid"]);
    assert_eq!((run.code(), run.stdout.as_str()), (0, "tokens.jsonl: 1 tokens\n"), "{run}");
}

fn a_database_is_migrated_when_that_is_asked_for(mut place: Place) {
    place.set("migrate = false").keys("breaker_failures = 0");
    let host = place.host();
    let error = Made::of(&host, &CreateToken::new("root")).unwrap_err();
    assert!(*error.kind() == ErrorKind::Plugin && error.to_string().contains("token-host migrate"), "{error}");
    let check = place.scratch.run(["migrate", "--check"]);
    assert!(check.code() == 1 && check.stdout.contains("has version 0, needs 2\n1: tokens"), "{check}");
    assert_eq!(place.scratch.run(["migrate", "--check", "--json"]).json()["from"], 0, "a check changes nothing");
    let done = place.scratch.run(["migrate"]);
    assert!(done.code() == 0 && done.stdout.contains("had version 0, has 2 now"), "{done}");
    let check = place.scratch.run(["migrate", "--check"]);
    assert!(check.code() == 0 && check.stdout.contains("has version 2, nothing to do"), "{check}");
    assert_eq!(place.scratch.run(["migrate"]).code(), 0, "and once more");
    let made = wait_until("the host that was there before goes on with it", || {
        Made::of(&host, &CreateToken::new("root")).ok()
    });
    wait_until("and looks into it", || (!made.fails(&host)).then_some(()));
    assert!(made.is_good(&host));
}

fn an_entry_of_another_name_keeps_tokens_of_its_own(mut place: Place) {
    place.set("accept = ['token_host']");
    let settings = "name = 'second'\nurl = 'sqlite:second.db'\nprefix = 'two'\naccept = ['token_host']";
    place.scratch.plugin("second", Plugin::Database, settings);
    let host = place.host();
    let first = Made::of(&host, &CreateToken::new("root").handler("database")).unwrap();
    let second = Made::of(&host, &CreateToken::new("root").handler("second")).unwrap();
    assert!(first.token.starts_with("tht_"), "{}", first.token);
    let actor = json!(host.verify_token_blocking(&second.token).unwrap().unwrap());
    assert_eq!(actor["token"], "second");
    assert_eq!(json!(host.verify_token_blocking(&first.token).unwrap().unwrap())["token"], "database");
    let of = |handler: &str| {
        let page = block_on(host.list_tokens(Some(handler), &TokenFilter::of(Actors::Everyone))).unwrap();
        page.tokens.len()
    };
    assert_eq!([of("database"), of("second")], [1, 1]);
    let request = SetActors::deactivate(["root"], "");
    block_on(host.set_actors(Some("second"), &request)).unwrap();
    assert!(first.is_good(&host) && !second.is_good(&host));
    // Whose token it is is found.
    assert_eq!(invalidate(&host, first.by_value(), "").unwrap(), [first.id.as_str()]);
    assert_eq!(invalidate(&host, second.by_value(), "").unwrap(), [second.id.as_str()]);
}
