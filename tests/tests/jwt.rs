//! The jwt handler as its users meet it: what it makes, what it requires, its keys, and what it says to bad settings.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use token_host::{CreateToken, ErrorKind, Host, TokenDetails, TokenKind, TokenRestrictions};
use token_host_tests::{HS256, JWT_SECRET, Plugin, Scratch, SetClock, hmac_sha2, jwt, repository};

const NOW: u64 = 1_700_000_000;

fn scratch(settings: &str) -> Scratch {
    let mut scratch = Scratch::new();
    scratch.plugin("jwt", Plugin::Jwt, settings);
    scratch
}

fn with_secret(settings: &str) -> (Host, Scratch) {
    of(&format!("secret = '{JWT_SECRET}'\n{settings}"))
}

fn of(settings: &str) -> (Host, Scratch) {
    let scratch = scratch(settings);
    (Host::builder().config_file(scratch.config()).clock(SetClock::at(NOW)).build().unwrap(), scratch)
}

/// A part of a token, decoded.
fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn details(change: impl FnOnce(&mut TokenDetails)) -> TokenDetails {
    let mut details = TokenDetails::default();
    change(&mut details);
    details
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn rejection(host: &Host, token: &str) -> String {
    let error = host.verify_token_blocking(token).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TokenInvalid(_)), "{error:?}");
    error.to_string()
}

fn invalid_argument(host: &Host, request: &CreateToken) -> String {
    let error = host.create_token_blocking(request).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::InvalidArgument, "{error}");
    error.to_string()
}

#[test]
fn what_a_token_says() {
    let (host, _scratch) = with_secret("issuer = 'https://issuer.example'\naudience = 'api'");
    let created = host.create_token_blocking(&CreateToken::new("root")).unwrap();
    assert_eq!(part(&created.token, 0), json!({ "alg": "HS256", "typ": "JWT" }));
    let id = created.id.unwrap();
    assert_eq!(URL_SAFE_NO_PAD.decode(&id).unwrap().len(), 16, "128 random bits");
    let claims = json!({
        "sub": "root", "iss": "https://issuer.example", "aud": "api", "iat": NOW, "nbf": NOW, "exp": NOW + 900,
        "jti": id, "type": "access", "fresh": false
    });
    assert_eq!(part(&created.token, 1), claims);
    assert_eq!(created.expires_at, Some(NOW + 900), "15 minutes");
    let actor = host.verify_token_blocking(&created.token).unwrap().unwrap();
    assert_eq!((actor.id(), actor.token(), actor.token_expires()), ("root", "jwt", Some(NOW + 900)));
    assert_eq!(
        actor.claims().map(|(name, value)| (name.to_owned(), value.clone())).collect::<serde_json::Map<_, _>>(),
        object(claims)
    );
    let again = host.create_token_blocking(&CreateToken::new("root")).unwrap();
    assert!(again.id.unwrap() != id && again.token != created.token, "each token has a name of its own");
}

#[test]
fn every_hmac_algorithm_signs_as_it_should() {
    for (algorithm, bits) in [("HS256", 256), ("HS384", 384), ("HS512", 512)] {
        let (host, _scratch) = with_secret(&format!("algorithm = '{algorithm}'"));
        let token = host.create_token_blocking(&CreateToken::new("root")).unwrap().token;
        let (message, signature) = token.rsplit_once('.').unwrap();
        let tag = hmac_sha2(bits, JWT_SECRET.as_bytes(), message.as_bytes());
        assert_eq!(signature, URL_SAFE_NO_PAD.encode(tag), "{algorithm}");
        assert!(host.verify_token_blocking(&token).unwrap().is_some(), "{algorithm}");
    }
}

#[test]
fn kinds_and_their_lives() {
    let (host, _scratch) = with_secret("kind = 'any'");
    let made = |kind: Option<TokenKind>, after: Option<u64>| {
        let mut request = CreateToken::new("root").with_details(details(|details| details.kind = kind));
        request.expires_after = after;
        let created = host.create_token_blocking(&request).unwrap();
        let claims = part(&created.token, 1);
        (claims["type"].clone(), claims["fresh"].clone(), created.expires_at.unwrap() - NOW)
    };
    assert_eq!(made(None, None), (json!("access"), json!(false), 900));
    assert_eq!(made(Some(TokenKind::Access), None), (json!("access"), json!(false), 900));
    assert_eq!(made(Some(TokenKind::FreshAccess), None), (json!("access"), json!(true), 900));
    assert_eq!(made(Some(TokenKind::Refresh), None), (json!("refresh"), json!(false), 30 * 86_400));
    assert_eq!(made(Some(TokenKind::Refresh), Some(7)), (json!("refresh"), json!(false), 7));
    assert_eq!(made(None, Some(31_536_000)).2, 31_536_000);
    for seconds in [u64::MAX, 1 << 53] {
        assert!(invalid_argument(&host, &CreateToken::new("root").expires_after(seconds)).contains("more than"));
    }
}

#[test]
fn the_kind_that_is_configured_is_required() {
    let token = |kind: &str| jwt(HS256, json!({ "sub": "root", "exp": NOW + 60, "type": kind }).to_string());
    let fresh = |fresh: Value| {
        jwt(HS256, json!({ "sub": "root", "exp": NOW + 60, "type": "access", "fresh": fresh }).to_string())
    };
    let plain = jwt(HS256, json!({ "sub": "root", "exp": NOW + 60 }).to_string());
    let good = |host: &Host, token: &str| host.verify_token_blocking(token).unwrap().is_some();

    let (host, _scratch) = with_secret("");
    assert!(good(&host, &plain) && good(&host, &token("access")) && good(&host, &fresh(json!(true))));
    for kind in ["refresh", "id", "", "ACCESS"] {
        assert_eq!(rejection(&host, &token(kind)), "only access tokens are accepted", "{kind}");
    }
    let (host, _scratch) = with_secret("kind = 'refresh'");
    assert!(good(&host, &token("refresh")));
    for token in [&plain, &token("access"), &token("id"), &fresh(json!(true))] {
        assert_eq!(rejection(&host, token), "only refresh tokens are accepted");
    }
    let (host, _scratch) = with_secret("kind = 'fresh'");
    assert!(
        good(&host, &fresh(json!(true)))
            && good(&host, &fresh(json!(NOW + 1)))
            && good(&host, &fresh(json!(NOW as f64 + 1.5)))
    );
    for token in [&plain, &fresh(json!(false)), &fresh(json!(NOW)), &fresh(json!(0))] {
        assert_eq!(rejection(&host, token), "token is not fresh");
    }
    assert_eq!(rejection(&host, &fresh(json!("true"))), "`fresh` is neither a Boolean nor a time");
    assert_eq!(rejection(&host, &token("refresh")), "only fresh access tokens are accepted");
    let (host, _scratch) = with_secret("kind = 'any'");
    assert!(good(&host, &plain) && good(&host, &token("refresh")) && good(&host, &token("id")));
}

#[test]
fn what_is_configured_is_required() {
    let token = |claims: Value| {
        let mut all = json!({ "sub": "root", "exp": NOW + 60 });
        all.as_object_mut().unwrap().extend(object(claims));
        jwt(HS256, all.to_string())
    };
    let (host, _scratch) = with_secret("issuer = 'us'\naudience = ['one', 'two']\nsubject = 'root'");
    for audience in [json!("one"), json!("two"), json!(["other", "two"]), json!(["one", "two"])] {
        assert!(host.verify_token_blocking(&token(json!({ "iss": "us", "aud": audience }))).unwrap().is_some());
    }
    for audience in [json!("three"), json!([]), json!(["ONE"]), json!(""), json!(["on", "e"])] {
        let token = token(json!({ "iss": "us", "aud": audience }));
        assert_eq!(rejection(&host, &token), "token is not for this audience", "{audience}");
    }
    assert_eq!(
        rejection(&host, &token(json!({ "iss": "us" }))),
        "token is not for this audience",
        "a missing one, too"
    );
    for issuer in [json!("US"), json!("us "), json!("")] {
        let token = token(json!({ "iss": issuer, "aud": "one" }));
        assert_eq!(rejection(&host, &token), "token is not of the expected issuer", "{issuer}");
    }
    assert_eq!(rejection(&host, &token(json!({ "aud": "one" }))), "token is not of the expected issuer");
    let other = token(json!({ "iss": "us", "aud": "one", "sub": "admin" }));
    assert_eq!(rejection(&host, &other), "token is not for the expected subject");

    let (host, _scratch) = with_secret("max_age_seconds = 100");
    assert!(host.verify_token_blocking(&token(json!({ "iat": NOW - 99 }))).unwrap().is_some());
    assert_eq!(rejection(&host, &token(json!({ "iat": NOW - 100 }))), "token is too old");
    assert_eq!(rejection(&host, &token(json!({}))), "token has no `iat`");
}

#[test]
fn requests_for_more_claims_and_headers() {
    let (host, _scratch) = with_secret("audience = ['one', 'two', 'three']");
    let request = CreateToken::new("Zoë \"😀\"\n")
        .restricted_to(TokenRestrictions::nothing().allow_all("view-instance"))
        .with_details(details(|details| {
            details.claims = object(json!({ "aud": ["two", "one"], "role": "editor", "é\"": [1, null, { "a": 1.5 }] }));
            details.headers = object(json!({ "x": 1, "y": "z" }));
        }));
    let token = host.create_token_blocking(&request).unwrap().token;
    assert_eq!(part(&token, 0), json!({ "alg": "HS256", "typ": "JWT", "x": 1, "y": "z" }));
    let claims = part(&token, 1);
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("Zoë \"😀\"\n"), &json!(["two", "one"])));
    assert_eq!(
        (&claims["role"], &claims["é\""], &claims["_r"]),
        (&json!("editor"), &json!([1, null, { "a": 1.5 }]), &json!({ "a": ["vi"] }))
    );
    let actor = host.verify_token_blocking(&token).unwrap().unwrap();
    assert!(
        actor.id() == "Zoë \"😀\"\n" && actor.allows("view-instance", None, None) && !actor.allows("x", None, None)
    );

    for name in ["sub", "iss", "iat", "nbf", "exp", "jti", "type", "fresh", "_r"] {
        let request =
            CreateToken::new("root").with_details(details(|details| details.claims = object(json!({ name: "x" }))));
        assert_eq!(invalid_argument(&host, &request), format!("the claim `{name}` is written by the handler"));
    }
    for audience in [json!("four"), json!(["one", "four"]), json!([]), json!(1), json!(null)] {
        let request = CreateToken::new("root")
            .with_details(details(|details| details.claims = object(json!({ "aud": audience }))));
        assert_eq!(invalid_argument(&host, &request), "`aud` is not among the audiences that are configured");
    }
    for name in ["alg", "kid", "cty", "crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"] {
        let request =
            CreateToken::new("root").with_details(details(|details| details.headers = object(json!({ name: "x" }))));
        assert_eq!(invalid_argument(&host, &request), format!("the header `{name}` must not be asked for"));
    }
    let deep = (0..40).fold(json!(1), |inner, _| json!([inner]));
    for (claims, headers) in [(json!({ "x": deep }), json!({})), (json!({}), json!({ "x": deep }))] {
        let request = CreateToken::new("root").with_details(details(|details| {
            (details.claims, details.headers) = (object(claims), object(headers));
        }));
        assert!(invalid_argument(&host, &request).contains("nested too deeply"), "what is made is accepted");
    }
    for actor in ["", "\0", "ro\0ot"] {
        invalid_argument(&host, &CreateToken::new(actor));
    }
}

#[test]
fn access_tokens_of_rfc_9068() {
    let (host, _scratch) = with_secret("issuer = 'https://issuer.example'\naudience = 'api'");
    let asked = |claims: Value| {
        CreateToken::new("root").with_details(details(|details| {
            details.headers = object(json!({ "typ": "at+jwt" }));
            details.claims = object(claims);
        }))
    };
    let token = host.create_token_blocking(&asked(json!({ "client_id": "app", "scope": "read" }))).unwrap().token;
    assert_eq!(part(&token, 0)["typ"], "at+jwt");
    let claims = part(&token, 1);
    for required in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"] {
        assert!(claims.get(required).is_some(), "{required}");
    }
    assert!(invalid_argument(&host, &asked(json!({}))).contains("client_id"));
    let (bare, _bare) = with_secret("");
    assert!(invalid_argument(&bare, &asked(json!({ "client_id": "app" }))).contains("issuer and an audience"));

    // The client may be the actor.
    let client = "id_claim = 'client_id'\nsubject = 'app'\ntyp = 'at+jwt'\nissuer = 'i'\naudience = 'a'";
    let (host, _scratch) = with_secret(client);
    let of_client = host.create_token_blocking(&CreateToken::new("app")).unwrap().token;
    assert_eq!(host.verify_token_blocking(&of_client).unwrap().unwrap().id(), "app");

    // Where they are configured, nothing else is made or accepted.
    let (host, _scratch) = with_secret("typ = 'at+jwt'\nissuer = 'https://issuer.example'\naudience = 'api'");
    assert!(host.verify_token_blocking(&token).unwrap().is_some());
    assert!(invalid_argument(&host, &CreateToken::new("root")).contains("client_id"));
    let header = r#"{"alg":"HS256","typ":"at+jwt"}"#;
    for missing in ["client_id", "iat", "jti", "sub"] {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(missing);
        let expected =
            if missing == "sub" { "token lacks a claim" } else { "token lacks a claim that RFC 9068 requires" };
        assert!(rejection(&host, &jwt(header, claims.to_string())).contains(expected), "{missing}");
    }
    assert_eq!(rejection(&host, &jwt(HS256, claims.to_string())), "token is not of the expected `typ`");
    let error = Host::from_file(scratch(&format!("secret = '{JWT_SECRET}'\ntyp = 'at+jwt'")).config()).unwrap_err();
    assert!(error.to_string().contains("at+jwt (RFC 9068) needs `issuer` and `audience`"), "{error}");
}

#[test]
fn the_first_key_signs_and_all_verify() {
    let old = "an older secret that is long enough, too";
    let (before, _a) = of(&format!("secret = '{old}'"));
    let (after, _b) = of(&format!("secret = ['{JWT_SECRET}', '{old}']"));
    let (later, _c) = with_secret("");
    let token = |host: &Host| host.create_token_blocking(&CreateToken::new("root")).unwrap().token;
    let good = |host: &Host, token: &str| matches!(host.verify_token_blocking(token), Ok(Some(_)));
    assert!(good(&after, &token(&before)) && good(&after, &token(&after)) && good(&later, &token(&after)));
    assert!(!good(&before, &token(&after)) && !good(&later, &token(&before)));

    let keys = |kids: [&str; 2]| {
        let entry = |kid: &str| {
            format!("{{ kid = '{kid}', algorithm = 'HS256', secret = 'the secret of {kid}, padded to 32 bytes' }}")
        };
        of(&format!("keys = [{}, {}]", entry(kids[0]), entry(kids[1])))
    };
    let ((ab, _d), (bc, _e)) = (keys(["a", "b"]), keys(["b", "c"]));
    assert_eq!(part(&token(&ab), 0)["kid"], "a");
    assert!(good(&ab, &token(&bc)), "signed by b, which both have");
    assert_eq!(bc.verify_token_blocking(&token(&ab)).unwrap(), None, "a is nobody's there");
}

#[test]
fn key_pairs_from_files() {
    for (file, algorithm, line) in [
        ("rsa", "RS256", "algorithm = 'RS256', "),
        ("rsa", "PS512", "algorithm = 'PS512', "),
        ("p256", "ES256", ""),
        ("p384", "ES384", ""),
        ("p521", "ES512", ""),
        ("ed25519", "EdDSA", ""),
    ] {
        let key = |ending: &str| repository().join(format!("tests/data/jwt/{file}{ending}")).display().to_string();
        let settings = |ending: &str| format!("keys = [{{ kid = 'k', {line}key = {{ file = '{}' }} }}]", key(ending));
        let (signing, _a) = of(&settings(".pem"));
        let (verifying, _b) = of(&settings(".pub.pem"));
        let token = signing.create_token_blocking(&CreateToken::new("root")).unwrap().token;
        assert_eq!(part(&token, 0), json!({ "alg": algorithm, "typ": "JWT", "kid": "k" }));
        assert_eq!(verifying.verify_token_blocking(&token).unwrap().unwrap().id(), "root", "{algorithm}");
        let error = verifying.create_token_blocking(&CreateToken::new("root")).unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Unsupported, "a public key signs nothing: {error}");
        let other = token.rsplit_once('.').unwrap().0.to_owned() + "." + &"A".repeat(86);
        assert_eq!(rejection(&verifying, &other), "token signature is invalid", "{algorithm}");
    }
}

#[test]
fn settings_that_make_no_sense_are_told_with_their_key() {
    let secret = format!("secret = '{JWT_SECRET}'\n");
    let of_secret = |rest: &str| format!("{secret}{rest}");
    for (settings, expected) in [
        ("".to_owned(), "there is no key; expected `secret`, `keys` or `jwks`"),
        ("secret = 'too short'".to_owned(), "it has 9 bytes; HS256 needs at least 32 (RFC 7518 §3.2)"),
        ("secret = ''\ndanger_allow_short_secret = true".to_owned(), "it is empty"),
        (format!("algorithm = 'HS384'\nsecret = '{}'", "x".repeat(47)), "HS384 needs at least 48"),
        (format!("algorithm = 'HS512'\nsecret = '{}'", "x".repeat(63)), "HS512 needs at least 64"),
        (of_secret("algorithm = 'RS256'"), "a secret is for HS256, HS384 or HS512"),
        (of_secret("algorithm = 'none'"), "unknown variant"),
        (of_secret("leeway_seconds = 301"), "expected at most 300 s"),
        (of_secret("access_token_expires_seconds = 0"), "expected at least 1 s"),
        (of_secret("refresh_token_expires_seconds = 0"), "expected at least 1 s"),
        (of_secret("max_age_seconds = 0"), "expected at least 1 s"),
        (of_secret("issuer = ''"), "it is empty"),
        (of_secret("audience = []"), "expected a text, or a list of at least one"),
        (of_secret("audience = ['']"), "expected a text, or a list of at least one"),
        (of_secret("id_claim = 'exp'"), "`exp` means something else"),
        (of_secret("kind = 'id'"), "unknown variant"),
        (of_secret("isuer = 'x'"), "unknown field"),
        (of_secret("keys = [{ kid = 'a' }]"), "expected either `secret` or `key`"),
        (of_secret("keys = [{ kid = 'a', secret = 'x', key = 'y' }]"), "expected either `secret` or `key`"),
        (of_secret("keys = [{ kid = 'a', key = 'no key' }]"), "`keys[0].key`"),
        (of_secret("jwks = { url = 'http://example.com/keys' }"), "https"),
        (of_secret("jwks = { path = 'missing.json' }"), "missing.json"),
        ("algorithm = 'HS256'\njwks = { url = 'https://x.example' }".to_owned(), "it is about `secret`"),
    ] {
        let scratch = scratch(&settings);
        let run = scratch.run(["check"]);
        assert_eq!(run.code(), 6, "{settings}: {run}");
        assert!(format!("{run}").contains(expected), "{settings}: expected {expected}: {run}");
        assert!(!format!("{run}").contains("too short"), "a secret is not shown: {run}");
    }
    let (host, _scratch) = of("secret = 'short'\ndanger_allow_short_secret = true");
    let token = host.create_token_blocking(&CreateToken::new("root")).unwrap().token;
    assert!(host.verify_token_blocking(&token).unwrap().is_some());
    let (host, _scratch) = with_secret("danger_allow_no_expiry = true\naccess_token_expires_seconds = 0");
    let created = host.create_token_blocking(&CreateToken::new("root")).unwrap();
    assert!(created.expires_at.is_none() && part(&created.token, 1).get("exp").is_none());
    assert!(host.create_token_blocking(&CreateToken::new("root").expires_after(5)).unwrap().expires_at.is_some());
}

#[test]
fn beside_other_handlers_each_gets_its_own() {
    let mut scratch =
        scratch(&format!("name = 'inner'\nkeys = [{{ kid = 'in', algorithm = 'HS256', secret = '{JWT_SECRET}' }}]"));
    let outer = "the secret of the outer one, which is another";
    scratch.plugin(
        "outer",
        Plugin::Jwt,
        &format!("name = 'outer'\nkeys = [{{ kid = 'out', algorithm = 'HS256', secret = '{outer}' }}]"),
    );
    scratch.signed("");
    let host = Host::from_file(scratch.config()).unwrap();
    for (handler, kind) in [("inner", "jwt"), ("outer", "jwt"), ("signed", "dstok")] {
        let token = host.create_token_blocking(&CreateToken::new("root").handler(handler)).unwrap().token;
        assert_eq!(host.verify_token_blocking(&token).unwrap().unwrap().token(), kind);
        let explained = host.explain_blocking(&token);
        let yes = explained.handlers.iter().find(|step| step.said == "accepted").unwrap();
        assert_eq!(yes.handler, handler);
    }
    // `signed` is asked first, and makes no tokens of a kind: the next is asked.
    let refresh = CreateToken::new("root").with_details(details(|details| details.kind = Some(TokenKind::Refresh)));
    assert_eq!(part(&host.create_token_blocking(&refresh).unwrap().token, 1)["type"], "refresh");
    let error = host.create_token_blocking(&refresh.handler("signed")).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error}");
}

#[test]
fn on_the_command_line() {
    let scratch = scratch(&format!("secret = '{JWT_SECRET}'\nkind = 'any'"));
    let run = scratch.run([
        "create",
        "root",
        "--kind",
        "fresh-access",
        "--claim",
        "role=editor",
        "--claim",
        "level=7",
        "--header",
        "x=[1]",
        "--expires-after",
        "1h",
        "--json",
    ]);
    assert_eq!(run.code(), 0, "{run}");
    let token = run.json()["token"].as_str().unwrap().to_owned();
    let claims = part(&token, 1);
    assert_eq!((&claims["role"], &claims["level"], &claims["fresh"]), (&json!("editor"), &json!(7), &json!(true)));
    assert_eq!(part(&token, 0)["x"], json!([1]));
    let verified = scratch.run(["verify", "--json", &token]);
    assert_eq!(verified.json()["actor"]["role"], "editor", "{verified}");
    assert_eq!(scratch.run(["create", "root", "--claim", "exp=1"]).code(), 2);
    assert_eq!(scratch.run(["create", "root", "--claim", "nothing"]).code(), 2);
    assert_eq!(scratch.run(["create", "root", "--kind", "id"]).code(), 2);
}
