//! [`Executor`]: runs what may wait (blocking calls, plugins' futures) away from the caller, with deadlines.
//!
//! A thread that a plugin keeps busy cannot be taken back. So timers have a thread of their own,
//! which no plugin's code ever runs on: a deadline is kept whatever the plugins do. And each plugin
//! has only so many blocking calls, those that outlived their deadline included.

use std::{
    future::Future,
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

/// The threads that plugins' waiting code runs on. They start with the first call that needs them.
#[derive(Debug)]
pub(crate) struct Executor {
    threads: OnceLock<io::Result<Threads>>,
    blocking_threads: usize,
}

#[derive(Debug)]
struct Threads {
    timer: Stopping,
    pool: Stopping,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It took too long.
    Deadline,
    /// No thread could be started, or the task was lost.
    Failed(String),
}

impl Executor {
    pub(crate) fn new(blocking_threads: usize) -> Self {
        Self { threads: OnceLock::new(), blocking_threads }
    }

    /// Runs a call that may block, on the pool. After the deadline it goes on there unobserved, and
    /// keeps its permit.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        deadline: Duration,
        permits: &Arc<Semaphore>,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let threads = self.threads()?;
        let permits = Arc::clone(permits);
        let pool = threads.pool.handle().clone();
        threads
            .within(deadline, async move {
                let permit = permits.acquire_owned().await.map_err(|error| Stopped::Failed(error.to_string()))?;
                let task = pool.spawn_blocking(move || {
                    let _permit = permit;
                    call()
                });
                // A call that has not begun by its deadline is not begun.
                finish(AbortOnDrop(task)).await
            })
            .await
    }

    /// Polls a plugin's future on the pool. At the deadline, or when the caller goes away, it is dropped.
    pub(crate) async fn future<F>(&self, deadline: Duration, future: F) -> Result<F::Output, Stopped>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let threads = self.threads()?;
        let task = AbortOnDrop(threads.pool.handle().spawn(future));
        threads.within(deadline, finish(task)).await
    }

    fn threads(&self) -> Result<&Threads, Stopped> {
        let threads = self.threads.get_or_init(|| {
            let timer =
                Builder::new_multi_thread().worker_threads(1).thread_name("token-host-timer").enable_time().build()?;
            let pool = Builder::new_multi_thread()
                .worker_threads(2)
                .max_blocking_threads(self.blocking_threads)
                .thread_name("token-host-pool")
                .build()?;
            Ok(Threads { timer: Stopping(Some(timer)), pool: Stopping(Some(pool)) })
        });
        threads.as_ref().map_err(|error| Stopped::Failed(format!("no threads for plugins could be started: {error}")))
    }
}

impl Threads {
    async fn within<T>(
        &self,
        deadline: Duration,
        future: impl Future<Output = Result<T, Stopped>>,
    ) -> Result<T, Stopped> {
        // A timer belongs to the runtime in whose context it is made; it may be polled from any executor.
        let timed = {
            let _context = self.timer.handle().enter();
            timeout(deadline, future)
        };
        timed.await.unwrap_or(Err(Stopped::Deadline))
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn finish<T>(mut task: AbortOnDrop<T>) -> Result<T, Stopped> {
    (&mut task.0).await.map_err(|error| Stopped::Failed(format!("the call was lost: {error}")))
}

/// A runtime that is stopped without waiting, so that it may be dropped anywhere.
#[derive(Debug)]
struct Stopping(Option<Runtime>);

impl Stopping {
    #[allow(clippy::expect_used, reason = "the runtime is only taken out in `drop`")]
    fn handle(&self) -> &tokio::runtime::Handle {
        self.0.as_ref().expect("the runtime is there until it is dropped").handle()
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits for a future on this thread. It is polled once without any set-up: what does not wait costs no allocation.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Waker};
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => pollster::block_on(future),
    }
}
