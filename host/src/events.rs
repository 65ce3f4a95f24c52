//! [`EventHub`]: brings events to sinks and subscribers. [`Events`]: a subscription.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use token_plugin_api::Event;
use tokio::sync::broadcast;

use crate::{error::Error, instance::Sink, registry::Registry};

/// How many events a subscriber may be behind before it misses some.
const SUBSCRIBER_EVENTS: usize = 1024;

/// Brings events to sinks and subscribers.
#[derive(Debug)]
pub(crate) struct EventHub {
    sender: broadcast::Sender<Event>,
    // Counted here as well: the channel's own count takes a lock, and each verification asks for it.
    subscribers: Arc<AtomicUsize>,
}

impl EventHub {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(SUBSCRIBER_EVENTS), subscribers: Arc::default() }
    }

    /// Whether anybody would see an event.
    pub(crate) fn is_watched(&self, registry: &Registry) -> bool {
        !registry.sinks.is_empty() || self.subscribers.load(Ordering::Relaxed) > 0
    }

    /// Sends an event to subscribers, and queues it for all sinks.
    pub(crate) fn emit(&self, registry: &Registry, event: &Event) {
        self.send(registry, std::slice::from_ref(event), |_| true);
    }

    /// Has the sinks that require it record events, then sends them to all others.
    ///
    /// # Errors
    ///
    /// When a sink that requires it could not, after all others were told: what the events are about has happened.
    pub(crate) async fn announce(&self, registry: &Registry, events: &[Event]) -> Result<(), Error> {
        let text = list_text(events);
        let mut failed = None;
        for slot in registry.sinks.iter().filter(|slot| slot.instance.sinks[slot.index].required) {
            if let Err(error) = slot.instance.record(slot.index, slot.deadline, Arc::clone(&text)).await {
                let part = format!("event sink \"{}\"", slot.instance.sinks[slot.index].name);
                failed.get_or_insert(Error::from_plugin(slot.instance.plugin(), &part, "record", error));
            }
        }
        self.send(registry, events, |sink| !sink.required);
        failed.map_or(Ok(()), Err)
    }

    fn send(&self, registry: &Registry, events: &[Event], to: impl Fn(&Sink) -> bool) {
        let mut text = None;
        for slot in &registry.sinks {
            let sink = &slot.instance.sinks[slot.index];
            if to(sink) {
                let text = text.get_or_insert_with(|| list_text(events));
                sink.send(slot.instance.plugin(), Arc::clone(text));
            }
        }
        if self.subscribers.load(Ordering::Relaxed) > 0 {
            for event in events {
                let _ = self.sender.send(event.clone());
            }
        }
    }

    pub(crate) fn subscribe(&self) -> Events {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
        Events { receiver: self.sender.subscribe(), subscribers: Arc::clone(&self.subscribers) }
    }
}

/// Events as sinks get them.
fn list_text(events: &[Event]) -> Arc<str> {
    // Events are plain data with string keys: writing them cannot fail.
    serde_json::to_string(events).unwrap_or_default().into()
}

/// What happens to tokens, from [`Host::subscribe`](crate::Host::subscribe).
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    subscribers: Arc<AtomicUsize>,
}

impl Events {
    /// The next event; `None` when the host is gone. A subscriber that is more than 1,024 events
    /// behind misses the oldest.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Received::Event(event) = self.next_or_missed().await? {
                return Some(*event);
            }
        }
    }

    /// The next event, or how many were missed before it; `None` when the host is gone.
    pub async fn next_or_missed(&mut self) -> Option<Received> {
        match self.receiver.recv().await {
            Ok(event) => Some(Received::Event(Box::new(event))),
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "a subscriber is too slow");
                Some(Received::Missed(missed))
            }
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a subscriber is too slow");
                }
                Err(_) => return None,
            }
        }
    }
}

/// What a subscriber receives. Exhaustive: there is nothing else to receive.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The next event.
    Event(Box<Event>),
    /// So many events were missed: the subscriber was too slow.
    Missed(u64),
}

impl Drop for Events {
    fn drop(&mut self) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
    }
}
