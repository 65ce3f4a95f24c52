//! A wrapper that signs what passes it, or gets in its way.

use serde_json::json;
use token_plugin_api::{Actor, Call, CreateToken, CreatedToken, PluginError, PluginErrorKind, Reason, Result, Verdict};

use crate::{
    fuse::{Fuse, wait_for},
    journal::Journal,
    settings::{After, Before, WrapperSettings},
};

pub(crate) struct Wrapper {
    settings: WrapperSettings,
    journal: Journal,
    _fuse: Fuse,
}

impl Wrapper {
    pub(crate) fn new(settings: WrapperSettings, journal: Journal) -> Self {
        let fuse = Fuse(settings.drop.clone());
        Self { settings, journal, _fuse: fuse }
    }

    /// `about` is the token, or the actor's id.
    fn before(&self, what: &str, about: &str) -> Result<State> {
        self.journal.note(&self.settings.name, what, ())?;
        let name = &self.settings.name;
        if let (Before::Slow, Some(path)) = (&self.settings.before, &self.settings.slow_until) {
            wait_for(path);
        }
        match self.settings.before {
            Before::Pass | Before::Slow => Ok(State(Fuse(self.settings.drop_state.clone()))),
            Before::Fail => Err(PluginError::failed(format!("{name} was told to fail before"))),
            Before::Reject => Err(rejection(format!("{name} was told to reject before"))),
            Before::Panic => panic!("{name} was told to panic before"),
            Before::PanicQuoting => panic!("{name} was told to panic before {about}"),
        }
    }

    fn fail(&self) -> PluginError {
        PluginError::failed(format!("{} was told to fail after", self.settings.name))
    }
}

/// What `before` hands to `after`.
pub(crate) struct State(#[expect(dead_code, reason = "it is there to be dropped")] Fuse);

impl token_plugin_api::Wrapper for Wrapper {
    type State = State;

    fn name(&self) -> &str {
        self.settings.naming.of(&self.settings.name)
    }

    fn before_verify(&self, _: &Call<'_>, token: &str) -> Result<State> {
        self.before("before_verify", token)
    }

    fn after_verify(&self, _: &Call<'_>, _: State, token: &str, outcome: Result<Verdict>) -> Result<Verdict> {
        let name = &self.settings.name;
        let text = match &outcome {
            Ok(Verdict::NotRecognized) => "not_recognized".to_owned(),
            Ok(Verdict::Accepted(_)) => "accepted".to_owned(),
            Ok(Verdict::Rejected(reason)) => format!("rejected: {reason}"),
            Err(error) => format!("{:?}: {error}", error.kind()),
        };
        self.journal.note(name, "after_verify", text)?;
        match self.settings.after {
            After::Sign => signed(name, outcome),
            After::Fail => Err(self.fail()),
            After::Panic => panic!("{name} was told to panic after"),
            After::PanicQuoting => panic!("{name} was told to panic after {token}"),
            After::Accept => Ok(Verdict::Accepted(Actor::new(name, "wrapper"))),
            After::Reject => Ok(Verdict::Rejected(Reason::malformed("the wrapper was told to reject after"))),
            After::NotRecognized => Ok(Verdict::NotRecognized),
        }
    }

    fn before_create(&self, _: &Call<'_>, request: &CreateToken) -> Result<State> {
        self.before("before_create", &request.actor_id)
    }

    fn after_create(
        &self,
        _: &Call<'_>,
        _: State,
        request: &CreateToken,
        outcome: Result<CreatedToken>,
    ) -> Result<CreatedToken> {
        let name = &self.settings.name;
        let text = outcome.as_ref().map_or_else(|error| format!("{:?}: {error}", error.kind()), |_| "created".into());
        self.journal.note(name, "after_create", text)?;
        match self.settings.after {
            After::Sign | After::NotRecognized => outcome.map(|mut created| {
                created.token = format!("{}|{name}", created.token);
                created
            }),
            After::Fail => Err(self.fail()),
            After::Panic => panic!("{name} was told to panic after"),
            After::PanicQuoting => panic!("{name} was told to panic after {}", request.actor_id),
            After::Accept => Ok(CreatedToken::new(name)),
            After::Reject => Err(PluginError::invalid_argument(format!("{name} was told to reject after"))),
        }
    }
}

/// The outcome with the wrapper's name at the end of it: as the last of the claim `wrappers`, of a rejection's message,
/// of an error's message.
fn signed(name: &str, outcome: Result<Verdict>) -> Result<Verdict> {
    match outcome {
        Ok(Verdict::Accepted(actor)) => {
            let mut names = json!(actor)["wrappers"].as_array().cloned().unwrap_or_default();
            names.push(name.into());
            Ok(Verdict::Accepted(actor.claim("wrappers", names)))
        }
        Ok(Verdict::Rejected(reason)) => Ok(Verdict::Rejected(Reason::new(reason.kind(), format!("{reason}|{name}")))),
        Ok(Verdict::NotRecognized) => Ok(Verdict::NotRecognized),
        Err(error) => Err(PluginError::new(error.kind().clone(), format!("{}|{name}", error.message()))),
    }
}

fn rejection(message: String) -> PluginError {
    let reason = Reason::new(token_plugin_api::ReasonKind::Disabled, message.clone());
    PluginError::new(PluginErrorKind::TokenInvalid(reason), message)
}
