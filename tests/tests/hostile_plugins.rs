//! Plugins that panic wherever a plugin can: the host answers with an error, and serves the next call.

use serde_json::json;
use token_host::{CreateToken, ErrorKind, Host};
use token_host_tests::{Plugin, Scratch, run};

#[test]
fn panics_come_out_as_errors_in_every_execution() {
    for execution in ["inline", "blocking", "async"] {
        let mut scratch = Scratch::new();
        let handler = format!("{{ name = 'told', execution = '{execution}', verify = 'as_told', create = 'as_told' }}");
        scratch.plugin("x", Plugin::Hostile, &format!("handlers = [{handler}]"));
        let host = Host::from_file(scratch.config()).unwrap();
        for _ in 0..3 {
            for deed in ["panic", "panic_with_bomb"] {
                let verify = host.verify_token_blocking(&format!("x:{deed}")).unwrap_err();
                let create = host.create_token_blocking(&CreateToken::new(format!("x:{deed}"))).unwrap_err();
                for error in [verify, create] {
                    assert_eq!((error.kind(), error.plugin()), (&ErrorKind::Plugin, Some("x")), "{execution}: {error}");
                    assert!(error.to_string().contains("panicked: "), "{execution}: {error}");
                }
            }
            assert!(host.verify_token_blocking("x:accept").unwrap().is_some(), "{execution}: the next is served");
        }
        let error = host.verify_token_blocking("x:panic").unwrap_err().to_string();
        assert!(
            error.contains("it was told to panic, at ") && error.contains("deed.rs:"),
            "message and place: {error}"
        );
    }
}

#[test]
fn a_panic_in_a_thread_of_the_plugins_own_ends_that_thread_alone() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'h', verify = 'panic_in_thread' }]");
    let run = scratch.feed(["verify", "-"], b"one\ntwo\n");
    assert_eq!(run.code(), 0, "{run}");
    assert!(run.json_lines().iter().all(|line| line["status"] == "accepted"), "{run}");
    assert!(run.stderr.contains("a thread of the plugin panicked at tests/plugins/hostile/"), "{run}");
    assert!(!run.stderr.contains("it was told to panic in a thread"), "a message may quote a token: {run}");
}

/// Everything that a plugin can register panics when it is dropped.
const ALL_PANIC_WHEN_DROPPED: &str = "
    handlers = [
        { name = 'inline', drop = 'panic' },
        { name = 'blocking', drop = 'panic', execution = 'blocking' },
        { name = 'async', drop = 'panic', execution = 'async' },
    ]
    wrappers = [{ name = 'w', drop = 'panic' }]
    sinks = [{ name = 's', drop = 'panic' }]
    generators = [{ id = 'g', drop = 'panic' }]
";

#[test]
fn panics_in_drop_change_no_exit_code() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, ALL_PANIC_WHEN_DROPPED);
    for (arguments, code) in [(["verify", "token"], 0), (["create", "root"], 0), (["explain", "token"], 0)] {
        let run = scratch.run(arguments);
        assert_eq!(run.code(), code, "{arguments:?}: {run}");
    }
    assert_eq!(scratch.run(["check"]).code(), 0);
}

#[test]
fn panics_in_drop_are_survived_by_a_reload() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, ALL_PANIC_WHEN_DROPPED);
    let host = Host::from_file(scratch.config()).unwrap();
    assert!(host.verify_token_blocking("token").unwrap().is_some());
    scratch.no_entries().plugin("y", Plugin::Hostile, "handlers = [{ name = 'other' }]");
    host.reload().unwrap();
    let actor = host.verify_token_blocking("token").unwrap().unwrap();
    assert_eq!(json!(actor)["handler"], "other");
}

#[test]
fn what_was_registered_before_a_failure_is_dropped_without_harm() {
    // The second handler's claim is refused, the first is dropped with a panic.
    let mut scratch = Scratch::new();
    let handlers = "handlers = [{ name = 'a', drop = 'panic' }, { name = 'b', claims = [''], drop = 'panic' }]";
    scratch.plugin("x", Plugin::Hostile, handlers);
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 6, "{checked}");
    assert!(format!("{checked}").contains("handler `b` claims a prefix of 0 bytes"), "{checked}");
}

#[test]
fn two_instances_of_one_library_have_their_own_state() {
    let mut scratch = Scratch::new();
    for name in ["one", "two"] {
        scratch.plugin(name, Plugin::Hostile, &format!("handlers = [{{ name = '{name}', claims = ['{name}'] }}]"));
    }
    let host = Host::from_file(scratch.config()).unwrap();
    let calls = |token: &str| {
        let actor = host.verify_token_blocking(token).unwrap().unwrap();
        assert_eq!(json!(actor)["plugin"], token, "each knows its own name");
        json!(actor)["calls"].clone()
    };
    assert_eq!([calls("one"), calls("one"), calls("two"), calls("one")], [json!(0), json!(1), json!(0), json!(2)]);
}

#[test]
fn many_threads_at_once() {
    let mut scratch = Scratch::new();
    let handler = |execution: &str| {
        format!("{{ name = '{execution}', claims = ['{execution}'], execution = '{execution}', verify = 'as_told' }}")
    };
    let handlers = ["inline", "blocking", "async"].map(handler).join(", ");
    scratch.plugin_with("x", Plugin::Hostile, "deadline_ms = 60000", &format!("handlers = [{handlers}]"));
    let host = Host::from_file(scratch.config()).unwrap();
    std::thread::scope(|scope| {
        for execution in ["inline", "blocking", "async"].repeat(2) {
            let host = &host;
            scope.spawn(move || {
                for _ in 0..50 {
                    assert!(host.verify_token_blocking(&format!("{execution}:accept")).unwrap().is_some());
                    assert!(host.verify_token_blocking(&format!("{execution}:panic")).is_err());
                }
            });
        }
    });
}

/// No part of it is a part of a path or of a message, and a cut is in the middle of its first letter that is not ASCII.
const TOKEN: &str = "Zq7Xw3Kv9PtÄmG5sYhR2bNfLdCj8üvB4kJ6rT";

#[test]
fn a_panic_that_quotes_the_token_is_told_by_its_place_alone() {
    let handler = |execution: &str, deed: &str| {
        let settings = format!("handlers = [{{ name = 'h', execution = '{execution}', verify = '{deed}' }}]");
        (settings, "deed.rs:")
    };
    let wrapper = |when: &str| {
        let settings =
            format!("handlers = [{{ name = 'h' }}]\nwrappers = [{{ name = 'w', {when} = 'panic_quoting' }}]");
        (settings, "wrapper.rs:")
    };
    let handlers = ["inline", "blocking", "async"]
        .into_iter()
        .flat_map(|execution| ["panic_quoting", "panic_cutting"].map(|deed| handler(execution, deed)));
    for (settings, place) in handlers.chain(["before", "after"].map(wrapper)) {
        let mut scratch = Scratch::new();
        scratch.plugin("x", Plugin::Hostile, &settings);
        let host = Host::from_file(scratch.config()).unwrap();
        let error = host.verify_token_blocking(TOKEN).unwrap_err();
        let mut said = vec![error.to_string(), format!("{error:?}")];
        for arguments in
            [vec!["verify", TOKEN], vec!["explain", TOKEN], vec!["explain", "--json", TOKEN], vec!["verify", "-"]]
        {
            let mut command = scratch.command(arguments);
            said.push(run(command.env("TOKEN_HOST_LOG", "trace"), TOKEN.as_bytes()).to_string());
        }
        for said in said {
            let is_told = |piece: &[u8]| said.as_bytes().windows(piece.len()).any(|part| part == piece);
            assert!(!TOKEN.as_bytes().windows(8).any(is_told), "{settings}: {said}");
            assert!(said.contains(place), "{settings}: the place is told: {said}");
        }
        let short = host.verify_token_blocking("ÄÖq").unwrap_err().to_string();
        assert!(!short.contains("ÄÖq") && short.contains(place), "{settings}: {short}");
    }
}

/// What was half registered is dropped while the panic is on its way; two panics at once would end the process.
#[test]
fn a_panic_while_it_is_asked_for_its_name_and_one_when_it_is_dropped() {
    let bad = "naming = 'panic', drop = 'panic'";
    let handlers = ["inline", "blocking", "async"]
        .map(|execution| format!("handlers = [{{ name = 'h', execution = '{execution}', {bad} }}]"));
    let others = [
        format!("wrappers = [{{ name = 'w', {bad} }}]"),
        format!("sinks = [{{ name = 's', {bad} }}]"),
        format!("generators = [{{ id = 'g', {bad} }}]"),
    ];
    for settings in handlers.into_iter().chain(others) {
        let mut scratch = Scratch::new();
        scratch.plugin("x", Plugin::Hostile, &settings);
        for command in [vec!["check"], vec!["verify", "token"]] {
            let run = scratch.run(&command);
            assert_eq!(run.code(), 6, "{settings}: {run}");
            let message = "plugin \"x\": it could not be made: panicked: it was told to panic when asked for its name";
            assert!(format!("{run}").contains(message), "{settings}: {run}");
        }
    }
}

/// What nothing but a process of its own can contain. It is listed in the README's limits, and waits for plugins that
/// run in one.
#[test]
#[ignore = "needs plugins in processes of their own: today the host ends with them"]
fn what_ends_the_process_ends_its_own_plugin_alone() {
    for deed in ["abort", "exit", "overflow"] {
        let mut scratch = Scratch::new();
        scratch.plugin("good", Plugin::Hostile, "handlers = [{ name = 'good', claims = ['good'] }]");
        scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'h', claims = ['x'], verify = 'as_told' }]");
        let run = scratch.feed(["verify", "-"], format!("x:accept\nx:{deed}\ngood\n").as_bytes());
        assert_eq!(run.code(), 0, "{run}");
        let answers: Vec<_> = run.json_lines().iter().map(|line| line["status"].clone()).collect();
        assert_eq!(answers, ["accepted", "error", "accepted"], "{deed}: {run}");
    }
}

/// A blocking handler that never returns keeps a thread of its plugin's, and no caller beyond the deadline.
#[test]
fn a_handler_that_spins_keeps_nobody_beyond_its_deadline() {
    let mut scratch = Scratch::new();
    scratch.plugin("good", Plugin::Hostile, "handlers = [{ name = 'good', claims = ['good'] }]");
    let handler = "handlers = [{ name = 'h', claims = ['x'], execution = 'blocking', verify = 'as_told' }]";
    scratch.plugin_with("x", Plugin::Hostile, "deadline_ms = 100", handler);
    // In a process of its own, which ends with the thread that spins.
    let run = scratch.feed(["verify", "-"], b"x:spin\ngood\n");
    assert_eq!(run.code(), 0, "{run}");
    let answers: Vec<_> = run.json_lines().iter().map(|line| line["status"].clone()).collect();
    assert_eq!(answers, ["error", "accepted"], "{run}");
}
