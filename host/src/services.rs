//! The host's side of what it does for plugins: log, clock, events, token generators.
//!
//! Plugins call these from any thread. A panic in here would end the process, as in any boundary
//! function, so each runs in a fence of its own.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Weak},
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RStr, RString},
};
use token_plugin_api::{
    Event,
    abi::v1::{
        self, ErrorV1, ExtensionV1, Generator, HostServicesV1, LogRecordV1, TokenGeneratorEntryV1, TokenGeneratorV1,
    },
};
use tracing::Level;

use crate::{clock::Clock, engine::Engine};

/// The host, as one plugin's instance sees it.
pub(crate) struct ForPlugin {
    plugin: String,
    clock: Arc<dyn Clock>,
    // Weak, since the host owns the instance that owns this.
    engine: Weak<Engine>,
}

impl ForPlugin {
    pub(crate) fn services(plugin: &str, engine: &Arc<Engine>) -> v1::Services {
        let services =
            Self { plugin: plugin.to_owned(), clock: Arc::clone(&engine.clock), engine: Arc::downgrade(engine) };
        v1::Services::from_value(services, TD_Opaque)
    }
}

fn fenced<T>(otherwise: T, code: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or(otherwise)
}

/// Runs `$then` with `$level` bound to the constant for a level number: `tracing` wants constants.
macro_rules! for_level {
    ($number:expr, |$level:ident| $then:expr) => {{
        macro_rules! with {
            ($constant:expr) => {{
                const $level: Level = $constant;
                $then
            }};
        }
        match $number {
            0 | 1 => with!(Level::ERROR),
            2 => with!(Level::WARN),
            3 => with!(Level::INFO),
            4 => with!(Level::DEBUG),
            _ => with!(Level::TRACE),
        }
    }};
}

impl HostServicesV1 for ForPlugin {
    fn now(&self) -> u64 {
        // A clock that fails tells the end of time, when every token has expired.
        fenced(u64::MAX, || self.clock.now())
    }

    fn log_enabled(&self, level: u8) -> bool {
        fenced(false, || for_level!(level, |LEVEL| tracing::enabled!(target: "plugin", LEVEL)))
    }

    fn log(&self, record: LogRecordV1<'_>) {
        fenced((), || {
            let fields = Some(record.fields.as_str()).filter(|fields| !fields.is_empty());
            let (plugin, module, message) = (self.plugin.as_str(), record.target.as_str(), record.message.as_str());
            for_level!(
                record.level,
                |LEVEL| tracing::event!(target: "plugin", LEVEL, plugin, module, fields, "{message}")
            );
        });
    }

    fn emit(&self, event: RStr<'_>) {
        fenced((), || {
            let Some(engine) = self.engine.upgrade() else { return };
            match serde_json::from_str::<Event>(event.as_str()) {
                Ok(event) => engine.events.emit(&engine.registry.load(), &event),
                // The error is not told: it quotes what was sent.
                Err(_) => tracing::error!(plugin = self.plugin, "the plugin sent an event of an unknown form"),
            }
        });
    }

    fn token_generator(&self, id: RStr<'_>) -> ROption<Generator> {
        fenced(ROption::RNone, || {
            let generator = self.engine.upgrade().and_then(|engine| engine.registry.load().generator(id.as_str()));
            generator.map(|entry| Generator::from_value(Forward(entry), TD_Opaque)).into()
        })
    }

    fn extension(&self, _: RStr<'_>) -> ROption<ExtensionV1> {
        // Level 1 has none.
        ROption::RNone
    }
}

/// A generator of one plugin, on loan to another.
struct Forward(Arc<TokenGeneratorEntryV1>);

impl TokenGeneratorV1 for Forward {
    fn create_token(&self, token_info: RStr<'_>) -> RResult<RString, ErrorV1> {
        self.0.generator.create_token(token_info)
    }

    fn validate_token(&self, token: RStr<'_>, token_info: RStr<'_>) -> RResult<bool, ErrorV1> {
        self.0.generator.validate_token(token, token_info)
    }
}
