//! [`Secret`]: a configured secret that is never printed and is wiped when dropped.

use std::{cell::RefCell, fmt};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

/// A secret from the configuration: `{ env = "NAME" }`, `{ file = "path" }`, or inline, which the
/// host warns about. It prints as `[secret]` and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// A secret from a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(SecretString::from(value.into()))
    }

    /// The secret's value. Keep it as short as possible, and out of every message.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = Self(SecretString::deserialize(deserializer)?);
        Watch::note(secret.expose());
        Ok(secret)
    }
}

/// One or several secrets, for rotation: the first makes tokens, all of them verify.
///
/// In the configuration either one secret or a list with at least one.
#[derive(Debug, Clone)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// The secrets, the one that makes tokens first.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;
        impl<'de> serde::de::Visitor<'de> for OneOrSeveral {
            type Value = Secrets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a secret, or a list of at least one")
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Secrets, E> {
                Watch::note(value);
                Ok(Secrets(vec![Secret::new(value)]))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Secrets, A::Error> {
                let mut secrets = Vec::new();
                while let Some(secret) = list.next_element()? {
                    secrets.push(secret);
                }
                if secrets.is_empty() {
                    return Err(serde::de::Error::invalid_length(0, &self));
                }
                Ok(Secrets(secrets))
            }
        }
        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// Finds secrets that stand in the configuration itself: while one of these lives on a thread,
/// each secret read there is compared with the values that the host took from elsewhere.
pub(crate) struct Watch;

struct Watched {
    resolved: Vec<Zeroizing<String>>,
    inline: Vec<Zeroizing<String>>,
}

thread_local! {
    static WATCHED: RefCell<Option<Watched>> = const { RefCell::new(None) };
}

impl Watch {
    pub(crate) fn start<'a>(resolved: impl IntoIterator<Item = &'a str>) -> Self {
        let resolved = resolved.into_iter().map(|value| Zeroizing::new(value.to_owned())).collect();
        WATCHED.with_borrow_mut(|watched| *watched = Some(Watched { resolved, inline: Vec::new() }));
        Self
    }

    /// How many secrets were written inline so far.
    pub(crate) fn inline(&self) -> usize {
        WATCHED.with_borrow(|watched| watched.as_ref().map_or(0, |watched| watched.inline.len()))
    }

    /// The secrets that these settings hold, when they are read as this type.
    #[cfg(feature = "conformance")]
    pub(crate) fn secrets_in<C: serde::de::DeserializeOwned>(settings: &str) -> Vec<Zeroizing<String>> {
        let _watch = Self::start([]);
        // Settings that do not fit are for whoever makes an instance of them to report.
        let _ = serde_json::from_str::<C>(settings);
        WATCHED.with_borrow_mut(|watched| watched.take().map_or_else(Vec::new, |watched| watched.inline))
    }

    fn note(value: &str) {
        WATCHED.with_borrow_mut(|watched| {
            if let Some(watched) = watched
                && !watched.resolved.iter().any(|resolved| resolved.as_str() == value)
            {
                watched.inline.push(Zeroizing::new(value.to_owned()));
            }
        });
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHED.with_borrow_mut(|watched| *watched = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_in_debug_output() {
        let secrets: Secrets = serde_json::from_str(r#"["hunter2"]"#).unwrap();
        assert_eq!(format!("{secrets:?}"), "Secrets([[secret]])");
    }

    #[test]
    fn inline_secrets_are_told_from_resolved_ones() {
        let watch = Watch::start(["from-env"]);
        let _: Secrets = serde_json::from_str(r#"["from-env", "inline"]"#).unwrap();
        assert_eq!(watch.inline(), 1);
    }

    #[test]
    fn an_empty_list_of_secrets_is_refused() {
        let error = serde_json::from_str::<Secrets>("[]").unwrap_err().to_string();
        assert!(error.contains("a list of at least one"), "{error}");
    }
}
