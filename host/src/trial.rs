//! The trial: whether a handler does what the host will rely on, found out before it serves.
//!
//! A handler that can create makes a token of a short life, must accept it, and must not accept it
//! with a byte changed. It is called directly: no wrapper takes part, and the host sends no event.
//! A handler whose tokens would be left behind opts out of the creation ([`Trial`]).

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use token_plugin_api::{CreateToken, PluginError, PluginErrorKind, Result, Trial, Verdict};

use crate::{breaker::Rules, execute::block_on, instance::Instance};

/// What a trial found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Why the plugin must not serve.
    pub(crate) faults: Vec<String>,
    /// What the operator should know.
    pub(crate) warnings: Vec<String>,
}

/// What a trial is about to do, for whoever has to say what a plugin died of.
pub(crate) enum Step<'a> {
    /// Has the handler judge a token that nobody made.
    Junk(&'a str),
    /// Has the handler make a token and judge it.
    Create(&'a str),
}

/// Tries every handler of an instance.
fn try_out(instance: &Instance, deadline: Duration, mut begin: impl FnMut(Step<'_>)) -> Found {
    let mut found = Found::default();
    for handler in 0..instance.handlers.len() {
        let name = &instance.handlers[handler].name;
        let one = One { instance, handler, deadline };
        begin(Step::Junk(name));
        found.warnings.extend(one.junk());
        if instance.handlers[handler].trial == Trial::CreateAndVerify {
            begin(Step::Create(name));
            found.faults.extend(one.create().err());
        }
    }
    instance.breaker.forget();
    found
}

/// Tries every handler of an instance, on a thread of its own. It is left behind when a handler never answers; when it
/// ends, what the plugin left in its thread-locals is dropped, as on every thread that calls it.
pub(crate) fn try_out_within(
    patience: Duration,
    instance: &Arc<Instance>,
    deadline: Duration,
    begin: impl FnMut(Step<'_>) + Send + 'static,
) -> Found {
    let (answer, answers) = mpsc::sync_channel(1);
    let instance = Arc::clone(instance);
    let trial = move || {
        let found = try_out(&instance, deadline, begin);
        // Let go of first: who waits for the answer may want the plugin to stop.
        drop(instance);
        let _ = answer.send(found);
    };
    let failed = |fault: String| Found { faults: vec![fault], warnings: Vec::new() };
    let thread = thread::Builder::new().name("token-host-trial".to_owned());
    let thread = match thread.spawn(trial) {
        Ok(thread) => thread,
        Err(error) => return failed(format!("no thread for its trial could be started: {error}")),
    };
    match answers.recv_timeout(patience) {
        Ok(found) => {
            let _ = thread.join();
            found
        }
        Err(_) => failed(format!("its trial was not over within {} ms", patience.as_millis())),
    }
}

/// Whom the tokens of a trial are for.
const ACTOR: &str = "token-host-trial";

/// How long they would be good, in seconds.
const LIFE: u64 = 60;

/// What nobody made.
const JUNK: &str = "0123456789.abcdefghijklmnopqrstuvwxyz.ABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/// One handler's trial.
struct One<'i> {
    instance: &'i Instance,
    handler: usize,
    deadline: Duration,
}

impl One<'_> {
    fn name(&self) -> &str {
        &self.instance.handlers[self.handler].name
    }

    fn verify(&self, token: &str) -> Result<Verdict> {
        block_on(self.instance.verify(self.handler, self.deadline, &Rules::NEVER, token, "").answer())
    }

    /// A handler that errs here is none to refuse: its store may be down for the moment.
    fn junk(&self) -> Option<String> {
        let claim = self.instance.handlers[self.handler].claims.first().map_or("", String::as_str);
        match self.verify(&format!("{claim}{JUNK}")) {
            Ok(Verdict::Accepted(_)) => {
                Some(format!("its handler \"{}\" accepts a token that nobody made", self.name()))
            }
            Err(error) if *error.kind() == PluginErrorKind::Panicked => {
                Some(format!("its handler \"{}\" {error} at a token that nobody made", self.name()))
            }
            _ => None,
        }
    }

    fn create(&self) -> Result<(), String> {
        let request = CreateToken::new(ACTOR).expires_after(LIFE);
        let created = block_on(self.instance.create(self.handler, self.deadline, &Rules::NEVER, &request, "").answer());
        let token = match created {
            Ok(created) => created.token,
            Err(error) if has_answered(&error) => return Ok(()),
            Err(error) => return Err(format!("its handler \"{}\" could not create a token: {error}", self.name())),
        };
        let claims = &self.instance.handlers[self.handler].claims;
        if !claims.is_empty() && !claims.iter().any(|claim| token.starts_with(claim.as_str())) {
            return Err(format!("its handler \"{}\" made a token that it does not claim", self.name()));
        }
        let said = match self.verify(&token) {
            Ok(Verdict::Accepted(_)) => return self.changed(&token),
            Ok(Verdict::NotRecognized) => "it does not recognize it".to_owned(),
            Ok(Verdict::Rejected(reason)) => reason.to_string(),
            Err(error) => error.to_string(),
        };
        Err(format!("its handler \"{}\" does not accept a token that it just made: {said}", self.name()))
    }

    fn changed(&self, token: &str) -> Result<(), String> {
        for (place, changed) in changed_tokens(token) {
            if let Ok(Verdict::Accepted(_)) = self.verify(&changed) {
                let bytes = token.len();
                return Err(format!(
                    "its handler \"{}\" accepts its own token with byte {} of {bytes} changed",
                    self.name(),
                    place + 1
                ));
            }
        }
        Ok(())
    }
}

/// Whether a creation failed for a reason that is no fault: the handler makes no tokens, or not for this request.
fn has_answered(error: &PluginError) -> bool {
    !matches!(
        error.kind(),
        PluginErrorKind::Failed
            | PluginErrorKind::Panicked
            | PluginErrorKind::DeadlineExceeded
            | PluginErrorKind::TokenGeneration
    )
}

/// The token with one byte changed, at places from its first to its last.
fn changed_tokens(token: &str) -> impl Iterator<Item = (usize, String)> {
    const PLACES: usize = 8;
    let last = token.len().saturating_sub(1);
    let places: std::collections::BTreeSet<usize> = (0..PLACES).map(|place| place * last / (PLACES - 1)).collect();
    places.into_iter().filter_map(|place| {
        let mut bytes = token.as_bytes().to_owned();
        let byte = bytes.get_mut(place)?;
        *byte = match *byte {
            b'z' => b'a',
            b'Z' => b'A',
            b'9' => b'0',
            letter if letter.is_ascii_alphanumeric() => letter + 1,
            _ => b'x',
        };
        // A byte of a longer character is not changed: the result would be no text.
        Some((place, String::from_utf8(bytes).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_byte_are_among_those_that_are_changed() {
        let changed: Vec<(usize, String)> = changed_tokens("dstok_zZ9.é=").collect();
        assert_eq!(changed[0], (0, "estok_zZ9.é=".to_owned()));
        assert_eq!(changed.last().unwrap(), &(12, "dstok_zZ9.éx".to_owned()));
        assert!(changed.iter().all(|(_, token)| token != "dstok_zZ9.é=" && token.len() == 13));
        assert_eq!(changed_tokens("").count(), 0);
        assert_eq!(changed_tokens("a").collect::<Vec<_>>(), [(0, "b".to_owned())]);
    }
}
