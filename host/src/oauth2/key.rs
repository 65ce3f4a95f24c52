//! [`ProcessKey`]: a random key that never leaves the process, for what only the process itself has to recognize.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::secrets::random_bytes;
use crate::error::{Error, ErrorKind};

/// What a MAC is for: one of another purpose is another MAC.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    RightSecret,
    Consent,
}

/// The key; made when it is first needed.
#[derive(Default)]
pub(crate) struct ProcessKey(OnceLock<[u8; 32]>);

impl ProcessKey {
    /// The MAC of texts, of which none can be taken for parts of others, nor an absent one for an empty one.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub(super) fn mac(&self, purpose: Purpose, texts: &[Option<&str>]) -> Result<[u8; 32], Error> {
        let key = match self.0.get() {
            Some(key) => key,
            None => {
                let random = random_bytes()?;
                self.0.get_or_init(|| random)
            }
        };
        let mac = Hmac::<Sha256>::new_from_slice(key);
        let mut mac = mac.map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        mac.update(&[purpose as u8]);
        for text in texts {
            mac.update(&[u8::from(text.is_some())]);
            let text = text.unwrap_or_default().as_bytes();
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text);
        }
        Ok(mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_texts_have_different_macs() {
        let key = ProcessKey::default();
        let mac = |purpose, texts: &[Option<&str>]| key.mac(purpose, texts).unwrap();
        let one = mac(Purpose::Consent, &[Some("ab"), Some("c")]);
        assert_eq!(one, mac(Purpose::Consent, &[Some("ab"), Some("c")]));
        for other in [&[Some("a"), Some("bc")][..], &[Some("ab"), Some("c"), Some("")], &[Some("abc")], &[]] {
            assert_ne!(one, mac(Purpose::Consent, other));
        }
        assert_ne!(mac(Purpose::Consent, &[None]), mac(Purpose::Consent, &[Some("")]));
        assert_ne!(one, mac(Purpose::RightSecret, &[Some("ab"), Some("c")]));
        assert_ne!(one, ProcessKey::default().mac(Purpose::Consent, &[Some("ab"), Some("c")]).unwrap());
    }
}
