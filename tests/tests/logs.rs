//! What plugins log arrives in the host's log, under their names; and answers stay alone on stdout.

use token_host_tests::{Plugin, Run, SECRET, Scratch, run};

fn verified(settings: &str, filter: Option<&str>) -> Run {
    let mut scratch = Scratch::new();
    scratch.plugin("chatty", Plugin::Hostile, settings);
    let mut command = scratch.command(["verify", "token"]);
    if let Some(filter) = filter {
        command.env("TOKEN_HOST_LOG", filter);
    }
    run(&mut command, b"")
}

const LOGGING: &str = "handlers = [{ name = 'logs', verify = 'log' }]";

/// The line of the log with this message.
fn line<'r>(run: &'r Run, message: &str) -> &'r str {
    let lines = run.stderr.lines();
    lines.clone().find(|line| line.contains(message)).unwrap_or_else(|| panic!("no {message:?}: {run}"))
}

#[test]
fn events_arrive_with_level_target_fields_and_the_plugins_name() {
    let run = verified(LOGGING, Some("trace"));
    assert_eq!(run.code(), 0, "{run}");
    for (message, level) in [
        ("an error event", "ERROR"),
        ("a warning event", "WARN"),
        ("an information event", "INFO"),
        ("a debug event", "DEBUG"),
        ("a trace event", "TRACE"),
        ("a log record", "WARN"),
        ("an event from a thread of its own", "WARN"),
    ] {
        let line = line(&run, message);
        assert!(line.contains(level) && line.contains("chatty"), "{line}");
    }
    let error = line(&run, "an error event");
    for part in ["hostile::target", "attempts", "3", "who", "tracing", "good", "false"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let record = line(&run, "a log record");
    assert!(record.contains("hostile::log") && record.contains("who"), "{record}");
}

#[test]
fn the_hosts_filter_holds_for_plugins() {
    let run = verified(LOGGING, Some("warn"));
    assert!(run.stderr.contains("a warning event") && !run.stderr.contains("an information event"), "{run}");
    let run = verified(LOGGING, Some("off"));
    assert!(!run.stderr.contains("event"), "{run}");
    let run = verified(LOGGING, None);
    assert!(run.stderr.contains("a warning event") && !run.stderr.contains("a debug event"), "by default: {run}");
    let run = verified(LOGGING, Some("plugin=trace"));
    assert!(run.stderr.contains("a trace event"), "{run}");
}

#[test]
fn a_plugin_may_log_in_every_execution_and_while_it_is_made() {
    for execution in ["inline", "blocking", "async"] {
        let settings = format!("handlers = [{{ name = 'logs', verify = 'log', execution = '{execution}' }}]");
        assert!(line(&verified(&settings, None), "a warning event").contains("chatty"), "{execution}");
    }
    let run = verified("register = 'log'\nhandlers = [{ name = 'h' }]", None);
    assert!(line(&run, "a warning event").contains("chatty"), "{run}");
}

#[test]
fn instances_of_one_library_log_under_their_own_names() {
    let mut scratch = Scratch::new();
    for name in ["one", "two"] {
        let settings = format!("handlers = [{{ name = '{name}', claims = ['{name}'], verify = 'log' }}]");
        scratch.plugin(name, Plugin::Hostile, &settings);
    }
    for (token, other) in [("one", "two"), ("two", "one")] {
        let run = scratch.run(["verify", token]);
        let line = line(&run, "a warning event");
        let names = |name: &str| line.contains(&format!("\"{name}\"")) || line.contains(&format!("={name}"));
        assert!(names(token) && !names(other), "{line}");
    }
}

#[test]
fn panics_in_drop_are_told_to_the_log() {
    let run = verified("handlers = [{ name = 'h', drop = 'panic' }]", None);
    assert_eq!(run.code(), 0, "{run}");
    assert!(run.stderr.contains("it was told to panic when dropped"), "{run}");
}

#[test]
fn stdout_holds_the_answer_alone() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    scratch.plugin("chatty", Plugin::Hostile, "register = 'log'\nhandlers = [{ name = 'logs', verify = 'log' }]");
    let fed = |arguments: &[&str], stdin: &[u8]| {
        let mut command = scratch.command(arguments);
        run(command.env("TOKEN_HOST_LOG", "trace"), stdin)
    };
    let created = fed(&["create", "root", "--handler", "signed"], b"");
    let lines: Vec<&str> = created.stdout.lines().collect();
    assert!(lines.len() == 1 && lines[0].starts_with("dstok_"), "{created}");
    assert_eq!(fed(&["verify", "--json", "token"], b"").json()["status"], "accepted");
    assert_eq!(fed(&["verify", "-"], b"one\ntwo\n").json_lines().len(), 2);
    assert!(fed(&["plugins", "--json"], b"").json()["plugins"].is_array());
    assert!(fed(&["check", "--json"], b"").json().is_object());
}

#[test]
fn neither_tokens_nor_secrets_are_logged() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let created = scratch.run(["create", "root"]);
    let token = created.stdout.trim();
    let (payload, signature) = token.rsplit_once('.').unwrap();
    for command in [vec!["verify", token], vec!["explain", token], vec!["verify", "--json", token], vec!["plugins"]] {
        let mut command = scratch.command(command);
        let run = run(command.env("TOKEN_HOST_LOG", "trace"), b"");
        let said = format!("{run}");
        for secret in [SECRET, payload, signature] {
            assert!(!said.contains(secret), "{command:?}: {said}");
        }
    }
}
