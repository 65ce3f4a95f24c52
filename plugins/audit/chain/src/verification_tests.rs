//! Chains with one fault each, and what is said of them.

use serde_json::{Value, json};

use super::*;
use crate::{FILE_STARTED, append};

/// The lines of a chain, of which these numbers begin a file.
fn chain(seal: &Seal, lines: u64, starts: &[u64]) -> Vec<String> {
    let mut position = Position::START;
    let mut line = |event: &str, members: Value| {
        let mut text = Vec::new();
        position = append(&mut text, seal, position, 1000 + position.sequence, event, &members).unwrap();
        String::from_utf8(text).unwrap()
    };
    let start = json!({ "file": 1, "format": 1, "chain": seal.name(), "key_id": seal.key_id() });
    let each = |number: u64| match starts.contains(&number) {
        true => line(FILE_STARTED, start.clone()),
        false => line("token_created", json!({ "actor_id": format!("actor {number}") })),
    };
    (1..=lines).map(each).collect()
}

fn plain(lines: u64) -> Vec<String> {
    chain(&Seal::Plain, lines, &[1])
}

fn verify(mut verification: Verification, files: &[&[String]]) -> (Result<(), String>, Findings) {
    let mut read = || {
        for (index, file) in files.iter().enumerate() {
            verification.file(&format!("file {}", index + 1), file.concat().as_bytes())?;
        }
        verification.finish()
    };
    let ended = read().map_err(|why: Unverified| why.to_string());
    (ended, verification.findings().clone())
}

/// What is wrong with one file.
fn fault(lines: &[String]) -> String {
    verify(Verification::default(), &[lines]).0.unwrap_err()
}

fn key(byte: u8) -> Seal {
    Seal::keyed(&[byte; 32]).unwrap()
}

#[test]
fn a_good_chain_is_good_in_one_file_and_in_several() {
    let whole = chain(&Seal::Plain, 9, &[1, 4, 7]);
    let (first, rest) = whole.split_at(3);
    let (second, third) = rest.split_at(3);
    for files in [vec![&*whole], vec![first, second, third], vec![first, rest]] {
        let (ended, findings) = verify(Verification::default(), &files);
        assert_eq!(ended, Ok(()));
        assert_eq!((findings.files, findings.lines), (files.len() as u64, 9));
        assert_eq!((findings.earliest_at, findings.latest_at), (Some(1000), Some(1008)));
        assert_eq!(findings.last.unwrap().sequence, 9);
        assert!(findings.warnings.is_empty());
    }
    let (ended, findings) = verify(Verification::default(), &[second, third]);
    assert_eq!((ended, findings.first.unwrap().sequence), (Ok(()), 4), "the older ones may be gone");
}

#[test]
fn every_line_that_is_changed_removed_put_in_moved_or_doubled_is_found() {
    let good = plain(6);
    for at in 1..6 {
        let number = at + 1;
        let mut lines = good.clone();
        lines[at] = lines[at].replace("actor", "Actor");
        assert_eq!(fault(&lines), format!("file 1, line {number}: it was changed: its hash does not fit"));

        let mut lines = good.clone();
        lines.remove(at);
        let missing = format!("1 line is missing before it (number {} comes after {at})", at + 2);
        match at {
            5 => assert_eq!(verify(Verification::default(), &[&lines]).0, Ok(()), "nobody can know"),
            _ => assert_eq!(fault(&lines), format!("file 1, line {number}: {missing}")),
        }

        let mut lines = good.clone();
        lines.insert(at, good[at].clone());
        let twice = "it stands there twice, or in the wrong place";
        assert!(fault(&lines).starts_with(&format!("file 1, line {}: {twice} (number {number}", number + 1)));

        if at < 5 {
            let mut lines = good.clone();
            lines.swap(at, at + 1);
            assert!(fault(&lines).starts_with(&format!("file 1, line {number}: 1 line is missing before it")));
        }

        let foreign = chain(&Seal::Plain, 7, &[2])[number].clone();
        let mut lines = good.clone();
        lines[at] = foreign;
        assert!(fault(&lines).starts_with(&format!("file 1, line {number}: ")), "{at}");
    }
}

#[test]
fn a_line_of_another_chain_with_the_right_number_does_not_fit() {
    let (mut lines, other) = (plain(5), chain(&Seal::Plain, 5, &[1, 2]));
    lines[3] = other[3].clone();
    assert_eq!(fault(&lines), "file 1, line 4: it does not follow the line before it, but another one");
    let lines = [&plain(3)[..], &plain(2)[..]].concat();
    assert_eq!(fault(&lines), "file 1, line 4: a new chain begins here, which nothing binds to the lines before it");
}

#[test]
fn what_is_no_line() {
    for (text, expected) in [
        ("\n".to_owned(), "line 3: this is no line of an audit file: it is not of the form of one"),
        ("{}\n".to_owned(), "line 3: this is no line of an audit file: it is not of the form of one: missing field"),
        (format!("{}\n", "x".repeat(MAX_LINE_BYTES + 1)), "line 3: it is longer than 16384 bytes"),
        ("\0".repeat(9) + "\n", "line 3: this is no line of an audit file"),
    ] {
        let mut lines = plain(5);
        lines.insert(2, text);
        assert!(fault(&lines).starts_with(&format!("file 1, {expected}")), "{}", fault(&lines));
    }
    assert_eq!(fault(&[]), "file 1, line 1: the file is empty, expected `file_started`");
    assert_eq!(fault(&plain(3)[1..]), "file 1, line 1: it is the first line of its file, expected `file_started`");
}

#[test]
fn a_file_that_ends_in_a_line_is_only_good_as_the_last() {
    let mut lines = chain(&Seal::Plain, 6, &[1, 4]);
    let cut = lines[2].len() - 1;
    lines[2].truncate(cut);
    let (ended, findings) = verify(Verification::default(), &[&lines[..3]]);
    assert_eq!((ended, findings.lines), (Ok(()), 2));
    let message = "file 1, line 3: it has no end: it is being written, or was when its writer ended";
    assert_eq!(findings.warnings[0].to_string(), message);
    let (ended, _) = verify(Verification::default(), &[&lines[..3], &lines[3..]]);
    let message = "file 1, line 3: the file ends in the middle of this line, and another one follows";
    assert_eq!(ended.unwrap_err(), message);
}

#[test]
fn files_in_the_wrong_order_or_with_one_missing() {
    let lines = chain(&Seal::Plain, 9, &[1, 4, 7]);
    let (ended, _) = verify(Verification::default(), &[&lines[..3], &lines[6..]]);
    assert_eq!(ended.unwrap_err(), "file 2, line 1: 3 lines are missing before it (number 7 comes after 3)");
    let (ended, _) = verify(Verification::default(), &[&lines[..4], &lines[4..]]);
    assert_eq!(ended.unwrap_err(), "file 2, line 1: it is the first line of its file, expected `file_started`");
    let (ended, _) = verify(Verification::default(), &[&lines[3..6], &lines[..3]]);
    assert!(ended.unwrap_err().starts_with("file 2, line 1: a new chain begins here"));
}

#[test]
fn with_a_key_nothing_else_is_good() {
    let keyed = chain(&key(1), 4, &[1]);
    let with = |keys: &[Seal]| verify(Verification::default().with_keys(keys.to_vec()), &[&keyed]).0;
    assert_eq!(with(&[key(1)]), Ok(()));
    assert_eq!(with(&[key(2), key(1)]), Ok(()), "after a rotation");
    assert!(with(&[key(2)]).unwrap_err().starts_with("file 1, line 1: the lines are bound with another key (id "));
    assert!(with(&[]).unwrap_err().starts_with("file 1 is bound with a key (id "));
    let (ended, _) = verify(Verification::default().with_keys(vec![key(1)]), &[&plain(3)]);
    assert_eq!(
        ended.unwrap_err(),
        "file 1, line 1: the lines are bound without a key, expected the one that was given"
    );
    // Who has no key makes a chain that says it was made with it.
    let mut forged = chain(&key(2), 4, &[1]);
    forged[0] = forged[0].replace(key(2).key_id().unwrap(), key(1).key_id().unwrap());
    let (ended, _) = verify(Verification::default().with_keys(vec![key(1)]), &[&forged]);
    assert_eq!(ended.unwrap_err(), "file 1, line 1: it was changed: its hash does not fit");
}

#[test]
fn a_noted_hash_shows_what_was_cut_off() {
    let lines = plain(6);
    let hash = |number: usize| Line::read(lines[number - 1].trim_end().as_bytes()).unwrap().position.hash;
    let with = |verification: Verification, until: usize| verify(verification, &[&lines[..until]]).0;
    let noted = hash(5);
    assert_eq!(with(Verification::default().containing(noted), 6), Ok(()));
    assert_eq!(with(Verification::default().containing(noted), 5), Ok(()));
    let cut = with(Verification::default().containing(noted), 4).unwrap_err();
    assert_eq!(cut, format!("no line has the hash {noted}: the end is missing, or it is another chain"));
    assert_eq!(with(Verification::default().ending_with(noted), 5), Ok(()));
    let longer = with(Verification::default().ending_with(noted), 6).unwrap_err();
    assert_eq!(longer, format!("the last line has the hash {}, expected {noted}", hash(6)));

    let lines = chain(&Seal::Plain, 6, &[1, 4]);
    let third = Line::read(lines[2].trim_end().as_bytes()).unwrap().position.hash;
    assert_eq!(verify(Verification::default().after(third), &[&lines[3..]]).0, Ok(()));
    assert_eq!(verify(Verification::default().after(Hash::NONE), &[&lines]).0, Ok(()));
    let (ended, _) = verify(Verification::default().after(Hash::NONE), &[&lines[3..]]);
    let expected = format!("file 1, line 1: it follows the hash {third}, expected {}", Hash::NONE);
    assert_eq!(ended.unwrap_err(), expected);
}

#[test]
fn a_form_that_is_not_known_is_not_guessed() {
    let start = |members: Value| {
        let mut text = Vec::new();
        append(&mut text, &Seal::Plain, Position::START, 1, FILE_STARTED, &members).unwrap();
        fault(&[String::from_utf8(text).unwrap()])
    };
    let format = start(json!({ "file": 1, "format": 2, "chain": "sha256" }));
    assert_eq!(format, "file 1, line 1: the file is of format 2, expected 1");
    let chain = start(json!({ "file": 1, "format": 1, "chain": "md5" }));
    assert_eq!(chain, "file 1, line 1: the lines are bound by \"md5\", which is not known");
    assert!(start(json!({ "file": 1 })).starts_with("file 1, line 1: this is no start of a file: missing field"));
}

#[test]
fn numbers_at_the_end_of_their_range_are_only_numbers() {
    let mut text = Vec::new();
    let start = json!({ "file": 1, "format": 1, "chain": "sha256" });
    let near = Position { sequence: u64::MAX - 1, hash: Seal::Plain.hash(b"") };
    let last = append(&mut text, &Seal::Plain, near, 1, FILE_STARTED, &start).unwrap();
    append(&mut text, &Seal::Plain, last, 1, "token_used", &json!({})).unwrap();
    let fault = fault(&[String::from_utf8(text).unwrap()]);
    assert!(fault.starts_with("file 1, line 2: it stands there twice, or in the wrong place"), "{fault}");
}

#[test]
fn warnings_are_told_and_bounded() {
    let mut text = Vec::new();
    let start = json!({ "file": 1, "format": 1, "chain": "sha256", "damaged": "audit.jsonl.000001" });
    let mut position = append(&mut text, &Seal::Plain, Position::START, 1, FILE_STARTED, &start).unwrap();
    position = append(&mut text, &Seal::Plain, position, 1, LINE_TORN, &json!({ "bytes": 37 })).unwrap();
    for _ in 0..200 {
        position = append(&mut text, &Seal::Plain, position, 1, RECORDS_LOST, &json!({ "records": 5 })).unwrap();
    }
    let (ended, findings) = verify(Verification::default(), &[&[String::from_utf8(text).unwrap()]]);
    assert_eq!((ended, findings.warnings.len(), findings.more_warnings), (Ok(()), 100, 102));
    let messages: Vec<String> = findings.warnings[..3].iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "file 1, line 1: the end of audit.jsonl.000001 was not good any more when this file was begun",
            "file 1, line 2: 37 bytes of a line that was torn when it was written were taken up in this one",
            "file 1, line 3: 5 records could not be written before it",
        ]
    );
}
