//! What every store must do: one suite for all of them.
//!
//! `contract!(fixture)` makes tests of it, where `fixture` gives each test a database of its own, or none after saying
//! why it is skipped.

use std::{
    collections::HashSet,
    future::Future,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use token_plugin_api::{InactiveActor, Result, TokenRecord, TokenRestrictions};

use super::{
    Change, Conditions, Details, ForeignToken, Inserted, Invalidated, Known, Learned, NewToken, One, Page, Store, Which,
};
use crate::{cutoffs::Cutoffs, digest::Digest, migrations};

/// An empty database, gone when this is dropped.
pub(crate) trait Fixture: Send + Sync {
    /// A store in it: another host, each time. It may migrate.
    fn open(&self) -> Arc<dyn Store>;

    /// Runs SQL that a store would not: what somebody else has done to the database.
    fn execute(&self, sql: &str);

    /// SQL that gives the database the version 99.
    fn becoming_newer(&self) -> &'static str;

    /// The number that SQL selects.
    fn number(&self, sql: &str) -> i64;
}

/// Makes a test of each part of the contract.
macro_rules! contract {
    ($fixture:path) => {
        $crate::store::contract::contract! { @each $fixture:
            a_token_is_found_as_it_was_kept
            a_digest_is_taken_once
            many_insert_at_once
            texts_and_times_come_back_as_they_went
            a_record_has_everything_that_is_known
            what_cannot_be_read_is_an_error
            a_listing_goes_page_by_page
            conditions_choose_alone_and_together
            one_token_is_invalidated_and_the_first_reason_stays
            many_tokens_are_invalidated
            nobody_is_nobody
            an_update_changes_what_it_says
            a_token_is_made_valid_again
            what_has_ended_is_deleted
            actors_are_deactivated_and_activated
            inactive_actors_are_listed_page_by_page
            uses_are_learned
            digests_are_learned
            tokens_are_brought_over
            a_dry_run_brings_nothing_over
            hosts_hear_of_changes
            a_database_is_migrated_once
            a_check_changes_nothing
            a_newer_version_is_refused
        }
    };
    (@each $fixture:path: $($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                if let Some(fixture) = $fixture(stringify!($name)) {
                    $crate::store::contract::$name(&fixture);
                }
            }
        )+
    };
}
pub(crate) use contract;

/// Waits for an answer that is no error.
#[track_caller]
pub(crate) fn wait<T>(answer: impl Future<Output = Result<T>>) -> T {
    pollster::block_on(answer).unwrap_or_else(|error| panic!("{error}"))
}

/// A digest that no other number has.
pub(crate) fn digest(number: u64) -> Digest {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Digest::of_bytes(&bytes).unwrap()
}

/// A plain token.
pub(crate) fn token(number: u64, actor: &str) -> NewToken {
    NewToken {
        digest: digest(number),
        actor_id: actor.to_owned(),
        generator_id: "plain".to_owned(),
        created_at: 1_000 + number % 1_000,
        expires_at: None,
        restrictions: None,
        policy: None,
        details: Details { hint: format!("dbt_…{number}"), ..Details::default() },
    }
}

/// Keeps a token; its id.
#[track_caller]
pub(crate) fn keep(store: &dyn Store, token: NewToken) -> i64 {
    match wait(store.insert(token)) {
        Inserted::As(id) => id,
        Inserted::DigestTaken => panic!("the digest is taken"),
    }
}

fn of(actor: &str) -> Conditions {
    Conditions { actors: Some(vec![actor.to_owned()]), ..Conditions::default() }
}

fn ids(store: &dyn Store, conditions: Conditions) -> Vec<i64> {
    let page = Page { conditions, after: None, limit: 1_000 };
    wait(store.list(page)).iter().map(|record| record.id.parse().unwrap()).collect()
}

fn record(store: &dyn Store, id: i64) -> TokenRecord {
    wait(store.record(One::Id(id))).expect("there is such a token")
}

fn invalidate(store: &dyn Store, which: Which, at: u64, reason: &str) -> Vec<i64> {
    wait(store.invalidate(which, at, reason.to_owned())).into_iter().map(|(id, _)| id).collect()
}

fn known(id: i64, token: &NewToken) -> Known {
    Known {
        id,
        actor_id: token.actor_id.clone(),
        generator_id: token.generator_id.clone(),
        expires_at: token.expires_at,
        restrictions: token.restrictions.clone(),
        policy: token.policy.clone(),
        invalidated: None,
        inactive_since: None,
    }
}

fn full(number: u64) -> NewToken {
    let mut token = token(number, "root");
    token.expires_at = Some(9_000);
    token.restrictions = Some(r#"{"a":["vi"]}"#.to_owned());
    token.policy = Some(r#"{"version":"1.0"}"#.to_owned());
    token.details.note = "for the robot".to_owned();
    token.details.auto_generated = true;
    token.details.extra = Some(r#"{"colour":"red"}"#.to_owned());
    token
}

pub(crate) fn a_token_is_found_as_it_was_kept(fixture: &dyn Fixture) {
    let store = fixture.open();
    assert_eq!(wait(store.look_up(digest(1))), None);
    let tokens = [token(1, "guest"), full(2)];
    let kept: Vec<i64> = tokens.iter().map(|token| keep(&*store, token.clone())).collect();
    assert!(kept[0] < kept[1], "{kept:?}");
    for (id, token) in kept.iter().zip(&tokens) {
        assert_eq!(wait(store.look_up(token.digest)), Some(known(*id, token)));
        assert_eq!(wait(fixture.open().look_up(token.digest)), Some(known(*id, token)), "other hosts see it");
    }
    wait(store.set_actors(vec!["root".to_owned()], Some((50, "left".to_owned()))));
    wait(store.invalidate(Which::One(One::Id(kept[1])), 60, "stolen".to_owned()));
    let invalidated = Some(Invalidated { at: 60, reason: "stolen".to_owned() });
    let expected = Known { invalidated, inactive_since: Some(50), ..known(kept[1], &tokens[1]) };
    assert_eq!(wait(store.look_up(digest(2))), Some(expected));
    assert_eq!(wait(store.look_up(digest(1))), Some(known(kept[0], &tokens[0])), "nobody else's is touched");
    let almost = Digest::of_bytes(&digest(1).as_bytes()[..31]).unwrap();
    assert_eq!(wait(store.look_up(almost)), None);
}

pub(crate) fn a_digest_is_taken_once(fixture: &dyn Fixture) {
    let (store, other) = (fixture.open(), fixture.open());
    let first = keep(&*store, token(1, "root"));
    assert_eq!(wait(store.insert(token(1, "thief"))), Inserted::DigestTaken);
    assert_eq!(wait(other.insert(full(1))), Inserted::DigestTaken);
    assert_eq!(ids(&*store, Conditions::default()), [first]);
    assert_eq!(wait(store.look_up(digest(1))), Some(known(first, &token(1, "root"))));
    let second = keep(&*store, token(2, "root"));
    assert!(second > first);
    assert_eq!(left_behind(fixture), 0);
}

/// How many rows there are of tokens that are not there.
fn left_behind(fixture: &dyn Fixture) -> i64 {
    let rows =
        |table: &str| fixture.number(&format!("SELECT count(*) FROM {table} WHERE id NOT IN (SELECT id FROM tokens)"));
    ["token_details", "invalid_tokens", "token_uses"].into_iter().map(rows).sum()
}

pub(crate) fn many_insert_at_once(fixture: &dyn Fixture) {
    const TASKS: u64 = 32;
    const EACH: u64 = 8;
    let stores = [fixture.open(), fixture.open()];
    let inserted: Vec<i64> = thread::scope(|scope| {
        let task = |task: u64| {
            let store = &stores[task as usize % 2];
            // All of them want the last one.
            let numbers = (0..EACH).map(move |number| task * EACH + number).chain([u64::MAX]);
            move || numbers.map(|number| wait(store.insert(token(number, "root")))).collect::<Vec<_>>()
        };
        let tasks: Vec<_> = (0..TASKS).map(|number| scope.spawn(task(number))).collect();
        let ids = tasks.into_iter().flat_map(|task| task.join().unwrap());
        ids.filter_map(|inserted| match inserted {
            Inserted::As(id) => Some(id),
            Inserted::DigestTaken => None,
        })
        .collect()
    });
    assert_eq!(inserted.len() as u64, TASKS * EACH + 1);
    let mut sorted = inserted;
    sorted.sort_unstable();
    assert_eq!(ids(&*stores[0], Conditions::default()), sorted, "each has an id of its own");
}

pub(crate) fn texts_and_times_come_back_as_they_went(fixture: &dyn Fixture) {
    let store = fixture.open();
    let long = "ä".repeat(32 * 1024);
    let texts = ["'; DROP TABLE tokens; --", "%_\\\"`$1 ?1 :a", "naïve 🦀\u{202e}\r\n\t\u{1}", " ", &long];
    for (number, text) in texts.iter().enumerate() {
        let mut token = token(number as u64, text);
        token.generator_id = format!("g{text}");
        token.policy = Some(json!({ "text": text }).to_string());
        token.details.note = (*text).to_owned();
        token.details.hint = (*text).to_owned();
        token.details.extra = Some(json!({ *text: text }).to_string());
        // Indexes have limits that notes have not.
        if text.len() > 1_000 {
            token.actor_id = "long".to_owned();
            token.generator_id = "long".to_owned();
        }
        let id = keep(&*store, token.clone());
        assert_eq!(wait(store.look_up(token.digest)), Some(known(id, &token)));
        let record = record(&*store, id);
        assert_eq!((record.note.as_deref(), record.hint.as_deref()), (Some(*text), Some(*text)));
        assert_eq!(record.extra[*text], *text);
        assert_eq!(record.policy, Some(json!({ "text": text })));
        let conditions = Conditions {
            actors: Some(vec![token.actor_id.clone()]),
            generator_id: Some(token.generator_id.clone()),
            note_contains: Some((*text).to_owned()),
            policy: Some(token.policy.clone()),
            ..Conditions::default()
        };
        assert_eq!(ids(&*store, conditions.clone()), [id], "{text:.40}");
        assert_eq!(invalidate(&*store, Which::All(conditions), 5, text), [id]);
        let actor = vec![token.actor_id.clone()];
        let inactive = wait(store.set_actors(actor, Some((3, (*text).to_owned()))));
        assert_eq!(inactive, [InactiveActor::new(token.actor_id.clone(), 3, *text)]);
        let reason = (*text).to_owned();
        let expected =
            Known { invalidated: Some(Invalidated { at: 5, reason }), inactive_since: Some(3), ..known(id, &token) };
        assert_eq!(wait(store.look_up(token.digest)), Some(expected));
    }

    let last = i64::MAX as u64;
    let mut token = token(100, "times");
    (token.created_at, token.expires_at) = (0, Some(last));
    let id = keep(&*store, token);
    wait(store.learn(Learned { uses: vec![(id, last)], digests: vec![] }));
    assert_eq!(invalidate(&*store, Which::One(One::Id(id)), last, ""), [id]);
    let record = record(&*store, id);
    assert_eq!((record.created_at, record.expires_at), (Some(0), Some(last)));
    assert_eq!((record.last_used_at, record.invalid_at), (Some(last), Some(last)));
    let never = Conditions {
        actors: Some(vec!["times".to_owned()]),
        created_before: Some(u64::MAX),
        expired: Some((true, u64::MAX)),
        ..Conditions::default()
    };
    assert_eq!(ids(&*store, never), [id], "a time that nothing can have is as good as the last");
    assert_eq!(wait(store.delete(0, true)), 0);
}

pub(crate) fn a_record_has_everything_that_is_known(fixture: &dyn Fixture) {
    let store = fixture.open();
    let plain = keep(&*store, token(1, "guest"));
    let mut expected = TokenRecord::new(plain.to_string(), "guest", 1_001);
    expected.token_generator_id = Some("plain".to_owned());
    expected.updated_at = Some(1_001);
    expected.hint = Some("dbt_…1".to_owned());
    assert_eq!(record(&*store, plain), expected);

    let id = keep(&*store, full(2));
    wait(store.learn(Learned { uses: vec![(id, 1_500)], digests: vec![] }));
    assert_eq!(invalidate(&*store, Which::One(One::Id(id)), 1_600, "stolen"), [id]);
    let mut expected = TokenRecord::new(id.to_string(), "root", 1_002);
    expected.token_generator_id = Some("plain".to_owned());
    expected.updated_at = record(&*store, id).updated_at;
    expected.last_used_at = Some(1_500);
    expected.expires_at = Some(9_000);
    expected.valid = false;
    expected.invalid_at = Some(1_600);
    expected.invalid_reason = Some("stolen".to_owned());
    expected.restrictions = Some(TokenRestrictions::nothing().allow_all("vi"));
    expected.note = Some("for the robot".to_owned());
    expected.policy = Some(json!({ "version": "1.0" }));
    expected.auto_generated = true;
    expected.hint = Some("dbt_…2".to_owned());
    expected.extra = json!({ "colour": "red" }).as_object().unwrap().clone();
    assert_eq!(record(&*store, id), expected);
    assert_eq!(wait(store.list(Page { conditions: of("root"), after: None, limit: 9 })), [expected]);

    let by = |digests: Vec<u64>| {
        let digests = digests.into_iter().map(digest).collect();
        wait(store.record(One::Digests(digests))).map(|record| record.id)
    };
    assert_eq!(by(vec![2]), Some(id.to_string()));
    assert_eq!(by(vec![8, 2, 1]), Some(id.to_string()), "the first that there is");
    assert_eq!(by(vec![1, 2]), Some(plain.to_string()), "the first that there is");
    assert_eq!(by(vec![8, 9]), None);
    assert_eq!(by(vec![]), None);
    assert_eq!(wait(store.record(One::Id(id + 1))), None);
    assert_eq!(wait(store.record(One::Id(i64::MIN))), None);
}

pub(crate) fn what_cannot_be_read_is_an_error(fixture: &dyn Fixture) {
    let store = fixture.open();
    for column in ["restrictions", "policy", "extra"] {
        let id = keep(&*store, full(column.len() as u64));
        let table = if column == "extra" { "token_details" } else { "tokens" };
        fixture.execute(&format!("UPDATE {table} SET {column} = '[7' WHERE id = {id}"));
        let error = pollster::block_on(store.record(One::Id(id))).unwrap_err().to_string();
        assert!(error.contains(&format!("token {id}")) && !error.contains("[7"), "{error}");
        let page = Page { conditions: of("root"), after: Some(id - 1), limit: 1 };
        assert!(pollster::block_on(store.list(page)).is_err());
    }
}

pub(crate) fn a_listing_goes_page_by_page(fixture: &dyn Fixture) {
    let store = fixture.open();
    let all: Vec<i64> =
        (0..25).map(|number| keep(&*store, token(number, ["a", "b", "c"][number as usize % 3]))).collect();
    let pages = |conditions: &Conditions, limit: u32| {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = wait(store.list(Page { conditions: conditions.clone(), after, limit }));
            let ids: Vec<i64> = page.iter().map(|record| record.id.parse().unwrap()).collect();
            after = ids.last().copied();
            if after.is_none() {
                return pages;
            }
            assert!(ids.len() <= limit as usize);
            pages.extend(ids);
        }
    };
    let every = |first: usize| all.iter().skip(first).step_by(3).copied().collect::<Vec<_>>();
    for limit in [1, 4, 25, 100] {
        assert_eq!(pages(&Conditions::default(), limit), all);
        assert_eq!(pages(&of("b"), limit), every(1));
        let mut two = [every(0), every(2)].concat();
        two.sort_unstable();
        let conditions =
            Conditions { actors: Some(vec!["c".to_owned(), "a".to_owned(), "c".to_owned()]), ..Conditions::default() };
        assert_eq!(pages(&conditions, limit), two);
    }
    // What is deleted or made meanwhile does not shift a page.
    let first = wait(store.list(Page { conditions: Conditions::default(), after: None, limit: 5 }));
    invalidate(&*store, Which::One(One::Id(all[0])), 1, "");
    assert_eq!(wait(store.delete(2, false)), 1);
    let last = keep(&*store, token(99, "a"));
    let after = first.last().map(|record| record.id.parse().unwrap());
    let rest = wait(store.list(Page { conditions: Conditions::default(), after, limit: 100 }));
    let rest: Vec<i64> = rest.iter().map(|record| record.id.parse().unwrap()).collect();
    assert_eq!(rest, [&all[5..], &[last]].concat());
}

/// Tokens that differ, each with a name.
type Animals = Vec<(&'static str, i64)>;

/// Tokens, and which of them what chooses.
fn zoo(store: &dyn Store) -> (Animals, Vec<(Conditions, Vec<&'static str>)>) {
    let mut made = Vec::new();
    let mut make = |name, number, change: &dyn Fn(&mut NewToken)| {
        let mut token = token(number, "root");
        change(&mut token);
        made.push((name, keep(store, token)));
    };
    make("plain", 1, &|_| {});
    make("guest", 2, &|token| "guest".clone_into(&mut token.actor_id));
    make("other", 3, &|token| "other".clone_into(&mut token.generator_id));
    make("noted", 4, &|token| "the Robot's 100%".clone_into(&mut token.details.note));
    make("policy", 5, &|token| token.policy = Some("{}".to_owned()));
    make("expiring", 6, &|token| token.expires_at = Some(2_000));
    make("used", 7, &|_| {});
    make("invalid", 8, &|_| {});
    let id = |name| made.iter().find(|(other, _)| *other == name).unwrap().1;
    wait(store.learn(Learned { uses: vec![(id("used"), 1_500)], digests: vec![] }));
    invalidate(store, Which::One(One::Id(id("invalid"))), 1_600, "first");

    let none = Conditions::default;
    let all: Vec<&str> = made.iter().map(|(name, _)| *name).collect();
    let but = |names: &[&str]| all.iter().copied().filter(|name| !names.contains(name)).collect::<Vec<_>>();
    let text = |text: &str| Some(text.to_owned());
    let cases = vec![
        (none(), all.clone()),
        (of("guest"), vec!["guest"]),
        (of("Guest"), vec![]),
        (of("nobody"), vec![]),
        (Conditions { actors: Some(vec!["guest".into(), "root".into()]), ..none() }, all.clone()),
        (Conditions { actors: Some(vec![]), ..none() }, vec![]),
        (Conditions { generator_id: text("other"), ..none() }, vec!["other"]),
        (Conditions { generator_id: text("Other"), ..none() }, vec![]),
        (Conditions { note_contains: text("Robot's 100%"), ..none() }, vec!["noted"]),
        (Conditions { note_contains: text("robot"), ..none() }, vec![]),
        (Conditions { note_contains: text("R%t"), ..none() }, vec![]),
        (Conditions { note_contains: text("R_bot"), ..none() }, vec![]),
        (Conditions { note_contains: text(""), ..none() }, all.clone()),
        (Conditions { policy: Some(text("{}")), ..none() }, vec!["policy"]),
        (Conditions { policy: Some(text("{ }")), ..none() }, vec![]),
        (Conditions { policy: Some(None), ..none() }, but(&["policy"])),
        (Conditions { created_before: Some(1_001), ..none() }, vec![]),
        (Conditions { created_before: Some(1_003), ..none() }, vec!["plain", "guest"]),
        (Conditions { unused_since: Some(1_500), ..none() }, but(&["used"])),
        (Conditions { unused_since: Some(1_501), ..none() }, all.clone()),
        (Conditions { unused_since: Some(1_002), ..none() }, vec!["plain"]),
        (Conditions { expired: Some((true, 1_999)), ..none() }, vec![]),
        (Conditions { expired: Some((true, 2_000)), ..none() }, vec!["expiring"]),
        (Conditions { expired: Some((false, 1_999)), ..none() }, all.clone()),
        (Conditions { expired: Some((false, 2_000)), ..none() }, but(&["expiring"])),
        (Conditions { valid: Some(true), ..none() }, but(&["invalid"])),
        (Conditions { valid: Some(false), ..none() }, vec!["invalid"]),
        (
            Conditions {
                actors: Some(vec!["root".into(), "guest".into(), "nobody".into()]),
                generator_id: text("plain"),
                note_contains: text("Robot"),
                policy: Some(None),
                created_before: Some(5_000),
                unused_since: Some(5_000),
                expired: Some((false, 5_000)),
                valid: Some(true),
            },
            vec!["noted"],
        ),
        (Conditions { created_before: Some(1_003), ..of("guest") }, vec!["guest"]),
        (Conditions { created_before: Some(1_002), ..of("guest") }, vec![]),
        (Conditions { valid: Some(false), unused_since: Some(1_500), ..of("root") }, vec!["invalid"]),
    ];
    (made, cases)
}

pub(crate) fn conditions_choose_alone_and_together(fixture: &dyn Fixture) {
    let store = fixture.open();
    let (made, cases) = zoo(&*store);
    for (conditions, expected) in cases {
        let chosen = ids(&*store, conditions.clone());
        let name = |id: &i64| made.iter().find(|(_, other)| other == id).unwrap().0;
        assert_eq!(chosen.iter().map(name).collect::<Vec<_>>(), expected, "{conditions:?}");
    }
}

pub(crate) fn one_token_is_invalidated_and_the_first_reason_stays(fixture: &dyn Fixture) {
    let store = fixture.open();
    let (first, second) = (keep(&*store, token(1, "root")), keep(&*store, token(2, "guest")));
    let by_digests = Which::One(One::Digests(vec![digest(9), digest(2), digest(1)]));
    assert_eq!(wait(store.invalidate(by_digests, 10, "stolen".to_owned())), [(second, "guest".to_owned())]);
    assert_eq!(invalidate(&*store, Which::One(One::Id(second)), 20, "again"), [] as [i64; 0]);
    assert_eq!(invalidate(&*fixture.open(), Which::All(of("guest")), 20, "again"), [] as [i64; 0]);
    let known = wait(store.look_up(digest(2))).unwrap();
    assert_eq!(known.invalidated, Some(Invalidated { at: 10, reason: "stolen".to_owned() }));
    assert!(record(&*store, first).valid);
    for nothing in [One::Id(first + 100), One::Digests(vec![]), One::Digests(vec![digest(9)])] {
        assert_eq!(invalidate(&*store, Which::One(nothing), 10, ""), [] as [i64; 0]);
    }
    assert!(record(&*store, first).valid);
    // Many at once: one of them is the first.
    let stores: Vec<_> = (0..8).map(|_| fixture.open()).collect();
    let done: Vec<usize> = thread::scope(|scope| {
        let invalidate = |at: usize| {
            let store = &stores[at];
            move || invalidate(&**store, Which::One(One::Id(first)), at as u64, &at.to_string()).len()
        };
        let tasks: Vec<_> = (0..8).map(|at| scope.spawn(invalidate(at))).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).collect()
    });
    assert_eq!(done.iter().sum::<usize>(), 1, "{done:?}");
    let winner = done.iter().position(|count| *count == 1).unwrap();
    assert_eq!(record(&*store, first).invalid_reason, Some(winner.to_string()));
}

pub(crate) fn many_tokens_are_invalidated(fixture: &dyn Fixture) {
    let store = fixture.open();
    let (made, cases) = zoo(&*store);
    let invalid = made.last().unwrap().1;
    for (round, (conditions, expected)) in (2_000..).zip(cases) {
        let reason = format!("round {round}");
        let mut done = invalidate(&*store, Which::All(conditions.clone()), round, &reason);
        done.sort_unstable();
        let id = |name: &&str| made.iter().find(|(other, _)| other == name).unwrap().1;
        let expected: Vec<i64> = expected.iter().map(id).filter(|id| *id != invalid).collect();
        assert_eq!(done, expected, "{conditions:?}");
        for (_, id) in &made {
            let record = record(&*store, *id);
            let hit = expected.contains(id).then_some((round, reason.as_str()));
            let hit = if *id == invalid { Some((1_600, "first")) } else { hit };
            assert_eq!(record.invalid_at.zip(record.invalid_reason.as_deref()), hit, "{conditions:?}");
            if *id != invalid {
                wait(store.update(One::Id(*id), Change { valid: Some(true), ..Change::default() }, 9));
            }
        }
    }
}

pub(crate) fn nobody_is_nobody(fixture: &dyn Fixture) {
    let store = fixture.open();
    let id = keep(&*store, token(1, "root"));
    let nobody = Conditions { actors: Some(vec![]), ..Conditions::default() };
    assert_eq!(ids(&*store, nobody.clone()), [] as [i64; 0]);
    assert_eq!(invalidate(&*store, Which::All(nobody), 1, ""), [] as [i64; 0]);
    assert_eq!(wait(store.set_actors(vec![], Some((1, String::new())))), []);
    assert_eq!(wait(store.set_actors(vec![], None)), []);
    wait(store.learn(Learned::default()));
    assert_eq!(wait(store.import(vec![], vec![], false)), (vec![], vec![]));
    assert!(record(&*store, id).valid);
}

pub(crate) fn an_update_changes_what_it_says(fixture: &dyn Fixture) {
    let store = fixture.open();
    let (id, other) = (keep(&*store, full(1)), keep(&*store, full(2)));
    let (mut expected, untouched) = (record(&*store, id), record(&*store, other));
    let update = |change, now| wait(store.update(One::Id(id), change, now)).expect("there is such a token");
    assert_eq!(update(Change::default(), 5_000), expected, "nothing is nothing");

    expected.updated_at = Some(5_001);
    expected.note = Some("another".to_owned());
    assert_eq!(update(Change { note: Some("another".to_owned()), ..Change::default() }, 5_001), expected);
    (expected.updated_at, expected.note) = (Some(5_002), None);
    assert_eq!(update(Change { note: Some(String::new()), ..Change::default() }, 5_002), expected);
    (expected.updated_at, expected.policy) = (Some(5_003), Some(json!([])));
    assert_eq!(update(Change { policy: Some(Some("[]".to_owned())), ..Change::default() }, 5_003), expected);
    (expected.updated_at, expected.policy) = (Some(5_004), None);
    assert_eq!(update(Change { policy: Some(None), ..Change::default() }, 5_004), expected);
    (expected.updated_at, expected.expires_at) = (Some(5_005), Some(7));
    assert_eq!(update(Change { expires_at: Some(Some(7)), ..Change::default() }, 5_005), expected);
    assert_eq!(wait(store.look_up(digest(1))).unwrap().expires_at, Some(7));
    (expected.updated_at, expected.expires_at) = (Some(5_006), None);
    assert_eq!(update(Change { expires_at: Some(None), ..Change::default() }, 5_006), expected);

    let all = Change {
        note: Some("all".to_owned()),
        policy: Some(Some("{}".to_owned())),
        expires_at: Some(Some(8)),
        valid: Some(false),
    };
    let by_digest = wait(store.update(One::Digests(vec![digest(9), digest(1)]), all, 5_007)).unwrap();
    (expected.updated_at, expected.expires_at, expected.valid) = (Some(5_007), Some(8), false);
    (expected.note, expected.policy) = (Some("all".to_owned()), Some(json!({})));
    (expected.invalid_at, expected.invalid_reason) = (Some(5_007), None);
    assert_eq!(by_digest, expected);
    assert_eq!(record(&*fixture.open(), id), expected);
    assert_eq!(record(&*store, other), untouched);
    let invalid = Change { valid: Some(false), ..Change::default() };
    assert_eq!(wait(store.update(One::Id(other + 100), invalid.clone(), 1)), None);
    assert_eq!(wait(store.update(One::Digests(vec![digest(9)]), invalid, 1)), None);
}

pub(crate) fn a_token_is_made_valid_again(fixture: &dyn Fixture) {
    let store = fixture.open();
    let id = keep(&*store, token(1, "root"));
    let change = |valid, now| {
        let change = Change { valid: Some(valid), ..Change::default() };
        let record = wait(store.update(One::Id(id), change, now)).unwrap();
        (record.valid, record.invalid_at, record.invalid_reason)
    };
    invalidate(&*store, Which::One(One::Id(id)), 10, "stolen");
    assert_eq!(change(false, 20), (false, Some(10), Some("stolen".to_owned())), "the first date and reason stay");
    assert_eq!(change(true, 30), (true, None, None));
    assert_eq!(wait(store.look_up(digest(1))).unwrap().invalidated, None);
    assert_eq!(change(true, 40), (true, None, None));
    assert_eq!(change(false, 50), (false, Some(50), None));
    let invalidated = Some(Invalidated { at: 50, reason: String::new() });
    assert_eq!(wait(store.look_up(digest(1))).unwrap().invalidated, invalidated);
}

pub(crate) fn what_has_ended_is_deleted(fixture: &dyn Fixture) {
    let store = fixture.open();
    let kept = |number, expires_at, invalid_at| {
        let id = keep(&*store, NewToken { expires_at, ..token(number, "root") });
        if let Some(at) = invalid_at {
            invalidate(&*store, Which::One(One::Id(id)), at, "");
        }
        wait(store.learn(Learned { uses: vec![(id, 50)], digests: vec![] }));
        id
    };
    let stay = [kept(1, None, None), kept(2, Some(100), None), kept(3, None, Some(100)), kept(4, Some(900), Some(900))];
    let go =
        [kept(5, Some(99), None), kept(6, None, Some(99)), kept(7, Some(99), Some(99)), kept(8, Some(900), Some(9))];
    assert_eq!(wait(store.delete(100, true)), 4);
    assert_eq!(ids(&*store, Conditions::default()).len(), 8, "a dry run deletes nothing");
    assert_eq!(wait(store.delete(100, false)), 4);
    assert_eq!(ids(&*store, Conditions::default()), stay);
    assert_eq!(wait(store.delete(100, true)) + wait(store.delete(100, false)), 0);
    for (number, id) in (5..).zip(go) {
        assert_eq!((wait(store.look_up(digest(number))), wait(store.record(One::Id(id)))), (None, None));
    }
    assert_eq!(left_behind(fixture), 0);
    let again = keep(&*store, token(5, "root"));
    assert!(again > go[3], "an id is never used again");
    let record = record(&*store, again);
    assert_eq!((record.valid, record.last_used_at), (true, None));
    // Also when it was the last one.
    invalidate(&*store, Which::One(One::Id(again)), 1, "");
    assert_eq!(wait(store.delete(2, false)), 1);
    assert!(keep(&*store, token(5, "root")) > again);
}

pub(crate) fn actors_are_deactivated_and_activated(fixture: &dyn Fixture) {
    let store = fixture.open();
    for (number, actor) in (1..).zip(["a", "b", "c"]) {
        keep(&*store, token(number, actor));
    }
    let set = |actors: &[&str], inactive: Option<(u64, &str)>| {
        let actors = actors.iter().map(|actor| (*actor).to_owned()).collect();
        let mut changed = wait(store.set_actors(actors, inactive.map(|(at, reason)| (at, reason.to_owned()))));
        changed.sort_by(|one, other| one.actor_id.cmp(&other.actor_id));
        changed
    };
    let since = |number| wait(store.look_up(digest(number))).unwrap().inactive_since;
    assert_eq!(set(&["a", "a"], Some((10, "left"))), [InactiveActor::new("a", 10, "left")]);
    let changed = set(&["b", "a", "unknown"], Some((20, "")));
    assert_eq!(changed, [InactiveActor::new("b", 20, ""), InactiveActor::new("unknown", 20, "")]);
    assert_eq!([1, 2, 3].map(since), [Some(10), Some(20), None], "the first date stays");
    let later = keep(&*store, token(4, "a"));
    assert_eq!(since(4), Some(10), "tokens that are made meanwhile too");
    assert!(record(&*store, later).valid, "they are not invalidated");
    assert_eq!(set(&["a", "c", "a"], None), [InactiveActor::new("a", 10, "left")]);
    assert_eq!([1, 2, 3, 4].map(since), [None, Some(20), None, None]);
    assert_eq!(set(&["a"], None), []);
    assert_eq!(set(&["a"], Some((30, "again"))), [InactiveActor::new("a", 30, "again")]);
}

pub(crate) fn inactive_actors_are_listed_page_by_page(fixture: &dyn Fixture) {
    let store = fixture.open();
    assert_eq!(wait(store.list_inactive_actors(None, 3)).actors, []);
    assert_eq!(wait(store.inactive_actor("a".to_owned())), None);
    // In the order of bytes, whatever the database's language is.
    let names = ["", "B", "Z", "a", "b_", "ba", "ä", "🦀"];
    wait(store.set_actors(names.iter().rev().map(|name| (*name).to_owned()).collect(), Some((7, "why".to_owned()))));
    assert_eq!(wait(store.inactive_actor("a".to_owned())), Some(InactiveActor::new("a", 7, "why")));
    assert_eq!(wait(store.inactive_actor("A".to_owned())), None);
    for limit in 1..=9 {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = wait(store.list_inactive_actors(after, limit));
            assert!(page.actors.len() <= limit as usize);
            assert_eq!(page.next.is_some(), listed.len() + page.actors.len() < names.len(), "{page:?}");
            listed.extend(page.actors);
            after = page.next;
            if after.is_none() {
                break;
            }
            assert_eq!(after.as_ref(), listed.last().map(|actor| &actor.actor_id));
        }
        assert_eq!(listed, names.map(|name| InactiveActor::new(name, 7, "why")));
    }
}

pub(crate) fn uses_are_learned(fixture: &dyn Fixture) {
    let store = fixture.open();
    let (id, other) = (keep(&*store, token(1, "root")), keep(&*store, token(2, "root")));
    let learn = |uses: &[(i64, u64)]| {
        wait(store.learn(Learned { uses: uses.to_vec(), digests: vec![] }));
        [id, other].map(|id| record(&*store, id).last_used_at)
    };
    let mut expected = record(&*store, id);
    assert_eq!(learn(&[(id, 20)]), [Some(20), None]);
    expected.last_used_at = Some(20);
    assert_eq!(record(&*store, id), expected, "nothing else changes");
    assert_eq!(learn(&[(id, 19), (other, 5)]), [Some(20), Some(5)], "an earlier time changes nothing");
    assert_eq!(learn(&[(id, 21), (id, 30), (id, 25)]), [Some(30), Some(5)]);
    assert_eq!(learn(&[(other + 100, 40), (other, 40), (-1, 1)]), [Some(30), Some(40)], "tokens that are gone");
    let gone = keep(&*store, token(3, "root"));
    invalidate(&*store, Which::One(One::Id(gone)), 1, "");
    assert_eq!(wait(store.delete(2, false)), 1);
    assert_eq!(learn(&[(gone, 50), (id, 50)]), [Some(50), Some(40)]);
}

pub(crate) fn digests_are_learned(fixture: &dyn Fixture) {
    let store = fixture.open();
    let (id, other) = (keep(&*store, token(1, "root")), keep(&*store, token(2, "root")));
    let before = record(&*store, id);
    let learn = |id, old, new| {
        wait(store.learn(Learned { uses: vec![(other, 5)], digests: vec![(id, digest(old), digest(new))] }));
        [1, 2, 11].map(|number| wait(store.look_up(digest(number))).map(|known| known.id))
    };
    assert_eq!(learn(id, 1, 11), [None, Some(other), Some(id)]);
    assert_eq!(record(&*store, id), before, "nothing else changes");
    assert_eq!(learn(id, 1, 12), [None, Some(other), Some(id)], "the old one is not there any more");
    assert_eq!(learn(id, 2, 12), [None, Some(other), Some(id)], "it is another's");
    assert_eq!(learn(id, 11, 2), [None, Some(other), Some(id)], "the new one is another's");
    assert_eq!(learn(other + 9, 11, 12), [None, Some(other), Some(id)], "the token is gone");
    assert_eq!(learn(id, 11, 1), [Some(id), Some(other), None]);
    assert_eq!(wait(store.insert(token(1, "thief"))), Inserted::DigestTaken);
}

fn foreign(number: u64) -> ForeignToken {
    ForeignToken { token: full(number), updated_at: 70, last_used_at: None, invalidated: None }
}

/// What is brought over in the tests, some of it there already.
fn cargo(store: &dyn Store) -> (Vec<ForeignToken>, Vec<InactiveActor>) {
    keep(store, token(1, "mine"));
    wait(store.set_actors(vec!["gone".to_owned()], Some((5, "mine".to_owned()))));
    let mut sha1 = foreign(3);
    sha1.token.digest = Digest::of_bytes(&[9; 20]).unwrap();
    sha1.last_used_at = Some(80);
    sha1.invalidated = Some(Invalidated { at: 90, reason: "theirs".to_owned() });
    let mut twice = foreign(2);
    twice.token.actor_id = "twice".to_owned();
    let tokens = vec![foreign(1), foreign(2), sha1, twice, foreign(4)];
    let inactive = [("gone", 1, "theirs"), ("left", 2, "theirs"), ("left", 3, "twice")];
    (tokens, inactive.map(|(actor, since, reason)| InactiveActor::new(actor, since, reason)).into())
}

pub(crate) fn tokens_are_brought_over(fixture: &dyn Fixture) {
    let store = fixture.open();
    let (tokens, inactive) = cargo(&*store);
    let (present, deactivated) = wait(store.import(tokens.clone(), inactive.clone(), false));
    assert_eq!(present, [true, false, false, true, false]);
    assert_eq!(deactivated, [InactiveActor::new("left", 2, "theirs")]);
    assert_eq!(wait(store.look_up(digest(1))).unwrap().actor_id, "mine", "what is there stays");
    let listed = wait(store.list(Page { conditions: of("root"), after: None, limit: 9 }));
    let created: Vec<_> = listed.iter().map(|record| record.created_at.unwrap()).collect();
    assert_eq!(created, [1_002, 1_003, 1_004], "in their order");
    let plain = wait(store.look_up(digest(2))).unwrap();
    assert_eq!(plain, known(plain.id, &tokens[1].token));
    let ended = wait(store.look_up(tokens[2].token.digest)).unwrap();
    let invalidated = tokens[2].invalidated.clone();
    assert_eq!(ended, Known { invalidated, ..known(ended.id, &tokens[2].token) });
    let record = record(&*store, ended.id);
    assert_eq!((record.updated_at, record.last_used_at, record.invalid_at), (Some(70), Some(80), Some(90)));
    assert_eq!((record.hint.as_deref(), record.note.as_deref()), (Some("dbt_…3"), Some("for the robot")));
    assert_eq!((record.extra["colour"].as_str(), record.auto_generated), (Some("red"), true));
    let inactive_actors = wait(store.list_inactive_actors(None, 9)).actors;
    assert_eq!(inactive_actors, [InactiveActor::new("gone", 5, "mine"), InactiveActor::new("left", 2, "theirs")]);

    let (present, deactivated) = wait(store.import(tokens, inactive, false));
    assert!(present.iter().all(|present| *present) && deactivated.is_empty());
    let later = keep(&*store, token(50, "root"));
    let everyone: HashSet<i64> = ids(&*store, Conditions::default()).into_iter().collect();
    assert!(everyone.len() == 5 && everyone.iter().all(|id| *id <= later));
}

pub(crate) fn a_dry_run_brings_nothing_over(fixture: &dyn Fixture) {
    let store = fixture.open();
    let (tokens, inactive) = cargo(&*store);
    let before = ids(&*store, Conditions::default());
    let dry = wait(store.import(tokens.clone(), inactive.clone(), true));
    assert_eq!(ids(&*store, Conditions::default()), before);
    assert_eq!(wait(store.list_inactive_actors(None, 9)).actors, [InactiveActor::new("gone", 5, "mine")]);
    assert_eq!(wait(store.import(tokens, inactive, false)), dry, "it tells what the real one does");
}

pub(crate) fn hosts_hear_of_changes(fixture: &dyn Fixture) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let (store, other) = (fixture.open(), fixture.open());
    wait(store.look_up(digest(1)));
    let cutoffs = Arc::new(Cutoffs::default());
    store.follow(Arc::clone(&cutoffs));
    let until = |what: &str, condition: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < PATIENCE, "not heard: {what}");
            thread::sleep(Duration::from_millis(1));
        }
    };
    until("that it hears", &|| cutoffs.hold(cutoffs.begin(), "root", "plain"));
    let id = keep(&*other, token(1, "root"));
    let guest = keep(&*other, token(2, "guest"));
    let root = || vec!["root".to_owned()];
    let note = || Change { note: Some("x".to_owned()), ..Change::default() };
    let invalidate_all = |of| drop(wait(other.invalidate(Which::All(of), 5, String::new())));
    let deeds: [(&str, bool, &dyn Fn()); 6] = [
        ("an update", false, &|| drop(wait(other.update(One::Id(id), note(), 2)))),
        ("an invalidation", false, &|| drop(wait(other.invalidate(Which::One(One::Id(id)), 3, String::new())))),
        ("a deactivation", false, &|| drop(wait(other.set_actors(root(), Some((4, String::new())))))),
        ("an activation", false, &|| drop(wait(other.set_actors(root(), None)))),
        ("an import", true, &|| drop(wait(other.import(vec![foreign(7)], vec![], false)))),
        ("an invalidation of many", false, &|| invalidate_all(of("root"))),
    ];
    for (what, is_about_everyone, deed) in deeds {
        let read = cutoffs.begin();
        assert!(cutoffs.hold(read, "root", "plain") && cutoffs.hold(read, "guest", "plain"), "before {what}");
        deed();
        until(what, &|| !cutoffs.hold(read, "root", "plain"));
        assert_eq!(cutoffs.hold(read, "guest", "plain"), !is_about_everyone, "{what}");
    }

    // What changes nobody's verdict is not told: what is told after it comes alone.
    let read = cutoffs.begin();
    wait(other.delete(1, false));
    wait(other.look_up(digest(1)));
    invalidate_all(of("nobody"));
    wait(other.import(vec![foreign(8)], vec![], true));
    wait(other.learn(Learned { uses: vec![(id, 9)], digests: vec![] }));
    wait(other.update(One::Id(guest), note(), 2));
    until("a guest's", &|| !cutoffs.hold(read, "guest", "plain"));
    assert!(cutoffs.hold(read, "root", "plain"));

    let read = cutoffs.begin();
    wait(store.update(One::Id(id), note(), 2));
    assert!(!cutoffs.hold(read, "root", "plain"), "a host knows of its own changes when the call returns");
    drop(store);
    until("that the store is gone", &|| !cutoffs.hold(cutoffs.begin(), "root", "plain"));
}

pub(crate) fn a_database_is_migrated_once(fixture: &dyn Fixture) {
    let stores: Vec<_> = (0..4).map(|_| fixture.open()).collect();
    let kept: Vec<i64> = thread::scope(|scope| {
        let host = |number: u64| {
            let store = &stores[number as usize];
            move || match number {
                0 => wait(store.migrate(false, 123)).to.into(),
                _ => keep(&**store, token(number, "root")),
            }
        };
        let hosts: Vec<_> = (0..4).map(|number| scope.spawn(host(number))).collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect()
    });
    assert_eq!(kept[0], i64::from(migrations::VERSION));
    assert_eq!(ids(&*stores[0], Conditions::default()).len(), 3);
    let again = wait(stores[0].migrate(false, 124));
    assert_eq!((again.from, again.to, again.steps.len()), (migrations::VERSION, migrations::VERSION, 0));
    assert_eq!(again.store, stores[0].name());
}

pub(crate) fn a_check_changes_nothing(fixture: &dyn Fixture) {
    let store = fixture.open();
    for _ in 0..2 {
        let told = wait(store.migrate(true, 123));
        assert_eq!((told.from, told.to), (0, migrations::VERSION));
        let titles: Vec<_> = told.steps.iter().map(|step| (step.version, step.title.as_str())).collect();
        assert_eq!(titles, migrations::STEPS.each_ref().map(|step| (step.version, step.title)));
    }
    let done = wait(store.migrate(false, 123));
    assert_eq!((done.from, done.to, done.steps.len()), (0, migrations::VERSION, migrations::STEPS.len()));
    let told = wait(store.migrate(true, 124));
    assert_eq!((told.from, told.steps.len()), (migrations::VERSION, 0));
}

pub(crate) fn a_newer_version_is_refused(fixture: &dyn Fixture) {
    let store = fixture.open();
    keep(&*store, token(1, "root"));
    fixture.execute(fixture.becoming_newer());
    let other = fixture.open();
    let expected = format!(
        "{}: it has the schema version 99, expected at most {}: a newer version of this program wrote it",
        other.name(),
        migrations::VERSION
    );
    for error in [
        pollster::block_on(other.look_up(digest(1))).unwrap_err(),
        pollster::block_on(other.insert(token(2, "root"))).unwrap_err(),
        pollster::block_on(other.record(One::Id(1))).unwrap_err(),
        pollster::block_on(other.migrate(true, 1)).unwrap_err(),
        pollster::block_on(other.migrate(false, 1)).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), expected);
    }
}
