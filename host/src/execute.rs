//! [`Lane`]: runs what may wait (a plugin's blocking calls and futures) away from the caller, with deadlines.
//!
//! A thread that a plugin keeps busy cannot be taken back. So each plugin has threads of its own, as
//! many as its configuration says, and no plugin can use up another's; and timers have a thread on
//! which no plugin's code ever runs, so that a deadline is kept whatever the plugins do.

use std::{
    fmt,
    future::Future,
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::available_parallelism,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It took too long.
    Deadline,
    /// It was not begun in time, while those before it were answered.
    Crowded,
    /// No thread could be started, or the task was lost.
    Failed(String),
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("no answer within the deadline"),
            Self::Crowded => f.write_str("not begun within the deadline: too many calls were before it"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// The host's own threads: one for timers, one for what is to be finished when its caller goes away.
#[derive(Debug, Default)]
pub(crate) struct Service {
    timer: Lazy,
    tasks: Lazy,
}

impl Service {
    /// Runs a future to its end, even when the caller goes away.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stopped> {
        let start = || Builder::new_multi_thread().worker_threads(1).thread_name("token-host-tasks").build();
        let task = self.tasks.handle(start)?.spawn(future);
        task.await.map_err(|error| Stopped::Failed(format!("the call was lost: {error}")))
    }

    fn timer(&self) -> Result<&Handle, Stopped> {
        self.timer.handle(|| {
            Builder::new_multi_thread().worker_threads(1).thread_name("token-host-timer").enable_time().build()
        })
    }
}

/// The threads of one plugin's waiting code. They start with the first call that needs them.
#[derive(Debug)]
pub(crate) struct Lane {
    threads: Lazy,
    permits: Arc<Semaphore>,
    max_blocking_calls: usize,
    service: Arc<Service>,
    /// How many futures have been answered.
    answered: Arc<AtomicU64>,
}

impl Lane {
    pub(crate) fn new(max_blocking_calls: usize, service: &Arc<Service>) -> Self {
        let permits = Arc::new(Semaphore::new(max_blocking_calls));
        let service = Arc::clone(service);
        Self { threads: Lazy::default(), permits, max_blocking_calls, service, answered: Arc::default() }
    }

    /// Runs a call that may block. After the deadline it goes on unobserved, and keeps its permit.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        deadline: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let threads = self.handle()?;
        let permits = Arc::clone(&self.permits);
        self.within(deadline, async move {
            let permit = permits.acquire_owned().await.map_err(|error| Stopped::Failed(error.to_string()))?;
            // A call that has not begun by its deadline is not begun: it is aborted when this future is dropped.
            finish(AbortOnDrop(threads.spawn_blocking(move || {
                let _permit = permit;
                call()
            })))
            .await
        })
        .await
    }

    /// Polls a plugin's future. At the deadline, or when the caller goes away, it is dropped.
    pub(crate) async fn future<F>(&self, deadline: Duration, future: F) -> Result<F::Output, Stopped>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let begun = Arc::new(AtomicBool::new(false));
        let answered_before = self.answered.load(Ordering::Relaxed);
        let task = AbortOnDrop(self.handle()?.spawn({
            let (begun, answered) = (Arc::clone(&begun), Arc::clone(&self.answered));
            async move {
                begun.store(true, Ordering::Relaxed);
                let output = future.await;
                answered.fetch_add(1, Ordering::Relaxed);
                output
            }
        }));
        let output = self.within(deadline, finish(task)).await;
        // A plugin that works on others is well, however many there are; one that works on none is stuck.
        let is_at_work = self.answered.load(Ordering::Relaxed) != answered_before;
        match output {
            Err(Stopped::Deadline) if is_at_work && !begun.load(Ordering::Relaxed) => Err(Stopped::Crowded),
            output => output,
        }
    }

    async fn within<T>(
        &self,
        deadline: Duration,
        future: impl Future<Output = Result<T, Stopped>>,
    ) -> Result<T, Stopped> {
        // A timer belongs to the runtime in whose context it is made; it may be polled from any executor.
        let timed = {
            let _context = self.service.timer()?.enter();
            timeout(deadline, future)
        };
        timed.await.unwrap_or(Err(Stopped::Deadline))
    }

    fn handle(&self) -> Result<&Handle, Stopped> {
        self.threads.handle(|| {
            // Futures may compute as well: a signature takes as long as a hundred calls of another kind.
            Builder::new_multi_thread()
                .worker_threads(available_parallelism().map_or(1, usize::from).min(MAX_WORKERS))
                .max_blocking_threads(self.max_blocking_calls)
                .thread_name("token-plugin")
                .build()
        })
    }
}

/// Threads that poll one plugin's futures: more cores than these are for the other plugins.
const MAX_WORKERS: usize = 4;

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn finish<T>(mut task: AbortOnDrop<T>) -> Result<T, Stopped> {
    (&mut task.0).await.map_err(|error| Stopped::Failed(format!("the call was lost: {error}")))
}

/// A runtime that is started when it is first needed, and stopped without waiting.
#[derive(Debug, Default)]
struct Lazy(OnceLock<Running>);

impl Lazy {
    /// A start that fails is tried again by the next call: the system may be short of threads for a moment only.
    fn handle(&self, start: impl FnOnce() -> io::Result<Runtime>) -> Result<&Handle, Stopped> {
        if self.0.get().is_none() {
            let runtime = start().map_err(|error| Stopped::Failed(format!("no thread could be started: {error}")))?;
            let _ = self.0.set(Running { handle: runtime.handle().clone(), runtime: Some(runtime) });
        }
        self.0.get().map(|running| &running.handle).ok_or_else(|| Stopped::Failed("no thread was started".to_owned()))
    }
}

#[derive(Debug)]
struct Running {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Dropping a runtime waits, which is forbidden in async code.
            runtime.shutdown_background();
        }
    }
}

/// Waits for a future on this thread: for code that is not async. Also to be called inside a runtime, whose thread it then
/// blocks. What does not wait costs no allocation.
pub fn block_on<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Waker};
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        // Inside of a tokio task each poll uses up a budget that only the task's own scheduler refills; a thread that
        // waits here would never see it again.
        Poll::Pending => pollster::block_on(tokio::task::unconstrained(future)),
    }
}
