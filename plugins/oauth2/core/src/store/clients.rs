//! [`KeptClients`]: the store for clients.

use std::sync::Arc;

use token_plugin_api::{CLIENT, Client, ClientPage, ClientStore, ListClients, PluginError, Result};

use super::{Kept, TRIES, crowded, of_another_kind};
use crate::items::{Item, Key, Kind, Next, Proof, Stored};

/// The store for clients.
#[derive(Debug, Clone)]
pub(crate) struct KeptClients(pub(crate) Arc<Kept>);

/// Unless a page is asked for of another length.
const PAGE_CLIENTS: u32 = 100;
const MAX_PAGE_CLIENTS: u32 = 1_000;

fn not_found() -> PluginError {
    PluginError::not_found(CLIENT)
}

fn client_key(client_id: &str) -> Key {
    Key::new(Kind::Client, [client_id])
}

fn clients_key() -> Key {
    Key::new(Kind::Clients, [""])
}

impl KeptClients {
    async fn client(&self, key: Key) -> Result<Option<(Client, Proof)>> {
        let Some(Item { stored, proof }) = self.0.items.get(key, self.0.now()).await? else { return Ok(None) };
        match &*stored {
            Stored::Client(client) => Ok(Some((Client::clone(client), proof))),
            _ => Err(of_another_kind()),
        }
    }
}

impl ClientStore for KeptClients {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn fetch_by_client_id(&self, client_id: &str) -> Result<Client> {
        Ok(self.client(client_key(client_id)).await?.ok_or_else(not_found)?.0)
    }

    async fn add_client(&self, client: &Client) -> Result<()> {
        let (key, now) = (client_key(&client.identifier), self.0.now());
        // First: one that is listed and not there yet is passed over.
        self.0.items.note(clients_key(), key, None, now).await?;
        match self.0.items.add(key, Stored::Client(Box::new(client.clone())), None, now).await? {
            // Once more: whoever removed an older one of this name in between has taken it out.
            true => self.0.items.note(clients_key(), key, None, now).await,
            false => Err(PluginError::invalid_argument(format!("there is a client {:?} already", client.identifier))),
        }
    }

    async fn update_client(&self, client: &Client) -> Result<()> {
        let key = client_key(&client.identifier);
        for _ in 0..TRIES {
            let (_, proof) = self.client(key).await?.ok_or_else(not_found)?;
            let next = Next::Is(Stored::Client(Box::new(client.clone())), None);
            if self.0.items.swap(key, proof, next, self.0.now()).await? {
                return Ok(());
            }
        }
        Err(crowded())
    }

    async fn remove_client(&self, client_id: &str) -> Result<()> {
        let key = client_key(client_id);
        if !self.0.items.remove(key, self.0.now()).await? {
            return Err(not_found());
        }
        self.0.items.forget(clients_key(), vec![key], self.0.now()).await
    }

    /// All clients are read for it: there are few of them, and it is people who ask.
    async fn list_clients(&self, request: &ListClients) -> Result<ClientPage> {
        let mut clients = Vec::new();
        for key in self.0.items.members(clients_key(), self.0.now()).await? {
            clients.extend(self.client(key).await?.map(|(client, _)| client));
        }
        clients.retain(|client| request.after.as_ref().is_none_or(|after| client.identifier > *after));
        clients.sort_by(|one, other| one.identifier.cmp(&other.identifier));
        let limit = request.limit.unwrap_or(PAGE_CLIENTS).clamp(1, MAX_PAGE_CLIENTS) as usize;
        let is_last = clients.len() <= limit;
        clients.truncate(limit);
        let next = clients.last().filter(|_| !is_last).map(|last| last.identifier.clone());
        Ok(ClientPage::new(clients, next))
    }
}
