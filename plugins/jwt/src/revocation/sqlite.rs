//! [`Sqlite`]: the file in which revocations are kept.
//!
//! Nothing is created before the first revocation. A file that cannot be read is an error, never an empty list.
//!
//! The file is opened, used and closed under a [`Gate`] alone. Its journal is one that is rolled back: a write-ahead log
//! would be locked, and its index shared in memory, past the gate for as long as it is open.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params,
};

use token_plugin_api::files::{FileId, create_private};

use super::{
    gate::{Gate, beside},
    store::{Cutoff, Revocation, RevokedToken, Store},
};

/// A file of revocations. Any number of processes may have it open.
pub(super) struct Sqlite {
    path: PathBuf,
    gate: Gate,
    /// Where SQLite writes what it may have to undo.
    journal: PathBuf,
    /// Where it wrote first in files of earlier versions.
    write_ahead_log: PathBuf,
    /// Answers questions and looks for news; it does not write.
    reader: Mutex<Reader>,
    /// There since the first revocation of this process.
    writer: Mutex<Option<(FileId, Connection)>>,
}

#[derive(Default)]
struct Reader {
    /// Whether there was a file once: that there is none is an error from then on.
    seen: bool,
    following: Option<Following>,
}

/// A file that is read, and how far.
struct Following {
    file: FileId,
    connection: Connection,
    /// SQLite's number for the file's state at the last look; none: it was not looked at to the end yet.
    data_version: Option<i64>,
    /// The last rows that were told.
    token: i64,
    cutoff: i64,
}

impl Sqlite {
    /// The file at this path, whether it is there or not.
    ///
    /// # Errors
    ///
    /// When it can never be there: the folder is none.
    pub(super) fn new(path: PathBuf) -> Result<Self, String> {
        if path.parent().is_some_and(|folder| !folder.is_dir()) {
            return Err(format!("{}: it has no folder to be in, expected one that exists", path.display()));
        }
        // Of a link, what belongs to the file is beside the file.
        let file = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        Ok(Self {
            gate: Gate::of(&file),
            journal: beside(&file, "-journal"),
            write_ahead_log: beside(&file, "-wal"),
            path,
            reader: Mutex::default(),
            writer: Mutex::default(),
        })
    }

    /// Asks the file; none: there is none yet, or nothing in it.
    fn ask<T>(&self, question: impl FnOnce(&mut Following) -> rusqlite::Result<T>) -> Result<Option<T>, String> {
        let mut reader = lock(&self.reader);
        let Some(file) = FileId::of(&self.path).map_err(|error| self.failed(error))? else {
            return if reader.seen { Err(self.failed("the file is gone")) } else { Ok(None) };
        };
        reader.seen = true;
        // Where this cannot be, nobody like us writes.
        let _ = self.gate.create();
        let settled = reader.following.as_ref().is_some_and(|following| following.file == file) && !self.is_unsettled();
        let _pass = if settled { self.gate.share(PATIENCE)? } else { self.gate.take(PATIENCE)? };
        // While it is open, no other file can have its id.
        let following = match reader.following.take().filter(|following| following.file == file) {
            Some(following) => following,
            None => Following::open(&self.path, file).map_err(|error| self.broken(&error))?,
        };
        let following = reader.following.insert(following);
        if !self.has_tables(&following.connection)? {
            return Ok(None);
        }
        let settled = settled || leave_write_ahead_log(&following.connection);
        let answer = question(following).map(Some).map_err(|error| self.broken(&error));
        if !settled {
            reader.following = None;
        }
        answer
    }

    /// Changes the file, which is created if need be. What `change` did is on the disk when this returns.
    fn write<T>(
        &self,
        patience: Duration,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, String> {
        let mut writer = lock(&self.writer);
        self.gate.create()?;
        let _pass = self.gate.take(patience)?;
        create_private(&self.path).map_err(|error| self.failed(format!("cannot create the file: {error}")))?;
        let file = FileId::of(&self.path).map_err(|error| self.failed(error))?;
        let file = file.ok_or_else(|| self.failed("the file is gone"))?;
        let (_, connection) = match writer.take().filter(|(open, _)| *open == file) {
            Some(open) => writer.insert(open),
            None => writer.insert((file, self.open_to_write()?)),
        };
        connection.busy_timeout(patience).map_err(|error| self.broken(&error))?;
        // Before anything is written: another program's file is left as it is.
        self.has_tables(connection)?;
        let settled = leave_write_ahead_log(connection);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(|error| self.broken(&error))?;
        if !self.has_tables(&transaction)? {
            transaction.execute_batch(SCHEMA).map_err(|error| self.broken(&error))?;
        }
        let done = change(&transaction).map_err(|error| self.broken(&error))?;
        transaction.commit().map_err(|error| self.broken(&error))?;
        if !settled {
            *writer = None;
        }
        Ok(done)
    }

    /// Whether a journal or a log was left, by a process that died or an earlier version. Shared access is not enough
    /// then: all who ask would want to put it right at once.
    fn is_unsettled(&self) -> bool {
        fs::metadata(&self.journal).is_ok_and(|journal| journal.len() > 0) || self.write_ahead_log.exists()
    }

    fn open_to_write(&self) -> Result<Connection, String> {
        let open = || {
            let connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE | FLAGS)?;
            connection.busy_timeout(PATIENCE)?;
            // Survives a loss of power, with any journal; `fullfsync` is what it takes on macOS.
            connection.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA fullfsync = ON")?;
            Ok(connection)
        };
        open().map_err(|error| self.broken(&error))
    }

    /// Whether the tables are there, as this version of the program has them. If not, nothing else is.
    fn has_tables(&self, connection: &Connection) -> Result<bool, String> {
        // In one statement, which sees one state: another process may be creating the tables.
        let state = "SELECT user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version";
        let state = connection.query_row(state, [], |row| Ok((row.get(0)?, row.get(1)?)));
        let (version, tables): (i64, i64) = state.map_err(|error| self.broken(&error))?;
        match version {
            0 if tables == 0 => Ok(false),
            version if version == SCHEMA_VERSION => Ok(true),
            SCHEMA_VERSION.. => Err(self.failed(format!(
                "it has the schema version {version}, expected {SCHEMA_VERSION}: a newer version of this program wrote it"
            ))),
            _ => Err(self.failed("it is another program's file, expected one of revocations")),
        }
    }

    fn broken(&self, error: &rusqlite::Error) -> String {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => self.failed("it is not a SQLite file"),
            Some(ErrorCode::ReadOnly) => {
                self.failed(format!("{error}: the file and its folder must be writable, for SQLite even to read it"))
            }
            _ => self.failed(error),
        }
    }

    fn failed(&self, error: impl std::fmt::Display) -> String {
        format!("{}: {error}", self.path.display())
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        let following = lock(&self.reader).following.take();
        let writer = lock(&self.writer).take();
        if following.is_some() || writer.is_some() {
            // It is closed in any case.
            let _pass = self.gate.take(PATIENCE);
            drop((following, writer));
        }
    }
}

impl Store for Sqlite {
    fn revoke_token(&self, token: &RevokedToken) -> Result<bool, String> {
        self.write(PATIENCE, |transaction| {
            let known = transaction.query_row(&select("WHERE jti = ?1"), [&token.jti], revoked_token).optional()?;
            let row = match &known {
                None => token.clone(),
                Some(known) if !is_later(token.expires_at, known.expires_at) => return Ok(false),
                Some(known) => RevokedToken { expires_at: token.expires_at, ..known.clone() },
            };
            // A new row for a new expiry, too: by its number others see that there is something new.
            transaction.execute("DELETE FROM revoked_tokens WHERE jti = ?1", [&row.jti])?;
            transaction.execute(
                "INSERT INTO revoked_tokens (jti, actor_id, expires_at, revoked_at, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![row.jti, row.actor_id, row.expires_at.map(signed), signed(row.revoked_at), row.reason],
            )?;
            Ok(known.is_none())
        })
    }

    fn revoke_before(&self, cutoff: &Cutoff) -> Result<bool, String> {
        self.write(PATIENCE, |transaction| {
            let known = "SELECT before FROM cutoffs WHERE actor_id IS ?1";
            let known = transaction.query_row(known, [&cutoff.actor_id], |row| unsigned(row, "before")).optional()?;
            if known.is_some_and(|known| known >= cutoff.before) {
                return Ok(false);
            }
            transaction.execute("DELETE FROM cutoffs WHERE actor_id IS ?1", [&cutoff.actor_id])?;
            transaction.execute(
                "INSERT INTO cutoffs (actor_id, before, set_at, reason) VALUES (?1, ?2, ?3, ?4)",
                params![cutoff.actor_id, signed(cutoff.before), signed(cutoff.set_at), cutoff.reason],
            )?;
            Ok(true)
        })
    }

    fn token(&self, jti: &str) -> Result<Option<RevokedToken>, String> {
        let token = |file: &mut Following| {
            file.connection.query_row(&select("WHERE jti = ?1"), [jti], revoked_token).optional()
        };
        Ok(self.ask(token)?.flatten())
    }

    fn tokens(&self, after: Option<i64>, limit: u32) -> Result<Vec<RevokedToken>, String> {
        let tokens = self.ask(|file| {
            let mut page = file.connection.prepare(&select("WHERE seq > ?1 ORDER BY seq LIMIT ?2"))?;
            page.query_map(params![after.unwrap_or(i64::MIN), limit], revoked_token)?.collect()
        });
        Ok(tokens?.unwrap_or_default())
    }

    #[cfg(test)]
    fn cutoffs(&self) -> Result<Vec<Cutoff>, String> {
        let cutoffs = self.ask(|file| {
            // SQLite sorts NULL first.
            let all = "SELECT actor_id, before, set_at, reason FROM cutoffs ORDER BY actor_id";
            file.connection.prepare(all)?.query_map([], cutoff)?.collect()
        });
        Ok(cutoffs?.unwrap_or_default())
    }

    fn news(&self, tell: &mut dyn FnMut(Revocation<'_>)) -> Result<(), String> {
        self.ask(|file| file.news(tell)).map(drop)
    }

    fn forget_expired(&self, before: u64, limit: u32) -> Result<usize, String> {
        let some = "DELETE FROM revoked_tokens WHERE seq IN \
            (SELECT seq FROM revoked_tokens WHERE expires_at < :before LIMIT :limit)";
        let parameters = named_params! { ":before": signed(before), ":limit": limit };
        match self.ask(|_| Ok(()))? {
            Some(()) => self.write(LITTLE_PATIENCE, |transaction| transaction.execute(some, parameters)),
            None => Ok(0),
        }
    }
}

impl Following {
    fn open(path: &Path, file: FileId) -> rusqlite::Result<Self> {
        // Writable where it can be, to undo what a process has half written that died.
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | FLAGS)?;
        connection.busy_timeout(PATIENCE / 5)?;
        connection.execute_batch("PRAGMA query_only = ON")?;
        Ok(Self { file, connection, data_version: None, token: 0, cutoff: 0 })
    }

    /// See [`Store::news`]. Rows come to light in the order of their numbers: SQLite lets one write at a time.
    fn news(&mut self, tell: &mut dyn FnMut(Revocation<'_>)) -> rusqlite::Result<()> {
        // First, so that what is written meanwhile is a change at the next look.
        let version = number(&self.connection, "PRAGMA data_version")?;
        if self.data_version == Some(version) {
            return Ok(());
        }
        // Numbers never fall, unless an older copy was put into this file.
        let last =
            |table| number(&self.connection, &format!("SELECT max(seq) FROM sqlite_sequence WHERE name = '{table}'"));
        if last("revoked_tokens")? < self.token || last("cutoffs")? < self.cutoff {
            (self.token, self.cutoff) = (0, 0);
        }
        let cutoffs = "SELECT seq, actor_id, before FROM cutoffs WHERE seq > ?1 ORDER BY seq";
        let mut cutoffs = self.connection.prepare(cutoffs)?;
        let mut rows = cutoffs.query([self.cutoff])?;
        while let Some(row) = rows.next()? {
            let actor_id = row.get_ref("actor_id")?.as_str_or_null()?;
            tell(Revocation::Before { actor_id, before: unsigned(row, "before")? });
            self.cutoff = row.get("seq")?;
        }
        let tokens = "SELECT seq, jti, expires_at FROM revoked_tokens WHERE seq > ?1 ORDER BY seq";
        let mut tokens = self.connection.prepare(tokens)?;
        let mut rows = tokens.query([self.token])?;
        while let Some(row) = rows.next()? {
            let expires_at = row.get::<_, Option<i64>>(2)?.map(from_signed);
            tell(Revocation::Token { jti: row.get_ref(1)?.as_str()?, expires_at });
            self.token = row.get(0)?;
        }
        self.data_version = Some(version);
        Ok(())
    }
}

/// Takes a file out of the mode that earlier versions used. Whether it is: not while one of them has it open, and until
/// then it must be closed after each use, or we would keep each other from it.
fn leave_write_ahead_log(connection: &Connection) -> bool {
    let mode = connection.query_row("PRAGMA journal_mode = TRUNCATE", [], |row| row.get::<_, String>(0));
    mode.is_ok_and(|mode| mode == "truncate")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic leaves a connection, or none; both will do. An unfinished transaction was rolled back.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn select(which: &str) -> String {
    format!("SELECT seq, jti, actor_id, expires_at, revoked_at, reason FROM revoked_tokens {which}")
}

fn revoked_token(row: &Row<'_>) -> rusqlite::Result<RevokedToken> {
    Ok(RevokedToken {
        seq: row.get("seq")?,
        jti: row.get("jti")?,
        actor_id: row.get("actor_id")?,
        expires_at: row.get::<_, Option<i64>>("expires_at")?.map(from_signed),
        revoked_at: unsigned(row, "revoked_at")?,
        reason: row.get("reason")?,
    })
}

#[cfg(test)]
fn cutoff(row: &Row<'_>) -> rusqlite::Result<Cutoff> {
    Ok(Cutoff {
        actor_id: row.get("actor_id")?,
        before: unsigned(row, "before")?,
        set_at: unsigned(row, "set_at")?,
        reason: row.get("reason")?,
    })
}

fn number(connection: &Connection, query: &str) -> rusqlite::Result<i64> {
    connection.query_row(query, [], |row| Ok(row.get::<_, Option<i64>>(0)?.unwrap_or(0)))
}

fn unsigned(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get(column).map(from_signed)
}

/// Seconds before 1970 are as good as 1970.
fn from_signed(seconds: i64) -> u64 {
    seconds.try_into().unwrap_or(0)
}

fn signed(seconds: u64) -> i64 {
    seconds.try_into().unwrap_or(i64::MAX)
}

/// Whether a token with the first expiry must be remembered for longer than one with the second.
fn is_later(expires_at: Option<u64>, than: Option<u64>) -> bool {
    than.is_some_and(|than| expires_at.is_none_or(|expires_at| expires_at > than))
}

const SCHEMA_VERSION: i64 = 1;

/// `AUTOINCREMENT`: the number of a deleted row never comes back, so that whoever has read up to it misses nothing.
const SCHEMA: &str = "
    CREATE TABLE revoked_tokens (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        jti TEXT NOT NULL UNIQUE,
        actor_id TEXT,
        expires_at INTEGER,
        revoked_at INTEGER NOT NULL,
        reason TEXT NOT NULL
    ) STRICT;
    CREATE INDEX revoked_tokens_expires_at ON revoked_tokens (expires_at) WHERE expires_at IS NOT NULL;
    CREATE TABLE cutoffs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        actor_id TEXT, -- NULL: everyone
        before INTEGER NOT NULL,
        set_at INTEGER NOT NULL,
        reason TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX cutoffs_actor_id ON cutoffs (actor_id);
    CREATE UNIQUE INDEX cutoffs_everyone ON cutoffs (actor_id IS NULL) WHERE actor_id IS NULL;
    PRAGMA user_version = 1;
";

/// A connection is behind a lock of ours, and needs none of its own. No file is created: we do that.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX;

/// How long a revocation waits for other processes that write.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long what can be done later waits for them.
const LITTLE_PATIENCE: Duration = Duration::from_millis(250);
