//! [`Inside`]: which inline handler or wrapper each thread is in, written where the watchdog can see it.
//!
//! A call writes a mark before and after, to a cache line that is its thread's own: no lock, no clock, nothing shared.
//! Lines are never freed. A thread takes one at its first call and leaves it to the next when it ends, so that there are
//! as many as there ever were such threads at once.

use std::{
    cell::Cell,
    marker::PhantomData,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

/// Stands for one inline handler or wrapper: unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tag(u32);

impl Tag {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// One call: from the upper bits to the lower its tag (32), how deep it is nested in others (4), its number (28).
///
/// Numbers come again after 268 million calls. A look at a thread mistakes one call for another only when exactly so
/// many were made since the last look, of which there are several a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Mark {
    const NONE: Self = Self(0);
    const NUMBER_BITS: u32 = 28;
    const MAX_DEPTH: u64 = 15;

    fn new(tag: Tag, outer: Self, number: u32) -> Self {
        // Calls are hardly ever nested: where they are not, one comparison tells.
        let depth = if outer == Self::NONE { 1 } else { (outer.depth() + 1).min(Self::MAX_DEPTH) };
        let number = u64::from(number) & ((1 << Self::NUMBER_BITS) - 1);
        Self(u64::from(tag.0) << 32 | depth << Self::NUMBER_BITS | number)
    }

    pub(crate) fn tag(self) -> Tag {
        Tag((self.0 >> 32) as u32)
    }

    /// 0: in no call. From 1, and never more than 15, in that many.
    pub(crate) fn depth(self) -> u64 {
        self.0 >> Self::NUMBER_BITS & Self::MAX_DEPTH
    }
}

/// A thread is in a call until this is dropped; then it is where it was before.
pub(crate) struct Inside {
    line: &'static Line,
    outer: u64,
    /// It stays on its thread, so no future can hold it while it waits.
    _not_send: PhantomData<*const ()>,
}

/// Marks this thread as being in a call.
#[inline]
pub(crate) fn enter(tag: Tag) -> Inside {
    let line = LINE.get().unwrap_or_else(take_line);
    let outer = line.mark.load(Ordering::Relaxed);
    let number = line.calls.load(Ordering::Relaxed).wrapping_add(1);
    // Not one atomic addition: only this thread writes here.
    line.calls.store(number, Ordering::Relaxed);
    line.mark.store(Mark::new(tag, Mark(outer), number).0, Ordering::Relaxed);
    Inside { line, outer, _not_send: PhantomData }
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        self.line.mark.store(self.outer, Ordering::Relaxed);
    }
}

/// Where all threads are right now; each line always stands at the same place.
pub(crate) fn marks() -> impl Iterator<Item = Mark> {
    std::iter::successors(Some(&FIRST), |line| line.next.get().copied())
        .map(|line| Mark(line.mark.load(Ordering::Relaxed)))
}

/// As large as what processors fetch at once: two cache lines on many.
#[repr(align(128))]
struct Line {
    mark: AtomicU64,
    calls: AtomicU32,
    is_taken: AtomicBool,
    next: OnceLock<&'static Line>,
}

impl Line {
    const fn new() -> Self {
        Self {
            mark: AtomicU64::new(0),
            calls: AtomicU32::new(0),
            is_taken: AtomicBool::new(false),
            next: OnceLock::new(),
        }
    }
}

static FIRST: Line = Line::new();

/// For calls by what a thread runs when it has given its line back already. Nobody looks here.
static NOWHERE: Line = Line::new();

thread_local! {
    // Without a destructor, which would cost each access a check.
    static LINE: Cell<Option<&'static Line>> = const { Cell::new(None) };
    static HELD: Held = const { Held(Cell::new(None)) };
}

/// Gives the line back when the thread ends.
struct Held(Cell<Option<&'static Line>>);

impl Drop for Held {
    fn drop(&mut self) {
        LINE.set(None);
        if let Some(line) = self.0.get() {
            line.is_taken.store(false, Ordering::Release);
        }
    }
}

#[cold]
fn take_line() -> &'static Line {
    let take = |held: &Held| {
        let is_free =
            |line: &Line| line.is_taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
        let mut line = &FIRST;
        while !is_free(line) {
            line = line.next.get_or_init(|| Box::leak(Box::new(Line::new())));
        }
        held.0.set(Some(line));
        LINE.set(Some(line));
        line
    };
    HELD.try_with(take).unwrap_or(&NOWHERE)
}
