//! Tokens that a database keeps: how they are made, what is kept of them, and what is said to them.

use std::{fs, thread};

use serde_json::{Map, Value, json};
use token_host::{
    Actor, CreateToken, ErrorKind, EventKind, Expires, Host, ReasonKind, SetActors, TokenDetails, TokenRestrictions,
    UpdateToken, block_on,
};
use token_host_tests::{Made, Place, Plugin, Said, invalidate, listed, on_each_database, said, wait_until};

on_each_database! {
    everything_that_is_said_of_a_token_is_kept,
    the_command_line_makes_and_shows_it_all,
    each_generator_makes_its_own_kind_of_token,
    a_value_that_is_taken_is_tried_again_and_again_and_then_given_up,
    what_is_kept_never_tells_the_token,
    peppers_can_be_changed_one_after_the_other,
    a_token_expires_at_the_second_it_says,
    invalid_tokens_are_refused_in_djblets_words,
    a_deactivated_actor_has_no_good_tokens,
    uses_are_written_together_and_verifications_write_nothing,
    restrictions_come_back_as_they_were,
    texts_of_any_kind_are_kept_as_they_are,
    what_cannot_be_kept_is_refused,
    policies_decide_and_faulty_ones_are_refused,
}

const NOW: u64 = Place::NOW;

fn details(change: impl FnOnce(&mut TokenDetails)) -> TokenDetails {
    let mut details = TokenDetails::default();
    change(&mut details);
    details
}

fn made_by(generator: &str, token_info: Value) -> CreateToken {
    let Value::Object(token_info) = token_info else { panic!("expected an object") };
    let details = details(|details| {
        details.token_generator_id = Some(generator.to_owned());
        details.token_info = token_info;
    });
    CreateToken::new("root").with_details(details)
}

fn actor(host: &Host, token: &str) -> Actor {
    host.verify_token_blocking(token).unwrap().unwrap()
}

fn kind_of<T: std::fmt::Debug>(answer: Result<T, token_host::Error>) -> ErrorKind {
    answer.unwrap_err().kind().clone()
}

fn everything_that_is_said_of_a_token_is_kept(place: Place) {
    let host = place.host();
    let mut events = host.subscribe();
    let policy = json!({ "resources": { "*": { "allow": ["GET"] } } });
    let restrictions = TokenRestrictions::nothing().allow_all("view-instance").allow_resource("d", "t", "insert-row");
    let details = details(|details| {
        details.note = Some("for the tests".to_owned());
        details.policy = Some(policy.clone());
        details.auto_generated = true;
        details.extra = Map::from_iter([("team".to_owned(), json!({ "id": 7, "names": ["a", null] }))]);
    });
    let mut request = CreateToken::new("root").expires_after(600).with_details(details);
    request.restrictions = Some(restrictions.clone());
    let made = Made::of(&host, &request).unwrap();
    let hint = format!("tht_...{}", &made.token[made.token.len() - 4..]);
    let mut expected = json!({
        "id": made.id, "actor_id": "root", "token_generator_id": "token_host", "created_at": NOW, "updated_at": NOW,
        "expires_at": NOW + 600, "valid": true, "restrictions": restrictions, "note": "for the tests",
        "policy": policy, "auto_generated": true, "hint": hint, "deprecated": false,
        "extra": { "team": { "id": 7, "names": ["a", null] } },
    });
    assert_eq!(json!(made.record(&host)), expected);
    let by_value = block_on(host.get_token(None, &made.by_value())).unwrap();
    assert_eq!(json!(by_value), expected);
    assert_eq!(json!(listed(&host, |_| {})), json!([expected]));
    let created = std::iter::from_fn(|| events.try_next()).find(|event| event.kind == EventKind::TokenCreated).unwrap();
    let told = (created.auto_generated, created.actor_id.as_deref(), created.token_id.as_deref());
    assert_eq!(told, (true, Some("root"), Some(made.id.as_str())));

    place.clock.set(NOW + 9);
    assert!(made.is_good(&host));
    invalidate(&host, made.by_id(), "it leaked").unwrap();
    expected["last_used_at"] = json!(NOW + 9);
    expected["valid"] = json!(false);
    (expected["invalid_at"], expected["invalid_reason"]) = (json!(NOW + 9), json!("it leaked"));
    assert_eq!(json!(made.record(&host)), expected);

    let plain = json!(Made::by(&host, "root").record(&host));
    for missing in ["expires_at", "restrictions", "note", "policy", "last_used_at", "invalid_at", "extra"] {
        assert!(plain.get(missing).is_none(), "{missing}: {plain}");
    }
}

fn the_command_line_makes_and_shows_it_all(place: Place) {
    let scratch = &place.scratch;
    let policy = json!({ "resources": { "*": { "block": ["*"] } } });
    let made = scratch.run([
        "create",
        "root",
        "--expires-after=1h",
        "--note=for tests",
        "--extra=team=7",
        "--auto-generated",
        "--all=view-instance",
        "--generator=vendor_checksum",
        "--token-info=token_type=acme",
        "--policy",
        &policy.to_string(),
        "--json",
    ]);
    assert_eq!(made.code(), 0, "{made}");
    let made = made.json();
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    let verified = scratch.run(["verify", token]);
    assert_eq!((verified.code(), &verified.json()["id"]), (0, &json!("root")), "{verified}");
    let shown = scratch.feed(["show", "--token", "-", "--json"], token.as_bytes()).json();
    let expected = json!({
        "id": id, "actor_id": "root", "token_generator_id": "vendor_checksum", "created_at": shown["created_at"],
        "updated_at": shown["created_at"], "last_used_at": shown["last_used_at"], "expires_at": made["expires_at"],
        "valid": true, "restrictions": { "a": ["vi"] }, "note": "for tests", "policy": policy,
        "auto_generated": true, "hint": format!("acme_...{}", &token[token.len() - 4..]), "deprecated": false,
        "extra": { "team": 7 },
    });
    assert_eq!(shown, expected);
    assert!(shown["last_used_at"].is_u64(), "the verifying process wrote it at its end: {shown}");
    assert_eq!(made["expires_at"].as_u64().unwrap() - shown["created_at"].as_u64().unwrap(), 3600);
    assert_eq!(scratch.run(["show", "--id", id, "--json"]).json(), expected);
    assert_eq!(scratch.run(["list", "--json"]).json()["tokens"], json!([expected]));
    for (arguments, code, said) in [
        (&["create", "root", "--generator=none"][..], 4, "Could not find the token generator"),
        (&["create", "root", "--generator=vendor_checksum"], 2, "token_type"),
        (&["create", "root", "--kind=refresh"], 2, "not supported"),
        (&["show", "--id=99"], 1, "not found"),
        (&["show", "--id=x"], 1, "not found"),
    ] {
        let run = scratch.run(arguments);
        assert!(run.code() == code && run.stderr.contains(said), "{arguments:?}: {run}");
    }
}

fn each_generator_makes_its_own_kind_of_token(place: Place) {
    let host = place.host();
    for (request, prefix, length, is_deprecated) in [
        (made_by("token_host", json!({})), "tht_", 53, false),
        (made_by("vendor_checksum", json!({ "token_type": "acme" })), "acme_", 255, false),
        (made_by("legacy_sha1", json!({ "user": 1, "attempt": 0 })), "", 40, true),
    ] {
        let before = request.clone();
        let made = Made::of(&host, &request).unwrap();
        assert_eq!(request, before);
        assert!(made.token.starts_with(prefix) && made.token.len() == length, "{}", made.token);
        let actor = json!(actor(&host, &made.token));
        assert_eq!(actor["token"], "database", "{actor}");
        assert_eq!(actor["token_id"], json!(made.id), "{actor}");
        assert_eq!(actor.get("token_deprecated"), is_deprecated.then_some(&json!(true)), "{actor}");
        let record = made.record(&host);
        assert_eq!(record.deprecated, is_deprecated);
        assert_eq!(record.token_generator_id, request.details().token_generator_id);
    }
    let unknown = host.create_token_blocking(&made_by("none", json!({}))).unwrap_err();
    assert_eq!(*unknown.kind(), ErrorKind::TokenGeneration, "{unknown}");
    for (generator, missing) in [("vendor_checksum", "token_type"), ("legacy_sha1", "user")] {
        let kind = kind_of(host.create_token_blocking(&made_by(generator, json!({}))));
        assert_eq!(kind, ErrorKind::MissingTokenInfo(missing.to_owned()));
    }
    assert_eq!(listed(&host, |_| {}).len(), 3, "nothing is kept of what was not made");

    let mut place = place;
    place.set("prefix = 'acme_api'\ndefault_token_generator = 'vendor_checksum'\ndeprecated_token_generators = []");
    let host = place.host();
    let made = Made::of(&host, &made_by("token_host", json!({}))).unwrap();
    assert!(made.token.starts_with("acme_api_"), "{}", made.token);
    assert_eq!(
        kind_of(host.create_token_blocking(&CreateToken::new("root"))),
        ErrorKind::MissingTokenInfo("token_type".to_owned())
    );
    assert!(listed(&host, |_| {}).iter().all(|record| !record.deprecated));
}

fn a_value_that_is_taken_is_tried_again_and_again_and_then_given_up(mut place: Place) {
    place.set("accept = ['token_host', 'guess']");
    let guess = "generators = [{ id = 'guess', generate = 'attempt' }]";
    place.scratch.plugin("hostile", Plugin::Hostile, guess);
    let host = place.host();
    let create = |seed: &str, most: u32| {
        let mut request = made_by("guess", json!({ "seed": seed, "attempt": 0 }));
        let mut details = request.details().clone();
        details.max_attempts = most;
        request = request.with_details(details);
        Made::of(&host, &request)
    };
    let made: Vec<Made> = (0..3).map(|_| create("x", 3).unwrap()).collect();
    let values: Vec<&str> = made.iter().map(|made| made.token.as_str()).collect();
    assert_eq!(values, ["guess_x0", "guess_x1", "guess_x2"], "the attempts are counted");
    assert!(made.iter().all(|made| made.is_good(&host)));
    let error = create("x", 3).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TokenGeneration);
    assert!(error.to_string().contains("Could not create a unique API token. Please try again."), "{error}");
    assert_eq!(create("x", 4).unwrap().token, "guess_x3");
    assert_eq!(listed(&host, |_| {}).len(), 4);
    let run = place.scratch.run([
        "create",
        "root",
        "--generator=guess",
        "--token-info=seed=x",
        "--token-info=attempt=0",
        "--max-attempts=4",
    ]);
    assert!(run.code() == 4 && run.stderr.contains("Could not create a unique API token"), "{run}");

    place.set("accept = ['token_host']");
    place.scratch.plugin("hostile", Plugin::Hostile, guess);
    let host = place.host();
    let error = Made::of(&host, &made_by("guess", json!({ "seed": "y" }))).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::TokenGeneration, "nobody would accept it: {error}");
    assert_eq!(said(&host, "guess_x0"), Said::Unknown);
}

#[test]
fn scanners_are_told_what_to_look_for() {
    let place = Place::sqlite();
    let listing = place.scratch.run(["plugins"]).stdout;
    let line = |name: &str| listing.lines().find(|line| line.starts_with(&format!("{name} ")) && line.contains('\\'));
    assert!(line("token_host").is_some_and(|line| line.contains(r"\btht_[0-9A-Za-z]{49}\b")), "{listing}");
    assert!(line("vendor_checksum").is_some_and(|line| line.contains("_[0-9A-Za-z]{")), "{listing}");
    assert!(line("legacy_sha1").is_none(), "it looks like much else: {listing}");
    let rows = place.scratch.run(["plugins", "--json"]).json();
    let patterns = rows["plugins"].as_array().unwrap().iter().filter(|row| row["pattern"].is_string());
    assert_eq!(patterns.count(), 2, "{rows}");
    assert!(place.sqlite_files().is_empty(), "nothing is opened for it");
}

#[test]
fn a_wrong_checksum_is_refused_without_asking_the_database() {
    let mut place = Place::sqlite();
    let made = [
        Made::by(&place.host(), "root"),
        Made::of(&place.host(), &made_by("vendor_checksum", json!({ "token_type": "acme" }))).unwrap(),
    ];
    for name in place.sqlite_files().into_keys() {
        fs::remove_file(place.scratch.join(name)).unwrap();
    }
    place.set("migrate = false").keys("breaker_failures = 0");
    let host = place.host();
    for made in made {
        assert!(made.fails(&host), "the database would have to be asked");
        let last = made.token.len() - 1;
        let other = if made.token.ends_with('0') { '1' } else { '0' };
        let mistyped = format!("{}{other}", &made.token[..last]);
        let expected = Said::Bad(ReasonKind::BadSignature, "the checksum of the token does not fit".to_owned());
        assert_eq!(said(&host, &mistyped), expected);
        assert_eq!(place.scratch.run(["verify", &mistyped]).code(), 1);
        assert_eq!(place.scratch.run(["verify", &made.token]).code(), 5);
    }
    assert_eq!(said(&host, "something else"), Said::Unknown);
    assert_eq!(said(&host, ""), Said::Unknown);
    assert!(place.sqlite_files().is_empty());
}

const OLD: &str = "an old pepper, long enough";
const NEW: &str = "a new pepper, long enough";

fn what_is_kept_never_tells_the_token(mut place: Place) {
    for pepper in [String::new(), format!("pepper = '{NEW}'")] {
        place.set(&pepper);
        let host = place.host();
        let made = [
            Made::by(&host, "root"),
            Made::of(&host, &made_by("vendor_checksum", json!({ "token_type": "acme" }))).unwrap(),
            Made::of(&host, &made_by("legacy_sha1", json!({ "user": 1, "attempt": 0 }))).unwrap(),
        ];
        for made in &made {
            assert!(made.is_good(&host));
            made.record(&host);
        }
        invalidate(&host, made[0].by_value(), "it leaked").unwrap();
        let _ = said(&host, &format!("{}x", made[0].token));
        let while_open = place.stolen();
        drop(host);
        for stolen in [while_open, place.stolen()] {
            assert!(found(&stolen, b"it leaked"), "this is where it is kept");
            for Made { token, .. } in &made {
                // In hexadecimal too, and no longer part of it than what a hint shows.
                let hint = token.len() - 4;
                for part in [token.as_str(), &token[8..24], &token[hint - 8..hint], &token[hint - 1..]] {
                    let hex: String = part.bytes().map(|byte| format!("{byte:02x}")).collect();
                    assert!(!found(&stolen, part.as_bytes()) && !found(&stolen, hex.as_bytes()), "{part} of {token}");
                }
                assert!(found(&stolen, &token.as_bytes()[hint..]), "a hint is there");
            }
            for secret in [NEW.as_bytes(), &NEW.as_bytes()[..12]] {
                assert!(!found(&stolen, secret));
            }
        }
    }
}

fn found(where_to_look: &[u8], bytes: &[u8]) -> bool {
    where_to_look.windows(bytes.len()).any(|window| window == bytes)
}

fn peppers_can_be_changed_one_after_the_other(mut place: Place) {
    let plain = Made::by(&place.host(), "root");
    let idle = Made::by(&place.host(), "root");
    place.set(&format!("pepper = '{OLD}'"));
    let host = place.host();
    let peppered = Made::by(&host, "root");
    assert!(plain.is_good(&host), "made before there was a pepper");
    drop(host);

    place.set(&format!("pepper = '{NEW}'"));
    let host = place.host();
    assert_eq!(peppered.said(&host), Said::Unknown, "the old pepper is needed for it");
    assert_eq!(plain.said(&host), Said::Unknown, "it was moved to the old pepper when it was used");
    assert!(idle.is_good(&host), "this was never used");
    drop(host);

    place.set(&format!("pepper = ['{NEW}', '{OLD}']"));
    let host = place.host();
    let new = Made::by(&host, "root");
    for made in [&plain, &peppered, &idle, &new] {
        assert!(made.is_good(&host));
        assert_eq!(block_on(host.get_token(None, &made.by_value())).unwrap().unwrap().id, made.id);
    }
    drop(host);

    place.set(&format!("pepper = '{NEW}'"));
    let host = place.host();
    for made in [&plain, &peppered, &idle, &new] {
        assert!(made.is_good(&host), "each was moved to the new pepper");
        assert_eq!(block_on(host.get_token(None, &made.by_value())).unwrap().unwrap().id, made.id);
    }
    drop(host);
    place.set("");
    let host = place.host();
    assert!([&plain, &peppered, &idle, &new].iter().all(|made| made.said(&host) == Said::Unknown));
}

fn a_token_expires_at_the_second_it_says(mut place: Place) {
    let host = place.host();
    let made = Made::of(&host, &CreateToken::new("root").expires_after(60)).unwrap();
    place.clock.set(NOW + 59);
    assert_eq!(json!(actor(&host, &made.token))["token_expires"], NOW + 60);
    place.clock.set(NOW + 60);
    let message = "This API token expired on 2023-11-14 22:14:20 UTC.".to_owned();
    assert_eq!(made.said(&host), Said::Bad(ReasonKind::Expired, message));
    place.clock.set(NOW + 59);
    assert!(made.is_good(&host));
    assert_eq!(kind_of(Made::of(&host, &CreateToken::new("root").expires_after(0))), ErrorKind::InvalidArgument);
    assert_eq!(kind_of(Made::of(&host, &CreateToken::new("root").expires_after(u64::MAX))), ErrorKind::InvalidArgument);

    place.set("default_expires_seconds = 5");
    let host = place.host();
    let expiries = [CreateToken::new("root"), CreateToken::new("root").expires_after(7)]
        .map(|request| Made::of(&host, &request).unwrap().record(&host).expires_at);
    assert_eq!(expiries, [Some(NOW + 59 + 5), Some(NOW + 59 + 7)]);
}

fn invalid_tokens_are_refused_in_djblets_words(place: Place) {
    let host = place.host();
    let (with_reason, without, expired) = (
        Made::by(&host, "root"),
        Made::by(&host, "root"),
        Made::of(&host, &CreateToken::new("root").expires_after(1)).unwrap(),
    );
    invalidate(&host, with_reason.by_value(), "it leaked").unwrap();
    invalidate(&host, without.by_id(), "").unwrap();
    place.clock.set(NOW + 100);
    invalidate(&host, expired.by_id(), "late").unwrap();
    let date = "2023-11-14 22:13:20 UTC";
    for (made, message) in [
        (&with_reason, format!("This API token became invalid on {date}: it leaked")),
        (&without, format!("This API token became invalid on {date}.")),
        (&expired, "This API token became invalid on 2023-11-14 22:15:00 UTC: late".to_owned()),
    ] {
        assert_eq!(made.said(&host), Said::Bad(ReasonKind::Revoked, message.clone()));
        let run = place.scratch.run(["verify", &made.token]);
        assert!(run.code() == 1 && run.stderr.contains(&message), "{run}");
    }
    assert!(invalidate(&host, with_reason.by_id(), "another reason").unwrap().is_empty());
    place.clock.set(NOW + 200);
    assert!(matches!(with_reason.said(&host), Said::Bad(_, message) if message.ends_with("22:13:20 UTC: it leaked")));
}

fn a_deactivated_actor_has_no_good_tokens(place: Place) {
    let host = place.host();
    let (theirs, others) = (Made::by(&host, "root"), Made::by(&host, "guest"));
    let actors = || vec!["root".to_owned(), "never seen".to_owned()];
    let changed = block_on(host.set_actors(None, &SetActors::deactivate(actors(), "they left"))).unwrap();
    assert_eq!(changed.len(), 2);
    let message = "The owner of this API token was deactivated on 2023-11-14 22:13:20 UTC.".to_owned();
    assert_eq!(theirs.said(&host), Said::Bad(ReasonKind::Disabled, message));
    assert!(others.is_good(&host));
    let made_meanwhile = Made::by(&host, "root");
    assert!(!made_meanwhile.is_good(&host));
    assert!(theirs.record(&host).valid, "nothing happened to the token");
    place.clock.set(NOW + 5);
    assert!(block_on(host.set_actors(None, &SetActors::deactivate(actors(), "again"))).unwrap().is_empty());
    let page = block_on(host.list_inactive_actors(None, &token_host::ListActors::default())).unwrap();
    let shown: Vec<_> = page.actors.iter().map(|a| (a.actor_id.as_str(), a.since, a.reason.as_str())).collect();
    assert_eq!(shown, [("never seen", NOW, "they left"), ("root", NOW, "they left")], "the first reason stays");
    let run = place.scratch.run(["actor", "activate", "root"]);
    assert_eq!((run.code(), run.stdout.as_str()), (0, "activated: root\n"), "{run}");
    assert!(theirs.is_good(&host) && made_meanwhile.is_good(&host));
    let run = place.scratch.run(["actor", "list"]);
    assert!(run.stdout.contains("they left") && !run.stdout.contains("root"), "{run}");
    assert!(block_on(host.set_actors(None, &SetActors::deactivate([""; 0], ""))).unwrap().is_empty());
    for bad in ["", &"x".repeat(1025), "a\0b"] {
        let request = SetActors::deactivate(vec![bad.to_owned()], "");
        assert_eq!(kind_of(block_on(host.set_actors(None, &request))), ErrorKind::InvalidArgument);
    }
}

fn uses_are_written_together_and_verifications_write_nothing(mut place: Place) {
    place.set("last_used_seconds = 3600");
    let host = place.host();
    let made: Vec<Made> = (0..3).map(|_| Made::by(&host, "root")).collect();
    assert_eq!(made[0].record(&host).last_used_at, None);
    assert!(made[0].is_good(&host), "what is opened is open");
    made[0].record(&host);
    let kept = || match place.file() {
        Some(_) => format!("{:?}", place.sqlite_files()),
        None => {
            place.sql("SELECT xmin, ctid, * FROM tokens ORDER BY id; SELECT xmin, ctid, * FROM token_uses ORDER BY id")
        }
    };
    let before = kept();
    for second in 1..=1000 {
        place.clock.set(NOW + second);
        assert!(made[(second % 3) as usize].is_good(&host));
    }
    assert!(kept() == before, "a verification writes nothing");
    let used: Vec<Option<u64>> = listed(&host, |_| {}).iter().map(|record| record.last_used_at).collect();
    assert_eq!(used, [Some(NOW + 999), Some(NOW + 1000), Some(NOW + 998)], "a listing knows of the latest");
    assert!(kept() != before);
    place.clock.set(NOW + 2000);
    assert!(made[0].is_good(&host));
    place.clock.set(NOW + 1500);
    assert!(made[0].is_good(&host), "a clock that was set back");
    drop(host);
    let host = place.host();
    assert_eq!(made[0].record(&host).last_used_at, Some(NOW + 2000), "a clean stop writes it");
    invalidate(&host, made[1].by_id(), "").unwrap();
    place.clock.set(NOW + 3000);
    assert!(!made[1].is_good(&host));
    assert_eq!(made[1].record(&host).last_used_at, Some(NOW + 1000), "who is refused does not use it");

    place.set("last_used_seconds = 1");
    let host = place.host();
    assert!(made[0].is_good(&host));
    let id = &made[0].id;
    wait_until("it is written by itself", || {
        let written = place.sql(&format!("SELECT last_used_at FROM token_uses WHERE id = {id}"));
        (written == (NOW + 3000).to_string()).then_some(())
    });
    place.set("last_used_seconds = 0");
    drop(host);
    let host = place.host();
    place.clock.set(NOW + 4000);
    assert!(made[0].is_good(&host));
    assert_eq!(made[0].record(&host).last_used_at, Some(NOW + 3000), "it is not noted");
}

fn restrictions_come_back_as_they_were(place: Place) {
    let host = place.host();
    let nothing = TokenRestrictions::nothing();
    let some = nothing.clone().allow_all("view-instance").allow_database("döcs", "view-table").allow_resource(
        "docs",
        "pa\"ges'",
        "insert-row",
    );
    let restricted = |restrictions: &TokenRestrictions| {
        let mut request = CreateToken::new("root");
        request.restrictions = Some(restrictions.clone());
        Made::of(&host, &request).unwrap()
    };
    for restrictions in [&nothing, &some] {
        let made = restricted(restrictions);
        // In the short form that Datasette has for them.
        assert_eq!(json!(made.record(&host).restrictions), json!(restrictions));
        assert_eq!(json!(actor(&host, &made.token))["_r"], json!(restrictions));
    }
    let held = actor(&host, &restricted(&some).token);
    assert!(
        held.allows("insert-row", Some("docs"), Some("pa\"ges'")) && !held.allows("insert-row", Some("docs"), None)
    );
    assert!(!actor(&host, &restricted(&nothing).token).allows("view-instance", None, None));
    assert!(actor(&host, &Made::by(&host, "root").token).restrictions().is_none());
}

/// What a database might take for something else than text.
const TEXTS: [&str; 12] = [
    "'; DROP TABLE tokens; --",
    "\" OR 1=1 --",
    "$1 ?1 :a @b %s {} \\",
    "100% _under_ [a-z]*",
    "rööt@例え.テスト",
    "👩‍👩‍👧\u{202e}\u{feff}",
    "tab\tline\r\nend\u{1}\u{7f}",
    "null",
    "\\x00 \\u0000 E'\\'",
    " leading and trailing ",
    "everyone",
    "actor root",
];

fn texts_of_any_kind_are_kept_as_they_are(place: Place) {
    let host = place.host();
    for text in TEXTS {
        let details = details(|details| {
            details.note = Some(text.to_owned());
            details.extra = Map::from_iter([(text.to_owned(), json!(text))]);
            details.policy = Some(json!({ "resources": { "*": { "allow": [text] } } }));
        });
        let made = Made::of(&host, &CreateToken::new(text).with_details(details)).unwrap();
        let found = listed(&host, |filter| {
            filter.actors = token_host::Actors::These(vec![text.to_owned()]);
            filter.note_contains = Some(text.to_owned());
            filter.policy = Some(json!({ "resources": { "*": { "allow": [text] } } }));
        });
        assert_eq!(found.iter().map(|record| &record.id).collect::<Vec<_>>(), [&made.id], "{text}");
        let record = &found[0];
        assert_eq!((record.actor_id.as_str(), record.note.as_deref()), (text, Some(text)));
        assert_eq!(json!(record.extra), json!({ text: text }));
        let actor = actor(&host, &made.token);
        assert!(actor.id() == text && actor.allows_resource("x", text, None), "{text}");
        assert_eq!(invalidate(&host, made.by_id(), text).unwrap(), [made.id.as_str()]);
        assert!(matches!(made.said(&host), Said::Bad(_, message) if message.ends_with(&format!(" UTC: {text}"))));
        let generator = listed(&host, |filter| filter.token_generator_id = Some(text.to_owned()));
        assert!(generator.is_empty(), "{text}");
        assert_eq!(kind_of(Made::of(&host, &made_by(text, json!({})))), ErrorKind::TokenGeneration);
        let id = token_host::TokenSelector::Id(text.to_owned());
        assert_eq!(block_on(host.get_token(None, &id)).unwrap(), None);
        let deactivate = SetActors::deactivate(vec![text.to_owned()], text);
        assert_eq!(block_on(host.set_actors(None, &deactivate)).unwrap().len(), 1);
    }
    assert_eq!(listed(&host, |_| {}).len(), TEXTS.len());
}

fn what_cannot_be_kept_is_refused(place: Place) {
    let host = place.host();
    let large = "x".repeat(1 << 20);
    let with = |change: &dyn Fn(&mut TokenDetails)| CreateToken::new("root").with_details(details(change));
    let note = |text: &str| with(&|details| details.note = Some(text.to_owned()));
    let extra = |text: &str| with(&|details| drop(details.extra.insert("k".to_owned(), json!(text))));
    let policy =
        |text: &str| with(&|details| details.policy = Some(json!({ "resources": { "*": { "allow": [text] } } })));
    let mut restricted = CreateToken::new("root");
    restricted.restrictions = Some(TokenRestrictions::nothing().allow_all(large.clone()));
    let requests = [
        CreateToken::new(""),
        CreateToken::new("x".repeat(1025)),
        CreateToken::new("a\0b"),
        note("a\0b"),
        note(&large),
        extra(&large),
        policy(&large),
        restricted,
    ];
    for (number, request) in requests.iter().enumerate() {
        assert_eq!(kind_of(Made::of(&host, request)), ErrorKind::InvalidArgument, "request {number}");
    }
    assert!(Made::of(&host, &CreateToken::new("x".repeat(1024))).is_ok());
    let made = Made::of(&host, &note(&"x".repeat(64 * 1024))).unwrap();
    let update = |change: &dyn Fn(&mut UpdateToken)| {
        let mut request = UpdateToken::new(made.by_id());
        change(&mut request);
        kind_of(block_on(host.update_token(None, &request)))
    };
    for kind in [
        update(&|request| request.note = Some("a\0b".to_owned())),
        update(&|request| request.note = Some(large.clone())),
        update(&|request| request.expires = Some(Expires::At(NOW))),
        update(&|request| request.expires = Some(Expires::At(u64::MAX))),
        update(&|request| request.policy = Some(json!([]))),
        kind_of(invalidate(&host, made.by_id(), "a\0b")),
        kind_of(invalidate(&host, made.by_id(), &large)),
    ] {
        assert_eq!(kind, ErrorKind::InvalidArgument);
    }
    assert!(made.is_good(&host), "nobody's failure, and the plugin is not switched off for it");
    let note = "x".repeat(100_000);
    for arguments in [
        &["create", ""][..],
        &["create", "root", "--note", &note],
        &["create", "root", "--note-from", "x"],
        &["update", "--id", &made.id, "--expires=2001-01-01"],
        &["invalidate", "--id", &made.id, "--reason", &note],
        &["actor", "deactivate", "", "--yes"],
        &["list", "--after=nonsense"],
    ] {
        assert_eq!(place.scratch.run(arguments).code(), 2, "{}", arguments[0]);
    }
    assert_eq!(listed(&host, |_| {}).len(), 2);
}

fn policies_decide_and_faulty_ones_are_refused(mut place: Place) {
    let with_policy = |policy: &Value| {
        CreateToken::new("root").with_details(details(|details| details.policy = Some(policy.clone())))
    };
    let policy = json!({ "resources": {
        "*": { "allow": ["GET"], "block": ["*"] },
        "review": { "42": { "allow": ["PUT"] } },
    } });
    let faults = [
        (json!([]), "The policy must be a JSON object."),
        (json!({ "resources": {} }), r#"The policy's "resources" section must not be empty."#),
        (json!({ "a": 1 }), r#"The policy is missing a "resources" section."#),
        (json!({ "resources": { "x": ["GET"] } }), r#"The "resources.x" section must be a JSON object."#),
        (
            json!({ "resources": { "*": { "allow": "GET" } } }),
            r#"The "resources.*" section's "allow" rule must be a list."#,
        ),
    ];
    let host = place.host();
    let made = Made::of(&host, &with_policy(&policy)).unwrap();
    let allowed = |host: &Host, made: &Made, id| {
        let actor = actor(host, &made.token);
        ["GET", "PUT", "POST"].map(|method| actor.allows_resource("review", method, id))
    };
    assert_eq!(allowed(&host, &made, None), [true, false, false]);
    assert_eq!(allowed(&host, &made, Some("42")), [true, true, false]);
    let free = [Made::by(&host, "root"), Made::of(&host, &with_policy(&json!({}))).unwrap()];
    assert!(free.iter().all(|made| allowed(&host, made, None) == [true; 3] && made.record(&host).policy.is_none()));
    let item = json!({ "resources": { "review": { "42": { "allow": ["PUT"] } } } });
    let item = Made::of(&host, &with_policy(&item)).unwrap();
    assert_eq!(allowed(&host, &item, None), [true; 3], "what no rule names is allowed");
    for (faulty, message) in &faults {
        let mut update = UpdateToken::new(made.by_id());
        update.policy = Some(faulty.clone());
        let errors = [
            Made::of(&host, &with_policy(faulty)).unwrap_err(),
            block_on(host.update_token(None, &update)).unwrap_err(),
        ];
        for error in errors {
            assert!(*error.kind() == ErrorKind::InvalidArgument && error.to_string().contains(message), "{error}");
        }
        let text = faulty.to_string();
        let run = place.scratch.run(["create", "root", "--policy", &text]);
        assert!(run.code() == 2 && run.stderr.contains(message), "{run}");
    }
    assert_eq!(made.record(&host).policy, Some(policy.clone()), "it is as it was");
    let mut update = UpdateToken::new(made.by_id());
    update.policy = Some(json!({ "resources": { "*": { "allow": ["*"] } } }));
    block_on(host.update_token(None, &update)).unwrap();
    assert_eq!(allowed(&host, &made, None), [true; 3]);
    update.policy = Some(Value::Null);
    assert_eq!(block_on(host.update_token(None, &update)).unwrap().policy, None);
    assert_eq!(allowed(&host, &made, None), [true; 3]);

    place.set("policy_default = 'deny'\npolicy_resources = ['review']");
    let host = place.host();
    assert_eq!(allowed(&host, &item, None), [false; 3]);
    assert_eq!(allowed(&host, &item, Some("42")), [false, true, false]);
    assert_eq!(json!(actor(&host, &item.token))["policy_default"], "deny");
    assert_eq!(allowed(&host, &free[0], None), [true; 3], "a token without a policy is one with full access");
    let unknown = json!({ "resources": { "user": { "*": { "allow": ["GET"] } } } });
    let error = Made::of(&host, &with_policy(&unknown)).unwrap_err();
    assert!(error.to_string().contains(r#""user" is not a valid resource policy ID."#), "{error}");
    assert!(Made::of(&host, &with_policy(&policy)).is_ok());
}

#[test]
fn a_host_that_never_had_to_has_no_file() {
    let place = Place::sqlite();
    let host = place.host();
    assert_eq!(said(&host, &Made::by(&Place::sqlite().host(), "root").token), Said::Unknown);
    assert!(listed(&host, |_| {}).is_empty());
    let again = host.clone();
    thread::spawn(move || drop(again)).join().unwrap();
    drop(host);
    assert!(place.sqlite_files().is_empty(), "to look is not to create");
    assert_eq!(place.scratch.run(["check"]).code(), 0);
    assert!(place.sqlite_files().is_empty());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        Made::by(&place.host(), "root");
        let mode = fs::metadata(place.file().unwrap()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "for its owner alone");
    }
}
