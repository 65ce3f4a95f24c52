//! The HTTP service: any proxy and any program can ask "who is this?".
//!
//! ```no_run
//! use token_host::{Host, http};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Host::from_file("plugins.toml")?;
//! let listeners = http::listen(&host, &[])?;
//! http::run(listeners, http::Service::new(host), std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//! listen ─▶ accept ─▶ connection ─▶ service ─┬▶ forward_auth   `/auth`, the path that must be fast: no router, no timer
//! TCP,      TLS, the  deadlines,    how many │
//! Unix,     stop      idle ones     at once  └▶ routes ─▶ oauth2, introspection, token_review, api, datasette,
//! systemd                                                 health, metrics, console
//! ```
//!
//! # Invariants
//!
//! - Everything that judges a token goes through [`authenticate`](crate::authenticate); nothing under it knows of HTTP
//!   servers.
//! - Settings are those of the host's present generation, for each request anew; where it listens is read once.
//! - Every input has a bound: connections, requests at once, heads, bodies, the time for each.
//! - What a proxy says of a request is believed from listed peers alone.
//! - Tokens are in no log, no answer but that of their creation, and in no metric.

mod accept;
mod api;
mod connection;
mod console;
mod datasette;
mod follow;
mod forward_auth;
mod health;
mod identity;
mod listen;
mod metrics;
mod oauth2;
mod problem;
mod routes;
mod service;
#[cfg(unix)]
mod systemd;
mod tls;
mod trace;
#[cfg(feature = "otel")]
mod trace_context;
#[cfg(unix)]
mod unix_socket;
mod well_formed;

pub use accept::run;
pub use listen::{Listener, check, listen};
pub use service::Service;
#[cfg(unix)]
pub use systemd::take_systemd_sockets;
