//! [`Hooks`]: what a plugin registers, when it is loaded.

use std::fmt;

use abi_stable::{
    StableAbi,
    std_types::{RString, RVec},
};
use serde::Deserialize;

use crate::{
    AccessTokenStore, AsyncTokenHandler, AuthCodeStore, ClientStore, EventSink, HostHandle, Metric, PluginError,
    Result, TokenGenerator, TokenHandler, Wrapper,
    abi::{manifest::Hook, stores::STORES, v1},
};

/// Takes what a plugin registers: one or several of any hook, as Datasette's hook returns a
/// handler or a list of them. Handlers of one plugin are called in the order of their registration.
pub struct Hooks {
    host: HostHandle,
    pub(crate) instance: v1::InstanceV1,
    faults: Vec<String>,
}

impl Hooks {
    /// What the host does for the plugin: clone it to keep it.
    pub fn host(&self) -> &HostHandle {
        &self.host
    }

    /// A handler whose calls only compute: it is called on the caller's own task, and cannot be
    /// interrupted.
    pub fn handler(&mut self, handler: impl TokenHandler) -> &mut Self {
        self.put_handler(handler, false);
        self
    }

    /// A handler whose calls may wait for a disk or a network: it is called on threads that the host
    /// keeps for this plugin, and its callers are answered at the deadline at the latest.
    pub fn blocking_handler(&mut self, handler: impl TokenHandler) -> &mut Self {
        self.put_handler(handler, true);
        self
    }

    /// A handler that waits without holding a thread; its callers are answered at the deadline at
    /// the latest, and its future is dropped then.
    pub fn async_handler(&mut self, handler: impl AsyncTokenHandler) -> &mut Self {
        self.put_async_handler(handler);
        self
    }

    /// Code that runs around every creation and verification. Of several wrappers of one plugin
    /// the first is the outermost.
    pub fn wrapper(&mut self, wrapper: impl Wrapper) -> &mut Self {
        self.put_wrapper(wrapper);
        self
    }

    /// A receiver of events.
    pub fn event_sink(&mut self, sink: impl EventSink) -> &mut Self {
        self.put_event_sink(sink);
        self
    }

    /// A maker of token values.
    pub fn token_generator(&mut self, generator: impl TokenGenerator) -> &mut Self {
        self.put_token_generator(generator);
        self
    }

    /// A place for access tokens.
    pub fn access_token_store(&mut self, store: impl AccessTokenStore) -> &mut Self {
        self.put_access_token_store(store);
        self
    }

    /// A place for authorization codes.
    pub fn auth_code_store(&mut self, store: impl AuthCodeStore) -> &mut Self {
        self.put_auth_code_store(store);
        self
    }

    /// A place for clients.
    pub fn client_store(&mut self, store: impl ClientStore) -> &mut Self {
        self.put_client_store(store);
        self
    }

    /// What tells figures of the plugin, for those who run the host. It is asked when somebody looks at them, from any
    /// thread, and must not wait.
    pub fn metrics(&mut self, measure: impl Fn() -> Vec<Metric> + Send + Sync + 'static) -> &mut Self {
        self.put_metrics(measure);
        self
    }

    /// An object for a host that knows what `id` stands for: how hooks come in that level 1 of the ABI
    /// has no name for. The object's layout is checked before it is used; see [`abi`](crate::abi).
    pub fn extension<T: StableAbi + Send + Sync + 'static>(&mut self, id: &str, object: T) -> &mut Self {
        let extension = v1::ExtensionV1::new(object);
        self.instance.extensions.push(v1::ExtensionEntryV1 { id: id.into(), extension });
        self
    }

    /// Tells the operator something that is no error, for instance that a setting is deprecated.
    pub fn warn(&mut self, message: impl Into<String>) -> &mut Self {
        self.instance.warnings.push(RString::from(message.into()));
        self
    }

    pub(crate) fn new(host: HostHandle, keeper: v1::Keeper) -> Self {
        let instance = v1::InstanceV1 {
            handlers: RVec::new(),
            wrappers: RVec::new(),
            event_sinks: RVec::new(),
            token_generators: RVec::new(),
            extensions: RVec::new(),
            warnings: RVec::new(),
            keeper,
        };
        Self { host, instance, faults: Vec::new() }
    }

    pub(crate) fn fault(&mut self, message: String) {
        self.faults.push(message);
    }

    /// Whether everything that was registered is sound, and of a hook that the manifest declares, if there is one.
    pub(crate) fn check(&self, declared: Option<&[Hook]>) -> Result<()> {
        if let Some(fault) = self.faults.first() {
            return Err(PluginError::failed(fault));
        }
        let Some(declared) = declared else { return Ok(()) };
        let instance = &self.instance;
        for (hook, registered) in [
            (Hook::TokenHandler, !instance.handlers.is_empty()),
            (Hook::Wrapper, !instance.wrappers.is_empty()),
            (Hook::EventSink, !instance.event_sinks.is_empty()),
            (Hook::TokenGenerator, !instance.token_generators.is_empty()),
            (Hook::Store, instance.extensions.iter().any(|extension| extension.id == STORES)),
        ] {
            if registered && !declared.contains(&hook) {
                return Err(PluginError::failed(format!(
                    "it registered a {hook}, which its manifest does not declare: add `{hook:?}` to `hooks` in `export_plugin!`"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn into_instance(self) -> v1::InstanceV1 {
        self.instance
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The configuration of a plugin that has none: any key in it is refused.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}
