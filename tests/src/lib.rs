//! The harness of the black-box tests: it builds what is tested, runs it, and talks to the real systems.
//!
//! ```no_run
//! use token_host_tests::{Plugin, Scratch};
//!
//! let mut scratch = Scratch::new();
//! scratch.plugin("example", Plugin::Hostile, "handlers = [{ name = 'yes' }]");
//! let run = scratch.run(["verify", "any token"]);
//! assert_eq!(run.code(), 0, "{run}");
//! ```
//!
//! Nothing in here knows what the right answers are: those are in `tests/`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a harness that meets the unexpected fails the test, there and then"
)]

mod api;
mod artifact;
mod chromium;
mod daemon;
mod damage;
mod datasette;
mod debian;
mod dialog;
mod djblets;
mod flask;
mod forge;
pub mod fuzz;
mod fuzz_jwt;
mod http2;
mod install;
mod introspection;
mod journal;
mod jwt;
mod jwt_crate;
mod jwt_forge;
mod library;
mod memcached;
mod node;
mod oauth2_crate;
mod oauth2_server;
mod oracle;
mod place;
mod postgres;
mod proxy;
mod proxy_kind;
mod python;
mod redis;
mod run;
mod scratch;
mod served;
mod skip;
mod tended;
mod upstream;
mod user;
mod wait;
mod wire;

pub use api::{Api, Watcher};
pub use artifact::{Plugin, host_binary, host_example, repository, target_folder};
pub use chromium::{Browser, Scheme, Width};
pub use daemon::Daemon;
pub use damage::{flipped, truncated};
pub use datasette::Datasette;
pub use debian::debian_program;
pub use dialog::Dialog;
pub use djblets::Djblets;
pub use flask::{Flask, FlaskApp};
pub use forge::{SECRET, compressed, forge, forge_encoded, now, plain};
pub use http2::{Frame, Http2, block, frame};
pub use introspection::basic;
pub use journal::{Entry, Journal};
pub use jwt::{Decoded, JwtKey, JwtLibraries, JwtUse};
pub use jwt_forge::{HS256, JWT_SECRET, SetClock, hmac_sha2, jwt, jwt_encoded};
pub use library::{replace_once, stripped, with_deed, with_manifest};
pub use memcached::Memcached;
pub use node::Node;
pub use oauth2_crate::{allow_over_http, walk_with_the_crate};
pub use oauth2_server::{OAuth2, OAuth2Site, Pairs, Reply, encoded, form_in};
pub use oracle::Oracle;
pub use place::{Made, Place, Said, invalidate, listed, said};
pub use postgres::{Postgres, PostgresDatabase, PostgresOptions};
pub use proxy::{Behind, Proxy};
pub use proxy_kind::ProxyKind;
pub use python::Python;
pub use redis::{Redis, RedisAnswer, RedisCluster, RedisOptions};
pub use run::{Run, run};
pub use scratch::{Scratch, set_mode};
pub use served::Served;
pub use skip::{Skip, skipped};
pub use upstream::{Seen, Upstream};
pub use wait::{PATIENCE, joined, wait_until};
pub use wire::{exchange, exchange_on, replies, try_exchange};
