//! [`Table`]: a map from texts to numbers that many threads read without waiting for each other, and one seldom writes.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use arc_swap::ArcSwap;
use siphasher::sip128::SipHasher13;

/// Maps texts to `u32`s. It keeps 96 bits of a hash under a random key instead of a text: among a million entries one
/// text in 10^23 is taken for another, and nobody who does not know the key can look for one.
///
/// An entry takes 17 bytes, and the table is between 64 % and 80 % full, so that is 21 to 27 bytes. While a shard grows
/// there is a second copy of it, 1.7 bytes an entry of the whole.
///
/// A reader writes to no memory that another thread uses. Where a text is not in the table, it misses the cache once, in
/// a part of it that takes 1.6 bytes an entry; where it is, twice. An empty table costs one load.
pub(super) struct Table {
    hasher: SipHasher13,
    len: AtomicUsize,
    shards: [ArcSwap<Slots>; SHARDS],
    /// How many slots of each shard are taken. Whoever changes the table holds it.
    taken: Mutex<[usize; SHARDS]>,
}

impl Table {
    /// An empty table.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub(super) fn new() -> Result<Self, String> {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(|error| format!("no random numbers from the system: {error}"))?;
        Ok(Self {
            hasher: SipHasher13::new_with_key(&key),
            len: AtomicUsize::new(0),
            shards: std::array::from_fn(|_| ArcSwap::from_pointee(Slots::with_groups(0))),
            taken: Mutex::new([0; SHARDS]),
        })
    }

    /// The number of this text.
    pub(super) fn get(&self, text: &str) -> Option<u32> {
        if self.len() == 0 {
            return None;
        }
        let key = self.key(text);
        let slots = self.shards[key.shard].load();
        slots.find(key).map(|entry| entry.rest.load(Ordering::Relaxed) as u32)
    }

    /// Sets the number of this text, unless it has the same or a higher one. Returns the one it had.
    pub(super) fn raise(&self, text: &str, number: u32) -> Option<u32> {
        let key = self.key(text);
        let shard = &self.shards[key.shard];
        let mut taken = self.change();
        let mut slots = shard.load_full();
        if let Some(entry) = slots.find(key) {
            let before = entry.rest.load(Ordering::Relaxed) as u32;
            entry.rest.store(key.with(before.max(number)), Ordering::Relaxed);
            return Some(before);
        }
        let taken = &mut taken[key.shard];
        if *taken == slots.limit() {
            slots = Arc::new(slots.grown());
            shard.store(Arc::clone(&slots));
        }
        slots.put(key.head, key.with(number));
        *taken += 1;
        self.len.fetch_add(1, Ordering::Release);
        None
    }

    /// Forgets every text with a number below this one, and gives their memory back. Returns how many there were.
    pub(super) fn forget_below(&self, least: u32) -> usize {
        let mut forgotten = 0;
        for (index, shard) in self.shards.iter().enumerate() {
            // Taken anew for each shard: who has a text to add waits for a sixteenth of the work at most.
            let mut taken = self.change();
            let slots = shard.load_full();
            let stay = || slots.entries().filter(|(_, rest)| *rest as u32 >= least);
            let staying = stay().count();
            if staying < taken[index] {
                shard.store(Arc::new(Slots::of(staying, stay())));
                forgotten += taken[index] - staying;
                self.len.fetch_sub(taken[index] - staying, Ordering::Release);
                taken[index] = staying;
            }
        }
        forgotten
    }

    /// How many texts it has.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// All the memory that it takes, in bytes.
    #[cfg(test)]
    pub(super) fn allocated_bytes(&self) -> usize {
        let slots = |shard: &ArcSwap<Slots>| ARC_BYTES + size_of::<Slots>() + shard.load().tags.len() * GROUP_BYTES;
        size_of::<Self>() + self.shards.iter().map(slots).sum::<usize>()
    }

    /// What is half done under this lock is what a reader could have seen anyway, so a panic spoils nothing.
    fn change(&self) -> MutexGuard<'_, [usize; SHARDS]> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, text: &str) -> Key {
        let hash = self.hasher.hash(text.as_bytes());
        Key { shard: hash.h2 as usize % SHARDS, head: hash.h1, tail: hash.h2 & TAIL }
    }
}

/// A text's hash: where it belongs, and the 96 bits by which it is known.
#[derive(Clone, Copy)]
struct Key {
    shard: usize,
    head: u64,
    /// In the upper 32 bits; the lower ones are 0.
    tail: u64,
}

impl Key {
    fn with(self, number: u32) -> u64 {
        self.tail | u64::from(number)
    }
}

/// An open hash table. What it has is never taken out of it; numbers may change.
struct Slots {
    /// A byte for each slot, of eight slots in a word: 0 for a free one, or some of the bits of the head that is there.
    /// They alone tell of nearly every text that is not here that it is not, and of them much is in the cache.
    tags: Box<[AtomicU64]>,
    entries: Box<[[Entry; GROUP]]>,
}

#[derive(Default)]
#[repr(align(16))]
struct Entry {
    head: AtomicU64,
    /// The key's tail, and the number.
    rest: AtomicU64,
}

impl Slots {
    fn with_groups(groups: usize) -> Self {
        Self {
            tags: (0..groups).map(|_| AtomicU64::default()).collect(),
            entries: (0..groups).map(|_| Default::default()).collect(),
        }
    }

    /// A table of these entries, with room for a quarter more.
    fn of(count: usize, entries: impl Iterator<Item = (u64, u64)>) -> Self {
        let slots = Self::with_groups((count * 5 * 5).div_ceil(GROUP * 4 * 4));
        entries.for_each(|(head, rest)| slots.put(head, rest));
        slots
    }

    fn grown(&self) -> Self {
        let groups = self.tags.len();
        let slots = Self::with_groups((groups + groups / 4).max(groups + 1));
        self.entries().for_each(|(head, rest)| slots.put(head, rest));
        slots
    }

    /// How many slots may be taken, so that most searches end in the line of the cache where they begin.
    fn limit(&self) -> usize {
        self.tags.len() * GROUP * 4 / 5
    }

    fn find(&self, key: Key) -> Option<&Entry> {
        for group in self.groups_from(key.head) {
            let tags = self.tags[group].load(Ordering::Acquire);
            let mut alike = zero_bytes(tags ^ every_byte(tag(key.head)));
            while alike != 0 {
                let entry = &self.entries[group][first_byte(alike)];
                let (head, rest) = (entry.head.load(Ordering::Relaxed), entry.rest.load(Ordering::Relaxed));
                if head == key.head && rest & TAIL == key.tail {
                    return Some(entry);
                }
                alike &= alike - 1;
            }
            if zero_bytes(tags) != 0 {
                return None;
            }
        }
        None
    }

    /// Takes a free slot. The tag comes last: a reader who sees it sees the entry, too.
    fn put(&self, head: u64, rest: u64) {
        for group in self.groups_from(head) {
            let tags = self.tags[group].load(Ordering::Relaxed);
            let free = zero_bytes(tags);
            if free != 0 {
                let slot = first_byte(free);
                let entry = &self.entries[group][slot];
                entry.head.store(head, Ordering::Relaxed);
                entry.rest.store(rest, Ordering::Relaxed);
                return self.tags[group].store(tags | tag(head) << (slot * 8), Ordering::Release);
            }
        }
    }

    /// Every group of slots, first the one where this head belongs.
    fn groups_from(&self, head: u64) -> impl Iterator<Item = usize> {
        let groups = self.tags.len();
        // As good as a remainder, for tables of any size, and without a division.
        let home = ((u128::from(head) * groups as u128) >> 64) as usize;
        (home..groups).chain(0..home)
    }

    fn entries(&self) -> impl Iterator<Item = (u64, u64)> {
        let slots = self.tags.iter().zip(&self.entries).flat_map(|(tags, entries)| {
            let tags = tags.load(Ordering::Acquire).to_le_bytes();
            tags.into_iter().zip(entries)
        });
        let taken = slots.filter(|(tag, _)| *tag != 0);
        taken.map(|(_, entry)| (entry.head.load(Ordering::Relaxed), entry.rest.load(Ordering::Relaxed)))
    }
}

/// Of a head's bits those that do not say where it belongs; never 0.
fn tag(head: u64) -> u64 {
    (head & 0xff).max(1)
}

fn every_byte(byte: u64) -> u64 {
    byte * 0x0101_0101_0101_0101
}

/// The highest bit of every byte that is 0. The first is certain; behind it a byte that is 1 may be among them.
fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(every_byte(0x01)) & !word & every_byte(0x80)
}

fn first_byte(bits: u64) -> usize {
    bits.trailing_zeros() as usize / 8 % GROUP
}

/// Each has its own memory, so that there is never a second copy of much.
const SHARDS: usize = 16;
/// Slots that are looked at together.
const GROUP: usize = 8;
#[cfg(test)]
const GROUP_BYTES: usize = size_of::<u64>() + size_of::<[Entry; GROUP]>();
/// The two counters of an `Arc`.
#[cfg(test)]
const ARC_BYTES: usize = 16;
/// The half of an entry's second word that belongs to the key.
const TAIL: u64 = !0 << 32;

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::AtomicBool,
        thread,
        time::{Duration, Instant},
    };

    use super::*;

    /// Another table of texts for each prefix.
    fn text(prefix: &str, number: u32) -> String {
        format!("{prefix}-{number:08x}-0000-4000-8000-000000000000")
    }

    #[test]
    fn a_number_only_rises() {
        let table = Table::new().unwrap();
        assert_eq!((table.get("a"), table.len()), (None, 0));
        assert_eq!(table.raise("a", 5), None);
        assert_eq!(table.raise("a", 7), Some(5));
        assert_eq!(table.raise("a", 6), Some(7));
        assert_eq!((table.get("a"), table.get("b"), table.len()), (Some(7), None, 1));
    }

    #[test]
    fn texts_may_be_empty_and_long_and_anything() {
        let table = Table::new().unwrap();
        let texts = [String::new(), "\0".to_owned(), "\0\0".to_owned(), "ü".to_owned(), "x".repeat(100_000)];
        for (number, text) in (1..).zip(&texts) {
            assert_eq!(table.raise(text, number), None, "{text:.10}");
        }
        for (number, text) in (1..).zip(&texts) {
            assert_eq!(table.get(text), Some(number));
        }
    }

    #[test]
    fn a_million_texts_are_found_and_no_other() {
        let table = Table::new().unwrap();
        (0..1_000_000).for_each(|number| assert_eq!(table.raise(&text("in", number), number), None));
        assert_eq!(table.len(), 1_000_000);
        (0..1_000_000).for_each(|number| {
            assert_eq!(table.get(&text("in", number)), Some(number));
            assert_eq!(table.get(&text("out", number)), None);
        });
    }

    #[test]
    fn a_text_takes_at_most_28_bytes_whatever_their_number() {
        let table = Table::new().unwrap();
        let mut most = 0.0_f64;
        for number in 0..300_000 {
            table.raise(&text("in", number), 1);
            if number >= 4000 && (number < 20_000 || number % 97 == 0) {
                most = most.max(table.allocated_bytes() as f64 / f64::from(number + 1));
            }
        }
        assert!(most < 28.0, "{most} bytes");
    }

    #[test]
    fn what_is_forgotten_takes_no_memory() {
        let table = Table::new().unwrap();
        let empty = table.allocated_bytes();
        (0..100_000).for_each(|number| assert_eq!(table.raise(&text("in", number), number), None));
        assert_eq!(table.forget_below(0), 0);
        assert_eq!(table.forget_below(90_000), 90_000);
        assert_eq!(table.len(), 10_000);
        for number in 0..100_000 {
            assert_eq!(table.get(&text("in", number)), (number >= 90_000).then_some(number));
        }
        assert!(table.allocated_bytes() < 10_000 * 28, "{}", table.allocated_bytes());
        // What comes back takes its place again.
        (0..20_000).for_each(|number| assert_eq!(table.raise(&text("in", number), number), None));
        (0..20_000).for_each(|number| assert_eq!(table.get(&text("in", number)), Some(number)));
        assert_eq!(table.forget_below(u32::MAX), 30_000);
        assert_eq!((table.len(), table.allocated_bytes()), (0, empty));
    }

    /// Two texts that share a part of their hash are two texts.
    #[test]
    fn all_96_bits_count() {
        let slots = Slots::with_groups(2);
        let keys = [(7, 1), (7, 2), (7 | 1 << 8, 1), (7, 3), (7 | 1 << 9, 1)];
        let keys = keys.map(|(head, tail)| Key { shard: 0, head, tail: tail << 32 });
        keys[..3].iter().zip(1..).for_each(|(key, number)| slots.put(key.head, key.with(number)));
        let number = |key| slots.find(key).map(|entry| entry.rest.load(Ordering::Relaxed) as u32);
        assert_eq!(keys.map(number), [Some(1), Some(2), Some(3), None, None]);
    }

    /// The last group's texts go on in the first, and a full table is searched once.
    #[test]
    fn a_search_goes_around_and_ends() {
        let slots = Slots::with_groups(3);
        let key = |number| Key { shard: 0, head: u64::MAX - number, tail: 0 };
        (0..24).for_each(|number| slots.put(key(number).head, key(number).with(7)));
        (0..24).for_each(|number| assert!(slots.find(key(number)).is_some(), "{number}"));
        assert!(slots.find(key(24)).is_none());
        assert_eq!(slots.entries().count(), 24);
    }

    #[test]
    fn the_first_free_slot_is_a_free_one() {
        let free =
            [0, 0x01, 0x0101_0101_0101_0101, 0x8000_0000_0000_0001, 0x01ff_0001_8001_7f02, 0x0001_0203_0405_0607];
        for (tags, first) in free.into_iter().zip([0, 1, 8, 1, 5, 7]) {
            let zero = zero_bytes(tags);
            assert_eq!(if zero == 0 { 8 } else { first_byte(zero) }, first, "{tags:016x}");
        }
    }

    #[test]
    fn what_was_added_stays_visible_while_the_table_changes() {
        let table = Table::new().unwrap();
        let done = AtomicBool::new(false);
        let added = AtomicUsize::new(0);
        let deadline = Instant::now() + Duration::from_secs(60);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut seed = 1_u32;
                    while !done.load(Ordering::Relaxed) && Instant::now() < deadline {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        let below = added.load(Ordering::Acquire) as u32;
                        if below > 0 {
                            let number = seed % below;
                            assert_eq!(table.get(&text("kept", number)), Some(u32::MAX), "{number} of {below}");
                            assert_eq!(table.get(&text("out", number)), None);
                        }
                    }
                });
            }
            for number in 0..50_000 {
                table.raise(&text("kept", number), u32::MAX);
                added.store(number as usize + 1, Ordering::Release);
                table.raise(&text("passing", number), number);
                if number % 5000 == 0 {
                    table.forget_below(number);
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
