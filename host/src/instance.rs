//! [`Instance`]: one plugin, made and registered, with the ABI's objects behind plain methods.

mod figures;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
    mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel},
};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use token_plugin_api::{
    Metric, Result,
    abi::{
        convert::result_from_v1,
        metrics::{METRICS, MetricsEntryV1},
        stores::{self, STORES, StoreKind},
        v1,
    },
};

use self::figures::Figures;
pub(crate) use self::figures::TELLING_DEADLINE;
use crate::{
    breaker::Breaker,
    execute::{Lane, Service, block_on},
    handler::{Handler, stopped},
    watchdog::{Part, Watched},
};

/// What an instance was made from: with the same key a reload keeps it, and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstanceKey {
    pub(crate) plugin: String,
    /// The SHA-256 of its file; none: it is linked into the host.
    pub(crate) sha256: Option<[u8; 32]>,
    pub(crate) settings: [u8; 32],
    pub(crate) max_blocking_calls: usize,
}

/// One plugin, made and registered.
pub(crate) struct Instance {
    pub(crate) key: InstanceKey,
    /// The generation of the registry that it was made for.
    pub(crate) generation: u64,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) wrappers: Vec<Wrapper>,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) generators: Vec<Arc<v1::TokenGeneratorEntryV1>>,
    pub(crate) warnings: Vec<String>,
    pub(crate) breaker: Breaker,
    pub(crate) stores: Vec<InstanceStore>,
    /// What it tells of itself.
    pub(crate) figures: Figures,
    extensions: Vec<v1::ExtensionEntryV1>,
    keeper: Option<v1::Keeper>,
    pub(crate) lane: Lane,
    stops: Arc<Stops>,
}

/// One of its stores.
pub(crate) struct InstanceStore {
    pub(crate) kind: StoreKind,
    pub(crate) name: String,
    pub(crate) object: stores::Store,
}

impl InstanceStore {
    /// The store that an extension is; else what it was, which is nothing that this host knows.
    fn of(entry: v1::ExtensionEntryV1) -> Result<Self, v1::ExtensionEntryV1> {
        let v1::ExtensionEntryV1 { id, extension } = entry;
        if id != STORES {
            return Err(v1::ExtensionEntryV1 { id, extension });
        }
        let stores::StoreEntryV1 { kind, name, store } = match extension.downcast() {
            Ok(entry) => entry,
            Err(extension) => return Err(v1::ExtensionEntryV1 { id, extension }),
        };
        match StoreKind::from_number(kind) {
            Some(kind) => Ok(Self { kind, name: name.into(), object: store }),
            None => {
                let extension = v1::ExtensionV1::new(stores::StoreEntryV1 { kind, name, store });
                Err(v1::ExtensionEntryV1 { id, extension })
            }
        }
    }
}

/// What tells figures, when an extension is that; else what it was.
fn metrics_of(entry: v1::ExtensionEntryV1) -> Result<MetricsEntryV1, v1::ExtensionEntryV1> {
    let v1::ExtensionEntryV1 { id, extension } = entry;
    let told = if id == METRICS { extension.downcast() } else { Err(extension) };
    told.map_err(|extension| v1::ExtensionEntryV1 { id, extension })
}

pub(crate) struct Wrapper {
    pub(crate) name: String,
    pub(crate) watched: Arc<Watched>,
    pub(crate) object: v1::WrapperObject,
}

impl Instance {
    pub(crate) fn new(
        key: InstanceKey,
        made: v1::InstanceV1,
        generation: u64,
        service: &Arc<Service>,
        stops: &Arc<Stops>,
        event_queue: usize,
    ) -> Self {
        let wrapper = |entry: v1::WrapperEntryV1| {
            let name = String::from(entry.name);
            let watched = Watched::new(&key.plugin, Part::Wrapper, &name);
            Wrapper { name, watched, object: entry.wrapper }
        };
        let (mut stores, mut metrics, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        for entry in made.extensions {
            let entry = match InstanceStore::of(entry) {
                Ok(store) => {
                    stores.push(store);
                    continue;
                }
                Err(entry) => entry,
            };
            match metrics_of(entry) {
                Ok(told) => metrics.push(told),
                Err(entry) => unknown.push(entry),
            }
        }
        Self {
            lane: Lane::new(key.max_blocking_calls, service),
            stops: Arc::clone(stops),
            handlers: made.handlers.into_iter().map(|entry| Handler::new(entry, &key.plugin)).collect(),
            wrappers: made.wrappers.into_iter().map(wrapper).collect(),
            sinks: made.event_sinks.into_iter().map(|entry| Sink::new(entry, &key.plugin, event_queue)).collect(),
            generators: made.token_generators.into_iter().map(Arc::new).collect(),
            warnings: made
                .warnings
                .into_iter()
                .map(String::from)
                .chain(
                    unknown.iter().map(|entry| {
                        format!("it offers \"{}\", which this host does not know and will not use", entry.id)
                    }),
                )
                .collect(),
            breaker: Breaker::new(&key.plugin),
            stores,
            figures: Figures::new(metrics, &key.plugin, service),
            extensions: unknown,
            keeper: Some(made.keeper),
            generation,
            key,
        }
    }

    /// The plugin's name, as configured.
    pub(crate) fn plugin(&self) -> &str {
        &self.key.plugin
    }

    /// The figures that it tells of itself, for callers that are not async.
    pub(crate) fn told_metrics(&self) -> Vec<Metric> {
        block_on(self.figures.now(TELLING_DEADLINE))
    }

    /// Has one of its sinks record an event that must be recorded.
    pub(crate) async fn record(&self, sink: usize, deadline: Duration, event: Arc<str>) -> Result<()> {
        let object = Arc::clone(&self.sinks[sink].object);
        let record = move || result_from_v1(object.record((&*event).into()));
        self.lane.blocking(deadline, record).await.map_err(stopped(deadline))?
    }
}

impl Drop for Instance {
    /// Has the plugin's parts dropped on a thread of their own: whoever let go of them last was in
    /// the middle of something else.
    fn drop(&mut self) {
        let parts = (
            std::mem::take(&mut self.handlers),
            std::mem::take(&mut self.wrappers),
            std::mem::take(&mut self.generators),
            std::mem::take(&mut self.stores),
            self.figures.take(),
            std::mem::take(&mut self.extensions),
        );
        let (sinks, keeper, plugin) = (std::mem::take(&mut self.sinks), self.keeper.take(), self.key.plugin.clone());
        self.stops.run(&self.key.plugin, move || {
            drop(parts);
            sinks.into_iter().for_each(Sink::stop);
            for fault in keeper.iter().flat_map(|keeper| keeper.faults()) {
                tracing::error!(plugin, "{fault}");
            }
        });
    }
}

/// Instances that are being dropped.
#[derive(Debug, Default)]
pub(crate) struct Stops(Mutex<Vec<Receiver<()>>>);

impl Stops {
    fn run(&self, plugin: &str, stop: impl FnOnce() + Send + 'static) {
        let (done, stopped) = sync_channel(1);
        let thread = std::thread::Builder::new().name("token-host-stop".to_owned()).spawn(move || {
            stop();
            let _ = done.send(());
        });
        if let Err(error) = thread {
            tracing::error!(plugin, %error, "no thread to stop the plugin could be started");
        }
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|stopped| matches!(stopped.try_recv(), Err(TryRecvError::Empty)));
        running.push(stopped);
    }

    /// Waits until all are dropped, but no longer than the deadline.
    pub(crate) fn wait(&self, deadline: Duration) {
        let until = Instant::now() + deadline;
        let running = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for stopped in running {
            let left = until.saturating_duration_since(Instant::now());
            if stopped.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                tracing::error!("a plugin did not stop within {} s; going on without", deadline.as_secs());
            }
        }
    }
}

/// An event sink with its queue and the thread that empties it.
pub(crate) struct Sink {
    pub(crate) name: String,
    pub(crate) required: bool,
    object: Arc<v1::Sink>,
    queue: SyncSender<Arc<str>>,
    dropped: Arc<AtomicU64>,
    worker: Option<JoinHandle<()>>,
}

impl Sink {
    fn new(entry: v1::EventSinkEntryV1, plugin: &str, event_queue: usize) -> Self {
        let name = String::from(entry.name);
        let object = Arc::new(entry.sink);
        let (queue, events) = sync_channel::<Arc<str>>(event_queue);
        let record = {
            let (object, plugin, name) = (Arc::clone(&object), plugin.to_owned(), name.clone());
            move || {
                for event in events {
                    if let Err(error) = result_from_v1(object.record((&*event).into())) {
                        tracing::error!(plugin, sink = name, %error, "an event was not recorded");
                    }
                }
            }
        };
        let worker = std::thread::Builder::new().name("token-host-events".to_owned()).spawn(record);
        let worker =
            worker.inspect_err(|error| tracing::error!(plugin, sink = name, %error, "no thread for events")).ok();
        Self { name, required: entry.required, object, queue, dropped: Arc::default(), worker }
    }

    /// Queues an event; when the queue is full the event is dropped and counted.
    pub(crate) fn send(&self, plugin: &str, event: Arc<str>) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(event) {
            let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
            // Once for each power of two: a sink that is stuck must not flood the log as well.
            if dropped.is_power_of_two() {
                tracing::error!(plugin, sink = self.name, dropped, "the sink is too slow: events were dropped");
            }
        }
    }

    /// How many events were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Records what is queued, then drops the sink.
    fn stop(self) {
        drop(self.queue);
        if let Some(worker) = self.worker {
            let _ = worker.join();
        }
    }
}
