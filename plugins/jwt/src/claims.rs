//! The claims of a token (RFC 7519 §4), as far as the handler itself reads them.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::{
    config::MAX_SECONDS,
    json::{self, Member, ObjectReader, Taken, Value},
    usual,
};

/// What a token says of itself. Types are checked, nothing is judged.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Claims<'a> {
    pub(crate) subject: Option<Cow<'a, str>>,
    /// The claim that stands for `sub`, where that is not the actor's id.
    pub(crate) other_id: Option<Cow<'a, str>>,
    pub(crate) issuer: Option<Cow<'a, str>>,
    pub(crate) audience: Audience<'a>,
    /// Rounded down, as are all times but `not_before`. Unix seconds, at most 2^53.
    pub(crate) expires_at: Option<u64>,
    /// Rounded up.
    pub(crate) not_before: Option<u64>,
    pub(crate) issued_at: Option<u64>,
    pub(crate) jti: Option<Cow<'a, str>>,
    pub(crate) kind: Kind,
    pub(crate) fresh: Fresh,
    /// Whether `client_id` is there (RFC 9068).
    pub(crate) has_client_id: bool,
    /// `_r`: the JSON text of an object.
    pub(crate) restrictions: Option<&'a str>,
}

/// `type` of Flask-JWT-Extended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Missing,
    Access,
    Refresh,
    Other,
}

impl Kind {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "access" => Self::Access,
            "refresh" => Self::Refresh,
            _ => Self::Other,
        }
    }
}

/// `fresh` of Flask-JWT-Extended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Fresh {
    #[default]
    Missing,
    No,
    Yes,
    /// Unix seconds, rounded down.
    Until(u64),
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
    /// Reads claims. `id_claim` names the one that is the actor's id, when it is not `sub`.
    ///
    /// # Errors
    ///
    /// What is wrong with them, without quoting any.
    pub(crate) fn read(json: &'a str, id_claim: Option<&str>) -> Result<Self, &'static str> {
        match usual::read(json, id_claim) {
            Some(usual) => Ok(usual),
            None => Self::read_strictly(json, id_claim),
        }
    }

    /// The same without the short cut.
    pub(crate) fn read_strictly(json: &'a str, id_claim: Option<&str>) -> Result<Self, &'static str> {
        let reading = Reading { values: Values::default(), id_claim };
        let values = json::read(json, reading).map_err(|why| match why {
            "has a member twice" => "a claim is there twice",
            "has a member whose name others read as something else" => "a claim has a name that is not allowed",
            "is nested too deeply" => "claims are nested too deeply",
            "is not a JSON object" => "claims are not a JSON object",
            _ => "claims are not JSON",
        })?;
        let mut claims = values.checked()?;
        claims.has_client_id |= id_claim == Some("client_id") && claims.other_id.is_some();
        Ok(claims)
    }

    /// The actor's id, if there is one.
    pub(crate) fn id(&self, id_claim: Option<&str>) -> Option<&str> {
        let id = if id_claim.is_some() { &self.other_id } else { &self.subject };
        id.as_deref().filter(|id| !id.is_empty())
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
}

struct Reading<'a, 'i> {
    values: Values<'a>,
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
            "_r" => return Ok(Taken::replacing(values.restrictions.replace(member.raw()?))),
            name if self.id_claim == Some(name) => &mut values.other_id,
            "client_id" => &mut values.client_id,
            _ => return member.skip(),
        };
        Ok(Taken::replacing(place.replace(member.value()?)))
    }

    fn finish(self) -> Values<'de> {
        self.values
    }
}

impl<'a> Values<'a> {
    fn checked(self) -> Result<Claims<'a>, &'static str> {
        let subject = text(self.sub, "`sub` is not a string")?;
        let other_id = text(self.other_id, "the claim with the actor's id is not a string")?;
        if subject.as_deref().is_some_and(has_nul) || other_id.as_deref().is_some_and(has_nul) {
            return Err("the actor's id has a NUL in it");
        }
        let restrictions = match self.restrictions.map(RawValue::get) {
            Some(raw) if !raw.starts_with('{') => return Err("`_r` is not an object"),
            Some(raw) if !json::is_strict(raw) => return Err("`_r` is malformed"),
            restrictions => restrictions,
        };
        Ok(Claims {
            subject,
            other_id,
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
            kind: match self.kind {
                None => Kind::Missing,
                Some(Value::Text(name)) => Kind::named(&name),
                Some(_) => Kind::Other,
            },
            fresh: match self.fresh {
                None => Fresh::Missing,
                Some(Value::Bool(true)) => Fresh::Yes,
                Some(Value::Bool(false)) => Fresh::No,
                until => match time(until, Rounding::Down, "`fresh` is neither a Boolean nor a time")? {
                    Some(until) => Fresh::Until(until),
                    None => Fresh::Missing,
                },
            },
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
