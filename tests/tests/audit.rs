//! The audit plugin: what is written down, that nothing is answered which is not, and that no change goes unnoticed.

use std::{
    env, fs,
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use serde_json::{Value, json};
use token_host::{CreateToken, ErrorKind, Host, InvalidateTokens, RequestContext, TokenSelector};
use token_host_tests::{JWT_SECRET, Plugin, Run, SECRET, Scratch, host_binary, joined, run, wait_until};

const KEY: &str = "a key for the tests alone, long enough";

/// A host with the handlers `jwt` and, before it, `signed`, and with an audit file.
fn scratch(settings: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.no_preflight();
    scratch.plugin("jwt", Plugin::Jwt, &format!("secret = '{JWT_SECRET}'")).signed("");
    scratch.plugin_with("audit", Plugin::Audit, "deadline_ms = 30000", settings);
    scratch
}

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

/// Runs a command that must succeed, and tells what it answers.
fn good(scratch: &Scratch, arguments: &[&str]) -> String {
    let run = scratch.run(arguments);
    assert_eq!(run.code(), 0, "{arguments:?}: {run}");
    run.stdout.trim_end().to_owned()
}

/// The audit files, oldest first.
fn files(scratch: &Scratch) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("audit.jsonl."));
    files.sort_unstable();
    files.push(scratch.join("audit.jsonl"));
    files
}

fn lines(scratch: &Scratch) -> Vec<Value> {
    let text = files(scratch).iter().map(|path| fs::read_to_string(path).unwrap()).collect::<String>();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn verify(scratch: &Scratch, flags: &[&str]) -> Run {
    let files = files(scratch);
    let files = files.iter().map(|path| path.to_str().unwrap());
    scratch.run(["audit", "verify"].into_iter().chain(files).chain(flags.iter().copied()))
}

/// That the files are good, and how many lines they have.
fn verified(scratch: &Scratch) -> u64 {
    let run = verify(scratch, &["--json"]);
    assert_eq!(run.code(), 0, "{run}");
    run.json()["lines"].as_u64().unwrap()
}

/// What is wrong with the files.
fn broken(scratch: &Scratch) -> String {
    let run = verify(scratch, &[]);
    assert_eq!(run.code(), 1, "{run}");
    run.stderr.trim_end().replace(&format!("{}/", scratch.path().display()), "")
}

fn create(scratch: &Scratch, actors: &[&str]) {
    for actor in actors {
        good(scratch, &["create", actor]);
    }
}

#[test]
fn creations_verifications_and_revocations_are_written_down_without_the_tokens() {
    let scratch = scratch("");
    for command in ["check", "plugins"] {
        good(&scratch, &[command]);
    }
    assert!(!scratch.join("audit.jsonl").exists(), "nothing has happened yet");
    let signed = good(&scratch, &["create", "root", "-e", "1h"]);
    let jwt = good(&scratch, &["create", "ann", "--handler", "jwt"]);
    good(&scratch, &["verify", &signed]);
    assert_eq!(scratch.run(["verify", &format!("{signed}x")]).code(), 1);
    good(&scratch, &["invalidate", "--token", &jwt, "--reason", "it leaked"]);
    assert_eq!(scratch.run(["verify", &jwt]).code(), 1);

    let lines = lines(&scratch);
    let told: Vec<String> = lines
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {} {}", text("event"), text("outcome"), text("handler"), text("actor_id"), text("reason"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "file_started - - - -",
            "token_created success signed root -",
            "token_created success jwt ann -",
            "token_used success signed root -",
            "token_rejected failure signed - token does not end in a full stop and a signature of 27 characters",
            "token_invalidated success jwt ann it leaked",
            "token_rejected failure jwt - token has been revoked",
        ]
    );
    assert!(lines[2]["token_id"].is_string() && lines[2]["token_id"] == lines[5]["token_id"]);
    assert!(lines.iter().all(|line| line["at"].as_u64().unwrap() > 1_700_000_000));
    assert_eq!(lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
    let text = fs::read_to_string(scratch.join("audit.jsonl")).unwrap();
    assert!(!text.contains(&signed[6..30]) && !text.contains(&jwt[10..40]) && !text.contains(SECRET));

    let run = verify(&scratch, &[]);
    assert_eq!((run.code(), run.stderr.as_str()), (0, ""), "{run}");
    let last = lines[6]["hash"].as_str().unwrap();
    for part in ["7 good, 1 files", &format!("7, with the hash {last}"), "T", "Z"] {
        assert!(run.stdout.contains(part), "{part}: {run}");
    }
    let findings = verify(&scratch, &["--json"]).json();
    assert_eq!(
        (&findings["good"], &findings["broken"], &findings["last"]["hash"]),
        (&json!(true), &Value::Null, &json!(last))
    );
}

#[test]
fn a_request_is_written_without_its_query() {
    let scratch = scratch("events = ['token_used']");
    let host = host(&scratch);
    let token = host.create_token_blocking(&CreateToken::new("root")).unwrap().token;
    let mut context = RequestContext::default();
    context.client_address = Some("192.0.2.7".to_owned());
    context.path = Some(format!("/db/table?_token={token}"));
    host.verify_blocking(&token, &context).verdict.unwrap();
    drop(host);
    let lines = lines(&scratch);
    assert_eq!(lines.len(), 2, "other events were not asked for");
    assert_eq!(lines[1]["context"], json!({ "client_address": "192.0.2.7", "path": "/db/table" }));
    verified(&scratch);
}

#[test]
fn every_change_is_found_with_its_line() {
    let scratch = scratch("");
    create(&scratch, &["ann", "bob", "cid", "dan"]);
    let path = scratch.join("audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let good: Vec<&str> = text.lines().collect();
    let edited = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = good.iter().map(|line| (*line).to_owned()).collect();
        edit(&mut lines);
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        broken(&scratch)
    };
    for (expected, edit) in [
        (
            "line 3: it was changed: its hash does not fit",
            &(|lines: &mut Vec<String>| lines[2] = lines[2].replace("bob", "eve")) as &dyn Fn(&mut Vec<String>),
        ),
        ("line 3: 1 line is missing before it (number 4 comes after 2)", &|lines| drop(lines.remove(2))),
        ("line 3: 1 line is missing before it (number 4 comes after 2)", &|lines| lines.swap(2, 3)),
        ("line 4: it stands there twice, or in the wrong place (number 3 comes after 3)", &|lines| {
            lines.insert(3, lines[2].clone())
        }),
        ("line 4: this is no line of an audit file: it is not of the form of one: ", &|lines| {
            lines.insert(3, "{}".to_owned())
        }),
        ("line 1: it is the first line of its file, expected `file_started`", &|lines| drop(lines.remove(0))),
        ("line 1: this is no line of an audit file: ", &|lines| lines.insert(0, String::new())),
    ] {
        let found = edited(edit);
        assert!(found.starts_with(&format!("audit.jsonl, {expected}")), "{found}");
    }
    let run = verify(&scratch, &["--json"]);
    let answer = run.json();
    assert_eq!((run.code(), &answer["good"], &answer["broken"]["line"]), (1, &json!(false), &json!(1)), "{run}");
    fs::write(&path, text).unwrap();
    assert_eq!(verified(&scratch), 5);
}

#[test]
fn a_noted_hash_tells_what_the_file_alone_cannot() {
    let scratch = scratch("");
    create(&scratch, &["ann", "bob", "cid"]);
    let hashes: Vec<String> = lines(&scratch).iter().map(|line| line["hash"].as_str().unwrap().to_owned()).collect();
    let path = scratch.join("audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.lines().take(3).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    assert_eq!(verified(&scratch), 3, "by itself it is good");
    let code = |flags: &[&str]| verify(&scratch, flags).code();
    for (flag, hash, expected) in [
        ("--contains", &hashes[1], 0),
        ("--contains", &hashes[2], 0),
        ("--contains", &hashes[3], 1),
        ("--expect-last", &hashes[2], 0),
        ("--expect-last", &hashes[3], 1),
        ("--expect-last", &hashes[1], 1),
        ("--after", &"0".repeat(64), 0),
        ("--after", &hashes[0], 1),
        ("--after", &"0".repeat(63), 2),
        ("--contains", &hashes[1].to_uppercase(), 2),
    ] {
        assert_eq!(code(&[flag, hash]), expected, "{flag} {hash}");
    }
    let missing = verify(&scratch, &["--contains", &hashes[3]]);
    assert!(missing.stderr.contains(&format!("no line has the hash {}", hashes[3])), "{missing}");
}

#[test]
fn what_cannot_be_verified_is_no_verdict() {
    let scratch = scratch("");
    for arguments in
        [vec!["audit"], vec!["audit", "verify"], vec!["audit", "verify", "nowhere"], vec!["audit", "verify", "."]]
    {
        let run = scratch.run(&arguments);
        assert_eq!((run.code(), run.stdout.as_str()), (2, ""), "{arguments:?}: {run}");
    }
    fs::write(scratch.join("empty"), "").unwrap();
    let run = scratch.run(["audit", "verify", "empty"]);
    assert_eq!(run.code(), 1, "{run}");
    create(&scratch, &["ann"]);
    let text = fs::read(scratch.join("audit.jsonl")).unwrap();
    let run = scratch.feed(["audit", "verify", "-"], &text);
    assert_eq!(run.code(), 0, "{run}");
}

#[test]
fn without_the_key_no_chain_can_be_made() {
    let scratch = scratch(&format!("key = {{ file = 'audit.secret' }}\n# {KEY}"));
    let key = scratch.file("audit.secret", format!("{KEY}\n"));
    token_host_tests::set_mode(&key, 0o600);
    create(&scratch, &["ann", "bob"]);
    let key = key.to_str().unwrap().to_owned();
    let run = verify(&scratch, &[]);
    assert_eq!((run.code(), run.stdout.as_str()), (2, ""), "{run}");
    assert!(run.stderr.contains("--key-file"), "{run}");
    assert_eq!(verify(&scratch, &["--key-file", &key]).code(), 0);
    let files: Vec<PathBuf> = files(&scratch);
    let mut by_variable = scratch.command(["audit", "verify", "--key-env", "AUDIT_KEY", files[0].to_str().unwrap()]);
    assert_eq!(run_with(by_variable.env("AUDIT_KEY", KEY)).code(), 0);
    let other = run_with(by_variable.env("AUDIT_KEY", KEY.to_uppercase()));
    assert_eq!(other.code(), 1, "{other}");
    assert_eq!(run_with(by_variable.env("AUDIT_KEY", "short")).code(), 2);
    assert_eq!(run_with(by_variable.env_remove("AUDIT_KEY")).code(), 2);
    // Somebody who has no key makes a chain without one, of the same events.
    let forged = self::scratch("");
    create(&forged, &["ann", "bob"]);
    assert_eq!(verify(&forged, &["--key-file", &key]).code(), 1);
    let text = fs::read_to_string(scratch.join("audit.jsonl")).unwrap();
    assert!(!text.contains(KEY));
}

fn run_with(command: &mut Command) -> Run {
    run(command, b"")
}

#[test]
fn a_host_and_commands_write_at_once() {
    const COMMANDS: usize = 12;
    const VERIFICATIONS: usize = 200;
    let scratch = scratch("fsync = 'never'");
    let token = good(&scratch, &["create", "root"]);
    let mut verifier = scratch.verifier();
    let other = host(&scratch);
    thread::scope(|scope| {
        let commands: Vec<_> =
            (0..2).map(|_| scope.spawn(|| (0..COMMANDS / 2).for_each(|_| create(&scratch, &["ann"])))).collect();
        for _ in 0..VERIFICATIONS {
            assert_eq!(verifier.ask(token.as_bytes())["status"], "accepted");
            other.create_token_blocking(&CreateToken::new("bob")).unwrap();
        }
        commands.into_iter().for_each(|commands| commands.join().unwrap());
    });
    drop(other);
    let expected = 2 + COMMANDS + 2 * VERIFICATIONS;
    wait_until("the verifier has written all", || (lines(&scratch).len() == expected).then_some(()));
    assert_eq!(verified(&scratch), expected as u64);
    let of = |actor: &str| lines(&scratch).iter().filter(|line| line["actor_id"] == actor).count();
    assert_eq!((of("ann"), of("bob"), of("root")), (COMMANDS, VERIFICATIONS, VERIFICATIONS + 1));
}

#[test]
fn several_processes_rotate_the_files() {
    const EACH: usize = 400;
    let scratch = scratch("rotate_bytes = 65536\nrequired = true\nfsync = 'never'");
    let hosts = [host(&scratch), host(&scratch)];
    let mut verifier = scratch.verifier();
    thread::scope(|scope| {
        for host in &hosts {
            scope.spawn(|| (0..EACH).for_each(|_| drop(host.create_token_blocking(&CreateToken::new("ann")).unwrap())));
        }
        let token = hosts[0].create_token_blocking(&CreateToken::new("root")).unwrap().token;
        (0..EACH).for_each(|_| assert_eq!(verifier.ask(token.as_bytes())["status"], "accepted"));
    });
    drop((hosts, verifier));
    let all = lines(&scratch);
    let of = |actor: &str| all.iter().filter(|line| line["actor_id"] == actor).count();
    assert_eq!(of("ann"), 2 * EACH);
    assert!(files(&scratch).len() > 3);
    assert_eq!(verified(&scratch), all.len() as u64);
    // One in the middle is gone; in another order; the oldest are gone.
    let paths: Vec<String> = files(&scratch).iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    let verify =
        |paths: &[&String]| scratch.run(["audit", "verify"].into_iter().chain(paths.iter().map(|path| path.as_str())));
    let gap = verify(&[&paths[0], &paths[2]]);
    assert!(
        gap.code() == 1 && gap.stderr.contains("000003, line 1: ") && gap.stderr.contains("lines are missing"),
        "{gap}"
    );
    assert_eq!(verify(&[&paths[1], &paths[0]]).code(), 1);
    let rest = verify(&paths.iter().skip(1).collect::<Vec<_>>());
    assert!(rest.code() == 0 && rest.stdout.contains(", after the hash "), "{rest}");
}

#[test]
fn a_reload_goes_on_with_the_chain() {
    let mut scratch = scratch("");
    let host = host(&scratch);
    host.create_token_blocking(&CreateToken::new("ann")).unwrap();
    scratch.no_entries().no_preflight().signed("");
    scratch.plugin("audit", Plugin::Audit, "required = true");
    host.reload().unwrap();
    host.create_token_blocking(&CreateToken::new("bob")).unwrap();
    assert_eq!(lines(&scratch).iter().filter(|line| line["actor_id"] == "bob").count(), 1, "before the answer");
    drop(host);
    assert_eq!(verified(&scratch), 3);
}

#[test]
fn a_torn_line_is_told_and_breaks_nothing() {
    let scratch = scratch("");
    create(&scratch, &["ann"]);
    let mut file = OpenOptions::new().append(true).open(scratch.join("audit.jsonl")).unwrap();
    file.write_all(b"{\"seq\":3,\"at\":17").unwrap();
    let run = verify(&scratch, &[]);
    assert_eq!(run.code(), 0, "{run}");
    assert!(run.stderr.contains("warning: ") && run.stderr.contains("audit.jsonl, line 3: it has no end"), "{run}");
    create(&scratch, &["bob"]);
    let lines = lines(&scratch);
    assert_eq!((&lines[2]["event"], &lines[2]["torn"]), (&json!("line_torn"), &json!("{\"seq\":3,\"at\":17")));
    assert_eq!((lines[3]["actor_id"].as_str(), verified(&scratch)), (Some("bob"), 4));
    let run = verify(&scratch, &[]);
    assert!(run.stderr.contains("audit.jsonl, line 3: 16 bytes of a line that was torn"), "{run}");
}

#[test]
fn what_must_be_written_down_and_cannot_be_is_an_error() {
    let scratch = scratch("required = true");
    create(&scratch, &["ann"]);
    let token = good(&scratch, &["create", "ann", "--handler", "jwt"]);
    let running = host(&scratch);
    running.create_token_blocking(&CreateToken::new("bob")).unwrap();
    let (path, aside) = (scratch.join("audit.jsonl"), scratch.join("aside"));
    fs::rename(&path, &aside).unwrap();
    // What is refused at the start: a place that can never be one; and what is noticed when it is time to write.
    fs::create_dir(&path).unwrap();
    let refused = scratch.run(["create", "cid"]);
    assert_eq!((refused.code(), refused.stdout.as_str()), (6, ""), "{refused}");
    let error = running.create_token_blocking(&CreateToken::new("cid")).unwrap_err();
    assert_eq!((error.kind(), error.plugin()), (&ErrorKind::Plugin, Some("audit")), "{error}");
    let expected = format!("event sink \"audit\" could not record: {}: cannot be opened", path.display());
    assert!(error.to_string().contains(&expected), "{error}");
    let invalidate = InvalidateTokens::new(TokenSelector::Token(token.clone()), "");
    let error = running.invalidate_tokens_blocking(Some("jwt"), &invalidate).unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Plugin, "{error}");
    assert!(running.verify_token_blocking(&token).is_err(), "what was done is not undone");

    fs::remove_dir(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    running.create_token_blocking(&CreateToken::new("dan")).unwrap();
    drop(running);
    let events: Vec<Value> = lines(&scratch).iter().map(|line| line["event"].clone()).collect();
    let lost = events.iter().position(|event| event == "records_lost").unwrap();
    assert!(lines(&scratch)[lost]["records"].as_u64().unwrap() >= 2);
    assert!(!fs::read_to_string(&path).unwrap().contains("cid"));
    verified(&scratch);
}

#[cfg(unix)]
#[test]
fn a_command_whose_creation_cannot_be_written_down_shows_no_token() {
    let scratch = scratch("required = true");
    create(&scratch, &["ann"]);
    // It has to be the same as at the start: somebody keeps it locked.
    let file = fs::File::open(scratch.join("audit.jsonl")).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let run = scratch.run(["create", "bob"]);
    assert_eq!((run.code(), run.stdout.as_str()), (5, ""), "{run}");
    assert!(run.stderr.contains("others have kept it locked for too long"), "{run}");
    drop(file);
    create(&scratch, &["cid"]);
    assert_eq!(verified(&scratch), 3);
}

/// Runs a test of this file in a process of its own, that can be killed or be short of disk.
fn child(test: &str, before: &str, scratch: &Scratch) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{before} exec \"$0\" \"$@\"")).arg(env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(CONFIG, scratch.config());
    command
}

/// Tells a child its configuration.
const CONFIG: &str = "TOKEN_HOST_TEST_CONFIG";

#[cfg(unix)]
#[test]
fn every_token_that_was_shown_before_a_kill_has_its_line() {
    const ROUNDS: usize = 5;
    let scratch = scratch("required = true\nrotate_bytes = 65536");
    let mut shown = Vec::new();
    for round in 0..ROUNDS {
        let mut command = child("audit::creates_until_it_is_killed", "", &scratch);
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let enough = 40 + 30 * round;
        let mut count = 0;
        for line in output.by_ref().map(Result::unwrap) {
            if let Some((_, id)) = line.split_once("CREATED ") {
                shown.push(id.to_owned());
                count += 1;
            }
            if count == enough {
                child.kill().unwrap();
                break;
            }
        }
        assert_eq!(count, enough, "it created until it was killed");
        // What it had said before that.
        shown.extend(output.filter_map(|line| line.ok()?.split_once("CREATED ").map(|(_, id)| id.to_owned())));
        child.wait().unwrap();
        verified(&scratch);
    }
    let all = lines(&scratch);
    let written: std::collections::HashSet<&str> = all.iter().filter_map(|line| line["token_id"].as_str()).collect();
    assert!(shown.len() >= ROUNDS * 40);
    for id in &shown {
        assert!(written.contains(id.as_str()), "{id} was shown, and is not in the file");
    }
    assert!(files(&scratch).len() > 1, "also over several files");
}

#[test]
#[ignore = "part of another one, which runs it in a process of its own"]
fn creates_until_it_is_killed() {
    let host = Host::from_file(env::var(CONFIG).unwrap()).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let mut request = CreateToken::new("ann");
                    request.handler = Some("jwt".to_owned());
                    println!("\nCREATED {}", host.create_token_blocking(&request).unwrap().id.unwrap());
                }
            });
        }
    });
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_line_and_the_chain_goes_on_when_there_is_room() {
    let scratch = scratch("required = true");
    // What ends a process that writes too much is not heeded: it gets an error, as on a full disk.
    let run = run(&mut child("audit::fills_the_disk", "trap '' XFSZ;", &scratch), b"");
    assert!(run.status.success() && run.stdout.contains("1 passed"), "{run}");
    assert_eq!(verified(&scratch), 6);
    let lines = lines(&scratch);
    assert_eq!((&lines[4]["event"], &lines[4]["records"]), (&json!("records_lost"), &json!(3)));
    assert!(verify(&scratch, &[]).stderr.contains("3 records could not be written"));
}

#[cfg(unix)]
#[test]
#[ignore = "part of another one, which runs it in a process of its own"]
fn fills_the_disk() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let config = PathBuf::from(env::var(CONFIG).unwrap());
    let path = config.with_file_name("audit.jsonl");
    let host = Host::from_file(&config).unwrap();
    let create = |actor: &str| host.create_token_blocking(&CreateToken::new(actor));
    ["ann", "bob", "cid"].iter().for_each(|actor| drop(create(actor).unwrap()));
    let whole = fs::read(&path).unwrap();
    let before = getrlimit(Resource::Fsize);
    for room in [0, 1, 100] {
        setrlimit(Resource::Fsize, Rlimit { current: Some(whole.len() as u64 + room), ..before }).unwrap();
        let error = create("dan").unwrap_err();
        assert!(error.to_string().contains("audit.jsonl: cannot be written to: File too large"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), whole, "what was written of it was taken back");
    }
    setrlimit(Resource::Fsize, before).unwrap();
    create("eve").unwrap();
}

#[test]
fn settings_that_make_no_sense_are_refused_at_the_start() {
    for (settings, expected) in [
        ("fsync = 'sometimes'", "`fsync`: unknown variant `[value]`, expected one of `always`"),
        ("rotate_bytes = 100", "`rotate_bytes`: expected at least 65536 bytes"),
        ("path = 'no/folder/audit.jsonl'", "it has no folder to be in"),
        ("required = true\nevents = ['token_used']", "`events`: expected token_created"),
        ("events = ['token_made']", "unknown variant `[value]`, expected one of `token_created`"),
        ("key = 'short'", "`key`: the key is too short"),
        ("file = 'x'", "`file`"),
    ] {
        let checked = scratch(settings).run(["check"]);
        assert_eq!(checked.code(), 6, "{checked}");
        assert!((checked.stdout.clone() + &checked.stderr).contains(expected), "{expected}: {checked}");
    }
}

/// The preflight makes the plugin, creates tokens, and says nothing of that to any sink.
#[test]
fn a_preflight_leaves_no_trace() {
    let mut scratch = Scratch::new();
    scratch.entry(&format!("[preflight]\nprogram = '{}'\ncache = 'cache'", host_binary().display()));
    scratch.signed("").plugin("audit", Plugin::Audit, "required = true");
    drop(host(&scratch));
    assert!(!scratch.join("audit.jsonl").exists());
    let checking = thread::spawn(move || good(&scratch, &["check"]));
    joined("the check", checking);
}
