//! Trails in real files, and what the verification says of them.

use std::{
    fs::OpenOptions,
    io::{BufReader, Write},
    path::PathBuf,
    thread,
};

use serde_json::Value;
use tempfile::TempDir;
use token_audit_chain::{Findings, Line, Verification};
use token_plugin_api::EventKind;

use super::*;
use crate::config::Config;

const NOW: u64 = 1_700_000_000;
const KEY: &str = "a key for the tests alone, long enough";

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("audit.jsonl")
    }

    fn trail(&self, settings: &str) -> Trail {
        Trail::new(self.settings(settings), || NOW)
    }

    fn settings(&self, settings: &str) -> Settings {
        serde_json::from_str::<Config>(settings).unwrap().check(self.0.path()).unwrap()
    }

    /// Its files, in their order.
    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = Rotated::all(&self.path()).unwrap().into_iter().map(|one| one.path).collect();
        files.extend(Some(self.path()).filter(|path| path.exists()));
        files
    }

    fn verified(&self) -> Result<Findings, String> {
        verified(&self.files(), Vec::new())
    }

    /// Verifies, and tells the `events` of all lines.
    fn events(&self) -> Vec<String> {
        self.verified().unwrap();
        self.lines().iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect()
    }

    fn lines(&self) -> Vec<Value> {
        let text = self.files().iter().map(|path| fs::read_to_string(path).unwrap()).collect::<String>();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn put(&self, bytes: &[u8]) {
        OpenOptions::new().write(true).truncate(true).open(self.path()).unwrap().write_all(bytes).unwrap();
    }
}

fn verified(files: &[PathBuf], keys: Vec<Seal>) -> Result<Findings, String> {
    let mut verification = Verification::default().with_keys(keys);
    for path in files {
        let name = path.file_name().unwrap().to_str().unwrap();
        let file = BufReader::new(fs::File::open(path).unwrap());
        verification.file(name, file).map_err(|why| why.to_string())?;
    }
    verification.finish().map_err(|why| why.to_string())?;
    Ok(verification.findings().clone())
}

fn created(actor: &str) -> Event {
    let mut event = Event::new(EventKind::TokenCreated, NOW);
    event.actor_id = Some(actor.to_owned());
    event
}

fn record(trail: &Trail, actors: &[&str]) -> Result<()> {
    let events: Vec<Event> = actors.iter().map(|actor| created(actor)).collect();
    trail.record(&events.iter().collect::<Vec<_>>())
}

#[test]
fn nothing_is_created_before_the_first_event_and_then_a_private_file() {
    let place = Place::new();
    drop(place.trail("{}"));
    let trail = place.trail("{}");
    assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 0);
    record(&trail, &["ann", "bob"]).unwrap();
    assert_eq!(place.events(), ["file_started", "token_created", "token_created"]);
    let lines = place.lines();
    assert_eq!((&lines[0]["at"], &lines[1]["actor_id"], &lines[2]["seq"]), (&NOW.into(), &"ann".into(), &3.into()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn the_chain_goes_on_after_restarts_and_between_trails_that_take_turns() {
    let place = Place::new();
    for round in 0..3 {
        let (one, other) = (place.trail("{}"), place.trail(r#"{"fsync":"always"}"#));
        for _ in 0..3 {
            record(&one, &["ann"]).unwrap();
            record(&other, &["bob", "bob"]).unwrap();
        }
        assert_eq!(place.verified().unwrap().lines, 1 + 9 * (round + 1));
    }
}

#[test]
fn threads_and_trails_write_at_once() {
    let place = Place::new();
    let trails = [r#"{"required":true}"#, r#"{"fsync":"never"}"#, "{}"].map(|settings| place.trail(settings));
    thread::scope(|scope| {
        for trail in trails.iter().chain(&trails) {
            scope.spawn(|| (0..50).for_each(|_| record(trail, &["ann"]).unwrap()));
        }
    });
    assert_eq!(place.verified().unwrap().lines, 1 + 300);
}

/// Most records begin a file, and so they meet in the middle of that.
#[test]
fn threads_and_trails_rotate_at_once() {
    let place = Place::new();
    let trails = [(); 4].map(|()| {
        let mut settings = place.settings(r#"{"fsync":"never"}"#);
        settings.rotate_bytes = Some(500);
        Trail::new(settings, || NOW)
    });
    thread::scope(|scope| {
        for trail in &trails {
            scope.spawn(|| (0..100).for_each(|_| record(trail, &["ann"]).unwrap()));
        }
    });
    let created = place.lines().iter().filter(|line| line["event"] == "token_created").count();
    let files = place.files().len();
    assert!(created == 400 && (200..=400).contains(&files), "{created} in {files} files");
    assert_eq!(place.verified().unwrap().lines, 400 + files as u64);
}

#[test]
fn a_full_file_gets_a_number_and_the_next_one_follows_it() {
    let place = Place::new();
    let (one, other) = (place.trail(r#"{"rotate_bytes":65536}"#), place.trail(r#"{"rotate_bytes":65536}"#));
    for _ in 0..10 {
        record(&one, &["ann"; 60]).unwrap();
        record(&other, &["bob"; 60]).unwrap();
    }
    let files = place.files();
    let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["audit.jsonl.000001", "audit.jsonl.000002", "audit.jsonl.000003", "audit.jsonl"]);
    assert_eq!(place.verified().unwrap().lines, 1200 + 4);
    let starts: Vec<Value> = place.lines().into_iter().filter(|line| line["event"] == "file_started").collect();
    assert_eq!((&starts[0]["file"], &starts[0]["previous_file"]), (&1.into(), &Value::Null));
    assert_eq!((&starts[3]["file"], &starts[3]["previous_file"]), (&4.into(), &"audit.jsonl.000003".into()));
    for path in &files[..3] {
        assert!((65536..120_000).contains(&fs::metadata(path).unwrap().len()));
    }

    drop((one, other));
    let few = place.trail(r#"{"rotate_bytes":65536,"keep_files":2}"#);
    (0..5).for_each(|_| record(&few, &["cid"; 100]).unwrap());
    let names: Vec<_> = place.files().iter().map(|path| path.extension().unwrap().to_owned()).collect();
    assert_eq!(names, ["000004", "000005", "jsonl"]);
    assert!(place.verified().unwrap().first.unwrap().sequence > 500);

    // Who moved the full ones away does not get the same names again.
    place.files()[..2].iter().for_each(|path| fs::remove_file(path).unwrap());
    (0..2).for_each(|_| record(&few, &["cid"; 200]).unwrap());
    assert_eq!(place.files()[0].extension().unwrap(), "000006");
    place.verified().unwrap();
}

/// Between the renaming and the new file.
#[test]
fn a_rotation_that_was_interrupted_is_finished_by_whoever_comes_next() {
    let place = Place::new();
    record(&place.trail("{}"), &["ann"]).unwrap();
    fs::rename(place.path(), Rotated::new(&place.path(), 1).path).unwrap();
    record(&place.trail("{}"), &["bob"]).unwrap();
    assert_eq!(place.events(), ["file_started", "token_created", "file_started", "token_created"]);
    // The file is there, and has nothing in it.
    fs::rename(place.path(), Rotated::new(&place.path(), 2).path).unwrap();
    fs::write(place.path(), "").unwrap();
    record(&place.trail("{}"), &["cid"]).unwrap();
    assert_eq!((place.files().len(), place.verified().unwrap().lines), (3, 6));
}

#[test]
fn a_file_that_cannot_be_renamed_grows_on() {
    let place = Place::new();
    let blocked = Rotated::new(&place.path(), u64::MAX).path;
    let trail = place.trail(r#"{"rotate_bytes":65536}"#);
    record(&trail, &["ann"]).unwrap();
    fs::write(&blocked, "not to be lost").unwrap();
    (0..5).for_each(|_| record(&trail, &["ann"; 100]).unwrap());
    assert_eq!(fs::read_to_string(&blocked).unwrap(), "not to be lost");
    fs::remove_file(blocked).unwrap();
    assert_eq!((place.files().len(), place.verified().unwrap().lines), (1, 502));
    record(&trail, &["ann"]).unwrap();
    assert_eq!((place.files().len(), place.verified().unwrap().lines), (2, 504));
}

#[test]
fn a_line_that_was_torn_anywhere_is_kept_in_the_next_one() {
    let place = Place::new();
    record(&place.trail("{}"), &["ann"]).unwrap();
    let before = place.bytes();
    record(&place.trail("{}"), &["bob"]).unwrap();
    let whole = place.bytes();
    for cut in before.len() + 1..whole.len() {
        place.put(&whole[..cut]);
        let warnings = place.verified().unwrap().warnings;
        assert!(warnings[0].to_string().starts_with("audit.jsonl, line 3: it has no end"), "{warnings:?}");
        record(&place.trail("{}"), &["cid"]).unwrap();
        assert_eq!(place.events(), ["file_started", "token_created", "line_torn", "token_created"]);
        let torn = &place.lines()[2];
        let text = std::str::from_utf8(&whole[before.len()..cut]).unwrap();
        assert_eq!((&torn["torn"], &torn["bytes"]), (&text.into(), &text.len().into()));
        assert_eq!(torn["sha256"], Seal::Plain.hash(text.as_bytes()).to_string());
        let warnings = place.verified().unwrap().warnings;
        assert!(warnings[0].to_string().starts_with("audit.jsonl, line 3: "), "{warnings:?}");
    }
    // Also while it is open, and in its first line.
    let trail = place.trail("{}");
    record(&trail, &["ann"]).unwrap();
    OpenOptions::new().append(true).open(place.path()).unwrap().write_all(b"{\"seq\xff").unwrap();
    record(&trail, &["bob"]).unwrap();
    let events = place.events();
    assert_eq!(events[events.len() - 2..], ["line_torn", "token_created"]);
    place.put(&whole[..40]);
    drop(trail);
    record(&place.trail("{}"), &["ann"]).unwrap();
    assert_eq!(place.events(), ["file_started", "line_torn", "token_created"]);
}

#[test]
fn a_trail_that_runs_does_not_let_lines_disappear() {
    let shorten = |place: &Place| {
        let bytes = place.bytes();
        let cut = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        place.put(&bytes[..cut]);
    };
    let place = Place::new();
    let trail = place.trail("{}");
    record(&trail, &["ann", "bob", "cid"]).unwrap();
    shorten(&place);
    assert_eq!(place.verified().unwrap().lines, 3, "by itself it is a good chain");
    record(&trail, &["dan"]).unwrap();
    let broken = place.verified().unwrap_err();
    assert_eq!(broken, "audit.jsonl, line 4: 1 line is missing before it (number 5 comes after 3)");

    // Replaced by a line of the same length, by another writer that knows nothing.
    let place = Place::new();
    let trail = place.trail("{}");
    record(&trail, &["ann", "bob"]).unwrap();
    shorten(&place);
    record(&place.trail("{}"), &["bib"]).unwrap();
    record(&trail, &["cid"]).unwrap();
    let broken = place.verified().unwrap_err();
    assert_eq!(broken, "audit.jsonl, line 4: it does not follow the line before it, but another one");

    // Emptied, removed, replaced by an older copy.
    let remove = |place: &Place| fs::remove_file(place.path()).unwrap();
    let older: fn(&Place) = |place| {
        fs::remove_file(place.path()).unwrap();
        record(&place.trail("{}"), &["eve"]).unwrap();
    };
    for (take_away, broken) in [
        ((|place: &Place| place.put(b"")) as fn(&Place), None),
        (remove as fn(&Place), None),
        (older, Some("audit.jsonl, line 3: 2 lines are missing before it (number 5 comes after 2)")),
    ] {
        let place = Place::new();
        let trail = place.trail("{}");
        record(&trail, &["ann", "bob", "cid"]).unwrap();
        take_away(&place);
        record(&trail, &["dan"]).unwrap();
        match (place.verified(), broken) {
            (Ok(findings), None) => {
                assert_eq!(place.lines()[0]["file"], 2);
                assert_eq!(findings.first.unwrap().sequence, 5, "a chain of which the beginning is missing")
            }
            (found, broken) => assert_eq!(found.unwrap_err(), broken.unwrap()),
        }
    }
}

#[test]
fn nobody_goes_on_from_a_damaged_end() {
    let place = Place::new();
    record(&place.trail("{}"), &["ann", "bob"]).unwrap();
    let text = String::from_utf8(place.bytes()).unwrap().replace("bob", "eve");
    place.put(text.as_bytes());
    record(&place.trail("{}"), &["cid"]).unwrap();
    assert_eq!(place.files().len(), 2);
    assert_eq!(place.verified().unwrap_err(), "audit.jsonl.000001, line 3: it was changed: its hash does not fit");
    let findings = verified(&[place.path()], Vec::new()).unwrap();
    assert_eq!((findings.lines, findings.warnings.len()), (2, 1));
    let start = &place.lines()[3];
    assert_eq!((&start["seq"], &start["damaged"]), (&1.into(), &"audit.jsonl.000001".into()));
    record(&place.trail("{}"), &["cid"]).unwrap();
    assert_eq!(place.files().len(), 2, "once is enough");
    // Something that was there before.
    let place = Place::new();
    fs::write(place.path(), "a file of somebody else's\n").unwrap();
    record(&place.trail("{}"), &["ann"]).unwrap();
    assert_eq!(fs::read_to_string(&place.files()[0]).unwrap(), "a file of somebody else's\n");
    assert_eq!(verified(&[place.path()], Vec::new()).unwrap().lines, 2);
}

#[test]
fn another_key_gets_another_file_that_follows() {
    let place = Place::new();
    let keyed = |key: &str| place.trail(&format!(r#"{{"key":"{key}"}}"#));
    let other = KEY.replace('a', "b");
    record(&place.trail("{}"), &["ann"]).unwrap();
    for key in [KEY, KEY, &other] {
        record(&keyed(key), &["bob"]).unwrap();
    }
    let files = place.files();
    assert_eq!(files.len(), 3);
    let seals = |keys: &[&str]| keys.iter().map(|key| Seal::keyed(key.as_bytes()).unwrap()).collect::<Vec<_>>();
    assert_eq!(verified(&files[..1], Vec::new()).unwrap().lines, 2);
    let findings = verified(&files[1..], seals(&[KEY, &other])).unwrap();
    assert_eq!((findings.first.unwrap().sequence, findings.lines), (3, 5));
    assert!(verified(&files[1..], seals(&[KEY])).is_err());
    let last = fs::read_to_string(&files[0]).unwrap();
    let last = Line::read(last.lines().last().unwrap().as_bytes()).unwrap().position.hash;
    assert_eq!(findings.first.unwrap().previous, last);
    let mut text = fs::read_to_string(&files[1]).unwrap();
    text = text.replace("bob", "eve");
    fs::write(&files[1], text).unwrap();
    assert!(verified(&files[1..], seals(&[KEY, &other])).unwrap_err().contains("line 2: it was changed"));
}

#[test]
fn what_cannot_be_written_is_an_error_with_place_and_cause_and_counted() {
    let place = Place::new();
    let trail = place.trail("{}");
    record(&trail, &["ann"]).unwrap();
    let aside = place.0.path().join("aside");
    fs::rename(place.path(), &aside).unwrap();
    let path = place.path();
    fs::create_dir(&path).unwrap();
    for actors in [&["bob", "cid"][..], &["dan"]] {
        let error = record(&trail, actors).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: cannot be opened: ", path.display())), "{error}");
    }
    fs::remove_dir(&path).unwrap();
    fs::rename(aside, &path).unwrap();
    record(&trail, &["eve"]).unwrap();
    assert_eq!(place.events(), ["file_started", "token_created", "records_lost", "token_created"]);
    assert_eq!(place.lines()[2]["records"], 3);
    let warnings = place.verified().unwrap().warnings;
    assert_eq!(warnings[0].to_string(), "audit.jsonl, line 3: 3 records could not be written before it");
    record(&trail, &["eve"]).unwrap();
    assert_eq!(place.lines().len(), 5, "told once");
    // The folder is gone.
    fs::remove_dir_all(place.0.path()).unwrap();
    let error = record(&trail, &["eve"]).unwrap_err().to_string();
    assert!(error.contains("audit.jsonl: cannot be opened: No such file"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_a_regular_file_is_written_to() {
    use std::os::unix::{fs::symlink, net::UnixListener};
    let place = Place::new();
    let target = place.0.path().join("target");
    fs::write(&target, "").unwrap();
    let refused = |expected: &str| {
        let error = record(&place.trail("{}"), &["ann"]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        let _ = fs::remove_file(place.path());
    };
    symlink(&target, place.path()).unwrap();
    refused("it is a symbolic link, expected the file itself");
    symlink(place.0.path().join("nowhere"), place.path()).unwrap();
    refused("it is a symbolic link, expected the file itself");
    assert!(rustix::fs::mkfifoat(rustix::fs::CWD, place.path(), rustix::fs::Mode::RUSR).is_ok());
    refused("it is not a regular file");
    let _socket = UnixListener::bind(place.path()).unwrap();
    refused("cannot be opened");
    assert_eq!(fs::read_to_string(target).unwrap(), "");
}

#[cfg(unix)]
#[test]
fn who_keeps_it_locked_for_long_is_not_waited_for_for_ever() {
    use rustix::fs::{FlockOperation, flock};
    let place = Place::new();
    let trail = place.trail(r#"{"required":true}"#);
    record(&trail, &["ann"]).unwrap();
    let other = fs::File::open(place.path()).unwrap();
    flock(&other, FlockOperation::LockExclusive).unwrap();
    let error = record(&trail, &["bob"]).unwrap_err().to_string();
    assert!(error.ends_with("cannot be opened: others have kept it locked for too long"), "{error}");
    // They put another one in its place, and let go.
    thread::scope(|scope| {
        let waiting = scope.spawn(|| record(&trail, &["cid"]).unwrap());
        fs::rename(place.path(), Rotated::new(&place.path(), 1).path).unwrap();
        flock(&other, FlockOperation::Unlock).unwrap();
        waiting.join().unwrap();
    });
    assert_eq!(place.events(), ["file_started", "token_created", "file_started", "records_lost", "token_created"]);
}

#[test]
fn the_end_of_a_trail_waits_for_no_interval() {
    let place = Place::new();
    let trail = place.trail(r#"{"fsync":"interval","fsync_interval_ms":60000}"#);
    record(&trail, &["ann"]).unwrap();
    let start = std::time::Instant::now();
    drop(trail);
    assert!(start.elapsed() < Duration::from_secs(30));
}
