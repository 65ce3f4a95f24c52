//! Creation: the header and the claims of a new token, signed by the first key that can.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use token_plugin_api::{CreateToken, CreatedToken, PluginError, Result, TokenKind};

use crate::{
    claims::Claims,
    compact,
    config::MAX_SECONDS,
    header::{Header, is_access_token_type},
    jti,
    keys::{Key, known::Keys},
};

/// Makes tokens.
#[derive(Debug)]
pub(crate) struct Issuer {
    keys: Arc<Keys>,
    settings: Settings,
    /// The usual header, encoded, with the full stop behind it.
    usual_header: String,
    /// `iss` and `aud` as they stand in every token that asks for no other audience: `,"iss":...`.
    usual_parties: String,
}

/// What is written into every token.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) issuer: Option<String>,
    pub(crate) audience: Vec<String>,
    pub(crate) subject: Option<String>,
    pub(crate) typ: String,
    pub(crate) id_claim: String,
    /// Seconds; none: for ever.
    pub(crate) access_life: Option<u64>,
    pub(crate) refresh_life: Option<u64>,
}

impl Issuer {
    pub(crate) fn new(keys: Arc<Keys>, settings: Settings) -> Self {
        let mut usual_parties = String::new();
        if let Some(issuer) = &settings.issuer {
            member(&mut usual_parties, "iss", issuer);
        }
        match settings.audience.as_slice() {
            [] => {}
            [one] => member(&mut usual_parties, "aud", one),
            several => member(&mut usual_parties, "aud", several),
        }
        let header = |key| encoded_header(key, &settings.typ, &Map::new());
        let usual_header = keys.signing().map_or_else(String::new, header);
        Self { keys, settings, usual_header, usual_parties }
    }

    /// The header of tokens that ask for nothing special, as it is spelled in them.
    pub(crate) fn usual_header(&self) -> &str {
        self.usual_header.trim_end_matches('.')
    }

    /// Makes a token at a time, in Unix seconds.
    ///
    /// # Errors
    ///
    /// When no key can sign, or when the request asks for what must not be asked for.
    pub(crate) fn create(&self, now: u64, request: &CreateToken) -> Result<CreatedToken> {
        let key =
            self.keys.signing().ok_or_else(|| PluginError::unsupported("create_token without a key that signs"))?;
        let details = request.details();
        self.check_actor(&request.actor_id)?;
        let expires_at = self.expires_at(now, request.expires_after, details.kind)?;
        let id = jti::random();

        let mut claims = String::with_capacity(FIXED_CLAIM_BYTES + request.actor_id.len() + self.usual_parties.len());
        claims.push('{');
        push_quoted(&mut claims, &self.settings.id_claim);
        claims.push(':');
        push_quoted(&mut claims, &request.actor_id);
        if let Some(subject) = self.settings.subject.as_deref().filter(|_| self.settings.id_claim != "sub") {
            member(&mut claims, "sub", subject);
        }
        match details.claims.get("aud") {
            Some(audience) => self.push_parties_with(audience, &mut claims)?,
            None => claims.push_str(&self.usual_parties),
        }
        push_number(&mut claims, ",\"iat\":", now);
        push_number(&mut claims, ",\"nbf\":", now);
        if let Some(expires_at) = expires_at {
            push_number(&mut claims, ",\"exp\":", expires_at);
        }
        claims.push_str(",\"jti\":\"");
        claims.push_str(&id);
        claims.push_str(match details.kind {
            None | Some(TokenKind::Access) => "\",\"type\":\"access\",\"fresh\":false",
            Some(TokenKind::FreshAccess) => "\",\"type\":\"access\",\"fresh\":true",
            Some(TokenKind::Refresh) => "\",\"type\":\"refresh\",\"fresh\":false",
            Some(_) => return Err(PluginError::unsupported("a token of this kind")),
        });
        if let Some(restrictions) = &request.restrictions {
            member(&mut claims, "_r", restrictions);
        }
        self.push_additional(&details.claims, &mut claims)?;
        claims.push('}');
        if !details.claims.is_empty() {
            // What is made must be accepted.
            let id_claim = Some(self.settings.id_claim.as_str()).filter(|name| *name != "sub");
            Claims::read_strictly(&claims, id_claim).map_err(PluginError::invalid_argument)?;
        }

        let asked_typ = self.typ_of(&details.headers)?;
        if is_access_token_type(asked_typ.unwrap_or(&self.settings.typ)) {
            self.check_profile(&details.claims)?;
        }
        let mut token;
        if details.headers.is_empty() {
            token = String::with_capacity(self.usual_header.len() + claims.len() * 4 / 3 + MAX_USUAL_SIGNATURE);
            token.push_str(&self.usual_header);
        } else {
            token = encoded_header(key, asked_typ.unwrap_or(&self.settings.typ), &details.headers);
            let header = Header::read(token.trim_end_matches('.'));
            if let Some(fault) = header.map_or(Some("header cannot be read"), |header| header.fault) {
                return Err(PluginError::invalid_argument(fault));
            }
        }
        compact::encode_append(claims.as_bytes(), &mut token);
        let signature = key.sign(token.as_bytes()).map_err(PluginError::failed)?;
        token.push('.');
        compact::encode_append(&signature, &mut token);
        Ok(CreatedToken::new(token).with_id(id).expires_at(expires_at))
    }

    fn check_actor(&self, actor_id: &str) -> Result<()> {
        if actor_id.is_empty() {
            return Err(PluginError::invalid_argument("the actor id is empty"));
        }
        if actor_id.contains('\0') {
            return Err(PluginError::invalid_argument("the actor id has a NUL in it"));
        }
        match &self.settings.subject {
            Some(subject) if self.settings.id_claim == "sub" && subject != actor_id => {
                Err(PluginError::invalid_argument("tokens of this handler are for another subject alone"))
            }
            _ => Ok(()),
        }
    }

    fn expires_at(&self, now: u64, after: Option<u64>, kind: Option<TokenKind>) -> Result<Option<u64>> {
        let usual =
            if kind == Some(TokenKind::Refresh) { self.settings.refresh_life } else { self.settings.access_life };
        match after.or(usual) {
            None => Ok(None),
            Some(life) => match now.checked_add(life).filter(|expires| *expires <= MAX_SECONDS) {
                Some(expires) => Ok(Some(expires)),
                None => Err(PluginError::invalid_argument(format!("expires_after is more than {MAX_SECONDS} s"))),
            },
        }
    }

    /// `iss`, and an audience that was asked for: one or some of those that are configured, or any if none is.
    fn push_parties_with(&self, audience: &Value, claims: &mut String) -> Result<()> {
        let is_allowed = |one: &Value| match one {
            Value::String(one) => self.settings.audience.is_empty() || self.settings.audience.contains(one),
            _ => false,
        };
        let are_allowed = match audience {
            Value::Array(several) => !several.is_empty() && several.iter().all(is_allowed),
            one => is_allowed(one),
        };
        if !are_allowed {
            return Err(PluginError::invalid_argument("`aud` is not among the audiences that are configured"));
        }
        if let Some(issuer) = &self.settings.issuer {
            member(claims, "iss", issuer);
        }
        member(claims, "aud", audience);
        Ok(())
    }

    fn push_additional(&self, additional: &Map<String, Value>, claims: &mut String) -> Result<()> {
        for (name, value) in additional {
            if name == "aud" {
                continue;
            }
            if WRITTEN_CLAIMS.contains(&name.as_str()) || *name == self.settings.id_claim {
                return Err(PluginError::invalid_argument(format!("the claim `{name}` is written by the handler")));
            }
            member(claims, name, value);
        }
        Ok(())
    }

    /// The `typ` that was asked for. Other parameters of the handler's own must not be.
    fn typ_of<'h>(&self, headers: &'h Map<String, Value>) -> Result<Option<&'h str>> {
        if let Some(name) = headers.keys().find(|name| WRITTEN_HEADERS.contains(&name.as_str())) {
            return Err(PluginError::invalid_argument(format!("the header `{name}` must not be asked for")));
        }
        match headers.get("typ") {
            None => Ok(None),
            Some(Value::String(typ)) if typ.eq_ignore_ascii_case(&self.settings.typ) || is_access_token_type(typ) => {
                Ok(Some(typ))
            }
            Some(_) => Err(PluginError::invalid_argument(format!("`typ` is `{}` or `at+jwt`", self.settings.typ))),
        }
    }

    /// RFC 9068 §2.2.
    fn check_profile(&self, additional: &Map<String, Value>) -> Result<()> {
        let has_audience = !self.settings.audience.is_empty() || additional.contains_key("aud");
        if self.settings.issuer.is_none() || !has_audience {
            return Err(PluginError::invalid_argument("at+jwt (RFC 9068) needs an issuer and an audience"));
        }
        match additional.get("client_id") {
            None if self.settings.id_claim == "client_id" => Ok(()),
            Some(Value::String(client)) if !client.is_empty() => Ok(()),
            _ => Err(PluginError::invalid_argument("at+jwt (RFC 9068) needs the claim `client_id`")),
        }
    }
}

/// Claims that a request must not set.
const WRITTEN_CLAIMS: [&str; 9] = ["sub", "iss", "iat", "nbf", "exp", "jti", "type", "fresh", "_r"];
/// Header parameters that a request must not set: those that we write, and those that we would refuse.
const WRITTEN_HEADERS: [&str; 10] = ["alg", "kid", "cty", "crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"];
/// `{"sub":"","iat":1700000000,"nbf":...,"exp":...,"jti":"...","type":"access","fresh":false}` and some room.
const FIXED_CLAIM_BYTES: usize = 160;
/// A full stop and 64 bytes in base64url. RSA's are longer, and slow to make anyway.
const MAX_USUAL_SIGNATURE: usize = 90;

/// A header, encoded, with the full stop behind it. Members in the order in which PyJWT writes them.
fn encoded_header(key: &Key, typ: &str, additional: &Map<String, Value>) -> String {
    let mut json = format!("{{\"alg\":\"{}\"", key.algorithm());
    member(&mut json, "typ", typ);
    if let Some(kid) = key.kid() {
        member(&mut json, "kid", kid);
    }
    for (name, value) in additional.iter().filter(|(name, _)| *name != "typ") {
        member(&mut json, name, value);
    }
    json.push('}');
    let mut header = String::with_capacity(json.len() * 4 / 3 + 4);
    compact::encode_append(json.as_bytes(), &mut header);
    header.push('.');
    header
}

fn member(json: &mut String, name: &str, value: &(impl Serialize + ?Sized)) {
    json.push(',');
    push_quoted(json, name);
    json.push(':');
    // Texts, numbers and what is made of them can always be written.
    json.push_str(&serde_json::to_string(value).unwrap_or_default());
}

/// Appends a JSON string.
fn push_quoted(json: &mut String, text: &str) {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        json.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

fn push_number(json: &mut String, name: &str, number: u64) {
    json.push_str(name);
    // A number's digits; `write!` would do the same through more layers.
    let mut digits = [0; 20];
    let mut place = digits.len();
    let mut rest = number;
    loop {
        place -= 1;
        digits[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    json.push_str(std::str::from_utf8(&digits[place..]).unwrap_or_default());
}
