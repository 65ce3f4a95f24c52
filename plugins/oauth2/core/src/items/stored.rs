//! [`Stored`]: what is kept under a key; where a backend keeps bytes, as JSON with a version.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use token_plugin_api::{Client, PluginError, Result};

use super::Key;

/// What is kept under a key. It holds no token and no code, but the keys that they have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stored {
    Token(Box<TokenRecord>),
    RefreshToken(Box<RefreshRecord>),
    Family(FamilyRecord),
    LastToken(Key),
    Code(Box<CodeRecord>),
    Client(Box<Client>),
}

/// What tokens and codes have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    pub(crate) client_id: String,
    pub(crate) grant_type: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) data: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) family_id: Option<String>,
    /// The refresh token that came with an access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<Key>,
}

/// A refresh token: what it is good for, and what came with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RefreshRecord {
    /// The scopes are the refresh token's own: an access token may have fewer.
    #[serde(flatten)]
    pub(crate) token: TokenRecord,
    /// The access token that came with it.
    pub(crate) access: Key,
    /// It was used: it is kept so that a second use is noticed.
    #[serde(default)]
    pub(crate) used: bool,
}

/// A family of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FamilyRecord {
    /// The access and refresh tokens that are good, until all of them have expired.
    Live { members: Vec<Key>, until: Option<u64> },
    /// It is revoked, and nothing can be added to it.
    Revoked,
}

/// An authorization code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CodeRecord {
    pub(crate) client_id: String,
    pub(crate) expires_at: u64,
    pub(crate) redirect_uri: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) data: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<String>,
    pub(crate) family_id: String,
    /// It was consumed: it is kept so that a second use is noticed.
    #[serde(default)]
    pub(crate) consumed: bool,
}

/// The form of the JSON that follows.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Written<'s> {
    v: u32,
    #[serde(flatten)]
    stored: &'s Stored,
}

#[derive(Deserialize)]
struct Read {
    v: u32,
    #[serde(flatten)]
    stored: Stored,
}

impl Stored {
    /// `{"v":1,"token":{...}}`
    pub(crate) fn to_json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(&Written { v: VERSION, stored: self }).map_err(PluginError::failed)
    }

    /// # Errors
    ///
    /// When it is of another version, or none of ours. The error quotes nothing of it.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self> {
        match serde_json::from_slice::<Read>(json) {
            Ok(Read { v: VERSION, stored }) => Ok(stored),
            Ok(Read { v, .. }) => Err(PluginError::failed(format!("an item has the version {v}, expected {VERSION}"))),
            Err(_) => Err(PluginError::failed("an item cannot be read: another program wrote it")),
        }
    }
}
