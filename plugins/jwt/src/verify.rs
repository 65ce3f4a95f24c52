//! Verification: whose token it is, whether it is signed, and whether what it says holds now.
//!
//! The order is that of what an attacker may choose freely: the form, then the header's key, then the signature, and
//! only below a good signature the claims. A token with a bad signature never has its claims parsed.

use std::{borrow::Cow, sync::Arc};

use token_plugin_api::{Actor, Reason, ReasonKind, TokenRestrictions, Verdict};

use crate::{
    algorithm::{Algorithm, Family},
    claims::{self, Claims, Fresh},
    compact,
    config::Kind,
    header::{Header, Named, SeenHeaders},
    keys::{Key, KeySet, known::Keys},
    revocation::Revocations,
};

/// What is required of tokens.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) issuer: Option<String>,
    /// One of these; none: whatever.
    pub(crate) audience: Vec<String>,
    pub(crate) subject: Option<String>,
    pub(crate) kind: Kind,
    /// As [`Header::typ`] has it.
    pub(crate) typ: Option<Box<str>>,
    /// RFC 9068's claims, too.
    pub(crate) access_token_profile: bool,
    /// The claim that is the actor's id, when it is not `sub`.
    pub(crate) id_claim: Option<String>,
    /// Seconds.
    pub(crate) leeway: u64,
    /// Seconds.
    pub(crate) max_age: Option<u64>,
    pub(crate) needs_expiry: bool,
}

/// Judges tokens.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) keys: Arc<Keys>,
    pub(crate) rules: Rules,
    pub(crate) revocations: Option<Arc<Revocations>>,
    pub(crate) seen: SeenHeaders,
}

/// What became of a token.
#[derive(Debug)]
pub(crate) enum Judged {
    Verdict(Verdict),
    /// It names a key that is not known, or not yet: a key set that is not in the settings might have it.
    KeyNotKnown,
}

/// What a signed token says, for those who manage tokens.
#[derive(Debug)]
pub(crate) struct Signed {
    /// The actor's.
    pub(crate) id: String,
    pub(crate) jti: Option<String>,
    /// Unix seconds.
    pub(crate) issued_at: Option<u64>,
    pub(crate) expires_at: Option<u64>,
    pub(crate) restrictions: Option<TokenRestrictions>,
}

/// Something about a token that is good so far; or why it is not.
type Checked<T> = Result<T, Reason>;

impl Verifier {
    /// Judges a token at a time, in Unix seconds, with the keys that are at hand.
    pub(crate) fn judge(&self, now: u64, token: &str) -> Judged {
        if let Some((header, part, rest)) = self.seen.split(token) {
            return self.judge_signed(now, token, header, part, rest);
        }
        let Some((part, rest)) = compact::split_header(token) else { return Judged::Verdict(Verdict::NotRecognized) };
        match Header::read(part) {
            Some(header) => self.judge_signed(now, token, &header, part, rest),
            None => Judged::Verdict(Verdict::NotRecognized),
        }
    }

    /// What a token says that one of our keys has signed, also when it is not good any more.
    pub(crate) fn signed(&self, token: &str) -> Option<Signed> {
        let (part, rest) = compact::split_header(token)?;
        let header = Header::read(part)?;
        let set = self.keys.set();
        let Recognized::As(algorithm) = self.recognize(&header, set.as_deref()) else { return None };
        let payload = self.signed_payload(token, &header, algorithm, part, rest, set.as_deref()).ok()?;
        let claims = Claims::read(&payload, self.rules.id_claim.as_deref()).ok()?;
        let restrictions = claims.restrictions.map(serde_json::from_str);
        Some(Signed {
            id: claims.id(self.rules.id_claim.as_deref())?.to_owned(),
            jti: claims.jti.map(Cow::into_owned),
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            restrictions: restrictions.transpose().ok()?,
        })
    }

    /// Whether a token names a key that is not known, or not yet.
    pub(crate) fn lacks_key_of(&self, token: &str) -> bool {
        let header = compact::split_header(token).and_then(|(part, _)| Header::read(part));
        header.is_some_and(|header| matches!(self.recognize(&header, self.keys.set().as_deref()), Recognized::NotYet))
    }

    fn judge_signed(&self, now: u64, token: &str, header: &Header, part: &str, rest: &str) -> Judged {
        let set = self.keys.set();
        match self.recognize(header, set.as_deref()) {
            Recognized::No => Judged::Verdict(Verdict::NotRecognized),
            Recognized::NotYet => Judged::KeyNotKnown,
            Recognized::Refused(why) => rejected(Reason::malformed(why)),
            Recognized::As(algorithm) => {
                let accepted = self
                    .signed_payload(token, header, algorithm, part, rest, set.as_deref())
                    .and_then(|payload| self.actor(now, header, payload));
                match accepted {
                    Ok(actor) => Judged::Verdict(Verdict::Accepted(actor)),
                    Err(reason) => rejected(reason),
                }
            }
        }
    }

    /// Whether a token with this header is ours. By its key alone: what else it says is not signed yet.
    fn recognize(&self, header: &Header, set: Option<&KeySet>) -> Recognized {
        let names_a_key = header.kid.as_deref().is_some_and(|kid| self.keys.knows_kid(set, kid));
        let algorithm = match header.algorithm {
            Named::Nothing => return Recognized::No,
            Named::Unreadable => return Recognized::Refused(header.fault.unwrap_or("header cannot be read")),
            Named::Unsigned => return Recognized::Refused("token is not signed (`alg` none)"),
            Named::Known(algorithm) if self.keys.has(set, algorithm, header.kid.as_deref()) => algorithm,
            // The name of one of our keys with an algorithm that is not its own.
            _ if names_a_key => return Recognized::Refused("`alg` does not fit the key that `kid` names"),
            Named::Known(algorithm) if algorithm.family() != Family::Hmac && self.keys.may_have_more() => {
                return Recognized::NotYet;
            }
            Named::Known(_) | Named::Unknown => return Recognized::No,
        };
        match header.fault {
            Some(fault) => Recognized::Refused(fault),
            None if self.keys.fitting(set, algorithm, header.kid.as_deref()).next().is_none() => {
                Recognized::Refused("token does not say which key it is signed with (`kid`)")
            }
            None => Recognized::As(algorithm),
        }
    }

    /// The payload, if one of our keys has signed it.
    fn signed_payload(
        &self,
        token: &str,
        header: &Header,
        algorithm: Algorithm,
        part: &str,
        rest: &str,
        set: Option<&KeySet>,
    ) -> Checked<String> {
        let (payload, signature) = compact::split_rest(rest).map_err(Reason::malformed)?;
        let message = &token.as_bytes()[..part.len() + 1 + payload.len()];
        let mut keys = self.keys.fitting(set, algorithm, header.kid.as_deref());
        let is_good = match algorithm.family() {
            Family::Hmac => {
                let mut room = [0; MAX_TAG_BYTES];
                let tag = compact::decode_signature(signature, &mut room).map_err(Reason::malformed)?;
                keys.any(|key| key.verify(message, tag))
            }
            _ => is_signed_by(keys, message, signature)?,
        };
        if !is_good {
            return Err(Reason::bad_signature());
        }
        self.seen.remember(part, header);
        compact::decode_text(payload).map_err(|why| match why {
            compact::SPELLING => Reason::malformed("payload is not base64url in its one spelling"),
            _ => Reason::malformed("payload is not UTF-8"),
        })
    }

    /// Who a payload stands for, if what it says holds.
    fn actor(&self, now: u64, header: &Header, payload: String) -> Checked<Actor> {
        let claims = Claims::read(&payload, self.rules.id_claim.as_deref()).map_err(Reason::malformed)?;
        self.rules.check_times(now, &claims)?;
        self.rules.check_parties(header, &claims)?;
        self.rules.check_kind(now, &claims)?;
        let id = claims.id(self.rules.id_claim.as_deref()).ok_or(Reason::malformed("token names no actor"))?;
        if claims.jti.as_deref().is_some_and(|jti| jti.is_empty() || jti.len() > MAX_JTI_BYTES) {
            // It could not be revoked.
            return Err(Reason::malformed("`jti` is empty, or longer than 1024 bytes"));
        }
        if let Some(revocations) = &self.revocations
            && revocations.is_revoked(claims.jti.as_deref(), id, claims.issued_at)
        {
            return Err(Reason::new(ReasonKind::Revoked, "token has been revoked"));
        }
        let mut actor = Actor::new(id, "jwt");
        if let Some(expires) = claims.expires_at {
            actor = actor.expires_at(expires);
        }
        if let Some(restrictions) = claims.restrictions {
            let restrictions: TokenRestrictions = serde_json::from_str(restrictions)
                .map_err(|_| Reason::malformed("token has malformed restrictions"))?;
            actor = actor.restricted_to(restrictions);
        }
        Ok(actor.with_claims_text(payload))
    }
}

/// Whose a token is.
enum Recognized {
    /// Somebody else's.
    No,
    /// Of a key that a key set may still bring.
    NotYet,
    /// Ours, and bad.
    Refused(&'static str),
    /// Ours, by a key with this algorithm.
    As(Algorithm),
}

fn rejected(reason: Reason) -> Judged {
    Judged::Verdict(Verdict::Rejected(reason))
}

/// Apart, so that the room for large signatures is only there for them.
#[inline(never)]
fn is_signed_by<'k>(mut keys: impl Iterator<Item = &'k Key>, message: &[u8], signature: &str) -> Checked<bool> {
    let mut room = [0; MAX_SIGNATURE_BYTES];
    let signature = compact::decode_signature(signature, &mut room).map_err(Reason::malformed)?;
    Ok(keys.any(|key| key.verify(message, signature)))
}

/// What can be revoked.
const MAX_JTI_BYTES: usize = 1024;
/// Of HMAC-SHA-512.
const MAX_TAG_BYTES: usize = 64;
/// Of RSA with 8192 bits.
const MAX_SIGNATURE_BYTES: usize = 1024;

impl Rules {
    fn check_times(&self, now: u64, claims: &Claims<'_>) -> Checked<()> {
        // All are at most 2^53, so that no sum overflows.
        match claims.expires_at {
            Some(expires) if now >= expires + self.leeway => return Err(Reason::expired()),
            None if self.needs_expiry => return Err(Reason::malformed("token has no `exp`")),
            _ => {}
        }
        if claims.not_before.is_some_and(|not_before| now.saturating_add(self.leeway) < not_before) {
            return Err(Reason::new(ReasonKind::NotYetValid, "token is not valid yet"));
        }
        if claims.issued_at.is_some_and(|issued| now.saturating_add(self.leeway) < issued) {
            return Err(Reason::new(ReasonKind::NotYetValid, "token was issued in the future"));
        }
        match (self.max_age, claims.issued_at) {
            (Some(_), None) => Err(Reason::malformed("token has no `iat`")),
            (Some(max_age), Some(issued)) if now >= issued + max_age + self.leeway => {
                Err(Reason::new(ReasonKind::Expired, "token is too old"))
            }
            _ => Ok(()),
        }
    }

    fn check_parties(&self, header: &Header, claims: &Claims<'_>) -> Checked<()> {
        let other = |message: &'static str| Err(Reason::new(ReasonKind::Other, message));
        if let Some(issuer) = &self.issuer
            && claims.issuer.as_deref() != Some(issuer)
        {
            return other("token is not of the expected issuer");
        }
        if !self.audience.is_empty() && !self.audience.iter().any(|wanted| claims.audience.has(wanted)) {
            return other("token is not for this audience");
        }
        if let Some(subject) = &self.subject
            && claims.subject.as_deref() != Some(subject)
        {
            return other("token is not for the expected subject");
        }
        if self.typ.is_some() && self.typ != header.typ {
            return other("token is not of the expected `typ`");
        }
        if self.access_token_profile {
            // RFC 9068 §2.2; `iss`, `aud` and `exp` are required already.
            if claims.subject.is_none() || !claims.has_client_id || claims.issued_at.is_none() || claims.jti.is_none() {
                return Err(Reason::malformed("token lacks a claim that RFC 9068 requires"));
            }
        }
        Ok(())
    }

    fn check_kind(&self, now: u64, claims: &Claims<'_>) -> Checked<()> {
        // As in Flask-JWT-Extended, a token that does not say what it is is for access.
        let is_access = matches!(claims.kind, claims::Kind::Missing | claims::Kind::Access);
        let wrong = |message: &'static str| Err(Reason::new(ReasonKind::Other, message));
        match self.kind {
            Kind::Any => Ok(()),
            Kind::Access if is_access => Ok(()),
            Kind::Access => wrong("only access tokens are accepted"),
            Kind::Refresh if claims.kind == claims::Kind::Refresh => Ok(()),
            Kind::Refresh => wrong("only refresh tokens are accepted"),
            Kind::Fresh if !is_access => wrong("only fresh access tokens are accepted"),
            Kind::Fresh => match claims.fresh {
                Fresh::Yes => Ok(()),
                Fresh::Until(until) if now < until => Ok(()),
                _ => wrong("token is not fresh"),
            },
        }
    }
}
