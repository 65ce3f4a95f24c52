//! A small plugin that does nothing wrong: its handler accepts what it made, and nothing else.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use token_plugin_api::{
    Actor, Call, Claims, CreateToken, CreatedToken, Hooks, NoConfig, PluginError, Reason, Result, TokenHandler, Verdict,
};

/// For `export_plugin!`, and for roots written by hand.
pub(crate) fn register(hooks: &mut Hooks, _: NoConfig) -> Result<()> {
    hooks.handler(Handler::default());
    Ok(())
}

/// Every token that it made, with what it stands for.
#[derive(Default)]
struct Handler(Mutex<HashMap<String, Made>>);

struct Made {
    actor_id: String,
    expires_at: Option<u64>,
}

impl Handler {
    fn made(&self) -> MutexGuard<'_, HashMap<String, Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenHandler for Handler {
    fn name(&self) -> &str {
        "made"
    }

    fn claims(&self) -> Claims {
        Claims::prefixes([PREFIX])
    }

    fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        if !token.starts_with(PREFIX) {
            return Ok(Verdict::NotRecognized);
        }
        let made = self.made();
        let Some(Made { actor_id, expires_at }) = made.get(token) else {
            return Ok(Verdict::Rejected(Reason::malformed("nobody made this token")));
        };
        let actor = Actor::new(actor_id, "made");
        Ok(match *expires_at {
            Some(expires_at) if expires_at <= call.now() => Verdict::Rejected(Reason::expired()),
            Some(expires_at) => Verdict::Accepted(actor.expires_at(expires_at)),
            None => Verdict::Accepted(actor),
        })
    }

    fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        if request.restrictions.is_some() {
            return Err(PluginError::unsupported("restrictions"));
        }
        let mut made = self.made();
        let token = format!("{PREFIX}{}", made.len() + 1);
        let expires_at = request.expires_after.map(|seconds| call.now().saturating_add(seconds));
        made.insert(token.clone(), Made { actor_id: request.actor_id.clone(), expires_at });
        Ok(CreatedToken::new(token).expires_at(expires_at))
    }
}

const PREFIX: &str = "made_";
