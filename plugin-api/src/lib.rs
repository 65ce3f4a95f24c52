//! Write a token handler for token-host. This is a complete plugin:
//!
//! ```
//! # mod plugin {
//! use serde::Deserialize;
//! use token_plugin_api::{
//!     Actor, Call, Claims, CreateToken, CreatedToken, Hooks, PluginError, Reason, Result, Secret, TokenHandler,
//!     Verdict, export_plugin,
//! };
//!
//! #[derive(Deserialize)]
//! struct Config {
//!     /// The one token that is good.
//!     token: Secret,
//!     actor: String,
//! }
//!
//! struct OneToken(Config);
//!
//! impl TokenHandler for OneToken {
//!     fn name(&self) -> &str {
//!         "one-token"
//!     }
//!
//!     fn claims(&self) -> Claims {
//!         Claims::prefixes(["one_"])
//!     }
//!
//!     fn verify_token(&self, _: &Call<'_>, token: &str) -> Result<Verdict> {
//!         if !token.starts_with("one_") {
//!             return Ok(Verdict::NotRecognized);
//!         }
//!         Ok(match token == self.0.token.expose() {
//!             true => Verdict::Accepted(Actor::new(&self.0.actor, "one")),
//!             false => Verdict::Rejected(Reason::bad_signature()),
//!         })
//!     }
//! }
//!
//! fn register(hooks: &mut Hooks, config: Config) -> Result<()> {
//!     hooks.handler(OneToken(config));
//!     Ok(())
//! }
//!
//! export_plugin! { name: "one-token", hooks: [TokenHandler], register: register }
//! # }
//! # fn main() {}
//! ```
//!
//! (A handler in earnest compares secrets in constant time: the crate `subtle` does.)
//!
//! Build it as a `cdylib`, put the library into the host's drop-in folder or name it in
//! `plugins.toml`, done. `token-host new NAME` writes such a crate, with a test.
//!
//! `conformance::assert_conforms` (feature `conformance`) holds a plugin to the contract below, in one line of its own
//! tests.
//!
//! # The contract
//!
//! - A [`Verdict`] says "not mine", "mine and good" or "mine and bad". "Cannot tell" is an
//!   [`Err`](PluginError): the host then asks nobody else and fails closed.
//! - Register inline handlers for pure computation, blocking or async ones for everything that
//!   may wait. All are called from many threads at once.
//! - Configuration arrives as your own serde type. Unknown keys are refused for you, secrets are
//!   read from the environment or from files before you see them.
//! - `tracing` and `log` events reach the host's log under your plugin's name. Keep tokens and
//!   secrets out of them.
//! - A panic becomes an error, in `Drop` and in futures too. Build with `panic = "unwind"`, the
//!   default: a plugin that would abort is refused. What Rust itself cannot undo ends the process:
//!   a panic in a `Drop` that runs because of another panic, a stack overflow, `abort`.
//! - Time comes from [`Call::now`] or [`HostHandle::now`], never from the system.
//! - Never build with `-C target-cpu=native`: with SHA and AVX instructions enabled statically,
//!   hashing became 30 times slower on a current Xeon. The crates detect both at run time.
//!
//! # How the ABI grows
//!
//! The boundary ([`abi::v1`]) is frozen: its types get no field and no method any more, because
//! the layout check would refuse every plugin that was built before. A host of any 1.x loads
//! plugins built with every 1.y. What is new comes in three ways, in this order of preference:
//!
//! 1. a key in one of the JSON texts that cross (details of a request, claims of an actor, the
//!    context, the requests and answers of `manage`), where an absent key has today's meaning;
//! 2. an extension: an object of a type of its own, looked up by a versioned name on the root, on
//!    the instance, or on the host's services, with a layout check of its own;
//! 3. a module `abi::v2` beside `v1`, for which the host looks first.
//!
//! Stores ([`AccessTokenStore`], [`AuthCodeStore`], [`ClientStore`]) are such an extension, `stores/1`: a host of before
//! them loads a plugin that offers some, and says that it does not know what they are.
//!
//! The crate itself stays 1.x: `abi_stable` compares its version as Cargo would.

pub mod abi;
mod actor;
mod bridge;
mod call;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod events;
pub mod files;
mod generator;
mod handler;
mod hooks;
mod metric;
#[cfg(feature = "openapi")]
mod openapi;
mod policy;
mod recorder;
mod request;
mod restrictions;
#[cfg(feature = "runtime")]
pub mod runtime;
mod secret;
mod store;
pub mod testing;
mod time;
mod upkeep;
mod verdict;
mod wrapper;

pub use actor::Actor;
pub use call::{Call, HostHandle, RequestContext};
pub use error::{PluginError, PluginErrorKind, Result};
pub use events::{Delivery, Event, EventKind, EventSink};
pub use generator::TokenGenerator;
pub use handler::{AsyncTokenHandler, Claims, MAX_CLAIM_BYTES, TokenHandler, Trial};
pub use hooks::{Hooks, NoConfig};
pub use metric::{Metric, MetricKind};
pub use policy::{Policy, PolicyDefault, PolicyError};
pub use request::{
    Actors, CreateToken, CreatedToken, Cutoff, DEFAULT_MAX_ATTEMPTS, Expires, InvalidateTokens, InvalidatedToken,
    InvalidatedTokens, TokenDetails, TokenFilter, TokenKind, TokenPage, TokenRecord, TokenSelector, UpdateToken,
};
pub use restrictions::{TokenRestrictions, action_abbreviation, action_name, action_names};
pub use secret::{Secret, Secrets};
pub use store::{
    ACCESS_TOKEN, AUTHORIZATION_CODE, AccessToken, AccessTokenStore, AuthCodeStore, AuthorizationCode, CLIENT, Client,
    ClientPage, ClientSecret, ClientStore, Consumption, ListClients, RotateRefreshToken, Rotation,
};
pub use time::utc_text;
pub use upkeep::{
    ActorPage, DeleteTokens, DeletedTokens, ImportTokens, ImportedTokens, InactiveActor, ListActors, Migrate,
    Migration, Migrations, SetActors,
};
pub use verdict::{Reason, ReasonKind, Verdict};
pub use wrapper::Wrapper;

/// The version of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
