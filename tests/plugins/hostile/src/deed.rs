//! What a handler does with a token or a request, once it is known which of them it was told.

use std::process;

use serde::Deserialize;
use serde_json::{Value, json};
use token_plugin_api::{
    Actor, Call, CreateToken, CreatedToken, Event, EventKind, PluginError, PluginErrorKind, Reason, Result,
    TokenGenerator, Verdict,
};

use crate::{fuse, harm, noise, settings::HandlerSettings};

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum VerifyDeed {
    #[default]
    Accept,
    NotRecognized,
    Reject,
    Expired,
    Fail,
    /// An error that the host counts as a rejection.
    TokenInvalid,
    InvalidArgument,
    Disabled,
    NotFound,
    Unsupported,
    Panic,
    PanicWithBomb,
    /// With a message that holds the token.
    PanicQuoting,
    /// Cuts the token in the middle of its first character that is not ASCII.
    PanicCutting,
    PanicInThread,
    Abort,
    /// Ends the process with exit code 7.
    Exit,
    /// Recurs until the stack is used up.
    Overflow,
    /// Never answers, and keeps a processor busy.
    Spin,
    /// Never answers; an async handler holds no thread meanwhile.
    Hang,
    /// Never answers, and never gives its thread back.
    Block,
    /// Accepts after `slow_ms`, once the file `slow_until` is there.
    Slow,
    /// Logs at every level, then accepts.
    Log,
    /// Sends an event of its own, then accepts.
    Emit,
    /// Accepts what the configured generator could have made.
    Validate,
    /// Does what stands behind the last colon of the token.
    AsTold,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CreateDeed {
    #[default]
    Ok,
    Unsupported,
    Fail,
    Panic,
    PanicWithBomb,
    Abort,
    /// Ends the process with exit code 7.
    Exit,
    /// Recurs until the stack is used up.
    Overflow,
    /// Never answers, and keeps a processor busy.
    Spin,
    /// Never answers; an async handler holds no thread meanwhile.
    Hang,
    Slow,
    InvalidArgument,
    Disabled,
    MissingTokenInfo,
    TokenGeneration,
    NotFound,
    TokenInvalid,
    /// Has the generator that the request names make the token.
    Generate,
    /// Does what stands behind the last colon of the actor's id.
    AsTold,
}

impl VerifyDeed {
    pub(crate) fn for_token(self, token: &str) -> Result<Self> {
        if self == Self::AsTold { told(token) } else { Ok(self) }
    }

    /// Does it. `calls` is how many times this handler was asked before.
    pub(crate) fn act(self, handler: &HandlerSettings, call: &Call<'_>, token: &str, calls: u64) -> Result<Verdict> {
        match self {
            Self::NotRecognized => return Ok(Verdict::NotRecognized),
            Self::Reject => return Ok(Verdict::Rejected(Reason::malformed("it was told to reject"))),
            Self::Expired => return Ok(Verdict::Rejected(Reason::expired())),
            Self::Fail => return Err(PluginError::failed("it was told to fail")),
            Self::TokenInvalid => return Err(token_invalid()),
            Self::InvalidArgument => return Err(invalid_argument()),
            Self::Disabled => return Err(disabled()),
            Self::NotFound => return Err(PluginError::not_found("client")),
            Self::Unsupported => return Err(PluginError::unsupported("verify_token")),
            Self::Panic => panic!("it was told to panic"),
            Self::PanicWithBomb => fuse::panic_with_bomb(),
            Self::PanicQuoting => panic!("it was told to panic at {token}"),
            Self::PanicCutting => return Err(PluginError::failed(cut(token))),
            Self::Abort => process::abort(),
            Self::Exit => harm::exit(),
            Self::Overflow => harm::overflow(),
            Self::Spin => harm::spin(),
            Self::AsTold => return Err(PluginError::invalid_argument("it was told to do as told")),
            Self::Validate => {
                let generator = generator(call, &handler.generator)?;
                if !generator.validate_token(token, &serde_json::Map::new())? {
                    return Ok(Verdict::NotRecognized);
                }
            }
            Self::PanicInThread => noise::panic_in_a_thread(),
            Self::Log => noise::log_everywhere(),
            Self::Emit => {
                let mut event = Event::new(EventKind::TokenUpdated, call.now());
                event.extra.insert("from".to_owned(), handler.name.as_str().into());
                call.host().emit(&event);
            }
            Self::Accept | Self::Hang | Self::Block | Self::Slow => {}
        }
        let actor = Actor::new("someone", "hostile")
            .claim("handler", handler.name.as_str())
            .claim("plugin", call.host().plugin())
            .claim("now", call.now())
            .claim("calls", calls)
            .claim("context", serde_json::to_value(call.context()?).map_err(PluginError::failed)?);
        Ok(Verdict::Accepted(actor))
    }
}

impl CreateDeed {
    pub(crate) fn for_actor(self, actor_id: &str) -> Result<Self> {
        if self == Self::AsTold { told(actor_id) } else { Ok(self) }
    }

    pub(crate) fn act(self, handler: &HandlerSettings, call: &Call<'_>, request: &CreateToken) -> Result<CreatedToken> {
        let token = match self {
            Self::Ok | Self::Hang | Self::Slow => description(handler, request).to_string(),
            Self::Unsupported => return Err(PluginError::unsupported("create_token")),
            Self::Fail => return Err(PluginError::failed("it was told to fail")),
            Self::Panic => panic!("it was told to panic"),
            Self::PanicWithBomb => fuse::panic_with_bomb(),
            Self::Abort => process::abort(),
            Self::Exit => harm::exit(),
            Self::Overflow => harm::overflow(),
            Self::Spin => harm::spin(),
            Self::InvalidArgument => return Err(invalid_argument()),
            Self::Disabled => return Err(disabled()),
            Self::MissingTokenInfo => return Err(PluginError::missing_token_info("seed")),
            Self::TokenGeneration => {
                return Err(PluginError::new(PluginErrorKind::TokenGeneration, "no unique token after 20 attempts"));
            }
            Self::NotFound => return Err(PluginError::not_found("client")),
            Self::TokenInvalid => return Err(token_invalid()),
            Self::Generate => {
                let id = request.details().token_generator_id.as_deref().unwrap_or_default();
                generator(call, id)?.create_token(&request.details().token_info)?
            }
            Self::AsTold => return Err(PluginError::invalid_argument("it was told to do as told")),
        };
        Ok(CreatedToken::new(token).with_id(handler.name.as_str()))
    }
}

/// A token that says who made it of what, for tests to read.
fn description(handler: &HandlerSettings, request: &CreateToken) -> Value {
    json!({
        "handler": handler.name,
        "actor_id": request.actor_id,
        "expires_after": request.expires_after,
        "restrictions": request.restrictions,
        "details": request.details(),
    })
}

fn told<D: for<'de> Deserialize<'de>>(by: &str) -> Result<D> {
    let word = by.rsplit(':').next().unwrap_or_default();
    D::deserialize(Value::from(word)).map_err(PluginError::failed)
}

fn generator(call: &Call<'_>, id: &str) -> Result<impl TokenGenerator + use<>> {
    call.host().token_generator(id).ok_or_else(|| PluginError::not_found("token generator"))
}

/// Panics: that is no place to cut.
fn cut(token: &str) -> &str {
    let place = token.find(|character: char| !character.is_ascii()).unwrap_or(token.len());
    &token[..place + 1]
}

fn invalid_argument() -> PluginError {
    PluginError::invalid_argument("it was told that this is no argument")
}

fn disabled() -> PluginError {
    PluginError::new(PluginErrorKind::Disabled, "hostile tokens are not enabled")
}

fn token_invalid() -> PluginError {
    let kind = PluginErrorKind::TokenInvalid(Reason::malformed("it was told that the token is invalid"));
    PluginError::new(kind, "it was told that the token is invalid")
}
