//! Noise: log events of every level and origin, output where none belongs, threads that panic on their own.

use std::{
    io::{self, Write},
    thread,
};

use token_plugin_api::Result;

/// One event a level by `tracing`, one by `log`, one from a thread of the plugin's own.
pub(crate) fn log_everywhere() {
    tracing::error!(target: "hostile::target", attempts = 3, who = "tracing", good = false, "an error event");
    tracing::warn!("a warning event");
    tracing::info!(answer = 42, "an information event");
    tracing::debug!("a debug event");
    tracing::trace!("a trace event");
    log::warn!(target: "hostile::log", who = "log"; "a log record");
    let logging = thread::spawn(|| tracing::warn!("an event from a thread of its own"));
    // A thread that only logs does not panic; and if it did, this plugin is here for it.
    let _ = logging.join();
}

/// A thread that panics; its end is awaited, its panic is nobody's here.
pub(crate) fn panic_in_a_thread() {
    let _ = thread::spawn(|| panic!("it was told to panic in a thread")).join();
}

/// A line on standard output, which is the host's.
pub(crate) fn print() -> Result<()> {
    Ok(writeln!(io::stdout(), "the plugin was told to write to standard output")?)
}
