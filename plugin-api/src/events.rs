//! [`Event`] and [`EventSink`]: what happened to tokens, for those who keep watch.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{RequestContext, Result};

/// What happened: Djblets' signals and Datasette's event tracking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A token was made; or many were brought over (`extra` has `imported`, how many, and `system`, from where).
    TokenCreated,
    /// A token was accepted.
    TokenUsed,
    /// A token was rejected, for another reason than its age.
    TokenRejected,
    /// A token was rejected because its time is over.
    TokenExpired,
    /// A token's note, policy, expiry or validity was changed; or all tokens of an actor, who was activated or deactivated
    /// (`extra` has `actor_active`); or old ones were deleted (`extra` has `deleted`, how many, and `ended_before`).
    TokenUpdated,
    /// A token was invalidated.
    TokenInvalidated,
    /// Something that this version has no name for.
    #[serde(other)]
    Unknown,
}

/// Something that happened to a token. Never holds the token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When, in Unix seconds.
    pub at: u64,
    /// The handler whose token it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
    /// Whom the token stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_id: Option<String>,
    /// The id by which a store knows the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// Why it was rejected or invalidated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether nobody asked for the new token by hand.
    #[serde(default)]
    pub auto_generated: bool,
    /// Where the token came from, when the host's caller said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<RequestContext>,
    /// Fields of the sender's own.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Event {
    /// An event of this kind at this time, in Unix seconds.
    pub fn new(kind: EventKind, at: u64) -> Self {
        Self {
            kind,
            at,
            handler: None,
            actor_id: None,
            token_id: None,
            reason: None,
            auto_generated: false,
            context: None,
            extra: Map::new(),
        }
    }
}

/// How a sink wants its events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// From a bounded queue, in order, after the caller has its answer. When the sink is slower than the
    /// events come, the newest are dropped, counted and logged.
    #[default]
    Queued,
    /// Creations, updates and invalidations are recorded before they are answered, with a deadline; when
    /// that fails the caller gets an error. The other events come queued.
    Required,
}

/// Receives what happens to tokens.
pub trait EventSink: Send + Sync + 'static {
    /// The sink's name in listings and errors. Asked once.
    fn name(&self) -> &str;

    /// How it wants its events. Asked once.
    fn delivery(&self) -> Delivery {
        Delivery::Queued
    }

    /// Takes one event. It may wait for a disk or a network: the host calls it on a thread of its own.
    ///
    /// # Errors
    ///
    /// Logged for queued events; fails the operation for required ones.
    fn record(&self, event: &Event) -> Result<()>;

    /// Takes events that belong together, such as those of an invalidation of many tokens.
    ///
    /// # Errors
    ///
    /// As for [`record`](Self::record).
    fn record_all(&self, events: &[Event]) -> Result<()> {
        events.iter().try_for_each(|event| self.record(event))
    }
}
