//! [`entered`]: work that is awaited anywhere, and finds the plugin's runtime where it is polled.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::OnceLock,
    task::{Context, Poll},
};

use token_plugin_api::{Result, runtime};
use tokio::runtime::Handle;

/// Does work that wants timers and tasks of the plugin's runtime, without making it a task of its own: that would be
/// another thread to wake for each call.
///
/// # Errors
///
/// When the runtime could not be started.
pub(super) async fn entered<F: Future>(work: F) -> Result<F::Output> {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    let runtime = match HANDLE.get() {
        Some(handle) => handle,
        None => {
            let handle = runtime::run(async { Handle::current() }).await?;
            HANDLE.get_or_init(|| handle)
        }
    };
    Ok(Entered { runtime, work: pin!(work) }.await)
}

struct Entered<'w, F> {
    runtime: &'w Handle,
    work: Pin<&'w mut F>,
}

impl<F: Future> Future for Entered<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _inside = self.runtime.enter();
        self.work.as_mut().poll(context)
    }
}
