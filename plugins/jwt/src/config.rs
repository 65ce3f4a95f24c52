//! [`Config`]: the settings as they are written.

use serde::Deserialize;
use token_plugin_api::{PluginError, Result, Secret, Secrets};

use crate::{
    algorithm::{Algorithm, Family},
    keys::{Key, looks_like_a_key, min_secret_bytes, settings::JwksConfig},
    revocation::RevocationConfig,
};

/// The settings of the handler, with the names of the RFCs and of Flask-JWT-Extended where they have one.
///
/// At least one key is needed: `secret`, one of `keys`, or `jwks`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The handler's name, by which callers choose it. Default `jwt`: another one for each further entry.
    #[serde(default = "default_name")]
    pub(crate) name: String,

    /// The secret that both sides share, or several for rotation: the first signs, all verify. These have no `kid`.
    #[serde(default)]
    secret: Option<Secrets>,
    /// What `secret` is for: HS256 (the default), HS384 or HS512.
    #[serde(default)]
    algorithm: Option<Algorithm>,
    /// Keys with a name each (`kid`), or key pairs. The first that can sign does, unless there is a `secret`.
    #[serde(default)]
    keys: Vec<KeyConfig>,
    /// The public keys of somebody else: a JWK Set in a file or behind a URL.
    #[serde(default)]
    pub(crate) jwks: Option<JwksConfig>,
    /// Take secrets that are shorter than RFC 7518 §3.2 demands: 32 bytes for HS256, 48, 64. Whoever has one token can
    /// try out short secrets at leisure.
    #[serde(default)]
    danger_allow_short_secret: bool,

    /// `iss`: written, and required.
    #[serde(default)]
    pub(crate) issuer: Option<String>,
    /// `aud`: written, and one of them required.
    #[serde(default)]
    pub(crate) audience: Option<OneOrSeveral>,
    /// `sub` that is required. Tokens for others are not made either.
    #[serde(default)]
    pub(crate) subject: Option<String>,
    /// Which kinds of token are accepted. Default: access tokens, fresh or not.
    #[serde(default)]
    pub(crate) kind: Kind,
    /// `typ` of the header: written; when it stands here it is required, too. Default `JWT`, not required. `at+jwt` makes
    /// and demands RFC 9068's access tokens.
    #[serde(default)]
    pub(crate) typ: Option<String>,
    /// The claim that holds the actor's id. Default `sub`.
    #[serde(default = "default_id_claim")]
    pub(crate) id_claim: String,

    /// Seconds that clocks may differ by. Default 0.
    #[serde(default)]
    pub(crate) leeway_seconds: u64,
    /// Seconds after `iat` from which on a token is refused, whatever it says itself. Default: no such limit.
    #[serde(default)]
    pub(crate) max_age_seconds: Option<u64>,
    /// How long a new access token lives, in seconds. Default 900; 0: for ever, with `danger_allow_no_expiry` alone.
    #[serde(default = "default_access_life")]
    pub(crate) access_token_expires_seconds: u64,
    /// How long a new refresh token lives, in seconds. Default 30 days; 0: for ever, with `danger_allow_no_expiry` alone.
    #[serde(default = "default_refresh_life")]
    pub(crate) refresh_token_expires_seconds: u64,
    /// Accept tokens without `exp`, and let them be made.
    #[serde(default)]
    pub(crate) danger_allow_no_expiry: bool,

    /// Where revoked tokens are kept.
    #[serde(default)]
    pub(crate) revocation: RevocationConfig,
}

/// A key with a name, or a key pair. Exactly one of `secret` and `key`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyConfig {
    /// Its name in headers.
    #[serde(default)]
    kid: Option<String>,
    /// What it is for. Needed for secrets and RSA keys; the others say it themselves.
    #[serde(default)]
    algorithm: Option<Algorithm>,
    /// A secret that both sides share.
    #[serde(default)]
    secret: Option<Secret>,
    /// A private or public key: PEM, or one JWK.
    #[serde(default)]
    key: Option<Secret>,
}

/// One text, or a list of some.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

impl OneOrSeveral {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

/// Which kinds of token are accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Access tokens, fresh or not. A token that does not say what it is is one.
    #[default]
    Access,
    /// Fresh access tokens.
    Fresh,
    /// Refresh tokens.
    Refresh,
    /// All of them.
    Any,
}

fn default_name() -> String {
    "jwt".to_owned()
}

fn default_id_claim() -> String {
    "sub".to_owned()
}

/// Flask-JWT-Extended's.
fn default_access_life() -> u64 {
    15 * 60
}

/// Flask-JWT-Extended's.
fn default_refresh_life() -> u64 {
    30 * 24 * 60 * 60
}

/// Clocks that are further apart want mending.
const MAX_LEEWAY_SECONDS: u64 = 300;
/// Each unsuccessful try of a key costs as much as a successful one.
const MAX_KEYS: usize = 64;
/// A sum of two such times is still a number that JSON's readers agree on.
pub(crate) const MAX_SECONDS: u64 = 1 << 53;

impl Config {
    /// What is wrong with the settings that are not keys.
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(PluginError::invalid_argument(message));
        if self.name.is_empty() {
            return wrong("`name`: it is empty".to_owned());
        }
        if self.leeway_seconds > MAX_LEEWAY_SECONDS {
            return wrong(format!(
                "`leeway_seconds`: expected at most {MAX_LEEWAY_SECONDS} s: every token lives that much longer than it says"
            ));
        }
        for (name, seconds) in [
            ("access_token_expires_seconds", self.access_token_expires_seconds),
            ("refresh_token_expires_seconds", self.refresh_token_expires_seconds),
            ("max_age_seconds", self.max_age_seconds.unwrap_or(1)),
        ] {
            if seconds > MAX_SECONDS {
                return wrong(format!("`{name}`: expected at most {MAX_SECONDS} s"));
            }
            if seconds == 0 && (name == "max_age_seconds" || !self.danger_allow_no_expiry) {
                return wrong(format!("`{name}`: expected at least 1 s"));
            }
        }
        for (name, value) in [
            ("issuer", self.issuer.as_deref()),
            ("subject", self.subject.as_deref()),
            ("typ", self.typ.as_deref()),
            ("id_claim", Some(self.id_claim.as_str())),
        ] {
            if value == Some("") {
                return wrong(format!("`{name}`: it is empty"));
            }
        }
        let reserved = ["iss", "aud", "exp", "nbf", "iat", "jti", "type", "fresh", "_r"];
        if reserved.contains(&self.id_claim.as_str()) {
            return wrong(format!("`id_claim`: `{}` means something else", self.id_claim));
        }
        if let Some(audience) = &self.audience
            && (audience.as_slice().is_empty() || audience.as_slice().iter().any(String::is_empty))
        {
            return wrong("`audience`: expected a text, or a list of at least one".to_owned());
        }
        if self.requires_access_token_profile() && (self.issuer.is_none() || self.audience.is_none()) {
            return wrong("`typ`: at+jwt (RFC 9068) needs `issuer` and `audience`, too".to_owned());
        }
        Ok(())
    }

    /// Whether every token is to be one of RFC 9068.
    pub(crate) fn requires_access_token_profile(&self) -> bool {
        self.typ.as_deref().is_some_and(crate::header::is_access_token_type)
    }

    /// The keys that stand in the settings themselves, in the order in which they are asked to sign.
    ///
    /// # Errors
    ///
    /// When a key is none, is too short, does not fit its algorithm, or there is none at all.
    pub(crate) fn own_keys(&self) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        let algorithm = self.algorithm.unwrap_or(Algorithm::Hs256);
        if self.algorithm.is_some() && self.secret.is_none() {
            return Err(PluginError::invalid_argument("`algorithm`: it is about `secret`, and there is none"));
        }
        for secret in self.secret.iter().flat_map(Secrets::iter) {
            keys.push(self.hmac_key(None, Some(algorithm), secret, "secret")?);
        }
        for (index, entry) in self.keys.iter().enumerate() {
            let place = format!("keys[{index}]");
            let key = match (&entry.secret, &entry.key) {
                (Some(secret), None) => {
                    self.hmac_key(entry.kid.clone(), entry.algorithm, secret, &format!("{place}.secret"))?
                }
                (None, Some(key)) => {
                    let key = Key::from_text(key.expose(), entry.algorithm, entry.kid.clone());
                    key.map_err(|why| PluginError::invalid_argument(format!("`{place}.key`: {why}")))?
                }
                _ => {
                    return Err(PluginError::invalid_argument(format!("`{place}`: expected either `secret` or `key`")));
                }
            };
            let is_double = |other: &Key| other.kid() == key.kid() && other.algorithm() == key.algorithm();
            if key.kid().is_some() && keys.iter().any(is_double) {
                return Err(PluginError::invalid_argument(format!("`{place}.kid`: another key has this name already")));
            }
            keys.push(key);
        }
        if keys.len() > MAX_KEYS {
            return Err(PluginError::invalid_argument(format!("`keys`: expected at most {MAX_KEYS}")));
        }
        if keys.is_empty() && self.jwks.is_none() {
            return Err(PluginError::invalid_argument(
                "`secret`: there is no key; expected `secret`, `keys` or `jwks`",
            ));
        }
        Ok(keys)
    }

    fn hmac_key(&self, kid: Option<String>, algorithm: Option<Algorithm>, secret: &Secret, place: &str) -> Result<Key> {
        let wrong = |message: String| Err(PluginError::invalid_argument(format!("`{place}`: {message}")));
        let Some(algorithm) = algorithm.filter(|algorithm| algorithm.family() == Family::Hmac) else {
            return wrong("a secret is for HS256, HS384 or HS512; expected one of them as `algorithm`".to_owned());
        };
        if looks_like_a_key(secret.expose()) {
            // A public key is no secret: whoever has it could sign.
            return wrong("it is a key, not a secret; expected it as `key`, with its algorithm".to_owned());
        }
        let (bytes, least) = (secret.expose().len(), min_secret_bytes(algorithm));
        if secret.expose().trim().is_empty() {
            return wrong("it is empty, expected a long random text".to_owned());
        }
        if bytes < least && !self.danger_allow_short_secret {
            return wrong(format!(
                "it has {bytes} bytes; {algorithm} needs at least {least} (RFC 7518 §3.2), \
                 or `danger_allow_short_secret = true`"
            ));
        }
        Ok(Key::hmac(kid, algorithm, secret.expose().as_bytes()))
    }
}
