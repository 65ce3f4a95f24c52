//! One host, any token: loads token-handler plugins, orders them as pluggy does, and delegates.
//!
//! ```no_run
//! use token_host::{CreateToken, Host};
//!
//! # async fn example() -> Result<(), token_host::Error> {
//! let host = Host::from_file("plugins.toml")?;
//! let created = host.create_token(&CreateToken::new("root").expires_after(3600)).await?;
//! let actor = host.verify_token(&created.token).await?.expect("the token is ours");
//! assert!(actor.allows("view-instance", None, None));
//! # Ok(())
//! # }
//! ```
//!
//! # A token's journey
//!
//! ```text
//! plugins.toml -> config -> admit -> load -> registry -> dispatch -> plugin -> Verdict -> who asked
//!                 (strict)  (before  (sealed (pluggy     (the loop)  (ABI)
//!                           dlopen)  copy)   order)
//! ```
//!
//! Everything left of `dispatch` runs at the start and at a reload only. A [`Host`] never runs with
//! a part of its plugins: a configuration with any finding is refused with all of them.
//!
//! # Invariants
//!
//! - Data flows one way: the command line and embedders know [`Host`], nothing under it knows them.
//! - A registry is immutable. A reload builds the next one, then swaps; calls in flight finish on the old one.
//! - Nothing of a plugin runs in the host before its file was admitted, which ends with a child process that does all
//!   that the host is going to do with it; and what runs is the very bytes that were examined.
//! - On the path of a verification no lock and no counter is shared between threads.
//! - "Cannot tell" is an error, never a "no" and never a "yes": the host fails closed.

pub mod admit;
mod assemble;
pub mod authenticate;
#[cfg(feature = "axum")]
pub mod axum;
mod breaker;
mod builder;
mod claims;
mod clock;
pub mod config;
mod dispatch;
mod engine;
mod error;
mod events;
mod execute;
mod explain;
mod handler;
mod host;
#[cfg(feature = "http")]
pub mod http;
mod inside;
mod instance;
pub mod introspection;
mod load;
mod making;
mod manage;
mod metrics;
pub mod oauth2;
pub mod order;
mod outline;
mod page;
mod peer;
pub mod preflight;
mod registry;
mod reload;
#[cfg(feature = "http")]
mod reorder;
mod services;
pub mod session;
mod status;
mod stores;
#[cfg(feature = "tower")]
pub mod tower;
mod trial;
mod watch;
mod watchdog;
mod wrap;

pub use assemble::SLOW_HASHING;
pub use builder::{HostBuilder, StaticPlugin};
pub use clock::{Clock, SystemClock};
pub use error::{Error, ErrorKind};
pub use events::{Events, Received};
pub use execute::block_on;
pub use explain::{Explanation, Step};
pub use host::{Host, Verification};
pub use metrics::{HandlerMetrics, LATENCY_BOUNDS_NS, OUTCOMES};
pub use outline::{Outline, OutlineRow, Plan};
pub use peer::{Network, Peer};
pub use registry::PluginRow;
pub use reload::Reload;
#[cfg(feature = "http")]
pub use reorder::OrderPlan;
pub use status::{FailedReload, Libraries, Status};
pub use stores::{AccessTokens, AuthCodes, Clients, Stores};
pub use token_plugin_api::{
    self, AccessToken, Actor, Actors, AuthorizationCode, Client, ClientPage, ClientSecret, Consumption, CreateToken,
    CreatedToken, Cutoff, DeleteTokens, Event, EventKind, Expires, ImportTokens, ImportedTokens, InvalidateTokens,
    InvalidatedToken, InvalidatedTokens, ListActors, ListClients, Metric, MetricKind, Migrate, Migrations, Policy,
    PolicyDefault, PolicyError, Reason, ReasonKind, RequestContext, RotateRefreshToken, Rotation, SetActors,
    TokenDetails, TokenFilter, TokenKind, TokenPage, TokenRecord, TokenRestrictions, TokenSelector, UpdateToken,
    Verdict,
};
pub use watch::Watch;
