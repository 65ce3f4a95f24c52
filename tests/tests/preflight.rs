//! Plugins that crash, hang or eat memory before any fence of theirs is up: none of them reaches the host.

use std::{env::consts::DLL_SUFFIX, fs};

use token_host::{ErrorKind, Host};
use token_host_tests::{Plugin, SECRET, Scratch, with_deed};

/// A running host that serves one good handler, whose folder anybody's plugin may be dropped into.
struct Running {
    scratch: Scratch,
    host: Host,
    token: String,
}

impl Running {
    /// `preflight` is more lines of that table.
    fn new(preflight: &str) -> Self {
        let mut scratch = Scratch::new();
        scratch.host("drop_in = 'plugins.d'").preflight(preflight).signed("");
        fs::create_dir(scratch.join("plugins.d")).unwrap();
        let host = Host::from_file(scratch.config()).unwrap();
        let token = host.create_token_blocking(&token_host::CreateToken::new("root")).unwrap().token;
        Self { scratch, host, token }
    }

    /// What the host says to a change that it must not take.
    fn refusal(&self) -> String {
        let error = self.host.reload().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Admission | ErrorKind::Config), "{error}");
        let actor = self.host.verify_token_blocking(&self.token).unwrap().unwrap();
        assert_eq!((actor.id(), self.host.generation()), ("root", 1), "the old generation goes on");
        assert_eq!(self.host.status().libraries.mapped, 1, "nothing else was loaded");
        error.to_string()
    }

    fn drop_in(&self, bytes: &[u8]) {
        self.scratch.file(format!("plugins.d/bad{}", DLL_SUFFIX), bytes);
    }
}

/// The library of this kind with this deed.
fn library(plugin: Plugin, deed: &str) -> Vec<u8> {
    with_deed(&fs::read(plugin.path()).unwrap(), deed)
}

/// What is long enough for anything that ends, and short enough to wait for where nothing does.
const SHORT: &str = "deadline_ms = 3000\nmax_memory_bytes = 268435456";

#[cfg(unix)]
#[test]
fn constructors() {
    let running = Running::new(SHORT);
    // One that is good: it is not loaded either while the other is there.
    running.scratch.file(format!("plugins.d/good{DLL_SUFFIX}"), fs::read(Plugin::Root.path()).unwrap());
    for (deed, expected) in [
        ("abort", "while it was loaded, the process crashed (SIGABRT)"),
        ("exit", "while it was loaded, the process ended with exit code 7"),
        ("_exit", "while it was loaded, the process ended with exit code 7"),
        ("segfault", "while it was loaded, the process crashed (SIGSEGV)"),
        ("sleep", "while it was loaded, it was not over within 3000 ms"),
        ("panic", "while it was loaded, the process crashed (SIGABRT); its last words: "),
    ] {
        running.drop_in(&library(Plugin::Constructor, deed));
        let refusal = running.refusal();
        assert!(
            refusal.contains("plugin \"constructor\": the preflight of ") && refusal.contains(expected),
            "{refusal}"
        );
    }
}

#[cfg(unix)]
#[test]
fn roots() {
    let running = Running::new(SHORT);
    for (deed, expected) in [
        ("abort", "while it was loaded, the process crashed (SIGABRT)"),
        ("panic", "its root module could not be initialized"),
        ("sleep", "while it was loaded, it was not over within 3000 ms"),
    ] {
        running.drop_in(&library(Plugin::Root, deed));
        let refusal = running.refusal();
        assert!(refusal.contains("plugin \"root\": ") && refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn another_layout() {
    let running = Running::new("");
    running.drop_in(&fs::read(Plugin::OtherLayout.path()).unwrap());
    let refusal = running.refusal();
    let expected = "the layout of its interface is not this host's, expected a plugin built with token-plugin-api 1.x";
    assert!(refusal.contains("plugin \"other_layout\": cannot load ") && refusal.contains(expected), "{refusal}");
}

/// Each deed is done by the hostile plugin when it is made, asked, or dropped.
#[cfg(unix)]
#[test]
fn making_asking_and_dropping() {
    let made = "while it was made with its configuration";
    let judged = "while its handler \"h\" judged a token that nobody made";
    let created = "while its handler \"h\" made and judged a token";
    let handler = |deed: &str| format!("handlers = [{{ name = 'h', {deed} }}]");
    let trial = |deed: &str| handler(&format!("trial = 'create_and_verify', verify = 'not_recognized', {deed}"));
    for (settings, expected) in [
        ("register = 'hang'".to_owned(), format!("{made}, it was not over within 3000 ms")),
        ("register = 'abort'".to_owned(), format!("{made}, the process crashed (SIGABRT)")),
        ("register = 'exit'".to_owned(), format!("{made}, the process ended with exit code 7")),
        ("register = 'overflow'".to_owned(), format!("{made}, the process crashed (SIGABRT); its last words: ")),
        (
            "register = 'allocate'".to_owned(),
            format!("{made}, the process crashed (SIGABRT); its last words: memory allocation of "),
        ),
        ("register = 'panic'".to_owned(), "it could not be made: panicked: it was told to panic at reg".to_owned()),
        (handler("verify = 'abort'"), format!("{judged}, the process crashed (SIGABRT)")),
        (handler("verify = 'exit'"), format!("{judged}, the process ended with exit code 7")),
        (handler("verify = 'overflow'"), format!("{judged}, the process crashed (SIGABRT)")),
        (handler("verify = 'spin'"), format!("{judged}, it was not over within ")),
        (trial("create = 'abort'"), format!("{created}, the process crashed (SIGABRT)")),
        (trial("create = 'spin'"), format!("{created}, it was not over within ")),
        (handler("drop = 'abort'"), "while it was dropped, the process crashed (SIGABRT)".to_owned()),
        (handler("drop = 'hang'"), "while it was dropped, it was not over within ".to_owned()),
    ] {
        let mut running = Running::new(SHORT);
        running.scratch.plugin("x", Plugin::Hostile, &settings);
        let refusal = running.refusal();
        assert!(refusal.contains("plugin \"x\": ") && refusal.contains(&expected), "{settings}: {refusal}");
    }
}

#[cfg(unix)]
#[test]
fn a_loop_uses_up_its_processor_time_before_the_deadline() {
    let mut running = Running::new("max_cpu_seconds = 1");
    running.scratch.plugin("x", Plugin::Hostile, "register = 'spin'");
    let refusal = running.refusal();
    assert!(
        refusal.contains("while it was made with its configuration, the process used up its 1 s of processor time"),
        "{refusal}"
    );
}

/// What is no reason to refuse a plugin, and must do no harm.
#[test]
fn threads_locals_and_output_are_survived() {
    for settings in ["register = 'thread'", "register = 'locals'", "register = 'stdout'"] {
        let mut running = Running::new("");
        let journal = running.scratch.journal().setting();
        running.scratch.plugin("x", Plugin::Hostile, &format!("{journal}{settings}\nhandlers = [{{ name = 'h' }}]"));
        running.host.reload().unwrap();
        assert!(running.host.verify_token_blocking("anything").unwrap().is_some(), "{settings}");
    }
    let running = Running::new("");
    for deed in ["thread", "stdout"] {
        running.drop_in(&library(Plugin::Constructor, deed));
        running.host.reload().unwrap();
        assert!(running.host.verify_token_blocking(&running.token).unwrap().is_some(), "{deed}");
        let warnings: Vec<String> = running.host.warnings().iter().map(ToString::to_string).collect();
        let told = warnings.iter().any(|warning| warning.contains("to standard output in its preflight"));
        assert_eq!(told, deed == "stdout", "{warnings:?}");
    }
}

/// The answers are read by programs: what a plugin writes does not get among them.
#[test]
fn a_plugin_that_writes_to_standard_output_garbles_no_answer() {
    let mut scratch = Scratch::new();
    scratch.plugin("x", Plugin::Hostile, "register = 'stdout'\nhandlers = [{ name = 'h' }]");
    let verified = scratch.run(["verify", "--json", "token"]);
    assert_eq!(verified.json()["status"], "accepted", "{verified}");
    assert!(verified.stderr.contains("the plugin was told to write to standard output"), "{verified}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_plugin_leaves_running_in_its_preflight_is_ended_with_it() {
    // No other process on this machine sleeps for so long.
    let seconds = (3_000_000 + std::process::id()).to_string();
    let running = Running::new("");
    running.drop_in(&library(Plugin::Constructor, &format!("child {seconds}")));
    let is_sleeper = |process: &fs::DirEntry| {
        fs::read_to_string(process.path().join("cmdline")).is_ok_and(|line| line.contains(&seconds))
    };
    let sleepers = || fs::read_dir("/proc").unwrap().flatten().filter(is_sleeper).count();
    let mut checked = running.scratch.command(["inspect"]);
    checked.arg(running.scratch.join(format!("plugins.d/bad{}", DLL_SUFFIX)));
    assert_eq!(token_host_tests::run(&mut checked, b"").code(), 0, "the file is one to be loaded");
    // The same file with settings that its plugin does not know: it is loaded by the preflight alone.
    let mut scratch = running.scratch;
    scratch.host("");
    let file = scratch.join(format!("plugins.d/bad{}", DLL_SUFFIX));
    scratch.plugin_of(&file, "constructor", "", "unknown = 1");
    let error = running.host.reload().unwrap_err().to_string();
    assert!(error.contains("`unknown`: unknown field"), "{error}");
    token_host_tests::wait_until("the sleeper has ended", || (sleepers() == 0).then_some(()));
}

/// A secret that the plugin cannot be made with is told with its place, as without a preflight.
#[test]
fn what_is_wrong_with_settings_is_told_with_its_place() {
    let mut running = Running::new("");
    running.scratch.plugin("second", Plugin::Signed, &format!("secret = '{SECRET}'\nlimit = 1"));
    let text = fs::read_to_string(running.scratch.config()).unwrap();
    let line = 1 + text.lines().position(|line| line == "limit = 1").unwrap();
    let refusal = running.refusal();
    assert!(
        refusal.contains(&format!("plugins.toml:{line}:1: plugin \"second\": its configuration is not good")),
        "{refusal}"
    );
}

#[test]
fn a_trial_finds_what_does_not_do_what_it_says() {
    let trial = |more: &str| format!("handlers = [{{ name = 'h', trial = 'create_and_verify', {more} }}]");
    for (settings, expected) in [
        (trial("create = 'fail'"), "its handler \"h\" could not create a token: it was told to fail"),
        (trial("create = 'panic'"), "its handler \"h\" could not create a token: panicked: it was told to panic"),
        (trial("verify = 'not_recognized'"), "does not accept a token that it just made: it does not recognize it"),
        (trial("verify = 'reject'"), "does not accept a token that it just made: it was told to reject"),
        (trial("verify = 'accept'"), "its handler \"h\" accepts its own token with byte 1 of "),
        (trial("claims = ['mine_']"), "its handler \"h\" made a token that it does not claim"),
    ] {
        // With a preflight and without one: at a reload the host tries it as well.
        let mut running = Running::new("");
        running.scratch.plugin("x", Plugin::Hostile, &settings);
        let refusal = running.refusal();
        assert!(refusal.contains("plugin \"x\": ") && refusal.contains(expected), "{settings}: {refusal}");

        let mut scratch = Scratch::new();
        scratch.no_preflight().signed("");
        let host = Host::from_file(scratch.config()).unwrap();
        scratch.plugin("x", Plugin::Hostile, &settings);
        let refusal = host.reload().unwrap_err().to_string();
        assert!(refusal.contains("plugin \"x\": ") && refusal.contains(expected), "{settings}: {refusal}");
    }
    for settings in
        [trial("create = 'unsupported'"), trial("create = 'disabled'"), trial("create = 'missing_token_info'")]
    {
        let mut running = Running::new("");
        running.scratch.plugin("x", Plugin::Hostile, &settings);
        running.host.reload().unwrap();
    }
}

#[test]
fn an_embedder_without_a_program_is_told() {
    let mut scratch = Scratch::new();
    scratch.signed("");
    let warnings = |host: &Host| host.warnings().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let host = Host::from_file(scratch.config()).unwrap();
    assert!(warnings(&host).contains("warning: plugins are loaded without a preflight"), "{}", warnings(&host));
    let program = token_host_tests::host_binary();
    let host = Host::builder().config_file(scratch.config()).preflight_program(program).build().unwrap();
    assert!(!warnings(&host).contains("preflight"), "{}", warnings(&host));
    scratch.no_preflight();
    let host = Host::from_file(scratch.config()).unwrap();
    assert!(!warnings(&host).contains("preflight"), "who said so knows: {}", warnings(&host));
}

#[test]
fn a_program_that_cannot_be_run_or_is_another_refuses_every_plugin() {
    let mut scratch = Scratch::new();
    scratch.signed("").entry("[preflight]\nprogram = './none'\ncache = 'cache'");
    let error = Host::from_file(scratch.config()).unwrap_err().to_string();
    assert!(error.contains("plugin \"signed\": the preflight of ") && error.contains("failed: cannot run "), "{error}");
    #[cfg(unix)]
    {
        let text = fs::read_to_string(scratch.config()).unwrap().replace("./none", "/bin/true");
        scratch.file("plugins.toml", text);
        let error = Host::from_file(scratch.config()).unwrap_err().to_string();
        assert!(error.contains("while the child process started, the process ended with exit code 0"), "{error}");
    }
}

/// It is handed every secret, so it has to be as hard to change as a plugin.
#[cfg(unix)]
#[test]
fn a_program_that_others_can_change_is_not_run() {
    let mut scratch = Scratch::new();
    let program = scratch.file("program", "#!/bin/sh\ntouch was-run\n");
    token_host_tests::set_mode(&program, 0o777);
    scratch.signed("").entry("[preflight]\nprogram = './program'\ncache = 'cache'");
    let checked = scratch.run(["check"]);
    assert!(checked.code() == 6 && checked.stdout.contains("program cannot be relied on: "), "{checked}");
    assert!(checked.stdout.contains("can be changed by other users (mode 0777)"), "{checked}");
    assert!(!scratch.join("was-run").exists());
}

/// A plugin may say more than it should before it dies.
#[cfg(unix)]
#[test]
fn last_words_quote_no_secret() {
    let mut scratch = Scratch::new();
    let lines = ["-----BEGIN PRIVATE KEY-----", "MIIEvTOPSECRETKEYMATERIAL0123456789", "-----END PRIVATE KEY-----"];
    scratch.file("key.pem", lines.join("\n"));
    // A stand-in for a plugin that prints what it was given.
    let program = scratch.file("program", format!("#!/bin/sh\nprintf '%s\\n' '{}' >&2\nexit 3\n", lines[1]));
    token_host_tests::set_mode(&program, 0o755);
    scratch.plugin("signed", Plugin::Signed, "secret = { file = 'key.pem' }");
    scratch.entry("[preflight]\nprogram = './program'\ncache = 'cache'");
    let checked = scratch.run(["check"]);
    assert!(checked.code() == 6 && checked.stdout.contains("its last words: [value]"), "{checked}");
}

/// Each preflight that is really run makes the plugin, which its journal tells.
#[test]
fn what_passed_is_not_tried_again() {
    let mut scratch = Scratch::new();
    let journal = scratch.journal();
    let settings = format!("{}handlers = [{{ name = 'h' }}]", journal.setting());
    scratch.plugin("x", Plugin::Hostile, &settings);
    let made = || journal.entries().iter().filter(|entry| entry.what == "register").count();
    let start = |scratch: &Scratch| {
        let before = made();
        assert_eq!(scratch.run(["verify", "token"]).code(), 0);
        made() - before
    };
    assert_eq!([start(&scratch), start(&scratch)], [2, 1], "by a preflight and by the host, then by the host alone");
    scratch.no_entries().plugin("x", Plugin::Hostile, &format!("{settings}\n# the same"));
    assert_eq!(start(&scratch), 1, "settings are what they mean");
    scratch.no_entries().plugin("x", Plugin::Hostile, &format!("{settings}\nextension = 'y/1'"));
    assert_eq!(start(&scratch), 2, "other settings");
    scratch.no_entries().plugin("y", Plugin::Hostile, &settings);
    assert_eq!(start(&scratch), 2, "another name");
}

#[test]
fn the_child_is_for_hosts_alone() {
    let run = Scratch::new().feed(["preflight"], b"{}\n");
    assert_eq!((run.code(), run.stdout.as_str()), (2, ""), "{run}");
    assert!(run.stderr.contains("expected a preflight's request on standard input"), "{run}");
    let help = Scratch::new().run(["--help"]).stdout;
    assert!(!help.contains("preflight"), "{help}");
}
