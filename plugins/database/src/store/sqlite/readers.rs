//! [`Readers`]: the connections that answer questions.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, available_parallelism},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use rusqlite::ErrorCode;
use token_plugin_api::{Result, files::FileId};

use super::{
    file::{Database, PATIENCE},
    prepared::Prepared,
};
use crate::{digest::Digest, store::Known};

/// Connections to one file. Each is opened when it is needed first.
pub(super) struct Readers {
    file: FileId,
    opened: Instant,
    /// When it was last seen that the file is still this one, in milliseconds after `opened`.
    seen: AtomicU64,
    slots: Box<[Mutex<Option<Prepared>>]>,
}

/// How long it takes at most to find out that the file was replaced.
const LONGEST_UNNOTICED: Duration = Duration::from_millis(100);

impl Readers {
    /// The readers of the file that is there now; none: there is none yet.
    pub(super) fn of(current: &ArcSwapOption<Self>, database: &Database) -> Result<Option<Arc<Self>>> {
        let Some(file) = database.present()? else { return Ok(None) };
        if let Some(readers) = current.load_full().filter(|readers| readers.file == file) {
            readers.seen.store(readers.elapsed_ms(), Ordering::Relaxed);
            return Ok(Some(readers));
        }
        let (file, _) = database.establish(false)?;
        let slots = (0..available_parallelism().map_or(4, |cores| cores.get() * 2)).map(|_| Mutex::default()).collect();
        let readers = Arc::new(Self { file, opened: Instant::now(), seen: AtomicU64::new(0), slots });
        current.store(Some(Arc::clone(&readers)));
        Ok(Some(readers))
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether the file is still the one that is read, as far as that was looked at in the last moments.
    pub(super) fn is_current(&self, database: &Database) -> bool {
        let (now, seen) = (self.elapsed_ms(), self.seen.load(Ordering::Relaxed));
        if Duration::from_millis(now.saturating_sub(seen)) < LONGEST_UNNOTICED {
            return true;
        }
        let is_current = FileId::of(database.path()).is_ok_and(|file| file == Some(self.file));
        if is_current {
            self.seen.store(now, Ordering::Relaxed);
        }
        is_current
    }

    /// Asks without waiting; none: a connection has to be opened first, or the file is locked.
    pub(super) fn look_up_at_once(&self, digest: &Digest) -> Option<rusqlite::Result<Option<Known>>> {
        match self.free_slot()?.as_mut()?.look_up(digest) {
            Err(error) if is_busy(&error) => None,
            answer => Some(answer),
        }
    }

    /// Asks, and waits for others to give the file free.
    pub(super) fn ask_patiently<T>(
        &self,
        database: &Database,
        question: impl Fn(&mut Prepared) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let asked = {
                let mut slot = self.slot();
                match slot.take() {
                    Some(prepared) => question(slot.insert(prepared)),
                    None => {
                        Prepared::new(database.open_to_read()?).and_then(|prepared| question(slot.insert(prepared)))
                    }
                }
            };
            match asked {
                Err(error) if is_busy(&error) && Instant::now() < deadline => thread::sleep(PAUSE),
                asked => return asked.map_err(|error| database.failed(&error)),
            }
        }
    }

    /// A slot that nobody uses; else this thread's own, when it is free.
    fn slot(&self) -> MutexGuard<'_, Option<Prepared>> {
        let own = || self.slots[Self::first() % self.slots.len()].lock().unwrap_or_else(PoisonError::into_inner);
        self.free_slot().unwrap_or_else(own)
    }

    /// Where this thread begins to look.
    fn first() -> usize {
        thread_local! {
            static FIRST: Cell<Option<usize>> = const { Cell::new(None) };
        }
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        FIRST.get().unwrap_or_else(|| {
            let first = NEXT.fetch_add(1, Ordering::Relaxed);
            FIRST.set(Some(first));
            first
        })
    }

    /// A slot that nobody uses.
    fn free_slot(&self) -> Option<MutexGuard<'_, Option<Prepared>>> {
        let first = Self::first();
        let count = self.slots.len();
        // One that is open already is better than one that is free and is not.
        for is_wanted in [Option::is_some as fn(&Option<Prepared>) -> bool, Option::is_none] {
            for place in first..first + count {
                match self.slots[place % count].try_lock() {
                    Ok(slot) if is_wanted(&slot) => return Some(slot),
                    Err(TryLockError::Poisoned(slot)) => {
                        // Whoever panicked may have left a statement open.
                        let mut slot = slot.into_inner();
                        *slot = None;
                        return Some(slot);
                    }
                    Ok(_) | Err(TryLockError::WouldBlock) => {}
                }
            }
        }
        None
    }
}

/// Between two tries while others have the file locked.
const PAUSE: Duration = Duration::from_millis(5);

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
