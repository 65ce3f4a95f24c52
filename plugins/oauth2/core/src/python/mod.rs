//! The layout of python-oauth2: its keys and its JSON, so that both can run on one Redis or memcached during a move.
//!
//! That library keeps tokens, codes and secrets in plain text, and so they are here: whoever can read the backend can use
//! them. It is for a move, and no longer. What it keeps:
//!
//! ```text
//! {prefix}_{token}, {prefix}_{refresh token}, {prefix}_{client}_{grant type}_{user}    an access token's fields
//! {prefix}_{code}                                                                      an authorization code's
//! {prefix}_{identifier}                                                                a client's
//! ```
//!
//! All of these are one namespace, in which anything could be taken for anything: so what is found counts only when it
//! says of itself that it is what was asked for. What is beyond that library (families, and which refresh tokens and
//! codes were used) lies beside it, under `{prefix}:python:...`, which it never asks for. Everything expires, which it does
//! not see to.
//!
//! # How one of several callers wins
//!
//! Whoever removes the key of a code or of a refresh token as it was read, has it. Before that it is noted as used; the note
//! counts when the key is gone. A caller of that library does neither: what it uses at the same moment is used twice, as
//! it always was.

mod clients;
mod codes;
mod families;
mod handler;
mod json;
mod memcached;
mod records;
mod tokens;
mod values;

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use token_plugin_api::{Hooks, HostHandle, PluginError, Result};

use self::{clients::PythonClients, codes::PythonCodes, handler::PythonOauth2, tokens::PythonTokens};
pub(crate) use self::{
    memcached::PythonMemcached,
    values::{Found, Life, Values},
};
use crate::{
    handler::Issuing,
    items::{Key, Proof, is_over},
};

/// What the stores of this layout share.
pub(crate) struct Python {
    pub(crate) name: String,
    pub(crate) values: Arc<dyn Values>,
    pub(crate) prefix: String,
    pub(crate) host: HostHandle,
}

/// Registers the handler, and the stores that it looks into.
pub(crate) fn register(hooks: &mut Hooks, issuing: Issuing, python: Python) {
    let python = Arc::new(python);
    hooks.access_token_store(PythonTokens(Arc::clone(&python)));
    hooks.auth_code_store(PythonCodes(Arc::clone(&python)));
    hooks.client_store(PythonClients(Arc::clone(&python)));
    hooks.async_handler(PythonOauth2 { issuing, python });
}

/// How long it is known that a family was revoked, or a code consumed, after it could be used last: longer than anything
/// that was begun before can take.
const REMEMBERED_SECONDS: u64 = 24 * 60 * 60;

/// How often something is tried again that others are faster with: more than there are callers at once.
const TRIES: u32 = 1_000;

fn crowded() -> PluginError {
    PluginError::failed("others were faster with a value each time")
}

impl Python {
    fn now(&self) -> u64 {
        self.host.now()
    }

    fn life(&self, expires_at: Option<u64>) -> Life {
        Life { expires_at, now: self.now() }
    }

    fn is_over(&self, expires_at: Option<u64>) -> bool {
        is_over(expires_at, self.now())
    }

    /// That library's key.
    fn theirs(&self, id: &str) -> String {
        format!("{}_{id}", self.prefix)
    }

    /// A key of ours beside it.
    fn ours(&self, key: Key) -> String {
        format!("{}:python:{}", self.prefix, key.to_text())
    }

    async fn read<T: DeserializeOwned>(&self, key: String) -> Result<Option<(T, Proof)>> {
        let Some(Found { value, proof }) = self.values.get(key).await? else { return Ok(None) };
        Ok(json::from_json(&value)?.map(|read| (read, proof)))
    }

    async fn write(&self, key: String, value: &impl Serialize, expires_at: Option<u64>) -> Result<()> {
        self.values.set(key, json::to_json(value)?, self.life(expires_at)).await
    }
}

impl fmt::Debug for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Python").field("name", &self.name).finish_non_exhaustive()
    }
}
