//! [`Database`]: the file: whether it is there, is ours, and has the form that is needed.

use std::{
    fs,
    io::ErrorKind,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig};
use token_plugin_api::{
    PluginError, Result,
    files::{FileId, create_private},
};

use super::Settings;
use crate::migrations::{VERSION, missing};

/// How long whoever may wait does so for other processes.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Tells SQLite files of ours from others.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"tokh");

/// A file, or the place for one.
pub(super) struct Database {
    pub(super) settings: Settings,
    name: String,
    /// Held while the file is created or changed in its form.
    establishing: Mutex<Seen>,
}

/// Whether there was a file once: that there is none is an error from then on.
#[derive(Default)]
struct Seen(bool);

impl Database {
    pub(super) fn new(settings: Settings) -> Self {
        #[cfg(target_os = "linux")]
        super::locks::belong_to_this_copy();
        let name = settings.path.display().to_string();
        Self { settings, name, establishing: Mutex::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn path(&self) -> &Path {
        &self.settings.path
    }

    /// The file as it is now; none: there is none, and never was.
    pub(super) fn present(&self) -> Result<Option<FileId>> {
        let mut seen = self.establishing.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut seen)
    }

    fn look(&self, seen: &mut Seen) -> Result<Option<FileId>> {
        let file = FileId::of(self.path()).map_err(|error| self.wrong(error))?;
        match file {
            Some(file) => {
                seen.0 = true;
                Ok(Some(file))
            }
            None if seen.0 => Err(self.wrong("the file is gone")),
            None if !self.settings.migrate => {
                Err(self.wrong("there is no such file: `token-host migrate` creates it, as `migrate = false` wants"))
            }
            // What is to be mounted there may have the tokens.
            None if !self.has_folder() => Err(self.wrong("its folder does not exist")),
            None => Ok(None),
        }
    }

    fn has_folder(&self) -> bool {
        self.path().parent().is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir())
    }

    /// Creates the file, if need be, and brings it to the form that is needed; with `asked`, also when that is not to be
    /// done by the way. The file, and the version that it had.
    pub(super) fn establish(&self, asked: bool) -> Result<(FileId, u32)> {
        let mut seen = self.establishing.lock().unwrap_or_else(PoisonError::into_inner);
        if !asked || seen.0 {
            self.look(&mut seen)?;
        }
        if !self.has_folder() {
            return Err(self.wrong("its folder does not exist"));
        }
        let from = match FileId::of(self.path()).map_err(|error| self.wrong(error))? {
            Some(_) => self.bring_up(asked)?,
            None => {
                self.create()?;
                0
            }
        };
        seen.0 = true;
        let file = FileId::of(self.path()).map_err(|error| self.wrong(error))?;
        Ok((file.ok_or_else(|| self.wrong("the file is gone"))?, from))
    }

    /// Makes the file, whole: whoever else comes now finds none, or one that is ready.
    fn create(&self) -> Result<()> {
        let failed = |error: std::io::Error| self.wrong(format!("cannot be created: {error}"));
        let mut name = self.path().as_os_str().to_owned();
        name.push(format!(".{:016x}", getrandom::u64().map_err(|error| self.wrong(error))?));
        let new = Self::new(Settings { path: name.into(), ..self.settings.clone() });
        create_private(new.path()).map_err(failed)?;
        let made = new.open_to_write().and_then(|mut connection| new.advance(&mut connection));
        let made = made.and_then(|()| match fs::hard_link(new.path(), self.path()) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
            _ => Ok(()),
        });
        let _ = fs::remove_file(new.path());
        made
    }

    /// Brings a file that is there to the form that is needed; the version that it had.
    fn bring_up(&self, asked: bool) -> Result<u32> {
        if !asked && fs::metadata(self.path()).is_ok_and(|file| file.len() == 0) {
            // Nobody of ours left it like that: it was cut off, or is none of ours.
            return Err(self.wrong("it is empty: `token-host migrate` makes it a new one of tokens"));
        }
        let mut connection = self.open_to_write()?;
        let from = self.version_of(&connection)?;
        if from < VERSION {
            if !asked && !self.settings.migrate {
                return Err(self.wrong(format!(
                    "it has the schema version {from}, expected {VERSION}: `token-host migrate` brings it there"
                )));
            }
            self.advance(&mut connection)?;
        } else {
            // One that was copied by SQLite has another journal.
            self.keep_log(&connection)?;
        }
        Ok(from)
    }

    /// The version that the file has; 0: there is none, or nothing in it.
    pub(super) fn version(&self) -> Result<u32> {
        match FileId::of(self.path()).map_err(|error| self.wrong(error))? {
            None if !self.has_folder() => Err(self.wrong("its folder does not exist")),
            None => Ok(0),
            Some(_) => self.version_of(&self.open(OpenFlags::SQLITE_OPEN_READ_ONLY)?),
        }
    }

    /// Has all connections of all processes write to a log first: then readers and the writer do not wait for each other.
    fn keep_log(&self, connection: &Connection) -> Result<()> {
        let mode: String = connection
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
            .map_err(|error| self.failed(&error))?;
        if mode != "wal" {
            return Err(self.wrong(format!("its journal is `{mode}` and cannot be a write-ahead log here")));
        }
        Ok(())
    }

    fn advance(&self, connection: &mut Connection) -> Result<()> {
        self.keep_log(connection)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(|error| self.failed(&error))?;
        // Another process may have been faster.
        let from = self.version_of(&transaction)?;
        for step in missing(from).map_err(|what| self.wrong(what))? {
            let version = step.version;
            let statements =
                format!("{}; PRAGMA user_version = {version}; PRAGMA application_id = {APPLICATION_ID}", step.sqlite);
            transaction.execute_batch(&statements).map_err(|error| self.failed(&error))?;
        }
        transaction.commit().map_err(|error| self.failed(&error))
    }

    fn version_of(&self, connection: &Connection) -> Result<u32> {
        // In one statement, which sees one state: another process may be creating the tables.
        let state = "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema) \
                     FROM pragma_user_version, pragma_application_id";
        let state = connection.query_row(state, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let (version, application, tables): (u32, i32, i64) = state.map_err(|error| self.failed(&error))?;
        match (version, application) {
            (0, 0) if tables == 0 => Ok(0),
            (version, APPLICATION_ID) => missing(version).map(|_| version).map_err(|what| self.wrong(what)),
            _ => Err(self.wrong("it is another program's file, expected one of tokens")),
        }
    }

    /// A connection that writes, in a file that is there.
    pub(super) fn open_to_write(&self) -> Result<Connection> {
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // What is answered outlives a loss of power; `fullfsync` is what it takes on macOS.
        let set = connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON");
        set.map_err(|error| self.failed(&error))?;
        Ok(connection)
    }

    /// A connection that only reads, in a file that is there. It does not wait.
    pub(super) fn open_to_read(&self) -> Result<Connection> {
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let set = connection.execute_batch("PRAGMA query_only = ON");
        set.and_then(|()| connection.busy_timeout(Duration::ZERO)).map_err(|error| self.failed(&error))?;
        Ok(connection)
    }

    fn open(&self, flags: OpenFlags) -> Result<Connection> {
        let Settings { path, cache_kib, mmap_bytes, .. } = &self.settings;
        let open = || {
            let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(PATIENCE)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            // A plan that is made for a value, as SQLite would otherwise, is made anew for the next.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            connection.execute_batch(&format!("PRAGMA cache_size = -{cache_kib}; PRAGMA mmap_size = {mmap_bytes}"))?;
            Ok(connection)
        };
        open().map_err(|error| self.failed(&error))
    }

    /// An error of SQLite's.
    pub(super) fn failed(&self, error: &rusqlite::Error) -> PluginError {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => self.wrong("it is not a SQLite file"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                self.wrong("another process has kept it locked for too long")
            }
            Some(ErrorCode::ReadOnly) => self.wrong("the file and its folder must be writable"),
            _ => self.wrong(error),
        }
    }

    pub(super) fn wrong(&self, what: impl std::fmt::Display) -> PluginError {
        PluginError::failed(format!("{}: {what}", self.name))
    }
}

/// More than there are.
const STATEMENTS: usize = 64;
