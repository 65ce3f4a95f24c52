//! A plugin for the suite's own tests: honest, but for one fault at a time.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "it is a part of tests")]

pub(crate) mod generator;
pub(crate) mod waiting;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use token_plugin_api::{
    Actor, Call, Claims, CreateToken, CreatedToken, Event, EventKind, Hooks, PluginError, Reason, ReasonKind, Result,
    Secret, TokenHandler, TokenRestrictions, Verdict,
    conformance::{Outcome, Report, Suite},
};

/// Settings that make an instance.
pub(crate) const SETTINGS: &str = r#"{"key":"a key that nobody knows"}"#;

#[derive(Deserialize)]
pub(crate) struct Config {
    pub(crate) key: Secret,
}

/// What is wrong with the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    NoInstance,
    NameOfTwoLines,
    NameThatChanges,
    ForeignClaim,
    LosesUnicode,
    IgnoresTheLastCharacter,
    TrimsTokens,
    AcceptsAtExpiry,
    AsksTheSystemClock,
    TakesNothingForEverything,
    AllowsMore,
    FailsOnNul,
    IgnoresCase,
    AllowsOneCallAtATime,
    PanicsWhenDropped,
    PanicsOnShortSignatures,
    PanicsOnItsOwnThread,
    QuotesTokens,
    QuotesItsKey,
    TracesTokens,
    LogsTokens,
    EmitsTokens,
    LeaksThreads,
    LeaksFiles,
    LeaksMemory,
    CannotCreate,
    RefusesToRestrict,
}

/// The handler.
pub(crate) struct Handler {
    config: Config,
    name: String,
    fault: Fault,
    inside: AtomicUsize,
}

/// What a token says: as JSON, in hex.
#[derive(Serialize, Deserialize)]
struct Payload {
    id: String,
    expires: Option<u64>,
    restrictions: Option<TokenRestrictions>,
}

/// A `register` function for a handler with this fault.
pub(crate) fn with(fault: Fault) -> impl Fn(&mut Hooks, Config) -> Result<()> {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    move |hooks, config| {
        let name = match fault {
            Fault::NoInstance => return Err(PluginError::failed("there is no instance")),
            Fault::NameOfTwoLines => "two\nlines".to_owned(),
            Fault::NameThatChanges => format!("toy-{}", MADE.fetch_add(1, Ordering::Relaxed)),
            _ => "toy".to_owned(),
        };
        match fault {
            Fault::LeaksThreads => drop(std::thread::spawn(|| std::thread::sleep(std::time::Duration::MAX))),
            Fault::LeaksFiles => std::mem::forget(std::fs::File::open("/dev/null").unwrap()),
            Fault::LeaksMemory => drop(vec![1_u8; 32 << 10].leak()),
            _ => {}
        }
        hooks.handler(Handler { config, name, fault, inside: AtomicUsize::new(0) });
        Ok(())
    }
}

/// What the suite says of a plugin.
pub(crate) fn report_of(fault: Fault) -> Report {
    Suite::of_register(SETTINGS, with(fault)).run(&mut |_| ())
}

/// Expects exactly one check to fail, for a reason with this text in it.
#[track_caller]
pub(crate) fn assert_only(report: &Report, name: &str, text: &str) {
    let failures: Vec<_> = report.failures().collect();
    let [failure] = failures[..] else { panic!("expected `{name}` alone to fail:\n{report}") };
    let Outcome::Failed(why) = &failure.outcome else { unreachable!() };
    assert!(failure.name == name && why.contains(text), "expected `{name}` to fail with `{text}`:\n{failure}");
    assert!(!report.to_string().contains("a key that nobody knows"), "{report}");
}

/// Why checks were skipped, each with its name; but for what can be measured on some systems only.
pub(crate) fn skipped(report: &Report) -> Vec<(&str, &str)> {
    let skipped = report.checks.iter().filter_map(|check| match &check.outcome {
        Outcome::Skipped(why) if check.name != "growth" => Some((check.name.as_str(), why.as_str())),
        _ => None,
    });
    skipped.collect()
}

impl TokenHandler for Handler {
    fn name(&self) -> &str {
        &self.name
    }

    fn claims(&self) -> Claims {
        Claims::prefixes([if self.fault == Fault::ForeignClaim { "foreign_" } else { "toy_" }])
    }

    fn verify_token(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        match self.fault {
            Fault::AllowsOneCallAtATime => self.alone(|| self.judge(call, token)),
            _ => self.judge(call, token),
        }
    }

    fn create_token(&self, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        let nothing = TokenRestrictions::nothing();
        let restrictions = match self.fault {
            Fault::CannotCreate => return Err(PluginError::unsupported("create_token")),
            Fault::RefusesToRestrict if request.restrictions.is_some() => {
                return Err(PluginError::invalid_argument("restrictions are not for this handler"));
            }
            Fault::TakesNothingForEverything => request.restrictions.clone().filter(|asked| *asked != nothing),
            _ => request.restrictions.clone(),
        };
        let id = match self.fault {
            Fault::LosesUnicode => request.actor_id.chars().filter(char::is_ascii).collect(),
            _ => request.actor_id.clone(),
        };
        let expires = request.expires_after.map(|seconds| self.now(call) + seconds);
        let payload = hex(serde_json::to_string(&Payload { id, expires, restrictions }).unwrap().as_bytes());
        let signature = self.signature(&payload);
        Ok(CreatedToken::new(format!("toy_{payload}.{signature}")).expires_at(expires))
    }
}

impl Handler {
    fn judge(&self, call: &Call<'_>, token: &str) -> Result<Verdict> {
        let token = if self.fault == Fault::TrimsTokens { token.trim_end() } else { token };
        let small = token.to_lowercase();
        let token = if self.fault == Fault::IgnoresCase { &small } else { token };
        if self.fault == Fault::FailsOnNul && token.contains('\0') {
            return Err(PluginError::failed("the store takes no text with a NUL"));
        }
        let Some(rest) = token.strip_prefix("toy_") else { return Ok(Verdict::NotRecognized) };
        let Some((payload, signature)) = rest.split_once('.') else {
            return Ok(Verdict::Rejected(Reason::malformed("token has no signature")));
        };
        assert!(self.fault != Fault::PanicsOnShortSignatures || signature.len() != 63, "a signature is too short");
        if self.fault == Fault::PanicsOnItsOwnThread {
            let _ = std::thread::spawn(|| panic!("a worker")).join();
        }
        let good = self.signature(payload);
        // In earnest this is compared in constant time.
        let is_good = match self.fault {
            Fault::IgnoresTheLastCharacter => signature.len() == good.len() && signature[..63] == good[..63],
            _ => signature == good,
        };
        if !is_good {
            return Ok(Verdict::Rejected(self.bad_signature(call, token)));
        }
        let payload = unhex(payload).and_then(|json| serde_json::from_slice::<Payload>(&json).ok());
        let Some(payload) = payload else { return Ok(Verdict::Rejected(Reason::malformed("token is malformed"))) };
        let now = self.now(call);
        let late = u64::from(self.fault == Fault::AcceptsAtExpiry);
        if payload.expires.is_some_and(|expires| now >= expires + late) {
            return Ok(Verdict::Rejected(Reason::expired()));
        }
        let mut actor = Actor::new(payload.id, "toy");
        if let Some(expires) = payload.expires {
            actor = actor.expires_at(expires);
        }
        if let Some(mut restrictions) = payload.restrictions {
            if self.fault == Fault::AllowsMore {
                restrictions = restrictions.allow_all("drop-table");
            }
            actor = actor.restricted_to(restrictions);
        }
        Ok(Verdict::Accepted(actor))
    }

    fn bad_signature(&self, call: &Call<'_>, token: &str) -> Reason {
        match self.fault {
            Fault::QuotesTokens => return Reason::new(ReasonKind::BadSignature, format!("bad signature in {token}")),
            Fault::QuotesItsKey => {
                let message = format!("not signed with {}", self.config.key.expose());
                return Reason::new(ReasonKind::BadSignature, message);
            }
            Fault::TracesTokens => tracing::debug!(token, "bad signature"),
            Fault::LogsTokens => log::debug!("bad signature in {token}"),
            Fault::EmitsTokens => {
                let mut event = Event::new(EventKind::TokenRejected, call.now());
                event.reason = Some(token.to_owned());
                call.host().emit(&event);
            }
            _ => {}
        }
        Reason::bad_signature()
    }

    /// Rejects what comes while another call is there, as code does that keeps a call's state in the handler.
    fn alone(&self, judge: impl FnOnce() -> Result<Verdict>) -> Result<Verdict> {
        let others = self.inside.fetch_add(1, Ordering::SeqCst);
        for _ in 0..20 {
            std::thread::yield_now();
        }
        let verdict = judge();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        if others == 0 { verdict } else { Ok(Verdict::Rejected(Reason::malformed("token is of another call"))) }
    }

    fn now(&self, call: &Call<'_>) -> u64 {
        match self.fault {
            Fault::AsksTheSystemClock => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs(),
            _ => call.now(),
        }
    }

    fn signature(&self, payload: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.config.key.expose().as_bytes()).unwrap();
        mac.update(payload.as_bytes());
        hex(&mac.finalize().into_bytes())
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        assert!(self.fault != Fault::PanicsWhenDropped, "there is something left to do");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
