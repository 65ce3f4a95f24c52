//! Revocation of JSON Web Tokens: one by one and by their age, at once in the process that does it, and soon in others.

use std::{fs, thread};

use serde_json::{Value, json};
use token_host::{
    Actors, CreateToken, ErrorKind, EventKind, Host, InvalidateTokens, ReasonKind, TokenFilter, TokenSelector,
};
use token_host_tests::{HS256, JWT_SECRET, Plugin, Scratch, SetClock, jwt, wait_until};

const NOW: u64 = 1_700_000_000;

struct Place {
    scratch: Scratch,
    clock: SetClock,
}

impl Place {
    fn new(settings: &str) -> Self {
        let mut scratch = Scratch::new();
        let settings = format!("secret = '{JWT_SECRET}'\nrevocation = {{ poll_ms = 100 }}\n{settings}");
        scratch.plugin("jwt", Plugin::Jwt, &settings);
        Self { scratch, clock: SetClock::at(NOW) }
    }

    fn host(&self) -> Host {
        Host::builder().config_file(self.scratch.config()).clock(self.clock.clone()).build().unwrap()
    }
}

fn create(host: &Host, actor: &str) -> (String, String) {
    let created = host.create_token_blocking(&CreateToken::new(actor)).unwrap();
    (created.token, created.id.unwrap())
}

fn is_good(host: &Host, token: &str) -> bool {
    match host.verify_token_blocking(token) {
        Ok(actor) => actor.is_some(),
        Err(error) => {
            let ErrorKind::TokenInvalid(reason) = error.kind() else { panic!("{error}") };
            assert_eq!((reason.kind(), reason.message()), (ReasonKind::Revoked, "token has been revoked"));
            false
        }
    }
}

/// Revokes tokens by their ids, whoever they belong to.
fn revoke(host: &Host, ids: impl IntoIterator<Item = String>) {
    for id in ids {
        assert_eq!(invalidate(host, TokenSelector::Id(id.clone())).0, [(id, String::new())]);
    }
}

fn revoke_by_command(scratch: &Scratch, id: &str) {
    let run = scratch.run(["invalidate", "--id", id]);
    assert_eq!(run.code(), 0, "{run}");
}

/// The ids of all revoked tokens, as the file has them.
fn revoked(host: &Host) -> Vec<String> {
    let mut filter = TokenFilter::of(Actors::Everyone);
    (filter.valid, filter.limit) = (Some(false), Some(1000));
    let listed = pollster::block_on(host.list_tokens(Some("jwt"), &filter)).unwrap();
    listed.tokens.into_iter().map(|token| token.id).collect()
}

/// Ids with their actors, and actors with times.
type Invalidated = (Vec<(String, String)>, Vec<(Option<String>, u64)>);

fn invalidate(host: &Host, tokens: TokenSelector) -> Invalidated {
    let done = host.invalidate_tokens_blocking(Some("jwt"), &InvalidateTokens::new(tokens, "it leaked")).unwrap();
    let tokens = done.tokens.into_iter().map(|token| (token.id, token.actor_id)).collect();
    (tokens, done.cutoffs.into_iter().map(|cutoff| (cutoff.actor_id, cutoff.created_before)).collect())
}

fn of_actors(actors: &[&str], created_before: Option<u64>) -> TokenSelector {
    let mut filter = TokenFilter::of(Actors::These(actors.iter().map(|actor| (*actor).to_owned()).collect()));
    filter.created_before = created_before;
    TokenSelector::Filter(filter)
}

fn everyones(created_before: Option<u64>) -> TokenSelector {
    let mut filter = TokenFilter::of(Actors::Everyone);
    filter.created_before = created_before;
    TokenSelector::Filter(filter)
}

#[test]
fn a_single_token_by_its_value_or_its_id() {
    let place = Place::new("");
    let host = place.host();
    let mut events = host.subscribe();
    let ((by_value, id), (by_id, other_id), (kept, _)) =
        (create(&host, "root"), create(&host, "root"), create(&host, "root"));
    assert!(is_good(&host, &by_value) && is_good(&host, &by_id) && is_good(&host, &kept));
    assert!(!place.scratch.join("jwt-revocations.db").exists(), "nothing is kept before there is something to keep");
    let token = || TokenSelector::Token(by_value.clone());
    assert_eq!(invalidate(&host, token()), (vec![(id.clone(), "root".to_owned())], vec![]));
    assert_eq!(invalidate(&host, token()), (vec![], vec![]), "it was not valid any more");
    assert_eq!(invalidate(&host, TokenSelector::Id(other_id.clone())), (vec![(other_id, String::new())], vec![]));
    assert!(!is_good(&host, &by_value) && !is_good(&host, &by_id) && is_good(&host, &kept));

    let record = pollster::block_on(host.get_token(Some("jwt"), &token())).unwrap().unwrap();
    assert_eq!((record.id.as_str(), record.actor_id.as_str(), record.valid), (id.as_str(), "root", false));
    assert_eq!((record.created_at, record.expires_at), (Some(NOW), Some(NOW + 900)));
    assert_eq!((record.invalid_at, record.invalid_reason.as_deref()), (Some(NOW), Some("it leaked")));
    let kept = pollster::block_on(host.get_token(Some("jwt"), &TokenSelector::Token(kept))).unwrap().unwrap();
    assert!(kept.valid && kept.invalid_reason.is_none());

    let mut filter = TokenFilter::of(Actors::Everyone);
    (filter.valid, filter.limit) = (Some(false), Some(1));
    let first = pollster::block_on(host.list_tokens(Some("jwt"), &filter)).unwrap();
    assert_eq!((first.tokens.len(), first.tokens[0].id.as_str()), (1, id.as_str()));
    filter.after = first.next;
    let second = pollster::block_on(host.list_tokens(Some("jwt"), &filter)).unwrap();
    assert_eq!((second.tokens.len(), second.tokens[0].actor_id.as_str()), (1, ""));

    let mut invalidated = Vec::new();
    while let Some(event) = events.try_next() {
        if event.kind == EventKind::TokenInvalidated {
            invalidated.push((event.token_id.unwrap(), event.actor_id, event.reason.unwrap()));
        }
    }
    assert_eq!(invalidated.len(), 2);
    assert_eq!(invalidated[0], (id, Some("root".to_owned()), "it leaked".to_owned()));
    assert_eq!(invalidated[1].1, None, "nobody knows whose");
}

#[test]
fn all_of_an_actor_or_of_everyone_from_before_a_time() {
    let place = Place::new("");
    let host = place.host();
    let at = |time: u64, actor: &str| {
        place.clock.set(time);
        create(&host, actor).0
    };
    let (old, new, others) = (at(NOW - 10, "root"), at(NOW, "root"), at(NOW - 10, "guest"));
    place.clock.set(NOW);
    assert_eq!(invalidate(&host, of_actors(&[], None)), (vec![], vec![]), "an empty list is nobody");
    assert!(is_good(&host, &old) && is_good(&host, &others));
    let root = Some("root".to_owned());
    assert_eq!(invalidate(&host, of_actors(&["root"], Some(NOW))), (vec![], vec![(root.clone(), NOW)]));
    assert!(!is_good(&host, &old) && is_good(&host, &new) && is_good(&host, &others));
    assert_eq!(invalidate(&host, of_actors(&["root"], Some(NOW - 5))), (vec![], vec![]), "the latest holds");
    assert!(!is_good(&host, &old));
    assert_eq!(invalidate(&host, of_actors(&["root", "nobody"], None)).1.len(), 2);
    assert!(!is_good(&host, &new), "without a time: all that were made until now");
    assert!(is_good(&host, &at(NOW + 1, "root")), "and none that comes after this second");
    assert_eq!(invalidate(&host, everyones(None)), (vec![], vec![(None, NOW + 2)]));
    assert!(!is_good(&host, &others));
    assert!(is_good(&host, &at(NOW + 2, "guest")));
    // A token that does not say when it was made may be an old one.
    let undated = jwt(HS256, json!({ "sub": "guest", "exp": NOW + 60 }).to_string());
    assert!(!is_good(&host, &undated));

    for refused in ["token_generator_id", "note_contains", "policy", "unused_since", "expired", "valid", "limit"] {
        let mut filter = TokenFilter::of(Actors::Everyone);
        match refused {
            "token_generator_id" => filter.token_generator_id = Some("x".to_owned()),
            "note_contains" => filter.note_contains = Some("x".to_owned()),
            "policy" => filter.policy = Some(json!({})),
            "unused_since" => filter.unused_since = Some(1),
            "expired" => filter.expired = Some(true),
            "valid" => filter.valid = Some(true),
            _ => filter.limit = Some(1),
        }
        let request = InvalidateTokens::new(TokenSelector::Filter(filter), "");
        let error = host.invalidate_tokens_blocking(Some("jwt"), &request).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Unsupported, "{refused}: more tokens would be meant");
    }
}

#[test]
fn whose_clock_is_ahead_is_meant_as_well() {
    let place = Place::new("leeway_seconds = 60");
    let host = place.host();
    let claims = json!({ "sub": "root", "exp": NOW + 600, "iat": NOW + 60, "jti": "x" });
    let ahead = jwt(HS256, claims.to_string());
    assert!(is_good(&host, &ahead));
    assert_eq!(invalidate(&host, everyones(None)).1, [(None, NOW + 61)]);
    assert!(!is_good(&host, &ahead));
}

#[test]
fn arguments_that_make_no_sense_are_nobodys_failure() {
    let place = Place::new("");
    let host = place.host();
    let good = create(&host, "root").0;
    for _ in 0..20 {
        for tokens in
            [everyones(Some(0)), everyones(Some(NOW * 1000)), of_actors(&[""], None), TokenSelector::Id(String::new())]
        {
            let error = host.invalidate_tokens_blocking(None, &InvalidateTokens::new(tokens, "")).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::InvalidArgument, "{error}");
        }
    }
    assert!(is_good(&host, &good), "the plugin is not switched off for it");
    for arguments in
        [["--everyone", "--created-before=1900000000000", "--yes"], ["--id", "", "--json"], ["--actor", "", "--yes"]]
    {
        assert_eq!(place.scratch.run(["invalidate"].iter().chain(&arguments)).code(), 2, "{arguments:?}");
    }
    let run = place.scratch.run(["invalidate", "--id", "-0AjDgkNkSl5y2dE_e5SgQ"]);
    assert!(run.code() == 0 && run.stdout == "token -0AjDgkNkSl5y2dE_e5SgQ\n", "one in 64 begins so: {run}");
}

#[test]
fn the_handler_whose_token_it_is_is_found() {
    let mut place = Place::new("");
    let other = "keys = [{ kid = 'other', algorithm = 'HS384', secret = 'a secret of the other one, long enough for the other algorithm' }]";
    place.scratch.plugin("other", Plugin::Jwt, &format!("name = 'other'\n{other}"));
    let host = place.host();
    for handler in ["jwt", "other"] {
        let created = host.create_token_blocking(&CreateToken::new("root").handler(handler)).unwrap();
        let request = InvalidateTokens::new(TokenSelector::Token(created.token.clone()), "");
        let invalidated = host.invalidate_tokens_blocking(None, &request).unwrap();
        assert_eq!(Some(&invalidated.tokens[0].id), created.id.as_ref(), "{handler}");
        assert!(!is_good(&host, &created.token), "{handler}");
    }
    assert!(place.scratch.join("other-revocations.db").exists(), "each has a file of its own");
}

#[test]
fn what_cannot_be_revoked() {
    let place = Place::new("");
    let host = place.host();
    let without_id = jwt(HS256, json!({ "sub": "root", "exp": NOW + 60, "iat": NOW }).to_string());
    let kind = |token: &str| {
        let request = InvalidateTokens::new(TokenSelector::Token(token.to_owned()), "");
        host.invalidate_tokens_blocking(Some("jwt"), &request).unwrap_err().kind().clone()
    };
    assert_eq!(kind(&without_id), ErrorKind::InvalidArgument);
    for foreign in ["", "x", "a.b.c", &without_id[..without_id.len() - 2]] {
        assert!(matches!(kind(foreign), ErrorKind::NotFound(_)), "{foreign}");
    }
    // One that has expired can: its id may be used again by whoever made it.
    let expired = jwt(HS256, json!({ "sub": "root", "exp": NOW - 60, "jti": "x" }).to_string());
    assert_eq!(invalidate(&host, TokenSelector::Token(expired)).0.len(), 1);

    let off = Place::new("").scratch;
    let text = fs::read_to_string(off.config()).unwrap().replace("{ poll_ms = 100 }", "{ url = 'none' }");
    fs::write(off.config(), text).unwrap();
    let host = Host::from_file(off.config()).unwrap();
    let request = InvalidateTokens::new(everyones(None), "");
    let error = host.invalidate_tokens_blocking(Some("jwt"), &request).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Disabled, "{error}");
}

#[test]
fn other_processes_hear_of_it_and_so_does_the_next_start() {
    let place = Place::new("");
    let scratch = &place.scratch;
    let token = |actor: &str| scratch.run(["create", actor, "--json"]).json()["token"].as_str().unwrap().to_owned();
    let (one, two, three) = (token("root"), token("root"), token("guest"));
    let mut running = scratch.verifier();
    let mut status = |token: &str| -> Value { running.ask(token.as_bytes())["status"].clone() };
    for token in [&one, &two, &three] {
        assert_eq!(status(token), "accepted");
    }
    let run = scratch.feed(["invalidate", "--token", "-", "--reason", "it leaked"], format!("{one}\n").as_bytes());
    assert!(run.code() == 0 && run.stdout.ends_with(" of root\n"), "{run}");
    wait_until("the running host hears of it", || (status(&one) == "rejected").then_some(()));
    assert_eq!(status(&two), "accepted");
    let run = scratch.run(["invalidate", "--actor", "root", "--actor", "other", "--yes"]);
    assert!(run.code() == 0 && run.stdout.starts_with("all tokens of root made before "), "{run}");
    wait_until("the running host hears of it", || (status(&two) == "rejected").then_some(()));
    assert_eq!(status(&three), "accepted");
    let run = scratch.run(["invalidate", "--everyone", "--json", "--yes"]);
    assert!(run.code() == 0 && run.json()["cutoffs"][0]["created_before"].is_u64(), "{run}");
    wait_until("the running host hears of it", || (status(&three) == "rejected").then_some(()));
    drop(running);
    for token in [&one, &two, &three] {
        let run = scratch.run(["verify", token]);
        assert!(run.code() == 1 && run.stderr.contains("token has been revoked"), "{run}");
    }
    for arguments in [
        &["invalidate"][..],
        &["invalidate", "--everyone", "--actor", "x"],
        &["invalidate", "--id", "x", "--created-before", "1"],
        &["invalidate", "--everyone"],
        &["invalidate", "--everyone", "--yes", "--handler", "none"],
    ] {
        assert_eq!(scratch.run(arguments).code(), 2, "{arguments:?}");
    }
}

#[test]
fn a_store_that_cannot_be_read_is_an_error_at_the_start() {
    let place = Place::new("");
    fs::write(place.scratch.join("jwt-revocations.db"), "this is no database, and it is long enough to be one")
        .unwrap();
    let run = place.scratch.run(["check"]);
    assert!(run.code() == 6 && format!("{run}").contains("jwt-revocations.db"), "{run}");
}

#[test]
fn a_reload_keeps_what_was_revoked() {
    let place = Place::new("");
    let host = place.host();
    let (token, id) = create(&host, "root");
    invalidate(&host, TokenSelector::Id(id));
    let text = fs::read_to_string(place.scratch.config()).unwrap();
    fs::write(place.scratch.config(), text + "leeway_seconds = 1\n").unwrap();
    host.reload().unwrap();
    assert!(host.generation() == 2 && !is_good(&host, &token));
}

/// Each host has an image of the plugin for itself, and each image has a copy of SQLite, which knows nothing of the other
/// one's locks.
#[test]
fn two_hosts_in_one_process_lose_nothing() {
    let place = Place::new("");
    let hosts = [place.host(), place.host()];
    let ids = |host: usize| (0..100).map(move |number| format!("host-{host}-{number}"));
    let command = ["command-0", "command-1", "command-2"];
    thread::scope(|scope| {
        for (number, host) in hosts.iter().enumerate() {
            scope.spawn(move || revoke(host, ids(number)));
        }
        command.iter().for_each(|id| revoke_by_command(&place.scratch, id));
    });
    let complete = |host: &Host| {
        let known = revoked(host);
        let all = ids(0).chain(ids(1)).chain(command.map(str::to_owned));
        assert_eq!(all.filter(|id| !known.contains(id)).collect::<Vec<_>>(), [""; 0], "they are lost");
        assert_eq!(known.len(), 203);
    };
    hosts.iter().for_each(complete);
    drop(hosts);
    complete(&place.host());
}

/// The old image stays loaded, and closes its file when the new one has opened its own.
#[test]
fn a_plugin_that_was_replaced_and_other_processes_hear_of_each_other() {
    for before in [true, false] {
        let place = Place::new("");
        let scratch = &place.scratch;
        let host = Host::from_file(scratch.config()).unwrap();
        let tokens = [(); 4].map(|()| create(&host, "root"));
        let [(_, first), (_, by_host), (by_command, by_command_id), (last, last_id)] = &tokens;
        if before {
            revoke(&host, [first.clone()]);
        } else {
            revoke_by_command(scratch, first);
            wait_until("the host hears of it", || (!is_good(&host, &tokens[0].0)).then_some(()));
        }

        let library = scratch.library(Plugin::Jwt);
        let mut bytes = fs::read(&library).unwrap();
        bytes.extend([0; 16]);
        let new = library.with_extension("new");
        fs::write(&new, bytes).unwrap();
        fs::set_permissions(&new, fs::metadata(&library).unwrap().permissions()).unwrap();
        fs::rename(&new, &library).unwrap();
        host.reload().unwrap();
        assert_eq!(host.generation(), 2);

        revoke_by_command(scratch, by_command_id);
        wait_until("the new image hears of it", || (!is_good(&host, by_command)).then_some(()));
        if before {
            revoke(&host, [by_host.clone()]);
        } else {
            revoke_by_command(scratch, by_host);
        }
        revoke_by_command(scratch, last_id);
        wait_until("it goes on hearing", || (!is_good(&host, last)).then_some(()));
        for (token, _) in &tokens {
            wait_until("the host knows all", || (!is_good(&host, token)).then_some(()));
            let run = scratch.run(["verify", token]);
            assert!(run.code() == 1 && run.stderr.contains("token has been revoked"), "{run}");
        }
        drop(host);
        assert_eq!(revoked(&place.host()).len(), 4);
    }
}
