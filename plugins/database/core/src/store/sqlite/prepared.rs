//! [`Prepared`]: a connection with the lookup on it, parsed once, and its read transaction kept while nothing is written.
//!
//! To find a statement in a cache takes a good part of what it takes to run it; to begin and end a transaction takes more
//! than that: two locks that all readers share, and that the system has to be asked for. So a transaction stays open from
//! one lookup to the next, as long as the index of the log says that it sees what a new one would see. A lookup so never
//! answers from before a commit that was over when it began.

#![allow(unsafe_code)]

use rusqlite::{Connection, OptionalExtension, Row, Statement};

use super::{
    LOOK_UP,
    log_index::{LogIndex, State},
    rows::known,
};
use crate::{digest::Digest, store::Known};

/// A connection, and the lookups on it.
pub(super) struct Prepared {
    // First, since they have to be dropped before the connection.
    look_up: Statement<'static>,
    /// None: it was not asked for yet.
    item: Option<Statement<'static>>,
    kept: Kept,
    connection: Box<Connection>,
}

/// An item as it is kept.
#[derive(Debug)]
pub(crate) struct ItemRow {
    pub(crate) value: Vec<u8>,
    pub(crate) version: i64,
    pub(crate) expires_at: Option<i64>,
}

/// A read transaction that is kept, or what is to be known for one.
#[derive(Default)]
struct Kept {
    /// None: the connection has read nothing yet, or has no log.
    index: Option<LogIndex>,
    /// What the index said at the last lookup: where much is written, a transaction is not worth keeping.
    seen: Option<State>,
    /// What the transaction that is open sees.
    open: Option<State>,
    is_used: bool,
}

// SAFETY: a statement is not `Send` since it borrows a connection, which two threads must not use at once. Here it has its
// connection with it, neither is ever handed out without borrowing the whole, and the whole is not `Sync`.
unsafe impl Send for Prepared {}

impl Prepared {
    pub(super) fn new(connection: Connection) -> rusqlite::Result<Self> {
        let connection = Box::new(connection);
        let look_up = Self::prepare(&connection, LOOK_UP.as_str())?;
        Ok(Self { look_up, item: None, kept: Kept::default(), connection })
    }

    #[expect(clippy::borrowed_box, reason = "that it lies in a box is what the statement relies on")]
    fn prepare(connection: &Box<Connection>, text: &str) -> rusqlite::Result<Statement<'static>> {
        let statement = connection.prepare(text)?;
        // SAFETY: the connection lies in a box that is not moved out of, and is dropped after the statement: it lives as
        // long as the statement does. As `'static` the statement is seen in this module only.
        Ok(unsafe { std::mem::transmute::<Statement<'_>, Statement<'static>>(statement) })
    }

    /// The connection, for other questions: it sees what the file is now.
    pub(super) fn connection(&mut self) -> rusqlite::Result<&Connection> {
        self.let_go()?;
        Ok(&self.connection)
    }

    pub(super) fn look_up(&mut self, digest: &Digest) -> rusqlite::Result<Option<Known>> {
        self.look(|asked| asked.look_up.query_row([digest.as_bytes()], known).optional())
    }

    pub(super) fn item(&mut self, key: &[u8]) -> rusqlite::Result<Option<ItemRow>> {
        const TEXT: &str = "SELECT value, version, expires_at FROM items WHERE key = ?1";
        self.look(|asked| {
            let statement = match &mut asked.item {
                Some(statement) => statement,
                none => none.insert(Self::prepare(&asked.connection, TEXT)?),
            };
            let read =
                |row: &Row<'_>| Ok(ItemRow { value: row.get(0)?, version: row.get(1)?, expires_at: row.get(2)? });
            statement.query_row([key], read).optional()
        })
    }

    /// Asks in the transaction that is kept, if it sees what a new one would; else in one that may be kept.
    fn look<T>(&mut self, question: impl FnOnce(&mut Self) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        if !self.kept.is_current() {
            self.let_go()?;
            self.begin()?;
        }
        let found = question(self);
        match found {
            Ok(_) => self.keep()?,
            // What failed is what is told; the next lookup tries to end it again.
            Err(_) => _ = self.let_go(),
        }
        found
    }

    /// Whether a transaction is kept that may be in the way of others.
    pub(super) fn keeps_a_transaction(&self) -> bool {
        self.kept.open.is_some()
    }

    /// Ends the transaction that is kept, unless it was used since the last time this was called.
    pub(super) fn let_go_if_unused(&mut self) -> rusqlite::Result<()> {
        if std::mem::take(&mut self.kept.is_used) { Ok(()) } else { self.let_go() }
    }

    fn let_go(&mut self) -> rusqlite::Result<()> {
        self.kept.open = None;
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.prepare_cached("ROLLBACK")?.execute([]).map(drop)
    }

    /// Begins a transaction, if it is one that might be kept: what it sees is decided by the next lookup.
    fn begin(&mut self) -> rusqlite::Result<()> {
        let state = self.kept.index.as_ref().and_then(LogIndex::state);
        if state.is_some_and(|state| state.may_be_held()) && state == self.kept.seen {
            self.connection.prepare_cached("BEGIN")?.execute([])?;
        }
        self.kept.seen = state;
        Ok(())
    }

    /// Keeps the transaction, if there is one and it is known what it sees: what the index said before its first lookup, if
    /// it says so still after it.
    fn keep(&mut self) -> rusqlite::Result<()> {
        let Kept { index, seen, open, is_used } = &mut self.kept;
        *is_used = true;
        if open.is_some() {
            return Ok(());
        }
        if self.connection.is_autocommit() {
            if index.is_none() {
                *index = LogIndex::of(&self.connection);
            }
            return Ok(());
        }
        *open = seen.filter(|seen| index.as_ref().is_some_and(|index| index.is(seen)));
        if open.is_none() { self.let_go() } else { Ok(()) }
    }
}

impl Kept {
    /// Whether the transaction that is open sees what a new one would.
    fn is_current(&self) -> bool {
        matches!((&self.open, &self.index), (Some(open), Some(index)) if index.is(open))
    }
}
