//! The checks `claims` and `create_then_verify`: what a handler creates is its own, and good.

use super::{
    handler::{Handler, is_refusal},
    report::{Checked, failed, skipped},
};
use crate::{CreateToken, CreatedToken, Verdict};

/// The host shows a handler only what it claims, so a token of another form is never accepted.
pub(super) fn claims(handler: &Handler<'_>) -> Checked {
    if handler.claims().next().is_none() {
        return skipped("it claims every token");
    }
    let requests = [handler.request(), handler.request().expires_after(60), handler.request_for(UNICODE_ACTOR)];
    let mut created = 0;
    for request in &requests {
        let token = match handler.create(request) {
            Ok(token) => token.token,
            Err(_) if created > 0 => continue,
            Err(error) => return handler.cannot_create(&error, skipped),
        };
        created += 1;
        if !handler.claims().any(|claim| token.starts_with(claim)) {
            let claims: Vec<_> = handler.claims().map(|claim| format!("`{}`", claim.escape_debug())).collect();
            return failed(format!(
                "it created a token that starts with none of its claims, expected {}",
                claims.join(" or ")
            ));
        }
    }
    Ok(())
}

pub(super) fn create_then_verify(handler: &Handler<'_>) -> Checked {
    let plain = handler.request();
    match twice(handler, &plain) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return handler.cannot_create(&error, failed),
        Err(stop) => return Err(stop),
    }
    for actor_id in [EMAIL_ACTOR, UNICODE_ACTOR, &"long".repeat(50), QUOTED_ACTOR] {
        match twice(handler, &handler.request_for(actor_id))? {
            Ok(()) => {}
            Err(error) if is_refusal(&error) => {}
            Err(error) => {
                return failed(format!(
                    "creation for the actor `{}` got an error, expected a token or an invalid argument: {}",
                    actor_id.escape_debug(),
                    handler.quotable(&error)
                ));
            }
        }
    }
    Ok(())
}

/// Two tokens of one request are both good, whatever the second did to the first.
fn twice(handler: &Handler<'_>, request: &CreateToken) -> Checked<crate::Result<()>> {
    let mut tokens = Vec::new();
    for _ in 0..2 {
        match handler.create(request) {
            Ok(token) => tokens.push(token),
            Err(error) => return Ok(Err(error)),
        }
    }
    tokens.iter().try_for_each(|token| expect_actor(handler, token, &request.actor_id)).map(Ok)
}

/// Expects a token to be accepted for this actor.
pub(super) fn expect_actor(handler: &Handler<'_>, token: &CreatedToken, actor_id: &str) -> Checked {
    let shown = actor_id.escape_debug();
    let answer = match handler.verify(&token.token) {
        Ok(Verdict::Accepted(actor)) if actor.id() != actor_id => {
            format!("came back for the actor `{}`", handler.ledger().quotable(actor.id()).escape_debug())
        }
        Ok(Verdict::Accepted(actor)) if actor.token().is_empty() => "names no kind of token".to_owned(),
        Ok(Verdict::Accepted(_)) => return Ok(()),
        other => described(handler, &other),
    };
    failed(format!(
        "a token that was just created for the actor `{shown}` {answer}, expected it to be accepted for that actor"
    ))
}

/// An answer other than the expected one, in a sentence about a token.
pub(super) fn described(handler: &Handler<'_>, answer: &crate::Result<Verdict>) -> String {
    match answer {
        Ok(Verdict::Accepted(_)) => "was accepted".to_owned(),
        Ok(Verdict::NotRecognized) => "was not recognized".to_owned(),
        Ok(Verdict::Rejected(reason)) => {
            format!("was rejected ({}: {})", reason.kind().name(), handler.ledger().quotable(reason.message()))
        }
        Err(error) => format!("got an error ({})", handler.quotable(error)),
    }
}

const EMAIL_ACTOR: &str = "first.last+tag@example.com";
const UNICODE_ACTOR: &str = "Zoë Ünïcødé 名前 🦀";
const QUOTED_ACTOR: &str = "o'hara \"the\\quoted\"\n{\"id\":\"admin\"},<b>&amp;%00;--\t:.|";
