//! [`PythonMemcached`]: single keys on memcached servers, with the flags that a Python client gives to JSON.

use token_oauth2_memcached::{Compared, ErrorKind};
use token_plugin_api::PluginError;

use super::{Found, Life, Values};
use crate::items::{Answer, Memcached, Proof, expiry};

/// Single keys on memcached servers.
///
/// That library's own store for memcached writes them all with its prefix, and reads refresh tokens and what a user got
/// last without: it does not find them again. Here they are.
#[derive(Debug)]
pub(crate) struct PythonMemcached {
    memcached: Memcached,
    /// python-memcached with a JSON pickler has 1, pymemcache's example 2, pylibmc 0: a value with other flags is not
    /// taken for JSON there.
    flags: u32,
}

impl PythonMemcached {
    pub(crate) fn new(memcached: Memcached, flags: u32) -> Self {
        Self { memcached, flags }
    }
}

impl Values for PythonMemcached {
    fn is_key(&self, key: &str) -> bool {
        const MAX_KEY_BYTES: usize = 250;
        key.len() <= MAX_KEY_BYTES && !key.bytes().any(|byte| byte <= b' ' || byte == 0x7f)
    }

    fn get(&self, key: String) -> Answer<'_, Option<Found>> {
        let client = self.memcached.client().clone();
        Box::pin(async move {
            let read = async move {
                match client.get(key.as_bytes()).await {
                    // What no key can be, nobody has written.
                    Err(error) if error.kind() == ErrorKind::InvalidKey => Ok(None),
                    read => read,
                }
            };
            let found = self.memcached.ask(read).await?;
            Ok(found.map(|found| Found { value: found.data, proof: Proof::Version(found.cas.cast_signed()) }))
        })
    }

    fn set(&self, key: String, value: Vec<u8>, life: Life) -> Answer<'_, ()> {
        let (client, flags, expiry) = (self.memcached.client().clone(), self.flags, expiry(life.expires_at, life.now));
        Box::pin(self.memcached.ask(async move { client.set(key.as_bytes(), &value, flags, expiry).await }))
    }

    fn add(&self, key: String, value: Vec<u8>, life: Life) -> Answer<'_, bool> {
        let (client, flags, expiry) = (self.memcached.client().clone(), self.flags, expiry(life.expires_at, life.now));
        Box::pin(self.memcached.ask(async move { client.add(key.as_bytes(), &value, flags, expiry).await }))
    }

    fn swap(&self, key: String, read: Proof, next: Option<(Vec<u8>, Life)>) -> Answer<'_, bool> {
        let (client, flags) = (self.memcached.client().clone(), self.flags);
        Box::pin(async move {
            let Proof::Version(cas) = read else { return Err(PluginError::failed("a value of another backend")) };
            let cas = cas.cast_unsigned();
            let swapped = async move {
                match next {
                    Some((value, Life { expires_at, now })) => {
                        client.compare_and_set(key.as_bytes(), &value, flags, expiry(expires_at, now), cas).await
                    }
                    None => client.delete_if(key.as_bytes(), cas).await,
                }
            };
            Ok(self.memcached.ask(swapped).await? == Compared::Done)
        })
    }

    fn remove(&self, key: String) -> Answer<'_, bool> {
        let client = self.memcached.client().clone();
        Box::pin(self.memcached.ask(async move { client.delete(key.as_bytes()).await }))
    }
}
