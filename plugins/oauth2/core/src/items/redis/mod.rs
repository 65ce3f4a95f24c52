//! [`Redis`]: items in Redis 6.2 or newer, or a Redis Cluster, for a fleet of hosts.
//!
//! An item is a string, `1795838714 {"v":1,...}`: when it expires, and what is kept. A set is a sorted set, of which the
//! scores say when its members expire. Whatever happens, it happens to one key: so a cluster needs no hash tags.
//!
//! # When something is over
//!
//! What has expired is told by the time in the item and the host's clock, to the second. Redis forgets it by its own
//! clock [`GRACE_SECONDS`] later, counted from when it was written: so it matters little what Redis takes for the time,
//! and a host whose clock is behind the others' finds the same.

mod link;
mod settings;
#[cfg(test)]
mod tests;
mod values;

use redis::Value;
use token_plugin_api::{PluginError, Result};

pub(crate) use self::settings::Settings;
use self::{
    link::{Effect, Link, Program},
    values::number,
};
use super::{Answer, Item, Items, Key, Next, Proof, Stored, is_over};

/// Items in Redis.
pub(crate) struct Redis {
    link: Link,
    prefix: String,
    swap: Program,
    note: Program,
}

/// How long Redis keeps what has expired.
const GRACE_SECONDS: u64 = 10;

/// Replaces a value, or removes it, if it is the one that was read.
const SWAP: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if #ARGV == 1 then redis.call('DEL', KEYS[1])
elseif ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1";

/// Adds a member with a score, takes out those that expired before a time, and has the set expire with its last member.
const NOTE: &str = r"
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
if last == 'inf' then redis.call('PERSIST', KEYS[1])
else redis.call('EXPIRE', KEYS[1], string.format('%d', last - ARGV[3])) end
return 1";

impl Redis {
    /// With these settings. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let link = Link::new(settings)?;
        Ok(Self { link, prefix: settings.prefix.clone(), swap: Program::new(SWAP), note: Program::new(NOTE) })
    }

    fn place(&self, key: Key) -> String {
        format!("{}:{}", self.prefix, key.to_text())
    }

    /// The value of a key, and what it means, unless that has expired.
    async fn live(&self, place: &str, now: u64) -> Result<Option<(Vec<u8>, Stored)>> {
        let Some(bytes) = self.read(place).await? else { return Ok(None) };
        let (expires_at, json) = opened(&bytes)?;
        if is_over(expires_at, now) {
            return Ok(None);
        }
        let stored = Stored::from_json(json)?;
        Ok(Some((bytes, stored)))
    }

    /// Puts an item where there is none, or one that has expired and that Redis has not forgotten.
    async fn add_to(&self, place: &str, value: Vec<u8>, seconds: Option<u64>, now: u64) -> Result<bool> {
        loop {
            if self.write_new(place, &value, seconds).await? {
                return Ok(true);
            }
            let Some(old) = self.read(place).await? else { continue };
            if !is_over(opened(&old)?.0, now) {
                return Ok(false);
            }
            if self.replace(place, &old, &value, seconds).await? {
                return Ok(true);
            }
        }
    }
}

/// What an item is kept as.
fn sealed(stored: &Stored, expires_at: Option<u64>) -> Result<Vec<u8>> {
    let mut bytes = expires_at.map(|expires_at| format!("{expires_at} ").into_bytes()).unwrap_or_default();
    bytes.extend(stored.to_json()?);
    Ok(bytes)
}

/// When an item expires, and its JSON.
fn opened(bytes: &[u8]) -> Result<(Option<u64>, &[u8])> {
    if bytes.first() == Some(&b'{') {
        return Ok((None, bytes));
    }
    let blank = bytes.iter().position(|byte| *byte == b' ');
    let parts = blank.and_then(|blank| Some((std::str::from_utf8(&bytes[..blank]).ok()?, &bytes[blank + 1..])));
    let parts = parts.and_then(|(expires_at, json)| Some((Some(expires_at.parse().ok()?), json)));
    parts.ok_or_else(|| PluginError::failed("an item cannot be read: another program wrote it"))
}

/// For how many seconds Redis keeps something.
fn seconds(expires_at: Option<u64>, now: u64) -> Option<u64> {
    expires_at.map(|expires_at| expires_at.saturating_sub(now).min(LONGEST_SECONDS) + GRACE_SECONDS)
}

/// Three centuries: Redis counts in milliseconds, and takes no more than fit into 63 bits.
const LONGEST_SECONDS: u64 = 10_000_000_000;

impl Items for Redis {
    fn get(&self, key: Key, now: u64) -> Answer<'_, Option<Item>> {
        Box::pin(async move {
            let live = self.live(&self.place(key), now).await?;
            Ok(live.map(|(bytes, stored)| Item { stored: stored.into(), proof: Proof::Bytes(bytes) }))
        })
    }

    fn put(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            let value = sealed(&stored, expires_at)?;
            self.write(&self.place(key), &value, seconds(expires_at, now)).await
        })
    }

    fn add(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, bool> {
        Box::pin(async move {
            let value = sealed(&stored, expires_at)?;
            self.add_to(&self.place(key), value, seconds(expires_at, now), now).await
        })
    }

    fn swap(&self, key: Key, read: Proof, next: Next, now: u64) -> Answer<'_, bool> {
        Box::pin(async move {
            let Proof::Bytes(read) = read else { return Err(PluginError::failed("an item of another backend")) };
            if is_over(opened(&read)?.0, now) {
                return Ok(false);
            }
            match next {
                Next::Is(stored, expires_at) => {
                    let value = sealed(&stored, expires_at)?;
                    self.replace(&self.place(key), &read, &value, seconds(expires_at, now)).await
                }
                Next::Nothing => self.remove_same(&self.place(key), &read).await,
            }
        })
    }

    fn remove(&self, key: Key, now: u64) -> Answer<'_, bool> {
        Box::pin(async move {
            match self.take(&self.place(key)).await? {
                // It is gone, whatever it was.
                Some(bytes) => Ok(opened(&bytes).is_ok_and(|(expires_at, _)| !is_over(expires_at, now))),
                None => Ok(false),
            }
        })
    }

    fn note(&self, set: Key, member: Key, expires_at: Option<u64>, now: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            let latest = now.saturating_add(LONGEST_SECONDS);
            let score = expires_at.map_or_else(|| "+inf".to_owned(), |expires_at| expires_at.min(latest).to_string());
            let member = member.to_text();
            // Not what other hosts, whose clocks are behind, may be asked for.
            let over = now.saturating_sub(GRACE_SECONDS).to_string();
            let arguments = [score.as_bytes(), member.as_bytes(), over.as_bytes()];
            number(self.link.run(&self.note, &self.place(set), arguments).await?)
                .map(drop)
                .ok_or_else(|| self.link.unexpected())
        })
    }

    fn members(&self, set: Key, now: u64) -> Answer<'_, Vec<Key>> {
        Box::pin(async move {
            let mut command = redis::cmd("ZRANGEBYSCORE");
            command.arg(self.place(set)).arg(format!("({now}")).arg("+inf");
            let Value::Array(members) = self.link.ask(command, Effect::Reads).await? else {
                return Err(self.link.unexpected());
            };
            let key = |member| match member {
                Value::BulkString(text) => std::str::from_utf8(&text).ok().and_then(Key::from_text),
                _ => None,
            };
            Ok(members.into_iter().filter_map(key).collect())
        })
    }

    fn forget(&self, set: Key, members: Vec<Key>, _: u64) -> Answer<'_, ()> {
        Box::pin(async move {
            if members.is_empty() {
                return Ok(());
            }
            let mut command = redis::cmd("ZREM");
            command.arg(self.place(set));
            for member in members {
                command.arg(member.to_text());
            }
            self.link.ask(command, Effect::Writes).await.map(drop)
        })
    }

    fn name(&self) -> &str {
        self.link.name()
    }
}
