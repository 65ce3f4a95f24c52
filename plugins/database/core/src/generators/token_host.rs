//! [`TokenHost`]: tokens of our own form, and the default: `PREFIX_`, 256 random bits, a checksum.

use serde_json::{Map, Value};
use token_plugin_api::{PluginError, Result, TokenGenerator};

use super::{
    Form,
    base62::{self, DIGITS_OF_256_BITS, DIGITS_OF_CRC32},
    random,
};

/// Makes tokens like `tht_` and 49 letters and digits: 43 of them are 256 random bits, the last six a CRC-32.
///
/// The checksum covers all that comes before it, the prefix too: a token that was damaged anywhere, or whose prefix was
/// exchanged for that of another host, is told without asking a database. It is no secret, and stops nobody who makes
/// tokens up; those are stopped by the 256 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenHost {
    /// With the `_`.
    prefix: String,
}

/// What our tokens begin with, up to the `_`: the operator's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prefix(String);

impl Prefix {
    pub(crate) const DEFAULT: &str = "tht";
    const MAX_BYTES: usize = 32;
    /// What other tokens begin with that a host may know: the `signed` handler's, and those of datasette-auth-tokens.
    const TAKEN: [&str; 2] = ["dstok", "dsatok"];

    /// A prefix, if it is one.
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let bytes = prefix.as_bytes();
        let is_name = bytes.first().is_some_and(u8::is_ascii_alphabetic)
            && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            && bytes.len() <= Self::MAX_BYTES;
        if !is_name {
            return Err(PluginError::invalid_argument(format!(
                "the prefix is {prefix:?}, expected a letter and up to 31 letters, digits and `_`, the last no `_`"
            )));
        }
        if Self::TAKEN.contains(&prefix) {
            return Err(PluginError::invalid_argument(format!(
                "the prefix is {prefix:?}, with which other tokens begin, expected one of your own"
            )));
        }
        Ok(Self(prefix.to_owned()))
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl TokenHost {
    pub(crate) const ID: &str = "token_host";

    /// Behind the prefix.
    const DIGITS: usize = DIGITS_OF_256_BITS + DIGITS_OF_CRC32;

    /// 2^256 - 1: 43 digits could say a little more.
    const MAX: &[u8; DIGITS_OF_256_BITS] = b"yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1";

    pub(crate) fn new(prefix: Prefix) -> Self {
        Self { prefix: prefix.0 + "_" }
    }

    /// What all of its tokens begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What a token looks like: one with our prefix is ours.
    pub(crate) fn form(&self, token: &str) -> Form {
        let Some(digits) = token.strip_prefix(&*self.prefix) else { return Form::NotOurs };
        if digits.len() == Self::DIGITS && base62::is_base62(digits.as_bytes()) && self.is_sound(token.as_bytes()) {
            Form::Fine
        } else {
            Form::Bad
        }
    }

    /// Whether the digits of a token that has as many as it needs are in order.
    fn is_sound(&self, token: &[u8]) -> bool {
        let (covered, checksum) = token.split_at(token.len() - DIGITS_OF_CRC32);
        covered[self.prefix.len()..] <= Self::MAX[..] && base62::crc32(covered) == *checksum
    }
}

impl TokenGenerator for TokenHost {
    fn id(&self) -> &str {
        Self::ID
    }

    fn pattern(&self) -> Option<String> {
        Some(format!(r"\b{}[0-9A-Za-z]{{{}}}\b", self.prefix, Self::DIGITS))
    }

    fn create_token(&self, _: &Map<String, Value>) -> Result<String> {
        let digits = base62::encode(&*random()?);
        // At once as long as it is going to be: growing would leave a copy behind.
        let mut token = String::with_capacity(self.prefix.len() + Self::DIGITS);
        token.push_str(&self.prefix);
        token.extend(digits.iter().copied().map(char::from));
        let checksum = base62::crc32(token.as_bytes());
        token.extend(checksum.map(char::from));
        Ok(token)
    }

    fn validate_token(&self, token: &str, _: &Map<String, Value>) -> Result<bool> {
        Ok(self.form(token) == Form::Fine)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn generator() -> TokenHost {
        TokenHost::new(Prefix::default())
    }

    fn create(generator: &TokenHost) -> String {
        generator.create_token(&Map::new()).unwrap()
    }

    #[test]
    fn tokens_have_one_form_and_are_all_different() {
        let generator = generator();
        let tokens: HashSet<String> = (0..2_000).map(|_| create(&generator)).collect();
        assert_eq!(tokens.len(), 2_000);
        for token in &tokens {
            assert_eq!((token.len(), generator.form(token)), (53, Form::Fine), "{token}");
        }
        // Each place but the first, which says less than six bits, has nearly all digits in 2,000 tokens.
        for place in 5..47 {
            let digits: HashSet<u8> = tokens.iter().map(|token| token.as_bytes()[place]).collect();
            assert!(digits.len() >= 60, "place {place} has {} digits", digits.len());
        }
    }

    #[test]
    fn a_changed_character_is_seen_wherever_it_is() {
        let generator = generator();
        let token = create(&generator);
        for (place, old) in token.char_indices() {
            for new in ['0', 'A', 'z', '_', '-', ' ', 'é', '\n'].into_iter().filter(|new| *new != old) {
                let changed = format!("{}{new}{}", &token[..place], &token[place + 1..]);
                let expected = if place < 4 { Form::NotOurs } else { Form::Bad };
                assert_eq!(generator.form(&changed), expected, "{changed}");
            }
        }
        for end in 0..token.len() {
            assert_ne!(generator.form(&token[..end]), Form::Fine);
        }
        for other in [format!("{token}0"), format!("{token}\n"), format!(" {token}"), token.to_lowercase()] {
            assert_ne!(generator.form(&other), Form::Fine, "{other}");
        }
    }

    #[test]
    fn the_prefix_is_covered() {
        let (ours, other) = (generator(), TokenHost::new(Prefix::new("thu").unwrap()));
        let token = create(&ours);
        assert_eq!(other.form(&token), Form::NotOurs);
        assert_eq!(other.form(&token.replace("tht_", "thu_")), Form::Bad);
    }

    #[test]
    fn what_is_more_than_256_bits_was_not_made_here() {
        assert_eq!(&*base62::encode(&[0xff; 32]), TokenHost::MAX);
        let token = |digits: &[u8]| {
            let covered = format!("tht_{}", str::from_utf8(digits).unwrap());
            let checksum = base62::crc32(covered.as_bytes());
            covered + str::from_utf8(&checksum).unwrap()
        };
        let mut more = *TokenHost::MAX;
        more[42] += 1;
        assert!(more[42].is_ascii_alphanumeric());
        assert_eq!(generator().form(&token(TokenHost::MAX)), Form::Fine);
        assert_eq!(generator().form(&token(&more)), Form::Bad);
    }

    #[test]
    fn prefixes_are_names_that_are_not_taken() {
        for good in ["tht", "A", "acme_prod1", "a2345678901234567890123456789012"] {
            let prefix = Prefix::new(good).unwrap();
            let generator = TokenHost::new(prefix);
            assert_eq!(generator.form(&create(&generator)), Form::Fine, "{good}");
            assert_eq!(generator.pattern().unwrap(), format!(r"\b{good}_[0-9A-Za-z]{{49}}\b"));
        }
        for bad in ["", "1a", "_a", "a_", "a-b", "ä", "a b", "a23456789012345678901234567890123", "dstok", "dsatok"] {
            assert!(Prefix::new(bad).is_err(), "{bad}");
        }
    }
}
