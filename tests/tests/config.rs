//! Configurations that are not good: each finding names file, line, column, plugin and key.

use token_host_tests::{Plugin, Run, SECRET, Scratch, run, set_mode};

/// What `check` says to this text as the whole configuration. Nothing else does anything with it either.
fn refused(text: &str) -> (Scratch, String) {
    let scratch = Scratch::new();
    scratch.file("plugins.toml", text);
    let said = refusal(&scratch);
    (scratch, said)
}

fn refusal(scratch: &Scratch) -> String {
    let verified = scratch.run(["verify", "token"]);
    assert_eq!((verified.code(), verified.stdout.as_str()), (6, ""), "{verified}");
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 6, "{checked}");
    text(&checked)
}

fn text(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

#[test]
fn an_unknown_key_of_the_host() {
    let (_scratch, said) = refused("[host]\nmax_token_byte = 1\n");
    assert!(said.contains("plugins.toml:2:1: unknown key `max_token_byte`"), "{said}");
    assert!(said.contains("did you mean `max_token_bytes`?"), "{said}");
}

#[test]
fn an_unknown_key_of_an_entry() {
    let (_scratch, said) = refused("[[plugin]]\nname = 'x'\n  dead_line_ms = 1\n");
    assert!(said.contains("plugins.toml:3:3: plugin \"x\": unknown key `dead_line_ms`"), "{said}");
    assert!(said.contains("did you mean `deadline_ms`?"), "{said}");
}

#[test]
fn an_unknown_key_of_a_plugin_names_plugin_key_and_place() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "handlers = []\nhandels = []");
    let said = refusal(&scratch);
    assert!(said.contains("plugins.toml:9:1: plugin \"x\": "), "{said}");
    assert!(said.contains("`handels`") && said.contains("unknown key"), "{said}");
}

#[test]
fn an_unknown_key_deep_within_a_plugins_settings() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'h', verfy = 'accept' }]");
    let said = refusal(&scratch);
    assert!(said.contains("plugin \"x\": ") && said.contains("verfy") && said.contains("unknown key"), "{said}");
}

#[test]
fn a_wrong_value_in_a_plugins_settings() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'h', verify = 'perhaps' }]");
    let said = refusal(&scratch);
    assert!(said.contains("plugin \"x\": ") && said.contains("handlers[0].verify"), "{said}");
    assert!(said.contains("expected one of `accept`"), "{said}");
    assert!(!said.contains("perhaps"), "a value may be a secret: {said}");
}

/// The words are the author's, who did not think of the log.
#[test]
fn an_error_of_the_plugins_own_quotes_no_value() {
    for (setting, value) in [
        ("{ env = 'THE_URL' }", "postgres://u:hunter2@db/tokens"),
        ("'postgres://u:hunter2@db/tokens'", ""),
        ("{ file = 'the.url' }", ""),
    ] {
        let mut scratch = Scratch::new();
        scratch.file("the.url", "postgres://u:hunter2@db/tokens");
        // Another value, that is a part of the first.
        scratch.plugin("x", Plugin::Hostile, &format!("quoted = {setting}\nextension = 'hunter2'"));
        for command in [["check"].as_slice(), &["verify", "token"]] {
            let run = run(scratch.command(command).env("THE_URL", value), b"");
            assert_eq!(run.code(), 6, "{setting}: {run}");
            let said = text(&run);
            let expected = "plugins.toml:8:1: plugin \"x\": its configuration is not good: `quoted`: it was told to quote: [value]";
            assert!(said.contains(expected), "{setting}: {said}");
            assert!(!said.contains("hunter2") && !said.contains("postgres"), "{setting}: {said}");
        }
    }
}

#[test]
fn the_signed_plugin_knows_its_keys() {
    let mut scratch = Scratch::new();
    scratch.signed("max_signed_token_ttl = 5");
    let said = refusal(&scratch);
    assert!(said.contains("plugin \"signed\": ") && said.contains("`max_signed_token_ttl`"), "{said}");
}

#[test]
fn a_name_used_twice() {
    let (_scratch, said) = refused("[[plugin]]\nname = 'x'\n[[plugin]]\nname = 'x'\n");
    assert!(
        said.contains("plugins.toml:4:1: plugin \"x\": the name is already used by the plugin at line 1"),
        "{said}"
    );
}

#[test]
fn text_that_is_not_toml() {
    let (_scratch, said) = refused("[host]\nsearch = hunter2\n");
    assert!(said.contains("plugins.toml:2:10: ") && !said.contains("hunter2"), "a value may be a secret: {said}");
}

#[test]
fn all_findings_come_at_once() {
    let (_scratch, said) = refused("[hots]\n[host]\nmax_token_bytes = 0\n[[plugin]]\ntryfirst = 1\n");
    for place in ["plugins.toml:1:2: ", "plugins.toml:3:19: ", "plugins.toml:4:1: ", "plugins.toml:5:12: "] {
        assert!(said.contains(place), "{place} in {said}");
    }
}

#[test]
fn a_configuration_that_is_not_there() {
    let scratch = Scratch::new();
    std::fs::remove_file(scratch.config()).unwrap();
    let said = refusal(&scratch);
    assert!(said.contains("plugins.toml: cannot read the configuration: there is no such file"), "{said}");
    std::fs::create_dir(scratch.config()).unwrap();
    let said = refusal(&scratch);
    assert!(said.contains("expected a file, found a folder"), "{said}");
}

#[test]
fn the_configuration_is_found_by_option_variable_and_default() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'yes' }]");
    let no_handlers = scratch.file("other/plugins.toml", "");
    let option = scratch.run(["--config", no_handlers.to_str().unwrap(), "create", "root"]);
    assert_eq!(option.code(), 3, "the option counts more than the variable: {option}");
    let option = scratch.run(["create", "root", "--config", no_handlers.to_str().unwrap()]);
    assert_eq!(option.code(), 3, "it may stand anywhere: {option}");
    let variable = scratch.run(["create", "root"]);
    assert_eq!(variable.code(), 0, "{variable}");
    let mut default = scratch.command(["create", "root"]);
    default.env_remove("TOKEN_HOST_CONFIG").current_dir(no_handlers.parent().unwrap());
    let default = token_host_tests::run(&mut default, b"");
    assert_eq!(default.code(), 3, "plugins.toml of the working directory: {default}");
}

#[test]
fn secrets_come_from_the_environment_and_from_files() {
    let mut scratch = Scratch::new();
    scratch.plugin("signed", Plugin::Signed, "secret = { env = 'THE_SECRET' }");
    let said = refusal(&scratch);
    assert!(said.contains("plugin \"signed\": `secret`: the environment variable `THE_SECRET` is not set"), "{said}");
    let create = |command: &mut std::process::Command| token_host_tests::run(command, b"");
    let created = create(scratch.command(["create", "root"]).env("THE_SECRET", SECRET));
    assert_eq!(created.code(), 0, "{created}");
    let token = created.stdout.trim().to_owned();

    let mut scratch = Scratch::new();
    scratch.plugin("signed", Plugin::Signed, "secret = { file = 'the.secret' }");
    assert!(refusal(&scratch).contains("the.secret cannot be used: there is no such file"));
    scratch.file("the.secret", format!("{SECRET}\n"));
    let verified = scratch.run(["verify", &token]);
    assert_eq!(verified.code(), 0, "the same secret: {verified}");
    assert!(verified.stderr.contains("the.secret is open to others"), "{verified}");
}

#[test]
fn check_makes_no_secret_and_a_start_does() {
    let mut scratch = Scratch::new();
    scratch.plugin("signed", Plugin::Signed, "secret = { file = 'new.secret', generate = true }");
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 0, "{checked}");
    assert!(!scratch.join("new.secret").exists(), "a check changes nothing");
    let created = scratch.run(["create", "root"]);
    assert_eq!(created.code(), 0, "{created}");
    assert!(created.stderr.contains("made a new secret in"), "it is said on screen: {created}");
    assert_eq!(scratch.run(["verify", created.stdout.trim()]).code(), 0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(scratch.join("new.secret")).unwrap().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_secret_in_the_configuration_is_a_warning_and_never_shown() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let checked = scratch.run(["check"]);
    assert_eq!(checked.code(), 0, "{checked}");
    let said = text(&checked);
    assert!(said.contains("warning: plugin \"signed\": ") && said.contains("secret"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn a_plugins_own_warning_is_passed_on() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "register = 'warn'");
    let said = text(&scratch.run(["check"]));
    assert!(said.contains("warning: plugin \"x\": it was told to warn"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_configuration_that_others_can_change_is_a_warning() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'yes' }]");
    for (mode, others_can) in [(0o666, true), (0o602, true), (0o644, false), (0o600, false)] {
        set_mode(&scratch.config(), mode);
        for command in [["check"].as_slice(), &["verify", "token"]] {
            let run = scratch.run(command);
            assert_eq!(run.code(), 0, "{mode:o}: {run}");
            let said = if command == ["check"] { &run.stdout } else { &run.stderr };
            let config = scratch.config();
            let expected = format!(
                "warning: others can change the configuration: {} can be changed by other users (mode 0{mode:o})",
                config.display()
            );
            assert_eq!(said.contains(&expected), others_can, "{mode:o}: {run}");
        }
    }
}

#[test]
fn an_extension_that_this_host_does_not_know_is_a_warning_and_nothing_else() {
    let listed = |settings: &str| {
        let mut scratch = Scratch::new();
        scratch.plugin("x", Plugin::Hostile, &format!("handlers = [{{ name = 'yes' }}]\n{settings}"));
        let verified = scratch.run(["verify", "--json", "token"]);
        assert_eq!(verified.code(), 0, "{verified}");
        let mut verified = verified.json();
        // The time goes on in between.
        verified["actor"]["now"].take();
        let mut rows = scratch.run(["plugins", "--json"]).json()["plugins"].take();
        rows[0]["file"].take();
        (verified, rows, text(&scratch.run(["check"])))
    };
    let (with, without) = (listed("extension = 'test/1'"), listed(""));
    assert_eq!((with.0, with.1), (without.0, without.1));
    let warning = "warning: plugin \"x\": it offers \"test/1\", which this host does not know and will not use";
    assert!(with.2.contains(warning), "{}", with.2);
    assert!(!without.2.contains("it offers"), "{}", without.2);
}

#[test]
fn a_statement_about_wrappers_is_held_against_the_plugin() {
    let mut scratch = Scratch::new();
    scratch.plugin_with("x", Plugin::Signed, "wrapper = true", &format!("secret = '{SECRET}'"));
    let checked = scratch.run(["check"]);
    assert!(text(&checked).contains("plugin \"x\"") && text(&checked).contains("wrapper"), "{checked}");
}
