//! What the plugin can be told. Everything left out means good behaviour.

use std::path::PathBuf;

use serde::Deserialize;
use token_plugin_api::{Metric, Trial};

use crate::deed::{CreateDeed, VerifyDeed};

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) register: Register,
    /// A file to which every hook appends a line of JSON when it is called.
    pub(crate) journal: Option<PathBuf>,
    pub(crate) handlers: Vec<HandlerSettings>,
    pub(crate) wrappers: Vec<WrapperSettings>,
    pub(crate) sinks: Vec<SinkSettings>,
    pub(crate) generators: Vec<GeneratorSettings>,
    /// Each is registered by itself.
    pub(crate) metrics: Vec<MetricsSettings>,
    /// The id of something that it offers and no host knows.
    pub(crate) extension: Option<String>,
    /// Never good, and its error quotes it.
    pub(crate) quoted: Option<Quoted>,
}

/// A setting that no text is good enough for.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Quoted;

impl TryFrom<String> for Quoted {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Err(format!("it was told to quote: {text}"))
    }
}

/// What registration does, before anything is registered.
#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Register {
    #[default]
    Ok,
    Fail,
    Panic,
    PanicWithBomb,
    Warn,
    Log,
    /// Never returns, and sleeps.
    Hang,
    /// Never returns, and keeps a processor busy.
    Spin,
    /// Takes memory until there is none. Only for processes whose memory is limited.
    Allocate,
    Abort,
    /// Ends the process with exit code 7.
    Exit,
    /// Recurs until the stack is used up.
    Overflow,
    /// Leaves a thread behind that never ends.
    Thread,
    /// Leaves values in thread-locals behind, which are dropped when their threads end.
    Locals,
    /// Writes a line to standard output.
    Stdout,
}

#[derive(Deserialize)]
pub(crate) struct HandlerSettings {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) execution: Execution,
    /// Prefixes; none: every token.
    #[serde(default)]
    pub(crate) claims: Vec<String>,
    #[serde(default)]
    pub(crate) verify: VerifyDeed,
    #[serde(default)]
    pub(crate) create: CreateDeed,
    /// By default none that creates: these handlers accept what they never made.
    #[serde(default = "verify_only")]
    pub(crate) trial: Trial,
    #[serde(default)]
    pub(crate) drop: Drop,
    #[serde(default)]
    pub(crate) naming: Naming,
    /// How long `slow` takes.
    #[serde(default)]
    pub(crate) slow_ms: u64,
    /// The file that `slow` then waits for.
    pub(crate) slow_until: Option<PathBuf>,
    #[serde(default)]
    pub(crate) store: Store,
    /// What its listings come to.
    #[serde(default)]
    pub(crate) pages: Pages,
    /// How much it puts on a page at the most.
    #[serde(default = "page_size")]
    pub(crate) page_size: usize,
    /// The generator that `validate` asks.
    #[serde(default)]
    pub(crate) generator: String,
}

fn page_size() -> usize {
    100
}

fn verify_only() -> Trial {
    Trial::VerifyOnly
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Execution {
    #[default]
    Inline,
    Blocking,
    Async,
}

/// What happens when something of the plugin's is dropped.
#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Drop {
    #[default]
    Ok,
    Panic,
    Abort,
    Hang,
    /// Makes the file of this name with the ending `begun`, waits for the file itself, then makes the
    /// one with the ending `over`.
    WaitFor(PathBuf),
}

/// What happens when something of the plugin's is asked for its name.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Naming {
    #[default]
    Ok,
    Panic,
}

impl Naming {
    pub(crate) fn of(self, name: &str) -> &str {
        match self {
            Self::Ok => name,
            Self::Panic => panic!("it was told to panic when asked for its name"),
        }
    }
}

/// What a handler keeps of the tokens that it makes.
#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Store {
    /// Nothing: it does not even know of such operations.
    #[default]
    None,
    Memory,
    /// In this file, which the next process finds as it is.
    KeptIn(PathBuf),
    /// Nothing, since each operation fails.
    Fail,
}

/// What comes behind a page of a listing.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pages {
    /// The next one, and an end.
    #[default]
    End,
    /// Always the same page again.
    Same,
    /// Two places in turns.
    Circle,
}

#[derive(Deserialize)]
pub(crate) struct WrapperSettings {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) before: Before,
    /// The file that `slow` waits for.
    pub(crate) slow_until: Option<PathBuf>,
    #[serde(default)]
    pub(crate) after: After,
    #[serde(default)]
    pub(crate) drop: Drop,
    #[serde(default)]
    pub(crate) naming: Naming,
    /// What happens when the state is dropped that `before` hands to `after`.
    #[serde(default)]
    pub(crate) drop_state: Drop,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Before {
    #[default]
    Pass,
    /// Passes, once the file `slow_until` is there.
    Slow,
    Fail,
    Reject,
    Panic,
    /// With a message that holds the token, or the actor's id.
    PanicQuoting,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum After {
    /// Passes the outcome on, with the wrapper's name added to it.
    #[default]
    Sign,
    Fail,
    Panic,
    /// With a message that holds the token, or the actor's id.
    PanicQuoting,
    /// Answers with success, whatever came before.
    Accept,
    /// Answers with a rejection (a creation: with an error), whatever came before.
    Reject,
    /// Answers that nobody knows the token, whatever came before.
    NotRecognized,
}

#[derive(Deserialize)]
pub(crate) struct SinkSettings {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) required: bool,
    #[serde(default)]
    pub(crate) record: Record,
    #[serde(default)]
    pub(crate) drop: Drop,
    #[serde(default)]
    pub(crate) naming: Naming,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    #[default]
    Journal,
    Fail,
    Panic,
    Hang,
}

#[derive(Deserialize)]
pub(crate) struct MetricsSettings {
    pub(crate) figures: Vec<Metric>,
    #[serde(default)]
    pub(crate) tell: Tell,
    /// The file that `slow` waits for.
    pub(crate) slow_until: Option<PathBuf>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tell {
    #[default]
    Ok,
    Panic,
    /// Never answers.
    Hang,
    /// Answers once the file `slow_until` is there.
    Slow,
}

#[derive(Deserialize)]
pub(crate) struct GeneratorSettings {
    pub(crate) id: String,
    pub(crate) pattern: Option<String>,
    #[serde(default)]
    pub(crate) generate: Generate,
    #[serde(default)]
    pub(crate) drop: Drop,
    #[serde(default)]
    pub(crate) naming: Naming,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Generate {
    /// `ID_` and the text at `seed` of the `token_info`, which must be there.
    #[default]
    Ok,
    /// The same with the number at `attempt` behind it.
    Attempt,
    Fail,
    Panic,
}
