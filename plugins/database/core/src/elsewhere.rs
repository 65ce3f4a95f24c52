//! [`elsewhere`]: work that may wait for a disk, away from those who must not.

use std::sync::atomic::{AtomicUsize, Ordering};

use token_plugin_api::{PluginError, PluginErrorKind, Result};
use tokio::sync::oneshot;

use crate::store::Answer;

/// Does what may wait for the disk on a thread of its own: the host's, which is asking, must not wait.
pub(crate) fn elsewhere<'a, T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Answer<'a, T> {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    /// More that wait for a disk, or a lock, are no use to anybody.
    const MOST: usize = 128;
    struct Ended;
    impl Drop for Ended {
        fn drop(&mut self) {
            RUNNING.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let (ended, is_crowded) = (Ended, RUNNING.fetch_add(1, Ordering::Relaxed) >= MOST);
    if is_crowded {
        let crowded = PluginError::new(PluginErrorKind::Overloaded, "too many calls wait for the database");
        return Box::pin(async { Err(crowded) });
    }
    let (done, answer) = oneshot::channel();
    let thread = std::thread::Builder::new().name("token-database-reader".to_owned());
    let started = thread.spawn(move || {
        let _ended = ended;
        // Who asked may have gone away in the meantime; then nobody wants the answer.
        if !done.is_closed() {
            let _ = done.send(work());
        }
    });
    Box::pin(async move {
        started.map_err(PluginError::failed)?;
        answer.await.unwrap_or_else(|_| Err(PluginError::failed("a thread that read the database went away")))
    })
}
