//! [`PythonClients`]: the store for clients.

use std::sync::Arc;

use token_plugin_api::{CLIENT, Client, ClientStore, PluginError, Result};

use super::{Python, TRIES, crowded, json::to_json, records::PythonClient};
use crate::items::Proof;

/// The store for clients. They cannot be listed: nothing tells a client's key from another.
#[derive(Debug, Clone)]
pub(crate) struct PythonClients(pub(crate) Arc<Python>);

fn not_found() -> PluginError {
    PluginError::not_found(CLIENT)
}

impl PythonClients {
    async fn client(&self, client_id: &str) -> Result<(PythonClient, Proof)> {
        let found = self.0.read::<PythonClient>(self.0.theirs(client_id)).await?;
        found.filter(|(client, _)| client.identifier == client_id).ok_or_else(not_found)
    }
}

impl ClientStore for PythonClients {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn fetch_by_client_id(&self, client_id: &str) -> Result<Client> {
        Ok(self.client(client_id).await?.0.into_client())
    }

    async fn add_client(&self, client: &Client) -> Result<()> {
        let value = to_json(&PythonClient::of(client)?)?;
        match self.0.values.add(self.0.theirs(&client.identifier), value, self.0.life(None)).await? {
            true => Ok(()),
            false => Err(PluginError::invalid_argument(format!("there is a client {:?} already", client.identifier))),
        }
    }

    async fn update_client(&self, client: &Client) -> Result<()> {
        let value = to_json(&PythonClient::of(client)?)?;
        for _ in 0..TRIES {
            let (_, proof) = self.client(&client.identifier).await?;
            let next = Some((value.clone(), self.0.life(None)));
            if self.0.values.swap(self.0.theirs(&client.identifier), proof, next).await? {
                return Ok(());
            }
        }
        Err(crowded())
    }

    async fn remove_client(&self, client_id: &str) -> Result<()> {
        for _ in 0..TRIES {
            let (_, proof) = self.client(client_id).await?;
            if self.0.values.swap(self.0.theirs(client_id), proof, None).await? {
                return Ok(());
            }
        }
        Err(crowded())
    }
}
