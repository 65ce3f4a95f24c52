//! What stores keep of tokens and codes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An access token with what belongs to it (python-oauth2's `AccessToken`). Values are never printed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AccessToken {
    /// The client that it was issued to.
    pub client_id: String,
    /// How it was got: `client_credentials`, `authorization_code`, `refresh_token` or `password`.
    pub grant_type: String,
    /// Its value. `None`: a store told of it that keeps digests, and was not asked by the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What the issuer wants to have kept with it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
    /// When it expires, in Unix seconds; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// The refresh token's value. `None`: there is none; or as with `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// When the refresh token expires, in Unix seconds; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_expires_at: Option<u64>,
    /// What it may be used for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// The user who gave it; `None`: it is the client's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The family that it belongs to; `None`: the store makes one for a token with a refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_id: Option<String>,
}

impl AccessToken {
    /// A token that never expires, is for nothing, and is its client's own.
    pub fn new(client_id: impl Into<String>, grant_type: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            grant_type: grant_type.into(),
            token: Some(token.into()),
            data: Map::new(),
            expires_at: None,
            refresh_token: None,
            refresh_expires_at: None,
            scopes: Vec::new(),
            user_id: None,
            family_id: None,
        }
    }

    /// Whether it has expired at this time, in Unix seconds.
    pub fn is_expired(&self, now: u64) -> bool {
        self.expires_at.is_some_and(|expires_at| now >= expires_at)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("client_id", &self.client_id)
            .field("grant_type", &self.grant_type)
            .field("expires_at", &self.expires_at)
            .field("refresh_expires_at", &self.refresh_expires_at)
            .field("scopes", &self.scopes)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// An authorization code with what belongs to it (python-oauth2's `AuthorizationCode`). Its value is never printed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AuthorizationCode {
    /// The client that it was issued to.
    pub client_id: String,
    /// Its value. `None`: as with [`AccessToken::token`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When it expires, in Unix seconds.
    pub expires_at: u64,
    /// Where it was sent.
    pub redirect_uri: String,
    /// What the token that it is exchanged for may be used for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// What the issuer wants to have kept with it, for instance the challenge of PKCE.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
    /// The user who gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The family of the tokens that it is exchanged for.
    pub family_id: String,
}

impl AuthorizationCode {
    /// A code for nothing, of nobody.
    pub fn new(
        client_id: impl Into<String>,
        code: impl Into<String>,
        expires_at: u64,
        redirect_uri: impl Into<String>,
        family_id: impl Into<String>,
    ) -> Self {
        Self {
            client_id: client_id.into(),
            code: Some(code.into()),
            expires_at,
            redirect_uri: redirect_uri.into(),
            scopes: Vec::new(),
            data: Map::new(),
            user_id: None,
            family_id: family_id.into(),
        }
    }

    /// Whether it has expired at this time, in Unix seconds.
    pub fn is_expired(&self, now: u64) -> bool {
        now >= self.expires_at
    }
}

impl fmt::Debug for AuthorizationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationCode")
            .field("client_id", &self.client_id)
            .field("expires_at", &self.expires_at)
            .field("redirect_uri", &self.redirect_uri)
            .field("scopes", &self.scopes)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// A request to put new tokens in the place of old ones. What is not said here (client, user, grant type, data, family)
/// stays as it is.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RotateRefreshToken {
    /// The refresh token that is used.
    pub refresh_token: String,
    /// The client that uses it.
    pub client_id: String,
    /// The value of the new access token.
    pub new_token: String,
    /// The value of the new refresh token.
    pub new_refresh_token: String,
    /// When the new access token expires, in Unix seconds; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<u64>,
    /// When the new refresh token expires, in Unix seconds; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_expires_at: Option<u64>,
    /// The new access token's scopes, all of which the old one has; `None`: the same. The new refresh token keeps those
    /// that the old one had (RFC 6749 §6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

impl RotateRefreshToken {
    /// A request for tokens that never expire, with the same scopes.
    pub fn new(
        refresh_token: impl Into<String>,
        client_id: impl Into<String>,
        new_token: impl Into<String>,
        new_refresh_token: impl Into<String>,
    ) -> Self {
        Self {
            refresh_token: refresh_token.into(),
            client_id: client_id.into(),
            new_token: new_token.into(),
            new_refresh_token: new_refresh_token.into(),
            expires_at: None,
            refresh_expires_at: None,
            scopes: None,
        }
    }
}

impl fmt::Debug for RotateRefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RotateRefreshToken").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What became of a refresh token that was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// The new token, as it was kept.
    Done(Box<AccessToken>),
    /// It had been used before: somebody has it who should not. Its whole family is revoked.
    Reused,
}

/// What became of a code that was to be consumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consumption {
    /// It is consumed.
    Done(Box<AuthorizationCode>),
    /// It had been consumed before: somebody has it who should not. The tokens that it was exchanged for are of this
    /// family: revoke it (RFC 6749 §4.1.2).
    Reused {
        /// The family.
        family_id: String,
    },
}
