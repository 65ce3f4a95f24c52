//! [`TokenHandler`] and [`AsyncTokenHandler`]: what an author implements to create and verify tokens.

use std::future::Future;

use serde::{Deserialize, Serialize};

use crate::{
    ActorPage, Call, CreateToken, CreatedToken, DeleteTokens, DeletedTokens, ImportTokens, ImportedTokens,
    InactiveActor, InvalidateTokens, InvalidatedTokens, ListActors, Migrate, Migrations, PluginError, Result,
    SetActors, TokenFilter, TokenPage, TokenRecord, TokenSelector, UpdateToken, Verdict,
};

/// The longest prefix that a handler may claim, in bytes.
pub const MAX_CLAIM_BYTES: usize = 64;

/// Which tokens a handler wants to see.
///
/// The host does not call a handler for tokens that it does not claim. This changes no answer, as
/// long as the handler would have said [`Verdict::NotRecognized`] to them, and it keeps the cost
/// of a verification from growing with the number of handlers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims(pub(crate) Vec<String>);

impl Claims {
    /// Every token.
    pub fn any() -> Self {
        Self(Vec::new())
    }

    /// Tokens that start with one of these, each of 1 to [`MAX_CLAIM_BYTES`] bytes.
    pub fn prefixes<P: Into<String>>(prefixes: impl IntoIterator<Item = P>) -> Self {
        Self(prefixes.into_iter().map(Into::into).collect())
    }

    /// The prefixes; none: every token.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// What a host may do with a handler to find out, before it serves, whether it works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trial {
    /// Have it make a token of a short life, verify that, and see a changed one refused.
    #[default]
    CreateAndVerify,
    /// Have it judge a token that nobody made. For handlers whose tokens would be left behind, as in
    /// a database that others see.
    // Also what an older host takes a later kind of trial for: the one that leaves nothing behind.
    #[serde(other)]
    VerifyOnly,
}

/// Creates and verifies tokens. Modelled on Datasette's `TokenHandler`.
///
/// Register it with [`Hooks::handler`](crate::Hooks::handler) when its calls only compute (the
/// host then calls it on the caller's own task), or with
/// [`Hooks::blocking_handler`](crate::Hooks::blocking_handler) when they may wait for a disk or a
/// network (the host then calls it on threads that it keeps for the plugin, with a deadline).
///
/// Only [`name`](Self::name) and [`verify_token`](Self::verify_token) are required; what is not
/// implemented answers "unsupported". All methods are called from many threads at once.
pub trait TokenHandler: Send + Sync + 'static {
    /// The handler's name, by which callers choose it. Asked once.
    fn name(&self) -> &str;

    /// Which tokens it wants to see. Asked once.
    fn claims(&self) -> Claims {
        Claims::any()
    }

    /// What the host may try before the handler serves. Asked once.
    fn trial(&self) -> Trial {
        Trial::default()
    }

    /// Judges a token.
    ///
    /// # Errors
    ///
    /// When it cannot tell: nobody else is asked then, and the caller gets an error, never a "no".
    fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict>;

    /// Makes a token. `request.expires_after` is above 0, or none.
    ///
    /// # Errors
    ///
    /// [`PluginError::unsupported`] lets the host ask the next handler, unless this one was named.
    fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        let _ = (call, request);
        Err(PluginError::unsupported("create_token"))
    }

    /// One page of the tokens that the filter means.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn list_tokens(&self, call: &Call<'_>, filter: &TokenFilter) -> Result<TokenPage> {
        let _ = (call, filter);
        Err(PluginError::unsupported("list_tokens"))
    }

    /// What is known of one token; `None`: nothing.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn get_token(&self, call: &Call<'_>, token: &TokenSelector) -> Result<Option<TokenRecord>> {
        let _ = (call, token);
        Err(PluginError::unsupported("get_token"))
    }

    /// Invalidates tokens and returns those that were valid before. The host sends an event for each.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn invalidate_tokens(&self, call: &Call<'_>, request: &InvalidateTokens) -> Result<InvalidatedTokens> {
        let _ = (call, request);
        Err(PluginError::unsupported("invalidate_tokens"))
    }

    /// Changes a token and returns it as it is now. The host sends the event.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented; [`PluginError::not_found`] when there is no such token.
    fn update_token(&self, call: &Call<'_>, request: &UpdateToken) -> Result<TokenRecord> {
        let _ = (call, request);
        Err(PluginError::unsupported("update_token"))
    }

    /// Deletes tokens that ended long ago: see [`DeleteTokens`].
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn delete_tokens(&self, call: &Call<'_>, request: &DeleteTokens) -> Result<DeletedTokens> {
        let _ = (call, request);
        Err(PluginError::unsupported("delete_tokens"))
    }

    /// Brings over a part of another system's tokens: see [`ImportTokens`].
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn import_tokens(&self, call: &Call<'_>, request: &ImportTokens) -> Result<ImportedTokens> {
        let _ = (call, request);
        Err(PluginError::unsupported("import_tokens"))
    }

    /// Activates or deactivates actors, and returns those that this changed.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn set_actors(&self, call: &Call<'_>, request: &SetActors) -> Result<Vec<InactiveActor>> {
        let _ = (call, request);
        Err(PluginError::unsupported("set_actors"))
    }

    /// One page of the actors that are deactivated.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn list_inactive_actors(&self, call: &Call<'_>, request: &ListActors) -> Result<ActorPage> {
        let _ = (call, request);
        Err(PluginError::unsupported("list_inactive_actors"))
    }

    /// Brings the handler's store to the form that it needs, or says what that would change.
    ///
    /// # Errors
    ///
    /// Unsupported, unless implemented.
    fn migrate(&self, call: &Call<'_>, request: &Migrate) -> Result<Migrations> {
        let _ = (call, request);
        Err(PluginError::unsupported("migrate"))
    }
}

/// [`TokenHandler`] for handlers that wait without holding a thread: write its methods as `async fn`.
///
/// The host polls the futures on a runtime of its own, with a deadline. That runtime is not visible
/// in here, because a plugin has its own copy of every library: an author who needs tokio's timers
/// or sockets runs them with `runtime::run` (feature `runtime`).
pub trait AsyncTokenHandler: Send + Sync + 'static {
    /// See [`TokenHandler::name`].
    fn name(&self) -> &str;

    /// See [`TokenHandler::claims`].
    fn claims(&self) -> Claims {
        Claims::any()
    }

    /// See [`TokenHandler::trial`].
    fn trial(&self) -> Trial {
        Trial::default()
    }

    /// Judges a token when nothing has to be waited for, as when it is found in a cache; `None`: ask
    /// [`verify_token`](Self::verify_token).
    ///
    /// It is called on the caller's own task, as an inline handler is: there is no deadline, and it must not wait.
    fn verify_at_once(&self, call: &Call<'_>, token: &str) -> Option<Result<Verdict>> {
        let _ = (call, token);
        None
    }

    /// See [`TokenHandler::verify_token`].
    fn verify_token(&self, call: &Call<'_>, token: &str) -> impl Future<Output = Result<Verdict>> + Send;

    /// See [`TokenHandler::create_token`].
    fn create_token(
        &self,
        call: &Call<'_>,
        request: &CreateToken,
    ) -> impl Future<Output = Result<CreatedToken>> + Send {
        let _ = (call, request);
        async { Err(PluginError::unsupported("create_token")) }
    }

    /// See [`TokenHandler::list_tokens`].
    fn list_tokens(&self, call: &Call<'_>, filter: &TokenFilter) -> impl Future<Output = Result<TokenPage>> + Send {
        let _ = (call, filter);
        async { Err(PluginError::unsupported("list_tokens")) }
    }

    /// See [`TokenHandler::get_token`].
    fn get_token(
        &self,
        call: &Call<'_>,
        token: &TokenSelector,
    ) -> impl Future<Output = Result<Option<TokenRecord>>> + Send {
        let _ = (call, token);
        async { Err(PluginError::unsupported("get_token")) }
    }

    /// See [`TokenHandler::invalidate_tokens`].
    fn invalidate_tokens(
        &self,
        call: &Call<'_>,
        request: &InvalidateTokens,
    ) -> impl Future<Output = Result<InvalidatedTokens>> + Send {
        let _ = (call, request);
        async { Err(PluginError::unsupported("invalidate_tokens")) }
    }

    /// See [`TokenHandler::update_token`].
    fn update_token(&self, call: &Call<'_>, request: &UpdateToken) -> impl Future<Output = Result<TokenRecord>> + Send {
        let _ = (call, request);
        async { Err(PluginError::unsupported("update_token")) }
    }

    /// See [`TokenHandler::delete_tokens`].
    fn delete_tokens(
        &self,
        call: &Call<'_>,
        request: &DeleteTokens,
    ) -> impl Future<Output = Result<DeletedTokens>> + Send {
        let _ = (call, request);
        async { Err(PluginError::unsupported("delete_tokens")) }
    }

    /// See [`TokenHandler::import_tokens`].
    fn import_tokens(
        &self,
        call: &Call<'_>,
        request: &ImportTokens,
    ) -> impl Future<Output = Result<ImportedTokens>> + Send {
        let _ = (call, request);
        async { Err(PluginError::unsupported("import_tokens")) }
    }

    /// See [`TokenHandler::set_actors`].
    fn set_actors(
        &self,
        call: &Call<'_>,
        request: &SetActors,
    ) -> impl Future<Output = Result<Vec<InactiveActor>>> + Send {
        let _ = (call, request);
        async { Err(PluginError::unsupported("set_actors")) }
    }

    /// See [`TokenHandler::list_inactive_actors`].
    fn list_inactive_actors(
        &self,
        call: &Call<'_>,
        request: &ListActors,
    ) -> impl Future<Output = Result<ActorPage>> + Send {
        let _ = (call, request);
        async { Err(PluginError::unsupported("list_inactive_actors")) }
    }

    /// See [`TokenHandler::migrate`].
    fn migrate(&self, call: &Call<'_>, request: &Migrate) -> impl Future<Output = Result<Migrations>> + Send {
        let _ = (call, request);
        async { Err(PluginError::unsupported("migrate")) }
    }
}
