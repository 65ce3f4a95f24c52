//! [`Form`]: what a token looks like. [`Forms`]: tells tokens that the database may know from others, before it is asked.

use serde::{Deserialize, Deserializer};
use token_plugin_api::{HostHandle, Result, TokenGenerator};

use crate::generators::{self, LegacySha1, Prefix, TokenHost, VendorChecksum};

/// What a token may look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// One of those that this plugin knows.
    Known(KnownForm),
    /// What the generator with this id, of another plugin, says it may have made.
    Generator(String),
}

/// What this plugin knows the look of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KnownForm {
    TokenHost,
    VendorChecksum,
    LegacySha1,
    DjangoRestKnox,
    DatasetteAuthTokens,
}

impl Form {
    /// The forms that this plugin knows, by their names in the settings.
    pub(crate) const ALL: [&str; 5] =
        ["token_host", "vendor_checksum", "legacy_sha1", "django_rest_knox", "datasette_auth_tokens"];

    pub(crate) fn named(name: &str) -> Self {
        Self::Known(match name {
            "token_host" => KnownForm::TokenHost,
            "vendor_checksum" => KnownForm::VendorChecksum,
            "legacy_sha1" => KnownForm::LegacySha1,
            "django_rest_knox" => KnownForm::DjangoRestKnox,
            "datasette_auth_tokens" => KnownForm::DatasetteAuthTokens,
            _ => return Self::Generator(name.to_owned()),
        })
    }
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::named(&String::deserialize(deserializer)?))
    }
}

/// What a token looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// None of ours.
    Foreign,
    /// One of ours, but for its checksum: mistyped, cut short, or made up.
    BadChecksum,
    /// The database may know it.
    Ours,
    /// The same, perhaps under the digest that django-rest-knox keeps.
    OursOrKnox,
}

/// What tokens may look like.
#[derive(Debug)]
pub(crate) struct Forms {
    ours: TokenHost,
    known: Vec<KnownForm>,
    generators: Vec<String>,
}

/// Hexadecimal digits of django-rest-knox' tokens, behind a prefix of the operator's choice.
const KNOX_DIGITS: usize = 64;
/// The longest of such prefixes.
const KNOX_PREFIX_BYTES: usize = 10;

impl Forms {
    /// No token of any form is longer; Djblets' have 255 characters.
    pub(crate) const MAX_TOKEN_BYTES: usize = 512;

    pub(crate) fn new(prefix: Prefix, accepted: Vec<Form>) -> Self {
        let (mut known, mut generators) = (Vec::new(), Vec::new());
        for form in accepted {
            match form {
                Form::Known(form) => known.push(form),
                Form::Generator(id) => generators.push(id),
            }
        }
        Self { ours: TokenHost::new(prefix), known, generators }
    }

    /// The prefix that all tokens begin with, if there is one.
    pub(crate) fn claim(&self) -> Option<String> {
        let is_alone = self.known == [KnownForm::TokenHost] && self.generators.is_empty();
        is_alone.then(|| self.ours.prefix().to_owned())
    }

    /// This plugin's generator with this id. Another entry of the plugin may have one with the same id, and another prefix.
    pub(crate) fn generator(&self, id: &str) -> Option<&dyn TokenGenerator> {
        match id {
            TokenHost::ID => Some(&self.ours),
            VendorChecksum::ID => Some(&VendorChecksum),
            LegacySha1::ID => Some(&LegacySha1),
            _ => None,
        }
    }

    /// What a token looks like.
    ///
    /// # Errors
    ///
    /// When a generator of another plugin cannot tell.
    pub(crate) fn look(&self, host: &HostHandle, token: &str) -> Result<Look> {
        if token.len() > Self::MAX_TOKEN_BYTES {
            return Ok(Look::Foreign);
        }
        let mut look = Look::Foreign;
        for form in &self.known {
            let form = match form {
                KnownForm::TokenHost => self.ours.form(token),
                KnownForm::VendorChecksum => VendorChecksum::form(token),
                KnownForm::LegacySha1 => LegacySha1::form(token),
                KnownForm::DjangoRestKnox if is_knox(token) => return Ok(Look::OursOrKnox),
                KnownForm::DatasetteAuthTokens if token.starts_with("dsatok_") => return Ok(Look::Ours),
                KnownForm::DjangoRestKnox | KnownForm::DatasetteAuthTokens => continue,
            };
            match form {
                generators::Form::Fine => return Ok(Look::Ours),
                generators::Form::Bad => look = Look::BadChecksum,
                generators::Form::NotOurs => {}
            }
        }
        for id in &self.generators {
            // Who is not there, because its plugin was taken out, has made nothing that we could still tell.
            if let Some(generator) = host.token_generator(id)
                && generator.validate_token(token, &serde_json::Map::new())?
            {
                return Ok(Look::Ours);
            }
        }
        Ok(look)
    }
}

fn is_knox(token: &str) -> bool {
    let Some(prefix) = token.len().checked_sub(KNOX_DIGITS) else { return false };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    prefix <= KNOX_PREFIX_BYTES && token.as_bytes()[prefix..].iter().all(is_digit)
}
