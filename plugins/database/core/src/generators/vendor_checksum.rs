//! [`VendorChecksum`]: Djblets' tokens of 255 characters, with a type in front and a checksum at the end.

use serde_json::{Map, Value};
use token_plugin_api::{PluginError, Result, TokenGenerator};

use super::{
    Form,
    base62::{self, DIGITS, DIGITS_OF_CRC32},
    random,
};

/// Makes and knows Djblets' `vendor_checksum` tokens: `TYPE_`, random digits of base 62, and six digits of their CRC-32.
///
/// The checksum covers the random digits alone. Djblets 3.0 wrote it with upper and lower case exchanged: those tokens
/// are known as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VendorChecksum;

impl VendorChecksum {
    pub(crate) const ID: &str = "vendor_checksum";

    /// Of a whole token.
    const CHARACTERS: usize = 255;

    /// The longest type that we make tokens of; those of longer ones are known.
    const MAX_TYPE: usize = 48;

    /// What a token looks like, of whatever type.
    ///
    /// One whose checksum is wrong is taken for ours only behind a type as we make them: then there are 200 digits and
    /// more in a row, which other tokens of this length (base64url, JWT) do not have.
    pub(crate) fn form(token: &str) -> Form {
        let Some((kind, digits)) = parts(token) else { return Form::NotOurs };
        let (entropy, checksum) = digits.split_at(digits.len() - DIGITS_OF_CRC32);
        let expected = base62::crc32(entropy);
        if *checksum == expected || *checksum == expected.map(swap_case) {
            return Form::Fine;
        }
        if kind.len() <= Self::MAX_TYPE { Form::Bad } else { Form::NotOurs }
    }
}

/// The type of a token and its digits, if it has the length of one and ends in digits.
fn parts(token: &str) -> Option<(&str, &[u8])> {
    // Of each character the first byte is counted, which is cheap; Djblets counts characters as well.
    if token.len() < VendorChecksum::CHARACTERS || token.chars().count() != VendorChecksum::CHARACTERS {
        return None;
    }
    // Among the digits there is no `_`; in the type there may be.
    let (kind, digits) = token.rsplit_once('_')?;
    (digits.len() >= DIGITS_OF_CRC32 && base62::is_base62(digits.as_bytes())).then_some((kind, digits.as_bytes()))
}

fn swap_case(letter: u8) -> u8 {
    if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
}

impl TokenGenerator for VendorChecksum {
    fn id(&self) -> &str {
        Self::ID
    }

    fn pattern(&self) -> Option<String> {
        let (longest, digits) = (Self::MAX_TYPE, Self::CHARACTERS - 1 - Self::MAX_TYPE);
        // By an expression without look-around the length of the whole cannot be told.
        Some(format!(r"\b[0-9A-Za-z][0-9A-Za-z_.-]{{0,{}}}_[0-9A-Za-z]{{{digits},253}}\b", longest - 1))
    }

    fn create_token(&self, token_info: &Map<String, Value>) -> Result<String> {
        let kind = token_info.get(TYPE).ok_or_else(|| PluginError::missing_token_info(TYPE))?;
        let kind = kind.as_str().filter(|kind| is_type(kind)).ok_or_else(|| {
            PluginError::invalid_argument(format!(
                "`{TYPE}` in token_info must be a text of 1 to {} letters, digits, `_`, `.` and `-`, the first a letter \
                 or digit",
                Self::MAX_TYPE
            ))
        })?;
        let mut token = String::with_capacity(Self::CHARACTERS);
        token.push_str(kind);
        token.push('_');
        let entropy = Self::CHARACTERS - DIGITS_OF_CRC32 - token.len();
        push_random_digits(&mut token, entropy)?;
        let checksum = base62::crc32(&token.as_bytes()[token.len() - entropy..]);
        token.extend(checksum.map(char::from));
        Ok(token)
    }

    fn validate_token(&self, token: &str, token_info: &Map<String, Value>) -> Result<bool> {
        let kind = token_info.get(TYPE).and_then(Value::as_str);
        Ok(kind.is_some() && parts(token).map(|(kind, _)| kind) == kind && Self::form(token) == Form::Fine)
    }
}

/// The key of `token_info` that has the type.
const TYPE: &str = "token_type";

fn is_type(kind: &str) -> bool {
    kind.len() <= VendorChecksum::MAX_TYPE
        && kind.starts_with(|first: char| first.is_ascii_alphanumeric())
        && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Digits of which each is as likely as any other: the bytes above the last multiple of 62 are passed over.
fn push_random_digits(token: &mut String, count: usize) -> Result<()> {
    let end = token.len() + count;
    while token.len() < end {
        let bytes = random::<{ VendorChecksum::CHARACTERS }>()?;
        let fair = bytes.iter().filter(|byte| **byte < 4 * 62).map(|byte| DIGITS[usize::from(byte % 62)]);
        token.extend(fair.take(end - token.len()).map(char::from));
    }
    Ok(())
}
