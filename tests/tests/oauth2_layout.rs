//! The layout of python-oauth2, beside the real python-oauth2 on the same Redis or memcached: what is made there is found,
//! consumed and rotated here, and the other way round.

use serde_json::{Value, json};
use token_host::{
    AccessToken, AuthorizationCode, Client, ClientSecret, Consumption, CreateToken, Error, ErrorKind, Host,
    RotateRefreshToken, Rotation, Stores, block_on,
};
use token_host_tests::{
    Dialog, Memcached, Plugin, Python, Redis, RedisAnswer, Scratch, Skip, now, repository, skipped,
};

/// Both on one backend.
struct Both {
    python: Dialog,
    host: Host,
    server: Server,
    _scratch: Scratch,
}

enum Server {
    Redis(Redis),
    Memcached(Memcached),
}

const CALLBACK: &str = "https://client.example/cb";

impl Both {
    fn on(server: Server) -> Result<Self, Skip> {
        let (name, port, url) = match &server {
            Server::Redis(redis) => ("redis", redis.port(), redis.url()),
            Server::Memcached(memcached) => {
                ("memcached", memcached.port(), format!("memcached://127.0.0.1:{}", memcached.port()))
            }
        };
        let mut python = Python::with_python_oauth2()?.command();
        python.arg(repository().join("tests/python/oauth2_layout.py")).args([name, &port.to_string()]);
        let mut scratch = Scratch::new();
        let settings = format!("url = '{url}'\nlayout = 'python-oauth2'\ntoken = 'uuid4'\naccept = ['opaque']");
        scratch.plugin("oauth2", Plugin::OAuth2, &settings);
        let host = Host::from_file(scratch.config()).unwrap();
        Ok(Self { python: Dialog::start(&mut python), host, server, _scratch: scratch })
    }

    fn all() -> Result<[Self; 2], Skip> {
        Ok([Self::on(Server::Redis(Redis::start()?))?, Self::on(Server::Memcached(Memcached::start()?))?])
    }

    fn is_redis(&self) -> bool {
        matches!(self.server, Server::Redis(_))
    }

    fn stores(&self) -> Stores<'_> {
        self.host.stores()
    }

    /// What Python answers.
    fn ask(&mut self, op: &str, mut question: Value) -> Value {
        question["op"] = op.into();
        let answer = self.python.ask(question.to_string().as_bytes());
        assert!(answer.get("error").is_none(), "{question}: {answer}");
        answer
    }

    /// What Python finds.
    fn found(&mut self, op: &str, question: Value) -> Value {
        self.ask(op, question)["found"].take()
    }

    /// The value of a key as it is.
    fn value(&self, key: &str) -> Option<String> {
        match &self.server {
            Server::Redis(redis) => match redis.ask(["GET", key]) {
                RedisAnswer::Nil => None,
                answer => Some(answer.text()),
            },
            // It is read through Python.
            Server::Memcached(_) => None,
        }
    }

    fn fetch(&self, token: &str) -> Result<AccessToken, Error> {
        block_on(self.stores().access_tokens("oauth2").unwrap().fetch_by_token(token))
    }

    fn fetch_refresh(&self, refresh_token: &str) -> Result<AccessToken, Error> {
        block_on(self.stores().access_tokens("oauth2").unwrap().fetch_by_refresh_token(refresh_token))
    }

    fn rotate(&self, refresh_token: &str, client_id: &str, number: u32) -> Result<Rotation, Error> {
        let mut request = RotateRefreshToken::new(
            refresh_token,
            client_id,
            format!("rotated-{number}"),
            format!("rotated-refresh-{number}"),
        );
        (request.expires_at, request.refresh_expires_at) = (Some(now() + 60), Some(now() + 600));
        block_on(self.stores().access_tokens("oauth2").unwrap().rotate_refresh_token(&request))
    }

    fn consume(&self, code: &str, client_id: &str, redirect_uri: &str) -> Result<Consumption, Error> {
        block_on(self.stores().auth_codes("oauth2").unwrap().consume_code(code, client_id, redirect_uri))
    }
}

fn is_not_found<T: std::fmt::Debug>(answer: Result<T, Error>) -> bool {
    match answer {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => true,
        Ok(_) => false,
        Err(error) => panic!("{error}"),
    }
}

/// A token as Python makes them, of a user whose id is a number.
fn theirs(token: &str) -> Value {
    json!({
        "client_id": "web", "grant_type": "authorization_code", "token": token, "data": { "k": "é\u{1F600}", "n": 1 },
        "expires_at": now() + 3_600, "refresh_token": format!("refresh-{token}"), "refresh_expires_at": now() + 7_200,
        "scopes": ["basic", "foo"], "user_id": 123,
    })
}

fn ours(token: &str) -> AccessToken {
    let mut kept = AccessToken::new("web", "authorization_code", token);
    kept.user_id = Some("ann".to_owned());
    kept.scopes = vec!["basic".to_owned()];
    kept.data = json!({ "ä": ["\u{7f}\"\\\n", 1.5, null] }).as_object().unwrap().clone();
    (kept.expires_at, kept.refresh_expires_at) = (Some(now() + 3_600), Some(now() + 7_200));
    kept.refresh_token = Some(format!("refresh-{token}"));
    kept
}

#[test]
fn their_tokens_are_found_and_rotated_here() {
    let Some(backends) = skipped("their_tokens_are_found_and_rotated_here", Both::all()) else { return };
    for mut both in backends {
        both.ask("save_token", theirs("one"));
        let found = both.fetch("one").unwrap();
        assert_eq!((found.user_id.as_deref(), found.scopes.join(" ")), (Some("123"), "basic foo".to_owned()));
        assert_eq!(found.data["k"], "é\u{1F600}");
        assert_eq!(both.fetch_refresh("refresh-one").unwrap().token.as_deref(), Some("one"));
        let tokens = both.stores().access_tokens("oauth2").unwrap();
        let existing = tokens.fetch_existing_token_of_user("web", "authorization_code", "123");
        assert_eq!(block_on(existing).unwrap().token.as_deref(), Some("one"));
        assert!(is_not_found(both.fetch_refresh("one")), "an access token is no refresh token");
        assert!(is_not_found(both.fetch("refresh-one")), "nor the other way round");
        assert!(is_not_found(both.fetch("web_authorization_code_123")), "nor is the copy a token");

        assert!(is_not_found(both.rotate("refresh-one", "other", 0)), "it is another client's");
        let Rotation::Done(rotated) = both.rotate("refresh-one", "web", 1).unwrap() else { panic!("it is good") };
        assert_eq!(rotated.user_id.as_deref(), Some("123"));
        let found = both.found("fetch_by_token", json!({ "token": "rotated-1" }));
        let mut expected = theirs("rotated-1");
        (expected["refresh_token"], expected["expires_at"]) = (json!("rotated-refresh-1"), found["expires_at"].clone());
        expected["refresh_expires_at"] = found["refresh_expires_at"].clone();
        assert_eq!(found, expected, "the user's id stays a number");
        assert_eq!(both.found("fetch_by_token", json!({ "token": "one" })), Value::Null);
        if both.is_redis() {
            // On memcached that library asks without its prefix, and finds none of its own either.
            let refresh = json!({ "refresh_token": "refresh-one" });
            assert_eq!(both.found("fetch_by_refresh_token", refresh), Value::Null);
            let refresh = json!({ "refresh_token": "rotated-refresh-1" });
            assert_eq!(both.found("fetch_by_refresh_token", refresh)["token"], "rotated-1");
            let last = json!({ "client_id": "web", "grant_type": "authorization_code", "user_id": 123 });
            assert_eq!(both.found("fetch_existing_token_of_user", last)["token"], "rotated-1");
        }

        assert!(is_not_found(both.rotate("refresh-one", "other", 0)), "it is not told that it was used");
        assert_eq!(both.rotate("refresh-one", "web", 2).unwrap(), Rotation::Reused);
        for gone in ["rotated-1", "rotated-refresh-1", "web_authorization_code_123"] {
            assert_eq!(both.found("fetch_by_token", json!({ "token": gone })), Value::Null, "{gone}");
        }
    }
}

#[test]
fn our_tokens_are_found_and_refreshed_there() {
    let Some(backends) = skipped("our_tokens_are_found_and_refreshed_there", Both::all()) else { return };
    for mut both in backends {
        block_on(both.stores().access_tokens("oauth2").unwrap().save_token(&ours("two"))).unwrap();
        let found = both.found("fetch_by_token", json!({ "token": "two" }));
        let kept = ours("two");
        assert_eq!((&found["user_id"], &found["data"]), (&json!("ann"), &Value::from(kept.data)));
        let names = ["oauth2_two", "oauth2_refresh-two", "oauth2_web_authorization_code_ann"];
        let before = names.map(|name| both.value(name));
        // Byte for byte as that library writes it.
        both.ask("save_token", found);
        assert_eq!(names.map(|name| both.value(name)), before);
        if !both.is_redis() {
            continue;
        }
        both.ask("add_client", json!({ "client_id": "web", "client_secret": "hunter2", "redirect_uris": [CALLBACK] }));
        let form = json!({
            "grant_type": "refresh_token", "refresh_token": "refresh-two", "client_id": "web", "client_secret": "hunter2",
        });
        let answer = both.ask("post", json!({ "form": form }));
        assert_eq!(answer["status"], "200 OK", "{answer}");
        let new = answer["body"]["access_token"].as_str().unwrap().to_owned();
        assert_eq!(both.fetch(&new).unwrap().user_id.as_deref(), Some("ann"));
        assert!(is_not_found(both.fetch("two")), "that library has deleted it");
        let refresh_token = answer["body"]["refresh_token"].as_str().unwrap();
        let done = both.rotate(refresh_token, "web", 3).unwrap();
        assert!(matches!(done, Rotation::Done(_)));
        let form = json!({
            "grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": "web", "client_secret": "hunter2",
        });
        let answer = both.ask("post", json!({ "form": form }));
        assert_eq!(
            (&answer["status"], &answer["body"]["error"]),
            (&json!("400 Bad Request"), &json!("invalid_request"))
        );
    }
}

#[test]
fn a_refresh_token_that_is_deleted_here_is_gone_there_with_all_that_came_with_it() {
    let test = "a_refresh_token_that_is_deleted_here_is_gone_there";
    let Some(backends) = skipped(test, Both::all()) else { return };
    for mut both in backends {
        both.ask("save_token", theirs("three"));
        let tokens = both.stores().access_tokens("oauth2").unwrap();
        block_on(tokens.delete_refresh_token("refresh-three")).unwrap();
        assert!(is_not_found(block_on(tokens.delete_refresh_token("refresh-three"))));
        for gone in ["three", "refresh-three", "web_authorization_code_123"] {
            assert_eq!(both.found("fetch_by_token", json!({ "token": gone })), Value::Null, "{gone}");
        }
        // The copy is a newer token's.
        both.ask("save_token", theirs("four"));
        both.ask("save_token", theirs("five"));
        let tokens = both.stores().access_tokens("oauth2").unwrap();
        block_on(tokens.delete_refresh_token("refresh-four")).unwrap();
        let last = both.found("fetch_by_token", json!({ "token": "web_authorization_code_123" }));
        assert_eq!(last["token"], "five");
        let tokens = both.stores().access_tokens("oauth2").unwrap();
        assert!(!block_on(tokens.revoke_token("five", Some("other"))).unwrap());
        assert!(block_on(tokens.revoke_token("five", Some("web"))).unwrap());
        assert_eq!(both.found("fetch_by_token", json!({ "token": "web_authorization_code_123" })), Value::Null);
    }
}

#[test]
fn expiries_that_python_writes() {
    let Some(backends) = skipped("expiries_that_python_writes", Both::all()) else { return };
    for mut both in backends {
        let mut kept = theirs("six");
        // For ever, as that library writes it; and a time with a fraction.
        (kept["refresh_expires_at"], kept["expires_at"]) = (json!(0), json!(now() as f64 + 3_600.5));
        both.ask("save_token", kept);
        assert_eq!(both.fetch_refresh("refresh-six").unwrap().refresh_expires_at, None);
        assert!(both.fetch("six").unwrap().expires_at.is_some());
        let mut kept = theirs("seven");
        (kept["refresh_expires_at"], kept["expires_at"]) = (json!(now() - 1), json!(now() - 1));
        both.ask("save_token", kept);
        assert!(is_not_found(both.fetch("seven")) && is_not_found(both.fetch_refresh("refresh-seven")));
        assert!(is_not_found(both.rotate("refresh-seven", "web", 7)));
        let bare = json!({ "client_id": "web", "grant_type": "client_credentials", "token": "eight" });
        both.ask("save_token", bare);
        let found = both.fetch("eight").unwrap();
        assert_eq!((found.expires_at, found.refresh_token, found.user_id), (None, None, None));
        let mut kept = ours("nine");
        kept.refresh_expires_at = None;
        block_on(both.stores().access_tokens("oauth2").unwrap().save_token(&kept)).unwrap();
        assert_eq!(both.found("fetch_by_token", json!({ "token": "nine" }))["refresh_expires_at"], 0);
    }
}

#[test]
fn codes_are_consumed_by_one_of_both() {
    let Some(backends) = skipped("codes_are_consumed_by_one_of_both", Both::all()) else { return };
    for mut both in backends {
        let code = |code: &str| {
            json!({
                "client_id": "web", "code": code, "expires_at": now() + 60, "redirect_uri": CALLBACK, "scopes": ["basic"],
                "data": null, "user_id": 123,
            })
        };
        both.ask("save_code", code("c1"));
        assert!(is_not_found(both.fetch("c1")), "a code is no token");
        assert!(is_not_found(both.consume("c1", "other", CALLBACK)));
        assert!(is_not_found(both.consume("c1", "web", "https://other.example/")));
        let Consumption::Done(consumed) = both.consume("c1", "web", CALLBACK).unwrap() else { panic!("it is good") };
        assert_eq!((consumed.user_id.as_deref(), consumed.scopes.join(" ")), (Some("123"), "basic".to_owned()));
        assert_eq!(both.found("fetch_by_code", json!({ "code": "c1" })), Value::Null);
        let again = both.consume("c1", "web", CALLBACK).unwrap();
        assert_eq!(again, Consumption::Reused { family_id: consumed.family_id });
        assert!(is_not_found(both.consume("c1", "other", CALLBACK)));

        let mut kept = AuthorizationCode::new("web", "c2", now() + 60, CALLBACK, "a family");
        kept.user_id = Some("ann".to_owned());
        block_on(both.stores().auth_codes("oauth2").unwrap().save_code(&kept)).unwrap();
        let before = both.value("oauth2_c2");
        let found = both.found("fetch_by_code", json!({ "code": "c2" }));
        assert_eq!((&found["redirect_uri"], &found["user_id"]), (&json!(CALLBACK), &json!("ann")));
        both.ask("save_code", found);
        assert_eq!(both.value("oauth2_c2"), before, "byte for byte");
        let found = block_on(both.stores().auth_codes("oauth2").unwrap().fetch_by_code("c2")).unwrap();
        assert_eq!(found.family_id, "a family", "it is kept beside");
        both.ask("delete_code", json!({ "code": "c2" }));
        assert!(is_not_found(both.consume("c2", "web", CALLBACK)), "that library has consumed it");
    }
}

#[test]
fn clients_are_shared_but_for_those_that_python_cannot_use() {
    let test = "clients_are_shared_but_for_those_that_python_cannot_use";
    let both = Redis::start().and_then(|redis| Both::on(Server::Redis(redis)));
    let Some(mut both) = skipped(test, both) else { return };
    both.ask("add_client", json!({ "client_id": "their", "client_secret": "hunter2", "redirect_uris": [CALLBACK] }));
    both.ask("add_client", json!({ "client_id": "public", "client_secret": null, "redirect_uris": [] }));
    let clients = both.stores().clients("oauth2").unwrap();
    let found = block_on(clients.fetch_by_client_id("their")).unwrap();
    assert_eq!(found.secret, Some(ClientSecret::Plain("hunter2".to_owned())));
    assert_eq!((found.redirect_uris, found.authorized_grants), (vec![CALLBACK.to_owned()], None));
    assert_eq!(block_on(clients.fetch_by_client_id("public")).unwrap().secret, None);

    let mut added = Client::new("our");
    added.secret = Some(ClientSecret::Argon2id("$argon2id$...".to_owned()));
    let error = block_on(clients.add_client(&added)).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error}");
    added.secret = Some(ClientSecret::Plain("hunter3".to_owned()));
    added.authorized_grants = Some(vec!["client_credentials".to_owned()]);
    block_on(clients.add_client(&added)).unwrap();
    assert_eq!(*block_on(clients.add_client(&added)).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let found = both.found("fetch_by_client_id", json!({ "client_id": "our" }));
    assert_eq!((&found["secret"], &found["authorized_grants"]), (&json!("hunter3"), &json!(["client_credentials"])));

    let form = json!({ "grant_type": "client_credentials", "client_id": "our", "client_secret": "hunter3" });
    let answer = both.ask("post", json!({ "form": form }));
    let token = answer["body"]["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let actor = block_on(both.host.verify_token(&token)).unwrap().unwrap();
    assert_eq!(actor.id(), "our", "what that library made is verified here");
    let clients = both.stores().clients("oauth2").unwrap();
    block_on(clients.remove_client("our")).unwrap();
    assert!(is_not_found(block_on(clients.remove_client("our"))));
    assert!(is_not_found(both.fetch_refresh("their")), "a client is no token");
    assert_eq!(both.found("fetch_by_client_id", json!({ "client_id": "our" })), Value::Null);

    let Server::Redis(redis) = &both.server else { panic!("it is on Redis") };
    redis.ask(["SET", "oauth2_pickled", "(dp0\nVclient_id\np1\nVhunter2"]);
    let error = both.fetch("pickled").unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Plugin, "what cannot be read is no answer: {error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn what_is_written_here_expires_and_lies_where_python_looks_or_apart() {
    let test = "what_is_written_here_expires_and_lies_where_python_looks_or_apart";
    let both = Redis::start().and_then(|redis| Both::on(Server::Redis(redis)));
    let Some(both) = skipped(test, both) else { return };
    block_on(both.stores().access_tokens("oauth2").unwrap().save_token(&ours("ten"))).unwrap();
    let code = AuthorizationCode::new("web", "c3", now() + 60, CALLBACK, "a family");
    block_on(both.stores().auth_codes("oauth2").unwrap().save_code(&code)).unwrap();
    assert!(matches!(both.rotate("refresh-ten", "web", 10), Ok(Rotation::Done(_))));
    let created = both.host.create_token_blocking(&CreateToken::new("ann")).unwrap().token;
    let actor = block_on(both.host.verify_token(&created)).unwrap().unwrap();
    assert_eq!(actor.id(), "ann");
    let Server::Redis(redis) = &both.server else { panic!("it is on Redis") };
    let keys = redis.keys();
    let (apart, shared): (Vec<&String>, Vec<&String>) = keys.iter().partition(|key| key.starts_with("oauth2:python:"));
    let mut expected = [
        format!("oauth2_{created}"),
        "oauth2_c3".to_owned(),
        "oauth2_rotated-10".to_owned(),
        "oauth2_rotated-refresh-10".to_owned(),
        "oauth2_token-host_direct_ann".to_owned(),
        "oauth2_web_authorization_code_ann".to_owned(),
    ];
    expected.sort();
    assert_eq!(shared, expected.iter().collect::<Vec<_>>());
    assert_eq!(apart.len(), 4, "two refresh tokens, a family and a code: {apart:?}");
    for key in &keys {
        let RedisAnswer::Number(seconds) = redis.ask(["TTL", key]) else { panic!("it is a number") };
        assert!(seconds > 0 && seconds < 100_000, "{key} expires in {seconds} s");
    }
    for key in apart {
        assert!(!redis.ask(["GET", key]).text().contains("hunter"), "{key}");
    }
}
