//! [`PluginError`]: what a plugin answers when it could not do what it was asked.

use std::{borrow::Cow, fmt};

use crate::Reason;

/// The result of a plugin's operations.
pub type Result<T, E = PluginError> = std::result::Result<T, E>;

/// What went wrong, in the terms of the systems that the host follows.
///
/// The host turns each kind into an error kind of its own, a command-line exit code and an HTTP
/// status. Non-exhaustive, because later versions may tell more cases apart.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PluginErrorKind {
    /// Something the plugin or its store could not do. A verification fails closed: nobody else is asked.
    Failed,
    /// An argument that makes no sense (Python's `ValueError`).
    InvalidArgument,
    /// The operation is switched off in the plugin's configuration (Datasette's `ValueError("Signed tokens are not enabled ...")`).
    Disabled,
    /// `token_info` lacks this key (Djblets' `KeyError`).
    MissingTokenInfo(String),
    /// The token is this handler's, and bad: the same as [`Verdict::Rejected`](crate::Verdict::Rejected).
    TokenInvalid(Reason),
    /// No unique token could be made (Djblets' `WebAPITokenGenerationError`).
    TokenGeneration,
    /// There is no such token, code or client.
    NotFound(String),
    /// The handler does not offer this operation (Python's `NotImplementedError`).
    Unsupported,
    /// The plugin's code panicked. Set by the fence around every plugin call, with the panic's message and place.
    Panicked,
    /// The call took longer than its deadline. Set by the host.
    DeadlineExceeded,
    /// The call was not begun within its deadline: others came before it, and were answered. Set by the host.
    Overloaded,
    /// The caller went away before the call was done: what a wrapper's teardown is told then. Set by the host.
    Cancelled,
}

/// An error from a plugin: a kind, and a message for the log.
///
/// The message is read by operators. It must hold neither tokens nor secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginError(Box<Parts>);

/// Boxed, since results are moved often and errors are rare.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    kind: PluginErrorKind,
    message: Cow<'static, str>,
}

impl PluginError {
    /// An error of this kind.
    pub fn new(kind: PluginErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Parts { kind, message: message.into() }))
    }

    /// Something that could not be done, for use in `map_err(PluginError::failed)`.
    pub fn failed(cause: impl fmt::Display) -> Self {
        Self::new(PluginErrorKind::Failed, cause.to_string())
    }

    /// An argument that makes no sense.
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(PluginErrorKind::InvalidArgument, message)
    }

    /// `token_info` lacks `key`.
    pub fn missing_token_info(key: &str) -> Self {
        Self::new(
            PluginErrorKind::MissingTokenInfo(key.to_owned()),
            format!("the token_info dictionary must contain a `{key}` key"),
        )
    }

    /// There is no such `what`.
    pub fn not_found(what: &str) -> Self {
        Self::new(PluginErrorKind::NotFound(what.to_owned()), format!("{what} not found"))
    }

    /// The handler does not offer `operation`.
    pub fn unsupported(operation: &'static str) -> Self {
        Self::new(PluginErrorKind::Unsupported, operation)
    }

    /// What went wrong.
    pub fn kind(&self) -> &PluginErrorKind {
        &self.0.kind
    }

    /// The message for the log.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn into_parts(self) -> (PluginErrorKind, Cow<'static, str>) {
        (self.0.kind, self.0.message)
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            PluginErrorKind::Unsupported => write!(f, "{} is not supported", self.0.message),
            PluginErrorKind::Panicked => write!(f, "panicked: {}", self.0.message),
            _ => f.write_str(&self.0.message),
        }
    }
}

impl std::error::Error for PluginError {}

impl From<std::io::Error> for PluginError {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}
