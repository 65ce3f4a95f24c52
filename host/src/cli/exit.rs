//! [`Failure`]: why a command did not end well, and its exit code.

use std::{fmt, process::ExitCode};

use token_host::{Error, ErrorKind};

use super::output::printable;

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The host's error decides the exit code.
    Host(Error),
    /// The answer is no: exit code 1. What there is to say.
    No(String),
    /// The arguments make no sense: exit code 2.
    Arguments(String),
    /// A plugin did not do what plugins have to: exit code 5.
    Plugin(String),
    /// The configuration or a plugin is not good, and it was said already: exit code 6.
    Refused,
    /// Whoever read our stdout went away, which is their right.
    Unread,
}

impl Failure {
    /// Says what went wrong, for people.
    #[allow(clippy::print_stderr, reason = "this is where the command line speaks")]
    pub(crate) fn report(self) -> ExitCode {
        match &self {
            Self::Refused | Self::Unread => {}
            said => eprintln!("{}", printable(&said.to_string())),
        }
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        match self {
            Self::Host(error) => code(error.kind()),
            Self::No(_) => 1,
            Self::Arguments(_) => 2,
            Self::Plugin(_) => 5,
            Self::Refused => 6,
            Self::Unread => 0,
        }
    }
}

fn code(kind: &ErrorKind) -> u8 {
    match kind {
        ErrorKind::TokenInvalid(_) | ErrorKind::NotFound(_) => 1,
        ErrorKind::UnknownHandler
        | ErrorKind::Disabled
        | ErrorKind::InvalidArgument
        | ErrorKind::MissingTokenInfo(_)
        | ErrorKind::Unsupported => 2,
        ErrorKind::NoHandlers => 3,
        ErrorKind::TokenGeneration => 4,
        ErrorKind::Config | ErrorKind::Admission => 6,
        // `ErrorKind::Plugin`, and whatever a later version adds: something could not be done.
        _ => 5,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Host(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => error.fmt(f),
            Self::No(message) | Self::Arguments(message) | Self::Plugin(message) => f.write_str(message),
            Self::Refused | Self::Unread => Ok(()),
        }
    }
}
