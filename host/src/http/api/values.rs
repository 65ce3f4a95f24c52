//! The values of requests: texts and numbers within their bounds, in JSON and in queries, and as OpenAPI tells of them.

use std::{borrow::Cow, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

/// A text of so many characters, without NUL, which no store can keep.
macro_rules! text {
    ($(#[doc = $doc:literal])+ $name:ident, $least:literal..=$most:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub(super) struct $name(String);

        impl $name {
            /// The text.
            pub(super) fn into_string(self) -> String {
                self.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, &'static str> {
                let is_within = ($least..=$most).contains(&text.chars().count());
                match is_within && !text.contains('\0') {
                    true => Ok(Self(text)),
                    false => Err(concat!("expected ", $least, " to ", $most, " characters, and no NUL")),
                }
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                Self::try_from(text.to_owned())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[^\\u0000]*$"));
                let text = text.min_length(Some($least)).max_length(Some($most));
                text.description(Some([$($doc.trim()),+].join(" "))).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

/// A whole number within bounds.
macro_rules! number {
    ($(#[doc = $doc:literal])+ $name:ident($type:ty), $least:literal..=$most:literal) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::http) struct $name(pub(in crate::http) $type);

        impl TryFrom<u64> for $name {
            type Error = &'static str;

            fn try_from(number: u64) -> Result<Self, &'static str> {
                match <$type>::try_from(number) {
                    Ok(number) if ($least..=$most).contains(&number) => Ok(Self(number)),
                    _ => Err(concat!("expected a whole number from ", $least, " to ", $most)),
                }
            }
        }

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, &'static str> {
                // As JSON writes them: neither `+1` nor `01`.
                let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
                Self::try_from(text.parse::<u64>().ok().filter(|_| is_plain).unwrap_or(u64::MAX))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(u64::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let number = ObjectBuilder::new().schema_type(Type::Integer);
                let number = number.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)));
                let number = number.minimum(Some($least as u64)).maximum(Some($most as u64));
                number.description(Some([$($doc.trim()),+].join(" "))).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    };
}

text!(
    /// Whom a token stands for.
    ActorId, 1..=1024
);
text!(
    /// The name of a handler.
    HandlerName, 1..=256
);
text!(
    /// The id by which a handler knows a token.
    TokenId, 1..=1024
);
text!(
    /// A token. It is in no answer but that of its creation.
    TokenText, 1..=1_048_576
);
text!(
    /// A note that describes a token.
    Note, 0..=10_000
);
text!(
    /// A part of a note.
    NotePart, 1..=10_000
);
text!(
    /// Why something was done.
    ReasonText, 0..=1000
);
text!(
    /// The id of a token generator.
    GeneratorId, 1..=256
);
text!(
    /// Where a page begins: the `next` of the page before.
    Cursor, 1..=4096
);
text!(
    /// The name of an action, or Datasette's abbreviation of it.
    ActionName, 1..=256
);
text!(
    /// The name of a `[[plugin]]` entry.
    EntryName, 1..=256
);
text!(
    /// A SHA-256 in lower-case hex.
    Sha256Text, 64..=64
);
number!(
    /// A time in Unix seconds, to the end of the year 9999.
    UnixSeconds(u64), 0..=253_402_300_799
);
number!(
    /// Seconds.
    Lifetime(u64), 1..=253_402_300_799
);
number!(
    /// How many at the most.
    PageLimit(u32), 1..=1000
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_within_their_bounds() {
        assert!("a".repeat(1024).parse::<ActorId>().is_ok() && "é".repeat(1024).parse::<ActorId>().is_ok());
        for bad in ["", "a\0", &"a".repeat(1025)] {
            assert!(bad.parse::<ActorId>().is_err(), "{bad}");
        }
        assert_eq!("1000".parse(), Ok(PageLimit(1000)));
        assert_eq!("0".parse(), Ok(UnixSeconds(0)));
        for bad in ["", "0", "1001", "-1", "+1", "01", "1.0", "1e2", " 1", "99999999999999999999"] {
            assert!(bad.parse::<PageLimit>().is_err(), "{bad}");
        }
        assert!(
            serde_json::from_str::<PageLimit>("4294967297").is_err()
                && serde_json::from_str::<PageLimit>("1.0").is_err()
        );
    }
}
