//! [`Memory`]: items in this process. They end with it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashSet, VecDeque, hash_map::Entry},
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustc_hash::FxHashMap;
use token_plugin_api::{PluginError, Result};

use super::{Answer, Item, Items, Key, Next, Proof, Stored, TokenRecord, is_over};

/// Items in memory: at most so many, none of which is forgotten before it expires.
#[derive(Debug)]
pub(crate) struct Memory {
    /// By a part of the key that the maps do not use, so that threads seldom meet.
    shards: [Mutex<Shard>; SHARDS],
    sets: Mutex<Sets>,
    shared: Mutex<SharedTexts>,
    count: AtomicUsize,
    max_items: usize,
}

const SHARDS: usize = 16;

#[derive(Debug, Default)]
struct Sets {
    by_key: FxHashMap<Key, Members>,
    /// All sets, in the order in which they are looked at: one with each note, so that no set is left that is over.
    to_look_at: VecDeque<Key>,
}

#[derive(Debug)]
struct Members {
    /// When each expires.
    keys: BTreeMap<[u8; Key::BYTES], Option<u64>>,
    /// When the last of them does; none: never.
    until: Option<u64>,
}

impl Sets {
    fn note(&mut self, set: Key, member: Key, expires_at: Option<u64>, now: u64) {
        if let Some(other) = self.to_look_at.pop_front() {
            match self.by_key.get(&other) {
                Some(members) if members.keys.is_empty() || is_over(members.until, now) => {
                    self.by_key.remove(&other);
                }
                Some(_) => self.to_look_at.push_back(other),
                None => {}
            }
        }
        let members = match self.by_key.entry(set) {
            Entry::Occupied(place) => place.into_mut(),
            Entry::Vacant(place) => {
                self.to_look_at.push_back(set);
                place.insert(Members { keys: BTreeMap::new(), until: expires_at })
            }
        };
        // Now and then: to look at all of them each time would take the longer the more there are.
        if members.keys.len().is_power_of_two() {
            members.keys.retain(|_, expires_at| !is_over(*expires_at, now));
        }
        members.until = members.until.zip(expires_at).map(|(until, expires_at)| until.max(expires_at));
        members.keys.insert(member.to_bytes(), expires_at);
    }
}

#[derive(Debug, Default)]
struct Shard {
    items: FxHashMap<Key, Slot>,
    /// When items expire. One that was replaced is here twice: what the map says counts.
    expiries: BinaryHeap<Reverse<(u64, [u8; Key::BYTES])>>,
    /// The number of the latest writing.
    written: i64,
}

#[derive(Debug)]
struct Slot {
    stored: Arc<Stored>,
    expires_at: Option<u64>,
    version: i64,
}

impl Memory {
    pub(crate) fn new(max_items: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            sets: Mutex::default(),
            shared: Mutex::default(),
            count: AtomicUsize::new(0),
            max_items,
        }
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let place = usize::from(key.to_bytes()[Key::BYTES - 1]) % SHARDS;
        self.shards[place].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An item whose texts that many others have too are those of the others.
    fn shared(&self, mut stored: Stored) -> Stored {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut stored {
            Stored::Token(record) => shared.share(record),
            Stored::RefreshToken(record) => shared.share(&mut record.token),
            _ => {}
        }
        stored
    }

    /// Puts an item into its shard.
    ///
    /// # Errors
    ///
    /// When there is no room for a new one.
    fn write(&self, shard: &mut Shard, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Result<()> {
        shard.expire(now, &self.count);
        shard.written += 1;
        let slot = Slot { stored: Arc::new(self.shared(stored)), expires_at, version: shard.written };
        match shard.items.entry(key) {
            Entry::Occupied(mut place) => _ = place.insert(slot),
            Entry::Vacant(place) => {
                if self.count.fetch_add(1, Ordering::Relaxed) >= self.max_items {
                    self.count.fetch_sub(1, Ordering::Relaxed);
                    return Err(PluginError::failed(format!("memory: it is full: {} items", self.max_items)));
                }
                place.insert(slot);
            }
        }
        if let Some(expires_at) = expires_at {
            shard.expiries.push(Reverse((expires_at, key.to_bytes())));
        }
        Ok(())
    }

    fn take(&self, shard: &mut Shard, key: &Key) {
        if shard.items.remove(key).is_some() {
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn found(&self, key: &Key, now: u64) -> Option<Item> {
        let shard = self.shard(key);
        let slot = shard.live(key, now)?;
        Some(Item { stored: Arc::clone(&slot.stored), proof: Proof::Version(slot.version) })
    }

    fn sets(&self) -> MutexGuard<'_, Sets> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Texts that many tokens have: each once.
#[derive(Debug, Default)]
struct SharedTexts {
    texts: HashSet<Arc<str>>,
    scopes: HashSet<Arc<[String]>>,
    /// How many there may be before those that nobody has are dropped.
    most: usize,
}

impl SharedTexts {
    fn share(&mut self, record: &mut TokenRecord) {
        for text in [&mut record.client_id, &mut record.grant_type] {
            share(&mut self.texts, text);
        }
        share(&mut self.scopes, &mut record.scopes);
        if self.texts.len() + self.scopes.len() > self.most {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            self.scopes.retain(|scopes| Arc::strong_count(scopes) > 1);
            self.most = 2 * (self.texts.len() + self.scopes.len()) + LEAST_SHARED;
        }
    }
}

/// So many are kept before it is looked whether anybody has them.
const LEAST_SHARED: usize = 1_000;

fn share<T: ?Sized + Eq + Hash>(known: &mut HashSet<Arc<T>>, new: &mut Arc<T>) {
    match known.get(&**new) {
        Some(known) => *new = Arc::clone(known),
        None => _ = known.insert(Arc::clone(new)),
    }
}

impl Shard {
    fn live(&self, key: &Key, now: u64) -> Option<&Slot> {
        self.items.get(key).filter(|slot| !is_over(slot.expires_at, now))
    }

    /// Drops a few of the items that have expired: more than come in, so that none are left in the end.
    fn expire(&mut self, now: u64, count: &AtomicUsize) {
        for _ in 0..EXPIRED_AT_ONCE {
            match self.expiries.peek() {
                Some(Reverse((expires_at, _))) if is_over(Some(*expires_at), now) => {}
                _ => return,
            }
            let Some(Reverse((_, key))) = self.expiries.pop() else { return };
            let Some(key) = Key::from_bytes(&key) else { continue };
            if self.items.get(&key).is_some_and(|slot| is_over(slot.expires_at, now)) {
                self.items.remove(&key);
                count.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

const EXPIRED_AT_ONCE: usize = 8;

fn ready<'a, T: Send + 'a>(answer: Result<T>) -> Answer<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl Items for Memory {
    fn get_at_once(&self, key: &Key, now: u64) -> Option<Result<Option<Item>>> {
        Some(Ok(self.found(key, now)))
    }

    fn get(&self, key: Key, now: u64) -> Answer<'_, Option<Item>> {
        ready(Ok(self.found(&key, now)))
    }

    fn put(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, ()> {
        ready(self.write(&mut self.shard(&key), key, stored, expires_at, now))
    }

    fn add(&self, key: Key, stored: Stored, expires_at: Option<u64>, now: u64) -> Answer<'_, bool> {
        let mut shard = self.shard(&key);
        if shard.live(&key, now).is_some() {
            return ready(Ok(false));
        }
        ready(self.write(&mut shard, key, stored, expires_at, now).map(|()| true))
    }

    fn swap(&self, key: Key, read: Proof, next: Next, now: u64) -> Answer<'_, bool> {
        let mut shard = self.shard(&key);
        let is_same = shard.live(&key, now).is_some_and(|slot| matches!(read, Proof::Version(v) if v == slot.version));
        if !is_same {
            return ready(Ok(false));
        }
        match next {
            Next::Is(stored, expires_at) => ready(self.write(&mut shard, key, stored, expires_at, now).map(|()| true)),
            Next::Nothing => {
                self.take(&mut shard, &key);
                ready(Ok(true))
            }
        }
    }

    fn remove(&self, key: Key, now: u64) -> Answer<'_, bool> {
        let mut shard = self.shard(&key);
        let is_there = shard.live(&key, now).is_some();
        self.take(&mut shard, &key);
        ready(Ok(is_there))
    }

    fn note(&self, set: Key, member: Key, expires_at: Option<u64>, now: u64) -> Answer<'_, ()> {
        self.sets().note(set, member, expires_at, now);
        ready(Ok(()))
    }

    fn members(&self, set: Key, now: u64) -> Answer<'_, Vec<Key>> {
        let sets = self.sets();
        let members = sets.by_key.get(&set).into_iter().flat_map(|members| &members.keys);
        let live = members.filter(|(_, expires_at)| !is_over(**expires_at, now));
        ready(Ok(live.filter_map(|(member, _)| Key::from_bytes(member)).collect()))
    }

    fn forget(&self, set: Key, members: Vec<Key>, _: u64) -> Answer<'_, ()> {
        // A set that is empty then is left for the next look: one that is made anew would be looked at twice.
        if let Some(known) = self.sets().by_key.get_mut(&set) {
            for member in members {
                known.keys.remove(&member.to_bytes());
            }
        }
        ready(Ok(()))
    }

    fn name(&self) -> &str {
        "memory"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items::{FamilyRecord, Kind};

    fn key(number: u32) -> Key {
        Key::new(Kind::Family, [&number.to_string()])
    }

    fn put(memory: &Memory, number: u32, expires_at: u64, now: u64) -> Result<()> {
        pollster::block_on(memory.put(
            key(number),
            Stored::Family(FamilyRecord::Revoked { members: Vec::new() }),
            Some(expires_at),
            now,
        ))
    }

    fn items_and_sets(memory: &Memory) -> (usize, usize) {
        let items = memory.shards.iter().map(|shard| shard.lock().unwrap().items.len()).sum();
        assert_eq!(items, memory.count.load(Ordering::Relaxed));
        (items, memory.sets().by_key.len())
    }

    #[test]
    fn what_has_expired_makes_room_by_and_by() {
        let memory = Memory::new(10_000);
        for number in 0..2_000 {
            put(&memory, number, 100, 0).unwrap();
            pollster::block_on(memory.note(key(number), key(number), Some(100), 0)).unwrap();
        }
        assert_eq!(items_and_sets(&memory), (2_000, 2_000));
        for number in 2_000..6_000 {
            put(&memory, number, 300, 200).unwrap();
            pollster::block_on(memory.note(key(7_000), key(number), Some(300), 200)).unwrap();
        }
        assert_eq!(items_and_sets(&memory), (4_000, 1));
        assert_eq!(pollster::block_on(memory.members(key(7_000), 299)).unwrap().len(), 4_000);
        assert_eq!(pollster::block_on(memory.members(key(7_000), 300)).unwrap(), []);
    }

    #[test]
    fn nothing_is_taken_in_when_it_is_full() {
        let memory = Memory::new(3);
        (0..3).for_each(|number| put(&memory, number, 100, 0).unwrap());
        assert_eq!(put(&memory, 3, 100, 0).unwrap_err().to_string(), "memory: it is full: 3 items");
        put(&memory, 2, 200, 0).unwrap();
        assert!(pollster::block_on(memory.remove(key(1), 0)).unwrap());
        put(&memory, 3, 100, 0).unwrap();
        assert!(pollster::block_on(memory.get(key(0), 99)).unwrap().is_some(), "none was forgotten");
    }

    #[test]
    fn texts_that_nobody_has_are_dropped() {
        let memory = Memory::new(1_000_000);
        for number in 0..20_000_u64 {
            let record = TokenRecord {
                client_id: number.to_string().into(),
                grant_type: "direct".into(),
                data: serde_json::Map::new(),
                expires_at: None,
                refresh_expires_at: None,
                scopes: [number.to_string()].into(),
                user_id: None,
                family_id: None,
                refresh: None,
            };
            let put = memory.put(key(0), Stored::Token(record.into()), None, 0);
            pollster::block_on(put).unwrap();
        }
        let shared = memory.shared.lock().unwrap();
        assert!(
            shared.texts.len() < 5_000 && shared.scopes.len() < 5_000,
            "{} {}",
            shared.texts.len(),
            shared.scopes.len()
        );
    }
}
