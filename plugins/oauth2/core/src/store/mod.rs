//! The stores: what they promise, made from [`Items`] once for all backends.
//!
//! # How several items change as one
//!
//! A refresh token that is used is swapped for one that says so. Whoever's swap is done goes on; all others find that it
//! was used. A family is one item that names its tokens: new ones are written first and named by a swap then, which fails
//! when the family was revoked in between, and whoever revokes it swaps first and removes the tokens that were named
//! then. So in whatever order that happens, no token of a revoked family is left. A process that dies in the middle leaves a
//! grant behind that is used up, never one that is good twice; what it did not come to remove is removed by whoever revokes
//! the family again, as each further use of the old token does.

mod clients;
mod codes;
mod families;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use token_plugin_api::{AccessTokenStore, AuthCodeStore, ClientStore, HostHandle, PluginError, Result};

use crate::{config::Config, items::Items};

pub(crate) use clients::KeptClients;
pub(crate) use codes::KeptCodes;
pub(crate) use tokens::KeptTokens;

/// What all three stores of one backend share.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) items: Arc<dyn Items>,
    pub(crate) host: HostHandle,
}

impl Kept {
    pub(crate) fn now(&self) -> u64 {
        self.host.now()
    }
}

/// The stores of a backend by themselves: for embedders who want no host around them.
#[derive(Debug, Clone)]
pub struct Stores(pub(crate) Arc<Kept>);

impl Stores {
    /// The stores that these settings want, in the plugin's own layout. Nothing is opened yet. Calls are waited for
    /// anywhere; what they wait for happens on the plugin's runtime.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense.
    pub fn new(config: &Config, host: &HostHandle) -> Result<Self> {
        let (name, items, host) = (config.name.clone(), config.items(host)?, host.clone());
        Ok(Self(Arc::new(Kept { name, items, host })))
    }

    /// The store for access tokens.
    pub fn access_tokens(&self) -> impl AccessTokenStore + use<> {
        KeptTokens(Arc::clone(&self.0))
    }

    /// The store for authorization codes.
    pub fn auth_codes(&self) -> impl AuthCodeStore + use<> {
        KeptCodes(Arc::clone(&self.0))
    }

    /// The store for clients.
    pub fn clients(&self) -> impl ClientStore + use<> {
        KeptClients(Arc::clone(&self.0))
    }
}

/// How long items are kept after they have expired: so long a token is told to have expired, and not to be unknown; and a
/// backend whose clock is a little ahead of the hosts' forgets nothing too early. Whether something has expired is judged
/// by what it says itself.
const GRACE_SECONDS: u64 = 300;

/// Until when an item is kept that expires at this time.
fn kept_until(expires_at: Option<u64>) -> Option<u64> {
    expires_at.map(|expires_at| expires_at.saturating_add(GRACE_SECONDS))
}

/// How long it is known that a family was revoked, or a code consumed, after it could be used last: longer than anything
/// that was begun before can take.
const REMEMBERED_SECONDS: u64 = 24 * 60 * 60;

/// How long it is known that a family was revoked of whose tokens nothing is known: longer than refresh tokens are usually
/// good for.
pub(crate) const UNKNOWN_FAMILY_SECONDS: u64 = 400 * 24 * 60 * 60;

/// How often a swap is tried again that others are faster with: more than there are callers at once.
const TRIES: u32 = 1_000;

/// What a key leads to that is nothing of its kind.
fn of_another_kind() -> PluginError {
    PluginError::failed("an item is of another kind than its key: another program wrote it")
}

fn crowded() -> PluginError {
    PluginError::failed("others were faster with an item each time")
}
