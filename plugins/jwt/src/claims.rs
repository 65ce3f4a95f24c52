//! The claims of a token (RFC 7519 §4), as far as the handler itself reads them.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::{
    config::MAX_SECONDS,
    json::{self, Member, ObjectReader, Taken, Value},
};

/// What a token says of itself. Types are checked, nothing is judged.
#[derive(Debug, Default)]
pub(crate) struct Claims<'a> {
    /// The actor's id: `sub`, or the claim that stands for it.
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) issuer: Option<Cow<'a, str>>,
    pub(crate) subject: Option<Cow<'a, str>>,
    pub(crate) audience: Audience<'a>,
    /// Rounded down, as are all times but `not_before`. Unix seconds, at most 2^53.
    pub(crate) expires_at: Option<u64>,
    /// Rounded up.
    pub(crate) not_before: Option<u64>,
    pub(crate) issued_at: Option<u64>,
    pub(crate) jti: Option<Cow<'a, str>>,
    /// `type` of Flask-JWT-Extended.
    pub(crate) kind: Option<Value<'a>>,
    /// `fresh` of Flask-JWT-Extended: whether, or until when.
    pub(crate) fresh: Option<Value<'a>>,
    /// Whether `client_id` is there (RFC 9068).
    pub(crate) has_client_id: bool,
    /// `_r`: the JSON text of an object.
    pub(crate) restrictions: Option<&'a RawValue>,
}

/// `aud`: one text or several.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Audience<'a> {
    #[default]
    Missing,
    One(Cow<'a, str>),
    Several(Vec<Cow<'a, str>>),
}

impl Audience<'_> {
    pub(crate) fn has(&self, wanted: &str) -> bool {
        match self {
            Self::Missing => false,
            Self::One(one) => one == wanted,
            Self::Several(several) => several.iter().any(|one| one == wanted),
        }
    }
}

impl<'a> Claims<'a> {
    /// Reads claims. `id_claim` names the one that is the actor's id.
    ///
    /// # Errors
    ///
    /// What is wrong with them, without quoting any.
    pub(crate) fn read(json: &'a str, id_claim: &str) -> Result<Self, &'static str> {
        let reading = Reading { values: Values::default(), id_claim: Some(id_claim).filter(|name| *name != "sub") };
        let values = json::read(json, reading).map_err(|why| match why {
            "has a member twice" => "a claim is there twice",
            "is nested too deeply" => "claims are nested too deeply",
            "is not a JSON object" => "claims are not a JSON object",
            _ => "claims are not JSON",
        })?;
        values.checked()
    }
}

/// The values as they were found.
#[derive(Default)]
struct Values<'a> {
    sub: Option<Value<'a>>,
    other_id: Option<Value<'a>>,
    iss: Option<Value<'a>>,
    aud: Option<Value<'a>>,
    exp: Option<Value<'a>>,
    nbf: Option<Value<'a>>,
    iat: Option<Value<'a>>,
    jti: Option<Value<'a>>,
    kind: Option<Value<'a>>,
    fresh: Option<Value<'a>>,
    client_id: Option<Value<'a>>,
    restrictions: Option<&'a RawValue>,
    has_another_id: bool,
}

struct Reading<'a, 'i> {
    values: Values<'a>,
    /// When it is not `sub`.
    id_claim: Option<&'i str>,
}

impl<'de> ObjectReader<'de> for Reading<'de, '_> {
    type Output = Values<'de>;

    fn member<M: MapAccess<'de>>(&mut self, name: &str, member: Member<'_, '_, M>) -> Result<Taken, M::Error> {
        let values = &mut self.values;
        let place = match name {
            "sub" => &mut values.sub,
            "iss" => &mut values.iss,
            "aud" => &mut values.aud,
            "exp" => &mut values.exp,
            "nbf" => &mut values.nbf,
            "iat" => &mut values.iat,
            "jti" => &mut values.jti,
            "type" => &mut values.kind,
            "fresh" => &mut values.fresh,
            "client_id" if self.id_claim != Some("client_id") => &mut values.client_id,
            "_r" => return Ok(Taken::replacing(values.restrictions.replace(member.raw()?))),
            name if self.id_claim == Some(name) => &mut values.other_id,
            _ => return member.skip(),
        };
        Ok(Taken::replacing(place.replace(member.value()?)))
    }

    fn finish(mut self) -> Values<'de> {
        self.values.has_another_id = self.id_claim.is_some();
        self.values
    }
}

impl<'a> Values<'a> {
    fn checked(self) -> Result<Claims<'a>, &'static str> {
        let subject = text(self.sub, "`sub` is not a string")?;
        let id = match self.has_another_id {
            true => text(self.other_id, "the claim with the actor's id is not a string")?,
            // Once more where it is looked for: not a copy, unless it has escapes.
            false => subject.clone(),
        };
        if subject.as_deref().is_some_and(has_nul) || id.as_deref().is_some_and(has_nul) {
            return Err("the actor's id has a NUL in it");
        }
        let restrictions = match self.restrictions {
            Some(raw) if !raw.get().starts_with('{') => return Err("`_r` is not an object"),
            Some(raw) if !json::is_strict(raw.get()) => return Err("`_r` is malformed"),
            restrictions => restrictions,
        };
        Ok(Claims {
            id,
            subject,
            issuer: text(self.iss, "`iss` is not a string")?,
            audience: match self.aud {
                None => Audience::Missing,
                Some(Value::Text(one)) => Audience::One(one),
                Some(Value::Texts(several)) => Audience::Several(several),
                Some(_) => return Err("`aud` is neither a string nor a list of strings"),
            },
            expires_at: time(self.exp, Rounding::Down, "`exp` is not a number of seconds from 0 to 2^53")?,
            not_before: time(self.nbf, Rounding::Up, "`nbf` is not a number of seconds from 0 to 2^53")?,
            issued_at: time(self.iat, Rounding::Down, "`iat` is not a number of seconds from 0 to 2^53")?,
            jti: text(self.jti, "`jti` is not a string")?,
            kind: self.kind,
            fresh: self.fresh,
            has_client_id: self.client_id.is_some(),
            restrictions,
        })
    }
}

fn has_nul(text: &str) -> bool {
    memchr::memchr(0, text.as_bytes()).is_some()
}

fn text<'a>(value: Option<Value<'a>>, otherwise: &'static str) -> Result<Option<Cow<'a, str>>, &'static str> {
    match value {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(otherwise),
    }
}

/// How a fraction of a second becomes none: so that a token is never good for longer.
#[derive(Clone, Copy)]
enum Rounding {
    Down,
    Up,
}

/// A NumericDate (RFC 7519 §2).
fn time(value: Option<Value<'_>>, rounding: Rounding, otherwise: &'static str) -> Result<Option<u64>, &'static str> {
    let seconds = match value {
        None => return Ok(None),
        Some(Value::Integer(seconds)) => seconds,
        Some(Value::Float(seconds)) if seconds.is_sign_positive() && seconds <= MAX_SECONDS as f64 => {
            let whole = match rounding {
                Rounding::Down => seconds.floor(),
                Rounding::Up => seconds.ceil(),
            };
            // Whole, and between 0 and 2^53.
            whole as u64
        }
        Some(_) => return Err(otherwise),
    };
    if seconds > MAX_SECONDS { Err(otherwise) } else { Ok(Some(seconds)) }
}
