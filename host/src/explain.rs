//! [`Explanation`]: what each handler said to a token, for people who wonder.

use std::time::Duration;

use serde::Serialize;
use token_plugin_api::{Actor, Result, Verdict};

use crate::{
    dispatch::{self, Observer},
    error::Error,
    registry::{HandlerSlot, Registry},
};

/// What became of a token and why. Never holds the token.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Explanation {
    /// The token's length in bytes.
    pub token_bytes: usize,
    /// Each handler in call order.
    pub handlers: Vec<Step>,
    /// The wrappers that the call went through, the outermost first.
    pub wrappers: Vec<String>,
    /// `accepted`, `rejected`, `not_recognized` or `error`.
    pub status: &'static str,
    /// Why it was rejected, or what went wrong.
    pub reason: Option<String>,
    /// Whom it stands for.
    pub actor: Option<Actor>,
}

/// One handler's part.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Step {
    /// The handler's name.
    pub handler: String,
    /// The plugin's name, as configured.
    pub plugin: String,
    /// `accepted`, `rejected`, `not_recognized`, `error`, or `not_asked`.
    pub said: &'static str,
    /// Why.
    pub reason: Option<String>,
    /// How long it took, in microseconds; none: it was not asked.
    pub took_us: Option<f64>,
}

struct Asked(Vec<(String, String, &'static str, Option<String>, Duration)>);

impl Observer for Asked {
    fn asked(&mut self, handler: &HandlerSlot, said: &Result<Verdict>, took: Duration) {
        let (said, reason) = match said {
            Ok(Verdict::NotRecognized) => ("not_recognized", Some("not one of its tokens".to_owned())),
            Ok(Verdict::Accepted(_)) => ("accepted", None),
            Ok(Verdict::Rejected(reason)) => ("rejected", Some(reason.to_string())),
            Err(error) => ("error", Some(error.to_string())),
        };
        self.0.push((handler.plugin().to_owned(), handler.name().to_owned(), said, reason, took));
    }
}

/// Judges a token as `verify` does, and tells how it went.
pub(crate) async fn explain(registry: &Registry, token: &str, context: &str) -> Explanation {
    let mut asked = Asked(Vec::new());
    let too_long = token.len() > registry.max_token_bytes;
    let verdict = if too_long {
        Ok(Verdict::Rejected(crate::engine::too_long(registry.max_token_bytes)))
    } else {
        dispatch::verify(registry, token, context, &mut asked).await.verdict
    };
    let (status, reason, actor) = outcome(verdict);
    let decided = asked.0.last().map(|(.., handler, _, _, _)| handler.clone());
    let mut asked = asked.0.into_iter().peekable();
    let step = |handler: &HandlerSlot| {
        let here = asked.next_if(|(plugin, name, ..)| plugin == handler.plugin() && name == handler.name());
        let (said, reason, took_us) = match here {
            Some((.., said, reason, took)) => (said, reason, Some(took.as_secs_f64() * 1e6)),
            None if too_long => ("not_asked", Some("the token is too long for any handler".to_owned()), None),
            None if !claims(handler, token) => ("not_asked", Some(unclaimed(handler)), None),
            None => {
                let by = decided.as_deref().map_or("a wrapper".to_owned(), |name| format!("\"{name}\""));
                ("not_asked", Some(format!("{by} had decided")), None)
            }
        };
        Step { handler: handler.name().to_owned(), plugin: handler.plugin().to_owned(), said, reason, took_us }
    };
    Explanation {
        token_bytes: token.len(),
        handlers: registry.handlers.iter().map(step).collect(),
        wrappers: registry.wrappers.iter().map(|slot| slot.wrapper().name.clone()).collect(),
        status,
        reason,
        actor,
    }
}

fn outcome(verdict: Result<Verdict, Error>) -> (&'static str, Option<String>, Option<Actor>) {
    match verdict {
        Ok(Verdict::NotRecognized) => ("not_recognized", None, None),
        Ok(Verdict::Accepted(actor)) => ("accepted", None, Some(actor)),
        Ok(Verdict::Rejected(reason)) => ("rejected", Some(reason.to_string()), None),
        Err(error) => ("error", Some(error.to_string()), None),
    }
}

fn claims(handler: &HandlerSlot, token: &str) -> bool {
    handler.claims().is_empty() || handler.claims().iter().any(|claim| token.starts_with(claim.as_str()))
}

fn unclaimed(handler: &HandlerSlot) -> String {
    let claims: Vec<String> = handler.claims().iter().map(|claim| format!("`{claim}`")).collect();
    format!("it claims only tokens that start with {}", claims.join(" or "))
}
