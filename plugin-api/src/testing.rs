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

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;

use crate::{
    CreateToken, CreatedToken, Event, Hooks, PluginError, Result, Verdict,
    abi::{
        convert::{CreateText, created_from_v1, error_from_v1, verdict_from_v1},
        export::new_in_process,
        v1,
    },
    recorder::{Audience, Recorder},
};

/// A host with one plugin, for tests.
pub struct TestHost {
    // Kept for the instance, which may ask for them by way of its services. First, since a keeper is dropped last.
    _generators: Vec<Arc<v1::TokenGeneratorEntryV1>>,
    instance: v1::InstanceV1,
    recorder: Arc<Recorder>,
    events: Arc<Events>,
}

impl std::fmt::Debug for TestHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.instance.handlers.iter().map(|handler| handler.name.as_str())).finish()
    }
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
        let events = Arc::new(Events::default());
        let recorder = Recorder::new(Arc::<Events>::clone(&events));
        let new = v1::NewInstanceV1 {
            name: "test".into(),
            settings: settings.into(),
            resolved: Vec::new().into(),
            folder: ".".into(),
        };
        let made = new_in_process(recorder.services(), new, register).into_result();
        let mut instance = made.map_err(error_from_v1)?;
        let generators: Vec<_> = std::mem::take(&mut instance.token_generators).into_iter().map(Arc::new).collect();
        recorder.lend(&generators);
        Ok(Self { instance, _generators: generators, recorder, events })
    }

    /// Sets the clock, in Unix seconds.
    pub fn set_now(&self, unix_seconds: u64) {
        self.recorder.set_now(unix_seconds);
    }

    /// The events that the plugin sent, oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.events.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
        match self.instance.handlers.first().map(|entry| &entry.handler) {
            Some(v1::HandlerKindV1::Inline(handler) | v1::HandlerKindV1::Blocking(handler)) => Ok(handler),
            Some(v1::HandlerKindV1::Async(_)) => Err(PluginError::unsupported("an async handler in a test host")),
            None => Err(PluginError::failed("the plugin registered no handler")),
        }
    }
}

#[derive(Default)]
struct Events(Mutex<Vec<Event>>);

impl Audience for Events {
    fn sent(&self, event: &str) {
        if let Ok(event) = serde_json::from_str(event) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
    }
}
