//! [`Memcached`]: items on memcached servers, which forget what they have no room for.
//!
//! A set is a list of keys, in several parts so that none becomes larger than an item may be, each of them changed by
//! comparing and setting. A server that has forgotten a part knows of fewer tokens than a user has: to revoke all of a
//! user's or a client's tokens is as good as that here, and no better.

use std::{
    future::Future,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use token_oauth2_memcached as client;
use token_plugin_api::{PluginError, Result, runtime};

use super::{Answer, Item, Items, Key, Next, Proof, Stored, is_over};
use crate::config::{Distribution, MemcachedConfig};

/// Items on memcached servers.
#[derive(Debug)]
pub(crate) struct Memcached {
    client: client::Memcached,
    prefix: String,
    name: String,
}

/// Parts of a set. A part is read and written whole, so it should be short; as many keys as fit into an item, some 25,000
/// in each, are more than anybody has.
const PARTS: u16 = 256;

/// How often a part is tried again that others were faster with.
const TRIES: u32 = 1_000;

impl Memcached {
    /// These servers, as in a URL. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// When these are no servers, or a setting makes no sense.
    pub(crate) fn new(servers: &str, prefix: &str, config: &MemcachedConfig) -> Result<Self> {
        const MAX_PREFIX_BYTES: usize = 64;
        let wrong = |what: String| PluginError::invalid_argument(what);
        let is_prefix = prefix.bytes().all(|byte| byte.is_ascii_graphic());
        if prefix.is_empty() || prefix.len() > MAX_PREFIX_BYTES || !is_prefix {
            return Err(wrong(format!("`key_prefix`: expected 1 to {MAX_PREFIX_BYTES} visible ASCII characters")));
        }
        if config.timeout_ms == 0 {
            return Err(wrong("`memcached.timeout_ms`: expected at least 1".to_owned()));
        }
        let parsed: client::Servers = servers.parse().map_err(|error| wrong(format!("`url`: {error}")))?;
        let credentials = match (&config.user, &config.password) {
            (None, None) => None,
            (Some(user), Some(password)) => {
                let credentials = client::Credentials::new(user.clone(), password.expose().to_owned());
                Some(credentials.map_err(|error| wrong(format!("`memcached`: {error}")))?)
            }
            _ => return Err(wrong("`memcached`: expected `user` and `password`, or neither".to_owned())),
        };
        let settings = client::Settings {
            distribution: match config.distribution {
                Distribution::Ketama => client::Distribution::Ketama,
                Distribution::KetamaMd5 => client::Distribution::KetamaMd5,
                Distribution::KetamaWeighted => client::Distribution::KetamaWeighted,
            },
            request_timeout: Duration::from_millis(config.timeout_ms),
            credentials,
            ..client::Settings::default()
        };
        let name = format!("memcached://{servers}");
        Ok(Self { client: client::Memcached::new(parsed, settings), prefix: prefix.to_owned(), name })
    }

    pub(crate) fn client(&self) -> &client::Memcached {
        &self.client
    }

    fn key(&self, key: &Key) -> String {
        format!("{}:{}", self.prefix, key.to_text())
    }

    fn part_of(&self, set: &Key, member: &Key) -> String {
        self.part(set, u16::from(member.to_bytes()[Key::BYTES - 1]) % PARTS)
    }

    fn part(&self, set: &Key, part: u16) -> String {
        format!("{}:{part}", self.key(set))
    }

    /// Asks on the plugin's runtime, where the client's connections are.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl Future<Output = Result<T, client::Error>> + Send + 'static,
    ) -> Result<T> {
        runtime::entered(ask).await?.map_err(|error| {
            // The cause names neither keys nor values.
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            PluginError::failed(format!("{}: {error}{cause}", self.name))
        })
    }

    async fn read(&self, key: String) -> Result<Option<client::Value>> {
        let client = self.client.clone();
        self.ask(async move { client.get(key.as_bytes()).await }).await
    }

    /// Changes a part of a set; nothing is written where there is nothing to change.
    async fn change(&self, part: String, now: u64, change: impl Fn(&mut Members) -> bool) -> Result<()> {
        for _ in 0..TRIES {
            let read = self.read(part.clone()).await?;
            let mut members = Members::from_bytes(read.as_ref().map_or(&[], |read| &read.data));
            if !change(&mut members) {
                return Ok(());
            }
            let (client, key, cas) = (self.client.clone(), part.clone(), read.map(|read| read.cas));
            let (data, expiry) = (members.to_bytes(), expiry(members.expires_at(), now));
            let done = self
                .ask(async move {
                    match cas {
                        None => client.add(key.as_bytes(), &data, 0, expiry).await,
                        Some(cas) => {
                            let compared = match data.is_empty() {
                                true => client.delete_if(key.as_bytes(), cas).await?,
                                false => client.compare_and_set(key.as_bytes(), &data, 0, expiry, cas).await?,
                            };
                            Ok(compared == client::Compared::Done)
                        }
                    }
                })
                .await?;
            if done {
                return Ok(());
            }
        }
        Err(PluginError::failed(format!("{}: others were faster with a set each time", self.name)))
    }
}

/// When the server is to forget an item: what is left of its life by the host's clock, by the server's. (They may differ;
/// whether something has expired is judged by the host's, from what is kept.)
pub(crate) fn expiry(expires_at: Option<u64>, now: u64) -> client::Expiry {
    let Some(expires_at) = expires_at else { return client::Expiry::Never };
    let system = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    client::Expiry::At(system.saturating_add(expires_at.saturating_sub(now)))
}

/// A part of a set: keys, and when each expires.
struct Members(Vec<(Key, Option<u64>)>);

impl Members {
    const NEVER: u64 = u64::MAX;
    const ENTRY_BYTES: usize = Key::BYTES + 8;

    /// What is no entry is passed over: a set is a hint to what may be there.
    fn from_bytes(bytes: &[u8]) -> Self {
        let entry = |entry: &[u8]| {
            let (key, expires_at) = entry.split_at_checked(Key::BYTES)?;
            let expires_at = u64::from_be_bytes(expires_at.try_into().ok()?);
            Some((Key::from_bytes(key)?, (expires_at != Self::NEVER).then_some(expires_at)))
        };
        Self(bytes.chunks(Self::ENTRY_BYTES).filter_map(entry).collect())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let entry = |(key, expires_at): &(Key, Option<u64>)| {
            key.to_bytes().into_iter().chain(expires_at.unwrap_or(Self::NEVER).to_be_bytes())
        };
        self.0.iter().flat_map(entry).collect()
    }

    /// When the last of them expires; `None`: never.
    fn expires_at(&self) -> Option<u64> {
        self.0.iter().map(|(_, expires_at)| *expires_at).reduce(|one, other| Some(one?.max(other?))).flatten()
    }
}

impl Items for Memcached {
    fn get(&self, key: Key, _: u64) -> Answer<'_, Option<Item>> {
        Box::pin(async move {
            let Some(client::Value { data, cas, .. }) = self.read(self.key(&key)).await? else { return Ok(None) };
            let proof = Proof::Version(cas.cast_signed());
            Ok(Some(Item { stored: Stored::from_json(&data)?.into(), proof }))
        })
    }

    fn put(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, ()> {
        let (client, key) = (self.client.clone(), self.key(&key));
        Box::pin(async move {
            let data = stored.to_json()?;
            self.ask(async move { client.set(key.as_bytes(), &data, 0, expiry(expires_at, now)).await }).await
        })
    }

    fn add(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, bool> {
        let (client, key) = (self.client.clone(), self.key(&key));
        Box::pin(async move {
            let data = stored.to_json()?;
            self.ask(async move { client.add(key.as_bytes(), &data, 0, expiry(expires_at, now)).await }).await
        })
    }

    fn swap(&self, key: Key, read: Proof, next: Next, now: u64) -> Answer<'_, bool> {
        let (client, key) = (self.client.clone(), self.key(&key));
        Box::pin(async move {
            let Proof::Version(cas) = read else { return Err(PluginError::failed("an item of another backend")) };
            let cas = cas.cast_unsigned();
            let next = match next {
                Next::Is(stored, expires_at) => Some((stored.to_json()?, expiry(expires_at, now))),
                Next::Nothing => None,
            };
            let compared = self.ask(async move {
                match next {
                    Some((data, expiry)) => client.compare_and_set(key.as_bytes(), &data, 0, expiry, cas).await,
                    None => client.delete_if(key.as_bytes(), cas).await,
                }
            });
            Ok(compared.await? == client::Compared::Done)
        })
    }

    fn remove(&self, key: Key, _: u64) -> Answer<'_, bool> {
        let (client, key) = (self.client.clone(), self.key(&key));
        Box::pin(self.ask(async move { client.delete(key.as_bytes()).await }))
    }

    fn note(&self, set: Key, member: Key, expires_at: Option<u64>, now: u64) -> Answer<'_, ()> {
        Box::pin(self.change(self.part_of(&set, &member), now, move |members| {
            members.0.retain(|(key, expires_at)| *key != member && !is_over(*expires_at, now));
            members.0.push((member, expires_at));
            true
        }))
    }

    fn members(&self, set: Key, now: u64) -> Answer<'_, Vec<Key>> {
        Box::pin(async move {
            let mut live = Vec::new();
            for part in 0..PARTS {
                let Some(read) = self.read(self.part(&set, part)).await? else { continue };
                let members = Members::from_bytes(&read.data).0.into_iter();
                live.extend(members.filter(|(_, expires_at)| !is_over(*expires_at, now)).map(|(key, _)| key));
            }
            Ok(live)
        })
    }

    fn forget(&self, set: Key, members: Vec<Key>, now: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            for member in members {
                self.change(self.part_of(&set, &member), now, |known| {
                    let before = known.0.len();
                    known.0.retain(|(key, _)| *key != member);
                    known.0.len() < before
                })
                .await?;
            }
            Ok(())
        })
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::Kind;

    #[test]
    fn members_come_back_from_bytes() {
        let key = |text| Key::new(Kind::Token, [text]);
        let members = Members(vec![(key("a"), Some(5)), (key("b"), None)]);
        let mut bytes = members.to_bytes();
        assert_eq!((Members::from_bytes(&bytes).0, members.expires_at()), (members.0.clone(), None));
        bytes.truncate(bytes.len() - 1);
        assert_eq!(Members::from_bytes(&bytes).0, members.0[..1], "what was cut off is passed over");
        assert_eq!(Members::from_bytes(&bytes).expires_at(), Some(5));
        assert_eq!(Members::from_bytes(&[]).0, []);
    }
}
