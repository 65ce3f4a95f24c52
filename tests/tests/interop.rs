//! Real Datasette and itsdangerous, in both directions.

use serde_json::{Value, json};
use token_host::{CreateToken, ErrorKind, Host, TokenRestrictions};
use token_host_tests::{Oracle, SECRET, Scratch, compressed, forge_encoded, now, skipped};

fn host(settings: &str) -> (Host, Scratch) {
    let mut scratch = Scratch::new();
    scratch.signed(settings);
    (Host::from_file(scratch.config()).unwrap(), scratch)
}

/// The actor as JSON, or why there is none.
fn judged(host: &Host, token: &str) -> Result<Value, String> {
    let actor = host.verify_token_blocking(token).map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(actor.expect("it has our prefix")).unwrap())
}

/// Ids in which JSON, UTF-8, escapes and base64 could go wrong.
const IDS: [&str; 8] =
    ["root", "", "rööt", "名前", "😀", "\"\\/\u{8}\n\t\u{1f}\u{7f}", "a\u{2028}\0b", "<script>&amp;"];

#[test]
fn what_datasette_makes_is_verified_here_with_the_same_actor() {
    let Some(mut oracle) = skipped("what_datasette_makes_is_verified_here", Oracle::start()) else { return };
    let (host, _scratch) = host("");
    for id in IDS {
        for expires_after in [None, Some(3600)] {
            for restrictions in [
                Value::Null,
                json!({ "all": ["view-instance", "vd", "own-action"] }),
                json!({ "all": ["view-instance"], "database": { "dócs": ["view-query"] }, "resource": { "d": { "t": ["insert-row", "ir"] } } }),
            ] {
                let question = json!({ "actor_id": id, "expires_after": expires_after, "restrictions": restrictions });
                let token = oracle.create(question.clone());
                let theirs = oracle.verify(&token);
                assert_eq!(judged(&host, &token).as_ref(), Ok(&theirs["actor"]), "{question}");
            }
        }
    }
}

#[test]
fn what_is_made_here_is_verified_by_datasette_with_the_same_actor() {
    let Some(mut oracle) = skipped("what_is_made_here_is_verified_by_datasette", Oracle::start()) else { return };
    let (host, _scratch) = host("");
    let restrictions = TokenRestrictions::nothing()
        .allow_all("view-instance")
        .allow_all("own-action")
        .allow_database("dócs", "view-query")
        .allow_resource("docs", "pages", "insert-row")
        .allow_resource("docs", "pages", "vt");
    for id in IDS.into_iter().filter(|id| !id.is_empty()) {
        for request in [
            CreateToken::new(id),
            CreateToken::new(id).expires_after(3600),
            CreateToken::new(id).restricted_to(restrictions.clone()),
            CreateToken::new(id).restricted_to(restrictions.clone()).expires_after(1),
        ] {
            let token = host.create_token_blocking(&request).unwrap().token;
            let theirs = oracle.verify(&token);
            if theirs["invalid"] == "Token has expired" && request.expires_after == Some(1) {
                continue; // The second was over before it was asked.
            }
            assert_eq!(judged(&host, &token).as_ref(), Ok(&theirs["actor"]), "{request:?}");
        }
    }
}

#[test]
fn compressed_tokens_of_both_sides() {
    let Some(mut oracle) = skipped("compressed_tokens_of_both_sides", Oracle::start()) else { return };
    let (host, _scratch) = host("");
    let databases: serde_json::Map<String, Value> =
        (0..40).map(|n| (format!("database-{n}"), json!(["vt", "vq", "es"]))).collect();
    let payload = json!({ "a": "root", "t": now(), "_r": { "d": databases } });
    let token = oracle.sign(&payload);
    assert!(token.starts_with("dstok_."), "itsdangerous compressed it");
    let theirs = oracle.verify(&token);
    assert_eq!(judged(&host, &token).as_ref(), Ok(&theirs["actor"]));
    assert_eq!(theirs["actor"]["_r"], payload["_r"]);
    let other = forge_encoded(SECRET, &compressed(payload.to_string()));
    assert_eq!(oracle.verify(&other)["actor"], theirs["actor"], "other compressors do as well");
    assert_eq!(judged(&host, &other).as_ref(), Ok(&theirs["actor"]));
}

#[test]
fn rotated_secrets() {
    let Some(mut oracle) = skipped("rotated_secrets", Oracle::start()) else { return };
    let mut scratch = Scratch::new();
    // Here the first signs; itsdangerous wants the newest last.
    scratch.plugin("signed", token_host_tests::Plugin::Signed, "secret = ['new', 'old', 'older']");
    let host = Host::from_file(scratch.config()).unwrap();
    for secret in ["new", "old", "older"] {
        let token = oracle.create(json!({ "actor_id": "root", "secret": secret }));
        assert_eq!(judged(&host, &token).unwrap()["id"], "root", "{secret}");
    }
    let token = oracle.create(json!({ "actor_id": "root", "secret": "never" }));
    assert!(judged(&host, &token).is_err());
    let ours = host.create_token_blocking(&CreateToken::new("root")).unwrap().token;
    let verify = |secret: Value| json!({ "op": "verify", "token": ours, "secret": secret });
    assert_eq!(oracle.ask(verify(json!("new")))["actor"]["id"], "root", "the first signs");
    assert!(oracle.ask(verify(json!("old"))).get("actor").is_none());
    let rotated =
        oracle.ask(json!({ "op": "sign", "payload": { "a": "root", "t": now() }, "secret": ["older", "new"] }));
    assert!(judged(&host, rotated["token"].as_str().unwrap()).is_ok(), "itsdangerous signs with its last");
}

#[test]
fn the_longest_life_is_datasettes_but_for_the_fault_it_has() {
    let Some(mut oracle) = skipped("the_longest_life_is_datasettes", Oracle::start()) else { return };
    let (host, _scratch) = host("max_signed_tokens_ttl = 1000");
    let mut ask = |payload: &Value| {
        let token = oracle.sign(payload);
        let settings = json!({ "max_signed_tokens_ttl": 1000 });
        (oracle.ask(json!({ "op": "verify", "token": token, "settings": settings })), judged(&host, &token))
    };
    let t = now();
    for payload in [
        json!({ "a": "root", "t": t - 10 }),
        json!({ "a": "root", "t": t - 10, "d": 100 }),
        json!({ "a": "root", "t": t - 10, "d": 5000 }),
        json!({ "a": "root", "t": t - 2000 }),
        json!({ "a": "root", "t": t - 2000, "d": 5000 }),
        json!({ "a": "root", "t": t - 200, "d": 100 }),
    ] {
        let (theirs, ours) = ask(&payload);
        match theirs.get("actor") {
            Some(actor) => assert_eq!(ours.as_ref(), Ok(actor), "{payload}"),
            None => {
                assert_eq!(
                    (&theirs["invalid"], ours),
                    (&json!("Token has expired"), Err("token has expired".to_owned()))
                );
            }
        }
    }
    let (theirs, ours) = ask(&json!({ "a": "root", "t": t - 2000, "d": 0 }));
    assert!(theirs.get("actor").is_some(), "the fault is still there: {theirs}");
    assert_eq!(ours, Err("token has expired".to_owned()), "and not here");
}

#[test]
fn the_bad_is_bad_on_both_sides() {
    let Some(mut oracle) = skipped("the_bad_is_bad_on_both_sides", Oracle::start()) else { return };
    let (host, _scratch) = host("");
    let good = oracle.create(json!({ "actor_id": "root" }));
    let (body, signature) = good.rsplit_once('.').unwrap();
    for token in [
        "dstok_".to_owned(),
        format!("{body}.{}", signature.to_lowercase()),
        format!("{body}.{}", &signature[1..]),
        format!("{}.{signature}", &body[..body.len() - 1]),
        oracle.create(json!({ "actor_id": "root", "secret": "another" })),
        oracle.sign(&json!({ "a": "root" })),
        oracle.sign(&json!({ "a": "root", "t": "now" })),
        oracle.sign(&json!({ "a": "root", "t": now() - 100, "d": 10 })),
        oracle.sign(&json!({ "a": "root", "t": now(), "d": "long" })),
    ] {
        let theirs = oracle.ask_for_anything(json!({ "op": "verify", "token": token }));
        assert!(theirs.get("actor").is_none(), "{token}: {theirs}");
        let ours = host.verify_token_blocking(&token).unwrap_err();
        assert!(matches!(ours.kind(), ErrorKind::TokenInvalid(_)), "{token}: {ours}");
    }
}

#[test]
fn restrictions_allow_what_datasette_allows() {
    let Some(mut oracle) = skipped("restrictions_allow_what_datasette_allows", Oracle::start()) else { return };
    let mut random = Random(20_250_701);
    let (mut allowed, cases) = (0, 600);
    for _ in 0..cases {
        let restrictions = random.restrictions();
        let action = random.of(&ACTIONS);
        let (database, table) = (random.of(&DATABASES), random.of(&TABLES));
        let resource = random.of(&[json!(null), json!(database), json!([database, table])]);
        let question = json!({ "op": "allows", "restrictions": restrictions, "action": action, "resource": resource });
        let theirs = oracle.ask(question.clone())["allowed"].as_bool().unwrap();
        let ours: TokenRestrictions = serde_json::from_value(restrictions).unwrap();
        let (database, table) = (resource.is_null(), resource.is_array());
        let database = if database { None } else { resource[0].as_str().or(resource.as_str()) };
        let table = if table { resource[1].as_str() } else { None };
        assert_eq!(ours.allows(action, database, table), theirs, "{question}");
        allowed += usize::from(theirs);
    }
    assert!((cases / 10..cases * 9 / 10).contains(&allowed), "{allowed} of {cases} say yes: neither answer is rare");
}

const ACTIONS: [&str; 8] = [
    "view-instance",
    "view-database",
    "view-table",
    "insert-row",
    "view-query",
    "execute-sql",
    "drop-table",
    "own-action",
];
const WRITTEN: [&str; 15] = [
    "view-instance",
    "vi",
    "view-database",
    "vd",
    "view-table",
    "vt",
    "insert-row",
    "ir",
    "view-query",
    "vq",
    "execute-sql",
    "es",
    "drop-table",
    "dt",
    "own-action",
];
const DATABASES: [&str; 3] = ["docs", "Docs", "fixtures"];
const TABLES: [&str; 4] = ["pages", "Pages", "PAGES", "other"];

/// The same numbers each time: a linear congruential generator is random enough here.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    fn actions(&mut self, most: usize) -> Vec<&'static str> {
        (0..self.below(most + 1)).map(|_| self.of(&WRITTEN)).collect()
    }

    /// An `_r` in which each part may be there, or not.
    fn restrictions(&mut self) -> Value {
        let mut restrictions = json!({});
        if self.below(2) == 0 {
            restrictions["a"] = json!(self.actions(3));
        }
        if self.below(3) > 0 {
            restrictions["d"] = json!({});
            for _ in 0..self.below(3) {
                restrictions["d"][self.of(&DATABASES)] = json!(self.actions(5));
            }
        }
        if self.below(4) > 0 {
            restrictions["r"] = json!({});
            for _ in 0..self.below(4) {
                restrictions["r"][self.of(&DATABASES)] = json!({ self.of(&TABLES): self.actions(6) });
            }
        }
        restrictions
    }
}
