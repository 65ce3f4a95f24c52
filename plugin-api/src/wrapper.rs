//! [`Wrapper`]: code that runs around every creation and verification.

use crate::{Call, CreateToken, CreatedToken, Result, Verdict};

/// Runs before and after each create and verify, around all handlers: pluggy's `wrapper=True`.
///
/// `before_…` sees the call and may fail it. `after_…` gets the outcome and answers with it or
/// with another one. Teardown runs in reverse order of set-up, also when a handler or a wrapper
/// further in failed; only the wrapper whose own `before_…` failed is not torn down.
///
/// Wrappers run on the caller's task, so they only compute: no waiting in here. When the caller
/// goes away in the middle of a call, the outcome that `after_…` is told is an error of kind
/// [`Cancelled`](crate::PluginErrorKind::Cancelled).
pub trait Wrapper: Send + Sync + 'static {
    /// What `before_…` hands to `after_…`; often `()`.
    type State: Send + 'static;

    /// The wrapper's name in listings and errors. Asked once.
    fn name(&self) -> &str;

    /// Before a verification.
    ///
    /// # Errors
    ///
    /// Fail the call. [`PluginErrorKind::TokenInvalid`](crate::PluginErrorKind::TokenInvalid)
    /// rejects the token, everything else means "cannot tell".
    fn before_verify(&self, call: &Call<'_>, token: &str) -> Result<Self::State>;

    /// After a verification.
    ///
    /// # Errors
    ///
    /// As for [`before_verify`](Self::before_verify).
    fn after_verify(
        &self,
        call: &Call<'_>,
        state: Self::State,
        token: &str,
        outcome: Result<Verdict>,
    ) -> Result<Verdict> {
        let _ = (call, state, token);
        outcome
    }

    /// Before a creation.
    ///
    /// # Errors
    ///
    /// Fail the call.
    fn before_create(&self, call: &Call<'_>, request: &CreateToken) -> Result<Self::State>;

    /// After a creation.
    ///
    /// # Errors
    ///
    /// Fail the call.
    fn after_create(
        &self,
        call: &Call<'_>,
        state: Self::State,
        request: &CreateToken,
        outcome: Result<CreatedToken>,
    ) -> Result<CreatedToken> {
        let _ = (call, state, request);
        outcome
    }
}
