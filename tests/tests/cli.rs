//! The command line's own: flags, forms of output, exit codes.

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use token_host_tests::{Plugin, Scratch, host_binary, repository, run, target_folder, with_manifest};

fn hostile() -> Scratch {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'first' }, { name = 'second' }]");
    scratch
}

/// What the handler was asked to make with these flags.
fn created(scratch: &Scratch, flags: &[&str]) -> Value {
    let created = scratch.run([&["create", "root"], flags].concat());
    assert_eq!(created.code(), 0, "{flags:?}: {created}");
    assert_eq!(created.stdout.lines().count(), 1, "the token alone: {created}");
    created.json()
}

#[test]
fn quickstart_makes_a_token_and_every_command_that_it_names_is_one() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let quickstart = scratch.run(["quickstart"]);
    assert_eq!(quickstart.code(), 0, "{quickstart}");
    let said = &quickstart.stdout;
    assert!(said.contains("May it view the table `pages` of `docs`? yes. May it insert rows there? no."), "{said}");
    let token = said.split_whitespace().find(|word| word.starts_with("dstok_")).unwrap();
    assert_eq!(scratch.run(["verify", token]).code(), 0);
    let next = said.lines().skip_while(|line| *line != "Try next:").filter_map(|line| line.split_whitespace().nth(1));
    let next: Vec<&str> = next.filter(|word| *word != "next:").collect();
    assert_eq!(next, ["create", "verify", "explain", "plugins", "serve", "new"]);
    for command in next {
        assert_eq!(scratch.run([command, "--help"]).code(), 0, "{command}");
    }
}

#[test]
fn create_has_the_flags_of_datasettes_create_token() {
    let scratch = hostile();
    assert_eq!(created(&scratch, &[])["handler"], "first");
    assert_eq!(created(&scratch, &["--handler", "second"])["handler"], "second");
    for (time, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)] {
        assert_eq!(created(&scratch, &["-e", time])["expires_after"], seconds);
        assert_eq!(created(&scratch, &["--expires-after", time])["expires_after"], seconds);
    }
    let flags = [
        "-a",
        "view-instance",
        "--all",
        "vd",
        "-d",
        "docs",
        "view-query",
        "--database",
        "docs",
        "es",
        "-r",
        "docs",
        "pages",
        "insert-row",
        "--resource",
        "other",
        "t",
        "own-action",
    ];
    let expected = json!({
        "a": ["vi", "vd"],
        "d": { "docs": ["vq", "es"] },
        "r": { "docs": { "pages": ["ir"] }, "other": { "t": ["own-action"] } },
    });
    assert_eq!(created(&scratch, &flags)["restrictions"], expected);
    assert_eq!(created(&scratch, &[])["restrictions"], Value::Null);
}

#[test]
fn create_says_what_a_store_is_to_keep() {
    let scratch = hostile();
    let flags = [
        "--note",
        "- for ünit tests",
        "--policy",
        r#"{"resources":["*"]}"#,
        "--generator",
        "vendor",
        "--token-info",
        "token_type=abc",
        "--token-info",
        "length=[40]",
        "--max-attempts",
        "7",
        "--auto-generated",
        "--extra",
        "team=null",
        "--extra",
        "a=b=c",
    ];
    let expected = json!({
        "note": "- for ünit tests",
        "policy": { "resources": ["*"] },
        "token_generator_id": "vendor",
        "token_info": { "token_type": "abc", "length": [40] },
        "max_attempts": 7,
        "auto_generated": true,
        "extra": { "team": null, "a": "b=c" },
    });
    assert_eq!(created(&scratch, &flags)["details"], expected);
    let usual = json!({ "max_attempts": 20, "auto_generated": false });
    assert_eq!(created(&scratch, &[])["details"], usual);
}

#[test]
fn arguments_that_make_no_sense() {
    let scratch = hostile();
    for arguments in [
        vec![],
        vec!["unknown"],
        vec!["create"],
        vec!["create", "root", "-e", "0"],
        vec!["create", "root", "-e", "-5"],
        vec!["create", "root", "-e", "5 weeks"],
        vec!["create", "root", "-e", "99999999999999999999d"],
        vec!["create", "root", "-d", "docs"],
        vec!["create", "root", "-r", "docs", "pages"],
        vec!["create", "root", "--unknown"],
        vec!["create", "root", "--policy", "{"],
        vec!["create", "root", "--extra", "team"],
        vec!["create", "root", "--max-attempts", "0"],
        vec!["verify"],
        vec!["inspect"],
    ] {
        let run = scratch.run(&arguments);
        assert_eq!((run.code(), run.stdout.as_str()), (2, ""), "{arguments:?}: {run}");
        assert!(!run.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_whole_round_of_the_signed_handler() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let created = scratch.run(["create", "rööt", "-e", "1h", "-r", "docs", "pages", "view-table"]);
    assert_eq!(created.code(), 0, "{created}");
    let token = created.stdout.strip_suffix('\n').unwrap();
    assert!(token.starts_with("dstok_") && !token.contains('\n'), "{created}");
    let verified = scratch.run(["verify", token]);
    assert_eq!(verified.code(), 0, "{verified}");
    let actor = verified.json();
    assert_eq!((&actor["id"], &actor["token"]), (&json!("rööt"), &json!("dstok")));
    assert_eq!(actor["_r"], json!({ "r": { "docs": { "pages": ["vt"] } } }));
    assert!(actor["token_expires"].as_u64().unwrap() > token_host_tests::now() + 3500);
    let answer = scratch.run(["verify", "--json", token]).json();
    assert_eq!(answer, json!({ "status": "accepted", "handler": "signed", "actor": actor }));
    let created = scratch.run(["create", "root", "--json", "-e", "1h"]).json();
    assert!(created["token"].as_str().unwrap().starts_with("dstok_"));
    assert!(created["expires_at"].as_u64().unwrap() > token_host_tests::now() + 3500);
}

#[test]
fn plugins_says_everything_about_each_place() {
    let mut scratch = Scratch::new();
    let settings = "handlers = [{ name = 'h', execution = 'async', claims = ['h_'] }]\nwrappers = [{ name = 'w' }]\n\
                    sinks = [{ name = 's' }]\ngenerators = [{ id = 'g' }]";
    scratch.plugin_with("x", Plugin::Hostile, "trylast = true", settings);
    let mut listed = scratch.run(["plugins", "--json"]).json();
    let (rows, status) = (listed["plugins"].take(), &listed["status"]);
    let libraries = &status["libraries"];
    assert_eq!((&status["generation"], &status["failed_reload"]), (&json!(1), &json!(null)), "{status}");
    assert_eq!((&libraries["mapped"], &libraries["superseded_bytes"]), (&json!(1), &json!(0)), "{status}");
    let row = |name: &str| rows.as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    let kinds = ["h", "w", "s", "g"].map(|name| row(name)["kind"].clone());
    assert_eq!(kinds, ["handler", "wrapper", "event_sink", "token_generator"]);
    let handler = row("h");
    assert_eq!((&handler["plugin"], &handler["execution"]), (&json!("x"), &json!("async")));
    assert_eq!(
        (&handler["tryfirst"], &handler["trylast"], &handler["wrapper"]),
        (&json!(false), &json!(true), &json!(false))
    );
    assert_eq!(
        (&handler["claims"], &handler["abi_level"], &handler["generation"]),
        (&json!(["h_"]), &json!(1), &json!(1))
    );
    assert_eq!(handler["version"], env!("CARGO_PKG_VERSION"));
    let file = scratch.library(Plugin::Hostile);
    assert_eq!(handler["file"].as_str().map(Path::new), Some(file.as_path()));
    let table = scratch.run(["plugins"]);
    for part in
        ["async", "h_", "ABI 1", "trylast from config", "registered 1st", file.file_name().unwrap().to_str().unwrap()]
    {
        assert!(table.stdout.contains(part), "{part}: {table}");
    }
}

#[test]
fn plugins_tells_what_secret_scanners_may_look_for() {
    let mut scratch = Scratch::new();
    let generators = "generators = [{ id = 'g', pattern = 'g_[0-9a-z]{40}\\x1b' }, { id = 'plain' }]";
    scratch.plugin("x", Plugin::Hostile, &format!("handlers = [{{ name = 'h' }}]\n{generators}"));
    let table = scratch.run(["plugins"]);
    let pattern = r"g          g_[0-9a-z]{40}\x1b";
    assert!(table.stdout.ends_with(&format!("GENERATOR  REGULAR EXPRESSION\n{pattern}\n")), "{table}");
    let listed = scratch.run(["plugins", "--json"]).json();
    let patterns = listed["plugins"].as_array().unwrap().iter().map(|row| row["pattern"].clone());
    assert_eq!(patterns.collect::<Vec<_>>(), [json!(null), json!(r"g_[0-9a-z]{40}\x1b"), json!(null)]);
    assert!(!hostile().run(["plugins"]).stdout.contains("scanners"));
}

#[test]
fn inspect_reads_the_manifest_and_runs_nothing() {
    let scratch = Scratch::new();
    let bytes = fs::read(Plugin::Hostile.path()).unwrap();
    let aborting = scratch.file("aborting.so", with_manifest(&bytes, "panic=unwind", "panic=abort"));
    let fine = scratch.library(Plugin::Hostile);
    let inspected = scratch.run(["inspect", "--json", fine.to_str().unwrap()]);
    assert_eq!(inspected.code(), 0, "{inspected}");
    let manifest = inspected.json();
    assert_eq!(
        (&manifest["name"], &manifest["abi_level"], &manifest["panic"]),
        (&json!("hostile"), &json!(1), &json!("unwind"))
    );
    assert_eq!(manifest["hooks"], json!(["handler", "wrapper", "event_sink", "token_generator"]));
    assert_eq!(manifest["objection"], Value::Null);
    let inspected = scratch.run(["inspect", aborting.to_str().unwrap()]);
    assert_eq!(inspected.code(), 0, "what would be refused can be looked at: {inspected}");
    assert!(inspected.stdout.contains("abort") && inspected.stdout.contains("would not load it"), "{inspected}");
    for (path, why) in
        [("not-there.so", "it does not exist"), (".", "it is a folder"), ("plugins.toml", "unknown format")]
    {
        let inspected = scratch.run(["inspect", path]);
        assert_eq!((inspected.code(), inspected.stdout.as_str()), (6, ""), "{inspected}");
        assert!(inspected.stderr.contains(why), "{inspected}");
    }
}

#[test]
fn a_stripped_plugin_is_still_a_plugin() {
    let mut scratch = Scratch::new();
    let library = scratch.library(Plugin::Hostile);
    let before = fs::metadata(&library).unwrap().len();
    let stripped = Command::new("strip").arg(&library).status();
    if !stripped.is_ok_and(|status| status.success()) {
        // A machine that builds has `strip` as well; were it otherwise, this would say nothing.
        panic!("expected the program `strip` of binutils");
    }
    assert!(fs::metadata(&library).unwrap().len() < before);
    scratch.plugin("x", Plugin::Hostile, "handlers = [{ name = 'h', verify = 'as_told' }]");
    assert_eq!(scratch.run(["verify", "x:accept"]).code(), 0);
    assert_eq!(scratch.run(["verify", "x:panic"]).code(), 5);
}

#[test]
fn check_lists_findings_for_people_and_programs() {
    let mut scratch = Scratch::new();
    scratch.entry("[[plugin]]\nname = 'missing'\nfile = './missing.so'");
    let checked = scratch.run(["check", "--json"]);
    assert_eq!(checked.code(), 6, "{checked}");
    let report = checked.json();
    assert_eq!(report["ok"], false);
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["severity"], &finding["plugin"], &finding["line"]),
        (&json!("error"), &json!("missing"), &json!(3))
    );
    assert!(finding["message"].as_str().unwrap().contains("it does not exist"), "{finding}");
    let good = hostile().run(["check", "--json"]);
    assert_eq!((good.code(), &good.json()["ok"]), (0, &json!(true)));
}

#[test]
fn completions_for_every_usual_shell() {
    let scratch = Scratch::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let completions = scratch.run(["completions", shell]);
        assert_eq!(completions.code(), 0, "{completions}");
        assert!(completions.stdout.contains("token-host") && completions.stdout.contains("deactivate"), "{shell}");
    }
}

#[test]
fn help_and_version() {
    let scratch = Scratch::new();
    let version = scratch.run(["--version"]);
    assert_eq!((version.code(), version.stdout.trim()), (0, concat!("token-host ", env!("CARGO_PKG_VERSION"))));
    let help = scratch.run(["--help"]);
    for command in ["create", "list", "verify", "purge", "import", "explain", "plugins", "check", "inspect", "new"] {
        assert!(help.stdout.contains(command), "{command}: {help}");
    }
}

#[test]
fn a_reader_who_goes_away_is_no_crash() {
    let scratch = hostile();
    let tokens = "token\n".repeat(20_000);
    fs::write(scratch.join("tokens"), &tokens).unwrap();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("\"$0\" verify - < tokens | head -n 1").arg(host_binary()).current_dir(scratch.path());
    let run = run(shell.env("TOKEN_HOST_CONFIG", scratch.config()), b"");
    assert!(run.stdout.starts_with("{\"status\":\"accepted\"") && !run.stderr.contains("panicked"), "{run}");
}

#[test]
fn new_writes_a_plugin_that_builds_and_whose_test_passes() {
    let scratch = Scratch::new();
    let made = scratch.run(["new", "night-watch"]);
    assert_eq!(made.code(), 0, "{made}");
    let crate_folder = scratch.join("night-watch");
    assert!(crate_folder.join("Cargo.toml").is_file() && crate_folder.join("src/lib.rs").is_file(), "{made}");
    let again = scratch.run(["new", "night-watch"]);
    assert_ne!(again.code(), 0, "nothing is overwritten: {again}");

    // The same versions as here, so that nothing is fetched.
    fs::copy(repository().join("Cargo.lock"), crate_folder.join("Cargo.lock")).unwrap();
    let target = target_folder().join("new-plugin");
    for command in ["test", "build"] {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([command, "--quiet"]).env("CARGO_TARGET_DIR", &target).current_dir(&crate_folder);
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let name = format!("{}token_night_watch{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let library = scratch.file(&name, fs::read(target.join("debug").join(&name)).unwrap());
    let inspected = scratch.run(["inspect", "--json", library.to_str().unwrap()]).json();
    assert_eq!((&inspected["name"], &inspected["objection"]), (&json!("night-watch"), &Value::Null));
}
