//! [`Cutoffs`]: tells whether what was read from the store a while ago still holds. [`Notice`]: what hosts tell each other
//! of changes.
//!
//! A reading has a place in an order of events, taken before the store is asked. A notice, from whichever host, is an
//! event too, and puts an end to all readings before it: everyone's, an actor's, a generator's. So nothing that was read
//! before a change is used after it, however slow the reader was; the latest of the notices that concern it counts.
//!
//! While a store cannot hear of changes there are no readings that hold.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;

/// What was changed: whose tokens may now be judged differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Anybody's.
    Everyone,
    /// Those of this actor.
    Actor(String),
    /// Those of this generator.
    Generator(String),
}

impl Notice {
    /// What fits into a PostgreSQL notification (8,000 bytes), with room to spare.
    const MAX_BYTES: usize = 7_000;

    /// For the changes of tokens that belong to these actors.
    pub(crate) fn of_actors<'a>(actors: impl IntoIterator<Item = &'a str>) -> Vec<Self> {
        /// With more, everybody is told to look again.
        const MAX_NOTICES: usize = 100;
        let mut notices: Vec<Self> = Vec::new();
        let mut last = None;
        for actor in actors {
            if last != Some(actor) {
                last = Some(actor);
                let notice = Self::Actor(actor.to_owned());
                if !notices.contains(&notice) {
                    notices.push(notice);
                }
            }
            if notices.len() > MAX_NOTICES {
                return vec![Self::Everyone];
            }
        }
        notices
    }

    /// The notice as a text.
    pub(crate) fn to_text(&self) -> String {
        let text = match self {
            Self::Everyone => "everyone".to_owned(),
            Self::Actor(actor) => format!("actor {actor}"),
            Self::Generator(generator) => format!("generator {generator}"),
        };
        if text.len() > Self::MAX_BYTES { "everyone".to_owned() } else { text }
    }

    /// The notice that a text is; one that is not understood may be about anybody.
    pub(crate) fn from_text(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("actor", actor)) => Self::Actor(actor.to_owned()),
            Some(("generator", generator)) => Self::Generator(generator.to_owned()),
            _ => Self::Everyone,
        }
    }
}

/// A place in the order of readings and notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

/// Tells whether what was read still holds.
#[derive(Debug, Default)]
pub(crate) struct Cutoffs {
    /// The place of the latest notice.
    latest: AtomicU64,
    /// Readings must be younger than this.
    everyone: AtomicU64,
    /// And than these. Swapped as a whole: they are read at each use of the cache, and hardly ever change.
    actors: ArcSwap<HashMap<String, u64>>,
    generators: ArcSwap<HashMap<String, u64>>,
    telling: Mutex<()>,
    /// Whether notices are heard.
    hears: AtomicBool,
}

impl Cutoffs {
    /// How many actors, or generators, there are notices of before they are made into one of everyone.
    const MAX_NAMED: usize = 1_000;

    /// The place of a reading that begins now: to be taken before the store is asked.
    pub(crate) fn begin(&self) -> Place {
        Place(self.latest.load(Ordering::SeqCst))
    }

    /// Whether notices are heard, and none came since this place: then what was read holds, whosever it is.
    pub(crate) fn are_unchanged_since(&self, read: Place) -> bool {
        self.hears.load(Ordering::SeqCst) && read.0 >= self.latest.load(Ordering::SeqCst)
    }

    /// Whether what was read at this place still holds for a token of this actor and generator.
    pub(crate) fn hold(&self, read: Place, actor_id: &str, generator_id: &str) -> bool {
        if !self.hears.load(Ordering::SeqCst) || read.0 < self.everyone.load(Ordering::SeqCst) {
            return false;
        }
        let is_later = |named: &ArcSwap<HashMap<String, u64>>, name: &str| {
            let named = named.load();
            named.is_empty() || named.get(name).is_none_or(|noticed| *noticed <= read.0)
        };
        is_later(&self.actors, actor_id) && is_later(&self.generators, generator_id)
    }

    /// Puts an end to the readings that a notice is about.
    pub(crate) fn tell(&self, notice: &Notice) {
        let _one_at_a_time = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let place = self.latest.fetch_add(1, Ordering::SeqCst) + 1;
        let (named, name) = match notice {
            Notice::Everyone => return self.everyone.store(place, Ordering::SeqCst),
            Notice::Actor(actor) => (&self.actors, actor),
            Notice::Generator(generator) => (&self.generators, generator),
        };
        let mut next = HashMap::clone(&named.load());
        if next.len() >= Self::MAX_NAMED {
            next.clear();
            self.everyone.store(place, Ordering::SeqCst);
        }
        next.insert(name.clone(), place);
        named.store(next.into());
    }

    /// Notices are heard from now on: nothing that was read before holds.
    pub(crate) fn found(&self) {
        self.tell(&Notice::Everyone);
        self.hears.store(true, Ordering::SeqCst);
    }

    /// Notices are not heard any more: nothing holds until they are again.
    pub(crate) fn lost(&self) {
        self.hears.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hearing() -> Cutoffs {
        let cutoffs = Cutoffs::default();
        cutoffs.found();
        cutoffs
    }

    #[test]
    fn a_reading_holds_until_there_is_a_notice_that_concerns_it() {
        let cutoffs = hearing();
        let read = cutoffs.begin();
        assert!(cutoffs.hold(read, "root", "g"));
        cutoffs.tell(&Notice::Actor("root".to_owned()));
        assert!(!cutoffs.hold(read, "root", "g") && cutoffs.hold(read, "guest", "g"));
        let later = cutoffs.begin();
        assert!(cutoffs.hold(later, "root", "g"), "what is read after the notice is new");
        cutoffs.tell(&Notice::Generator("g".to_owned()));
        assert!(!cutoffs.hold(later, "root", "g") && cutoffs.hold(later, "root", "other"));
        cutoffs.tell(&Notice::Everyone);
        assert!(!cutoffs.hold(later, "root", "other"), "the latest of all counts");
    }

    #[test]
    fn a_reader_that_was_overtaken_by_a_notice_does_not_hold() {
        let cutoffs = hearing();
        let slow = cutoffs.begin();
        cutoffs.tell(&Notice::Actor("root".to_owned()));
        assert!(!cutoffs.hold(slow, "root", "g"));
    }

    #[test]
    fn nothing_holds_while_notices_are_not_heard() {
        let cutoffs = Cutoffs::default();
        assert!(!cutoffs.hold(cutoffs.begin(), "root", "g"), "not before they are heard first");
        cutoffs.found();
        let read = cutoffs.begin();
        assert!(cutoffs.hold(read, "root", "g"));
        cutoffs.lost();
        assert!(!cutoffs.hold(read, "root", "g"));
        cutoffs.found();
        assert!(!cutoffs.hold(read, "root", "g"), "a notice may have been missed");
        assert!(cutoffs.hold(cutoffs.begin(), "root", "g"));
    }

    #[test]
    fn many_actors_become_everyone() {
        let cutoffs = hearing();
        let read = cutoffs.begin();
        for actor in 0..=Cutoffs::MAX_NAMED {
            cutoffs.tell(&Notice::Actor(actor.to_string()));
        }
        assert!(!cutoffs.hold(read, "0", "g") && !cutoffs.hold(read, "never named", "g"));
        assert!(cutoffs.actors.load().len() <= Cutoffs::MAX_NAMED);
        assert_eq!(Notice::of_actors(["b", "b", "a"]), [Notice::Actor("b".into()), Notice::Actor("a".into())]);
        let many: Vec<String> = (0..200).map(|actor| actor.to_string()).collect();
        assert_eq!(Notice::of_actors(many.iter().map(String::as_str)), [Notice::Everyone]);
        assert_eq!(Notice::of_actors([]), []);
    }

    #[test]
    fn notices_cross_as_texts() {
        for notice in [Notice::Everyone, Notice::Actor("a b".to_owned()), Notice::Generator(String::new())] {
            assert_eq!(Notice::from_text(&notice.to_text()), notice);
        }
        assert_eq!(Notice::from_text("of a later version"), Notice::Everyone);
        assert_eq!(Notice::from_text(&Notice::Actor("x".repeat(8_000)).to_text()), Notice::Everyone);
    }
}
