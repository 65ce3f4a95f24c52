//! Datasette's `SignedTokenHandler`: `dstok_` tokens that are signed and stored nowhere.
//!
//! Interoperable with Datasette 1.0 and itsdangerous 2.2 in both directions: what either makes with
//! the same secret, the other verifies. What Datasette leaves open is closed here:
//!
//! - `max_signed_tokens_ttl` holds for every token, also for one that says `"d": 0`;
//! - a token from the future is rejected beyond a leeway, instead of living longer;
//! - "no restrictions" and "restricted to nothing" are different tokens;
//! - whatever is malformed is rejected, and only the canonical spelling of a token is accepted.

mod codec;
mod inflate;
mod payload;
mod signature;

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
#[cfg(feature = "export")]
use token_plugin_api::export_plugin;
use token_plugin_api::{
    Actor, Call, Claims, CreateToken, CreatedToken, Hooks, PluginError, PluginErrorKind, Reason, ReasonKind, Result,
    Secrets, TokenHandler, TokenRestrictions, Verdict, action_name,
};

use crate::{
    codec::{Invalid, Scratch},
    payload::{MAX_SECONDS, Payload},
    signature::Keys,
};

/// The settings, with Datasette's names where Datasette has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The secret, or several for rotation: the first signs, all verify.
    secret: Secrets,
    /// Whether tokens are made and accepted at all.
    #[serde(default = "yes")]
    allow_signed_tokens: bool,
    /// Seconds after which a token is refused whatever it says itself; 0: no limit, as in Datasette.
    #[serde(default)]
    max_signed_tokens_ttl: u64,
    /// Seconds that a token may come from the future, for clocks that differ.
    #[serde(default = "default_leeway")]
    leeway_seconds: u64,
    /// Abbreviations of actions beyond Datasette's own: name to abbreviation.
    #[serde(default)]
    abbreviations: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

/// Hosts that share a secret keep their clocks by NTP: five seconds is ample.
fn default_leeway() -> u64 {
    5
}

/// Clocks that are further apart want mending.
const MAX_LEEWAY_SECONDS: u64 = 300;

/// The handler. Its methods only compute.
#[derive(Debug)]
pub struct Signed {
    keys: Keys,
    allowed: bool,
    max_ttl: Option<u64>,
    leeway: u64,
    abbreviations: BTreeMap<String, String>,
}

impl Signed {
    /// A handler with these settings.
    ///
    /// # Errors
    ///
    /// When a secret is empty, or an abbreviation is ambiguous.
    pub fn new(config: Config) -> Result<Self> {
        if config.secret.iter().any(|secret| secret.expose().is_empty()) {
            return Err(PluginError::invalid_argument("`secret`: it is empty, expected a long random text"));
        }
        if config.leeway_seconds > MAX_LEEWAY_SECONDS {
            return Err(PluginError::invalid_argument(format!(
                "`leeway_seconds`: expected at most {MAX_LEEWAY_SECONDS} s: every token lives that much longer than it says"
            )));
        }
        check_abbreviations(&config.abbreviations)?;
        Ok(Self {
            keys: Keys::new(config.secret.iter().map(|secret| secret.expose())),
            allowed: config.allow_signed_tokens,
            max_ttl: Some(config.max_signed_tokens_ttl).filter(|limit| *limit > 0),
            leeway: config.leeway_seconds,
            abbreviations: config.abbreviations,
        })
    }

    fn judge(&self, now: u64, payload: Payload<'_>) -> Verdict {
        if payload.created > now.saturating_add(self.leeway) {
            return Verdict::Rejected(Reason::new(ReasonKind::NotYetValid, "token was created in the future"));
        }
        let expires = self.expires_at(&payload);
        if expires.is_some_and(|expires| now >= expires) {
            return Verdict::Rejected(Reason::expired());
        }
        let mut actor = Actor::new(payload.actor_id, "dstok");
        if let Some(restrictions) = payload.restrictions {
            match serde_json::from_str::<TokenRestrictions>(restrictions) {
                Ok(restrictions) => actor = actor.restricted_to(self.unabbreviated(restrictions)),
                Err(_) => return Verdict::Rejected(Reason::malformed("token has malformed restrictions")),
            }
        }
        Verdict::Accepted(match expires {
            Some(expires) => actor.expires_at(expires),
            None => actor,
        })
    }

    /// When a token's time is over: by what it says itself, and by the limit, whichever comes first.
    fn expires_at(&self, payload: &Payload<'_>) -> Option<u64> {
        let life = match (payload.duration, self.max_ttl) {
            (Some(duration), Some(limit)) => Some(duration.min(limit)),
            (duration, limit) => duration.or(limit),
        };
        life.map(|life| payload.created.saturating_add(life))
    }

    /// Datasette's abbreviations are known to everyone who reads restrictions; ours are spelled out for them.
    fn unabbreviated(&self, restrictions: TokenRestrictions) -> TokenRestrictions {
        let name = |action: &str| self.abbreviations.iter().find(|(_, short)| *short == action);
        restrictions.map_actions(|action| name(action).map(|(name, _)| name.clone()))
    }

    fn abbreviated(&self, restrictions: &TokenRestrictions) -> Result<String> {
        let short = restrictions.clone().map_actions(|action| self.abbreviations.get(action).cloned());
        serde_json::to_string(&short).map_err(PluginError::failed)
    }
}

impl TokenHandler for Signed {
    fn name(&self) -> &str {
        "signed"
    }

    fn claims(&self) -> Claims {
        Claims::prefixes([codec::PREFIX])
    }

    fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        if !token.starts_with(codec::PREFIX) {
            return Ok(Verdict::NotRecognized);
        }
        if !self.allowed {
            return Ok(Verdict::Rejected(Reason::new(ReasonKind::Disabled, "signed tokens are not enabled")));
        }
        let mut scratch = Scratch::new();
        Ok(match codec::decode(&self.keys, token, &mut scratch) {
            Ok(payload) => self.judge(call.now(), payload),
            Err(Invalid::Signature) => Verdict::Rejected(Reason::bad_signature()),
            Err(Invalid::Malformed(how)) => Verdict::Rejected(Reason::malformed(how)),
        })
    }

    fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        if !self.allowed {
            return Err(PluginError::new(PluginErrorKind::Disabled, "Signed tokens are not enabled for this host"));
        }
        if request.details().is_about_the_token_itself() {
            return Err(PluginError::unsupported("a kind, claims or headers in signed tokens"));
        }
        if request.actor_id.is_empty() {
            return Err(PluginError::invalid_argument("the actor id is empty"));
        }
        if request.expires_after.is_some_and(|seconds| seconds > MAX_SECONDS) {
            return Err(PluginError::invalid_argument(format!("expires_after is more than {MAX_SECONDS} s")));
        }
        let restrictions =
            request.restrictions.as_ref().map(|restrictions| self.abbreviated(restrictions)).transpose()?;
        let payload = Payload {
            actor_id: Cow::Borrowed(&request.actor_id),
            created: call.now(),
            duration: request.expires_after,
            restrictions: restrictions.as_deref(),
        };
        Ok(CreatedToken::new(codec::encode(&self.keys, &payload)).expires_at(self.expires_at(&payload)))
    }
}

/// A short form must mean one action only, or a token would allow what nobody asked for.
fn check_abbreviations(abbreviations: &BTreeMap<String, String>) -> Result<()> {
    for (name, short) in abbreviations {
        let taken = |action: &str| {
            abbreviations.iter().any(|(other, other_short)| other != name && (other == action || other_short == action))
        };
        if action_name(name).is_some() || action_name(short).is_some() || taken(short) || name == short {
            return Err(PluginError::invalid_argument(format!(
                "`abbreviations.{name}`: `{short}` stands for another action already, expected an abbreviation of its own"
            )));
        }
    }
    Ok(())
}

/// Registers the handler: for `export_plugin!`, and for hosts that link it in.
///
/// # Errors
///
/// As [`Signed::new`].
pub fn register(hooks: &mut Hooks, config: Config) -> Result<()> {
    hooks.handler(Signed::new(config)?);
    Ok(())
}

#[cfg(feature = "export")]
export_plugin! { name: "signed", hooks: [TokenHandler], register: register }
