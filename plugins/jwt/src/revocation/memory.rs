//! [`Memory`]: what is revoked, as every verification asks for it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::table::Table;

/// All that is revoked. It takes no lock and allocates nothing to answer.
pub(super) struct Memory {
    pub(super) tokens: Tokens,
    pub(super) cutoffs: Cutoffs,
}

impl Memory {
    /// Nothing is revoked yet.
    ///
    /// # Errors
    ///
    /// As [`Table::new`].
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self {
            tokens: Tokens(Table::new()?),
            cutoffs: Cutoffs { everyone: AtomicU64::new(0), actors: Table::new()? },
        })
    }
}

/// The single tokens that are revoked, by their `jti` alone: whose keys are trusted here is one party, so who issued a
/// token does not matter.
pub(super) struct Tokens(Table);

impl Tokens {
    /// Whether the token with this `jti` is revoked.
    pub(super) fn contains(&self, jti: &str) -> bool {
        self.0.get(jti).is_some()
    }

    /// Adds a token that expires then, in Unix seconds; none: it is never forgotten. Of two times the later one stays.
    pub(super) fn insert(&self, jti: &str, expires_at: Option<u64>) {
        self.0.raise(jti, expires_at.map_or(NEVER, short));
    }

    /// Forgets the tokens that expired before this time, in Unix seconds. Returns how many there were.
    pub(super) fn forget_expired(&self, before: u64) -> usize {
        self.0.forget_below(short(before))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The times before which all tokens are revoked. The latest one counts.
pub(super) struct Cutoffs {
    /// In Unix seconds; 0: there is none.
    everyone: AtomicU64,
    actors: Table,
}

impl Cutoffs {
    /// Whether a token of this actor is revoked that was issued then, in Unix seconds. One that does not say when it was
    /// issued is, as soon as there is a cutoff for it.
    pub(super) fn refuse(&self, actor_id: &str, issued_at: Option<u64>) -> bool {
        let actor = self.actors.get(actor_id).map_or(0, u64::from);
        let cutoff = self.everyone.load(Ordering::Acquire).max(actor);
        cutoff > 0 && issued_at.is_none_or(|issued_at| issued_at < cutoff)
    }

    /// Revokes the tokens of this actor, or of everyone, that were issued before this time, in Unix seconds. Later than
    /// the year 2106 is as good as then.
    pub(super) fn raise(&self, actor_id: Option<&str>, before: u64) {
        match actor_id {
            Some(actor_id) => drop(self.actors.raise(actor_id, before.try_into().unwrap_or(u32::MAX))),
            None => drop(self.everyone.fetch_max(before, Ordering::Release)),
        }
    }

    /// How many actors have one.
    pub(super) fn actors(&self) -> usize {
        self.actors.len()
    }
}

/// The number of a token that is never forgotten.
const NEVER: u32 = u32::MAX;

/// Unix seconds in 32 bits: from 2106 on nothing is forgotten.
fn short(seconds: u64) -> u32 {
    seconds.try_into().unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_forgotten_when_they_have_expired() {
        let tokens = Memory::new().unwrap().tokens;
        assert!(!tokens.contains("a"));
        tokens.insert("a", Some(100));
        tokens.insert("b", Some(200));
        tokens.insert("c", None);
        tokens.insert("d", Some(u64::MAX));
        tokens.insert("e", Some(100));
        tokens.insert("e", Some(300));
        tokens.insert("e", Some(150));
        assert_eq!(tokens.forget_expired(100), 0);
        assert_eq!(tokens.forget_expired(101), 1);
        assert_eq!(["a", "b", "c", "d", "e"].map(|jti| tokens.contains(jti)), [false, true, true, true, true]);
        assert_eq!(tokens.forget_expired(300), 1);
        assert!(tokens.contains("e"));
        assert_eq!(tokens.forget_expired(u64::MAX), 1);
        assert_eq!(tokens.len(), 2);
    }

    #[test]
    fn a_cutoff_refuses_what_is_older_and_what_has_no_date() {
        let cutoffs = Memory::new().unwrap().cutoffs;
        assert!(!cutoffs.refuse("root", None) && !cutoffs.refuse("root", Some(0)));
        cutoffs.raise(Some("root"), 100);
        assert!(cutoffs.refuse("root", Some(99)) && !cutoffs.refuse("root", Some(100)));
        assert!(cutoffs.refuse("root", None));
        assert!(!cutoffs.refuse("anna", Some(99)) && !cutoffs.refuse("anna", None));
        cutoffs.raise(None, 50);
        assert!(cutoffs.refuse("anna", Some(49)) && !cutoffs.refuse("anna", Some(50)) && cutoffs.refuse("anna", None));
        assert!(cutoffs.refuse("root", Some(99)) && !cutoffs.refuse("root", Some(100)));
    }

    #[test]
    fn the_latest_cutoff_counts() {
        let cutoffs = Memory::new().unwrap().cutoffs;
        cutoffs.raise(None, 100);
        cutoffs.raise(None, 50);
        cutoffs.raise(Some("root"), 200);
        cutoffs.raise(Some("root"), 150);
        assert!(cutoffs.refuse("anna", Some(99)) && !cutoffs.refuse("anna", Some(100)));
        assert!(cutoffs.refuse("root", Some(199)) && !cutoffs.refuse("root", Some(200)));
        cutoffs.raise(Some("root"), u64::MAX);
        assert!(cutoffs.refuse("root", Some(u64::from(u32::MAX) - 1)));
    }
}
