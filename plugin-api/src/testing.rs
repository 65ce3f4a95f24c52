//! [`TestHost`]: just enough of a host for a plugin's own `cargo test`.
//!
//! It makes an instance from a `register` function and settings, as a host does, and calls it
//! through the same boundary objects and the same panic fence. It loads no files, has one plugin,
//! and its clock stands still unless it is set.
//!
//! ```
//! use token_plugin_api::{Actor, Call, Hooks, NoConfig, Result, TokenHandler, Verdict, testing::TestHost};
//!
//! struct Everybody;
//!
//! impl TokenHandler for Everybody {
//!     fn name(&self) -> &str {
//!         "everybody"
//!     }
//!
//!     fn verify_token(&self, _: &Call<'_>, token: &str) -> Result<Verdict> {
//!         Ok(Verdict::Accepted(Actor::new(token, "name")))
//!     }
//! }
//!
//! fn register(hooks: &mut Hooks, _: NoConfig) -> Result<()> {
//!     hooks.handler(Everybody);
//!     Ok(())
//! }
//!
//! let host = TestHost::new(r#"{}"#, register).unwrap();
//! assert_eq!(host.verify("root").unwrap(), Verdict::Accepted(Actor::new("root", "name")));
//! ```

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RStr},
};
use serde::de::DeserializeOwned;

use crate::{
    CreateToken, CreatedToken, Event, Hooks, PluginError, Result, Verdict,
    abi::{
        convert::{CreateText, created_from_v1, error_from_v1, verdict_from_v1},
        export::new_in_process,
        v1,
    },
};

/// A host with one plugin, for tests.
#[derive(Debug)]
pub struct TestHost {
    instance: Instance,
    shared: Arc<Shared>,
}

struct Instance(v1::InstanceV1);

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.handlers.iter().map(|handler| handler.name.as_str())).finish()
    }
}

/// 2001-09-09 01:46:40 UTC, for no other reason than that it is easy to recognize.
const DEFAULT_NOW: u64 = 1_000_000_000;

#[derive(Debug)]
struct Shared {
    now: AtomicU64,
    events: Mutex<Vec<Event>>,
}

impl TestHost {
    /// Makes an instance from settings, as JSON, and a `register` function.
    ///
    /// # Errors
    ///
    /// What a host would report: settings that do not fit, or what `register` answers.
    pub fn new<C: DeserializeOwned>(
        settings: &str,
        register: impl FnOnce(&mut Hooks, C) -> Result<()>,
    ) -> Result<Self> {
        let shared = Arc::new(Shared { now: AtomicU64::new(DEFAULT_NOW), events: Mutex::default() });
        let services = v1::Services::from_value(TestServices(Arc::clone(&shared)), TD_Opaque);
        let new = v1::NewInstanceV1 { name: "test".into(), settings: settings.into(), resolved: Vec::new().into() };
        let made = new_in_process(services, new, register).into_result().map_err(error_from_v1)?;
        Ok(Self { instance: Instance(made), shared })
    }

    /// Sets the clock, in Unix seconds.
    pub fn set_now(&self, unix_seconds: u64) {
        self.shared.now.store(unix_seconds, Ordering::Relaxed);
    }

    /// The events that the plugin sent, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.shared.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the plugin's first handler to judge a token. Async handlers are not for this: test what they call.
    ///
    /// # Errors
    ///
    /// What the handler answers, or that there is none.
    pub fn verify(&self, token: &str) -> Result<Verdict> {
        verdict_from_v1(self.handler()?.verify(token.into(), "".into()))
    }

    /// Asks the plugin's first handler to make a token.
    ///
    /// # Errors
    ///
    /// What the handler answers, or that there is none.
    pub fn create(&self, request: &CreateToken) -> Result<CreatedToken> {
        created_from_v1(self.handler()?.create(CreateText::new(request)?.view(), "".into()))
    }

    fn handler(&self) -> Result<&v1::Handler> {
        match self.instance.0.handlers.first().map(|entry| &entry.handler) {
            Some(v1::HandlerKindV1::Inline(handler) | v1::HandlerKindV1::Blocking(handler)) => Ok(handler),
            Some(v1::HandlerKindV1::Async(_)) => Err(PluginError::unsupported("an async handler in a test host")),
            None => Err(PluginError::failed("the plugin registered no handler")),
        }
    }
}

struct TestServices(Arc<Shared>);

impl v1::HostServicesV1 for TestServices {
    fn now(&self) -> u64 {
        self.0.now.load(Ordering::Relaxed)
    }

    fn log_enabled(&self, _: u8) -> bool {
        false
    }

    fn log(&self, _: v1::LogRecordV1<'_>) {}

    fn emit(&self, event: RStr<'_>) {
        if let Ok(event) = serde_json::from_str(event.as_str()) {
            self.0.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
    }

    fn token_generator(&self, _: RStr<'_>) -> ROption<v1::Generator> {
        ROption::RNone
    }

    fn extension(&self, _: RStr<'_>) -> ROption<v1::ExtensionV1> {
        ROption::RNone
    }
}
