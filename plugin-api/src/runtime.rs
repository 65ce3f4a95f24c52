//! A small tokio runtime inside the plugin, for async handlers whose libraries want one (feature `runtime`).
//!
//! A plugin has its own copy of tokio, in which the host's runtime does not exist: a timer or a
//! socket made outside of this one fails with "there is no reactor running".

use std::{future::Future, sync::OnceLock};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
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
    struct AbortOnDrop<T>(JoinHandle<T>);
    impl<T> Drop for AbortOnDrop<T> {
        fn drop(&mut self) {
            self.0.abort();
        }
    }
    let mut task = AbortOnDrop(runtime()?.spawn(future));
    (&mut task.0).await.map_err(|error| match error.is_panic() {
        // Without its message, which may quote what the future was about.
        true => PluginError::new(PluginErrorKind::Panicked, "on the plugin's runtime"),
        false => PluginError::failed(error),
    })
}

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| Builder::new_multi_thread().worker_threads(1).thread_name("token-plugin").enable_all().build())
        .as_ref()
        .map_err(|error| PluginError::failed(format!("the plugin's runtime did not start: {error}")))
}
