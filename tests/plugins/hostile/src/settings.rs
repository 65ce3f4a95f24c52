//! What the plugin can be told. Everything left out means good behaviour.

use std::path::PathBuf;

use serde::Deserialize;

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
    #[serde(default)]
    pub(crate) drop: Drop,
    /// How long `slow` takes.
    #[serde(default)]
    pub(crate) slow_ms: u64,
    /// The generator that `validate` asks.
    #[serde(default)]
    pub(crate) generator: String,
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
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Drop {
    #[default]
    Ok,
    Panic,
}

#[derive(Deserialize)]
pub(crate) struct WrapperSettings {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) before: Before,
    #[serde(default)]
    pub(crate) after: After,
    #[serde(default)]
    pub(crate) drop: Drop,
    /// What happens when the state is dropped that `before` hands to `after`.
    #[serde(default)]
    pub(crate) drop_state: Drop,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Before {
    #[default]
    Pass,
    Fail,
    Reject,
    Panic,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum After {
    /// Passes the outcome on, with the wrapper's name added to it.
    #[default]
    Sign,
    Fail,
    Panic,
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
pub(crate) struct GeneratorSettings {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) generate: Generate,
    #[serde(default)]
    pub(crate) drop: Drop,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Generate {
    /// `ID_` and the text at `seed` of the `token_info`, which must be there.
    #[default]
    Ok,
    Fail,
    Panic,
}
