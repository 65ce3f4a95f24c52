//! The command line for the tokens that a handler keeps: what it asks for, what it prints, what it asks first.

use std::fs;

use serde_json::{Value, json};
use token_host_tests::{Plugin, Run, Scratch, now};

/// A handler that keeps these tokens in a file, behind one that keeps none.
fn keeping(tokens: Value, settings: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.file("kept.json", json!({ "version": 2, "tokens": tokens }).to_string());
    let (journal, file) = (scratch.journal().setting(), scratch.join("kept.json"));
    let handlers = format!(
        "handlers = [{{ name = 'none', verify = 'not_recognized', create = 'unsupported' }}, \
         {{ name = 'keeps', verify = 'not_recognized', store = {{ kept_in = '{}' }}, {settings} }}]",
        file.display()
    );
    scratch.plugin("x", Plugin::Hostile, &format!("{journal}{handlers}"));
    scratch
}

/// Four tokens that differ in everything.
fn some() -> Scratch {
    keeping(
        json!([
            {
                "id": "1", "actor_id": "ann", "created_at": 1_000_000_000, "valid": true, "note": "for tests",
                "hint": "tok_ab", "token_generator_id": "vendor", "policy": { "resources": ["*"] },
                "restrictions": { "a": ["vi"] }, "last_used_at": 1_500_000_000, "extra": { "team": 7 },
            },
            { "id": "2", "actor_id": "bob", "created_at": 1_100_000_000, "valid": true, "expires_at": 1_200_000_000 },
            {
                "id": "3", "actor_id": "ann", "created_at": 1_300_000_000, "valid": false,
                "invalid_at": 1_400_000_000, "invalid_reason": "it leaked",
            },
            {
                "id": "4", "actor_id": "cid", "created_at": 1_600_000_000, "valid": true, "deprecated": true,
                "note": "for tests", "auto_generated": true,
            },
        ]),
        "page_size = 2",
    )
}

/// The tokens with these ids, all valid and Ann's.
fn numbered(ids: std::ops::Range<usize>, settings: &str) -> Scratch {
    let token = |id: usize| json!({ "id": id.to_string(), "actor_id": "ann", "created_at": 1, "valid": true });
    keeping(ids.map(token).collect(), settings)
}

fn good(scratch: &Scratch, arguments: &[&str]) -> Run {
    let run = scratch.run(arguments);
    assert_eq!(run.code(), 0, "{arguments:?}: {run}");
    run
}

fn ids(tokens: &Value) -> Vec<&str> {
    tokens.as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap()).collect()
}

/// The ids of what a command lists.
fn listed(scratch: &Scratch, arguments: &[&str]) -> String {
    let answer = good(scratch, &[&["list", "--json", "--all"], arguments].concat()).json();
    ids(&answer["tokens"]).join(" ")
}

fn kept(scratch: &Scratch) -> Value {
    serde_json::from_slice(&fs::read(scratch.join("kept.json")).unwrap()).unwrap()
}

/// Runs what must not be done, and was not.
fn refused(scratch: &Scratch, arguments: &[&str]) -> Run {
    let before = kept(scratch);
    let run = scratch.run(arguments);
    assert_eq!((run.code(), run.stdout.as_str()), (2, ""), "{arguments:?}: {run}");
    assert_eq!(kept(scratch), before, "{arguments:?}");
    run
}

/// What asks first does nothing where nobody can be asked.
fn asks(scratch: &Scratch, arguments: &[&str]) {
    let run = refused(scratch, arguments);
    assert!(run.stderr.contains("expected --yes"), "{arguments:?}: {run}");
    assert_eq!(scratch.feed(arguments, b"y\n").code(), 2, "an answer that nobody was asked for is none");
}

#[test]
fn a_listing_for_people() {
    let scratch = some();
    let table = good(&scratch, &["list", "--all"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join("|");
    let expected = [
        "ID|ACTOR|HINT|GENERATOR|CREATED|LAST USED|EXPIRES|STATE|NOTE",
        "1|ann|tok_ab|vendor|2001-09-09 01:46:40 UTC|2017-07-14 02:40:00 UTC|valid|for tests",
        "2|bob|2004-11-09 11:33:20 UTC|2008-01-10 21:20:00 UTC|expired",
        "3|ann|2011-03-13 07:06:40 UTC|invalid since 2014-05-13 16:53:20 UTC: it leaked",
        "4|cid|2020-09-13 12:26:40 UTC|valid, deprecated|for tests",
    ];
    assert_eq!(lines.into_iter().map(cells).collect::<Vec<_>>(), expected, "{table}");
}

#[test]
fn a_listing_for_programs_page_by_page() {
    let scratch = some();
    let first = good(&scratch, &["list", "--json"]);
    let answer = first.json();
    assert_eq!((ids(&answer["tokens"]).join(" ").as_str(), &answer["next"]), ("1 2", &json!("- 2")), "{first}");
    assert_eq!(answer["tokens"][0]["policy"], json!({ "resources": ["*"] }), "{first}");
    assert!(first.stderr.contains("--after='- 2' goes on"), "as a shell has to be told: {first}");
    let second = good(&scratch, &["list", "--json", "--after", "- 2"]);
    assert_eq!(ids(&second.json()["tokens"]).join(" "), "3 4");
    assert_eq!((&second.json()["next"], second.stderr.as_str()), (&Value::Null, ""), "{second}");
    let one = good(&scratch, &["list", "--json", "--limit", "1"]).json();
    assert_eq!((ids(&one["tokens"]).join(" ").as_str(), &one["next"]), ("1", &json!("- 1")));
    assert_eq!(listed(&scratch, &[]), "1 2 3 4");
    for arguments in
        [&["list", "--limit", "0"][..], &["list", "--all", "--limit", "1"], &["list", "--after", "nowhere"]]
    {
        refused(&scratch, arguments);
    }
}

#[test]
fn people_get_fifty_unless_they_say_how_many() {
    let scratch = numbered(0..60, "page_size = 100");
    let lines = |arguments: &[&str]| good(&scratch, &[&["list"], arguments].concat()).stdout.lines().count() - 1;
    assert_eq!([lines(&[]), lines(&["--limit", "55"]), lines(&["--all"])], [50, 55, 60]);
    assert_eq!(ids(&good(&scratch, &["list", "--json"]).json()["tokens"]).len(), 60);
}

#[test]
fn the_filters_of_a_listing() {
    let scratch = some();
    for (arguments, expected) in [
        (&["--actor", "ann"][..], "1 3"),
        (&["--actor", "ann", "--actor", "cid"], "1 3 4"),
        (&["--actor", "nobody"], ""),
        (&["--generator", "vendor"], "1"),
        (&["--note", "tests"], "1 4"),
        (&["--note", "tests", "--actor", "cid"], "4"),
        (&["--policy", r#"{"resources":["*"]}"#], "1"),
        (&["--policy", "null"], "2 3 4"),
        (&["--created-before", "2004-11-09 11:33:20"], "1"),
        (&["--created-before", "2004-11-09 11:33:21 UTC"], "1 2"),
        (&["--created-before", "1d"], "1 2 3 4"),
        (&["--unused-since", "1500000001"], "1 2 3"),
        (&["--unused-since", "1500000000"], "2 3"),
        (&["--expired"], "2"),
        (&["--not-expired"], "1 3 4"),
        (&["--valid"], "1 2 4"),
        (&["--invalid"], "3"),
        (&["--handler", "keeps"], "1 2 3 4"),
    ] {
        assert_eq!(listed(&scratch, arguments), expected, "{arguments:?}");
    }
    let none = refused(&scratch, &["list", "--handler", "none"]);
    assert!(none.stderr.contains("list_tokens is not supported by"), "{none}");
}

#[test]
fn a_listing_without_an_end_is_an_error_and_no_endless_loop() {
    for pages in ["same", "circle"] {
        let scratch = numbered(0..3, &format!("pages = '{pages}'"));
        scratch
            .file("theirs.json", json!([{ "id": "7", "actor_id": "ann", "created_at": 1, "valid": true }]).to_string());
        for arguments in [
            &["list", "--all"][..],
            &["actor", "list", "--all"],
            &["export"],
            &["export", "--output", "out.jsonl"],
            &["import", "djblets", "--from", "theirs.json", "--yes"],
        ] {
            let run = scratch.run(arguments);
            assert_eq!(run.code(), 5, "{arguments:?}: {run}");
            assert!(run.stderr.contains("lead around in a circle"), "{arguments:?}: {run}");
        }
        assert_eq!(ids(&kept(&scratch)["tokens"]).join(" "), "0 1 2", "the dry run did not come to an end");
        assert!(!scratch.join("out.jsonl").exists(), "no file is there by halves");
        assert_eq!(scratch.run(["list"]).code(), 0, "one page is none the worse for it");
    }
}

#[test]
fn text_of_others_does_not_drive_the_terminal() {
    const HOSTILE: &str = "a\u{1b}]0;x\u{7}\u{9b}2J\r\nid: 7\u{202e}";
    let scratch = keeping(
        json!([{
            "id": HOSTILE, "actor_id": HOSTILE, "created_at": 1, "valid": false, "invalid_reason": HOSTILE,
            "note": HOSTILE, "hint": HOSTILE, "token_generator_id": HOSTILE, "extra": { HOSTILE: HOSTILE },
        }]),
        "",
    );
    let mut runs = Vec::new();
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["show", "--id", HOSTILE],
        &["show", "--json", "--id", HOSTILE],
        &["update", "--id", HOSTILE, "--valid", "true"],
        &["invalidate", "--id", HOSTILE, "--reason", HOSTILE],
        &["actor", "deactivate", HOSTILE, "--reason", HOSTILE, "--yes"],
        &["actor", "list"],
        &["actor", "activate", HOSTILE],
        &["export"],
    ] {
        runs.push(good(&scratch, arguments));
    }
    runs.push(scratch.run(["list", "--handler", HOSTILE]));
    runs.push(scratch.run(["import", "djblets", "--from", HOSTILE, "--yes"]));
    for run in &runs {
        for text in [&run.stdout, &run.stderr] {
            let is_harmless = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
            assert!(text.chars().all(is_harmless), "{text:?}");
            assert!(!text.contains("\nid: 7"), "no line is made up: {text:?}");
        }
    }
    assert_eq!(runs[1].json()["tokens"][0]["note"], HOSTILE, "programs get it as it is");
    assert_eq!(runs[9].json()["note"], HOSTILE);
}

#[test]
fn one_token_is_shown() {
    let scratch = some();
    let shown = good(&scratch, &["show", "--id", "1"]);
    let expected = "id: 1\nactor: ann\nstate: valid\nhint: tok_ab\ngenerator: vendor\n\
        created: 2001-09-09 01:46:40 UTC\nlast used: 2017-07-14 02:40:00 UTC\nexpires: never\nnote: for tests\n\
        restrictions: {\"a\":[\"vi\"]}\npolicy: {\"resources\":[\"*\"]}\nauto-generated: no\nextra: {\"team\":7}\n";
    assert_eq!(shown.stdout, expected);
    assert_eq!(good(&scratch, &["show", "--token", "1"]).stdout, expected);
    assert_eq!(scratch.feed(["show", "--token", "-"], b"1\n").stdout, expected);
    let record = good(&scratch, &["show", "--id", "3", "--json"]).json();
    assert_eq!((&record["id"], &record["invalid_reason"]), (&json!("3"), &json!("it leaked")));
    let unknown = scratch.run(["show", "--id", "9"]);
    assert_eq!((unknown.code(), unknown.stderr.as_str()), (1, "token not found\n"), "{unknown}");
    for arguments in [&["show"][..], &["show", "--id", "1", "--token", "1"], &["show", "--token", "-"]] {
        refused(&scratch, arguments);
    }
    let two = scratch.feed(["show", "--token", "-"], b"1\n2\n");
    assert!(two.code() == 2 && two.stderr.contains("expected a token on stdin, in one line"), "{two}");
}

#[test]
fn many_are_invalidated_only_by_who_is_sure() {
    let scratch = some();
    for arguments in [&["invalidate", "--everyone"][..], &["invalidate", "--actor", "ann"]] {
        asks(&scratch, arguments);
    }
    for arguments in [
        &["invalidate", "--yes"][..],
        &["invalidate", "--yes", "--note", "tests"],
        &["invalidate", "--yes", "--id", "1", "--note", "tests"],
        &["invalidate", "--yes", "--token", "1", "--expired"],
        &["invalidate", "--yes", "--id", "1", "--everyone"],
        &["invalidate", "--yes", "--actor", "ann", "--everyone"],
    ] {
        refused(&scratch, arguments);
    }
    let reason = ["--reason", "- they leaked", "--yes"];
    let run =
        good(&scratch, &[&["invalidate", "--everyone", "--note", "tests", "--not-expired"], &reason[..]].concat());
    assert_eq!(run.stdout, "token 1 of ann\ntoken 4 of cid\n");
    assert_eq!(listed(&scratch, &["--valid"]), "2");
    assert_eq!(kept(&scratch)["tokens"][3]["invalid_reason"], "- they leaked");
    assert_eq!(kept(&scratch)["tokens"][2]["invalid_reason"], "it leaked", "the first reason stays");
    let again = good(&scratch, &["invalidate", "--actor", "ann", "--actor", "cid", "-y"]);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", "nothing that was valid\n"));
    let one = good(&scratch, &["invalidate", "--id", "2", "--json"]).json();
    assert_eq!(
        one,
        json!({ "tokens": [{ "id": "2", "actor_id": "bob" }], "cutoffs": [] }),
        "one token needs no asking"
    );
}

#[test]
fn a_token_is_changed() {
    let scratch = some();
    let changed = |arguments: &[&str]| good(&scratch, &[&["update", "--json"], arguments].concat()).json();
    assert_eq!(changed(&["--id", "1", "--note", "-"])["note"], "-");
    assert_eq!(changed(&["--token", "1", "--policy", "[1]"])["policy"], json!([1]));
    assert_eq!(changed(&["--id", "1", "--note", ""])["policy"], json!([1]), "what is not said stays");
    assert_eq!(changed(&["--id", "1", "--no-policy"])["policy"], Value::Null);
    assert_eq!(changed(&["--id", "1", "--expires", "2100-01-01"])["expires_at"], 4_102_444_800_u64);
    let in_a_day = changed(&["--id", "1", "--expires", "1d"])["expires_at"].as_u64().unwrap();
    assert!(in_a_day.abs_diff(now() + 86_400) < 60, "{in_a_day}");
    assert_eq!(changed(&["--id", "1", "--expires", "never", "--valid", "false"])["valid"], false);
    let last = good(&scratch, &["update", "--id", "1", "--valid", "true"]).stdout;
    assert!(last.starts_with("id: 1\nactor: ann\nstate: valid\n") && last.contains("\nexpires: never\n"), "{last}");
    assert_eq!(scratch.run(["update", "--id", "9", "--note", "x"]).code(), 1);
    for arguments in [
        &["update", "--note", "x"][..],
        &["update", "--id", "1"],
        &["update", "--id", "1", "--policy", "{}", "--no-policy"],
        &["update", "--id", "1", "--policy", "{"],
        &["update", "--id", "1", "--expires", "soon"],
        &["update", "--id", "1", "--valid", "maybe"],
    ] {
        refused(&scratch, arguments);
    }
}

#[test]
fn what_ended_long_ago_is_purged() {
    let scratch = some();
    asks(&scratch, &["purge", "--older-than", "90d"]);
    refused(&scratch, &["purge", "--yes"]);
    refused(&scratch, &["purge", "--older-than", "90d", "--dry-run", "--yes"]);
    let dry = good(&scratch, &["purge", "--older-than", "90d", "--dry-run"]);
    assert!(dry.stdout.starts_with("would be deleted: 2 tokens that ended before 20"), "{dry}");
    assert_eq!(listed(&scratch, &[]), "1 2 3 4");
    let age = format!("{}s", now() - 1_300_000_000);
    let purged = good(&scratch, &["purge", "--older-than", &age, "--yes", "--json"]).json();
    assert_eq!((&purged["count"], &purged["dry_run"]), (&json!(1), &json!(false)), "the time counts: {purged}");
    assert!(purged["ended_before"].as_u64().unwrap().abs_diff(1_300_000_000) < 60);
    assert_eq!(listed(&scratch, &[]), "1 3 4");
    let purged = good(&scratch, &["purge", "--older-than", "90d", "--yes"]);
    assert!(purged.stdout.starts_with("deleted: 1 tokens"), "{purged}");
    assert!(good(&scratch, &["purge", "--older-than", "90d", "--yes"]).stdout.starts_with("deleted: 0 tokens"));
}

#[test]
fn actors_are_deactivated_and_activated() {
    let scratch = some();
    asks(&scratch, &["actor", "deactivate", "ann"]);
    asks(&scratch, &["actor", "activate", "ann", "bob"]);
    refused(&scratch, &["actor", "deactivate", "--yes"]);
    refused(&scratch, &["actor"]);
    let run = good(&scratch, &["actor", "deactivate", "ann", "bob", "--reason", "they left", "--yes"]);
    assert_eq!(run.stdout, "deactivated: ann\ndeactivated: bob\n");
    let run = good(&scratch, &["actor", "deactivate", "bob", "cid", "--yes", "--json"]).json();
    assert_eq!((run["actors"].as_array().unwrap().len(), &run["actors"][0]["actor_id"]), (1, &json!("cid")));
    let table = good(&scratch, &["actor", "list", "--all"]).stdout;
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split("  ").collect()).collect();
    assert_eq!((rows.len(), rows[0][0].trim(), rows[0][rows[0].len() - 1]), (3, "ann", "they left"), "{table}");
    let page = good(&scratch, &["actor", "list", "--json"]).json();
    assert_eq!((page["actors"].as_array().unwrap().len(), &page["next"]), (2, &json!("- 2")), "{page}");
    let run = good(&scratch, &["actor", "activate", "ann"]);
    assert_eq!(run.stdout, "activated: ann\n", "one needs no asking");
    let again = good(&scratch, &["actor", "activate", "ann"]);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", "nobody who was not activated before\n"));
}

/// A file of five tokens of another system: one is here already, one has no actor.
fn theirs(scratch: &Scratch, actor: &str) -> String {
    let token = |id: &str, actor: &str| json!({ "id": id, "actor_id": actor, "created_at": 1, "valid": true });
    let tokens = [token("1", "ann"), token("5", "ann"), token("6", ""), token("7", "bob"), token("8", actor)];
    scratch.file("theirs-hunter2.json", json!(tokens).to_string()).display().to_string()
}

#[test]
fn an_import_is_a_dry_run_a_question_and_an_import() {
    let scratch = some();
    let from = theirs(&scratch, "cid");
    let import = ["import", "djblets", "--from", from.as_str()];
    asks(&scratch, &import);
    let requests = || {
        let entries =
            scratch.journal().entries().into_iter().filter(|entry| entry.who == "keeps" && entry.what == "import");
        entries.map(|entry| entry.detail).collect::<Vec<_>>()
    };
    assert_eq!(requests(), [json!(null); 0], "who cannot be asked is not kept waiting");

    let dry = good(&scratch, &[&import[..], &["--dry-run"]].concat());
    let counts =
        "tokens: 5 of 5 read, 3 would be brought over, 1 there already, 1 skipped; actors: 0 would be deactivated\n";
    assert_eq!((dry.stdout.as_str(), dry.stderr.as_str()), (counts, "row 6: ?[2Jno actor\n"), "{dry}");
    assert_eq!(listed(&scratch, &[]), "1 2 3 4");

    let done = good(&scratch, &[&import[..], &["--yes"]].concat());
    let counts = "tokens: 5 of 5 read, 3 brought over, 1 there already, 1 skipped; actors: 0 deactivated\n";
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), (counts, "row 6: ?[2Jno actor\n"), "said once: {done}");
    assert_eq!(listed(&scratch, &[]), "1 2 3 4 5 7 8");
    let places: Vec<(bool, Value)> =
        requests().iter().map(|told| (told["dry_run"] == true, told["after"].clone())).collect();
    let pages = |is_dry_run| [json!(null), json!("- 2"), json!("- 4")].map(|after| (is_dry_run, after));
    assert_eq!(places, [pages(true), pages(true), pages(false)].concat(), "each time from the beginning to the end");

    let again = good(&scratch, &[&import[..], &["--yes", "--json"]].concat()).json();
    let expected = json!({
        "dry_run": true, "total": 5, "read": 5, "imported": 0, "present": 4, "skipped": 1, "inactive_actors": 0,
        "notes": ["row 6: \u{1b}[2Jno actor"],
    });
    assert_eq!(again, expected, "nothing was left to be done");
}

#[test]
fn an_import_that_fails_says_how_far_it_came() {
    let scratch = some();
    let from = theirs(&scratch, "fail");
    let run = scratch.run(["import", "djblets", "--from", &from, "--yes"]);
    assert_eq!((run.code(), run.stdout.as_str()), (5, ""), "{run}");
    assert!(run.stderr.contains("4 of 5 read, 2 brought over, 1 there already, 1 skipped"), "{run}");
    assert!(run.stderr.contains("it was told to fail"), "{run}");
    assert_eq!(listed(&scratch, &[]), "1 2 3 4 5 7");
    theirs(&scratch, "cid");
    let run = good(&scratch, &["import", "djblets", "--from", &from, "--yes"]);
    assert!(run.stdout.contains(" 1 brought over, 3 there already, 1 skipped"), "{run}");
}

#[test]
fn what_an_import_is_told_reaches_the_handler_and_nobody_else() {
    let scratch = some();
    let from = theirs(&scratch, "cid");
    let import = |arguments: &[&str], stdin: &str| {
        let mut command = scratch.command([&["import", "datasette-auth-tokens", "--dry-run"], arguments].concat());
        command.env("THEIR_URL", &from).env("THEIR_SECRET", "hunter2").env_remove("NOT_SET");
        token_host_tests::run(&mut command, stdin.as_bytes())
    };
    let options = ["--option", "days=30", "--option", "table=their tokens", "--option-env", "secret=THEIR_SECRET"];
    for (arguments, stdin) in [(&["--from-env", "THEIR_URL"][..], ""), (&["--from", "-"], &format!("{from}\n"))] {
        let run = import(&[arguments, &options[..]].concat(), stdin);
        assert_eq!(run.code(), 0, "{run}");
        assert!(!format!("{run}").contains("hunter2"), "{run}");
        let entry = scratch.journal().entries().into_iter().rfind(|entry| entry.what == "import").unwrap();
        let told = (&entry.detail["system"], &entry.detail["from"], &entry.detail["options"]);
        let expected = json!({ "days": 30, "table": "their tokens", "secret": "hunter2" });
        assert_eq!(told, (&json!("datasette-auth-tokens"), &json!(from), &expected));
    }
    for arguments in [
        &[][..],
        &["--from", "-"],
        &["--from", &from, "--from-env", "THEIR_URL"],
        &["--from-env", "NOT_SET"],
        &["--from", &from, "--option-env", "secret=NOT_SET"],
        &["--from", &from, "--option", "days"],
        &["--from", &from, "--yes"],
    ] {
        let run = import(arguments, "");
        assert_eq!((run.code(), run.stdout.as_str()), (2, ""), "{arguments:?}: {run}");
    }
    refused(&scratch, &["import", "phlask", "--from", &from, "--yes"]);
}

#[test]
fn an_export_has_a_line_for_each_token() {
    let scratch = some();
    let lines = good(&scratch, &["export"]).json_lines();
    assert_eq!(json!(lines), kept(&scratch)["tokens"], "as they are kept, over two pages");
    assert_eq!(good(&scratch, &["export", "--actor", "ann", "--valid"]).json_lines().len(), 1);
    assert_eq!(good(&scratch, &["export", "--actor", "nobody"]).stdout, "");
}

#[test]
fn an_export_to_a_file_is_for_its_owner_alone_and_replaces_nothing_unasked() {
    let scratch = some();
    let out = scratch.join("out.jsonl");
    let run = good(&scratch, &["export", "--output", "out.jsonl"]);
    assert_eq!(run.stdout, "out.jsonl: 4 tokens\n");
    let text = fs::read_to_string(&out).unwrap();
    assert_eq!(text, good(&scratch, &["export"]).stdout);
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&out).unwrap().permissions()) & 0o777, 0o600);
    let again = refused(&scratch, &["export", "--output", "out.jsonl", "--actor", "ann"]);
    assert!(again.stderr.contains("expected --force"), "{again}");
    assert_eq!(fs::read_to_string(&out).unwrap(), text);
    let answer = good(&scratch, &["export", "-o", "out.jsonl", "--force", "--actor", "ann", "--json"]).json();
    assert_eq!(answer, json!({ "file": "out.jsonl", "count": 2 }));
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 2);
    #[cfg(unix)]
    {
        // As a device would be: there is something else behind the name than a file of one's own.
        std::os::unix::fs::symlink(&out, scratch.join("link")).unwrap();
        let link = refused(&scratch, &["export", "-o", "link", "--force"]);
        assert!(link.stderr.contains("what is there is no file"), "{link}");
    }
    for arguments in
        [&["export", "--force"][..], &["export", "-o", "libraries", "--force"], &["export", "-o", "missing/out.jsonl"]]
    {
        refused(&scratch, arguments);
    }
}

#[test]
fn migrations_are_shown_and_done() {
    let migrated = |arguments: &[&str]| {
        let scratch = keeping(json!([]), "");
        scratch.file("kept.json", "{}");
        (scratch.run([&["migrate"], arguments].concat()), scratch)
    };
    let (check, scratch) = migrated(&["--check"]);
    assert_eq!(check.code(), 1, "{check}");
    assert_eq!(check.stdout, "the hostile store: has version 0, needs 2\n1: tokens\n2: ?[31mactors\n", "{check}");
    assert_eq!(scratch.run(["migrate", "--check"]).code(), 1, "a check changes nothing");
    let (done, scratch) = migrated(&[]);
    assert_eq!(done.code(), 0, "{done}");
    assert_eq!(done.stdout, "the hostile store: had version 0, has 2 now\n1: tokens\n2: ?[31mactors\n");
    let check = good(&scratch, &["migrate", "--check"]);
    assert_eq!(check.stdout, "the hostile store: has version 2, nothing to do\n");
    let json = good(&scratch, &["migrate", "--json"]).json();
    assert_eq!(json, json!({ "store": "the hostile store", "from": 2, "to": 2, "steps": [] }));
}

#[test]
fn a_handler_that_keeps_nothing_can_do_none_of_it() {
    let scratch = some();
    for arguments in [
        &["list"][..],
        &["show", "--id", "1"],
        &["invalidate", "--id", "1"],
        &["update", "--id", "1", "--note", "x"],
        &["purge", "--older-than", "1d", "--yes"],
        &["actor", "list"],
        &["actor", "activate", "ann"],
        &["import", "djblets", "--from", "x", "--yes"],
        &["export"],
        &["migrate"],
    ] {
        let run = refused(&scratch, &[arguments, &["--handler", "none"]].concat());
        assert!(run.stderr.contains("is not supported by"), "{arguments:?}: {run}");
    }
}
