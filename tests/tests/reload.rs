//! Generations: a reload builds, then swaps, and keeps what has not changed.

use std::{fs, path::PathBuf, thread};

use serde_json::{Value, json};
use token_host::{ErrorKind, Host};
use token_host_tests::{Plugin, Scratch, joined, wait_until};

fn host(scratch: &Scratch) -> Host {
    Host::from_file(scratch.config()).unwrap()
}

/// A claim of the actor that this token stands for.
fn claim(host: &Host, token: &str, name: &str) -> Value {
    json!(host.verify_token_blocking(token).unwrap().unwrap())[name].clone()
}

/// How often the plugin of this name was made.
fn made(scratch: &Scratch, plugin: &str) -> usize {
    scratch.journal().entries().iter().filter(|e| e.plugin == plugin && e.what == "register").count()
}

fn handler(scratch: &mut Scratch, name: &str, more: &str) {
    let journal = scratch.journal().setting();
    let settings = format!("{journal}handlers = [{{ name = '{name}', claims = ['{name}'] {more} }}]");
    scratch.plugin(name, Plugin::Hostile, &settings);
}

#[test]
fn what_is_unchanged_keeps_its_instance_and_its_state() {
    let mut scratch = Scratch::new();
    handler(&mut scratch, "kept", "");
    handler(&mut scratch, "changed", "");
    let host = host(&scratch);
    assert_eq!(host.generation(), 1);
    for token in ["kept", "changed"] {
        assert_eq!(claim(&host, token, "calls"), 0);
    }

    scratch.no_entries();
    handler(&mut scratch, "changed", ", slow_ms = 1");
    handler(&mut scratch, "kept", "");
    let reload = host.reload().unwrap();
    assert_eq!((reload.generation, host.generation()), (2, 2));
    assert_eq!(claim(&host, "kept", "calls"), 1, "the same instance");
    assert_eq!(claim(&host, "changed", "calls"), 1, "another instance, which its trial has called once");
    assert_eq!((made(&scratch, "kept"), made(&scratch, "changed")), (1, 2));
    let changes = reload.changes.join("; ");
    assert!(changes.contains("handler \"kept\" moved from 2nd to 1st"), "{changes}");
    assert!(changes.contains("handler \"changed\" was made anew"), "{changes}");
    let rows = host.plugins();
    let generations: Vec<(&str, u64)> = rows.iter().map(|row| (row.name.as_str(), row.generation)).collect();
    assert_eq!(generations, [("kept", 1), ("changed", 2)]);
}

#[test]
fn a_reload_without_any_change_changes_nothing() {
    let mut scratch = Scratch::new();
    handler(&mut scratch, "kept", "");
    let host = host(&scratch);
    let reload = host.reload().unwrap();
    assert_eq!(reload.changes, [""; 0]);
    assert_eq!(made(&scratch, "kept"), 1);
}

#[test]
fn plugins_come_and_go() {
    let mut scratch = Scratch::new();
    handler(&mut scratch, "old", "");
    let host = host(&scratch);
    scratch.no_entries();
    handler(&mut scratch, "new", "");
    let changes = host.reload().unwrap().changes.join("; ");
    assert!(changes.contains("\"old\" was removed") && changes.contains("\"new\" was added"), "{changes}");
    assert_eq!(host.verify_token_blocking("old").unwrap(), None);
    assert!(host.verify_token_blocking("new").unwrap().is_some());
}

#[test]
fn a_dropped_in_library_is_there_after_a_reload() {
    let mut scratch = Scratch::new();
    scratch.host("drop_in = 'plugins.d'");
    fs::create_dir(scratch.join("plugins.d")).unwrap();
    handler(&mut scratch, "first", "");
    let host = host(&scratch);
    scratch.drop_in(&format!("x{}", std::env::consts::DLL_SUFFIX), Plugin::Signed);
    let error = host.reload().unwrap_err().to_string();
    assert!(error.contains("plugin \"signed\""), "it was found, and wants a secret: {error}");
}

#[test]
fn a_reload_that_fails_leaves_everything_as_it_was() {
    let mut scratch = Scratch::new();
    handler(&mut scratch, "good", "");
    let host = host(&scratch);
    assert_eq!(claim(&host, "good", "calls"), 0);
    let config = fs::read_to_string(scratch.config()).unwrap();
    let not_there = "[[plugin]]\nname = 'missing'\nfile = './missing.so'";
    let failing = scratch.library(Plugin::Hostile);
    let failing =
        format!("[[plugin]]\nname = 'bad'\nfile = '{}'\n[plugin.config]\nregister = 'panic'", failing.display());
    for (text, kind) in [
        ("this is not toml".to_owned(), ErrorKind::Config),
        (format!("{config}{not_there}"), ErrorKind::Admission),
        (format!("{config}{failing}"), ErrorKind::Config),
        (format!("{config}{not_there}\n{failing}"), ErrorKind::Config),
    ] {
        scratch.file("plugins.toml", &text);
        let calls = claim(&host, "good", "calls").as_u64().unwrap();
        let error = host.reload().unwrap_err();
        assert_eq!(*error.kind(), kind, "{error}");
        assert!(!error.findings().is_empty());
        assert_eq!(host.generation(), 1);
        assert_eq!(claim(&host, "good", "calls"), calls + 1);
    }
    scratch.file("plugins.toml", &config);
    assert_eq!(host.reload().unwrap().generation, 2, "failures are not counted");
    assert_eq!(made(&scratch, "good"), 1);
}

#[test]
fn calls_in_flight_finish_on_the_old_generation() {
    let mut scratch = Scratch::new();
    let journal = scratch.journal();
    let slow = "{ name = 'slow', execution = 'blocking', verify = 'slow', slow_ms = 300 }";
    let keys = "deadline_ms = 60000";
    scratch.plugin_with("slow", Plugin::Hostile, keys, &format!("{}handlers = [{slow}]", journal.setting()));
    let host = host(&scratch);
    thread::scope(|scope| {
        let in_flight = scope.spawn(|| claim(&host, "token", "handler"));
        wait_until("the call is in flight", || journal.calls().iter().any(|call| call == "slow verify").then_some(()));
        scratch.no_entries().plugin("quick", Plugin::Hostile, "handlers = [{ name = 'quick' }]");
        host.reload().unwrap();
        assert_eq!(claim(&host, "token", "handler"), "quick", "new calls go to the new one");
        assert!(!in_flight.is_finished());
        assert_eq!(in_flight.join().unwrap(), "slow", "the old one finishes");
    });
}

/// Whoever lets go of a plugin last is in the middle of something else: it is stopped on a thread of its own.
#[test]
fn a_plugin_that_takes_its_time_to_stop_delays_neither_calls_nor_reloads() {
    for execution in ["inline", "blocking", "async"] {
        let mut scratch = Scratch::new();
        let (journal, answer) = (scratch.journal(), scratch.join("answer"));
        let mut configure = |name: &str, more: &str| {
            let stop = scratch.join(name);
            let drop = format!("execution = '{execution}', drop = {{ wait_for = '{}' }}", stop.display());
            let settings = format!("{}handlers = [{{ name = '{name}', {drop} {more} }}]", journal.setting());
            scratch.no_entries().plugin_with(name, Plugin::Hostile, "deadline_ms = 60000", &settings);
            stop
        };
        let until = format!(", verify = 'slow', slow_until = '{}'", answer.display());
        let mut stops = vec![configure("first", &until)];
        let host = Host::from_file(answer.with_file_name("plugins.toml")).unwrap();
        let reload = |host: &Host| {
            let host = host.clone();
            joined("the reload", thread::spawn(move || host.reload().unwrap()));
        };
        let begun = |stop: &PathBuf| {
            wait_until("it is being dropped", || stop.with_extension("begun").exists().then_some(()));
        };

        let in_flight = {
            let host = host.clone();
            thread::spawn(move || claim(&host, "token", "handler"))
        };
        wait_until("the call is in flight", || journal.calls().contains(&"first verify".to_owned()).then_some(()));
        stops.push(configure("second", ""));
        reload(&host);
        fs::write(&answer, "").unwrap();
        assert_eq!(joined("the call in flight, whose end is the plugin's", in_flight), "first", "{execution}");
        begun(&stops[0]);

        stops.push(configure("third", ""));
        reload(&host);
        begun(&stops[1]);
        assert_eq!(claim(&host, "token", "handler"), "third", "{execution}");

        let ending = thread::spawn(move || drop(host));
        begun(&stops[2]);
        for stop in &stops {
            fs::write(stop, "").unwrap();
        }
        joined("the host's end", ending);
        let stopped = stops.iter().all(|stop| stop.with_extension("over").exists());
        assert!(stopped, "{execution}: the host waited for all of them, those of earlier generations included");
    }
}

#[test]
fn a_library_may_be_replaced_or_overwritten_under_a_running_host() {
    let mut scratch = Scratch::new();
    handler(&mut scratch, "good", "");
    let host = host(&scratch);
    let library = scratch.library(Plugin::Hostile);
    let bytes = fs::read(&library).unwrap();
    // In place: what is loaded is a sealed copy.
    fs::write(&library, vec![0xCC; bytes.len()]).unwrap();
    assert_eq!(claim(&host, "good", "calls"), 0);
    assert!(host.reload().is_err());
    assert_eq!(claim(&host, "good", "calls"), 1);
    // Another file with the same code: a byte more at the end is no byte of the image.
    fs::remove_file(&library).unwrap();
    fs::write(&library, [bytes.as_slice(), b"\0"].concat()).unwrap();
    let changes = host.reload().unwrap().changes.join("; ");
    assert!(changes.contains("handler \"good\" was replaced by another file"), "{changes}");
    assert_eq!(claim(&host, "good", "calls"), 1, "another instance, which its trial has called once");
    assert_eq!(host.status().libraries.mapped, 2, "the old copy stays mapped");
}

#[test]
fn reloads_and_calls_side_by_side() {
    let mut scratch = Scratch::new();
    handler(&mut scratch, "one", "");
    let host = host(&scratch);
    thread::scope(|scope| {
        let reloading = scope.spawn(|| {
            for round in 1..=20 {
                scratch.no_entries();
                handler(&mut scratch, "one", &format!(", slow_ms = {round}"));
                host.reload().unwrap();
            }
        });
        while !reloading.is_finished() {
            assert!(host.verify_token_blocking("one").unwrap().is_some());
        }
    });
    assert_eq!(host.generation(), 21);
}

#[test]
fn the_same_file_is_mapped_once() {
    let mut scratch = Scratch::new();
    for name in ["one", "two", "three"] {
        handler(&mut scratch, name, "");
    }
    let host = host(&scratch);
    assert_eq!(host.status().libraries.mapped, 1);
}
