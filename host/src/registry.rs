//! [`Registry`]: one immutable generation of what is registered, in call order.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use token_plugin_api::{
    CreateToken, CreatedToken, PluginError, Result, Verdict,
    abi::{manifest::Hook, v1},
};

use crate::{
    breaker::{Condition, Rules},
    claims::ClaimIndex,
    config::{HttpSettings, OAuth2Settings, OnError, PluginEntry},
    error::Error,
    handler::Said,
    instance::{Instance, Wrapper},
    metrics::{Counts, Metrics},
    stores::StoreSlot,
    watchdog::Watched,
};

/// One generation. It is never changed: a reload builds the next one.
#[derive(Default)]
pub(crate) struct Registry {
    pub(crate) generation: u64,
    pub(crate) max_token_bytes: usize,
    /// In call order.
    pub(crate) handlers: Vec<HandlerSlot>,
    /// In call order: the outermost first.
    pub(crate) wrappers: Vec<Slot>,
    /// In call order.
    pub(crate) sinks: Vec<Slot>,
    generators: Vec<Arc<v1::TokenGeneratorEntryV1>>,
    /// In call order.
    pub(crate) stores: Vec<Arc<StoreSlot>>,
    /// How the host is an authorization server, if it is one.
    pub(crate) oauth2: Option<Arc<OAuth2Settings>>,
    /// How requests are judged and served.
    pub(crate) http: Arc<HttpSettings>,
    claims: ClaimIndex,
    inline: bool,
    pub(crate) rows: Vec<PluginRow>,
    /// What it was made from, for the next generation to take over what has not changed.
    pub(crate) instances: Vec<Arc<Instance>>,
}

/// One of an instance's wrappers or sinks, by its index.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) instance: Arc<Instance>,
    pub(crate) index: usize,
    pub(crate) deadline: Duration,
}

/// One of an instance's handlers, with what this generation's configuration says about it.
pub(crate) struct HandlerSlot {
    slot: Slot,
    manage_deadline: Duration,
    pub(crate) on_error: OnError,
    breaker: Rules,
    pub(crate) metrics: Arc<Counts>,
}

/// What goes into a registry, each list in call order.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) handlers: Vec<HandlerSlot>,
    pub(crate) wrappers: Vec<Slot>,
    pub(crate) sinks: Vec<Slot>,
    pub(crate) generators: Vec<Arc<v1::TokenGeneratorEntryV1>>,
    pub(crate) stores: Vec<Arc<StoreSlot>>,
    pub(crate) rows: Vec<PluginRow>,
    pub(crate) instances: Vec<Arc<Instance>>,
}

impl Registry {
    pub(crate) fn new(generation: u64, max_token_bytes: usize, parts: Parts) -> Self {
        let Parts { handlers, wrappers, sinks, generators, stores, rows, instances } = parts;
        Self {
            claims: ClaimIndex::new(handlers.iter().map(HandlerSlot::claims)),
            inline: handlers.iter().all(HandlerSlot::is_inline),
            generation,
            max_token_bytes,
            handlers,
            wrappers,
            sinks,
            generators,
            stores,
            oauth2: None,
            http: Arc::default(),
            rows,
            instances,
        }
    }

    /// The places of the handlers that are to see this token, in call order.
    pub(crate) fn candidates(&self, token: &str) -> &[usize] {
        self.claims.candidates(token)
    }

    /// Whether no handler ever waits, so that a call is over at once.
    pub(crate) fn is_inline(&self) -> bool {
        self.inline
    }

    /// Whether a sink must record what happens before it is answered.
    pub(crate) fn has_required_sink(&self) -> bool {
        self.sinks.iter().any(|slot| slot.instance.sinks[slot.index].required)
    }

    /// The handler with this name, or all in call order.
    pub(crate) fn chosen(&self, name: Option<&str>) -> Result<&[HandlerSlot], Error> {
        if self.handlers.is_empty() {
            return Err(Error::no_handlers());
        }
        let Some(name) = name else { return Ok(&self.handlers) };
        match self.handlers.iter().position(|handler| handler.name() == name) {
            Some(place) => Ok(&self.handlers[place..=place]),
            None => Err(Error::unknown_handler(name, self.handlers.iter().map(HandlerSlot::name))),
        }
    }

    /// Everything inline, with how long it may run.
    pub(crate) fn watched(&self) -> impl Iterator<Item = (&Arc<Watched>, Duration)> {
        let handlers = self.handlers.iter().filter_map(|handler| Some((handler.watched()?, handler.slot.deadline)));
        handlers.chain(self.wrappers.iter().map(|slot| (&slot.wrapper().watched, slot.deadline)))
    }

    /// The listing, with how everything is right now.
    pub(crate) fn rows_now(&self) -> Vec<PluginRow> {
        let mut rows = self.rows.clone();
        fn of(rows: &mut [PluginRow], kind: Hook) -> impl Iterator<Item = &mut PluginRow> {
            rows.iter_mut().filter(move |row| row.kind == kind.name())
        }
        for (row, handler) in of(&mut rows, Hook::TokenHandler).zip(&self.handlers) {
            let Condition { state, failures_in_a_row, last_failure } =
                handler.slot.instance.breaker.condition(&handler.breaker);
            (row.state, row.failures_in_a_row) = (Some(state), Some(failures_in_a_row));
            row.last_failure = last_failure;
            row.slow_calls = handler.watched().map(|watched| watched.slow_calls());
        }
        for (row, slot) in of(&mut rows, Hook::Wrapper).zip(&self.wrappers) {
            row.slow_calls = Some(slot.wrapper().watched.slow_calls());
        }
        rows
    }

    /// The generator with this id, the first in call order.
    pub(crate) fn generator(&self, id: &str) -> Option<Arc<v1::TokenGeneratorEntryV1>> {
        self.generators.iter().find(|generator| generator.id == id).map(Arc::clone)
    }
}

impl Slot {
    /// The wrapper, where this is the slot of one.
    pub(crate) fn wrapper(&self) -> &Wrapper {
        &self.instance.wrappers[self.index]
    }
}

impl HandlerSlot {
    pub(crate) fn new(slot: Slot, entry: &PluginEntry, metrics: &Metrics) -> Self {
        let PluginEntry { manage_deadline, on_error, .. } = *entry;
        let metrics = metrics.of(&slot.instance.handlers[slot.index].name);
        Self { slot, manage_deadline, on_error, breaker: Rules::of(entry), metrics }
    }

    pub(crate) fn name(&self) -> &str {
        &self.slot.instance.handlers[self.slot.index].name
    }

    pub(crate) fn plugin(&self) -> &str {
        self.slot.instance.plugin()
    }

    pub(crate) fn claims(&self) -> &[String] {
        &self.slot.instance.handlers[self.slot.index].claims
    }

    fn is_inline(&self) -> bool {
        self.slot.instance.handlers[self.slot.index].is_inline()
    }

    fn watched(&self) -> Option<&Arc<Watched>> {
        self.slot.instance.handlers[self.slot.index].watched.as_ref()
    }

    pub(crate) fn verify(&self, token: &str, context: &str) -> Said<'_, Verdict> {
        self.slot.instance.verify(self.slot.index, self.slot.deadline, &self.breaker, token, context)
    }

    pub(crate) fn create(&self, request: &CreateToken, context: &str) -> Said<'_, CreatedToken> {
        self.slot.instance.create(self.slot.index, self.slot.deadline, &self.breaker, request, context)
    }

    pub(crate) fn manage(&self, operation: &'static str, request: String, context: &str) -> Said<'_, String> {
        self.slot.instance.manage(self.slot.index, self.manage_deadline, &self.breaker, operation, request, context)
    }

    /// An answer to `operation` that is an error, as the host tells it.
    pub(crate) fn error(&self, operation: &str, error: PluginError) -> Error {
        Error::from_plugin(self.plugin(), &format!("handler \"{}\"", self.name()), operation, error)
    }
}

/// One line of a listing: something that a plugin registered, and why it stands where it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct PluginRow {
    /// The name of the handler, wrapper, sink or store, or the generator's id.
    pub name: String,
    /// The plugin's name, as configured.
    pub plugin: String,
    /// `wrapper`, `handler`, `event_sink`, `token_generator` or `store`.
    pub kind: &'static str,
    /// Whether it is called before others.
    pub tryfirst: bool,
    /// Whether it is called after others.
    pub trylast: bool,
    /// Whether it runs around the handlers.
    pub wrapper: bool,
    /// Why it stands at this place: `registered 3rd; tryfirst from config`.
    pub reason: String,
    /// The plugin's library; none: it is linked into the host.
    pub file: Option<String>,
    /// The SHA-256 of that file, in hex.
    pub sha256: Option<String>,
    /// The plugin's version.
    pub version: Option<String>,
    /// The level of the ABI it was built for.
    pub abi_level: Option<u32>,
    /// The compiler that built it.
    pub rustc: Option<String>,
    /// `inline`, `blocking` or `async`, for handlers.
    pub execution: Option<&'static str>,
    /// A regular expression for what its tokens look like, for generators that have one.
    pub pattern: Option<String>,
    /// The prefixes of the tokens that it sees, for handlers; none: every token.
    pub claims: Vec<String>,
    /// What an error means, for handlers: `stop` or `continue`.
    pub on_error: Option<&'static str>,
    /// Milliseconds that a call may take, where calls may wait.
    pub deadline_ms: Option<u64>,
    /// `serving`, `tripped` (its calls are refused for a while) or `probing` (one call is trying it), for handlers; the
    /// same for all of a plugin's.
    pub state: Option<&'static str>,
    /// How often the plugin failed since it last answered, for handlers.
    pub failures_in_a_row: Option<u32>,
    /// What the plugin's last failure was, for handlers; it stays when the plugin answers again.
    pub last_failure: Option<String>,
    /// Calls that were reported because they ran for longer than `deadline_ms` of the configuration, for what cannot be
    /// interrupted: inline handlers and wrappers.
    pub slow_calls: Option<u64>,
    /// The generation of the registry that it was first in.
    pub generation: u64,
}
