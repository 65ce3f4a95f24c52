//! JSON as Python's `json.dumps` writes it, byte for byte: with blanks, and in ASCII.

use std::io::{self, Write};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{
    Serializer,
    de::from_slice,
    ser::{CompactFormatter, Formatter},
};
use token_plugin_api::{PluginError, Result};

/// Writes it.
pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut json = Vec::with_capacity(256);
    value.serialize(&mut Serializer::with_formatter(&mut json, Python)).map_err(PluginError::failed)?;
    Ok(json)
}

/// Reads it; `None`: it is of another kind, as one namespace has all of them.
///
/// # Errors
///
/// When it is no JSON. The error quotes nothing of it.
pub(super) fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<Option<T>> {
    if let Ok(value) = from_slice(json) {
        return Ok(Some(value));
    }
    let expected = |_| PluginError::failed("a value cannot be read, expected JSON as python-oauth2 writes it");
    from_slice::<serde::de::IgnoredAny>(json).map(|_| None).map_err(expected)
}

struct Python;

impl Formatter for Python {
    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for part in fragment.split_inclusive(is_escaped) {
            let plain = part.trim_end_matches(is_escaped);
            CompactFormatter.write_string_fragment(writer, plain)?;
            for unit in part[plain.len()..].encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// What Python escapes beside what all do.
fn is_escaped(character: char) -> bool {
    character > '~'
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn it_is_written_as_python_does() {
        for (value, expected) in [
            (json!({ "k": "é", "n": 1 }), r#"{"k": "\u00e9", "n": 1}"#),
            (json!([1, [], {}, null, true, 1.5]), "[1, [], {}, null, true, 1.5]"),
            (
                json!("\u{1F600}\u{7f}~ \"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}"),
                r#""\ud83d\ude00\u007f~ \"\\/\b\f\n\r\t\u0001\u001f""#,
            ),
            (json!("aä\u{fffd}b"), r#""a\u00e4\ufffdb""#),
        ] {
            assert_eq!(String::from_utf8(to_json(&value).unwrap()).unwrap(), expected);
            assert_eq!(from_json::<Value>(expected.as_bytes()).unwrap(), Some(value));
        }
    }

    #[test]
    fn another_kind_is_none_and_no_json_is_an_error() {
        assert_eq!(from_json::<Vec<u8>>(b"{\"identifier\": \"abc\"}").unwrap(), None);
        for bytes in [&b""[..], b"(dp0\nVclient_id", b"\x80\x05\x95hunter2", b"{\"token\": \"hunter2"] {
            let error = from_json::<Value>(bytes).unwrap_err().to_string();
            assert!(error.contains("expected JSON") && !error.contains("hunter2"), "{error}");
        }
    }
}
