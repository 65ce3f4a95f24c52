//! The log on stderr, as `TOKEN_HOST_LOG` filters it.

use std::io;

use tracing_subscriber::{EnvFilter, fmt};

/// Starts the log.
pub(super) fn start() {
    // No layers with filters of their own: nothing is cheaper for what is filtered out.
    fmt().with_env_filter(filter()).with_writer(io::stderr).with_ansi(has_colours()).init();
}

/// Starts the log, and traces beside it where the environment says who collects them. They end when what is returned is
/// dropped.
///
/// # Errors
///
/// When the environment makes no sense.
#[cfg(feature = "otel")]
pub(super) fn start_with_traces() -> Result<Option<super::traces::Traces>, super::exit::Failure> {
    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};
    let Some(traces) = super::traces::Traces::of_environment()? else {
        start();
        return Ok(None);
    };
    let log = fmt::layer().with_writer(io::stderr).with_ansi(has_colours()).with_filter(filter());
    tracing_subscriber::registry().with(log).with(traces.layer()).init();
    Ok(Some(traces))
}

/// Starts the log. This program makes no traces.
///
/// # Errors
///
/// Never.
#[cfg(not(feature = "otel"))]
pub(super) fn start_with_traces() -> Result<Option<std::convert::Infallible>, super::exit::Failure> {
    start();
    Ok(None)
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_env("TOKEN_HOST_LOG").unwrap_or_else(|_| EnvFilter::new("warn,reload=info"))
}

fn has_colours() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}
