//! The bridge for what is doubled: `tracing` and `log` in a plugin are other copies than the
//! host's, and so is the panic hook. This installs the plugin's ends of them, once for each library.
//!
//! A library may be used by several instances. Each has a slot, which the fence sets for the
//! thread while author code runs; on the author's own threads, where no fence is, events go to the
//! instance that was made first.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    fmt,
    panic::PanicHookInfo,
    sync::{
        Arc, Once, PoisonError, RwLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Map, Value};
use tracing_core::{
    Event, Interest, Level, Metadata, Subscriber, field,
    field::Visit,
    span::{Attributes, Id, Record},
};

use crate::abi::services::HostServices;

/// The place of one instance among those of its library; 0: an instance that is linked into the
/// host, whose `tracing` is the host's own and needs no bridge.
pub(crate) type Slot = u32;

/// The slot of an instance that is linked into the host.
pub(crate) const IN_PROCESS: Slot = 0;

/// The target of the log record about a panic on a thread of the plugin's own.
pub(crate) const PANIC_TARGET: &str = "panic";

/// By slot, less one; none: free.
static SLOTS: RwLock<Vec<Option<Weak<HostServices>>>> = RwLock::new(Vec::new());

thread_local! {
    /// The instance whose code runs on this thread, when a fence is around it.
    static CURRENT: Cell<Option<Slot>> = const { Cell::new(None) };
    /// The message and the place of the last panic, whoever caught it.
    static LAST_PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
}

/// Installs the bridge in this library, and takes a slot for a new instance.
pub(crate) fn install() -> Slot {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // A library that already has a subscriber or logger of its own keeps it.
        let _ = tracing_core::dispatcher::set_global_default(tracing_core::Dispatch::new(ToHost));
        if log::set_logger(&ToHost).is_ok() {
            log::set_max_level(log::LevelFilter::Trace);
        }
        std::panic::set_hook(Box::new(on_panic));
    });
    let mut slots = SLOTS.write().unwrap_or_else(PoisonError::into_inner);
    let free = slots.iter().position(Option::is_none).unwrap_or_else(|| {
        slots.push(None);
        slots.len() - 1
    });
    slots[free] = Some(Weak::new());
    free as Slot + 1
}

/// Fills a slot.
pub(crate) fn attach(slot: Slot, services: &Arc<HostServices>) {
    set(slot, Some(Arc::downgrade(services)));
}

/// Gives a slot back. No fence uses it any more: each borrows the services that this is called by the end of.
pub(crate) fn detach(slot: Slot) {
    set(slot, None);
}

fn set(slot: Slot, services: Option<Weak<HostServices>>) {
    let mut slots = SLOTS.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(place) = (slot as usize).checked_sub(1).and_then(|index| slots.get_mut(index)) {
        *place = services;
    }
}

/// Runs code that does not unwind, with this thread's events being those of the slot's instance.
pub(crate) fn entered<T>(slot: Slot, code: impl FnOnce() -> T) -> T {
    // Asked for once, since in a library each access to a thread-local is a call; and always there, since it has no
    // destructor.
    CURRENT.with(|current| {
        let before = current.replace(Some(slot));
        let ran = code();
        current.set(before);
        ran
    })
}

/// Where the panic with this message was, if it was the last one on this thread.
pub(crate) fn place_of_panic(message: &str) -> Option<String> {
    // Gone when this thread is ending: then there is no place.
    let last = LAST_PANIC.try_with(RefCell::take).ok().flatten();
    // The author's code may have caught the last one itself.
    last.filter(|(last, _)| last == message).map(|(_, place)| place)
}

/// The message in a panic's payload.
pub(crate) fn payload_message(payload: &(dyn Any + Send)) -> String {
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    message.unwrap_or("a payload that is no text").to_owned()
}

fn on_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    if CURRENT.get().is_none()
        && let Some(services) = services()
    {
        // Without its message, which may quote a token: only a fence around a call knows which.
        services.log(1, PANIC_TARGET, &format!("a thread of the plugin panicked at {place}"), "");
    }
    let _ = LAST_PANIC.try_with(|last| last.replace(Some((payload_message(info.payload()), place))));
}

fn services() -> Option<Arc<HostServices>> {
    let slots = SLOTS.read().unwrap_or_else(PoisonError::into_inner);
    match CURRENT.get() {
        Some(slot) => slots.get((slot as usize).checked_sub(1)?)?.as_ref()?.upgrade(),
        None => slots.iter().flatten().find_map(Weak::upgrade),
    }
}

/// Hands events to the host.
struct ToHost;

impl Subscriber for ToHost {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The host's filter may change at any time, so it is asked each time.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && services().is_some_and(|host| host.log_enabled(number(metadata.level())))
    }

    fn event(&self, event: &Event<'_>) {
        let Some(host) = services() else { return };
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        host.log(number(metadata.level()), metadata.target(), &text.message, &text.fields());
    }

    // Spans end at the boundary: their ids only have to be well-formed.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed).max(1))
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn number(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

impl log::Log for ToHost {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        services().is_some_and(|host| host.log_enabled(metadata.level() as u8))
    }

    fn log(&self, record: &log::Record<'_>) {
        let Some(host) = services() else { return };
        let level = record.level() as u8;
        if !host.log_enabled(level) {
            return;
        }
        struct Pairs(Map<String, Value>);
        impl<'kvs> log::kv::VisitSource<'kvs> for Pairs {
            fn visit_pair(
                &mut self,
                key: log::kv::Key<'kvs>,
                value: log::kv::Value<'kvs>,
            ) -> Result<(), log::kv::Error> {
                self.0.insert(key.to_string(), Value::String(value.to_string()));
                Ok(())
            }
        }
        let mut text = Text { message: record.args().to_string(), ..Text::default() };
        let mut pairs = Pairs(Map::new());
        if record.key_values().visit(&mut pairs).is_ok() {
            text.fields = pairs.0;
        }
        host.log(level, record.target(), &text.message, &text.fields());
    }

    fn flush(&self) {}
}

/// An event's message and its other fields.
#[derive(Default)]
pub(crate) struct Text {
    pub(crate) message: String,
    fields: Map<String, Value>,
}

impl Text {
    /// The other fields, as a JSON object; empty: none.
    pub(crate) fn fields(&self) -> String {
        if self.fields.is_empty() { String::new() } else { Value::Object(self.fields.clone()).to_string() }
    }

    fn put(&mut self, field: &field::Field, value: Value) {
        match value {
            Value::String(text) if field.name() == "message" => self.message = text,
            value => {
                self.fields.insert(field.name().to_owned(), value);
            }
        }
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &field::Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &field::Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &field::Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_f64(&mut self, field: &field::Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &field::Field, value: bool) {
        self.put(field, value.into());
    }
}
