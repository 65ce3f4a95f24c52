//! OAuth 2.0: stores for access tokens, authorization codes and clients, in memory, memcached, Redis, SQLite or PostgreSQL,
//! which behave alike; and the handler that verifies what was issued.
//!
//! They are python-oauth2's stores, with its data types and operations. What those leave open is closed here:
//!
//! - tokens and codes are kept nowhere, only digests of them, in a namespace for each kind of thing;
//! - everything expires, in the backend too;
//! - a code is consumed, and a refresh token used, by one of several callers, and only by the client that it belongs to;
//! - a refresh token that is deleted is gone, with the access token that came with it.
//!
//! # From a backend to a store
//!
//! ```text
//! URL -> items::Items (get, put, swap, ...) -> store::Kept (what the stores promise) -> the host, the handler
//!        one for each backend                  once for all of them
//! ```
//!
//! [`items::Items`] is the wall: a backend knows keys, bytes and times, and nothing of tokens.
//!
//! # The other layout
//!
//! With `layout = "python-oauth2"` things are kept on Redis or memcached as that library keeps them, so that both run side
//! by side during a move. It reads tokens, codes and secrets in plain text, and so they are kept: see `python`.

mod config;
mod forms;
mod handler;
mod items;
mod python;
mod store;

pub use config::Config;
pub use handler::register;
pub use store::Stores;
