//! Stores: where a plugin keeps OAuth 2.0 access tokens, authorization codes and clients.
//!
//! They are python-oauth2's `AccessTokenStore`, `AuthCodeStore` and `ClientStore`, with what real use needs beside:
//! consuming a code and rotating a refresh token as one step that only one of several callers gets to do, and revoking.
//! A host reaches them by name (`host.stores().access_tokens("oauth2")`); its token endpoint is built on them.
//!
//! # What all stores promise
//!
//! - What is answered is done, and seen by all hosts that share the store.
//! - What has expired is not there: from the very second of `expires_at` on. Time is the host's
//!   ([`HostHandle::now`](crate::HostHandle::now)).
//! - "There is none" is [`PluginErrorKind::NotFound`](crate::PluginErrorKind::NotFound) of `access token`,
//!   `authorization code` or `client`; a store that cannot be asked is any other error, and never "there is none".
//! - Tokens, codes and secrets are not written down; only their digests are, and what is kept of one is not found as
//!   another: an access token is no refresh token, a code no token.
//! - A store that loses what it was given, as a cache may, says "there is none".
//!
//! `conformance::assert_conforms` (feature `conformance`) holds a plugin's stores to all of it.

mod client;
mod token;

use std::future::Future;

pub use client::{Client, ClientPage, ClientSecret, ListClients};
pub use token::{AccessToken, AuthorizationCode, Consumption, RotateRefreshToken, Rotation};

use crate::{PluginError, Result};

/// What is not there, as [`PluginErrorKind::NotFound`](crate::PluginErrorKind::NotFound) names it (python-oauth2's
/// `AccessTokenNotFound`).
pub const ACCESS_TOKEN: &str = "access token";
/// The same (python-oauth2's `AuthCodeNotFound`).
pub const AUTHORIZATION_CODE: &str = "authorization code";
/// The same (python-oauth2's `ClientNotFoundError`).
pub const CLIENT: &str = "client";

/// Keeps access tokens, and the refresh tokens that came with them (python-oauth2's `AccessTokenStore`).
///
/// Tokens that came one from another by refreshing are a family, as those of one authorization code are. A family is
/// revoked as a whole when one of its refresh tokens is used a second time (RFC 9700 §4.14.2).
pub trait AccessTokenStore: Send + Sync + 'static {
    /// The store's name.
    fn name(&self) -> &str;

    /// Keeps a token. One of the same value is replaced.
    ///
    /// # Errors
    ///
    /// Not found, when its family was revoked: then it is not kept.
    fn save_token(&self, token: &AccessToken) -> impl Future<Output = Result<()>> + Send;

    /// The token with this value.
    ///
    /// # Errors
    ///
    /// Not found.
    fn fetch_by_token(&self, token: &str) -> impl Future<Output = Result<AccessToken>> + Send;

    /// The token that came with this refresh token. It may have expired itself. Its scopes are those of the refresh token,
    /// of which the access token may have got fewer.
    ///
    /// # Errors
    ///
    /// Not found, also when the refresh token was used already.
    fn fetch_by_refresh_token(&self, refresh_token: &str) -> impl Future<Output = Result<AccessToken>> + Send;

    /// The token that a user got last from a client in this way, if it is good still.
    ///
    /// # Errors
    ///
    /// Not found.
    fn fetch_existing_token_of_user(
        &self,
        client_id: &str,
        grant_type: &str,
        user_id: &str,
    ) -> impl Future<Output = Result<AccessToken>> + Send {
        let _ = (client_id, grant_type, user_id);
        async { Err(PluginError::unsupported("fetch_existing_token_of_user")) }
    }

    /// Deletes a refresh token, and the access token that came with it.
    ///
    /// # Errors
    ///
    /// Not found.
    fn delete_refresh_token(&self, refresh_token: &str) -> impl Future<Output = Result<()>> + Send;

    /// Puts a new access token and a new refresh token in the place of those that a refresh token stands for. Of any
    /// number of callers with one refresh token a single one gets that; the others have used it a second time, which revokes
    /// the family, what the first one got included.
    ///
    /// # Errors
    ///
    /// Not found, also when it is another client's: then nothing happened to it.
    fn rotate_refresh_token(&self, request: &RotateRefreshToken) -> impl Future<Output = Result<Rotation>> + Send;

    /// Revokes a token by its value: an access token alone; a refresh token with its whole family. Whether there was one.
    /// With a client's id: only if it is that client's.
    fn revoke_token(&self, token: &str, client_id: Option<&str>) -> impl Future<Output = Result<bool>> + Send;

    /// Revokes all tokens of a user; how many access and refresh tokens that were.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn revoke_tokens_of_user(&self, user_id: &str) -> impl Future<Output = Result<u64>> + Send {
        let _ = user_id;
        async { Err(PluginError::unsupported("revoke_tokens_of_user")) }
    }

    /// Revokes all tokens of a client; how many access and refresh tokens that were.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn revoke_tokens_of_client(&self, client_id: &str) -> impl Future<Output = Result<u64>> + Send {
        let _ = client_id;
        async { Err(PluginError::unsupported("revoke_tokens_of_client")) }
    }

    /// Revokes a family, also one of which no token is there yet: none can be added to it from then on.
    fn revoke_family(&self, family_id: &str) -> impl Future<Output = Result<()>> + Send;
}

/// Keeps authorization codes (python-oauth2's `AuthCodeStore`).
pub trait AuthCodeStore: Send + Sync + 'static {
    /// The store's name.
    fn name(&self) -> &str;

    /// Keeps a code. One of the same value is replaced.
    fn save_code(&self, code: &AuthorizationCode) -> impl Future<Output = Result<()>> + Send;

    /// The code with this value.
    ///
    /// # Errors
    ///
    /// Not found, also when it was consumed already.
    fn fetch_by_code(&self, code: &str) -> impl Future<Output = Result<AuthorizationCode>> + Send;

    /// Deletes a code.
    ///
    /// # Errors
    ///
    /// Not found.
    fn delete_code(&self, code: &str) -> impl Future<Output = Result<()>> + Send;

    /// Takes a code that was issued to this client for this redirect URI. Of any number of callers with one code a single
    /// one gets it; the others learn of which family the tokens are that it was exchanged for.
    ///
    /// # Errors
    ///
    /// Not found, also when it is another client's, or of another redirect URI: then nothing happened to it.
    fn consume_code(
        &self,
        code: &str,
        client_id: &str,
        redirect_uri: &str,
    ) -> impl Future<Output = Result<Consumption>> + Send;
}

/// Keeps clients (python-oauth2's `ClientStore`).
pub trait ClientStore: Send + Sync + 'static {
    /// The store's name.
    fn name(&self) -> &str;

    /// The client with this identifier.
    ///
    /// # Errors
    ///
    /// Not found.
    fn fetch_by_client_id(&self, client_id: &str) -> impl Future<Output = Result<Client>> + Send;

    /// Adds a client.
    ///
    /// # Errors
    ///
    /// An invalid argument, when there is one with this identifier.
    fn add_client(&self, client: &Client) -> impl Future<Output = Result<()>> + Send {
        let _ = client;
        async { Err(PluginError::unsupported("add_client")) }
    }

    /// Changes a client that is there.
    ///
    /// # Errors
    ///
    /// Not found.
    fn update_client(&self, client: &Client) -> impl Future<Output = Result<()>> + Send {
        let _ = client;
        async { Err(PluginError::unsupported("update_client")) }
    }

    /// Removes a client. Its tokens stay: revoke them.
    ///
    /// # Errors
    ///
    /// Not found.
    fn remove_client(&self, client_id: &str) -> impl Future<Output = Result<()>> + Send {
        let _ = client_id;
        async { Err(PluginError::unsupported("remove_client")) }
    }

    /// One page of clients, in the order of their identifiers.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn list_clients(&self, request: &ListClients) -> impl Future<Output = Result<ClientPage>> + Send {
        let _ = request;
        async { Err(PluginError::unsupported("list_clients")) }
    }
}
