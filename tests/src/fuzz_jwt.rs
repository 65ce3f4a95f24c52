//! What the fuzz target `jwt` and the test suite do with bytes of unknown origin: see [`jwt`].

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Value, json};
use token_host::{Actor, Verdict};

use crate::{HS256, fuzz::NOW, jwt as forge, jwt_encoded};

/// Has a verifier judge what the bytes behind the first are made into; the first says what that is: a token as it
/// stands, or a part of a token that is signed. The verifier's secret is [`JWT_SECRET`](crate::JWT_SECRET), for HS256;
/// its time is [`NOW`](crate::fuzz::NOW), and it requires nothing.
///
/// # Panics
///
/// When a token is accepted that has another signature or another spelling than the harness would give it, or whose
/// header or claims, read by another reader, are not those of a good token; when a rejection gives no reason.
pub fn jwt(judge: impl Fn(&str) -> Verdict, bytes: &[u8]) {
    let Some((kind, content)) = bytes.split_first() else { return };
    let good = json!({ "sub": "root", "exp": NOW + 60 }).to_string();
    let token = match (kind % 4, str::from_utf8(content)) {
        (AS_IT_STANDS, Ok(text)) => text.to_owned(),
        (ENCODED, Ok(text)) => jwt_encoded(text),
        (HEADER, _) => forge(content, good),
        (CLAIMS, _) => forge(HS256, content),
        _ => return,
    };
    match judge(&token) {
        Verdict::NotRecognized => assert!(kind % 4 != CLAIMS, "nobody else would judge it: {token}"),
        Verdict::Rejected(reason) => assert!(!reason.message().trim().is_empty()),
        Verdict::Accepted(actor) => assert_is_good(&token, &actor),
    }
}

/// Bytes for [`jwt`]: every kind, with tokens that are accepted and such that are not.
pub fn jwts() -> Vec<Vec<u8>> {
    let claims = [
        json!({ "sub": "root", "exp": NOW + 60 }).to_string(),
        json!({
            "sub": "Zo\u{eb} \u{1f600}", "iss": "i", "aud": ["a", "b"], "exp": NOW + 60, "nbf": NOW, "iat": NOW - 5,
            "jti": "x", "type": "access", "fresh": true, "_r": { "a": ["vi"] }, "x": [{ "y": null }, -1.5e3, true]
        })
        .to_string(),
        format!("{{\"exp\":{NOW}.5e0,\"s\\u0075b\":\"a\\nb\", \"exp \":1}}"),
        r#"{"sub":"root","sub":"root"}"#.to_owned(),
    ];
    let headers = [HS256, r#"{"kid":"k","alg":"HS256","crit":[],"b64":false,"cty":"JWT"}"#, r#"{"alg":"none"}"#];
    let claims = claims.iter().flat_map(|claims| {
        [(CLAIMS, claims.clone()), (AS_IT_STANDS, forge(HS256, claims)), (ENCODED, encoded(HS256, claims))]
    });
    let headers = headers.iter().map(|header| (HEADER, (*header).to_owned()));
    claims.chain(headers).map(|(kind, content)| [vec![kind], content.into_bytes()].concat()).collect()
}

fn encoded(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn assert_is_good(token: &str, actor: &Actor) {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, _] = parts[..] else { panic!("{token} has {} parts", parts.len()) };
    assert_eq!(token, jwt_encoded(&format!("{header}.{claims}")), "another signature, or another spelling of it");
    let read = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), part, "another spelling was accepted");
        let Members(members) = serde_json::from_slice(&bytes).unwrap();
        for (index, (name, _)) in members.iter().enumerate() {
            assert!(members[..index].iter().all(|(other, _)| other != name), "{name:?} is there twice");
        }
        members.into_iter().collect::<serde_json::Map<String, Value>>()
    };
    let header = read(header);
    assert_eq!(header["alg"], "HS256");
    assert!(!header.contains_key("crit") && header.get("b64").is_none_or(|b64| *b64 == true));
    let mut claims = read(claims);
    assert!(Some(actor.id()) == claims["sub"].as_str() && !actor.id().contains('\0') && actor.token() == "jwt");
    let seconds = |name: &str| {
        let value = claims.get(name)?;
        let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0 && *seconds <= 9_007_199_254_740_992.0);
        Some(seconds.unwrap_or_else(|| panic!("{name} is {value}")))
    };
    assert!(seconds("exp").unwrap() >= (NOW + 1) as f64, "expired");
    assert_eq!(actor.token_expires(), seconds("exp").map(|expires| expires as u64));
    for name in ["nbf", "iat"] {
        assert!(seconds(name).is_none_or(|seconds| seconds.floor() <= NOW as f64), "{name} is in the future");
    }
    assert_eq!(actor.restrictions().is_some(), claims.contains_key("_r"));
    for own in ["id", "token", "_r", "token_expires"] {
        claims.remove(own);
    }
    let said: serde_json::Map<String, Value> =
        actor.claims().map(|(name, value)| (name.to_owned(), value.clone())).collect();
    assert_eq!(said, claims, "what is handed on is what was judged");
}

/// An object's members, each as often as it is there.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// The first byte of what [`jwt`] takes.
const AS_IT_STANDS: u8 = 0;
const ENCODED: u8 = 1;
const HEADER: u8 = 2;
const CLAIMS: u8 = 3;
