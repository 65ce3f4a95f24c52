//! Between the boundary's types and plain Rust, in both directions.
//!
//! What comes from the other side is data, not truth: JSON that does not parse and numbers that
//! are not known become errors, and never a lesser restriction.

use std::borrow::Cow;

use abi_stable::std_types::{RBox, RCowStr, ROption, RResult, RStr, RString};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use super::v1::{ActorMoreV1, ActorV1, CreateV1, CreatedV1, DetailsV1, ErrorPartsV1, ErrorV1, ReasonV1, VerdictV1};
use crate::{
    Actor, CreateToken, CreatedToken, PluginError, PluginErrorKind, Reason, ReasonKind, Result, TokenDetails, Trial,
    Verdict,
};

/// What the details of a [`HandlerEntryV1`](super::v1::HandlerEntryV1) say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HandlerDetails {
    /// What the host may try before the handler serves.
    pub trial: Trial,
}

impl HandlerDetails {
    pub(crate) fn to_v1(self) -> DetailsV1 {
        // Plain data with string keys: writing it cannot fail.
        let written = (self != Self::default()).then(|| serde_json::to_string(&self).unwrap_or_default());
        written.map(RString::from).into()
    }

    /// Details that came across; what cannot be read leaves nothing to be tried but what leaves no trace.
    pub fn from_v1(details: &DetailsV1) -> Self {
        let details = details.as_ref().map(|details| serde_json::from_str(details));
        details.into_option().map_or_else(Self::default, |read| read.unwrap_or(Self { trial: Trial::VerifyOnly }))
    }
}

/// What the details of a [`TokenGeneratorEntryV1`](super::v1::TokenGeneratorEntryV1) say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GeneratorDetails {
    /// A regular expression for what its tokens look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
}

impl GeneratorDetails {
    pub(crate) fn to_v1(&self) -> DetailsV1 {
        // Plain data with string keys: writing it cannot fail.
        let written = (*self != Self::default()).then(|| serde_json::to_string(self).unwrap_or_default());
        written.map(RString::from).into()
    }

    /// Details that came across; what cannot be read says nothing.
    pub fn from_v1(details: &DetailsV1) -> Self {
        let details = details.as_ref().map(|details| serde_json::from_str(details));
        details.into_option().and_then(Result::ok).unwrap_or_default()
    }
}

/// A verdict or an error, on its way across.
#[inline]
pub fn verdict_to_v1(verdict: Result<Verdict>) -> VerdictV1 {
    match verdict {
        Ok(Verdict::NotRecognized) => VerdictV1::NotRecognized,
        Ok(Verdict::Accepted(actor)) => match actor_to_v1(actor) {
            Ok(actor) => VerdictV1::Accepted(actor),
            Err(error) => VerdictV1::Failed(error_to_v1(error)),
        },
        Ok(Verdict::Rejected(reason)) => VerdictV1::Rejected(reason_to_v1(reason)),
        Err(error) => match error.kind() {
            PluginErrorKind::TokenInvalid(reason) => VerdictV1::Rejected(reason_to_v1(reason.clone())),
            _ => VerdictV1::Failed(error_to_v1(error)),
        },
    }
}

/// A verdict or an error that came across.
///
/// # Errors
///
/// The other side's error, or that its actor could not be read.
#[inline]
pub fn verdict_from_v1(verdict: VerdictV1) -> Result<Verdict> {
    match verdict {
        VerdictV1::NotRecognized => Ok(Verdict::NotRecognized),
        VerdictV1::Accepted(actor) => actor_from_v1(actor).map(Verdict::Accepted),
        VerdictV1::Rejected(reason) => Ok(Verdict::Rejected(reason_from_v1(reason))),
        VerdictV1::Failed(error) => Err(error_from_v1(error)),
    }
}

#[inline]
fn actor_to_v1(mut actor: Actor) -> Result<ActorV1> {
    let claims = actor.take_claims().transpose().map_err(PluginError::failed)?;
    let more = match (actor.restrictions(), claims) {
        (None, None) => ROption::RNone,
        (restrictions, claims) => {
            let restrictions = restrictions.map(serde_json::to_string).transpose().map_err(PluginError::failed)?;
            ROption::RSome(RBox::new(ActorMoreV1 {
                restrictions: restrictions.map(RString::from).into(),
                claims: claims.into(),
                details: DetailsV1::RNone,
            }))
        }
    };
    Ok(ActorV1 { id: actor.id.into(), token: cow_to_v1(actor.token), token_expires: actor.token_expires.into(), more })
}

#[inline]
fn actor_from_v1(actor: ActorV1) -> Result<Actor> {
    let mut read = Actor::new(actor.id.as_str(), cow_from_v1(actor.token));
    read.token_expires = actor.token_expires.into_option();
    let ROption::RSome(more) = actor.more else { return Ok(read) };
    let ActorMoreV1 { restrictions, claims, .. } = RBox::into_inner(more);
    if let ROption::RSome(text) = restrictions {
        let restrictions = serde_json::from_str(&text);
        read = read.restricted_to(restrictions.map_err(|error| unreadable("the actor's restrictions", &error))?);
    }
    // Not read before somebody asks: it takes as long as a signature, and claims restrict nothing.
    if let ROption::RSome(text) = claims {
        read = read.with_claims_that_crossed(text);
    }
    Ok(read)
}

/// What is wrong with a JSON text, without quoting any of it.
fn unreadable(what: &str, error: &serde_json::Error) -> PluginError {
    let problem = match error.classify() {
        Category::Data => "is not of the expected form",
        Category::Syntax | Category::Eof | Category::Io => "is not JSON that can be read",
    };
    PluginError::failed(format!("{what} {problem}"))
}

/// A request for a token, written out where its parts need it, so that [`CreateText::view`] can borrow from it.
#[derive(Debug)]
pub struct CreateText<'a> {
    request: &'a CreateToken,
    restrictions: Option<String>,
    details: Option<String>,
}

impl<'a> CreateText<'a> {
    /// Writes the parts that cross as JSON.
    ///
    /// # Errors
    ///
    /// When a part cannot be written.
    pub fn new(request: &'a CreateToken) -> Result<Self> {
        let restrictions = request.restrictions.as_ref().map(serde_json::to_string).transpose();
        let details = request.details_beyond_default().map(serde_json::to_string).transpose();
        Ok(Self {
            request,
            restrictions: restrictions.map_err(PluginError::failed)?,
            details: details.map_err(PluginError::failed)?,
        })
    }

    /// The request as it crosses.
    pub fn view(&self) -> CreateV1<'_> {
        CreateV1 {
            actor_id: RStr::from(self.request.actor_id.as_str()),
            expires_after: self.request.expires_after.into(),
            restrictions: self.restrictions.as_deref().map(RStr::from).into(),
            details: self.details.as_deref().map(RStr::from).into(),
        }
    }
}

/// A request for a token that came across.
///
/// # Errors
///
/// When a part cannot be read, or asks for something that this version does not know.
pub fn create_from_v1(request: CreateV1<'_>) -> Result<CreateToken> {
    let unreadable = |what: &str, error| PluginError::invalid_argument(unreadable(what, &error).message().to_owned());
    let restrictions = request.restrictions.into_option().map(|text| serde_json::from_str(text.as_str()));
    let details = request.details.into_option().map(|text| serde_json::from_str::<TokenDetails>(text.as_str()));
    let mut read = CreateToken::new(request.actor_id.as_str());
    read.expires_after = request.expires_after.into_option();
    read.restrictions = restrictions.transpose().map_err(|error| unreadable("the request's restrictions", error))?;
    if let Some(details) = details {
        read = read.with_details(details.map_err(|error| unreadable("the request's details", error))?);
    }
    Ok(read)
}

/// A new token or an error, on its way across.
pub fn created_to_v1(created: Result<CreatedToken>) -> RResult<CreatedV1, ErrorV1> {
    result_to_v1(created.map(|created| CreatedV1 {
        token: created.token.into(),
        id: created.id.map(RString::from).into(),
        expires_at: created.expires_at.into(),
        details: DetailsV1::RNone,
    }))
}

/// A new token or an error that came across.
///
/// # Errors
///
/// The other side's error.
pub fn created_from_v1(created: RResult<CreatedV1, ErrorV1>) -> Result<CreatedToken> {
    result_from_v1(created).map(|created| CreatedToken {
        token: created.token.into(),
        id: created.id.into_option().map(RString::into_string),
        expires_at: created.expires_at.into_option(),
    })
}

/// A result on its way across.
pub fn result_to_v1<T>(result: Result<T>) -> RResult<T, ErrorV1> {
    result.map_err(error_to_v1).into()
}

/// A result that came across.
///
/// # Errors
///
/// The other side's error.
pub fn result_from_v1<T>(result: RResult<T, ErrorV1>) -> Result<T> {
    result.into_result().map_err(error_from_v1)
}

fn reason_to_v1(reason: Reason) -> ReasonV1 {
    ReasonV1 { kind: reason_code(reason.kind()), message: cow_to_v1(reason.into_message()), details: DetailsV1::RNone }
}

fn reason_from_v1(reason: ReasonV1) -> Reason {
    Reason::new(reason_kind(reason.kind), cow_from_v1(reason.message))
}

const REASONS: [(u8, ReasonKind); 7] = [
    (1, ReasonKind::BadSignature),
    (2, ReasonKind::Malformed),
    (3, ReasonKind::Expired),
    (4, ReasonKind::NotYetValid),
    (5, ReasonKind::Revoked),
    (6, ReasonKind::Disabled),
    (7, ReasonKind::TooLong),
];

fn reason_code(kind: ReasonKind) -> u8 {
    REASONS.iter().find(|(_, known)| *known == kind).map_or(0, |(code, _)| *code)
}

fn reason_kind(code: u8) -> ReasonKind {
    REASONS.iter().find(|(known, _)| *known == code).map_or(ReasonKind::Other, |(_, kind)| *kind)
}

/// An error on its way across.
pub fn error_to_v1(error: PluginError) -> ErrorV1 {
    let (kind, message) = error.into_parts();
    let (kind, message, subject) = match kind {
        PluginErrorKind::Failed => (0, message, None),
        PluginErrorKind::InvalidArgument => (1, message, None),
        PluginErrorKind::Disabled => (2, message, None),
        PluginErrorKind::MissingTokenInfo(key) => (3, message, Some(key)),
        PluginErrorKind::TokenInvalid(reason) => {
            let code = reason_code(reason.kind());
            (4, reason.into_message(), Some(code.to_string()))
        }
        PluginErrorKind::TokenGeneration => (5, message, None),
        PluginErrorKind::NotFound(what) => (6, message, Some(what)),
        PluginErrorKind::Unsupported => (7, message, None),
        PluginErrorKind::Panicked => (8, message, None),
        PluginErrorKind::DeadlineExceeded => (9, message, None),
        PluginErrorKind::Cancelled => (10, message, None),
        PluginErrorKind::Overloaded => (11, message, None),
    };
    let subject = subject.map(RString::from).into();
    let parts = ErrorPartsV1 { kind, message: cow_to_v1(message), subject, details: DetailsV1::RNone };
    ErrorV1 { parts: RBox::new(parts) }
}

/// An error that came across.
pub fn error_from_v1(error: ErrorV1) -> PluginError {
    let error = RBox::into_inner(error.parts);
    let message = cow_from_v1(error.message);
    let subject = || error.subject.as_ref().map_or_else(String::new, |subject| subject.as_str().to_owned());
    let kind = match error.kind {
        1 => PluginErrorKind::InvalidArgument,
        2 => PluginErrorKind::Disabled,
        3 => PluginErrorKind::MissingTokenInfo(subject()),
        4 => {
            let kind = subject().parse().map_or(ReasonKind::Other, reason_kind);
            PluginErrorKind::TokenInvalid(Reason::new(kind, message.clone()))
        }
        5 => PluginErrorKind::TokenGeneration,
        6 => PluginErrorKind::NotFound(subject()),
        7 => PluginErrorKind::Unsupported,
        8 => PluginErrorKind::Panicked,
        9 => PluginErrorKind::DeadlineExceeded,
        10 => PluginErrorKind::Cancelled,
        11 => PluginErrorKind::Overloaded,
        _ => PluginErrorKind::Failed,
    };
    PluginError::new(kind, message)
}

fn cow_to_v1(text: Cow<'static, str>) -> RCowStr<'static> {
    match text {
        Cow::Borrowed(text) => RCowStr::Borrowed(text.into()),
        Cow::Owned(text) => RCowStr::Owned(text.into()),
    }
}

fn cow_from_v1(text: RCowStr<'static>) -> Cow<'static, str> {
    match text {
        RCowStr::Borrowed(text) => Cow::Borrowed(text.as_str()),
        RCowStr::Owned(text) => Cow::Owned(text.into_string()),
    }
}
