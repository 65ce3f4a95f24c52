//! [`TokenGenerator`]: makes the values of tokens that a store keeps.

use serde_json::{Map, Value};

use crate::Result;

/// Makes and validates the values of tokens that a store keeps: Djblets' `BaseTokenGenerator`.
pub trait TokenGenerator: Send + Sync + 'static {
    /// The id by which it is found (Djblets' `token_generator_id`). Asked once.
    fn id(&self) -> &str;

    /// A regular expression for what its tokens look like, in the syntax that secret scanners share (no look-around, no
    /// back references). Asked once; none: they look like much else.
    fn pattern(&self) -> Option<String> {
        None
    }

    /// Makes a token. `token_info` is never changed.
    ///
    /// # Errors
    ///
    /// [`PluginError::missing_token_info`](crate::PluginError::missing_token_info) when `token_info` lacks a key.
    fn create_token(&self, token_info: &Map<String, Value>) -> Result<String>;

    /// Whether this generator could have made the token. Says nothing about whether it exists.
    ///
    /// # Errors
    ///
    /// When it cannot tell.
    fn validate_token(&self, token: &str, token_info: &Map<String, Value>) -> Result<bool>;
}
