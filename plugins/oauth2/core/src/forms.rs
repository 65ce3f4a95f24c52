//! [`Form`]: what tokens look like. [`Forms`]: makes them, and tells those that the store may know from others.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use token_plugin_api::{PluginError, Result};

/// What a token looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// A prefix of the operator's choice, and 43 characters of base64url: 256 random bits.
    Opaque,
    /// A UUID of version 4 with 122 random bits (python-oauth2's `Uuid4`).
    Uuid4,
    /// Twenty hexadecimal digits: 80 random bits (python-oauth2's `URandomTokenGenerator`).
    Urandom,
}

/// Makes tokens of one form, and knows those of several.
#[derive(Debug)]
pub(crate) struct Forms {
    /// With the `_`.
    prefix: String,
    made: Form,
    accepted: Vec<Form>,
}

/// What the host's authorization server lets its tokens begin with, whatever the plugin's own do.
const HOSTS_PREFIX: &str = "tho_";
const OPAQUE_CHARACTERS: usize = 43;
const URANDOM_DIGITS: usize = 20;

impl Forms {
    /// # Errors
    ///
    /// When the prefix is none.
    pub(crate) fn new(prefix: &str, made: Form, accepted: &[Form]) -> Result<Self> {
        const MAX_PREFIX_BYTES: usize = 32;
        let is_name = prefix.starts_with(|first: char| first.is_ascii_alphabetic())
            && prefix.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && prefix.len() <= MAX_PREFIX_BYTES;
        if !is_name {
            let message = format!("the prefix is {prefix:?}, expected a letter and up to 31 letters and digits");
            return Err(PluginError::invalid_argument(message));
        }
        let mut forms = Self { prefix: format!("{prefix}_"), made, accepted: vec![made] };
        forms.accepted.extend(accepted.iter().filter(|form| **form != made));
        Ok(forms)
    }

    /// The prefixes that all tokens begin with, if they do.
    pub(crate) fn claims(&self) -> Option<Vec<&str>> {
        let mut prefixes = vec![&*self.prefix, HOSTS_PREFIX];
        prefixes.dedup();
        (self.accepted == [Form::Opaque]).then_some(prefixes)
    }

    /// Whether the store may know a token.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        if token.strip_prefix(HOSTS_PREFIX).is_some_and(is_opaque) {
            return true;
        }
        self.accepted.iter().any(|form| match form {
            Form::Opaque => token.strip_prefix(&*self.prefix).is_some_and(is_opaque),
            Form::Uuid4 => is_uuid4(token.as_bytes()),
            Form::Urandom => token.len() == URANDOM_DIGITS && token.bytes().all(is_lower_hexadecimal),
        })
    }

    /// A new token.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub(crate) fn create(&self) -> Result<String> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(PluginError::failed)?;
        Ok(match self.made {
            Form::Opaque => {
                let mut token = self.prefix.clone();
                URL_SAFE_NO_PAD.encode_string(bytes, &mut token);
                token
            }
            Form::Uuid4 => {
                // RFC 9562 §5.4: version and variant.
                bytes[6] = bytes[6] & 0x0f | 0x40;
                bytes[8] = bytes[8] & 0x3f | 0x80;
                let hex = hexadecimal(&bytes[..16]);
                format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
            }
            Form::Urandom => hexadecimal(&bytes[..URANDOM_DIGITS / 2]),
        })
    }
}

fn is_opaque(random: &str) -> bool {
    random.len() == OPAQUE_CHARACTERS
        && random.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn is_uuid4(token: &[u8]) -> bool {
    let is_in_place = |(place, byte): (usize, &u8)| match place {
        8 | 13 | 18 | 23 => *byte == b'-',
        14 => *byte == b'4',
        19 => matches!(byte, b'8' | b'9' | b'a' | b'b'),
        _ => is_lower_hexadecimal(*byte),
    };
    token.len() == 36 && token.iter().enumerate().all(is_in_place)
}

fn is_lower_hexadecimal(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_knows_what_it_makes_and_no_other() {
        let all = [Form::Opaque, Form::Uuid4, Form::Urandom];
        for made in all {
            let forms = Forms::new("acme", made, &[]).unwrap();
            let token = forms.create().unwrap();
            assert_ne!(token, forms.create().unwrap());
            for known in all {
                assert_eq!(Forms::new("acme", known, &[]).unwrap().accepts(&token), known == made, "{token}");
            }
            assert!(Forms::new("acme", Form::Opaque, &[made]).unwrap().accepts(&token));
            for changed in [format!("{token}0"), token[1..].to_owned(), token.to_uppercase(), format!(" {token}")] {
                assert!(!forms.accepts(&changed), "{changed}");
            }
        }
        let forms = |made, accepted: &[Form]| Forms::new("acme", made, accepted).unwrap();
        assert_eq!(forms(Form::Opaque, &[]).claims(), Some(vec!["acme_", "tho_"]));
        assert_eq!(forms(Form::Opaque, &[Form::Uuid4]).claims(), None);
        assert_eq!(forms(Form::Uuid4, &[]).claims(), None);
        assert_eq!(Forms::new("tho", Form::Opaque, &[]).unwrap().claims(), Some(vec!["tho_"]));
        let hosts = Forms::new("tho", Form::Opaque, &[]).unwrap().create().unwrap();
        assert!([Form::Opaque, Form::Uuid4].iter().all(|made| forms(*made, &[]).accepts(&hosts)));
    }

    #[test]
    fn prefixes_are_names() {
        for bad in ["", "1a", "a_", "a-b", "ä", "a23456789012345678901234567890123"] {
            assert!(Forms::new(bad, Form::Opaque, &[]).is_err(), "{bad}");
        }
    }
}
