//! [`Keys`]: all keys that a handler knows: its own, and those of a key set that comes from elsewhere.

use std::sync::Arc;

use super::{
    Key, KeySet,
    source::{Source, Unavailable},
};
use crate::algorithm::Algorithm;

/// The keys of a handler.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Those in the settings. The first that can sign does.
    own: Vec<Key>,
    signing: Option<usize>,
    source: Option<Arc<Source<KeySet>>>,
}

impl Keys {
    pub(crate) fn new(own: Vec<Key>, source: Option<Arc<Source<KeySet>>>) -> Self {
        let signing = own.iter().position(Key::can_sign);
        Self { own, signing, source }
    }

    /// The key that signs.
    pub(crate) fn signing(&self) -> Option<&Key> {
        self.signing.map(|index| &self.own[index])
    }

    /// The key set, as it is now.
    pub(crate) fn set(&self) -> Option<Arc<KeySet>> {
        self.source.as_ref()?.current()
    }

    /// Whether there is a set that may bring more keys than are known now.
    pub(crate) fn may_have_more(&self) -> bool {
        self.source.is_some()
    }

    /// Waits for the key set to be looked up again, unless that happened a moment ago.
    ///
    /// # Errors
    ///
    /// When it could never be had so far.
    pub(crate) async fn refresh(&self) -> Result<(), Unavailable> {
        match &self.source {
            Some(source) => source.refreshed().await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Whether a key has this name, whatever its algorithm.
    pub(crate) fn knows_kid(&self, set: Option<&KeySet>, kid: &str) -> bool {
        self.own.iter().any(|key| key.kid() == Some(kid)) || set.is_some_and(|set| set.knows_kid(kid))
    }

    /// Whether there is a key for a token that names this algorithm, and this key if it names one.
    pub(crate) fn has(&self, set: Option<&KeySet>, algorithm: Algorithm, kid: Option<&str>) -> bool {
        self.own_fitting(algorithm, kid).next().is_some()
            || set.is_some_and(|set| set.find(algorithm, kid).next().is_some())
    }

    fn own_fitting(&self, algorithm: Algorithm, kid: Option<&str>) -> impl Iterator<Item = &Key> {
        self.own.iter().filter(move |key| key.algorithm().verifies(algorithm) && (kid.is_none() || key.kid() == kid))
    }

    /// The keys that such a token may be signed with.
    ///
    /// A token that names none may be signed with any key of the algorithm in the settings, which are few; and with those
    /// of the set, if they are few, too: each try costs as much as a verification, and sets may be large.
    pub(crate) fn fitting<'k>(
        &'k self,
        set: Option<&'k KeySet>,
        algorithm: Algorithm,
        kid: Option<&'k str>,
    ) -> impl Iterator<Item = &'k Key> {
        let of_set = set.filter(|set| kid.is_some() || set.find(algorithm, None).nth(MAX_TRIES).is_none());
        self.own_fitting(algorithm, kid).chain(of_set.into_iter().flat_map(move |set| set.find(algorithm, kid)))
    }
}

/// Keys of a set that a token is tried with which names none: an issuer that rotates has two or three.
const MAX_TRIES: usize = 4;
