//! [`Recorder`]: host services that pass on what a plugin tells them, with a clock that stands still unless it is set.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RStr, RString},
};

use crate::abi::v1;

/// Host services for one instance under test.
pub(crate) struct Recorder {
    now: AtomicU64,
    // Weak, since a generator may keep the services, and with them this.
    generators: Mutex<Vec<Weak<v1::TokenGeneratorEntryV1>>>,
    audience: Arc<dyn Audience>,
}

/// Hears what a plugin tells its host. Its methods must not panic: a loaded library could not catch that.
pub(crate) trait Audience: Send + Sync + 'static {
    /// The plugin sent an [`Event`](crate::Event), as JSON.
    fn sent(&self, event: &str);

    /// The plugin logged something, by way of the bridge; or the boundary itself did.
    fn logged(&self, record: &v1::LogRecordV1<'_>) {
        let _ = record;
    }
}

impl Recorder {
    /// Services that pass on what they are told.
    pub(crate) fn new(audience: Arc<dyn Audience>) -> Arc<Self> {
        Arc::new(Self { now: AtomicU64::new(DEFAULT_NOW), generators: Mutex::default(), audience })
    }

    /// The services, for one instance.
    pub(crate) fn services(self: &Arc<Self>) -> v1::Services {
        v1::Services::from_value(Services(Arc::clone(self)), TD_Opaque)
    }

    /// The clock, in Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Sets the clock, in Unix seconds.
    pub(crate) fn set_now(&self, unix_seconds: u64) {
        self.now.store(unix_seconds, Ordering::Relaxed);
    }

    /// Lets the plugin find these token generators, as it would find its own in a host.
    pub(crate) fn lend(&self, generators: &[Arc<v1::TokenGeneratorEntryV1>]) {
        let lent = generators.iter().map(Arc::downgrade).collect();
        *self.generators.lock().unwrap_or_else(PoisonError::into_inner) = lent;
    }
}

/// 2001-09-09 01:46:40 UTC, for no other reason than that it is easy to recognize.
const DEFAULT_NOW: u64 = 1_000_000_000;

struct Services(Arc<Recorder>);

impl v1::HostServicesV1 for Services {
    fn now(&self) -> u64 {
        self.0.now()
    }

    fn log_enabled(&self, _: u8) -> bool {
        true
    }

    fn log(&self, record: v1::LogRecordV1<'_>) {
        self.0.audience.logged(&record);
    }

    fn emit(&self, event: RStr<'_>) {
        self.0.audience.sent(event.as_str());
    }

    fn token_generator(&self, id: RStr<'_>) -> ROption<v1::Generator> {
        let generators = self.0.generators.lock().unwrap_or_else(PoisonError::into_inner);
        let found = generators.iter().filter_map(Weak::upgrade).find(|entry| entry.id == id.as_str());
        found.map(|entry| v1::Generator::from_value(Lent(entry), TD_Opaque)).into()
    }

    fn extension(&self, _: RStr<'_>) -> ROption<v1::ExtensionV1> {
        ROption::RNone
    }
}

/// A generator of the plugin's own, on loan.
struct Lent(Arc<v1::TokenGeneratorEntryV1>);

impl v1::TokenGeneratorV1 for Lent {
    fn create_token(&self, token_info: RStr<'_>) -> RResult<RString, v1::ErrorV1> {
        self.0.generator.create_token(token_info)
    }

    fn validate_token(&self, token: RStr<'_>, token_info: RStr<'_>) -> RResult<bool, v1::ErrorV1> {
        self.0.generator.validate_token(token, token_info)
    }
}
