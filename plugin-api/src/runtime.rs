//! A small tokio runtime inside the plugin, for async handlers whose libraries want one (feature `runtime`).
//!
//! A plugin has its own copy of tokio, in which the host's runtime does not exist: a timer or a
//! socket made outside of this one fails with "there is no reactor running".

use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::OnceLock,
    task::{Context, Poll},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::{JoinError, JoinHandle},
};

use crate::{PluginError, PluginErrorKind, Result};

/// Runs a future on the plugin's runtime and waits for it without holding a thread. When the
/// returned future is dropped, as at a deadline, the work is cancelled.
///
/// # Errors
///
/// When the runtime could not be started, or the future panicked.
pub async fn run<F>(future: F) -> Result<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn(future)?.await
}

/// Runs a future on the plugin's runtime, beside whoever called: what has to go on between two calls.
///
/// # Errors
///
/// When the runtime could not be started.
pub fn spawn<F>(future: F) -> Result<Task<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Ok(Task { handle: runtime()?.spawn(future), is_detached: false })
}

/// What runs on the plugin's runtime. It can be waited for anywhere; dropped, the work is cancelled.
#[must_use = "the work is cancelled when this is dropped"]
pub struct Task<T> {
    handle: JoinHandle<T>,
    is_detached: bool,
}

impl<T> Task<T> {
    /// Lets the work go on to its end.
    pub fn detach(mut self) {
        self.is_detached = true;
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T>;

    /// An error says that the future panicked.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        Pin::new(&mut self.handle).poll(context).map_err(failed)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if !self.is_detached {
            self.handle.abort();
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

/// Does work that wants timers and sockets of the plugin's runtime where it is awaited, on whatever thread that is, and
/// not as a task of its own: that would be another thread to wake for each call. What it waits for happens on the plugin's
/// runtime all the same.
///
/// # Errors
///
/// When the runtime could not be started.
pub async fn entered<F: Future>(work: F) -> Result<F::Output> {
    Ok(Entered { runtime: runtime()?.handle(), work: pin!(work) }.await)
}

struct Entered<'w, F> {
    runtime: &'static Handle,
    work: Pin<&'w mut F>,
}

impl<F: Future> Future for Entered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _inside = self.runtime.enter();
        self.work.as_mut().poll(context)
    }
}

fn failed(error: JoinError) -> PluginError {
    match error.is_panic() {
        // Without its message, which may quote what the future was about.
        true => PluginError::new(PluginErrorKind::Panicked, "on the plugin's runtime"),
        false => PluginError::failed(error),
    }
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Builder::new_multi_thread().worker_threads(1).thread_name("token-plugin").enable_all().build())
        .as_ref()
        .map_err(|error| PluginError::failed(format!("the plugin's runtime did not start: {error}")))
}
