//! Tokens that a database keeps: they can be listed, revoked and audited. On SQLite for one machine, on PostgreSQL for a
//! fleet; the URL says which.
//!
//! What Datasette's `register_token_handler` was made for, and what Djblets' `WebAPITokenManager` does: tokens with a
//! note, a policy, an expiry, a generator that made their value, the time of their last use; invalidated singly or many
//! at once, with a reason and a date that stay. What those leave open is closed here:
//!
//! - the token itself is kept nowhere, only its digest;
//! - a checksum in the token is checked before the database is asked;
//! - an empty list of users is nobody, and an earlier reason is never overwritten;
//! - a verification writes nothing: uses are noted in batches.
//!
//! # From a token to a verdict
//!
//! ```text
//! token -> forms (could it be ours?) -> digest -> cache -> store -> judge -> Verdict
//!                                                 (if on)  (one indexed lookup)
//! ```
//!
//! [`store::Store`] is the wall between what a token means (here) and where it lies (`store/sqlite`, `store/postgres`):
//! stores know rows, digests and times, and judge nothing.
//!
//! Other plugins may keep what is theirs in the same databases: [`ItemDatabase`].

mod bounds;
mod cache;
mod config;
mod cutoffs;
mod digest;
mod elsewhere;
mod forms;
mod generators;
mod handler;
mod import;
mod items;
mod judge;
mod migrations;
mod store;
mod uses;

pub use config::{Config, PostgresConfig, SqliteConfig, Url};
pub use handler::{Database, register};
pub use items::{DatabaseItem, ItemDatabase, Write};
