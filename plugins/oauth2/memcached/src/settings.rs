//! [`Settings`]: how servers are talked to.

use std::{fmt, num::NonZeroU32, time::Duration};

use secrecy::{ExposeSecret, SecretString};

use crate::{Distribution, Error, ErrorKind};

/// How servers are talked to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which server has which key.
    pub distribution: Distribution,
    /// How long it may take to find a server's address, and to connect to it.
    pub connect_timeout: Duration,
    /// How long a request may wait for its answer, the opening of the connection included. When for so long there was
    /// no answer at all, the connection is closed.
    pub request_timeout: Duration,
    /// How many requests may be without an answer on one connection; further ones wait. A value to be stored counts
    /// once more for each 16 KiB, which bounds the memory too.
    pub max_in_flight: NonZeroU32,
    /// Larger values are neither sent nor received.
    pub max_value_bytes: usize,
    /// For servers that run with an authentication file (`-Y`).
    pub credentials: Option<Credentials>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // What `ketama` means where nothing else is said. With one server, all are the same.
            distribution: Distribution::Ketama,
            // Half of the request's time. A lost SYN is sent again after a second only, so that more would not help.
            connect_timeout: Duration::from_millis(500),
            // memcached answers in less than a millisecond. In a second TCP has sent lost packets again, twice.
            request_timeout: Duration::from_secs(1),
            // Some 200 saturate a server; 1024 leave room for distance, and may send 16 MiB.
            max_in_flight: NonZeroU32::MIN.saturating_add(1023),
            // What memcached has when it was started without `-I`.
            max_value_bytes: 1024 * 1024,
            credentials: None,
        }
    }
}

impl Settings {
    /// With times that can be added to any other.
    pub(crate) fn clamped(self) -> Self {
        const LONG: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            connect_timeout: self.connect_timeout.min(LONG),
            request_timeout: self.request_timeout.min(LONG),
            ..self
        }
    }
}

/// A user and a password, for memcached's ASCII authentication. They are sent in clear.
#[derive(Clone)]
pub struct Credentials {
    user: String,
    password: SecretString,
}

impl Credentials {
    /// # Errors
    ///
    /// When no server could let them in: both are there, have no blanks and no control characters, the user has no `:`,
    /// and together they have less than 254 bytes.
    pub fn new(user: impl Into<String>, password: impl Into<SecretString>) -> Result<Self, Error> {
        let (user, password) = (user.into(), password.into());
        let is_word = |text: &str| !text.is_empty() && !text.contains(|c: char| c == ' ' || c.is_control());
        let bytes = user.len() + password.expose_secret().len();
        if !is_word(&user) || user.contains(':') || !is_word(password.expose_secret()) || bytes >= 254 {
            let what = "expected a user without `:`, and a password, without blanks and control characters in them";
            return Err(Error::new(ErrorKind::InvalidSettings, what));
        }
        Ok(Self { user, password })
    }

    /// The first command on a connection: the key is anything, the value is what counts. To a server that runs without
    /// authentication it is a value like any other, and so it is one that has expired.
    pub(crate) fn command(&self) -> SecretString {
        let password = self.password.expose_secret();
        let bytes = self.user.len() + 1 + password.len();
        SecretString::from(format!("set auth 0 -1 {bytes}\r\n{} {password}\r\n", self.user))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_what_a_line_of_the_file_can_have() {
        let credentials = Credentials::new("alice", "pass:word").unwrap();
        assert_eq!(credentials.command().expose_secret(), "set auth 0 -1 15\r\nalice pass:word\r\n");
        assert_eq!(format!("{credentials:?}"), "Credentials { user: \"alice\", .. }");
        let long = "p".repeat(249);
        for (user, password) in [
            ("", "p"),
            ("a b", "p"),
            ("a:b", "p"),
            ("a\n", "p"),
            ("a", "p\r\n"),
            ("a", "p q"),
            ("a", ""),
            ("alice", &long),
        ] {
            let error = Credentials::new(user, password).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSettings, "{user}");
        }
    }
}
