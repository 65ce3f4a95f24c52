//! Imports from databases that the real systems made, and from some that they would not make.

use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use token_host_tests::{Postgres, Python, Skip as NoPython, repository, skipped};
use token_plugin_api::PluginErrorKind;

use super::{
    rows::{Column, Dialect, Identifier, Kind},
    *,
};
use crate::{digest::Digest, generators, store::Invalidated};

const NOW: u64 = 2_000_000_000;

/// A database of another system's.
struct Foreign {
    folder: TempDir,
    /// What the other system says is in it.
    made: Value,
}

impl Foreign {
    /// One that the real system made.
    fn made_by(system: &str, python: Result<Python, NoPython>) -> Result<Self, NoPython> {
        let mut command = python?.command();
        let folder = tempfile::tempdir().unwrap();
        command.arg(repository().join("tests/python/import_fixtures.py"));
        let output = command.args([system.as_ref(), path(&folder).as_os_str()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(Self { folder, made: serde_json::from_slice(&output.stdout).unwrap() })
    }

    /// One with these tables.
    fn with(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Connection::open(path(&folder)).unwrap().execute_batch(sql).unwrap();
        Self { folder, made: Value::Null }
    }

    fn request(&self, system: &str, options: Value) -> ImportTokens {
        let mut request = ImportTokens::new(system, "sqlite:foreign.db");
        request.options = options.as_object().unwrap().clone();
        request
    }

    fn try_read(&self, request: &ImportTokens) -> Result<Part> {
        pollster::block_on(read(request, self.folder.path(), &digester(), NOW))
    }

    fn read(&self, system: &str, options: Value) -> Part {
        self.try_read(&self.request(system, options)).unwrap()
    }

    fn refusal(&self, system: &str, options: Value) -> String {
        let error = self.try_read(&self.request(system, options)).unwrap_err();
        assert_eq!(*error.kind(), PluginErrorKind::InvalidArgument, "{error}");
        error.to_string()
    }
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("foreign.db")
}

fn digester() -> Digester {
    Digester::new(["pepper"])
}

fn found(part: &Part, digest: Digest) -> &ForeignToken {
    part.tokens.iter().find(|token| token.token.digest == digest).expect("the token has come over")
}

/// A token as the fixtures write it.
fn written(token: &ForeignToken) -> Value {
    let json = |text: &Option<String>| text.as_ref().map(|text| serde_json::from_str::<Value>(text).unwrap());
    json!({
        "token_generator_id": token.token.generator_id,
        "actor_id": token.token.actor_id,
        "created_at": token.token.created_at,
        "updated_at": token.updated_at,
        "last_used_at": token.last_used_at,
        "expires_at": token.token.expires_at,
        "valid": token.invalidated.is_none(),
        "invalid_at": token.invalidated.as_ref().map(|invalidated| invalidated.at),
        "invalid_reason": token.invalidated.as_ref().map_or("", |invalidated| &invalidated.reason),
        "note": token.token.details.note,
        "policy": json(&token.token.policy),
        "extra": json(&token.token.details.extra),
    })
}

#[test]
fn djblets_tokens_come_over_with_all_that_is_known_of_them() {
    let name = "djblets_tokens_come_over_with_all_that_is_known_of_them";
    let foreign = Foreign::made_by("django", Python::with_djblets());
    let Some(foreign) = skipped(name, foreign) else { return };
    let part = foreign.read("djblets", json!({}));
    let made = foreign.made["djblets"].as_object().unwrap();
    assert_eq!((part.total, part.read, part.skipped, part.next.clone()), (11, 11, 1, None));
    for (name, made) in made.iter().filter(|(name, _)| *name != "faulty") {
        let value = made["token"].as_str().unwrap();
        let token = found(&part, digester().digest(value));
        let mut expected = made.clone();
        for key in ["id", "token"] {
            expected.as_object_mut().unwrap().remove(key);
        }
        if name == "no_json" {
            expected["extra"] = Value::Null;
        }
        assert_eq!(written(token), expected, "{name}");
        assert_eq!(token.token.details.hint, generators::hint(value));
        assert_eq!(token.token.restrictions, None);
    }
    let inactive: Vec<_> = part.inactive.iter().map(|actor| (&*actor.actor_id, actor.since)).collect();
    assert_eq!(inactive, [("gone", NOW)]);
    let notes = [
        format!(
            r#"token {} was skipped: its policy is none: The "resources.user" section must be a JSON object."#,
            made["faulty"]["id"]
        ),
        format!("token {}: its `extra_data` was left out: it is no JSON object", made["no_json"]["id"]),
    ];
    assert_eq!(part.notes, notes);
    let by_id = foreign.read("djblets", json!({ "actor": "id", "table": "accounts_webapitoken" }));
    let revoked = found(&by_id, digester().digest(made["revoked"]["token"].as_str().unwrap()));
    assert_eq!(revoked.token.actor_id, foreign.made["users"]["root"].to_string());
    assert_eq!(by_id.inactive[0].actor_id, foreign.made["users"]["gone"].to_string());
}

#[test]
fn knox_tokens_come_over_under_their_digests() {
    let foreign = Foreign::made_by("django", Python::with_djblets());
    let Some(foreign) = skipped("knox_tokens_come_over_under_their_digests", foreign) else { return };
    let part = foreign.read("django-rest-knox", json!({}));
    assert_eq!((part.total, part.tokens.len(), part.skipped, part.notes.len()), (4, 4, 0, 0));
    for (name, made) in foreign.made["knox"].as_object().unwrap() {
        // What is computed when the token is presented.
        let token = found(&part, Digest::sha512(made["token"].as_str().unwrap()));
        assert_eq!(token.token.actor_id, made["actor_id"], "{name}");
        assert_eq!(json!(token.token.created_at), made["created_at"], "{name}");
        assert_eq!(json!(token.token.expires_at), made["expires_at"], "{name}");
        assert_eq!(token.token.details.hint, format!("{}...", made["token_key"].as_str().unwrap()));
        assert_eq!((token.last_used_at, &token.invalidated, &token.token.policy), (None, &None, &None));
    }
    assert_eq!(part.inactive.len(), 1);
    let other_hash = foreign.read("django-rest-knox", json!({ "digest": "sha256" }));
    assert_eq!((other_hash.tokens.len(), other_hash.skipped), (0, 4));
    assert!(other_hash.notes[0].ends_with("its `digest` is not the 64 hexadecimal digits of the hash"));
}

#[test]
fn datasette_auth_tokens_come_over_as_they_are_signed() {
    let name = "datasette_auth_tokens_come_over_as_they_are_signed";
    let foreign = Foreign::made_by("datasette", Python::with_datasette_auth_tokens());
    let Some(foreign) = skipped(name, foreign) else { return };
    let part = foreign.read("datasette-auth-tokens", json!({ "secret": "secret" }));
    assert_eq!((part.total, part.tokens.len(), part.skipped), (6, 5, 1));
    let token = |name: &str| found(&part, digester().digest(foreign.made[name]["token"].as_str().unwrap()));
    for name in ["plain", "restricted", "expiring", "expired", "revoked"] {
        let (token, row) = (token(name), &foreign.made[name]["row"]);
        assert_eq!(json!(token.token.actor_id), row["actor_id"], "{name}");
        assert_eq!(json!(token.token.created_at), row["created_timestamp"], "{name}");
        assert_eq!(json!(token.last_used_at), row["last_used_timestamp"], "{name}");
        let life = row["expires_after_seconds"].as_u64();
        assert_eq!(token.token.expires_at, life.map(|life| token.token.created_at + life), "{name}");
        // What Datasette made of it is what a host would, at that time.
        let is_good =
            token.invalidated.is_none() && token.token.expires_at.is_none_or(|at| at > token.token.created_at + 50);
        assert_eq!(foreign.made[name]["verified"], is_good, "{name}");
    }
    let restrictions: Value = serde_json::from_str(token("restricted").token.restrictions.as_ref().unwrap()).unwrap();
    assert_eq!(restrictions, json!({ "a": ["vi"], "r": { "docs": { "pages": ["ir"] } } }));
    assert_eq!(token("plain").token.restrictions, None);
    let revoked = token("revoked");
    assert_eq!(revoked.invalidated.as_ref().map(|invalidated| invalidated.at), Some(1_700_000_000));
    assert_eq!((&*revoked.token.details.note, revoked.updated_at), ("Nötiz", 1_700_000_000));
    assert!(token("plain").last_used_at.is_some() && token("plain").token.details.hint.starts_with("dsatok_..."));
    assert!(part.notes[0].ends_with("was skipped: its `permissions` are empty, expected `null` or what it may do"));

    let numbers = foreign.made["numbers"].as_object().unwrap();
    let rows: Vec<String> = numbers.keys().map(|number| format!("({number}, 'A', 'root', 'null', 1)")).collect();
    let made = Foreign::with(&format!(
        "{AUTH_TOKENS} INSERT INTO _datasette_auth_tokens (id, token_status, actor_id, permissions, created_timestamp)
         VALUES {}, (1000000000000, 'A', 'root', 'null', 1);",
        rows.join(", ")
    ));
    let part = made.read("datasette-auth-tokens", json!({ "secret": "secret" }));
    assert_eq!((part.tokens.len(), part.skipped), (numbers.len(), 1));
    for value in numbers.values() {
        found(&part, digester().digest(value.as_str().unwrap()));
    }
}

const AUTH_TOKENS: &str = "CREATE TABLE _datasette_auth_tokens (id INTEGER PRIMARY KEY, token_status TEXT, \
    description TEXT, actor_id TEXT, permissions TEXT, created_timestamp INTEGER, last_used_timestamp INTEGER, \
    expires_after_seconds INTEGER, ended_timestamp INTEGER, secret_version INTEGER);";

#[test]
fn what_ended_in_datasette_stays_ended() {
    let rows = [
        // Expired by a clock that was ahead; and without saying when.
        "(1, 'E', 'a', 'null', 1000, 5000000000, 1500)",
        "(2, 'E', 'a', 'null', 1000, NULL, NULL)",
        "(3, 'E', 'a', 'null', 1000, 5, NULL)",
        "(4, 'R', 'a', 'null', 1000, NULL, NULL)",
        "(5, 'A', 'a', 'null', 1000, -5000, NULL)",
        // Skipped.
        "(6, 'X', 'a', 'null', 1000, NULL, NULL)",
        "(7, NULL, 'a', 'null', 1000, NULL, NULL)",
        "(8, 'A', NULL, 'null', 1000, NULL, NULL)",
        "(9, 'A', '', 'null', 1000, NULL, NULL)",
        "(10, 'A', 'a', NULL, 1000, NULL, NULL)",
        "(11, 'A', 'a', '[]', 1000, NULL, NULL)",
        r#"(12, 'A', 'a', '{"a": null}', 1000, NULL, NULL)"#,
        "(13, 'A', 'a', 'null', NULL, NULL, NULL)",
        "(14, 'A', 'a', 'null', 1000, 'soon', NULL)",
        "(15, 'A', 'a', x'00', 1000, NULL, NULL)",
    ];
    let foreign = Foreign::with(&format!(
        "{AUTH_TOKENS} INSERT INTO _datasette_auth_tokens (id, token_status, actor_id, permissions, created_timestamp,
         expires_after_seconds, ended_timestamp) VALUES {};",
        rows.join(", ")
    ));
    let part = foreign.read("datasette-auth-tokens", json!({ "secret": "s" }));
    let ends: Vec<_> = part.tokens.iter().map(|token| (token.token.expires_at, token.invalidated.is_some())).collect();
    let expected = [(Some(1500), false), (Some(NOW), false), (Some(1005), false), (None, true), (Some(0), false)];
    assert_eq!(ends, expected);
    assert_eq!(part.tokens[3].invalidated.as_ref().unwrap().at, NOW);
    assert_eq!((part.skipped, part.notes.len()), (10, 10));
    assert_eq!(part.notes[2], "token 8 was skipped: its `actor_id` is empty");
}

const DJANGO: &str = "
    CREATE TABLE auth_user (id INTEGER PRIMARY KEY, username TEXT, is_active INTEGER);
    INSERT INTO auth_user VALUES (1, 'root', 1), (2, 'gone', 0);
    CREATE TABLE t (id INTEGER PRIMARY KEY, user_id INTEGER, token TEXT, token_generator_id TEXT, time_added TEXT,
        last_updated TEXT, last_used TEXT, expires TEXT, valid INTEGER, invalid_date TEXT, invalid_reason TEXT,
        note TEXT, policy TEXT, extra_data TEXT);";

/// A row that comes over, but for these columns.
fn row(changes: &[(&str, &str)]) -> String {
    let mut row: Map<String, Value> = Map::new();
    for (column, value) in [
        ("user_id", "1"),
        ("token", "'t' || (SELECT count(*) FROM t)"),
        ("token_generator_id", "'vendor_checksum'"),
        ("time_added", "'2024-01-01 00:00:00.5'"),
        ("last_updated", "'2024-01-02 00:00:00'"),
        ("valid", "1"),
        ("invalid_reason", "''"),
        ("note", "''"),
    ]
    .iter()
    .chain(changes)
    {
        row.insert((*column).to_owned(), json!(value));
    }
    let columns: Vec<&str> = row.keys().map(String::as_str).collect();
    let values: Vec<&str> = row.values().filter_map(Value::as_str).collect();
    format!("INSERT INTO t ({}) VALUES ({});", columns.join(", "), values.join(", "))
}

#[test]
fn a_row_that_cannot_be_read_is_skipped_and_told_of() {
    for (changes, why) in [
        (("user_id", "3"), "its user does not exist"),
        (("user_id", "NULL"), "its user does not exist"),
        (("token", "''"), "its `token` is empty"),
        (("token", "NULL"), "its `token` is empty"),
        (("token", "x'ff'"), "its `token` is no text"),
        (("token_generator_id", "''"), "its token_generator_id is empty"),
        (("time_added", "NULL"), "its `time_added` is empty"),
        (("time_added", "'yesterday'"), "its `time_added` is no time"),
        (("expires", "'never'"), "its `expires` is no time"),
        (("valid", "NULL"), "its `valid` is empty"),
        (("valid", "2"), "its `valid` is no boolean"),
        (("policy", "'{'"), "its policy is no JSON"),
        (("policy", "'null'"), "its policy is none: The policy must be a JSON object."),
        (
            ("policy", "'{\"resources\": {}}'"),
            "its policy is none: The policy's \"resources\" section must not be empty.",
        ),
    ] {
        let foreign = Foreign::with(&format!("{DJANGO}{}{}", row(&[changes]), row(&[])));
        let part = foreign.read("djblets", json!({}));
        assert_eq!((part.tokens.len(), part.skipped), (1, 1), "{changes:?}");
        assert_eq!(part.notes, [format!("token 1 was skipped: {why}")], "{changes:?}");
    }
}

#[test]
fn a_row_that_is_odd_comes_over() {
    let long = format!("'{}ä'", "x".repeat(MAX_TEXT_BYTES - 1));
    let foreign = Foreign::with(
        &[
            DJANGO.to_owned(),
            row(&[("policy", "'{}'"), ("extra_data", "'null'"), ("note", "'a' || char(0) || 'b'")]),
            row(&[("policy", "''"), ("extra_data", "''"), ("expires", "'1960-01-01 00:00:00'")]),
            row(&[("valid", "0"), ("note", &long)]),
            row(&[("user_id", "2"), ("expires", "'2024-01-01 09:00:00.9+09:00'")]),
            row(&[("user_id", "2")]),
        ]
        .concat(),
    );
    let part = foreign.read("djblets", json!({}));
    let [nul, empty, invalid, gone, _] = &part.tokens[..] else { panic!("{part:?}") };
    assert_eq!((&*nul.token.details.note, &nul.token.policy, &nul.token.details.extra), ("ab", &None, &None));
    assert_eq!((empty.token.expires_at, &empty.token.policy), (Some(0), &None), "over, and not for ever");
    assert_eq!(invalid.invalidated, Some(Invalidated { at: 1_704_153_600, reason: String::new() }), "the last change");
    assert_eq!(invalid.token.details.note.len(), MAX_TEXT_BYTES - 1);
    assert_eq!((&*gone.token.actor_id, gone.token.expires_at), ("gone", Some(1_704_067_200)));
    assert_eq!(part.inactive.len(), 1, "each once");
}

#[test]
fn parts_follow_each_other_until_there_are_no_more() {
    let many = "INSERT INTO t (user_id, token, token_generator_id, time_added, valid)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10001)
        SELECT 1 + (n % 3 = 0) * 9, 'token ' || n, 'g', '2024-01-01 00:00:00', 1 FROM n;";
    let foreign = Foreign::with(&format!("{DJANGO}{many}"));
    let mut request = foreign.request("djblets", json!({}));
    let (mut read, mut parts, mut digests) = (0, 0, std::collections::HashSet::new());
    loop {
        let part = foreign.try_read(&request).unwrap();
        assert_eq!((part.total, part.read), (10_001, part.tokens.len() as u64 + part.skipped));
        assert!(part.notes.len() <= MAX_NOTES + 1);
        if parts == 0 {
            assert_eq!(part.notes[MAX_NOTES], format!("and {} more", part.skipped - MAX_NOTES as u64));
        }
        digests.extend(part.tokens.iter().map(|token| token.token.digest));
        (read, parts) = (read + part.read, parts + 1);
        let Some(next) = part.next else { break };
        request.after = Some(next);
    }
    assert_eq!((read, parts, digests.len()), (10_001, 3, 6_668));
    request.after = Some("x".to_owned());
    assert!(foreign.try_read(&request).is_err());
}

#[test]
fn digests_are_read_in_their_order() {
    let digests = ["ff", "0a", "A0", "a0"].map(|start| start.repeat(64));
    let rows = digests.each_ref().map(|digest| format!("('{digest}', 'key', 1, '2024-01-01 00:00:00')")).join(", ");
    let foreign = Foreign::with(&format!(
        "{DJANGO} CREATE TABLE knox_authtoken (digest TEXT PRIMARY KEY, token_key TEXT, user_id INTEGER, created TEXT,
         expiry TEXT); INSERT INTO knox_authtoken (digest, token_key, user_id, created) VALUES {rows};"
    ));
    let mut request = foreign.request("django-rest-knox", json!({}));
    request.after = Some(digests[2].clone());
    let part = foreign.try_read(&request).unwrap();
    let bytes: Vec<u8> = part.tokens.iter().map(|token| token.token.digest.as_bytes()[0]).collect();
    assert_eq!((bytes, part.total), (vec![0xa0, 0xff], 4));
}

#[test]
fn the_table_is_found_or_named() {
    let other = DJANGO.replace("CREATE TABLE t ", "CREATE TABLE other ");
    let other = &other[other.find("CREATE TABLE other").unwrap()..];
    let two = Foreign::with(&format!("{DJANGO}{other}{}", row(&[])));
    assert!(two.refusal("djblets", json!({})).ends_with("which of these tables has the tokens: other, t"));
    assert_eq!(two.read("djblets", json!({ "table": "t" })).tokens.len(), 1);
    for (options, message) in [
        (json!({ "table": "nowhere" }), "has no table `nowhere` with the columns id, user_id, token"),
        (json!({ "table": "auth_user" }), "has no table `auth_user` with the columns"),
        (json!({ "table": "t", "users": "t" }), "has no table `t` with the columns id, username, is_active"),
        (json!({ "table": "t\"; DROP TABLE t; --" }), "is no name of a table"),
        (json!({ "table": "" }), "the option `table` must be a text"),
        (json!({ "table": 5 }), "the option `table` must be a text"),
        (json!({ "actor": "email" }), "the option `actor` must be `username` or `id`"),
        (json!({ "secret": "s" }), "there is no option `secret` here, expected one of table, users, actor"),
    ] {
        let refusal = two.refusal("djblets", options);
        assert!(refusal.contains(message), "{refusal}");
    }
    let strange = Foreign::with(&format!(
        "{DJANGO}{} PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES
         ('table', 'v', 'v', 0, 'CREATE VIRTUAL TABLE v USING a_module_that_is_not_here(id)');",
        row(&[])
    ));
    assert_eq!(strange.read("djblets", json!({})).tokens.len(), 1);
    let none = Foreign::with("CREATE TABLE t (id INTEGER)");
    assert!(none.refusal("djblets", json!({})).contains("has no table with the columns id, user_id"));
    assert!(none.refusal("datasette-auth-tokens", json!({ "secret": "s" })).contains("has no table"));
    assert!(none.refusal("datasette-auth-tokens", json!({})).contains("`secret` must be Datasette's secret"));
    let md5 = none.refusal("django-rest-knox", json!({ "digest": "md5" }));
    assert_eq!(md5, "the option `digest` must be `sha512` or `sha256`");
    assert!(none.refusal("flask", json!({})).contains("is no system that tokens are imported from"));
}

#[test]
fn the_other_database_must_be_there_and_stays_as_it_is() {
    let foreign = Foreign::with(&format!("{DJANGO}{}", row(&[])));
    let before = std::fs::read(path(&foreign.folder)).unwrap();
    foreign.read("djblets", json!({}));
    assert_eq!(std::fs::read(path(&foreign.folder)).unwrap(), before);
    std::fs::write(foreign.folder.path().join("text"), "no database, whatever its name says").unwrap();
    for (from, message) in [
        ("sqlite:nowhere.db", "there is no such file"),
        ("sqlite:.", "there is no such file"),
        ("sqlite:text", "it is not a SQLite file"),
        ("mysql://root:hunter2@db", "must begin with `sqlite:` or `postgres://`"),
    ] {
        let mut request = foreign.request("djblets", json!({}));
        request.from = from.to_owned();
        let error = foreign.try_read(&request).unwrap_err().to_string();
        assert!(error.contains(message) && !error.contains("hunter2"), "{error}");
    }
    assert!(!foreign.folder.path().join("nowhere.db").exists());
    let mut absolute = foreign.request("djblets", json!({}));
    absolute.from = format!("sqlite://{}", path(&foreign.folder).display());
    assert_eq!(foreign.try_read(&absolute).unwrap().tokens.len(), 1);
}

#[test]
fn a_file_that_is_being_written_to_is_read_as_it_was() {
    let foreign = Foreign::with(&format!("PRAGMA journal_mode = WAL; {DJANGO}{}", row(&[])));
    let writer = Connection::open(path(&foreign.folder)).unwrap();
    writer.execute_batch(&format!("BEGIN IMMEDIATE; {}", row(&[]))).unwrap();
    assert_eq!(foreign.read("djblets", json!({})).tokens.len(), 1);
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(foreign.read("djblets", json!({})).tokens.len(), 2);
}

#[test]
fn a_log_that_was_left_behind_is_read_and_not_worked_in() {
    let foreign = Foreign::with(&format!("PRAGMA journal_mode = WAL; {DJANGO}"));
    let writer = Connection::open(path(&foreign.folder)).unwrap();
    writer.execute_batch(&row(&[])).unwrap();
    let left = Foreign { folder: tempfile::tempdir().unwrap(), made: Value::Null };
    for ending in ["", "-wal"] {
        let name = format!("foreign.db{ending}");
        std::fs::copy(foreign.folder.path().join(&name), left.folder.path().join(&name)).unwrap();
    }
    let before = std::fs::read(path(&left.folder)).unwrap();
    assert_eq!(left.read("djblets", json!({})).tokens.len(), 1);
    assert_eq!(std::fs::read(path(&left.folder)).unwrap(), before);
    assert!(left.folder.path().join("foreign.db-wal").exists());
}

#[test]
fn statements_for_postgresql_give_texts_and_numbers() {
    const COLUMNS: [Column; 4] = [
        Column::new("id", Kind::Integer),
        Column::new("token", Kind::Text),
        Column::new("expires", Kind::Time),
        Column::of_user("is_active", Kind::Boolean),
    ];
    let users = Some(Identifier::new("auth_user").unwrap());
    let query = Query { table: Identifier::new("t").unwrap(), users, columns: &COLUMNS };
    let after = query.after(Some("5".to_owned())).unwrap();
    assert_eq!(
        query.sql(Dialect::Postgres, after.as_ref(), 10),
        r#"SELECT t."id"::bigint, t."token"::text, floor(extract(epoch FROM t."expires"))::bigint, "#.to_owned()
            + r#"u."is_active"::int::bigint FROM "t" AS t LEFT JOIN "auth_user" AS u ON u."id" = t."user_id" "#
            + r#"WHERE t."id" > $1 ORDER BY t."id" LIMIT 10"#
    );
}

/// Django's tables as PostgreSQL has them: their columns, with their types there.
const TABLES: [(&str, &[(&str, &str)]); 3] = [
    ("auth_user", &[("id", "integer"), ("username", "varchar(150)"), ("is_active", "boolean")]),
    (
        "accounts_webapitoken",
        &[
            ("id", "bigint"),
            ("token", "varchar(255)"),
            ("token_generator_id", "varchar(255)"),
            ("time_added", "timestamptz"),
            ("last_updated", "timestamptz"),
            ("last_used", "timestamptz"),
            ("expires", "timestamptz"),
            ("valid", "boolean"),
            ("invalid_date", "timestamptz"),
            ("invalid_reason", "text"),
            ("note", "text"),
            ("policy", "text"),
            ("extra_data", "text"),
            ("user_id", "integer"),
        ],
    ),
    (
        "knox_authtoken",
        &[
            ("digest", "varchar(128)"),
            ("token_key", "varchar(25)"),
            ("created", "timestamptz"),
            ("expiry", "timestamptz"),
            ("user_id", "integer"),
        ],
    ),
];

/// The statements that make the same tables in PostgreSQL.
fn copied(file: &Connection) -> String {
    let mut sql = "SET timezone TO 'UTC';".to_owned();
    for (table, columns) in TABLES {
        let typed: Vec<String> = columns.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
        sql.push_str(&format!("CREATE TABLE {table} ({});", typed.join(", ")));
        let cells: Vec<String> = columns.iter().map(|(name, _)| format!("quote({name})")).collect();
        let mut rows = file.prepare(&format!("SELECT {} FROM {table}", cells.join(", "))).unwrap();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let cell = |(index, (_, kind)): (usize, &(&str, &str))| {
                let literal: String = row.get(index).unwrap();
                if *kind == "boolean" { format!("({literal} = 1)") } else { literal }
            };
            let cells: Vec<String> = columns.iter().enumerate().map(cell).collect();
            sql.push_str(&format!("INSERT INTO {table} VALUES ({});", cells.join(", ")));
        }
    }
    sql
}

#[test]
fn what_comes_from_postgresql_is_what_comes_from_a_file() {
    let name = "what_comes_from_postgresql_is_what_comes_from_a_file";
    let foreign = Foreign::made_by("django", Python::with_djblets());
    let Some((foreign, server)) = skipped(name, foreign).zip(skipped(name, Postgres::shared())) else { return };
    let database = server.fresh_database();
    database.execute(&copied(&Connection::open(path(&foreign.folder)).unwrap()));
    for system in ["djblets", "django-rest-knox"] {
        let expected = foreign.read(system, json!({}));
        assert!(!expected.tokens.is_empty());
        let mut request = ImportTokens::new(system, database.url());
        assert_eq!(foreign.try_read(&request).unwrap(), expected, "{system}");
        request.after = expected.tokens.first().map(|_| "0".to_owned());
        assert_eq!(foreign.try_read(&request).unwrap().tokens.len(), expected.tokens.len(), "{system}, behind a key");
    }
    let written = database.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'token_host'");
    assert_eq!(written, "0", "nothing was written there");
}
