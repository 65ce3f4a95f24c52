//! [`LegacySha1`]: Djblets' first tokens, 40 hexadecimal digits. Deprecated: nothing tells them from other digests.

use std::fmt::Write;

use serde_json::{Map, Value};
use token_plugin_api::{PluginError, Result, TokenGenerator};

use super::{Form, random};

/// Makes and knows tokens that look like a SHA-1. Djblets computes one from a secret, the user, the password's hash and
/// the clock; ours are random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LegacySha1;

impl LegacySha1 {
    pub(crate) const ID: &str = "legacy_sha1";

    const BYTES: usize = 20;

    /// What a token looks like.
    pub(crate) fn form(token: &str) -> Form {
        let is_hex = token.len() == 2 * Self::BYTES && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex { Form::Fine } else { Form::NotOurs }
    }
}

impl TokenGenerator for LegacySha1 {
    fn id(&self) -> &str {
        Self::ID
    }

    fn create_token(&self, token_info: &Map<String, Value>) -> Result<String> {
        // Not needed, but required as Djblets requires them: who leaves them out has not meant this generator.
        for key in ["user", "attempt"] {
            if !token_info.contains_key(key) {
                return Err(PluginError::missing_token_info(key));
            }
        }
        let mut token = String::with_capacity(2 * Self::BYTES);
        for byte in *random::<{ Self::BYTES }>()? {
            // A text takes all that is written to it.
            let _ = write!(token, "{byte:02x}");
        }
        Ok(token)
    }

    fn validate_token(&self, token: &str, _: &Map<String, Value>) -> Result<bool> {
        Ok(Self::form(token) == Form::Fine)
    }
}
