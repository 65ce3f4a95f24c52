//! The check `expiry`: a token is good until its time is over, by the host's clock.

use super::{
    creation::described,
    handler::Handler,
    report::{Checked, failed},
};
use crate::{ReasonKind, Verdict};

/// Lives are asked for, not waited for: the clock is the suite's.
const LIFE_SECONDS: u64 = 60;

pub(super) fn expiry(handler: &Handler<'_>) -> Checked {
    handler.good_token(&handler.request())?;
    let created_at = handler.now();
    let created = handler.unless_refused(&handler.request().expires_after(LIFE_SECONDS), "a token that expires")?;
    let asked_for = created_at + LIFE_SECONDS;
    // The operator's own limit may be shorter than what was asked for.
    let expires_at = match created.expires_at {
        None => return failed(format!("a token for {LIFE_SECONDS} s is told to never expire, expected `expires_at`")),
        Some(at) if at <= created_at || at > asked_for => {
            return failed(format!(
                "a token for {LIFE_SECONDS} s is told to expire {} s after its creation, expected at most {LIFE_SECONDS}: \
                 is the time taken from `Call::now`?",
                i128::from(at) - i128::from(created_at)
            ));
        }
        Some(at) => at,
    };
    for now in [created_at, expires_at - 1] {
        handler.set_now(now);
        match handler.verify(&created.token) {
            Ok(Verdict::Accepted(actor)) => match actor.token_expires() {
                Some(told) if told != expires_at => {
                    return failed(format!(
                        "a token's `expires_at` is {expires_at} and its actor's `token_expires` {told}, expected the same"
                    ));
                }
                _ => {}
            },
            other => {
                return failed(format!(
                    "a token {} {} s before it expires, expected it to be accepted: is the time taken from `Call::now`?",
                    described(handler, &other),
                    expires_at - now
                ));
            }
        }
    }
    for late in [0, 1_000_000] {
        handler.set_now(expires_at + late);
        match handler.verify(&created.token) {
            Ok(Verdict::Rejected(reason)) if reason.kind() == ReasonKind::Expired => {}
            // By then a store may have forgotten it.
            Ok(Verdict::Rejected(_) | Verdict::NotRecognized) if late > 0 => {}
            other => {
                return failed(format!(
                    "a token {} {late} s after its time was over, expected it to be rejected as `{}`",
                    described(handler, &other),
                    ReasonKind::Expired.name()
                ));
            }
        }
    }
    Ok(())
}
