//! [`Watchdog`]: reports inline handlers and wrappers that run for too long, by name.
//!
//! They run on the caller's thread and cannot be interrupted. So a thread of the host's own looks, a few times within
//! the shortest limit, at what the others are in (see [`inside`](crate::inside)). No plugin's code runs on it, and
//! calls take no lock that it holds. Times are those between its looks, so they are about right.

use std::{
    collections::HashMap,
    process,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::inside::{Mark, Tag, marks};

/// An inline handler or a wrapper, as the watchdog knows it.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) tag: Tag,
    plugin: String,
    part: Part,
    name: String,
    slow_calls: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Handler,
    Wrapper,
}

impl Watched {
    pub(crate) fn new(plugin: &str, part: Part, name: &str) -> Arc<Self> {
        let (plugin, name) = (plugin.to_owned(), name.to_owned());
        Arc::new(Self { tag: Tag::new(), plugin, part, name, slow_calls: AtomicU64::new(0) })
    }

    /// How many of its calls were reported.
    pub(crate) fn slow_calls(&self) -> u64 {
        self.slow_calls.load(Ordering::Relaxed)
    }

    fn runs_long(&self, ran: Duration, limit: Duration) {
        self.slow_calls.fetch_add(1, Ordering::Relaxed);
        let (plugin, name, running_ms, limit) = (&self.plugin, &self.name, milliseconds(ran), limit.as_millis());
        match self.part {
            Part::Handler => tracing::error!(
                plugin,
                handler = name,
                running_ms,
                "an inline handler has been running for over {limit} ms and cannot be interrupted: \
                 register it as blocking"
            ),
            Part::Wrapper => tracing::error!(
                plugin,
                wrapper = name,
                running_ms,
                "a wrapper has been running for over {limit} ms and cannot be interrupted"
            ),
        }
    }

    fn came_back(&self, ran: Duration) {
        let (plugin, name, took_ms) = (&self.plugin, &self.name, milliseconds(ran));
        match self.part {
            Part::Handler => tracing::warn!(plugin, handler = name, took_ms, "the inline handler came back"),
            Part::Wrapper => tracing::warn!(plugin, wrapper = name, took_ms, "the wrapper came back"),
        }
    }
}

/// Looks after the inline handlers and wrappers of one host. Its thread starts with the first of them.
#[derive(Debug, Default)]
pub(crate) struct Watchdog {
    orders: Arc<Orders>,
    thread: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    thread: thread::JoinHandle<()>,
    /// The process that it runs in, in which a forked child is not.
    process: u32,
}

impl Running {
    fn is_here(&self) -> bool {
        self.process == process::id()
    }
}

impl Watchdog {
    /// Looks after these as well, each with its limit. Those from before are forgotten when their instance is gone:
    /// until then a call may still be in one.
    pub(crate) fn watch<'a>(&self, parts: impl IntoIterator<Item = (&'a Arc<Watched>, Duration)>) {
        let mut orders = self.orders.lock();
        let mut watched = HashMap::clone(&orders.watched);
        watched.retain(|_, (part, _)| part.strong_count() > 0);
        watched.extend(parts.into_iter().map(|(part, limit)| (part.tag, (Arc::downgrade(part), limit))));
        let is_needed = !watched.is_empty();
        orders.watched = Arc::new(watched);
        drop(orders);
        self.orders.changed.notify_all();
        if is_needed {
            self.start();
        }
    }

    fn start(&self) {
        let mut running = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(Running::is_here) {
            return;
        }
        let orders = Arc::clone(&self.orders);
        let look = move || {
            let mut seen = Seen::default();
            while let Some(watched) = orders.next_look() {
                seen.look(&watched, Instant::now());
            }
        };
        match thread::Builder::new().name("token-host-watchdog".to_owned()).spawn(look) {
            Ok(thread) => *running = Some(Running { thread, process: process::id() }),
            Err(error) => tracing::error!(%error, "no thread to watch inline handlers could be started"),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let running = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // A forked child would wait for ever for a thread that it does not have, or for what that had locked.
        let Some(Running { thread, .. }) = running.filter(Running::is_here) else { return };
        self.orders.lock().is_over = true;
        self.orders.changed.notify_all();
        // Whoever reads the log may let go of the host on that very thread.
        if thread.thread().id() != thread::current().id() {
            // A panic of his has been reported already.
            let _ = thread.join();
        }
    }
}

type WatchedByTag = HashMap<Tag, (Weak<Watched>, Duration)>;

/// What the thread is to do.
#[derive(Debug, Default)]
struct Orders {
    current: Mutex<Current>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Current {
    watched: Arc<WatchedByTag>,
    is_over: bool,
}

impl Orders {
    /// Waits until it is time to look, and says what for; `None`: never again.
    fn next_look(&self) -> Option<Arc<WatchedByTag>> {
        let mut current = self.lock();
        if !current.is_over {
            let shortest = current.watched.values().map(|(_, limit)| *limit).min();
            current = match shortest {
                Some(shortest) => {
                    let interval = (shortest / 4).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL);
                    self.changed.wait_timeout(current, interval).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(current).unwrap_or_else(PoisonError::into_inner),
            };
        }
        (!current.is_over).then(|| Arc::clone(&current.watched))
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread saw so far: for each thread the calls that it was in, the innermost last.
#[derive(Default)]
struct Seen(Vec<Vec<Call>>);

struct Call {
    mark: Mark,
    watched: Arc<Watched>,
    since: Instant,
    looks: u32,
    is_reported: bool,
}

impl Seen {
    fn look(&mut self, watched: &WatchedByTag, now: Instant) {
        for (place, mark) in marks().enumerate() {
            if place == self.0.len() {
                self.0.push(Vec::new());
            }
            look_at(&mut self.0[place], mark, watched, now);
        }
    }
}

fn look_at(calls: &mut Vec<Call>, mark: Mark, watched: &WatchedByTag, now: Instant) {
    // A call that is less deep than what is seen may be around it, and is not over for certain.
    while let Some(call) = calls.pop_if(|call| call.mark != mark && call.mark.depth() >= mark.depth()) {
        if call.is_reported {
            call.watched.came_back(now - call.since);
        }
    }
    let Some((part, limit)) = watched.get(&mark.tag()) else { return };
    if calls.last().is_none_or(|call| call.mark != mark) {
        let Some(watched) = part.upgrade() else { return };
        calls.push(Call { mark, watched, since: now, looks: 0, is_reported: false });
    }
    let Some(call) = calls.last_mut() else { return };
    call.looks += 1;
    let ran = now - call.since;
    if ran >= *limit && call.looks >= FEWEST_LOOKS && !call.is_reported {
        call.is_reported = true;
        call.watched.runs_long(ran, *limit);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Looking more often would cost more than so short a limit is worth.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// A limit of minutes still gets its report within a second.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);

/// A process that was stopped for a while finds every call as long as that: one look later it is over, or is slow.
const FEWEST_LOOKS: u32 = 3;
