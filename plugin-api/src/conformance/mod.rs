//! The conformance suite: whether a plugin keeps the contract that its host relies on.
//!
//! Authors call it in one line of their own tests; a host runs the same [`Suite`] over a library that it loaded.
//!
//! ```
//! # use token_plugin_api::{Actor, Call, Claims, Hooks, Reason, ReasonKind, Result, Secret, TokenHandler, Verdict};
//! use token_plugin_api::conformance::assert_conforms;
//! #
//! # #[derive(serde::Deserialize)]
//! # struct Config {
//! #     key: Secret,
//! # }
//! #
//! # struct OneKey(Config);
//! #
//! # impl TokenHandler for OneKey {
//! #     fn name(&self) -> &str {
//! #         "one-key"
//! #     }
//! #
//! #     fn claims(&self) -> Claims {
//! #         Claims::prefixes(["key_"])
//! #     }
//! #
//! #     fn verify_token(&self, _: &Call<'_>, token: &str) -> Result<Verdict> {
//! #         let Some(key) = token.strip_prefix("key_") else { return Ok(Verdict::NotRecognized) };
//! #         Ok(match key == self.0.key.expose() {
//! #             true => Verdict::Accepted(Actor::new("root", "key")),
//! #             false => Verdict::Rejected(Reason::new(ReasonKind::Other, "key is not known")),
//! #         })
//! #     }
//! # }
//! #
//! # fn register(hooks: &mut Hooks, config: Config) -> Result<()> {
//! #     hooks.handler(OneKey(config));
//! #     Ok(())
//! # }
//!
//! // In a test: the settings as JSON, and the plugin's `register`. Panics with a list of what is wrong.
//! assert_conforms(r#"{"key":"an example of a key"}"#, register);
//! ```
//!
//! | check | of | what must hold |
//! |---|---|---|
//! | `instance` | plugin | the settings make an instance |
//! | `names` | plugin | names can be printed, differ, and are the same in each instance, as are claims |
//! | `claims` | handler | what it creates starts with what it claims |
//! | `create_then_verify` | handler | what it creates it accepts, for the same actor |
//! | `changed_bytes` | handler | a token with one character changed is not accepted |
//! | `truncation` | handler | nor is a part of a token, nor one with something before or after it |
//! | `expiry` | handler | a token is good until its time is over, by the host's clock, and not at that second |
//! | `restrictions` | handler | a restricted token's actor may do what was asked for, nothing else |
//! | `hostile_tokens` | handler | junk and forgeries get a verdict, and are not accepted |
//! | `concurrency` | handler | calls from many threads do not disturb each other |
//! | `generators` | generator | values can be printed, differ, and are validated |
//! | `generator_checksums` | generator | if it validates by a checksum, that misses no change |
//! | `tokens_are_kept`, ... | store | what [stores](crate::AccessTokenStore) promise, one check a promise |
//! | `growth` | plugin | instances that are gone leave no thread, no open file, no memory behind (on Linux) |
//! | `dropping` | plugin | nothing panicked while it was dropped |
//! | `panics` | plugin | nothing else panicked in the whole run |
//! | `secrecy` | plugin | no message, log record or event of the run quotes a token or a secret |
//!
//! Each check of a handler has an instance of its own, and a clock that only the check moves. What a handler does not
//! offer is skipped, with the reason. Wrappers and event sinks are made and dropped, and not called.

mod block_on;
mod capture;
mod concurrency;
mod creation;
mod expiry;
mod forgery;
mod generators;
mod growth;
mod handler;
mod instance;
mod ledger;
mod names;
mod report;
mod restrictions;
mod run;
mod secrecy;
mod stores;

use std::time::Duration;

use abi_stable::std_types::RResult;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

pub use report::{Check, Outcome, Progress, Report};

use crate::{
    CreateToken, Hooks, Result,
    abi::{export::new_in_process, v1},
    secret::Watch,
};

/// Runs the suite over a `register` function with these settings, as JSON.
///
/// # Panics
///
/// When the plugin does not conform: with every check that failed.
#[track_caller]
pub fn assert_conforms<C: DeserializeOwned>(settings: &str, register: impl Fn(&mut Hooks, C) -> Result<()>) -> Report {
    let report = Suite::of_register(settings, register).run(&mut |_| ());
    report.assert_good();
    report
}

/// The suite, over something that makes instances of a plugin.
pub struct Suite<'a> {
    make: Box<Make<'a>>,
    /// Whether the plugin is a part of this program, and its `tracing` with it.
    is_linked: bool,
    name: String,
    settings: Zeroizing<String>,
    /// What the plugin is told that the host took from elsewhere.
    resolved: Vec<Zeroizing<String>>,
    folder: String,
    template: CreateToken,
    deadline: Duration,
}

/// No handler should come near it: a busy machine may.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

type Make<'a> = dyn Fn(v1::Services, v1::NewInstanceV1<'_>) -> RResult<v1::InstanceV1, v1::ErrorV1> + 'a;

impl<'a> Suite<'a> {
    /// Over a plugin that is a part of this program, with these settings, as JSON.
    ///
    /// Records that it logs with `tracing` are looked at too; those that it logs with `log`, or on threads of its own,
    /// are only seen of a loaded library.
    pub fn of_register<C: DeserializeOwned>(
        settings: &str,
        register: impl Fn(&mut Hooks, C) -> Result<()> + 'a,
    ) -> Self {
        let make = move |services: v1::Services, new: v1::NewInstanceV1<'_>| new_in_process(services, new, &register);
        let resolved = Watch::secrets_in::<C>(settings);
        Self { is_linked: true, resolved, ..Self::of_library(make, settings, []) }
    }

    /// Over a library, by its root's `new_instance` (wrapped into a closure), with these settings, as JSON, of which `resolved` came from the environment or
    /// from files.
    pub fn of_library<'s>(
        make: impl Fn(v1::Services, v1::NewInstanceV1<'_>) -> RResult<v1::InstanceV1, v1::ErrorV1> + 'a,
        settings: &str,
        resolved: impl IntoIterator<Item = &'s str>,
    ) -> Self {
        Self {
            make: Box::new(make),
            is_linked: false,
            name: "conformance".to_owned(),
            settings: Zeroizing::new(settings.to_owned()),
            resolved: resolved.into_iter().map(|value| Zeroizing::new(value.to_owned())).collect(),
            folder: ".".to_owned(),
            template: CreateToken::new("root"),
            deadline: DEFAULT_DEADLINE,
        }
    }

    /// The same, with the plugin under this name: what it is called in the configuration.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same, with relative paths in the settings relative to this folder. Otherwise it is the working directory.
    #[must_use]
    pub fn in_folder(mut self, folder: impl Into<String>) -> Self {
        self.folder = folder.into();
        self
    }

    /// The same, with every creation starting from this request: for handlers that know their actors, or that need
    /// details. Otherwise it is one for the actor `root`.
    #[must_use]
    pub fn creating_like(mut self, request: CreateToken) -> Self {
        self.template = request;
        self
    }

    /// The same, with so much time for each answer of an async handler. (One that is not async cannot be interrupted:
    /// whoever runs the suite in a process of its own may end that.)
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs all checks. `watch` hears of each as it begins and as it ends: should the plugin end the process or hang,
    /// that tells in which.
    pub fn run(&self, watch: &mut dyn FnMut(Progress<'_>)) -> Report {
        run::run(self, watch)
    }
}

impl std::fmt::Debug for Suite<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("name", &self.name).finish_non_exhaustive()
    }
}
