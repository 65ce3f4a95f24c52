//! [`Error`]: why something could not be done, in words without keys, values and passwords.

use std::{borrow::Cow, error::Error as StdError, fmt, io, sync::Arc};

use crate::Server;

/// Why something could not be done. Its text quotes no key, value or password.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    server: Option<Server>,
    what: Cow<'static, str>,
    source: Option<Arc<io::Error>>,
}

/// What an error means for who asked. After all but [`Self::Ambiguous`] and [`Self::TooLarge`], nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server cannot be reached, has no room, or the connection was lost: later it may be possible.
    Unavailable,
    /// There was no answer in time.
    TimedOut,
    /// A write was sent, and whether it was done is not known.
    Ambiguous,
    /// The value has more bytes than are allowed. When it is the server that says so, the key has lost its value.
    TooLarge,
    /// What was answered is nothing that was asked, or it is too old a memcached.
    Protocol,
    /// The server does not know the user, or not with this password.
    Unauthenticated,
    /// Expected 1 to 250 bytes, without blanks and control characters.
    InvalidKey,
    /// Servers or credentials as they cannot be.
    InvalidSettings,
}

impl Error {
    /// What kind it is of.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The server with which it happened, if it was with one.
    pub fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    pub(crate) fn new(kind: ErrorKind, what: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, server: None, what: what.into(), source: None }
    }

    pub(crate) fn at(self, server: &Server) -> Self {
        Self { server: Some(server.clone()), ..self }
    }

    pub(crate) fn because(self, source: io::Error) -> Self {
        Self { source: Some(Arc::new(source)), ..self }
    }

    /// What it is for a write that was sent.
    pub(crate) fn after_write(&self) -> Self {
        let what = format!("a write was sent and not answered: {}", self.what).into();
        Self { kind: ErrorKind::Ambiguous, what, ..self.clone() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(server) = &self.server {
            write!(f, "{server}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
