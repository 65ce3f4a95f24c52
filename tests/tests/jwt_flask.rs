//! Real Flask apps behind JSON Web Tokens: Flask-JWT-Extended, and flask-jwt-trivial.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use token_host::{CreateToken, Host, TokenDetails, TokenKind};
use token_host_tests::{Flask, FlaskApp, Plugin, Scratch, skipped};

use crate::jwt_interop::{LONG_SECRET as SECRET, Refused, judged, payload, pem};

const ROUTES: [&str; 3] = ["/access", "/fresh", "/refresh"];

#[test]
fn flasks_tokens_are_taken_as_what_they_are() {
    let Some(mut flask) = skipped("flasks_tokens_are_taken_as_what_they_are", Flask::start()) else { return };
    let app = FlaskApp::extended(json!({ "JWT_SECRET_KEY": SECRET }));
    // One host for each of Flask's routes, and one for all.
    let [access, fresh, refresh, any, unsaid] =
        ["kind = 'access'", "kind = 'fresh'", "kind = 'refresh'", "kind = 'any'", ""]
            .map(|kind| host(&format!("secret = '{SECRET}'\n{kind}")));
    for (request, taken) in [
        (json!({ "kind": "access" }), [true, false, false]),
        (json!({ "kind": "fresh" }), [true, true, false]),
        (json!({ "kind": "refresh" }), [false, false, true]),
        (json!({ "kind": "access", "fresh_seconds": 600 }), [true, true, false]),
        (json!({ "kind": "access", "fresh_seconds": -600 }), [true, false, false]),
    ] {
        let mut question = request.clone();
        question["identity"] = "rööt".into();
        question["claims"] = json!({ "role": "editor", "nested": { "名前": [1, 2.5] } });
        question["headers"] = json!({ "x-tenant": "t1" });
        let token = flask.make(&app, question);
        let actor = actor_of(&token, "sub");
        assert_eq!(actor["role"], "editor");
        for ((route, (ours, _)), is_taken) in ROUTES.into_iter().zip([&access, &fresh, &refresh]).zip(taken) {
            let (status, body) = flask.call(&app, route, &token);
            assert_eq!(status == 200, is_taken, "Flask at {route}, {request}: {body}");
            let expected = is_taken.then(|| actor.clone()).ok_or(Refused);
            assert_eq!(judged(ours, &token), expected, "we as for {route}, {request}");
        }
        assert_eq!(judged(&any.0, &token), Ok(actor), "{request}");
        assert_eq!(judged(&unsaid.0, &token), judged(&access.0, &token), "{request}: access is the default");
    }
}

#[test]
fn our_tokens_open_flasks_routes() {
    let Some(mut flask) = skipped("our_tokens_open_flasks_routes", Flask::start()) else { return };
    let app = FlaskApp::extended(json!({ "JWT_SECRET_KEY": SECRET }));
    let (ours, _scratch) = host(&format!("secret = '{SECRET}'"));
    for (kind, statuses) in [
        (None, [200, 401, 422]),
        (Some(TokenKind::Access), [200, 401, 422]),
        (Some(TokenKind::FreshAccess), [200, 200, 422]),
        (Some(TokenKind::Refresh), [422, 422, 200]),
    ] {
        let token = ours.create_token_blocking(&request(kind)).unwrap().token;
        for (route, expected) in ROUTES.into_iter().zip(statuses) {
            let (status, body) = flask.call(&app, route, &token);
            assert_eq!(status, expected, "{kind:?} at {route}: {body}");
            if status == 200 {
                let headers = json!({ "alg": "HS256", "typ": "JWT", "x-tenant": "t1" });
                let let_in = json!({ "identity": "rööt", "claims": payload(&token), "headers": headers });
                assert_eq!(body, let_in, "{kind:?} at {route}");
            }
        }
        let (status, _) = flask.call(&app, "/access", &with_another_subject(&token));
        assert_eq!(status, 422, "{kind:?}: a changed token");
    }
}

#[test]
fn flasks_settings_have_theirs_here() {
    let Some(mut flask) = skipped("flasks_settings_have_theirs_here", Flask::start()) else { return };
    let secret = |extra: Value| {
        let mut settings = extra;
        settings["JWT_SECRET_KEY"] = SECRET.into();
        settings
    };
    let pair = |algorithm: &str, key: &str| {
        let settings = json!({
            "JWT_ALGORITHM": algorithm, "JWT_PRIVATE_KEY": pem(&format!("{key}.pem")),
            "JWT_PUBLIC_KEY": pem(&format!("{key}.pub.pem")),
        });
        let key = pem(&format!("{key}.pem"));
        (settings, format!("[[plugin.config.keys]]\nalgorithm = '{algorithm}'\nkey = '''\n{key}'''"))
    };
    let with_secret = |settings: &str| format!("secret = '{SECRET}'\n{settings}");
    for (theirs, ours) in [
        (secret(json!({ "JWT_ALGORITHM": "HS384" })), with_secret("algorithm = 'HS384'")),
        (secret(json!({ "JWT_ALGORITHM": "HS512" })), with_secret("algorithm = 'HS512'")),
        (
            secret(json!({
                "JWT_ENCODE_ISSUER": "i", "JWT_DECODE_ISSUER": "i",
                "JWT_ENCODE_AUDIENCE": ["a", "b"], "JWT_DECODE_AUDIENCE": ["b", "c"],
            })),
            with_secret("issuer = 'i'\naudience = ['b', 'a']"),
        ),
        (secret(json!({ "JWT_IDENTITY_CLAIM": "identity" })), with_secret("id_claim = 'identity'")),
        pair("RS256", "rsa"),
        pair("PS512", "rsa"),
        pair("ES256", "p256"),
        pair("EdDSA", "ed25519"),
    ] {
        let id_claim = theirs["JWT_IDENTITY_CLAIM"].as_str().unwrap_or("sub").to_owned();
        let app = FlaskApp::extended(theirs);
        let (host, _scratch) = host(&ours);
        let token = flask.make(&app, json!({ "identity": "root" }));
        assert_eq!(judged(&host, &token), Ok(actor_of(&token, &id_claim)), "{ours}");
        assert_eq!(judged(&host, &with_another_subject(&token)), Err(Refused), "{ours}");
        let token = host.create_token_blocking(&request(None)).unwrap().token;
        let (status, body) = flask.call(&app, "/access", &token);
        assert_eq!((status, &body["identity"]), (200, &json!("rööt")), "{ours}: {body}");
    }
}

#[test]
fn what_flask_refuses_we_refuse() {
    let Some(mut flask) = skipped("what_flask_refuses_we_refuse", Flask::start()) else { return };
    let settings = json!({ "JWT_SECRET_KEY": SECRET, "JWT_DECODE_ISSUER": "i", "JWT_DECODE_AUDIENCE": "a" });
    let app = FlaskApp::extended(settings);
    let (ours, _scratch) = host(&format!("secret = '{SECRET}'\nissuer = 'i'\naudience = 'a'"));
    for (claims, expires_seconds, is_good) in [
        (json!({ "iss": "i", "aud": "a" }), 600, true),
        (json!({ "iss": "i", "aud": ["b", "a"] }), 600, true),
        (json!({ "iss": "i", "aud": "a" }), -600, false),
        (json!({ "iss": "i", "aud": "b" }), 600, false),
        (json!({ "iss": "i" }), 600, false),
        (json!({ "iss": "j", "aud": "a" }), 600, false),
        (json!({ "aud": "a" }), 600, false),
        (json!({ "iss": "i", "aud": "a", "nbf": 32_503_680_000_u64 }), 600, false),
        (json!({ "iss": "i", "aud": "a", "iat": 32_503_680_000_u64 }), 600, false),
    ] {
        let request = json!({ "identity": "root", "claims": claims, "expires_seconds": expires_seconds });
        let token = flask.make(&app, request.clone());
        let (status, body) = flask.call(&app, "/access", &token);
        assert_eq!(status == 200, is_good, "Flask, {request}: {body}");
        let expected = is_good.then(|| actor_of(&token, "sub")).ok_or(Refused);
        assert_eq!(judged(&ours, &token), expected, "we, {request}");
    }
    let other = FlaskApp::extended(json!({ "JWT_SECRET_KEY": SECRET.to_uppercase() }));
    let token = flask.make(&other, json!({ "identity": "root", "claims": { "iss": "i", "aud": "a" } }));
    assert_eq!((flask.call(&app, "/access", &token).0, judged(&ours, &token)), (422, Err(Refused)), "another secret");
}

#[test]
fn flasks_tokens_for_ever_need_leave() {
    let Some(mut flask) = skipped("flasks_tokens_for_ever_need_leave", Flask::start()) else { return };
    let app = FlaskApp::extended(json!({ "JWT_SECRET_KEY": SECRET }));
    let token = flask.make(&app, json!({ "identity": "root", "expires_seconds": null }));
    assert_eq!(flask.call(&app, "/access", &token).0, 200);
    let (strict, _scratch) = host(&format!("secret = '{SECRET}'"));
    assert_eq!(judged(&strict, &token), Err(Refused));
    let (lax, _scratch) = host(&format!("secret = '{SECRET}'\ndanger_allow_no_expiry = true"));
    assert_eq!(judged(&lax, &token), Ok(actor_of(&token, "sub")));
}

#[test]
fn flask_jwt_trivial_in_both_directions() {
    let Some(mut flask) = skipped("flask_jwt_trivial_in_both_directions", Flask::start()) else { return };
    for algorithm in ["HS256", "HS384", "HS512"] {
        let app = FlaskApp::trivial(json!({
            "passphrase": SECRET, "algorithm": algorithm, "audience": "a", "issuer": "i",
        }));
        let settings = format!("secret = '{SECRET}'\nalgorithm = '{algorithm}'\nissuer = 'i'\naudience = 'a'");
        let (strict, _scratch) = host(&settings);
        let (lax, _scratch) = host(&format!("{settings}\ndanger_allow_no_expiry = true"));

        // It only writes what a call says, and never an expiry.
        let token = flask.make(&app, json!({ "subject": "rööt", "audience": "a", "issuer": "i" }));
        assert_eq!(payload(&token), json!({ "sub": "rööt", "aud": "a", "iss": "i" }));
        assert_eq!(flask.call(&app, "/access", &token).0, 200, "{algorithm}");
        assert_eq!(judged(&strict, &token), Err(Refused), "{algorithm}");
        assert_eq!(judged(&lax, &token), Ok(actor_of(&token, "sub")), "{algorithm}");
        assert_eq!(judged(&lax, &with_another_subject(&token)), Err(Refused), "{algorithm}");
        let for_anybody = flask.make(&app, json!({ "subject": "rööt", "issuer": "i" }));
        assert_eq!(flask.call(&app, "/access", &for_anybody).0, 200, "{algorithm}: it takes tokens for no audience");
        assert_eq!(judged(&lax, &for_anybody), Err(Refused), "{algorithm}: we do not");

        for host in [&strict, &lax] {
            let token = host.create_token_blocking(&request(None)).unwrap().token;
            assert_eq!(flask.call(&app, "/access", &token).0, 200, "{algorithm}");
            assert_eq!(flask.call(&app, "/access", &with_another_subject(&token)).0, 401, "{algorithm}");
        }
        let (elsewhere, _scratch) = host(&settings.replace("audience = 'a'", "audience = 'b'"));
        let token = elsewhere.create_token_blocking(&request(None)).unwrap().token;
        assert_eq!(flask.call(&app, "/access", &token).0, 401, "{algorithm}: for another audience");
    }
}

fn host(settings: &str) -> (Host, Scratch) {
    let mut scratch = Scratch::new();
    scratch.plugin("jwt", Plugin::Jwt, settings);
    (Host::from_file(scratch.config()).unwrap(), scratch)
}

fn request(kind: Option<TokenKind>) -> CreateToken {
    let mut details = TokenDetails::default();
    details.kind = kind;
    details.claims.insert("role".to_owned(), json!({ "名前": ["editor", 1, 2.5] }));
    details.headers.insert("x-tenant".to_owned(), "t1".into());
    CreateToken::new("rööt").with_details(details)
}

/// The actor that a good token stands for.
fn actor_of(token: &str, id_claim: &str) -> Value {
    let mut actor = payload(token);
    actor["id"] = actor[id_claim].clone();
    actor["token"] = "jwt".into();
    if let Some(expires) = actor.get("exp").cloned() {
        actor["token_expires"] = expires;
    }
    actor
}

fn with_another_subject(token: &str) -> String {
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token} has three parts") };
    let mut claims = payload(token);
    claims["sub"] = "somebody else".into();
    format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
}
