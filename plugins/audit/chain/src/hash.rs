//! [`Hash`]: what a line is known by.

use std::fmt;

use subtle::ConstantTimeEq;

/// A hash of 256 bits, written as 64 hex digits in lower case.
#[derive(Clone, Copy)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first line of a chain follows.
    pub const NONE: Self = Self([0; 32]);

    /// Reads 64 hex digits in lower case; nothing else is a hash.
    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let pairs: &[[u8; 2]; 32] = pairs.try_into().ok()?;
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self(bytes))
    }

    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl PartialEq for Hash {
    /// Takes as long whatever the difference is: some hashes are made with a key.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Hash {}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_one_spelling() {
        let text = "00ff10a9e5".to_owned() + &"7b".repeat(27);
        assert_eq!(Hash::parse(&text).unwrap().to_string(), text);
        assert_eq!(Hash::parse(&"0".repeat(64)), Some(Hash::NONE));
        for other in ["", &text[1..], &text[2..], &text.to_uppercase(), &format!("{text}00"), &format!(" {text}")] {
            assert_eq!(Hash::parse(other), None, "{other}");
        }
        assert_eq!(Hash::parse(&text.replace('f', "g")), None);
        assert_eq!(Hash::parse(&format!("é{}", &text[2..])), None);
    }
}
