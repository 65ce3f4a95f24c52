//! A client of memcached that sends many requests at once on one connection to each server.
//!
//! ```no_run
//! use token_oauth2_memcached::{Distribution, Expiry, Memcached, Settings};
//!
//! # async fn example() -> Result<(), token_oauth2_memcached::Error> {
//! let settings = Settings { distribution: Distribution::KetamaMd5, ..Settings::default() };
//! let memcached = Memcached::new("cache-1:11211,cache-2:11211".parse()?, settings);
//! memcached.set(b"greeting", b"hello", 0, Expiry::At(1_924_992_000)).await?;
//! if let Some(value) = memcached.get(b"greeting").await? {
//!     memcached.compare_and_set(b"greeting", b"goodbye", 0, Expiry::Never, value.cas).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! It speaks the meta protocol, and wants memcached 1.6.13 or newer. What is not here: TLS, and SASL, which only the
//! deprecated binary protocol has; for passwords there is memcached's ASCII authentication ([`Credentials`]).
//!
//! ```text
//! Memcached ─ Ring:       which server has a key
//!           └ Lane:       one server; opens connections, and rests between attempts
//!             └ Connection: one connection, and the task that drives it
//!               └ Queue:    what waits to be sent, and who waits for answers, in the order of both
//! ```
//!
//! A request has its place in the queue until its answer is there, whether anybody still waits or not. Each carries its
//! number, which the answer repeats: a connection on which an answer is not the one that is next is closed.

mod client;
mod connection;
mod distribution;
mod driver;
mod error;
mod expiry;
mod incoming;
mod lane;
mod queue;
mod reply;
mod request;
mod servers;
mod settings;
mod value;

pub use client::Memcached;
pub use distribution::Distribution;
pub use error::{Error, ErrorKind};
pub use expiry::Expiry;
pub use servers::{Server, Servers};
pub use settings::{Credentials, Settings};
pub use value::{Compared, Value};
