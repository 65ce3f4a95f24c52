//! What a host and its preflight child say to each other.
//!
//! The host writes one line of JSON, a [`Request`], and then the library's bytes. The child answers
//! in lines: the request's nonce, a space, a [`Line`] as JSON. A line without the nonce is the
//! plugin's own, written to a standard output that it shares with the child.

use std::{fmt, io};

use serde::{Deserialize, Serialize};
use token_plugin_api::{PluginError, PluginErrorKind, conformance::Check};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// What is to be tried. Holds secrets, and is wiped; so does its text, which whoever writes and reads it wipes.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Request {
    #[zeroize(skip)]
    pub(super) task: Task,
    /// What each line of the answer begins with.
    pub(super) nonce: String,
    /// The plugin's configured name.
    pub(super) name: String,
    /// The library's path, for messages.
    pub(super) file: String,
    /// The plugin's settings, as JSON.
    pub(super) settings: String,
    /// What relative paths in them are relative to.
    pub(super) folder: String,
    /// The values among them that came from the environment or from files.
    pub(super) resolved: Vec<String>,
    /// How long one blocking or async call may take.
    pub(super) call_deadline_ms: u64,
    /// The child's limits.
    pub(super) max_memory_bytes: u64,
    pub(super) max_cpu_seconds: u64,
}

impl Request {
    /// The text, in a buffer that is wiped, and that never grew: what it grew out of would stay behind.
    pub(super) fn to_text(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        // JSON writes a letter as at most six.
        let letters: usize = self.settings.len() + self.resolved.iter().map(|value| value.len() + 3).sum::<usize>();
        let rest = self.nonce.len() + self.name.len() + self.file.len() + self.folder.len() + 512;
        let mut text = Zeroizing::new(Vec::with_capacity(6 * (letters + rest)));
        serde_json::to_writer(&mut *text, self)?;
        Ok(text)
    }
}

/// What a child is to do with a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Task {
    /// All that a host would do with it.
    TryOut,
    /// The conformance suite.
    Conform,
}

/// One thing that the child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// What comes now: what the plugin died of, if no other line follows.
    Begun(Stage),
    /// Something that the operator should know.
    Warning(String),
    /// The file could not be loaded, or does not fit.
    NotLoaded(String),
    /// The plugin could not be made of its settings.
    NotMade { invalid_argument: bool, message: String },
    /// A handler does not do what the host relies on.
    Fault(String),
    /// A check of the suite begins.
    Checking { name: String, subject: Option<String> },
    /// It has ended.
    Checked(Check),
    /// Everything was tried, and the plugin is dropped. What is left is the end of the process.
    Done,
}

impl Line {
    /// What is wrong, for those lines that say so.
    pub(super) fn problem(self) -> String {
        match self {
            Self::NotLoaded(message) | Self::NotMade { message, .. } | Self::Fault(message) => message,
            Self::Begun(_) | Self::Warning(_) | Self::Checking { .. } | Self::Checked(_) | Self::Done => String::new(),
        }
    }

    pub(super) fn not_made(error: &PluginError) -> Self {
        let invalid_argument = *error.kind() == PluginErrorKind::InvalidArgument;
        // What it is shown as, so that "panicked: " is not lost.
        Self::NotMade { invalid_argument, message: error.to_string() }
    }
}

/// What a child does with a plugin, step by step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    Start,
    Load,
    Make,
    Verify(String),
    Create(String),
    Drop,
    End,
}

impl fmt::Display for Stage {
    /// To follow "while".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("the child process started"),
            Self::Load => f.write_str("it was loaded"),
            Self::Make => f.write_str("it was made with its configuration"),
            Self::Verify(handler) => write!(f, "its handler \"{handler}\" judged a token that nobody made"),
            Self::Create(handler) => write!(f, "its handler \"{handler}\" made and judged a token"),
            Self::Drop => f.write_str("it was dropped"),
            Self::End => f.write_str("the process ended"),
        }
    }
}
