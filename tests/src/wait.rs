//! Waiting for a condition, never for luck.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long anything may take before it counts as hanging. Generous, for machines that are busy
/// with other things: a test that passes never waits that long.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the condition gives something.
///
/// # Panics
///
/// When it does not within [`PATIENCE`].
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        // Only the interval between two looks.
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a thread answers, which it must within [`PATIENCE`].
///
/// # Panics
///
/// When it does not, or when the thread panicked.
pub fn joined<T>(what: &str, thread: JoinHandle<T>) -> T {
    wait_until(what, || thread.is_finished().then_some(()));
    thread.join().unwrap()
}
