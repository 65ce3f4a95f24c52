//! [`Secrets`]: whether a client's secret is the right one, on threads of its own and with a memory for those that were.
//!
//! A wrong secret, an unknown client and one that has no secret take equally long: one Argon2id hash.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use token_plugin_api::ClientSecret;

use super::key::{ProcessKey, Purpose};
use crate::{
    error::{Error, ErrorKind},
    execute::{Lane, Service},
};

/// OWASP's parameters for Argon2id: 19 MiB, twice, on one thread.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashing threads: each takes a core and 19 MiB while it works. Two leave most of the machine to everything else, however
/// many wrong secrets somebody sends.
const THREADS: usize = 2;

/// How long a client waits at most, the queue before those threads included.
const DEADLINE: Duration = Duration::from_secs(5);

/// Clients whose right secret is remembered: some 100 bytes each.
const MAX_REMEMBERED: usize = 4096;

/// Of nobody: what a secret is held against when there is nothing to hold it against. Nobody knows what it is the hash of.
const NOBODYS_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IG5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Verifies secrets.
pub(crate) struct Secrets {
    lane: Lane,
    /// By client: a MAC over its secret's hash and the secret that was right. A new hash makes the old entry worthless.
    right: RwLock<HashMap<String, [u8; 32]>>,
}

impl Secrets {
    pub(crate) fn new(service: &Arc<Service>) -> Self {
        Self { lane: Lane::new(THREADS, service), right: RwLock::default() }
    }

    /// Whether a client's secret is the right one; `known`: what it is checked against, if there is such a client and it
    /// has one.
    pub(super) async fn is_right(
        &self,
        key: &ProcessKey,
        client_id: &str,
        known: Option<ClientSecret>,
        given: &str,
    ) -> Result<bool, Error> {
        let hash = match known {
            Some(ClientSecret::Argon2id(hash)) => Some(hash),
            Some(ClientSecret::Plain(secret)) if bool::from(secret.as_bytes().ct_eq(given.as_bytes())) => {
                return Ok(true);
            }
            _ => None,
        };
        let Some(hash) = hash else {
            self.hold_against(None, given).await?;
            return Ok(false);
        };
        let mac = key.mac(Purpose::RightSecret, &[Some(client_id), Some(&hash), Some(given)])?;
        if self.right.read().unwrap_or_else(PoisonError::into_inner).get(client_id).is_some_and(|right| *right == mac) {
            return Ok(true);
        }
        let is_right = self.hold_against(Some(hash), given).await?;
        if is_right {
            let mut right = self.right.write().unwrap_or_else(PoisonError::into_inner);
            if right.len() >= MAX_REMEMBERED && !right.contains_key(client_id) {
                // Any of them: whoever comes back pays for one hash.
                let forgotten = right.keys().next().cloned();
                forgotten.map(|client_id| right.remove(&client_id));
            }
            right.insert(client_id.to_owned(), mac);
        }
        Ok(is_right)
    }

    async fn hold_against(&self, hash: Option<String>, given: &str) -> Result<bool, Error> {
        let given = zeroize::Zeroizing::new(given.to_owned());
        self.run(move || matches(hash.as_deref(), &given)).await
    }

    /// Runs what takes as long as a hash.
    pub(super) async fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let stopped = |stopped| Error::new(ErrorKind::Internal, format!("a secret could not be checked: {stopped}"));
        self.lane.blocking(DEADLINE, call).await.map_err(stopped)
    }
}

/// Whether a secret is the one of this hash. Without a hash it never is, and takes as long.
pub(super) fn matches(hash: Option<&str>, secret: &str) -> bool {
    let known = hash.and_then(read);
    let is_known = known.is_some();
    let Some(hash) = known.or_else(|| read(NOBODYS_HASH)) else { return false };
    argon2().verify_password(secret.as_bytes(), &hash).is_ok() && is_known
}

/// Whether this is a hash that secrets can be held against.
pub(crate) fn is_hash(text: &str) -> bool {
    read(text).is_some()
}

fn read(hash: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::new(hash).ok()?;
    // A store that somebody else writes must not make a request take all memory there is.
    let params = Params::try_from(&hash).ok()?;
    let is_bearable = params.m_cost() <= 1 << 20 && params.t_cost() <= 64;
    (hash.algorithm == Algorithm::Argon2id.ident() && hash.hash.is_some() && is_bearable).then_some(hash)
}

/// The hash of a secret, as a PHC string, with a salt of its own.
///
/// # Errors
///
/// [`ErrorKind::Internal`], when the system has no random numbers.
pub fn hash(secret: &str) -> Result<String, Error> {
    let hash = argon2().hash_password(secret.as_bytes());
    let failed = |error| Error::new(ErrorKind::Internal, format!("a secret could not be hashed: {error}"));
    hash.map(|hash: PasswordHash| hash.to_string()).map_err(failed)
}

/// A new secret of 256 random bits.
///
/// # Errors
///
/// [`ErrorKind::Internal`], when the system has no random numbers.
pub fn random(prefix: &str) -> Result<String, Error> {
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random_bytes()?)))
}

pub(super) fn random_bytes() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    let failed = |error| Error::new(ErrorKind::Internal, format!("the system has no random numbers: {error}"));
    getrandom::fill(&mut bytes).map(|()| bytes).map_err(failed)
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;

    #[test]
    fn only_the_right_secret_is_right() {
        let secrets = Secrets::new(&Arc::default());
        let key = ProcessKey::default();
        let ask = |known, given| block_on(secrets.is_right(&key, "c", known, given)).unwrap();
        let hash = |secret| ClientSecret::Argon2id(hash(secret).unwrap());
        let (old, new) = (hash("old"), hash("new"));
        for known in [old.clone(), ClientSecret::Plain("old".to_owned())] {
            for _ in 0..2 {
                assert!(ask(Some(known.clone()), "old"));
            }
            assert!(!ask(Some(known.clone()), "new") && !ask(Some(known.clone()), ""));
        }
        assert!(!ask(Some(new.clone()), "old"), "what was right of an old hash is nothing to the new one");
        assert!(ask(Some(new), "new") && ask(Some(old), "old"));
        assert!(!ask(None, "old") && !ask(Some(ClientSecret::Argon2id("nonsense".to_owned())), "nonsense"));
    }

    #[test]
    fn what_a_hash_is_and_costs() {
        let text = hash("secret").unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert_ne!(text, hash("secret").unwrap(), "each has a salt of its own");
        assert!(is_hash(&text) && is_hash(NOBODYS_HASH));
        for bad in [
            text.replace("argon2id", "argon2d"),
            text.replace("m=19456", "m=4000000000"),
            text.replace("t=2", "t=4000000000"),
            text[..text.rfind('$').unwrap()].to_owned(),
            String::new(),
        ] {
            assert!(!is_hash(&bad), "{bad}");
        }
    }

    #[test]
    fn random_secrets_have_256_bits() {
        let one = random("tho_").unwrap();
        assert_eq!(one.len(), 4 + 43);
        assert_ne!(one, random("tho_").unwrap());
    }
}
