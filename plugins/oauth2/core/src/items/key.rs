//! [`Key`]: under what an item is kept: what kind of thing it is, and a digest of what it is asked by.

use std::{
    fmt,
    hash::{Hash, Hasher},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use sha2::{Digest, Sha256};

/// What is kept. What is kept as one is not found as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An access token, by its value.
    Token,
    /// A refresh token, by its value.
    RefreshToken,
    /// A family of tokens, by its id.
    Family,
    /// The token that a user got last from a client in one way.
    LastToken,
    /// An authorization code, by its value.
    Code,
    /// A client, by its identifier.
    Client,
    /// The set of a user's tokens.
    TokensOfUser,
    /// The set of a client's tokens.
    TokensOfClient,
    /// The set of all clients.
    Clients,
}

impl Kind {
    const LETTERS: [(u8, Self); 9] = [
        (b't', Self::Token),
        (b'r', Self::RefreshToken),
        (b'f', Self::Family),
        (b'l', Self::LastToken),
        (b'c', Self::Code),
        (b'k', Self::Client),
        (b'u', Self::TokensOfUser),
        (b'o', Self::TokensOfClient),
        (b'a', Self::Clients),
    ];

    fn letter(self) -> u8 {
        Self::LETTERS.iter().find(|(_, kind)| *kind == self).map_or(0, |(letter, _)| *letter)
    }

    fn from_letter(letter: u8) -> Option<Self> {
        Self::LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, kind)| *kind)
    }
}

/// A key. It prints its kind alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    kind: Kind,
    digest: [u8; 32],
}

impl Key {
    /// How many bytes [`Key::to_bytes`] are.
    pub(crate) const BYTES: usize = 33;
    /// How many characters [`Key::to_text`] has.
    pub(crate) const CHARACTERS: usize = 45;

    /// The key of what is asked by these texts.
    pub(crate) fn new<const N: usize>(kind: Kind, of: [&str; N]) -> Self {
        let mut digest = Sha256::new();
        for text in of {
            // With their lengths, so that no two lists of texts are one text.
            if N > 1 {
                digest.update((text.len() as u64).to_be_bytes());
            }
            digest.update(text);
        }
        Self { kind, digest: digest.finalize().into() }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [self.kind.letter(); Self::BYTES];
        bytes[1..].copy_from_slice(&self.digest);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&letter, digest) = bytes.split_first()?;
        Some(Self { kind: Kind::from_letter(letter)?, digest: digest.try_into().ok()? })
    }

    /// `t:` and 43 characters of base64url.
    pub(crate) fn to_text(self) -> String {
        let mut text = String::with_capacity(Self::CHARACTERS);
        text.push(char::from(self.kind.letter()));
        text.push(':');
        URL_SAFE_NO_PAD.encode_string(self.digest, &mut text);
        text
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let (letter, digest) = text.split_once(':')?;
        let &[letter] = letter.as_bytes() else { return None };
        let digest = URL_SAFE_NO_PAD.decode(digest).ok()?;
        Some(Self { kind: Kind::from_letter(letter)?, digest: digest.try_into().ok()? })
    }
}

impl Hash for Key {
    /// The first bytes of a digest are as random as all of it.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (first, _) = self.digest.split_at(8);
        state.write(first);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?})", self.kind)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).ok_or_else(|| D::Error::custom("it is no key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_bytes_and_texts() {
        for (_, kind) in Kind::LETTERS {
            let key = Key::new(kind, ["abc"]);
            let text = key.to_text();
            assert_eq!(text.len(), Key::CHARACTERS);
            assert_eq!((Key::from_text(&text), Key::from_bytes(&key.to_bytes())), (Some(key), Some(key)));
        }
        let text = "t:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
        assert_eq!(Key::new(Kind::Token, ["abc"]).to_text(), text, "SHA-256 of FIPS 180-2, B.1");
        for bad in ["", "t", "x:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0", "t:ungW", "tt:ungW"] {
            assert_eq!(Key::from_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_two_lists_are_one() {
        let key = |of| Key::new(Kind::LastToken, of);
        assert_ne!(key(["ab", "c", ""]), key(["a", "bc", ""]));
        assert_ne!(key(["", "a", ""]), key(["a", "", ""]));
        assert_eq!(format!("{:?}", key(["", "a", ""])), "Key(LastToken)");
    }
}
