//! The log on stderr, as `TOKEN_HOST_LOG` filters it.

use std::{env, io};

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
    let written = env::var("TOKEN_HOST_LOG").ok().filter(|written| written.parse::<EnvFilter>().is_ok());
    EnvFilter::new(discreet(written.as_deref().unwrap_or("warn,reload=info")))
}

/// What stands in a request that is malformed, the token in its query too, is what this crate logs below INFO. Whoever
/// asks for everything wants to know what this program does, not that.
const INDISCREET: &str = "h2";

/// The filter without what would log tokens.
fn discreet(written: &str) -> String {
    let is_discreet = |directive: &&str| {
        let rest = directive.trim().strip_prefix(INDISCREET);
        !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '=', '[']))
    };
    let mut directives: Vec<&str> = written.split(',').filter(is_discreet).collect();
    directives.push("h2=info");
    directives.join(",")
}

fn has_colours() -> bool {
    io::IsTerminal::is_terminal(&io::stderr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_ask_for_what_would_log_tokens() {
        for (written, discreetly) in [
            ("trace", "trace,h2=info"),
            ("", ",h2=info"),
            ("h2=trace,warn", "warn,h2=info"),
            (" h2::server=debug , h2", "h2=info"),
            ("h2[span{a}]=trace,h2o=trace,plugin=trace", "h2o=trace,plugin=trace,h2=info"),
        ] {
            assert_eq!(discreet(written), discreetly);
            assert!(discreetly.parse::<EnvFilter>().is_ok(), "{discreetly}");
        }
    }
}
