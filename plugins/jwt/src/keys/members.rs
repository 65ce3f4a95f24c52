//! [`Members`]: one JSON object whose members have different names, as keys and key sets have to be.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::quoted;

/// The members of an object, not yet looked into: what nobody asks for needs only to be JSON.
pub(super) struct Members<'a>(HashMap<String, &'a RawValue>);

impl<'a> Members<'a> {
    /// # Errors
    ///
    /// When the text is not one object, or two members have the same name. RFC 7517 §4 leaves a choice between
    /// refusing those and taking the last; the last is not what everybody else would take.
    pub(super) fn parse(text: &'a str) -> Result<Self, String> {
        // Checked before: what serde_json says about other types would quote them.
        if !text.trim_start().starts_with('{') {
            return Err("expected a JSON object".to_owned());
        }
        serde_json::from_str(text).map_err(|error| format!("expected a JSON object: {error}"))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A member as it is written.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.get())
    }

    /// A string.
    pub(super) fn text(&self, name: &str) -> Result<Option<Zeroizing<String>>, String> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        let text: String = serde_json::from_str(value).map_err(|_| format!("expected a string as {name}"))?;
        Ok(Some(Zeroizing::new(text)))
    }

    /// A string that has to be there.
    pub(super) fn required_text(&self, name: &str) -> Result<Zeroizing<String>, String> {
        self.text(name)?.ok_or_else(|| format!("expected a member {name}"))
    }

    /// Bytes that have to be there, in base64url's one spelling: no padding, no spare bits, no spaces.
    pub(super) fn bytes(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let mut text = self.required_text(name)?;
        let mut bytes = Zeroizing::new(std::mem::take(&mut *text).into_bytes());
        let length = match base64_simd::URL_SAFE_NO_PAD.decode_inplace(&mut bytes) {
            Ok(decoded) => decoded.len(),
            Err(_) => return Err(format!("expected base64url without padding as {name}")),
        };
        bytes.truncate(length);
        Ok(bytes)
    }

    /// A number that has to be there: bytes without leading zeros (RFC 7518 §2, Base64urlUInt).
    pub(super) fn number(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let bytes = self.bytes(name)?;
        match bytes.first() {
            Some(0) | None => Err(format!("expected a number without leading zeros as {name}")),
            Some(_) => Ok(bytes),
        }
    }

    /// Bytes of this length, which have to be there.
    pub(super) fn exactly(&self, name: &str, length: usize) -> Result<Zeroizing<Vec<u8>>, String> {
        let bytes = self.bytes(name)?;
        if bytes.len() == length {
            Ok(bytes)
        } else {
            Err(format!("expected {length} bytes as {name}, found {}", bytes.len()))
        }
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut members = HashMap::new();
                while let Some((name, value)) = access.next_entry::<String, &'de RawValue>()? {
                    match members.entry(name) {
                        Entry::Occupied(entry) => {
                            return Err(A::Error::custom(format_args!("two members {}", quoted(entry.key()))));
                        }
                        Entry::Vacant(entry) => entry.insert(value),
                    };
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
