//! The payload of a signed token: a JSON object with the keys `a`, `t`, `d` and `_r`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

/// What a token says. Nothing of it is judged here: whether it has expired, say, is the handler's question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload<'a> {
    /// `a`: whom the token stands for.
    pub(crate) actor_id: Cow<'a, str>,
    /// `t`: when it was made, in Unix seconds, at most [`MAX_SECONDS`].
    pub(crate) created: u64,
    /// `d`: how long it is good for, in seconds, at most [`MAX_SECONDS`]. A zero is a zero, not "for ever".
    pub(crate) duration: Option<u64>,
    /// `_r`: the JSON text of an object, of which nothing is known but that it is JSON: what may be in it, and whether
    /// its strings are Unicode, `TokenRestrictions` finds out. Walking through it here, too, costs 400 ns.
    pub(crate) restrictions: Option<&'a str>,
}

/// The largest time or duration: 2^53, up to which JSON's numbers are the same integers to every reader. Two of them
/// can be added without a thought to overflow.
pub(crate) const MAX_SECONDS: u64 = 1 << 53;

impl<'a> Payload<'a> {
    /// The JSON text that itsdangerous would sign: compact, the keys in Datasette's order, escapes only where JSON
    /// wants them (`ensure_ascii=False`). Restrictions are written as they are, so they should be compact, too.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let variable_bytes = self.actor_id.len() + self.restrictions.map_or(0, str::len);
        let mut json = Vec::with_capacity(FIXED_BYTES + variable_bytes);
        json.extend_from_slice(br#"{"a":"#);
        write(&mut json, &*self.actor_id);
        json.extend_from_slice(br#","t":"#);
        write(&mut json, &self.created);
        if let Some(duration) = self.duration {
            json.extend_from_slice(br#","d":"#);
            write(&mut json, &duration);
        }
        if let Some(restrictions) = self.restrictions {
            json.extend_from_slice(br#","_r":"#);
            json.extend_from_slice(restrictions.as_bytes());
        }
        json.push(b'}');
        json
    }

    /// Reads a payload. Stricter than Datasette where its laxness could only serve an attacker: `true` is no integer,
    /// `null` is neither a duration nor "unrestricted", and a key must not be there twice.
    ///
    /// # Errors
    ///
    /// What is wrong with the payload, without quoting it.
    pub(crate) fn from_json(json: &'a [u8]) -> Result<Self, &'static str> {
        if let Some(usual) = Usual::read(json) {
            return Ok(usual);
        }
        let json = str::from_utf8(json).map_err(|_| "payload is not UTF-8")?;
        let fields: Fields<'a> = serde_json::from_str(json).map_err(|error| match error.classify() {
            // The one thing that reading `Fields` minds about a text which is JSON.
            Category::Data => "payload is not a JSON object",
            Category::Syntax | Category::Eof | Category::Io => "payload is not JSON, or nested too deeply",
        })?;
        if fields.repeated {
            return Err("payload has a key twice");
        }
        let actor_id = match fields.actor_id.ok_or(r#"payload has no "a""#)? {
            Value::Text(actor_id) => actor_id,
            _ => return Err(r#""a" is not a string"#),
        };
        let created = match fields.created.ok_or(r#"payload has no "t""#)? {
            Value::Integer(created @ ..=MAX_SECONDS) => created,
            _ => return Err(r#""t" is not an integer from 0 to 2^53"#),
        };
        let duration = match fields.duration {
            None => None,
            Some(Value::Integer(duration @ ..=MAX_SECONDS)) => Some(duration),
            Some(_) => return Err(r#""d" is not an integer from 0 to 2^53"#),
        };
        let restrictions = match fields.restrictions.map(RawValue::get) {
            Some(restrictions) if !restrictions.starts_with('{') => return Err(r#""_r" is not an object"#),
            restrictions => restrictions,
        };
        Ok(Self { actor_id, created, duration, restrictions })
    }
}

fn write<T: Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) {
    #[expect(clippy::expect_used, reason = "a vector takes every byte, and strings and integers are always JSON")]
    serde_json::to_writer(json, value).expect("a string or an integer can be written");
}

/// A payload as most are: no restrictions, no escapes. What is read so would be read the same below, a third slower;
/// whatever is the least unusual is left to that.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Usual<'a> {
    a: &'a str,
    t: u64,
    #[serde(default, deserialize_with = "present")]
    d: Option<u64>,
}

impl<'a> Usual<'a> {
    fn read(json: &'a [u8]) -> Option<Payload<'a>> {
        // A derived `Deserialize` would take an array, too.
        let Self { a, t, d } = json.starts_with(b"{").then(|| serde_json::from_slice(json).ok())??;
        let in_bounds = t <= MAX_SECONDS && d.is_none_or(|d| d <= MAX_SECONDS);
        in_bounds.then_some(Payload { actor_id: Cow::Borrowed(a), created: t, duration: d, restrictions: None })
    }
}

/// Not `null`, which a derived `Option` takes for absence.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(value).map(Some)
}

/// The payload's values. A derived `Deserialize` would take an array for an object, too, and tell its errors apart by
/// messages only; here none is an error yet.
#[derive(Default)]
struct Fields<'a> {
    actor_id: Option<Value<'a>>,
    created: Option<Value<'a>>,
    duration: Option<Value<'a>>,
    restrictions: Option<&'a RawValue>,
    repeated: bool,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        let mut unknown = BTreeSet::new();
        while let Some(Key(key)) = map.next_key()? {
            fields.repeated |= match &*key {
                "a" => fields.actor_id.replace(map.next_value()?).is_some(),
                "t" => fields.created.replace(map.next_value()?).is_some(),
                "d" => fields.duration.replace(map.next_value()?).is_some(),
                "_r" => fields.restrictions.replace(map.next_value()?).is_some(),
                _ => {
                    map.next_value::<Value<'_>>()?;
                    !unknown.insert(key)
                }
            };
        }
        Ok(fields)
    }
}

/// A key without its escapes: `"\u0061"` is `a`.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value, as far as it may be of interest. Read to its end whatever it is, so that serde_json's bound of 128 levels
/// holds and half of a surrogate pair is an error, both of which `IgnoredAny` and `RawValue` would let pass.
enum Value<'a> {
    Text(Cow<'a, str>),
    /// Digits alone, which is what Python writes: not `1.0`, `1e3` or `-0`.
    Integer(u64),
    Other,
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<Value<'_>>()?.is_some() {}
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<Key<'_>, Value<'_>>()?.is_some() {}
        Ok(Value::Other)
    }
}

/// `{"a":"","t":1700000000,"d":31536000,"_r":}` and some room for larger numbers and a few escapes.
const FIXED_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(actor_id: &str) -> Payload<'_> {
        Payload { actor_id: Cow::Borrowed(actor_id), created: 1_700_000_000, duration: None, restrictions: None }
    }

    fn refused(json: impl AsRef<[u8]>) -> &'static str {
        let json = json.as_ref();
        Payload::from_json(json).err().unwrap_or_else(|| unreachable!("{} was taken", json.escape_ascii()))
    }

    #[test]
    fn writes_what_python_writes() {
        // json.dumps({"a": "..."}, ensure_ascii=False) for every ASCII character and some others
        let actor_id: String = (0..=0x7f).map(char::from).chain("é\u{2028}😀".chars()).collect();
        let expected = concat!(
            r#"{"a":"\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f\u0010\u0011\u0012"#,
            r#"\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f !\"#,
            "\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[",
            r"\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
            "\u{7f}é\u{2028}😀\",\"t\":1700000000}",
        );
        let json = payload(&actor_id).to_json();
        assert_eq!(String::from_utf8_lossy(&json), expected);
        assert_eq!(Payload::from_json(&json), Ok(payload(&actor_id)));
    }

    #[test]
    fn everything_written_is_read_again() {
        let whole = Payload { duration: Some(0), restrictions: Some(r#"{"a":["vi"]}"#), ..payload("root") };
        let json = whole.to_json();
        assert_eq!(String::from_utf8_lossy(&json), r#"{"a":"root","t":1700000000,"d":0,"_r":{"a":["vi"]}}"#);
        assert_eq!(Payload::from_json(&json), Ok(whole));
    }

    #[test]
    fn order_space_escapes_and_unknown_keys_do_not_matter() {
        let json = br#" { "t" : 9007199254740992 , "x" : [{}, null, -1.5e3, true, "\n"], "\u0061" : "\ud83d\ude00" } "#;
        assert_eq!(Payload::from_json(json), Ok(Payload { created: MAX_SECONDS, ..payload("😀") }));
    }

    #[test]
    fn the_actor_is_borrowed_unless_it_has_escapes() {
        let borrowed = |json| matches!(Payload::from_json(json), Ok(Payload { actor_id: Cow::Borrowed(_), .. }));
        assert!(borrowed(br#"{"a":"root","t":1}"#));
        assert!(!borrowed(br#"{"a":"\u0072oot","t":1}"#));
    }

    #[test]
    fn only_digits_are_a_time_or_a_duration() {
        let too_large = "9007199254740993";
        let huge = "18446744073709551616";
        for written in ["true", "false", "null", "1.0", "1e3", "-0", "-1", "\"1\"", "[1]", "{}", too_large, huge] {
            let created = refused(format!(r#"{{"a":"root","t":{written}}}"#));
            assert_eq!(created, r#""t" is not an integer from 0 to 2^53"#, "{written}");
            let duration = refused(format!(r#"{{"a":"root","t":1,"d":{written}}}"#));
            assert_eq!(duration, r#""d" is not an integer from 0 to 2^53"#, "{written}");
        }
    }

    #[test]
    fn only_a_string_is_an_actor_and_only_an_object_restricts() {
        for written in ["null", "1", "true", "[\"root\"]", "{\"id\":\"root\"}"] {
            assert_eq!(refused(format!(r#"{{"a":{written},"t":1}}"#)), r#""a" is not a string"#, "{written}");
        }
        for written in ["null", "false", "0", "\"\"", "\"{}\"", "[]", "[{}]"] {
            let restrictions = refused(format!(r#"{{"a":"root","t":1,"_r":{written}}}"#));
            assert_eq!(restrictions, r#""_r" is not an object"#, "{written}");
        }
    }

    #[test]
    fn a_missing_key_is_named() {
        assert_eq!(refused(r#"{"t":1}"#), r#"payload has no "a""#);
        assert_eq!(refused(r#"{"a":"root","d":1}"#), r#"payload has no "t""#);
        assert_eq!(refused(r#"{"A":"root","t":1}"#), r#"payload has no "a""#);
    }

    #[test]
    fn a_key_twice_is_refused_in_every_spelling() {
        for again in
            [r#""a":"root""#, r#""t":1"#, r#""d":1,"d":1"#, r#""_r":{},"_r":{}"#, r#""\u0061":"b""#, r#""x":1,"x":2"#]
        {
            assert_eq!(refused(format!(r#"{{"a":"root","t":1,{again}}}"#)), "payload has a key twice", "{again}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["[]", r#"["root",1]"#, "null", "1", "\"root\"", "true", "[{\"a\":\"root\",\"t\":1}]"] {
            assert_eq!(refused(json), "payload is not a JSON object", "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let lone = ["\"\\ud83d\"", "\"\\ude00\"", "\"\\ude00\\ud83d\"", "\"\\ud83dx\""];
        let nested = ["[".repeat(200) + &"]".repeat(200), "{\"a\":".repeat(200) + "1" + &"}".repeat(200)];
        let values =
            lone.map(String::from).into_iter().chain(nested).chain(["NaN".into(), "01".into(), "\"\n\"".into()]);
        for value in values {
            for key in ["a", "x"] {
                assert_eq!(
                    refused(format!(r#"{{"t":1,"{key}":{value}}}"#)),
                    "payload is not JSON, or nested too deeply"
                );
            }
        }
        let whole = r#"{"a":"root","t":1,"_r":{"a":["vi"]}}"#;
        for length in 0..whole.len() {
            assert_eq!(refused(&whole[..length]), "payload is not JSON, or nested too deeply", "{length} bytes");
        }
        for tail in ["x", "\0", "{}", ","] {
            assert_eq!(refused(format!("{whole}{tail}")), "payload is not JSON, or nested too deeply", "{tail}");
        }
        assert_eq!(refused(b"{\"a\":\"\xff\",\"t\":1}"), "payload is not UTF-8");
    }
}
