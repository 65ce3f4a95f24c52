//! [`Call`]: the call that a hook is part of. [`HostHandle`]: what the host does for a plugin.

use std::{fmt, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Event, Result, TokenGenerator, abi::services::HostServices};

/// What the host does for a plugin. Cheap to clone, and free to be kept and used from any thread.
#[derive(Clone)]
pub struct HostHandle(pub(crate) Arc<HostServices>);

impl HostHandle {
    /// The time, in Unix seconds, UTC. Always ask this clock: tests and embedders set it.
    pub fn now(&self) -> u64 {
        self.0.now()
    }

    /// Sends an event to the event sinks and to the embedder's subscribers.
    pub fn emit(&self, event: &Event) {
        self.0.emit(event);
    }

    /// The token generator with this id, of whichever plugin: the first in call order.
    ///
    /// Ask when it is needed rather than at registration: generators of plugins that are
    /// registered later are not there before the host has finished loading.
    pub fn token_generator(&self, id: &str) -> Option<impl TokenGenerator + use<>> {
        self.0.token_generator(id)
    }

    /// The name of the plugin that this handle was given to, as configured.
    pub fn plugin(&self) -> &str {
        self.0.plugin()
    }

    /// What relative paths in the plugin's settings are relative to: the folder of the host's configuration.
    pub fn folder(&self) -> &Path {
        self.0.folder()
    }
}

impl fmt::Debug for HostHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostHandle").field("plugin", &self.plugin()).finish()
    }
}

/// The call that a hook is part of: what Datasette's handlers have in their `datasette` argument.
#[derive(Debug)]
pub struct Call<'a> {
    pub(crate) host: &'a HostHandle,
    pub(crate) context: &'a str,
}

impl Call<'_> {
    /// What the host does for a plugin.
    pub fn host(&self) -> &HostHandle {
        self.host
    }

    /// The time, in Unix seconds, UTC.
    pub fn now(&self) -> u64 {
        self.host.now()
    }

    /// Where the token came from, as far as the host's caller said so.
    ///
    /// # Errors
    ///
    /// When the host sent something that is no request context.
    pub fn context(&self) -> Result<RequestContext> {
        if self.context.is_empty() {
            return Ok(RequestContext::default());
        }
        serde_json::from_str(self.context).map_err(crate::PluginError::failed)
    }
}

/// Where a token came from. Everything in it is optional; none of it was verified.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct RequestContext {
    /// The address of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<String>,
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The request's method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The host that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The client's `User-Agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// Fields of the embedder's own.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
