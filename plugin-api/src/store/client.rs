//! What stores keep of clients.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An application that may ask for tokens (python-oauth2's `Client`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Client {
    /// Its identifier.
    pub identifier: String,
    /// What its secret is checked against; `None`: it is public and has none (RFC 6749 §2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<ClientSecret>,
    /// What people are shown; empty: its identifier.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where codes may be sent: compared character by character.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<String>,
    /// The grant types that it may use; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorized_grants: Option<Vec<String>>,
    /// The response types that it may ask for; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorized_response_types: Option<Vec<String>>,
    /// The scopes that it may ask for; `None`: all that there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

impl Client {
    /// A public client with no redirect URI.
    pub fn new(identifier: impl Into<String>) -> Self {
        Self {
            identifier: identifier.into(),
            secret: None,
            name: String::new(),
            redirect_uris: Vec::new(),
            authorized_grants: None,
            authorized_response_types: None,
            scopes: None,
        }
    }

    /// Whether it may use this grant type.
    pub fn may_use_grant(&self, grant_type: &str) -> bool {
        self.authorized_grants.as_ref().is_none_or(|grants| grants.iter().any(|grant| grant == grant_type))
    }

    /// Whether it may ask for this response type.
    pub fn may_ask_for(&self, response_type: &str) -> bool {
        self.authorized_response_types.as_ref().is_none_or(|types| types.iter().any(|known| known == response_type))
    }

    /// Whether codes may be sent there. No pattern, no prefix (RFC 9700 §2.1).
    pub fn has_redirect_uri(&self, redirect_uri: &str) -> bool {
        self.redirect_uris.iter().any(|known| known == redirect_uri)
    }
}

/// What a client's secret is checked against. It prints as nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientSecret {
    /// A PHC string of an Argon2id hash.
    Argon2id(String),
    /// The secret itself: what a store of another system has. Ours never write it.
    Plain(String),
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A request for one page of clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ListClients {
    /// Those behind this identifier; `None`: from the first on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// At most so many; `None`: as the store likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// One page of clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClientPage {
    /// In the order of their identifiers.
    pub clients: Vec<Client>,
    /// The next page is behind this one; `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl ClientPage {
    /// A page.
    pub fn new(clients: Vec<Client>, next: Option<String>) -> Self {
        Self { clients, next }
    }
}
