//! [`listening`]: the `tracing` events of a plugin that is a part of this program.
//!
//! Such a plugin's events go to the program's own subscriber, so one is put in their way, for the thread and for as
//! long as the suite runs on it. Nothing that the whole program shares is touched: other tests run beside.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tracing_core::{
    Dispatch, Event, Metadata, Subscriber, dispatcher,
    span::{Attributes, Id, Record},
};

use super::ledger::Ledger;
use crate::bridge::Text;

/// Runs code with this thread's events told to the ledger, if the plugin's would not come by another way.
pub(super) fn listening<T>(ledger: &Arc<Ledger>, code: impl FnOnce() -> T) -> T {
    match ledger.is_linked() {
        true => dispatcher::with_default(&Dispatch::new(Capture(Arc::clone(ledger))), code),
        false => code(),
    }
}

struct Capture(Arc<Ledger>);

impl Subscriber for Capture {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.0.record(event.metadata().target(), &text.message, &text.fields());
    }

    // Spans are not enabled: their ids only have to be well-formed.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Id::from_u64(NEXT.fetch_add(1, Ordering::Relaxed).max(1))
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
