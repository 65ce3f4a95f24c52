//! [`Stored`]: what is kept under a key; where a backend keeps bytes, as JSON with a version.

use std::sync::Arc;

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
    // Shared: many tokens have the same.
    pub(crate) client_id: Arc<str>,
    pub(crate) grant_type: Arc<str>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) data: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) scopes: Arc<[String]>,
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
    /// It is revoked, and nothing can be added to it. These were its tokens: whoever revoked it may not have come to remove
    /// them all.
    Revoked { members: Vec<Key> },
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

/// Without what serde has for this: that would read everything twice, and a token is read for each verification.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    v: u32,
    token: Option<Box<TokenRecord>>,
    refresh_token: Option<Box<RefreshRecord>>,
    family: Option<FamilyRecord>,
    last_token: Option<Key>,
    code: Option<Box<CodeRecord>>,
    client: Option<Box<Client>>,
}

/// What all versions have.
#[derive(Deserialize)]
struct AnyVersion {
    v: u32,
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
        let read = serde_json::from_slice::<Read>(json).ok().filter(|read| read.v == VERSION);
        if let Some(stored) = read.and_then(Read::into_stored) {
            return Ok(stored);
        }
        Err(PluginError::failed(match serde_json::from_slice::<AnyVersion>(json) {
            Ok(AnyVersion { v }) if v != VERSION => format!("an item has the version {v}, expected {VERSION}"),
            _ => "an item cannot be read: another program wrote it".to_owned(),
        }))
    }
}

impl Read {
    /// The one thing that it is.
    fn into_stored(self) -> Option<Stored> {
        let Self { v: _, token, refresh_token, family, last_token, code, client } = self;
        let all = [
            token.map(Stored::Token),
            refresh_token.map(Stored::RefreshToken),
            family.map(Stored::Family),
            last_token.map(Stored::LastToken),
            code.map(Stored::Code),
            client.map(Stored::Client),
        ];
        let mut there = all.into_iter().flatten();
        there.next().filter(|_| there.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::Kind;

    #[test]
    fn everything_comes_back_from_json() {
        let key = Key::new(Kind::Token, ["a"]);
        let token = TokenRecord {
            client_id: "web".into(),
            grant_type: "password".into(),
            data: Map::new(),
            expires_at: Some(5),
            refresh_expires_at: None,
            scopes: ["read".to_owned()].into(),
            user_id: None,
            family_id: Some("f".to_owned()),
            refresh: None,
        };
        let refresh = RefreshRecord { token: token.clone(), access: key, used: true };
        for stored in [
            Stored::Token(token.into()),
            Stored::RefreshToken(refresh.into()),
            Stored::Family(FamilyRecord::Revoked { members: vec![key] }),
            Stored::Family(FamilyRecord::Live { members: vec![key], until: None }),
            Stored::LastToken(key),
            Stored::Client(Client::new("web").into()),
        ] {
            assert_eq!(Stored::from_json(&stored.to_json().unwrap()).unwrap(), stored);
        }
    }

    #[test]
    fn what_is_none_of_ours_is_told_without_a_word_of_it() {
        for (json, expected) in [
            (r#"{"v":2,"token":{"new":"secret"}}"#, "an item has the version 2, expected 1"),
            (r#"{"v":1}"#, "an item cannot be read: another program wrote it"),
            (r#"{"v":1,"secret":1}"#, "an item cannot be read: another program wrote it"),
            (
                r#"{"v":1,"family":{"revoked":{"members":[]}},"last_token":null,"code":null,"token":{}}"#,
                "an item cannot be read: another program wrote it",
            ),
            ("secret", "an item cannot be read: another program wrote it"),
        ] {
            assert_eq!(Stored::from_json(json.as_bytes()).unwrap_err().to_string(), expected, "{json}");
        }
    }
}
