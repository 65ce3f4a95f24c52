//! [`ApiJson`], [`ApiQuery`], [`ApiPath`]: what requests bring, read strictly; what is wrong is told as a problem document.

use std::{collections::HashSet, fmt, marker::PhantomData, str::FromStr};

use ::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Request},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Map, Value};

use crate::{authenticate::decoded, http::problem::Problem};

/// A body of JSON.
pub(super) struct ApiJson<T>(pub(super) T);

/// A query.
pub(super) struct ApiQuery<T>(pub(super) T);

/// What stands in the path.
pub(super) struct ApiPath<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "wrong-type", "Wrong type", "expected a body of application/json"));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            status @ StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(status, "too-large", "Too large", "the body is longer than it may be")
            }
            _ => Problem::bad_request("the body ended before its end"),
        })?;
        read(&body).map(Self)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = pairs(parts.uri.query().unwrap_or_default())?;
        let wrong = |error: serde_json::Error| Problem::bad_request(format!("in the query: {}", expected(&error)));
        serde_json::from_value(Value::Object(pairs)).map(Self).map_err(wrong)
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // What cannot be an id is the id of nothing.
        let Path(read) = Path::from_request_parts(parts, state).await.map_err(|_| Problem::not_found("thing"))?;
        Ok(Self(read))
    }
}

/// What is read from an object and nothing else: a derived struct would also be read from a list of its members.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfObject<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OfObject<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(OfObject(PhantomData))
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map(|Object(read)| read).map_err(|error| not_read(body, &error))
}

/// One media type, with or without parameters (RFC 9110 §8.3.1).
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// The parameters, each a text, or a list of texts where it comes several times.
fn pairs(query: &str) -> Result<Map<String, Value>, Problem> {
    let mut pairs: Map<String, Value> = Map::new();
    for (count, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
            return Err(Problem::bad_request("the query is malformed"));
        };
        if count >= MAX_PARAMETERS {
            return Err(Problem::bad_request(format!("the query has more than {MAX_PARAMETERS} parameters")));
        }
        let value = Value::from(value.into_owned());
        match pairs.get_mut(&*name) {
            None => _ = pairs.insert(name.into_owned(), value),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Ok(pairs)
}

/// The most parameters that a query has.
pub(super) const MAX_PARAMETERS: usize = 1024;

/// Reads one parameter.
pub(super) fn one<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    match Value::deserialize(value)? {
        Value::String(text) => text.parse().map(Some).map_err(D::Error::custom),
        _ => Err(D::Error::custom("expected each parameter once")),
    }
}

/// Reads a parameter that may come several times.
pub(super) fn several<'de, T, D>(value: D) -> Result<Vec<T>, D::Error>
where
    T: FromStr<Err: fmt::Display>,
    D: Deserializer<'de>,
{
    let read = |value: &Value| value.as_str().unwrap_or_default().parse().map_err(D::Error::custom);
    match Value::deserialize(value)? {
        Value::Array(values) => values.iter().map(read).collect(),
        value => Ok(vec![read(&value)?]),
    }
}

/// Reads what may be left out, and is not `null` when it is there.
pub(super) fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// Whether all members of a list are different.
pub(super) fn different<T: Eq + std::hash::Hash>(list: &[T]) -> bool {
    let mut seen = HashSet::new();
    list.iter().all(|member| seen.insert(member))
}

fn not_read(body: &[u8], error: &serde_json::Error) -> Problem {
    let at = |error: &serde_json::Error| format!("line {} column {}", error.line(), error.column());
    // What is wrong with a body that is JSON is not always called so by the error.
    match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => Problem::unprocessable(format!("at {}: {}", at(error), expected(error))),
        Err(error) => Problem::bad_request(format!("the body is no JSON at {}", at(&error))),
    }
}

/// What was expected, without what was found: that may be a secret in the wrong place.
fn expected(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match message.find("expected ") {
        Some(from) => message[from..].to_owned(),
        None if ["missing field", "duplicate field"].iter().any(|start| message.starts_with(start)) => {
            message.to_owned()
        }
        None => "expected something else".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Query {
        #[serde(deserialize_with = "one")]
        limit: Option<u8>,
        #[serde(deserialize_with = "several")]
        actor: Vec<String>,
    }

    fn read(query: &str) -> Result<Query, String> {
        let pairs = pairs(query).map_err(|problem| problem.detail)?;
        serde_json::from_value(Value::Object(pairs)).map_err(|error| expected(&error))
    }

    #[test]
    fn queries_are_read_strictly() {
        let query = |limit, actor: &[&str]| Ok(Query { limit, actor: actor.iter().map(ToString::to_string).collect() });
        assert_eq!(read(""), query(None, &[]));
        assert_eq!(read("&limit=5&actor=a%20b"), query(Some(5), &["a b"]));
        assert_eq!(read("actor=a&actor=b+c&%61ctor=d"), query(None, &["a", "b c", "d"]));
        for bad in ["limit=", "limit=x", "limit=-1", "limit=1&limit=1", "limits=1", "limit=%", "limit=300"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&"actor=a&".repeat(MAX_PARAMETERS + 1)).is_err());
    }

    #[test]
    fn what_was_found_is_not_repeated() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            #[allow(dead_code, reason = "it is read")]
            seconds: u64,
        }
        let told =
            |text: &str| super::read::<Body>(text.as_bytes()).map_err(|problem| (problem.status, problem.detail));
        assert!(told(r#"{"seconds":1}"#).is_ok());
        for text in [
            r#"{"seconds":"hunter2"}"#,
            r#"{"hunter2":1}"#,
            r#""hunter2""#,
            "{}",
            r#"{"seconds":1,"seconds":2}"#,
            "[1]",
        ] {
            let (status, detail) = told(text).unwrap_err();
            assert!(status == 422 && !detail.contains("hunter2"), "{text}: {status} {detail}");
        }
        for text in ["", "{", "{}}", "{\"seconds\":1}x", "\u{0}"] {
            assert_eq!(told(text).unwrap_err().0, 400, "{text}");
        }
    }
}
