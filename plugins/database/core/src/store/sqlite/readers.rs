//! [`Readers`]: the connections that answer questions.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
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

/// Connections to one file. Each is opened when it is needed first.
pub(super) struct Readers {
    file: FileId,
    opened: Instant,
    /// When it was last seen that the file is still this one, in milliseconds after `opened`.
    seen: AtomicU64,
    slots: Box<[Mutex<Option<Prepared>>]>,
    /// Whether the thread runs that ends transactions which nobody uses; it stops when this is dropped.
    is_tidied: AtomicBool,
    tidying: Mutex<Option<SyncSender<()>>>,
}

/// A transaction that is kept is ended when it was not used for as long as this, up to twice: until then what was written
/// since it began cannot be brought from the log to the database.
const LONGEST_UNUSED: Duration = Duration::from_millis(100);

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
        let readers = Arc::new(Self {
            file,
            opened: Instant::now(),
            seen: AtomicU64::new(0),
            slots,
            is_tidied: AtomicBool::new(false),
            tidying: Mutex::default(),
        });
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
    pub(super) fn ask_at_once<T>(
        self: &Arc<Self>,
        question: impl FnOnce(&mut Prepared) -> rusqlite::Result<T>,
    ) -> Option<rusqlite::Result<T>> {
        let mut slot = self.free_slot()?;
        let prepared = slot.as_mut()?;
        let answer = question(prepared);
        if prepared.keeps_a_transaction() {
            self.start_tidying();
        }
        match answer {
            Err(error) if is_busy(&error) => None,
            answer => Some(answer),
        }
    }

    /// Asks, and waits for others to give the file free.
    pub(super) fn ask_patiently<T>(
        self: &Arc<Self>,
        database: &Database,
        question: impl Fn(&mut Prepared) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (asked, keeps_a_transaction) = {
                let mut slot = self.slot();
                let asked = match slot.take() {
                    Some(prepared) => question(slot.insert(prepared)),
                    None => {
                        Prepared::new(database.open_to_read()?).and_then(|prepared| question(slot.insert(prepared)))
                    }
                };
                (asked, slot.as_ref().is_some_and(Prepared::keeps_a_transaction))
            };
            if keeps_a_transaction {
                self.start_tidying();
            }
            match asked {
                Err(error) if is_busy(&error) && Instant::now() < deadline => thread::sleep(PAUSE),
                asked => return asked.map_err(|error| database.failed(&error)),
            }
        }
    }

    /// Starts the thread that ends transactions which nobody uses, unless it runs. It ends when there are none left.
    #[inline]
    fn start_tidying(self: &Arc<Self>) {
        if !self.is_tidied.load(Ordering::Relaxed) {
            self.begin_tidying();
        }
    }

    #[cold]
    fn begin_tidying(self: &Arc<Self>) {
        let mut tidying = self.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_tidied.swap(true, Ordering::SeqCst) {
            return;
        }
        let (stop, stopped) = sync_channel(0);
        let readers = Arc::downgrade(self);
        let thread = thread::Builder::new().name("token-database-tidier".to_owned());
        match thread.spawn(move || tidy(&readers, &stopped)) {
            Ok(_) => *tidying = Some(stop),
            // The next lookup tries again.
            Err(_) => self.is_tidied.store(false, Ordering::SeqCst),
        }
    }

    /// Ends the transactions that were not used since this was done last; whether there are any left.
    fn end_unused(&self) -> bool {
        let mut are_left = false;
        for slot in &self.slots {
            let mut slot = match slot.try_lock() {
                Ok(slot) => slot,
                // Whoever panicked may have left a statement open.
                Err(TryLockError::Poisoned(slot)) => {
                    *slot.into_inner() = None;
                    continue;
                }
                // Whoever has it uses it.
                Err(TryLockError::WouldBlock) => {
                    are_left = true;
                    continue;
                }
            };
            let Some(prepared) = slot.as_mut() else { continue };
            if prepared.let_go_if_unused().is_err() {
                *slot = None;
                continue;
            }
            are_left |= prepared.keeps_a_transaction();
        }
        are_left
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

/// Ends transactions that nobody uses, until there are none, or no readers.
fn tidy(readers: &Weak<Readers>, stopped: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LONGEST_UNUSED) {
        let Some(readers) = readers.upgrade() else { return };
        if readers.end_unused() {
            continue;
        }
        readers.is_tidied.store(false, Ordering::SeqCst);
        // A lookup that began one in the meantime has seen this thread still running.
        let is_needed = readers.end_unused() && !readers.is_tidied.swap(true, Ordering::SeqCst);
        if !is_needed {
            return;
        }
    }
}

/// Between two tries while others have the file locked.
const PAUSE: Duration = Duration::from_millis(5);

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}
