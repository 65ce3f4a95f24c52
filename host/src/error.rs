//! [`Error`]: what the host answers when it could not do what it was asked.

use std::fmt;

use token_plugin_api::{PluginError, PluginErrorKind, Reason};

use crate::config::{Finding, Findings};

/// What went wrong, each kind named after what it is in the systems that the host follows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `RuntimeError("No token handlers are registered")`
    NoHandlers,
    /// `ValueError("Token handler 'x' not found. Available handlers: [...]")`
    UnknownHandler,
    /// `ValueError("Signed tokens are not enabled ...")`
    Disabled,
    /// `ValueError`, other bad arguments.
    InvalidArgument,
    /// `KeyError`: `token_info` lacks this key.
    MissingTokenInfo(String),
    /// `TokenInvalid`: a handler's own token, and bad.
    TokenInvalid(Reason),
    /// `WebAPITokenGenerationError`
    TokenGeneration,
    /// `AccessTokenNotFound`, `AuthCodeNotFound`, `ClientNotFoundError`: what was not found.
    NotFound(String),
    /// `NotImplementedError`
    Unsupported,
    /// Something that a plugin or its store could not do.
    Plugin,
    /// The configuration is not good; all findings are in the error.
    Config,
    /// Plugins were refused; all findings are in the error.
    Admission,
    /// What is to be changed is not what the caller takes it for, or cannot be changed: somebody else changed the
    /// configuration meanwhile, or it is no file.
    Conflict,
    /// The host itself could not go on: no thread could be started, no socket opened.
    Internal,
}

/// An error of the host: its kind, and what is known of it.
///
/// Its text is for the log and names plugins and paths; it holds no tokens and no secrets.
#[derive(Debug, Clone)]
pub struct Error(Box<Context>);

#[derive(Debug, Clone)]
struct Context {
    kind: ErrorKind,
    message: String,
    plugin: Option<String>,
    source: Option<PluginError>,
    findings: Vec<Finding>,
}

impl Error {
    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The plugin whose doing it is, by its configured name.
    pub fn plugin(&self) -> Option<&str> {
        self.0.plugin.as_deref()
    }

    /// For [`ErrorKind::Config`] and [`ErrorKind::Admission`]: everything that is to be said, in order.
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }

    /// What the plugin itself said.
    pub(crate) fn plugin_error(&self) -> Option<&PluginError> {
        self.0.source.as_ref()
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Context { kind, message: message.into(), plugin: None, source: None, findings: Vec::new() }))
    }

    pub(crate) fn no_handlers() -> Self {
        Self::new(ErrorKind::NoHandlers, "No token handlers are registered")
    }

    /// Datasette's own words, with Python's spelling of strings and lists.
    pub(crate) fn unknown_handler<'a>(name: &str, available: impl Iterator<Item = &'a str>) -> Self {
        let available: Vec<String> = available.map(python_string).collect();
        let message =
            format!("Token handler {} not found. Available handlers: [{}]", python_string(name), available.join(", "));
        Self::new(ErrorKind::UnknownHandler, message)
    }

    pub(crate) fn token_invalid(reason: Reason) -> Self {
        Self::new(ErrorKind::TokenInvalid(reason.clone()), reason.message())
    }

    /// An error that a plugin's part (a handler, a wrapper, a sink) answered `operation` with.
    pub(crate) fn from_plugin(plugin: &str, part: &str, operation: &str, error: PluginError) -> Self {
        let (kind, message) = match error.kind() {
            PluginErrorKind::InvalidArgument => (ErrorKind::InvalidArgument, error.to_string()),
            PluginErrorKind::Disabled => (ErrorKind::Disabled, error.to_string()),
            PluginErrorKind::MissingTokenInfo(key) => (ErrorKind::MissingTokenInfo(key.clone()), error.to_string()),
            PluginErrorKind::TokenInvalid(reason) => (ErrorKind::TokenInvalid(reason.clone()), error.to_string()),
            PluginErrorKind::TokenGeneration => (ErrorKind::TokenGeneration, error.to_string()),
            PluginErrorKind::NotFound(what) => (ErrorKind::NotFound(what.clone()), error.to_string()),
            PluginErrorKind::Unsupported => (ErrorKind::Unsupported, format!("{operation} is not supported by {part}")),
            _ => (ErrorKind::Plugin, format!("plugin \"{plugin}\": {part} could not {operation}: {error}")),
        };
        let plugin = Some(plugin.to_owned());
        Self(Box::new(Context { kind, message, plugin, source: Some(error), findings: Vec::new() }))
    }

    /// The same as an answer to "is this token good?": whatever kept a plugin from telling, it is
    /// neither the caller's fault nor a "no".
    pub(crate) fn into_cannot_tell(mut self) -> Self {
        if self.0.kind != ErrorKind::Plugin {
            self.0.message =
                format!("plugin \"{}\" cannot tell: {}", self.plugin().unwrap_or_default(), self.0.message);
            self.0.kind = ErrorKind::Plugin;
        }
        self
    }

    pub(crate) fn from_findings(kind: ErrorKind, findings: Vec<Finding>) -> Self {
        let message = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        Self(Box::new(Context { kind, message, plugin: None, source: None, findings }))
    }
}

impl From<Findings> for Error {
    fn from(findings: Findings) -> Self {
        Self::from_findings(ErrorKind::Config, findings.into_iter().collect())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// Python's `repr` of a string, as far as handler names can need it.
fn python_string(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_handler_is_reported_in_datasettes_words() {
        let error = Error::unknown_handler("it's", ["signed", "a\"b"].into_iter());
        assert_eq!(error.to_string(), "Token handler \"it's\" not found. Available handlers: ['signed', 'a\"b']");
    }
}
