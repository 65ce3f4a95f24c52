//! From what the store knows of a token to a verdict.

use std::{borrow::Cow, fmt::Write};

use serde_json::Value;
use token_plugin_api::{Actor, PluginError, Reason, ReasonKind, Result, Verdict, utc_text};

use crate::{
    cache::Ready,
    config::PolicyDefault,
    store::{Invalidated, Known},
};

/// What the settings say about verdicts.
#[derive(Debug)]
pub(crate) struct Judge {
    /// The kind of token that actors are told to have: the handler's name.
    pub(crate) kind: Cow<'static, str>,
    pub(crate) policy_default: PolicyDefault,
    pub(crate) deprecated: Vec<String>,
}

impl Judge {
    /// Whether a token is good at a time, in Unix seconds. In Djblets' order, and in its words.
    ///
    /// # Errors
    ///
    /// When what the store knows cannot be read.
    pub(crate) fn judge(&self, known: &Known, now: u64) -> Result<Verdict> {
        let rejected = |kind, message: String| Ok(Verdict::Rejected(Reason::new(kind, message)));
        if let Some(Invalidated { at, reason }) = &known.invalidated {
            let date = utc_text(*at);
            return rejected(
                ReasonKind::Revoked,
                match reason.as_str() {
                    "" => format!("This API token became invalid on {date}."),
                    reason => format!("This API token became invalid on {date}: {reason}"),
                },
            );
        }
        if let Some(expires_at) = known.expires_at.filter(|expires_at| now >= *expires_at) {
            return rejected(ReasonKind::Expired, format!("This API token expired on {}.", utc_text(expires_at)));
        }
        if let Some(since) = known.inactive_since {
            let date = utc_text(since);
            return rejected(ReasonKind::Disabled, format!("The owner of this API token was deactivated on {date}."));
        }
        self.actor(known).map(Verdict::Accepted)
    }

    /// The verdict on a token of which all was written before, and which has not expired; the same as [`Judge::judge`]'s.
    pub(crate) fn accept(&self, ready: &Ready) -> Verdict {
        let (actor_id, claims) = ready.actor_and_claims();
        let mut actor = Actor::new(actor_id, self.kind.clone());
        if let Some(expires_at) = ready.expires_at {
            actor = actor.expires_at(expires_at);
        }
        Verdict::Accepted(actor.with_claims_text(claims))
    }

    pub(crate) fn is_deprecated(&self, generator_id: &str) -> bool {
        self.deprecated.iter().any(|deprecated| deprecated == generator_id)
    }

    fn actor(&self, known: &Known) -> Result<Actor> {
        let mut actor = Actor::new(known.actor_id.as_str(), self.kind.clone());
        if let Some(expires_at) = known.expires_at {
            actor = actor.expires_at(expires_at);
        }
        if let Some(restrictions) = &known.restrictions {
            // The error is not told: it would quote what the token may do.
            let unreadable = |_| PluginError::failed("the restrictions of a token cannot be read");
            actor = actor.restricted_to(serde_json::from_str(restrictions).map_err(unreadable)?);
        }
        Ok(actor.with_claims_text(self.claims(known)))
    }

    /// What is said of a token's actor beside its id, as JSON.
    ///
    /// Written by hand: it is done for each verification, and most have only an id in it. The policy is JSON already.
    pub(crate) fn claims(&self, known: &Known) -> String {
        const ID_BYTES: usize = 36;
        let policy_bytes = known.policy.as_ref().map_or(0, String::len);
        // Room for all that may be in it: growing would copy it.
        let mut claims = String::with_capacity(ID_BYTES + policy_bytes + 64);
        // A string takes all that is written to it.
        let _ = write!(claims, r#"{{"token_id":"{}""#, known.id);
        if let Some(policy) = &known.policy {
            claims.push_str(r#","policy":"#);
            claims.push_str(policy);
            if self.policy_default == PolicyDefault::Deny {
                claims.push_str(r#","policy_default":"deny""#);
            }
        }
        if self.is_deprecated(&known.generator_id) {
            claims.push_str(r#","token_deprecated":true"#);
        }
        claims.push('}');
        claims
    }
}

/// A policy document as it is kept: `None` for none, and for one that has no rules.
pub(crate) fn policy_text(policy: &Value) -> Option<String> {
    // The keys of an object are in their order: one policy has one text, by which tokens can be found.
    let is_empty = policy.is_null() || policy.as_object().is_some_and(serde_json::Map::is_empty);
    (!is_empty).then(|| policy.to_string())
}
