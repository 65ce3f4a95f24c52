//! [`Following`]: a thread that hears what any process changed, for those who keep what they read.

use std::{
    sync::{
        Arc, Weak,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use rusqlite::Connection;
use token_plugin_api::{PluginError, Result, files::FileId};

use super::{file::Database, readers::Readers};
use crate::cutoffs::{Cutoffs, Notice};

/// How often the file is looked at. SQLite tells nobody of changes; what is asked each time is whether there was one.
const LOOK: Duration = Duration::from_millis(20);

/// The thread, which ends when this is dropped.
pub(super) struct Following {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Following {
    pub(super) fn start(
        database: &Arc<Database>,
        readers: &Arc<ArcSwapOption<Readers>>,
        cutoffs: Arc<Cutoffs>,
    ) -> Result<Self> {
        let (stop, stopped) = sync_channel::<()>(0);
        let (database, readers) = (Arc::downgrade(database), Arc::clone(readers));
        let follow = move || {
            let (mut reader, mut is_absent): (Option<Reader>, bool) = (None, false);
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK) {
                let Some(database) = Weak::upgrade(&database) else { break };
                let looked = match reader.take() {
                    Some(reader) => reader.look(&database, &readers, &cutoffs),
                    None => Reader::open(&database, &readers, &cutoffs, is_absent),
                };
                match looked {
                    Ok(looked) => {
                        // Where there is nothing, nothing is changed; when there is, it is heard anew.
                        if looked.is_none() && !is_absent {
                            cutoffs.found();
                        }
                        is_absent = looked.is_none();
                        reader = looked;
                    }
                    Err(error) => {
                        is_absent = false;
                        tracing::warn!("changes by other processes are not followed for the moment: {error}");
                        cutoffs.lost();
                    }
                }
            }
            cutoffs.lost();
        };
        let thread = std::thread::Builder::new().name("token-database-news".to_owned()).spawn(follow);
        Ok(Self { stop: Some(stop), thread: Some(thread.map_err(PluginError::failed)?) })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Reader {
    file: FileId,
    connection: Connection,
    /// SQLite's number for what others wrote; none: it was not looked at yet.
    data_version: Option<i64>,
    /// The last notice that was told.
    seq: i64,
}

impl Reader {
    /// None: there is no file yet, and nothing to be told. Of a file that was not there, all that is in it is news.
    fn open(
        database: &Database,
        readers: &ArcSwapOption<Readers>,
        cutoffs: &Cutoffs,
        is_new: bool,
    ) -> Result<Option<Self>> {
        if database.present()?.is_none() {
            return Ok(None);
        }
        let (file, _) = database.establish(false)?;
        let connection = database.open_to_read()?;
        if is_new {
            return Self { file, connection, data_version: None, seq: 0 }.look(database, readers, cutoffs);
        }
        let read = || Ok((Some(data_version(&connection)?), last(&connection)?));
        let (data_version, seq) = read().map_err(|error| database.failed(&error))?;
        // They may not have seen yet that theirs is another file: what is read from now on holds.
        readers.store(None);
        cutoffs.found();
        Ok(Some(Self { file, connection, data_version, seq }))
    }

    /// Tells what is new, in the file that is there now.
    fn look(
        mut self,
        database: &Database,
        readers: &ArcSwapOption<Readers>,
        cutoffs: &Cutoffs,
    ) -> Result<Option<Self>> {
        if database.present()? != Some(self.file) {
            cutoffs.lost();
            return Self::open(database, readers, cutoffs, false);
        }
        self.tell(cutoffs).map_err(|error| database.failed(&error))?;
        Ok(Some(self))
    }

    fn tell(&mut self, cutoffs: &Cutoffs) -> rusqlite::Result<()> {
        let data_version = Some(data_version(&self.connection)?);
        if data_version == self.data_version {
            return Ok(());
        }
        let mut statement =
            self.connection.prepare_cached("SELECT seq, what FROM notices WHERE seq > ?1 ORDER BY seq")?;
        let mut rows = statement.query([self.seq])?;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            // What is between was deleted before it was told.
            if seq > self.seq + 1 {
                cutoffs.tell(&Notice::Everyone);
            }
            cutoffs.tell(&Notice::from_text(row.get_ref(1)?.as_str()?));
            self.seq = seq;
        }
        self.data_version = data_version;
        Ok(())
    }
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

fn last(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT COALESCE(max(seq), 0) FROM notices", [], |row| row.get(0))
}
