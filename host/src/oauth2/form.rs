//! [`Form`]: the parameters of a request, as `application/x-www-form-urlencoded` has them.
//!
//! Stricter than browsers are: what is not well-formed is refused, since two readings of one request are an attack.

use zeroize::Zeroizing;

/// The parameters of one request. One without a value is one that is not there (RFC 6749 §3.1). Values are wiped: some
/// are secrets.
#[derive(Default)]
pub(crate) struct Form(Vec<(String, Zeroizing<String>)>);

/// Bytes that are no form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Form {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        let mut fields = Vec::new();
        for pair in pairs {
            let (name, value) = match pair.iter().position(|byte| *byte == b'=') {
                Some(at) => (&pair[..at], &pair[at + 1..]),
                None => (pair, &b""[..]),
            };
            let (name, value) = (decode(name)?, Zeroizing::new(decode(value)?));
            if !value.is_empty() {
                fields.push((name, value));
            }
        }
        Ok(Self(fields))
    }

    /// The value of a parameter; of a repeated one the first.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether this parameter is there more than once.
    pub(super) fn repeats(&self, name: &str) -> bool {
        self.0.iter().filter(|(known, _)| known == name).count() > 1
    }

    /// Whether any parameter is there more than once, which none may be (RFC 6749 §3.1 and §3.2).
    pub(super) fn has_repeated(&self) -> bool {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }
}

/// Undoes the encoding of one name or value.
pub(super) fn decode(encoded: &[u8]) -> Result<String, Malformed> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next())? << 4 | digit(rest.next())?,
            byte => *byte,
        });
    }
    String::from_utf8(decoded).map_err(|_| Malformed)
}

fn digit(byte: Option<&u8>) -> Result<u8, Malformed> {
    let digit = byte.and_then(|byte| char::from(*byte).to_digit(16)).ok_or(Malformed)?;
    u8::try_from(digit).map_err(|_| Malformed)
}

/// Encodes a value so that it may stand in a query: all but RFC 3986's unreserved characters.
pub(super) fn encode(value: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(DIGITS[usize::from(byte >> 4)]));
            encoded.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Form {
        Form::parse(text.as_bytes()).unwrap_or_else(|_| panic!("{text} is a form"))
    }

    #[test]
    fn a_form_is_read() {
        let form = parsed("grant_type=a%20b+c&&scope=%C3%A9&empty=&none&x=1=2");
        assert_eq!(form.value("grant_type"), Some("a b c"));
        assert_eq!(form.value("scope"), Some("é"));
        assert_eq!((form.value("empty"), form.value("none"), form.value("other")), (None, None, None));
        assert_eq!(form.value("x"), Some("1=2"));
        assert!(!form.has_repeated());
        assert!(Form::parse(b"").is_ok());
    }

    #[test]
    fn what_is_there_twice_is_noticed_however_it_is_spelt() {
        let form = parsed("a=1&b=2&%61=3");
        assert!(form.has_repeated() && form.repeats("a") && !form.repeats("b"));
        assert!(!parsed("a=1&a=").has_repeated(), "without a value it is not there");
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for text in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%+1", b"a=%ff", b"%=1", b"a=\xff"] {
            assert!(Form::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_encoded_comes_back() {
        let text = "a&b=c+d %é~#?/\"<>\\\u{0}";
        assert_eq!(encode("a b&é"), "a%20b%26%C3%A9");
        assert_eq!(decode(encode(text).as_bytes()), Ok(text.to_owned()));
    }
}
