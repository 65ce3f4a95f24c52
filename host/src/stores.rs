//! [`Stores`]: the stores for OAuth 2.0 that plugins offer, by name.
//!
//! A store is asked on its plugin's threads, within the plugin's deadline, and counts for its breaker, as a handler that
//! manages tokens does. What it keeps is for it to say; what it answers is read here, once, at the boundary.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Serialize, de::DeserializeOwned};
use token_plugin_api::{
    AccessToken, AuthorizationCode, Client, ClientPage, Consumption, ListClients, PluginError, RotateRefreshToken,
    Rotation,
    abi::stores::{StoreKind, operation},
};

use crate::{
    breaker::Rules,
    error::{Error, ErrorKind},
    host::Host,
    registry::Slot,
};

/// The stores of a host, as they are registered right now.
#[derive(Debug, Clone, Copy)]
pub struct Stores<'h>(&'h Host);

impl Host {
    /// The stores for access tokens, authorization codes and clients.
    pub fn stores(&self) -> Stores<'_> {
        Stores(self)
    }
}

impl Stores<'_> {
    /// The store for access tokens with this name, of several the first in call order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`], when there is none.
    pub fn access_tokens(&self, name: &str) -> Result<AccessTokens, Error> {
        self.find(StoreKind::AccessTokens, name).map(AccessTokens)
    }

    /// The store for authorization codes with this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`], when there is none.
    pub fn auth_codes(&self, name: &str) -> Result<AuthCodes, Error> {
        self.find(StoreKind::AuthCodes, name).map(AuthCodes)
    }

    /// The store for clients with this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`], when there is none.
    pub fn clients(&self, name: &str) -> Result<Clients, Error> {
        self.find(StoreKind::Clients, name).map(Clients)
    }

    /// The names of the stores that keep clients, in call order.
    pub fn client_store_names(&self) -> Vec<String> {
        let registry = self.0.0.registry.load();
        let stores = registry.stores.iter().filter(|store| store.kind() == StoreKind::Clients);
        stores.map(|store| store.name().to_owned()).collect()
    }

    fn find(&self, kind: StoreKind, name: &str) -> Result<Asked, Error> {
        let registry = self.0.0.registry.load();
        let of_kind = || registry.stores.iter().filter(|store| store.kind() == kind);
        match of_kind().find(|store| store.name() == name) {
            Some(store) => Ok(Asked(Arc::clone(store))),
            None => {
                let known: Vec<&str> = of_kind().map(|store| store.name()).collect();
                let message = format!("there is no store of {} named {name:?}, expected one of {known:?}", kind.name());
                Err(Error::new(ErrorKind::InvalidArgument, message))
            }
        }
    }
}

/// One of an instance's stores, with what the configuration says about it.
pub(crate) struct StoreSlot {
    pub(crate) slot: Slot,
    pub(crate) manage_deadline: Duration,
    pub(crate) rules: Rules,
}

impl StoreSlot {
    pub(crate) fn kind(&self) -> StoreKind {
        self.slot.instance.stores[self.slot.index].kind
    }

    pub(crate) fn name(&self) -> &str {
        &self.slot.instance.stores[self.slot.index].name
    }
}

/// A store that was found. It goes on working after a reload, with the plugin that it was found in.
#[derive(Clone)]
struct Asked(Arc<StoreSlot>);

impl Asked {
    async fn ask<A: DeserializeOwned>(&self, operation: &'static str, request: &impl Serialize) -> Result<A, Error> {
        let StoreSlot { slot, manage_deadline, rules } = &*self.0;
        let deadline = match operation {
            operation::REVOKE_TOKENS_OF_USER | operation::REVOKE_TOKENS_OF_CLIENT => *manage_deadline,
            _ => slot.deadline,
        };
        let failed = |error| Error::from_plugin(slot.instance.plugin(), &self.part(), operation, error);
        let request = serde_json::to_string(request)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))?;
        let answer = slot.instance.ask_store(slot.index, deadline, rules, operation, request).answer().await;
        // The text is not quoted: it says more of tokens than belongs in a log.
        let unknown = |_| PluginError::failed("its answer is not of a form that this host knows");
        serde_json::from_str(&answer.map_err(failed)?).map_err(|error| failed(unknown(error)))
    }

    fn part(&self) -> String {
        format!("the store {:?} of {}", self.0.name(), self.0.kind().name())
    }
}

macro_rules! prints_as_its_name {
    ($($store:ident)+) => {
        $(impl fmt::Debug for $store {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($store)).field(&self.0.0.name()).finish()
            }
        })+
    };
}
prints_as_its_name!(AccessTokens AuthCodes Clients);

/// A store for access tokens: see [`AccessTokenStore`](token_plugin_api::AccessTokenStore), whose promises hold for each
/// of these. All fail with [`ErrorKind::NotFound`] where that says so, and with [`ErrorKind::Plugin`] when the store could
/// not be asked.
#[derive(Clone)]
pub struct AccessTokens(Asked);

impl AccessTokens {
    /// Keeps a token.
    ///
    /// # Errors
    ///
    /// As for all: see the type. When its family was revoked it is not kept, and not found.
    pub async fn save_token(&self, token: &AccessToken) -> Result<(), Error> {
        self.0.ask(operation::SAVE_TOKEN, token).await
    }

    /// The token with this value.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn fetch_by_token(&self, token: &str) -> Result<AccessToken, Error> {
        self.0.ask(operation::FETCH_BY_TOKEN, &token).await
    }

    /// The token that came with this refresh token.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn fetch_by_refresh_token(&self, refresh_token: &str) -> Result<AccessToken, Error> {
        self.0.ask(operation::FETCH_BY_REFRESH_TOKEN, &refresh_token).await
    }

    /// The token that a user got last from a client in this way.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn fetch_existing_token_of_user(
        &self,
        client_id: &str,
        grant_type: &str,
        user_id: &str,
    ) -> Result<AccessToken, Error> {
        self.0.ask(operation::FETCH_EXISTING_TOKEN_OF_USER, &(client_id, grant_type, user_id)).await
    }

    /// Deletes a refresh token, and the access token that came with it.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn delete_refresh_token(&self, refresh_token: &str) -> Result<(), Error> {
        self.0.ask(operation::DELETE_REFRESH_TOKEN, &refresh_token).await
    }

    /// Puts new tokens in the place of old ones.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn rotate_refresh_token(&self, request: &RotateRefreshToken) -> Result<Rotation, Error> {
        self.0.ask(operation::ROTATE_REFRESH_TOKEN, request).await
    }

    /// Revokes a token by its value.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn revoke_token(&self, token: &str, client_id: Option<&str>) -> Result<bool, Error> {
        self.0.ask(operation::REVOKE_TOKEN, &(token, client_id)).await
    }

    /// Revokes all tokens of a user.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn revoke_tokens_of_user(&self, user_id: &str) -> Result<u64, Error> {
        self.0.ask(operation::REVOKE_TOKENS_OF_USER, &user_id).await
    }

    /// Revokes all tokens of a client.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn revoke_tokens_of_client(&self, client_id: &str) -> Result<u64, Error> {
        self.0.ask(operation::REVOKE_TOKENS_OF_CLIENT, &client_id).await
    }

    /// Revokes a family.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn revoke_family(&self, family_id: &str) -> Result<(), Error> {
        self.0.ask(operation::REVOKE_FAMILY, &family_id).await
    }
}

/// A store for authorization codes: see [`AuthCodeStore`](token_plugin_api::AuthCodeStore). Errors as for
/// [`AccessTokens`].
#[derive(Clone)]
pub struct AuthCodes(Asked);

impl AuthCodes {
    /// Keeps a code.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn save_code(&self, code: &AuthorizationCode) -> Result<(), Error> {
        self.0.ask(operation::SAVE_CODE, code).await
    }

    /// The code with this value.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn fetch_by_code(&self, code: &str) -> Result<AuthorizationCode, Error> {
        self.0.ask(operation::FETCH_BY_CODE, &code).await
    }

    /// Deletes a code.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn delete_code(&self, code: &str) -> Result<(), Error> {
        self.0.ask(operation::DELETE_CODE, &code).await
    }

    /// Takes a code that was issued to this client for this redirect URI.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn consume_code(&self, code: &str, client_id: &str, redirect_uri: &str) -> Result<Consumption, Error> {
        self.0.ask(operation::CONSUME_CODE, &(code, client_id, redirect_uri)).await
    }
}

/// A store for clients: see [`ClientStore`](token_plugin_api::ClientStore). Errors as for [`AccessTokens`].
#[derive(Clone)]
pub struct Clients(Asked);

impl Clients {
    /// The client with this identifier.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn fetch_by_client_id(&self, client_id: &str) -> Result<Client, Error> {
        self.0.ask(operation::FETCH_BY_CLIENT_ID, &client_id).await
    }

    /// Adds a client.
    ///
    /// # Errors
    ///
    /// As for all; [`ErrorKind::InvalidArgument`], when there is one with this identifier.
    pub async fn add_client(&self, client: &Client) -> Result<(), Error> {
        self.0.ask(operation::ADD_CLIENT, client).await
    }

    /// Changes a client that is there.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn update_client(&self, client: &Client) -> Result<(), Error> {
        self.0.ask(operation::UPDATE_CLIENT, client).await
    }

    /// Removes a client.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn remove_client(&self, client_id: &str) -> Result<(), Error> {
        self.0.ask(operation::REMOVE_CLIENT, &client_id).await
    }

    /// One page of clients.
    ///
    /// # Errors
    ///
    /// As for all: see the type.
    pub async fn list_clients(&self, request: &ListClients) -> Result<ClientPage, Error> {
        self.0.ask(operation::LIST_CLIENTS, request).await
    }
}
