//! [`LogIndex`]: the head of the write-ahead log's index, in memory that all connections to a file share. It tells whether
//! anything was written, without a lock and without asking the system.
//!
//! Its form is part of SQLite's file format ("WAL-Mode File Format", §2.1): twelve words of a header, which a commit
//! replaces as a whole and with a new count and checksum; the same again; then how much of the log is in the database.
//! SQLite's own readers compare the very same words to find out whether their pages are still good.

#![allow(unsafe_code)]

use std::{
    ffi::c_void,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, Ordering, fence},
};

use rusqlite::{Connection, ffi};

/// The head of the index, for as long as the connection that it was taken from is open.
pub(super) struct LogIndex(NonNull<[AtomicU32; WORDS]>);

// SAFETY: it is memory that many processes read and write, and here it is only read, by atomic loads.
unsafe impl Send for LogIndex {}

/// What the index says: equal to another only if nothing was written in between, nor brought from the log to the database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    header: [u32; HEADER_WORDS],
    /// `nBackfill`.
    in_database: u32,
}

const HEADER_WORDS: usize = 12;
/// Two headers, and the word behind them.
const WORDS: usize = 2 * HEADER_WORDS + 1;
/// `iVersion`, of all files so far.
const VERSION: u32 = 3_007_000;
/// Where `mxFrame` stands.
const FRAMES: usize = 4;
/// How much of the index is mapped at once, in bytes.
const REGION_BYTES: i32 = 32 * 1024;

impl LogIndex {
    /// The index that a connection uses, which has read something before; none: it has no log.
    pub(super) fn of(connection: &Connection) -> Option<Self> {
        let mut file = ptr::null_mut::<ffi::sqlite3_file>();
        // SAFETY: the handle is open as long as the connection, which is borrowed, and nothing is done with it but this.
        let handle = unsafe { connection.handle() };
        let place = ptr::from_mut(&mut file).cast::<c_void>();
        // SAFETY: an open handle, the name of a database that each has, and a place for the pointer that this asks for.
        let done =
            unsafe { ffi::sqlite3_file_control(handle, c"main".as_ptr(), ffi::SQLITE_FCNTL_FILE_POINTER, place) };
        if done != ffi::SQLITE_OK || file.is_null() {
            return None;
        }
        // SAFETY: not null, and SQLite's own open file.
        let methods = unsafe { (*file).pMethods };
        // SAFETY: null, or good for as long as the file is open.
        let methods = unsafe { methods.as_ref() }.filter(|methods| methods.iVersion >= 2)?;
        let map = methods.xShmMap?;
        let mut region = ptr::null_mut::<c_void>();
        // SAFETY: the method belongs to the file. Nothing is to be made longer (the `0`), and the region is the first one,
        // which SQLite has mapped for this connection already and keeps until it is closed.
        let mapped = unsafe { map(file, 0, REGION_BYTES, 0, ptr::from_mut(&mut region).cast()) };
        if mapped != ffi::SQLITE_OK {
            return None;
        }
        // What is mapped begins at a page of memory, so the words are aligned.
        NonNull::new(region.cast()).map(Self)
    }

    /// What it says now; none: somebody is writing it, or nobody has yet.
    pub(super) fn state(&self) -> Option<State> {
        let words = self.words();
        let read = |from: usize| std::array::from_fn(|word| words[from + word].load(Ordering::Relaxed));
        let header: [u32; HEADER_WORDS] = read(0);
        fence(Ordering::Acquire);
        let copy: [u32; HEADER_WORDS] = read(HEADER_WORDS);
        let state = State { header, in_database: words[WORDS - 1].load(Ordering::Relaxed) };
        (header == copy && header[0] == VERSION).then_some(state)
    }

    /// Whether it says this still. What is read after that was not overtaken before.
    pub(super) fn is(&self, state: &State) -> bool {
        let words = self.words();
        // The first header is the one that a commit writes last.
        let is_same = (0..HEADER_WORDS).all(|word| words[word].load(Ordering::Relaxed) == state.header[word])
            && words[WORDS - 1].load(Ordering::Relaxed) == state.in_database;
        fence(Ordering::Acquire);
        is_same
    }

    fn words(&self) -> &[AtomicU32; WORDS] {
        // SAFETY: the region is larger than this and stays mapped while the connection is open, which whoever has this
        // also has; other threads and processes write to it whole words at a time.
        unsafe { self.0.as_ref() }
    }
}

impl State {
    /// Whether somebody who goes on reading what the file is now is in nobody's way: the log is far from being brought to
    /// the database, which would have to stop at the reader, or that is done, and the log may begin anew.
    pub(super) fn may_be_held(&self) -> bool {
        /// SQLite brings the log to the database from 1,000 frames on.
        const MANY_FRAMES: u32 = 800;
        let frames = self.header[FRAMES];
        frames < MANY_FRAMES || frames == self.in_database
    }
}
