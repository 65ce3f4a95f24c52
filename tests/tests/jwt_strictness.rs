//! The jwt handler's strictness, row by row: what a laxer library accepts, and this handler must not.
//!
//! Each bad token is signed with the right secret unless it says otherwise, so that its form alone is what is judged;
//! and a good token is accepted before and after.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use token_host::{Actor, ErrorKind, Host, ReasonKind};
use token_host_tests::{HS256, JWT_SECRET, Plugin, Scratch, SetClock, hmac_sha2, jwt, jwt_encoded};

const NOW: u64 = 1_700_000_000;

struct Gate {
    host: Host,
    clock: SetClock,
    #[expect(dead_code, reason = "the folder has to live as long as the host")]
    scratch: Scratch,
}

/// What became of a token.
#[derive(Debug, PartialEq)]
enum Outcome {
    Accepted(Actor),
    NotRecognized,
    Rejected(ReasonKind, String),
}

impl Gate {
    fn new() -> Self {
        Self::with("")
    }

    fn with(settings: &str) -> Self {
        Self::of(&format!("secret = '{JWT_SECRET}'\n{settings}"))
    }

    fn of(settings: &str) -> Self {
        let mut scratch = Scratch::new();
        scratch.host("max_token_bytes = 1048576").plugin("jwt", Plugin::Jwt, settings);
        let clock = SetClock::at(NOW);
        let host = Host::builder().config_file(scratch.config()).clock(clock.clone()).build().unwrap();
        Self { host, clock, scratch }
    }

    fn outcome(&self, token: &str) -> Outcome {
        match self.host.verify_token_blocking(token) {
            Ok(Some(actor)) => Outcome::Accepted(actor),
            Ok(None) => Outcome::NotRecognized,
            Err(error) => match error.kind() {
                ErrorKind::TokenInvalid(reason) => Outcome::Rejected(reason.kind(), reason.message().to_owned()),
                other => panic!("{other:?}: {error}"),
            },
        }
    }

    #[track_caller]
    fn accepted(&self, token: &str) -> Actor {
        match self.outcome(token) {
            Outcome::Accepted(actor) => actor,
            other => panic!("{other:?}: {token}"),
        }
    }

    #[track_caller]
    fn rejected(&self, token: &str, kind: ReasonKind, message: &str) {
        assert_eq!(self.outcome(token), Outcome::Rejected(kind, message.to_owned()), "{token:.200}");
        // Which is no matter of a state that something left behind.
        self.accepted(&jwt(HS256, claims().to_string()));
    }

    #[track_caller]
    fn malformed(&self, token: &str, message: &str) {
        self.rejected(token, ReasonKind::Malformed, message);
    }

    #[track_caller]
    fn not_recognized(&self, token: &str) {
        assert_eq!(self.outcome(token), Outcome::NotRecognized, "{token:.200}");
    }
}

fn claims() -> Value {
    json!({ "sub": "root", "iat": NOW, "exp": NOW + 60 })
}

/// Claims with a member that is written as it is, so that it may be anything.
fn with_member(member: &str) -> String {
    let exp = if member.starts_with("\"exp\"") { String::new() } else { format!(r#","exp":{}"#, NOW + 60) };
    let sub = if member.starts_with("\"sub\"") { String::new() } else { r#","sub":"root""#.to_owned() };
    format!("{{{member}{exp}{sub}}}")
}

#[test]
fn unsigned_tokens_in_every_spelling() {
    let gate = Gate::new();
    for none in ["none", "None", "NONE", "nOnE", "\\u006eone", "n\\u006Fne"] {
        let header = format!(r#"{{"alg":"{none}"}}"#);
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims().to_string()));
        for token in [format!("{message}."), jwt_encoded(&message), message] {
            gate.malformed(&token, "token is not signed (`alg` none)");
        }
    }
    // With our algorithm, and no signature.
    let good = jwt(HS256, claims().to_string());
    let (message, _) = good.rsplit_once('.').unwrap();
    gate.rejected(&format!("{message}."), ReasonKind::BadSignature, "token signature is invalid");
    gate.malformed(message, "token has two parts instead of three");
}

#[test]
fn the_algorithm_belongs_to_the_key() {
    let gate = Gate::of(&format!("keys = [{{ kid = 'one', algorithm = 'HS512', secret = '{JWT_SECRET}' }}]"));
    let message =
        |header: &str| format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims().to_string()));
    let signed = |header: &str, bits| {
        let message = message(header);
        let tag = hmac_sha2(bits, JWT_SECRET.as_bytes(), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let rejected = |token: &str, kind, message: &str| {
        assert_eq!(gate.outcome(token), Outcome::Rejected(kind, message.to_owned()), "{token}");
    };
    gate.accepted(&signed(r#"{"alg":"HS512","kid":"one"}"#, 512));
    gate.accepted(&signed(r#"{"alg":"HS512"}"#, 512));
    // The key's name, and an algorithm that is not its own.
    for algorithm in ["HS256", "HS384", "RS256", "ES256", "hs512", "HS512 ", "", "foo"] {
        let token = signed(&format!(r#"{{"alg":"{algorithm}","kid":"one"}}"#), 256);
        rejected(&token, ReasonKind::Malformed, "`alg` does not fit the key that `kid` names");
    }
    for algorithm in ["null", "1", "[\"HS512\"]", "{}", "true"] {
        let token = signed(&format!(r#"{{"alg":{algorithm},"kid":"one"}}"#), 512);
        rejected(&token, ReasonKind::Malformed, "`alg` does not fit the key that `kid` names");
    }
    // The right name, and a tag of another algorithm.
    for bits in [256, 384] {
        let token = signed(r#"{"alg":"HS512","kid":"one"}"#, bits);
        rejected(&token, ReasonKind::BadSignature, "token signature is invalid");
    }
    // What none of our keys has may be somebody else's.
    for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS512","kid":"two"}"#, r#"{"alg":"ES256"}"#, r#"{"alg":"hs512"}"#] {
        gate.not_recognized(&signed(header, 512));
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let pem = std::fs::read_to_string(token_host_tests::repository().join("tests/data/jwt/rsa.pub.pem")).unwrap();
    let jwk = r#"{"kty":"oct","k":"bm90IHNvIHNlY3JldCwgYnV0IGxvbmcgZW5vdWdoIGZvciBldmVyeSBhbGc"}"#;
    for (secret, how) in [(pem.as_str(), "PEM"), (jwk, "JWK")] {
        let mut scratch = Scratch::new();
        scratch.plugin("jwt", Plugin::Jwt, &format!("secret = '''{secret}'''"));
        let error = Host::from_file(scratch.config()).unwrap_err().to_string();
        assert!(error.contains("it is a key, not a secret"), "{how}: {error}");
    }
    let der = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let url = der.replace('+', "-").replace('/', "_");
    for secret in [
        format!("\u{feff}{jwk}"),
        format!("\"{jwk}\""),
        jwk.replace("kty", "k\\u0074y"),
        der.clone(),
        url.trim_end_matches('=').to_owned(),
        pem.lines().skip(1).collect::<Vec<_>>().join("\n"),
        "no-pty ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ me@example".to_owned(),
        " ".repeat(40),
    ] {
        let mut scratch = Scratch::new();
        scratch.file("secret", &secret);
        token_host_tests::set_mode(&scratch.join("secret"), 0o600);
        scratch.plugin("jwt", Plugin::Jwt, "secret = { file = 'secret' }");
        let error = Host::from_file(scratch.config()).unwrap_err().to_string();
        assert!(error.contains("it is a key, not a secret") || error.contains("empty"), "{secret}: {error}");
    }
    // The attack that this is about: a token signed with the public key as if it were a secret.
    let gate = Gate::of(&format!("keys = [{{ kid = 'rsa', algorithm = 'RS256', key = '''{pem}''' }}]"));
    for (header, ours) in [(HS256, false), (r#"{"alg":"HS256","kid":"rsa"}"#, true), (r#"{"alg":"RS256"}"#, true)] {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims().to_string()));
        let tag = hmac_sha2(256, pem.as_bytes(), message.as_bytes());
        let outcome = gate.outcome(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)));
        assert_eq!(matches!(outcome, Outcome::Rejected(..)), ours, "{header}: {outcome:?}");
        assert!(!matches!(outcome, Outcome::Accepted(_)), "{header}: {outcome:?}");
    }
}

#[test]
fn header_parameters_that_change_what_a_token_is() {
    let gate = Gate::new();
    let header = |member: &str| jwt(format!(r#"{{"alg":"HS256",{member}}}"#), claims().to_string());
    for crit in ["[]", r#"["exp"]"#, r#"["b64"]"#, r#"["http://example.com/x"]"#, "null", "\"exp\"", "{}", "[1]"] {
        gate.malformed(&header(&format!(r#""crit":{crit}"#)), "header has critical parameters that are not understood");
    }
    for b64 in ["false", "null", "0", "\"true\"", "[]"] {
        gate.malformed(&header(&format!(r#""b64":{b64}"#)), "payload is not encoded (`b64`)");
    }
    for cty in ["JWT", "jwt", "Jwt", "application/jwt", "\\u004aWT"] {
        gate.malformed(&header(&format!(r#""cty":"{cty}""#)), "token holds another token");
    }
    for (member, fault) in [
        (r#""typ":1"#, "`typ` is not a string"),
        (r#""typ":null"#, "`typ` is not a string"),
        (r#""kid":7"#, "`kid` is not a string"),
        (r#""kid":["a"]"#, "`kid` is not a string"),
        (r#""cty":{}"#, "`cty` is not a string"),
    ] {
        gate.malformed(&header(member), fault);
    }
    // RFC 7797 §4: a payload that is not encoded, signed over as it is.
    let unencoded = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#);
    gate.malformed(&jwt_encoded(&format!("{unencoded}.$02")), "payload is not encoded (`b64`)");
}

#[test]
fn keys_that_a_token_brings_along_are_not_used() {
    let gate = Gate::new();
    let other = "an attacker's secret, which stands in the very header, 64 bytes..";
    let k = URL_SAFE_NO_PAD.encode(other);
    for member in [
        format!(r#""jwk":{{"kty":"oct","k":"{k}"}}"#),
        r#""jku":"http://127.0.0.1:9/keys.json""#.to_owned(),
        r#""x5u":"http://127.0.0.1:9/cert.pem""#.to_owned(),
        r#""x5c":["MIIB"]"#.to_owned(),
        r#""x5t":"AAAA","x5t#S256":"AAAA""#.to_owned(),
    ] {
        let header = format!(r#"{{"alg":"HS256",{member}}}"#);
        // With our key such a token is good: the member is as if it were not there.
        gate.accepted(&jwt(&header, claims().to_string()));
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(claims().to_string()));
        let tag = hmac_sha2(256, other.as_bytes(), message.as_bytes());
        let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
        gate.rejected(&forged, ReasonKind::BadSignature, "token signature is invalid");
    }
}

#[test]
fn members_that_are_there_twice() {
    let gate = Gate::new();
    for header in [
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS512","alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#,
        r#"{"alg":"HS256","x":1,"x":1}"#,
        r#"{"alg":"HS256","x":1,"\u0078":1}"#,
        r#"{"alg":"HS256","x":{"y":1,"y":2}}"#,
    ] {
        let outcome = gate.outcome(&jwt(header, claims().to_string()));
        let Outcome::Rejected(ReasonKind::Malformed, message) = outcome else { panic!("{header}: {outcome:?}") };
        assert_eq!(message, "header has a member twice", "{header}");
    }
    for member in [
        r#""sub":"root","sub":"root""#,
        r#""sub":"root","\u0073ub":"admin""#,
        r#""exp":1800000000,"exp":1800000000"#,
        r#""iat":1,"iat":1"#,
        r#""x":1,"x":2"#,
        r#""x":1,"y":2,"\u0078":2"#,
        r#""x":[{"y":1,"y":1}]"#,
        r#""aud":"a","aud":["a"]"#,
        r#""_r":{},"_r":{}"#,
        r#""type":"access","type":"refresh""#,
    ] {
        gate.malformed(&jwt(HS256, with_member(member)), "a claim is there twice");
    }
    gate.malformed(&jwt(HS256, with_member(r#""_r":{"a":["vi"],"a":[]}"#)), "`_r` is malformed");
}

#[test]
fn a_part_has_one_spelling() {
    let gate = Gate::new();
    let good = jwt(HS256, claims().to_string());
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { unreachable!("three parts") };
    let header_spelling = "header is not base64url in its one spelling";
    let payload_spelling = "payload is not base64url in its one spelling";
    let signature_spelling = "signature is not base64url in its one spelling";
    for (spelled, why) in [
        (format!("{header}="), "padding"),
        (format!("{header}=="), "padding"),
        (format!(" {header}"), "a space before"),
        (format!("{header} "), "a space behind"),
        (format!("\r\n{header}"), "a line before"),
        (format!("{header}\0"), "NUL"),
        (format!("\0{header}"), "NUL before"),
        (format!("{}\n{}", &header[..8], &header[8..]), "a line break inside"),
        (format!("\u{feff}{header}"), "a byte order mark"),
        (format!("{header}é"), "another letter"),
        (format!("{}!{}", &header[..8], &header[8..]), "a character inside"),
    ] {
        gate.malformed(&jwt_encoded(&format!("{spelled}.{payload}")), header_spelling);
        let _ = why;
    }
    for spelled in [
        format!("{payload}="),
        format!(" {payload}"),
        format!("{payload}\n"),
        format!("{payload}\0"),
        format!("{}\r{}", &payload[..8], &payload[8..]),
        format!("{}+{}", &payload[..8], &payload[9..]),
        format!("{}/{}", &payload[..8], &payload[9..]),
        format!("{payload}A"),
        format!("{}é", &payload[..8]),
    ] {
        gate.malformed(&jwt_encoded(&format!("{header}.{spelled}")), payload_spelling);
    }
    for spelled in [
        format!("{signature}="),
        format!(" {signature}"),
        format!("{signature}\n"),
        format!("{signature}\0"),
        format!("{}~{}", &signature[..8], &signature[9..]),
        signature[..signature.len() - 1].to_owned() + "é",
    ] {
        gate.malformed(&format!("{header}.{payload}.{spelled}"), signature_spelling);
    }
    // The same bytes in the other alphabet, and with padding.
    let text = json!({ "sub": "root", "exp": NOW + 60, "x": "???>>>ÿÿÿ" }).to_string();
    let (standard, url) = (STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text));
    assert!(standard != url, "the test's text tells the alphabets apart");
    gate.accepted(&jwt_encoded(&format!("{header}.{url}")));
    for other in [standard, STANDARD.encode(&text), URL_SAFE.encode(text + "  ")] {
        gate.malformed(&jwt_encoded(&format!("{header}.{other}")), payload_spelling);
    }
    for whole in [format!(" {good}"), format!("\n{good}"), format!("\0{good}")] {
        gate.malformed(&whole, header_spelling);
    }
    for whole in [format!("{good} "), format!("{good}\r\n"), format!("{good}\0")] {
        gate.malformed(&whole, signature_spelling);
    }
}

#[test]
fn bits_that_carry_nothing_are_zero() {
    let gate = Gate::new();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let with_last = |part: &str, more: usize| {
        let (rest, last) = part.split_at(part.len() - 1);
        let value = alphabet.iter().position(|letter| [*letter] == last.as_bytes()).unwrap();
        format!("{rest}{}", char::from(alphabet[value + more]))
    };
    // Of each length of text, so that the last letter of a part has two, four, or no bits to spare.
    for filler in ["", "x", "xx"] {
        let header_text = format!(r#"{{"alg":"HS256","x":"{filler}"}}"#);
        let claims_text = json!({ "sub": "root", "exp": NOW + 60, "x": filler }).to_string();
        let (header, payload) = (URL_SAFE_NO_PAD.encode(&header_text), URL_SAFE_NO_PAD.encode(&claims_text));
        for more in 1..[1, 16, 4][header_text.len() % 3] {
            let token = jwt_encoded(&format!("{}.{payload}", with_last(&header, more)));
            gate.malformed(&token, "header is not base64url in its one spelling");
        }
        for more in 1..[1, 16, 4][claims_text.len() % 3] {
            let token = jwt_encoded(&format!("{header}.{}", with_last(&payload, more)));
            gate.malformed(&token, "payload is not base64url in its one spelling");
        }
        let good = jwt_encoded(&format!("{header}.{payload}"));
        for more in 1..4 {
            gate.malformed(&with_last(&good, more), "signature is not base64url in its one spelling");
        }
    }
}

#[test]
fn three_parts_and_no_more() {
    let gate = Gate::new();
    let good = jwt(HS256, claims().to_string());
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { unreachable!("three parts") };
    gate.malformed(&format!("{header}.{payload}"), "token has two parts instead of three");
    for more in [".", ".x", ".x.y", "..", ".eyJ.eyJ"] {
        gate.malformed(&format!("{good}{more}"), "token has more than three parts");
    }
    for more in [".", ".x", ".x.y"] {
        gate.malformed(&jwt_encoded(&format!("{header}.{payload}{more}")), "token has more than three parts");
    }
    gate.malformed(&format!("{header}..{payload}.{signature}"), "token has more than three parts");
    gate.malformed(&format!("{header}{}", ".".repeat(100_000)), "token has more than three parts");
    gate.malformed(&format!("{header}.{payload}{}", ".".repeat(100_000)), "token has more than three parts");
    gate.malformed(&format!("{header}.{payload}.{}", "A".repeat(100_000)), "signature is longer than any key's");
    // No header of anybody's: another handler may own it.
    for token in
        ["", ".", "..", "a.b.c", "eyJ", &header[..8], "dstok_e30.x", &format!(".{good}"), header, &"x".repeat(99)]
    {
        gate.not_recognized(token);
    }
    gate.not_recognized(&".".repeat(100_000));
    // An encrypted token (RFC 7516) has five, and algorithms of its own.
    let encrypted = URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A128GCM"}"#);
    gate.not_recognized(&format!("{encrypted}..AAAA.AAAA.AAAA"));
    // itsdangerous makes such tokens, too: an object, but no header.
    gate.not_recognized(&format!("{}.ZVPxAA.{signature}", URL_SAFE_NO_PAD.encode(r#"{"user":"root"}"#)));
}

#[test]
fn times_are_numbers_of_seconds() {
    let gate = Gate::new();
    for claim in ["exp", "nbf", "iat"] {
        let fault = format!("`{claim}` is not a number of seconds from 0 to 2^53");
        for value in [
            "\"1800000000\"",
            "true",
            "false",
            "null",
            "[1800000000]",
            "[]",
            "{}",
            "-1",
            "-0",
            "-0.0",
            "-1.5",
            "-1e3",
            "9007199254740993",
            "9007199254740994.0",
            "18446744073709551615",
            "18446744073709551616",
            "1e300",
            "9.1e15",
        ] {
            gate.malformed(&jwt(HS256, with_member(&format!("\"{claim}\":{value}"))), &fault);
        }
        for value in ["1e999", "NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "0x1", "1_000"] {
            gate.malformed(&jwt(HS256, with_member(&format!("\"{claim}\":{value}"))), "claims are not JSON");
        }
    }
}

#[test]
fn when_a_token_is_good() {
    let gate = Gate::new();
    let with = |member: &str| jwt(HS256, with_member(member));
    let expired = |token: &str| gate.rejected(token, ReasonKind::Expired, "token has expired");
    expired(&with(&format!("\"exp\":{NOW}")));
    expired(&with(&format!("\"exp\":{}", NOW - 1)));
    expired(&with(&format!("\"exp\":{NOW}.9")));
    expired(&with("\"exp\":0"));
    assert_eq!(gate.accepted(&with(&format!("\"exp\":{}", NOW + 1))).token_expires(), Some(NOW + 1));
    assert_eq!(gate.accepted(&with(&format!("\"exp\":{}.9", NOW + 1))).token_expires(), Some(NOW + 1), "rounded down");
    assert_eq!(gate.accepted(&with("\"exp\":1.8e9")).token_expires(), Some(1_800_000_000));
    gate.accepted(&with("\"exp\":9007199254740992"));
    gate.malformed(&jwt(HS256, r#"{"sub":"root"}"#), "token has no `exp`");

    let not_yet = |token: &str| gate.rejected(token, ReasonKind::NotYetValid, "token is not valid yet");
    gate.accepted(&with(&format!("\"nbf\":{NOW}")));
    gate.accepted(&with(&format!("\"nbf\":{}.5", NOW - 1)));
    not_yet(&with(&format!("\"nbf\":{}", NOW + 1)));
    not_yet(&with(&format!("\"nbf\":{NOW}.5")));
    gate.accepted(&with(&format!("\"iat\":{NOW}")));
    let future = with(&format!("\"iat\":{}", NOW + 1));
    gate.rejected(&future, ReasonKind::NotYetValid, "token was issued in the future");

    let lenient = Gate::with("leeway_seconds = 5");
    for member in [format!("\"exp\":{}", NOW - 4), format!("\"nbf\":{}", NOW + 5), format!("\"iat\":{}", NOW + 5)] {
        lenient.accepted(&with(&member));
    }
    lenient.rejected(&with(&format!("\"exp\":{}", NOW - 5)), ReasonKind::Expired, "token has expired");
    lenient.rejected(&with(&format!("\"nbf\":{}", NOW + 6)), ReasonKind::NotYetValid, "token is not valid yet");
    lenient.rejected(&with(&format!("\"iat\":{}", NOW + 6)), ReasonKind::NotYetValid, "token was issued in the future");

    // The clock says so, and nothing else.
    let token = jwt(HS256, claims().to_string());
    gate.accepted(&token);
    gate.clock.set(NOW + 59);
    gate.accepted(&token);
    gate.clock.set(NOW + 60);
    assert_eq!(gate.outcome(&token), Outcome::Rejected(ReasonKind::Expired, "token has expired".to_owned()));
    gate.clock.set(u64::MAX);
    assert_eq!(gate.outcome(&token), Outcome::Rejected(ReasonKind::Expired, "token has expired".to_owned()));
}

#[test]
fn a_token_that_never_expires_is_a_setting_that_says_danger() {
    let gate = Gate::with("danger_allow_no_expiry = true");
    assert_eq!(gate.accepted(&jwt(HS256, r#"{"sub":"root"}"#)).token_expires(), None);
    let expired = jwt(HS256, with_member(&format!("\"exp\":{NOW}")));
    gate.rejected(&expired, ReasonKind::Expired, "token has expired");
}

#[test]
fn a_token_is_for_an_actor() {
    let gate = Gate::new();
    for value in ["1", "true", "null", "[\"root\"]", "{\"id\":\"root\"}", "1.5"] {
        gate.malformed(&jwt(HS256, with_member(&format!("\"sub\":{value}"))), "`sub` is not a string");
    }
    for nul in ["\\u0000", "root\\u0000", "\\u0000root", "ro\\u0000ot"] {
        gate.malformed(&jwt(HS256, with_member(&format!("\"sub\":\"{nul}\""))), "the actor's id has a NUL in it");
    }
    gate.malformed(&jwt(HS256, with_member("\"sub\":\"\"")), "token names no actor");
    gate.malformed(&jwt(HS256, format!(r#"{{"exp":{}}}"#, NOW + 60)), "token names no actor");
    for (written, id) in
        [("r\\u006fot", "root"), ("\\ud83d\\ude00", "😀"), ("Zoë", "Zoë"), ("a\\\"b\\\\c\\/\\n", "a\"b\\c/\n")]
    {
        assert_eq!(gate.accepted(&jwt(HS256, with_member(&format!("\"sub\":\"{written}\"")))).id(), id);
    }
    let named = Gate::with("id_claim = 'email'");
    let token = |member: &str| jwt(HS256, format!(r#"{{"sub":"7","exp":{},{member}}}"#, NOW + 60));
    assert!(
        matches!(named.outcome(&token(r#""email":"a@example.com""#)), Outcome::Accepted(actor) if actor.id() == "a@example.com")
    );
    for member in ["\"email\":7", "\"email\":\"a\\u0000\"", "\"email\":\"\"", "\"mail\":\"a\""] {
        let outcome = named.outcome(&token(member));
        assert!(matches!(outcome, Outcome::Rejected(ReasonKind::Malformed, _)), "{member}: {outcome:?}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    let gate = Gate::new();
    let claims = claims().to_string();
    for header in [
        "{\"alg\":\"HS256\"",
        "{\"alg\":\"HS256\"}x",
        "{\"alg\":\"HS256\"}{}",
        "{\"alg\":\"HS256\",}",
        "{\"alg\":\"HS256\",\"x\":\"\\ud800\"}",
        "{\"x\":\"\\udc00\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"x\":\"\\ude00\\ud83d\"}",
        "{\"alg\":\"HS256\",\"x\":\"\u{1}\"}",
        "{'alg':'HS256'}",
    ] {
        let outcome = gate.outcome(&jwt(header, &claims));
        match header.starts_with("{'") {
            true => assert_eq!(outcome, Outcome::NotRecognized, "{header}"),
            false => assert_eq!(
                outcome,
                Outcome::Rejected(ReasonKind::Malformed, "header is not JSON".to_owned()),
                "{header}"
            ),
        }
    }
    for mark in ["\u{feff}", " \u{feff}", "\u{feff}\n", "\u{feff}\u{feff}"] {
        let header = format!("{mark}{{\"alg\":\"HS256\"}}");
        gate.malformed(&jwt(header, &claims), "header begins with a byte order mark");
    }
    gate.malformed(&jwt(b"{\"alg\":\"HS256\",\"x\":\"\xff\"}", &claims), "header is not base64url in its one spelling");
    for text in [
        "",
        "null",
        "[]",
        "\"root\"",
        "1",
        "{",
        "{}x",
        "{}{}",
        "{\"sub\":\"root\",}",
        "{\"sub\":\"\\ud800\"}",
        "{\"x\":\"\\udc00\"}",
        "{\"\\ud800\":1}",
        "{\"x\":[\"\\ude00\\ud83d\"]}",
        "\u{feff}{}",
        "{\"sub\":\"\n\"}",
        "{'sub':'root'}",
        "{sub:1}",
        "{\"x\":01}",
    ] {
        let outcome = gate.outcome(&jwt(HS256, text));
        let Outcome::Rejected(ReasonKind::Malformed, message) = outcome else { panic!("{text}: {outcome:?}") };
        assert!(message == "claims are not JSON" || message == "claims are not a JSON object", "{text}: {message}");
    }
    gate.malformed(&jwt(HS256, b"{\"sub\":\"\xff\"}"), "payload is not UTF-8");
    gate.malformed(&jwt(HS256, b"\xef\xbb\xbf{}"), "claims are not JSON");
    for member in [r#""iss":1"#, r#""iss":null"#, r#""iss":["a"]"#] {
        gate.malformed(&jwt(HS256, with_member(member)), "`iss` is not a string");
    }
    for member in [r#""jti":1"#, r#""jti":null"#] {
        gate.malformed(&jwt(HS256, with_member(member)), "`jti` is not a string");
    }
    for member in [r#""aud":1"#, r#""aud":null"#, r#""aud":["a",1]"#, r#""aud":{"a":1}"#, r#""aud":[["a"]]"#] {
        gate.malformed(&jwt(HS256, with_member(member)), "`aud` is neither a string nor a list of strings");
    }
}

#[test]
fn names_that_other_readers_take_for_something_else() {
    let gate = Gate::new();
    for name in ["$serde_json::private::RawValue", "$serde_json::private::Number", "\\u0024serde_json::x"] {
        for value in ["\"}\"", "\"{}\"", "1"] {
            let object = format!("{{\"{name}\":{value}}}");
            for member in [format!("\"m\":{object}"), format!("\"m\":[{object}]"), format!("\"{name}\":{value}")] {
                gate.malformed(&jwt(HS256, with_member(&member)), "a claim has a name that is not allowed");
            }
            let header = format!("{{\"alg\":\"HS256\",\"m\":{object}}}");
            gate.malformed(&jwt(header, claims().to_string()), "header has a name that is not allowed");
        }
    }
}

#[test]
fn a_name_that_is_there_twice_is_no_way_out() {
    let gate = Gate::new();
    for kid in [r#""kid":5,"kid":"other""#, r#""kid":"one","kid":"other""#, r#""kid":"other","\u006bid":5"#] {
        let outcome = gate.outcome(&jwt(format!(r#"{{"alg":"HS256",{kid}}}"#), claims().to_string()));
        assert!(matches!(outcome, Outcome::Rejected(ReasonKind::Malformed, _)), "{kid}: {outcome:?}");
    }
}

#[test]
fn a_header_and_a_name_of_a_token_are_of_some_length() {
    let gate = Gate::new();
    let header = |length: usize| format!(r#"{{"alg":"HS256","x":"{}"}}"#, "x".repeat(length));
    gate.accepted(&jwt(header(10_000), claims().to_string()));
    for length in [13_000, 500_000] {
        gate.malformed(&jwt(header(length), claims().to_string()), "header is longer than 16 KiB");
    }
    gate.not_recognized(&format!("{}.x", "x".repeat(500_000)));
    gate.accepted(&jwt(HS256, with_member(&format!("\"jti\":\"{}\"", "x".repeat(1024)))));
    for jti in [String::new(), "x".repeat(1025)] {
        let token = jwt(HS256, with_member(&format!("\"jti\":\"{jti}\"")));
        gate.malformed(&token, "`jti` is empty, or longer than 1024 bytes");
    }
}

#[test]
fn nesting_has_an_end() {
    let gate = Gate::new();
    // The claims themselves are the first level.
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        gate.accepted(&jwt(HS256, with_member(&format!("\"x\":{}", nested(31)))));
        for depth in [32, 33, 1_000, 10_000] {
            let token = jwt(HS256, with_member(&format!("\"x\":{}", nested(depth))));
            gate.malformed(&token, "claims are nested too deeply");
        }
        for depth in [32, 33, 1_000] {
            let header = jwt(format!("{{\"alg\":\"HS256\",\"x\":{}}}", nested(depth)), claims().to_string());
            gate.malformed(&header, "header is nested too deeply");
        }
    }
    gate.malformed(&jwt(HS256, with_member(&format!("\"x\":{}", "[".repeat(100_000)))), "claims are nested too deeply");
    let empty = format!("{}{}", "[".repeat(32), "]".repeat(32));
    gate.malformed(&jwt(HS256, with_member(&format!("\"x\":{empty}"))), "claims are nested too deeply");
}

#[test]
fn typ_is_required_when_it_is_configured() {
    let gate = Gate::with("typ = 'app+jwt'");
    let with = |typ: &str| jwt(format!(r#"{{"alg":"HS256"{typ}}}"#), claims().to_string());
    for good in [r#","typ":"app+jwt""#, r#","typ":"APP+JWT""#, r#","typ":"application/app+jwt""#] {
        assert!(matches!(gate.outcome(&with(good)), Outcome::Accepted(_)), "{good}");
    }
    for bad in
        ["", r#","typ":"JWT""#, r#","typ":"at+jwt""#, r#","typ":"""#, r#","typ":"application/application/app+jwt""#]
    {
        let expected = Outcome::Rejected(ReasonKind::Other, "token is not of the expected `typ`".to_owned());
        assert_eq!(gate.outcome(&with(bad)), expected, "{bad}");
    }
    // Not configured, it may be anything.
    Gate::new().accepted(&with(r#","typ":"whatever""#));
    Gate::new().accepted(&with(""));
}

#[test]
fn unknown_claims_and_escapes_are_no_harm() {
    let gate = Gate::new();
    let claims = format!(
        r#"{{ "exp" : {}, "s\u0075b" : "root", "x": [{{}}, null, -1.5e3, true, "\n\u00e9"], "admin" : false }}"#,
        NOW + 60
    );
    let actor = gate.accepted(&jwt("{ \"typ\" : \"JWT\", \r\n \"alg\" : \"HS\\u003256\" }", claims));
    assert_eq!(actor.id(), "root");
    let said: Vec<(&str, &Value)> = actor.claims().collect();
    assert!(said.contains(&("x", &json!([{}, null, -1.5e3, true, "\né"]))), "{said:?}");
}

#[test]
fn claims_cannot_pretend_to_be_the_handler() {
    let gate = Gate::new();
    let member = r#""id":"admin","token":"database","token_expires":1,"sub":"root""#;
    let actor = gate.accepted(&jwt(
        HS256,
        with_member(&format!("\"exp\":{},{member}", NOW + 60)).replace(r#","sub":"root"}"#, "}"),
    ));
    let json = serde_json::to_value(&actor).unwrap();
    assert_eq!(
        (&json["id"], &json["token"], &json["token_expires"]),
        (&json!("root"), &json!("jwt"), &json!(NOW + 60))
    );
    for restrictions in ["null", "[]", "\"\"", "1", "false"] {
        gate.malformed(&jwt(HS256, with_member(&format!("\"_r\":{restrictions}"))), "`_r` is not an object");
    }
    let restricted = gate.accepted(&jwt(HS256, with_member(r#""_r":{"a":["vi"]}"#)));
    assert!(restricted.allows("view-instance", None, None) && !restricted.allows("execute-sql", None, None));
    assert!(!gate.accepted(&jwt(HS256, with_member("\"_r\":{}"))).allows("view-instance", None, None));
    for restrictions in [r#"{"a":"vi"}"#, r#"{"a":[1]}"#, r#"{"d":[]}"#] {
        let token = jwt(HS256, with_member(&format!("\"_r\":{restrictions}")));
        gate.malformed(&token, "token has malformed restrictions");
    }
}

#[test]
fn no_byte_of_a_token_can_be_changed() {
    let gate = Gate::new();
    let good = jwt(HS256, claims().to_string());
    for index in 0..good.len() {
        for byte in [b'A', b'B', b'_', b'.', b' ', b'=', 0] {
            let mut changed = good.clone().into_bytes();
            if changed[index] != byte {
                changed[index] = byte;
                let changed = String::from_utf8(changed).unwrap();
                let outcome = gate.outcome(&changed);
                assert!(!matches!(outcome, Outcome::Accepted(_)), "{byte} at {index}: {outcome:?}");
            }
        }
        assert!(!matches!(gate.outcome(&good[..index]), Outcome::Accepted(_)), "the first {index}");
    }
}

#[test]
fn the_rfcs_own_tokens() {
    let gate = |key: &str, now: u64| {
        let gate = Gate::of(&format!("keys = [{{ algorithm = 'HS256', key = '''{key}''' }}]\nleeway_seconds = 0"));
        gate.clock.set(now);
        gate
    };
    // RFC 7515 appendix A.1, which is RFC 7519 §3.1 as well: its signature is good, and it names nobody.
    let key =
        r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let joe = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    let rejected = |kind, message: &str| Outcome::Rejected(kind, message.to_owned());
    let (in_time, late) = (gate(key, 1_300_819_379), gate(key, 1_300_819_380));
    assert_eq!(in_time.outcome(&joe), rejected(ReasonKind::Malformed, "token names no actor"));
    assert_eq!(late.outcome(&joe), rejected(ReasonKind::Expired, "token has expired"));
    let other = gate(&key.replace("AyM1", "AyM2"), 1_300_819_379);
    assert_eq!(other.outcome(&joe), rejected(ReasonKind::BadSignature, "token signature is invalid"));
    // RFC 7519 §6.1, which is RFC 7515 appendix A.5: not signed.
    let unsigned = format!("eyJhbGciOiJub25lIn0.{claims}.");
    assert_eq!(in_time.outcome(&unsigned), rejected(ReasonKind::Malformed, "token is not signed (`alg` none)"));
    // RFC 7515 appendix E: must be rejected, because of `crit`; and of `none`, which is seen first.
    let undefined = "{\"alg\":\"none\",\r\n \"crit\":[\"http://example.com/UNDEFINED\"],\r\n \"http://example.com/UNDEFINED\":true\r\n}";
    let extended = format!("{}.RkFJTA.", URL_SAFE_NO_PAD.encode(undefined));
    assert!(matches!(in_time.outcome(&extended), Outcome::Rejected(ReasonKind::Malformed, _)));
    let signed = jwt(undefined.replace("none", "HS256"), "FAIL");
    Gate::new().malformed(&signed, "header has critical parameters that are not understood");
    // RFC 7797 §4.2: a payload that is not encoded.
    let unencoded =
        "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19.$.02.A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY";
    for token in [unencoded.to_owned(), unencoded.replace("$.02", ""), unencoded.replace("$.02", "JC4wMg")] {
        assert!(matches!(gate(key, NOW).outcome(&token), Outcome::Rejected(ReasonKind::Malformed, _)), "{token}");
    }
}
