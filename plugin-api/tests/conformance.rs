//! The conformance suite, held to its word: an honest plugin passes, and each fault fails the one check that is for it.

mod subject;

use std::time::Duration;

use subject::{Config, Fault, SETTINGS, assert_only, generator, report_of, skipped, waiting, with};
use token_plugin_api::{
    Actor, Call, Hooks, NoConfig, PluginError, Result, TokenHandler, Verdict,
    abi::export,
    conformance::{Check, Outcome, Progress, Report, Suite, assert_conforms},
};

#[test]
fn an_honest_handler_passes_every_check() {
    let report = assert_conforms(SETTINGS, with(Fault::None));
    assert!(report.is_good() && skipped(&report).is_empty(), "{report}");
    let names: Vec<_> = report.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "instance",
            "names",
            "claims",
            "create_then_verify",
            "changed_bytes",
            "truncation",
            "expiry",
            "restrictions",
            "hostile_tokens",
            "concurrency",
            "growth",
            "dropping",
            "panics",
            "secrecy",
        ]
    );
}

#[test]
fn every_fault_fails_the_check_that_is_for_it() {
    for (fault, check, message) in [
        (Fault::NoInstance, "instance", "no instance could be made: there is no instance"),
        (Fault::NameOfTwoLines, "names", r"a handler is named `two\nlines`, expected 1 to 64 bytes"),
        (Fault::NameThatChanges, "names", "two instances of the same settings differ"),
        (Fault::ForeignClaim, "claims", "starts with none of its claims, expected `foreign_`"),
        (Fault::LosesUnicode, "create_then_verify", "came back for the actor `Zo ncd  `"),
        (Fault::IgnoresTheLastCharacter, "changed_bytes", "characters changed, the one at "),
        (Fault::TrimsTokens, "truncation", "accepted with ` ` after it"),
        (Fault::AcceptsAtExpiry, "expiry", "was accepted 0 s after its time was over, expected it to be rejected"),
        (Fault::AsksTheSystemClock, "expiry", "expected at most 60: is the time taken from `Call::now`?"),
        (Fault::TakesNothingForEverything, "restrictions", "restricted to nothing came back without restrictions"),
        (Fault::AllowsMore, "restrictions", "so that it allows `drop-table` on the instance, expected what was asked"),
        (Fault::FailsOnNul, "hostile_tokens", "a NUL got an error, expected a rejection"),
        (Fault::IgnoresCase, "hostile_tokens", "a token in capitals was accepted"),
        (Fault::AllowsOneCallAtATime, "concurrency", "with 8 threads at once: a token that was just created"),
        (Fault::PanicsWhenDropped, "dropping", "the handler panicked: there is something left to do"),
        (Fault::PanicsOnShortSignatures, "panics", "`verify_token` in `truncation` of `toy` panicked: a signature"),
        (
            Fault::QuotesTokens,
            "secrecy",
            "the reason of a rejection in `changed_bytes` of `toy` quotes a created token",
        ),
        (Fault::QuotesItsKey, "secrecy", "the reason of a rejection in `changed_bytes` of `toy` quotes a secret"),
        (Fault::TracesTokens, "secrecy", "a log record of `conformance::subject` in `changed_bytes` of `toy` quotes"),
        (Fault::EmitsTokens, "secrecy", "an event in `changed_bytes` of `toy` quotes a created token"),
    ] {
        assert_only(&report_of(fault), check, message);
    }
}

#[test]
fn a_message_that_quotes_a_secret_is_not_shown() {
    let register =
        |_: &mut Hooks, config: Config| Err(PluginError::failed(format!("{} is too short", config.key.expose())));
    let report = Suite::of_register(SETTINGS, register).run(&mut |_| ());
    assert_only(&report, "instance", "[a text that quotes a secret of the settings]");
}

#[test]
fn what_is_not_offered_is_skipped() {
    let report = report_of(Fault::CannotCreate);
    assert!(report.is_good(), "{report}");
    let names =
        ["claims", "create_then_verify", "changed_bytes", "truncation", "expiry", "restrictions", "concurrency"];
    assert_eq!(skipped(&report), names.map(|name| (name, "it creates no tokens")));
    let report = report_of(Fault::RefusesToRestrict);
    assert!(report.is_good(), "{report}");
    assert_eq!(skipped(&report), [("restrictions", "it refuses restrictions")]);
}

#[test]
fn a_plugin_that_registers_nothing_is_not_good() {
    let report = Suite::of_register("{}", |_: &mut Hooks, _: NoConfig| Ok(())).run(&mut |_| ());
    assert_only(&report, "names", "nothing was registered");
    assert!(!Report::new(Vec::new()).is_good());
}

#[test]
fn a_handler_that_accepts_everything_is_found() {
    struct Everybody;
    impl TokenHandler for Everybody {
        fn name(&self) -> &str {
            "everybody"
        }
        fn verify_token(&self, _: &Call<'_>, token: &str) -> Result<Verdict> {
            Ok(Verdict::Accepted(Actor::new(token, "name")))
        }
    }
    let register = |hooks: &mut Hooks, _: NoConfig| {
        hooks.handler(Everybody);
        Ok(())
    };
    assert_only(&Suite::of_register("{}", register).run(&mut |_| ()), "hostile_tokens", "an empty text was accepted");
}

#[test]
fn a_claim_that_no_honest_library_lets_through_is_found() {
    let make = |services, new: token_plugin_api::abi::v1::NewInstanceV1<'_>| {
        export::new_in_process(services, new, with(Fault::None)).map(|mut made| {
            made.handlers[0].claims.push("".into());
            made
        })
    };
    let report = Suite::of_library(make, SETTINGS, []).run(&mut |_| ());
    assert_only(&report, "names", "handler `toy` claims a prefix of 0 bytes, expected 1 to 64");
}

#[test]
fn two_handlers_of_one_name_are_found() {
    let register = |hooks: &mut Hooks, config: Config| {
        let again = Config { key: config.key.clone() };
        with(Fault::None)(hooks, config)?;
        with(Fault::None)(hooks, again)
    };
    let report = Suite::of_register(SETTINGS, register).run(&mut |_| ());
    assert_only(&report, "names", "two of its handlers are named `toy`");
}

#[test]
fn an_async_handler_with_limits_of_its_own_passes() {
    let report = waiting::suite(false).run(&mut |_| ());
    report.assert_good();
    assert_eq!(skipped(&report), [("claims", "it claims every token"), ("restrictions", "it refuses restrictions")]);
}

#[test]
fn an_async_handler_that_never_answers_is_left_at_its_deadline() {
    let report = waiting::suite(true).with_deadline(Duration::from_millis(20)).run(&mut |_| ());
    let check = report.checks.iter().find(|check| check.name == "create_then_verify").unwrap();
    assert!(check.to_string().contains("no token could be created: no answer within 20 ms"), "{report}");
}

#[test]
fn generators_are_checked() {
    use generator::{Fault, report_of};
    let report = report_of(Fault::None);
    assert!(report.is_good() && skipped(&report).is_empty(), "{report}");
    assert_only(&report_of(Fault::SameIdTwice), "names", "two of its token generators are named `numbered`");
    assert_only(&report_of(Fault::Repeats), "generators", "of 50 values some are the same");
    assert_only(&report_of(Fault::MakesUnprintableValues), "generators", "other characters than printable ASCII");
    assert_only(&report_of(Fault::ForgetsItsOwn), "generators", "a value that it made does not validate");
    assert_only(&report_of(Fault::ChecksumOfMost), "generator_checksums", "misses a change of the character at 19, 20");
    let reason = "it makes no values without the `token_info` key `user`";
    let report = report_of(Fault::NeedsTokenInfo);
    assert_eq!(skipped(&report), [("generators", reason), ("generator_checksums", reason)]);
    let report = report_of(Fault::NoChecksum);
    assert!(report.is_good(), "{report}");
    assert_eq!(skipped(&report), [("generator_checksums", "it validates changed values too: it has no checksum")]);
}

#[test]
fn whoever_watches_hears_of_every_check_as_it_begins_and_ends() {
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    let report = Suite::of_register(SETTINGS, with(Fault::CannotCreate)).run(&mut |progress| match progress {
        Progress::Begun { name, subject } => begun.push((name.to_owned(), subject.map(str::to_owned))),
        Progress::Ended(check) => {
            assert_eq!(begun.last(), Some(&(check.name.clone(), check.subject.clone())));
            ended.push(check.clone());
        }
        _ => unreachable!("there is no third kind of progress"),
    });
    assert_eq!(report.checks, ended);
    let read: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(read, report);
    let check = Check::new("claims", Some("toy"), Outcome::Failed("crashed".to_owned()));
    let text = r#"{"name":"claims","subject":"toy","outcome":{"failed":"crashed"}}"#;
    assert_eq!(serde_json::to_string(&check).unwrap(), text);
}
