//! An async handler for the suite's own tests, with limits of its own: one actor, short lives, no restrictions.

use std::sync::Mutex;

use token_plugin_api::{
    Actor, AsyncTokenHandler, Call, CreateToken, CreatedToken, Hooks, NoConfig, PluginError, Reason, Result, Verdict,
    conformance::Suite,
};

/// The suite over such a handler, which never answers a request for a token, if it hangs.
pub(crate) fn suite(hangs: bool) -> Suite<'static> {
    let register = move |hooks: &mut Hooks, _: NoConfig| {
        hooks.async_handler(Waiting { hangs, tokens: Mutex::default() });
        Ok(())
    };
    Suite::of_register("{}", register).creating_like(CreateToken::new("alice"))
}

struct Waiting {
    hangs: bool,
    tokens: Mutex<Vec<(String, u64)>>,
}

impl AsyncTokenHandler for Waiting {
    fn name(&self) -> &str {
        "waiting"
    }

    async fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        let tokens = self.tokens.lock().unwrap();
        Ok(match tokens.iter().find(|(known, _)| known == token) {
            None => Verdict::Rejected(Reason::malformed("token is not known")),
            Some((_, expires)) if call.now() >= *expires => Verdict::Rejected(Reason::expired()),
            Some((_, expires)) => Verdict::Accepted(Actor::new("alice", "waiting").expires_at(*expires)),
        })
    }

    async fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        if request.actor_id != "alice" || request.restrictions.is_some() {
            return Err(PluginError::invalid_argument("expected alice, who may do everything"));
        }
        // The handler's own limit is shorter than what is asked for.
        let expires = call.now() + request.expires_after.unwrap_or(60).min(30);
        let mut tokens = self.tokens.lock().unwrap();
        let token = format!("waiting-{:04}", tokens.len());
        tokens.push((token.clone(), expires));
        Ok(CreatedToken::new(token).expires_at(Some(expires)))
    }
}
