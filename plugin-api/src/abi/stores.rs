//! Stores at the boundary: the extension `stores/1`, one entry for each store that a plugin registers.
//!
//! Operations cross by name, with requests and answers as JSON: a store is asked over a network or a disk, and what is
//! added later is a name or a key more.

// What `sabi_trait` and `StableAbi` generate beside these items carries no docs and no lint discipline of ours.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    elided_lifetimes_in_paths,
    missing_debug_implementations,
    clippy::all,
    non_local_definitions,
    non_camel_case_types
)]

use std::{future::Future, pin::Pin, sync::Arc};

use abi_stable::{
    StableAbi,
    sabi_trait::TD_Opaque,
    std_types::{RBox, RResult, RStr, RString},
};
use async_ffi::{FfiFuture, FutureExt};

use super::{
    convert::result_to_v1,
    fence::{FencedFuture, Guarded, without_what_was_asked},
    objects::{from_json, to_json},
    v1::ErrorV1,
};
use crate::{AccessTokenStore, AuthCodeStore, ClientStore, Hooks, PluginError, Result};

/// The extension's id.
pub const STORES: &str = "stores/1";

/// A store as it crosses.
#[repr(C)]
#[derive(StableAbi)]
pub struct StoreEntryV1 {
    /// A number of [`StoreKind`].
    pub kind: u8,
    pub name: RString,
    pub store: Store,
}

pub type Store = StoreV1_TO<RBox<()>>;

/// What can be asked for something, by name.
#[abi_stable::sabi_trait]
pub trait StoreV1: Send + Sync + 'static {
    /// Requests and answers are JSON; an operation that is not known is unsupported.
    fn call(&self, operation: RStr<'_>, request: RStr<'_>) -> FfiFuture<RResult<RString, ErrorV1>>;
}

/// What a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreKind {
    AccessTokens,
    AuthCodes,
    Clients,
}

impl StoreKind {
    const NUMBERS: [(u8, Self); 3] = [(1, Self::AccessTokens), (2, Self::AuthCodes), (3, Self::Clients)];

    fn number(self) -> u8 {
        Self::NUMBERS.iter().find(|(_, kind)| *kind == self).map_or(0, |(number, _)| *number)
    }

    /// The kind with this number; `None`: one of a later version.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::NUMBERS.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind)
    }

    /// As listings say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessTokens => "access_tokens",
            Self::AuthCodes => "auth_codes",
            Self::Clients => "clients",
        }
    }
}

/// The operations, by name.
pub mod operation {
    pub const SAVE_TOKEN: &str = "save_token";
    pub const FETCH_BY_TOKEN: &str = "fetch_by_token";
    pub const FETCH_BY_REFRESH_TOKEN: &str = "fetch_by_refresh_token";
    pub const FETCH_EXISTING_TOKEN_OF_USER: &str = "fetch_existing_token_of_user";
    pub const DELETE_REFRESH_TOKEN: &str = "delete_refresh_token";
    pub const ROTATE_REFRESH_TOKEN: &str = "rotate_refresh_token";
    pub const REVOKE_TOKEN: &str = "revoke_token";
    pub const REVOKE_TOKENS_OF_USER: &str = "revoke_tokens_of_user";
    pub const REVOKE_TOKENS_OF_CLIENT: &str = "revoke_tokens_of_client";
    pub const REVOKE_FAMILY: &str = "revoke_family";
    pub const SAVE_CODE: &str = "save_code";
    pub const FETCH_BY_CODE: &str = "fetch_by_code";
    pub const DELETE_CODE: &str = "delete_code";
    pub const CONSUME_CODE: &str = "consume_code";
    pub const FETCH_BY_CLIENT_ID: &str = "fetch_by_client_id";
    pub const ADD_CLIENT: &str = "add_client";
    pub const UPDATE_CLIENT: &str = "update_client";
    pub const REMOVE_CLIENT: &str = "remove_client";
    pub const LIST_CLIENTS: &str = "list_clients";
}

type Answer = Pin<Box<dyn Future<Output = Result<RString>> + Send>>;

/// An author's store, and how an operation of it is done.
struct Object<S> {
    store: Arc<Guarded<S>>,
    ask: fn(Arc<Guarded<S>>, String, String) -> Answer,
}

impl<S: Send + Sync + 'static> StoreV1 for Object<S> {
    fn call(&self, operation: RStr<'_>, request: RStr<'_>) -> FfiFuture<RResult<RString, ErrorV1>> {
        let (operation, request) = (operation.as_str().to_owned(), request.as_str().to_owned());
        let answer = (self.ask)(Arc::clone(&self.store), operation, request);
        let answer = FencedFuture::new(answer, Arc::clone(self.store.services()));
        async move { result_to_v1(without_what_was_asked(answer.await)) }.into_ffi()
    }
}

impl Hooks {
    pub(crate) fn put_access_token_store<S: AccessTokenStore>(&mut self, store: S) {
        let name = store.name().to_owned();
        self.put_store(StoreKind::AccessTokens, &name, store, |store, operation, request| {
            Box::pin(ask_access_tokens(store, operation, request))
        });
    }

    pub(crate) fn put_auth_code_store<S: AuthCodeStore>(&mut self, store: S) {
        let name = store.name().to_owned();
        self.put_store(StoreKind::AuthCodes, &name, store, |store, operation, request| {
            Box::pin(ask_auth_codes(store, operation, request))
        });
    }

    pub(crate) fn put_client_store<S: ClientStore>(&mut self, store: S) {
        let name = store.name().to_owned();
        self.put_store(StoreKind::Clients, &name, store, |store, operation, request| {
            Box::pin(ask_clients(store, operation, request))
        });
    }

    fn put_store<S: Send + Sync + 'static>(
        &mut self,
        kind: StoreKind,
        name: &str,
        store: S,
        ask: fn(Arc<Guarded<S>>, String, String) -> Answer,
    ) {
        let store = Arc::new(Guarded::new(store, Arc::clone(&self.host().0), "the store"));
        let store = Store::from_value(Object { store, ask }, TD_Opaque);
        self.extension(STORES, StoreEntryV1 { kind: kind.number(), name: name.into(), store });
    }
}

fn unknown<T>() -> Result<T> {
    Err(PluginError::unsupported("this operation"))
}

async fn ask_access_tokens<S: AccessTokenStore>(
    store: Arc<Guarded<S>>,
    operation: String,
    request: String,
) -> Result<RString> {
    let request = RStr::from(request.as_str());
    match operation.as_str() {
        operation::SAVE_TOKEN => to_json(store.save_token(&from_json(request)?).await),
        operation::FETCH_BY_TOKEN => to_json(store.fetch_by_token(&from_json::<String>(request)?).await),
        operation::FETCH_BY_REFRESH_TOKEN => {
            to_json(store.fetch_by_refresh_token(&from_json::<String>(request)?).await)
        }
        operation::FETCH_EXISTING_TOKEN_OF_USER => {
            let (client, grant, user): (String, String, String) = from_json(request)?;
            to_json(store.fetch_existing_token_of_user(&client, &grant, &user).await)
        }
        operation::DELETE_REFRESH_TOKEN => to_json(store.delete_refresh_token(&from_json::<String>(request)?).await),
        operation::ROTATE_REFRESH_TOKEN => to_json(store.rotate_refresh_token(&from_json(request)?).await),
        operation::REVOKE_TOKEN => {
            let (token, client): (String, Option<String>) = from_json(request)?;
            to_json(store.revoke_token(&token, client.as_deref()).await)
        }
        operation::REVOKE_TOKENS_OF_USER => to_json(store.revoke_tokens_of_user(&from_json::<String>(request)?).await),
        operation::REVOKE_TOKENS_OF_CLIENT => {
            to_json(store.revoke_tokens_of_client(&from_json::<String>(request)?).await)
        }
        operation::REVOKE_FAMILY => to_json(store.revoke_family(&from_json::<String>(request)?).await),
        _ => unknown(),
    }
}

async fn ask_auth_codes<S: AuthCodeStore>(
    store: Arc<Guarded<S>>,
    operation: String,
    request: String,
) -> Result<RString> {
    let request = RStr::from(request.as_str());
    match operation.as_str() {
        operation::SAVE_CODE => to_json(store.save_code(&from_json(request)?).await),
        operation::FETCH_BY_CODE => to_json(store.fetch_by_code(&from_json::<String>(request)?).await),
        operation::DELETE_CODE => to_json(store.delete_code(&from_json::<String>(request)?).await),
        operation::CONSUME_CODE => {
            let (code, client, redirect_uri): (String, String, String) = from_json(request)?;
            to_json(store.consume_code(&code, &client, &redirect_uri).await)
        }
        _ => unknown(),
    }
}

async fn ask_clients<S: ClientStore>(store: Arc<Guarded<S>>, operation: String, request: String) -> Result<RString> {
    let request = RStr::from(request.as_str());
    match operation.as_str() {
        operation::FETCH_BY_CLIENT_ID => to_json(store.fetch_by_client_id(&from_json::<String>(request)?).await),
        operation::ADD_CLIENT => to_json(store.add_client(&from_json(request)?).await),
        operation::UPDATE_CLIENT => to_json(store.update_client(&from_json(request)?).await),
        operation::REMOVE_CLIENT => to_json(store.remove_client(&from_json::<String>(request)?).await),
        operation::LIST_CLIENTS => to_json(store.list_clients(&from_json(request)?).await),
        _ => unknown(),
    }
}
