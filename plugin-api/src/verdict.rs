//! [`Verdict`]: a handler's answer to a token.

use std::{borrow::Cow, fmt};

use crate::Actor;

/// A handler's answer to a token it could judge.
///
/// "Cannot tell" (a store that is down) is none of these: return an
/// [`Err`](crate::PluginError) for it, and the host fails closed.
/// Exhaustive on purpose: the host's behaviour is a table over these three and the error.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Not one of this handler's tokens: the next handler is asked.
    NotRecognized,
    /// This handler's, and good.
    Accepted(Actor),
    /// This handler's, and bad: no other handler is asked (Datasette's `TokenInvalid`).
    Rejected(Reason),
}

/// What kind of bad a rejected token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonKind {
    /// The signature or checksum does not fit.
    BadSignature,
    /// The token is no well-formed token of its kind.
    Malformed,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It was invalidated.
    Revoked,
    /// Its actor or its kind of token is switched off.
    Disabled,
    /// It is longer than the host's `max_token_bytes`.
    TooLong,
    /// Anything else.
    Other,
}

impl ReasonKind {
    /// The kind's name in listings, metrics and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::Disabled => "disabled",
            Self::TooLong => "too_long",
            Self::Other => "other",
        }
    }
}

/// Why a token was rejected: a kind for programs, and a message that the token's owner may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    kind: ReasonKind,
    message: Cow<'static, str>,
}

impl Reason {
    /// A reason with a message of your own: lower case, no full stop, no part of the token.
    pub fn new(kind: ReasonKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The signature or checksum does not fit.
    pub const fn bad_signature() -> Self {
        Self { kind: ReasonKind::BadSignature, message: Cow::Borrowed("token signature is invalid") }
    }

    /// The token is no well-formed token of its kind: `message` says in which way.
    pub const fn malformed(message: &'static str) -> Self {
        Self { kind: ReasonKind::Malformed, message: Cow::Borrowed(message) }
    }

    /// The token's time is over.
    pub const fn expired() -> Self {
        Self { kind: ReasonKind::Expired, message: Cow::Borrowed("token has expired") }
    }

    /// What kind of bad it is.
    pub const fn kind(&self) -> ReasonKind {
        self.kind
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_message(self) -> Cow<'static, str> {
        self.message
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
