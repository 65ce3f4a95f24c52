//! [`Writer`]: the thread that writes. What is waiting for it goes into one transaction.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use token_plugin_api::{PluginError, Result, files::FileId};
use tokio::sync::oneshot;

use super::file::Database;

/// Something to be written, in a transaction with others.
pub(super) trait Job: Send {
    /// Whether anybody waits for it still.
    fn is_wanted(&self) -> bool;

    /// Does it. An error, also as a panic, undoes what this job did, and nothing else.
    fn run(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()>;

    /// Tells whoever waits how it went: well, if both the job and the transaction did.
    fn answer(self: Box<Self>, failed: Option<PluginError>);
}

/// A job, and its answer to come.
pub(super) fn job<T: Send + 'static>(
    change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>) {
    let (sender, answer) = oneshot::channel();
    (Box::new(Asked { change: Some(change), done: None, sender }), answer)
}

struct Asked<F, T> {
    change: Option<F>,
    done: Option<T>,
    sender: oneshot::Sender<Result<T>>,
}

impl<F, T> Job for Asked<F, T>
where
    F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn is_wanted(&self) -> bool {
        !self.sender.is_closed()
    }

    fn run(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if let Some(change) = self.change.take() {
            self.done = Some(change(transaction)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, failed: Option<PluginError>) {
        let answer = match (failed, self.done) {
            (None, Some(done)) => Ok(done),
            (Some(error), _) => Err(error),
            (None, None) => Err(PluginError::failed("it was not done")),
        };
        // Who asked may have gone away in the meantime; then nobody wants the answer.
        let _ = self.sender.send(answer);
    }
}

/// The thread's own.
pub(super) struct Writer {
    database: Arc<Database>,
    waiting: mpsc::Receiver<Box<dyn Job>>,
    open: Option<(FileId, Connection)>,
}

/// How many jobs go into one transaction at the most: a failure of its end is a failure of all of them.
const JOBS_AT_ONCE: usize = 256;

impl Writer {
    pub(super) fn new(database: Arc<Database>, waiting: mpsc::Receiver<Box<dyn Job>>) -> Self {
        Self { database, waiting, open: None }
    }

    /// Writes until there is nobody left who could ask.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.waiting.recv() {
            let more = self.waiting.try_iter().take(JOBS_AT_ONCE - 1);
            let jobs = std::iter::once(first).chain(more).filter(|job| job.is_wanted()).collect();
            self.write(jobs);
        }
    }

    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let (open, database) = (&mut self.open, &self.database);
        // The lock that the rest of the process might wait for is never poisoned: panics are caught job by job.
        let written = connection(open, database).and_then(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate);
            let transaction = transaction.map_err(|error| database.failed(&error))?;
            let failures = jobs.iter_mut().map(|job| one(&transaction, &mut **job, database));
            let failures = failures.collect::<Result<Vec<Option<PluginError>>>>()?;
            transaction.commit().map_err(|error| database.failed(&error))?;
            Ok(failures)
        });
        match written {
            Ok(failures) => jobs.into_iter().zip(failures).for_each(|(job, failed)| job.answer(failed)),
            Err(error) => {
                // Whatever state it is in: the next transaction begins with a new one.
                self.open = None;
                jobs.into_iter().for_each(|job| job.answer(Some(error.clone())));
            }
        }
    }
}

/// The connection to the file that is there now.
fn connection<'o>(open: &'o mut Option<(FileId, Connection)>, database: &Database) -> Result<&'o mut Connection> {
    let present = database.present()?;
    let kept = open.take().filter(|(file, _)| Some(*file) == present);
    let (_, connection) = match kept {
        Some(kept) => open.insert(kept),
        None => {
            let (file, _) = database.establish(false)?;
            open.insert((file, database.open_to_write()?))
        }
    };
    Ok(connection)
}

/// Runs one job. What it did before it failed is undone.
///
/// # Errors
///
/// When that cannot be done, or the whole transaction is gone, as it is when SQLite has no space or memory left: then
/// nothing of what the jobs before it did is kept either.
fn one(transaction: &Transaction<'_>, job: &mut dyn Job, database: &Database) -> Result<Option<PluginError>> {
    // Parsed once, as they are needed for each job.
    let execute = |text: &str| transaction.prepare_cached(text)?.execute([]).map(drop);
    let mut run = || {
        execute("SAVEPOINT job")?;
        let failed = match catch_unwind(AssertUnwindSafe(|| job.run(transaction))) {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(database.failed(&error)),
            Err(_) => Some(PluginError::failed("what was to be written panicked")),
        };
        if failed.is_some() {
            execute("ROLLBACK TO job")?;
        }
        execute("RELEASE job")?;
        Ok(failed)
    };
    let failed = run().map_err(|error: rusqlite::Error| database.failed(&error))?;
    match transaction.is_autocommit() {
        true => Err(failed.unwrap_or_else(|| database.wrong("the transaction was rolled back"))),
        false => Ok(failed),
    }
}
