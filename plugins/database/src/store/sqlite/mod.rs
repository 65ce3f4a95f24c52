//! [`Sqlite`]: tokens in a file, for one machine. Any number of processes may have it open.
//!
//! Written by one thread of each process, which takes what is waiting for it into one transaction (a disk that takes a
//! while to sync takes it once for all of them), and read by as many connections as there are readers: with a
//! write-ahead log neither waits for the other.

mod file;
#[cfg(target_os = "linux")]
mod locks;
mod news;
mod readers;
mod rows;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::JoinHandle,
};

use arc_swap::ArcSwapOption;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use token_plugin_api::{ActorPage, InactiveActor, Migration, Migrations, PluginError, Result, TokenRecord};
use tokio::sync::oneshot;

use self::{
    file::Database,
    readers::Readers,
    rows::{conditions, known, record, signed, unsigned},
    writer::{Job, Writer},
};
use super::{
    Answer, Change, ForeignToken, Inserted, Invalidated, Known, Learned, NewToken, One, Page, Store, Which, notices,
};
use crate::{
    cutoffs::{Cutoffs, Notice},
    digest::Digest,
    migrations,
};

/// How a file is used.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) path: PathBuf,
    /// Whether the file is created, and brought to the form that is needed, when that turns out to be necessary.
    pub(crate) migrate: bool,
    /// KiB of pages that each connection keeps in memory.
    pub(crate) cache_kib: u32,
    /// Bytes of the file that are mapped into memory; 0: none. A mapped file that somebody cuts short ends the process.
    pub(crate) mmap_bytes: u64,
}

/// A file of tokens.
pub(crate) struct Sqlite {
    database: Arc<Database>,
    readers: Arc<ArcSwapOption<Readers>>,
    writer: Mutex<Option<Running>>,
    news: Mutex<Option<news::Following>>,
}

struct Running {
    jobs: mpsc::Sender<Box<dyn Job>>,
    thread: JoinHandle<()>,
}

impl Sqlite {
    /// The file with these settings, whether it is there or not.
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            database: Arc::new(Database::new(settings)),
            readers: Arc::default(),
            writer: Mutex::default(),
            news: Mutex::default(),
        }
    }

    /// Does something to the file on the writer's thread, together with what others want; done when this is answered.
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        let (job, answer) = writer::job(change);
        let sent = self.send(job);
        Box::pin(async move {
            sent?;
            answer.await.unwrap_or_else(|_| Err(PluginError::failed("the writer's thread went away")))
        })
    }

    fn send(&self, job: Box<dyn Job>) -> Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let running = match &mut *writer {
            Some(running) if !running.thread.is_finished() => running,
            other => other.insert(Running::start(&self.database)?),
        };
        running.jobs.send(job).map_err(|_| PluginError::failed("the writer's thread went away"))
    }

    /// Reads the file on a thread that may wait; `absent` when there is no file yet.
    fn read<T: Send + 'static>(
        &self,
        absent: T,
        question: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        let (database, readers) = (Arc::clone(&self.database), Arc::clone(&self.readers));
        elsewhere(move || match Readers::of(&readers, &database)? {
            Some(readers) => readers.ask_patiently(&database, question),
            None => Ok(absent),
        })
    }
}

impl Running {
    fn start(database: &Arc<Database>) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel();
        let writer = Writer::new(Arc::clone(database), waiting);
        let thread = std::thread::Builder::new().name("token-database-writer".to_owned()).spawn(|| writer.run());
        Ok(Self { jobs, thread: thread.map_err(PluginError::failed)? })
    }
}

/// Does what may wait for the disk on a thread of its own: the host's, which is asking, must not wait.
fn elsewhere<'a, T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Answer<'a, T> {
    let (done, answer) = oneshot::channel();
    let thread = std::thread::Builder::new().name("token-database-reader".to_owned());
    // Who asked may have gone away in the meantime; then nobody wants the answer.
    let started = thread.spawn(move || drop(done.send(work())));
    Box::pin(async move {
        started.map_err(PluginError::failed)?;
        answer.await.unwrap_or_else(|_| Err(PluginError::failed("a thread that read the database went away")))
    })
}

impl Drop for Sqlite {
    /// What was sent to the writer is written.
    fn drop(&mut self) {
        let news = self.news.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        drop(news);
        if let Some(Running { jobs, thread }) = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            drop(jobs);
            let _ = thread.join();
        }
    }
}

impl Store for Sqlite {
    fn look_up_at_once(&self, digest: &Digest) -> Option<Result<Option<Known>>> {
        let readers = self.readers.load();
        let readers = readers.as_ref().filter(|readers| readers.is_current(&self.database))?;
        readers.look_up_at_once(digest).map(|found| found.map_err(|error| self.database.failed(&error)))
    }

    fn look_up(&self, digest: Digest) -> Answer<'_, Option<Known>> {
        self.read(None, move |connection| look_up(connection, &digest))
    }

    fn insert(&self, token: NewToken) -> Answer<'_, Inserted> {
        self.write(move |transaction| insert(transaction, &token, token.created_at))
    }

    fn import(
        &self,
        tokens: Vec<ForeignToken>,
        inactive: Vec<InactiveActor>,
        dry_run: bool,
    ) -> Answer<'_, (Vec<bool>, Vec<InactiveActor>)> {
        if dry_run {
            let absent = (vec![false; tokens.len()], inactive.clone());
            return self.read(absent, move |connection| {
                let present = tokens.iter().map(|foreign| is_present(connection, &foreign.token.digest));
                let present = present.collect::<rusqlite::Result<_>>()?;
                let mut newly = inactive.clone();
                let mut known = connection.prepare_cached("SELECT 1 FROM inactive_actors WHERE actor_id = ?1")?;
                let mut failed = Ok(());
                newly.retain(|actor| match known.exists([&actor.actor_id]) {
                    Ok(known) => !known,
                    Err(error) => {
                        failed = Err(error);
                        false
                    }
                });
                failed.map(|()| (present, newly))
            });
        }
        self.write(move |transaction| {
            let present = tokens.iter().map(|foreign| import(transaction, foreign));
            let present = present.collect::<rusqlite::Result<Vec<bool>>>()?;
            let mut newly = Vec::new();
            for actor in inactive {
                let InactiveActor { actor_id, since, reason, .. } = &actor;
                if deactivate(transaction, actor_id, *since, reason)? {
                    newly.push(actor);
                }
            }
            if present.contains(&false) || !newly.is_empty() {
                tell(transaction, &[Notice::Everyone])?;
            }
            Ok((present, newly))
        })
    }

    fn record(&self, which: One) -> Answer<'_, Option<TokenRecord>> {
        self.read(None, move |connection| match find(connection, &which)? {
            Some((id, _)) => record_of(connection, id),
            None => Ok(None),
        })
    }

    fn list(&self, page: Page) -> Answer<'_, Vec<TokenRecord>> {
        self.read(Vec::new(), move |connection| {
            let (condition, mut parameters) = conditions(&page.conditions);
            parameters.push(page.after.unwrap_or(0).into());
            let after = parameters.len();
            parameters.push(i64::from(page.limit).into());
            let text = format!(
                "{} WHERE {condition} AND t.id > ?{after} ORDER BY t.id LIMIT ?{}",
                rows::RECORDS,
                parameters.len()
            );
            let mut statement = connection.prepare(&text)?;
            let records = statement.query_map(rusqlite::params_from_iter(parameters), record)?;
            records.collect()
        })
    }

    fn invalidate(&self, which: Which, at: u64, reason: String) -> Answer<'_, Vec<(i64, String)>> {
        self.write(move |transaction| {
            let valid = valid_tokens(transaction, &which)?;
            let mut insert = transaction
                .prepare_cached("INSERT INTO invalid_tokens (id, invalid_at, reason) VALUES (?1, ?2, ?3)")?;
            for (id, _) in &valid {
                insert.execute(params![id, signed(at), reason])?;
            }
            tell(transaction, &notices(&which, &valid))?;
            Ok(valid)
        })
    }

    fn update(&self, which: One, change: Change, now: u64) -> Answer<'_, Option<TokenRecord>> {
        self.write(move |transaction| {
            let Some((id, actor)) = find(transaction, &which)? else { return Ok(None) };
            update(transaction, id, &change, now)?;
            tell(transaction, &[Notice::Actor(actor)])?;
            record_of(transaction, id)
        })
    }

    fn delete(&self, ended_before: u64, dry_run: bool) -> Answer<'_, u64> {
        if dry_run {
            return self.read(0, move |connection| {
                let text = format!("SELECT count(*) FROM ({})", rows::ENDED);
                connection.query_row(&text, params![signed(ended_before), -1], |row| row.get(0).map(unsigned))
            });
        }
        Box::pin(async move {
            let mut count = 0;
            loop {
                // A part at a time, so that others may write in between.
                let deleted = self.write(move |transaction| delete(transaction, ended_before)).await?;
                count += deleted;
                if deleted < u64::from(DELETED_AT_ONCE) {
                    return Ok(count);
                }
            }
        })
    }

    fn set_actors(&self, actors: Vec<String>, inactive: Option<(u64, String)>) -> Answer<'_, Vec<InactiveActor>> {
        self.write(move |transaction| {
            let mut changed = Vec::new();
            for actor in actors {
                match &inactive {
                    Some((since, reason)) => {
                        if deactivate(transaction, &actor, *since, reason)? {
                            changed.push(InactiveActor::new(actor, *since, reason));
                        }
                    }
                    None => changed.extend(activate(transaction, &actor)?),
                }
            }
            tell(transaction, &Notice::of_actors(changed.iter().map(|actor| actor.actor_id.as_str())))?;
            Ok(changed)
        })
    }

    fn list_inactive_actors(&self, after: Option<String>, limit: u32) -> Answer<'_, ActorPage> {
        self.read(ActorPage::default(), move |connection| {
            let mut statement = connection.prepare(
                "SELECT actor_id, since, reason FROM inactive_actors WHERE ?1 IS NULL OR actor_id > ?1 \
                 ORDER BY actor_id LIMIT ?2",
            )?;
            let actors = statement.query_map(params![after, limit], inactive_actor)?;
            let actors = actors.collect::<rusqlite::Result<Vec<_>>>()?;
            let next = actors.last().filter(|_| actors.len() == limit as usize).map(|last| last.actor_id.clone());
            Ok(ActorPage::new(actors, next))
        })
    }

    fn learn(&self, learned: Learned) -> Answer<'_, ()> {
        Box::pin(async move {
            let Learned { mut uses, mut digests } = learned;
            while !uses.is_empty() || !digests.is_empty() {
                // A part at a time, so that others may write in between.
                let part = Learned {
                    uses: uses.split_off(uses.len().saturating_sub(LEARNED_AT_ONCE)),
                    digests: digests.split_off(digests.len().saturating_sub(LEARNED_AT_ONCE)),
                };
                self.write(move |transaction| learn(transaction, &part)).await?;
            }
            Ok(())
        })
    }

    fn migrate(&self, check: bool, now: u64) -> Answer<'_, Migrations> {
        let _ = now;
        let database = Arc::clone(&self.database);
        elsewhere(move || {
            let from = if check { database.version()? } else { database.establish(true)?.1 };
            let steps = migrations::STEPS.iter().filter(|step| step.version > from);
            let steps = steps.map(|step| Migration::new(step.version, step.title)).collect();
            Ok(Migrations::new(database.name(), from, migrations::VERSION, steps))
        })
    }

    fn follow(&self, cutoffs: Arc<Cutoffs>) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match news::Following::start(&self.database, cutoffs) {
            Ok(following) => *news = Some(following),
            // Then nothing that is cached holds: slower, and right.
            Err(error) => tracing::warn!("changes by other processes are not followed: {error}"),
        }
    }

    fn name(&self) -> &str {
        self.database.name()
    }
}

/// Tokens that are deleted in one transaction.
const DELETED_AT_ONCE: u32 = 5_000;
/// Uses, and digests, that are written in one transaction.
const LEARNED_AT_ONCE: usize = 5_000;
/// Notices that are kept: who is further behind takes it that everything may have changed.
const NOTICES_KEPT: i64 = 10_000;

fn look_up(connection: &Connection, digest: &Digest) -> rusqlite::Result<Option<Known>> {
    connection.prepare_cached(rows::LOOK_UP)?.query_row([digest.as_bytes()], known).optional()
}

fn is_present(connection: &Connection, digest: &Digest) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM tokens WHERE digest = ?1")?.exists([digest.as_bytes()])
}

/// The id and the actor of a token.
fn find(connection: &Connection, which: &One) -> rusqlite::Result<Option<(i64, String)>> {
    let id_and_actor = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    match which {
        One::Id(id) => {
            let mut statement = connection.prepare_cached("SELECT id, actor_id FROM tokens WHERE id = ?1")?;
            statement.query_row([id], id_and_actor).optional()
        }
        One::Digests(digests) => {
            let mut statement = connection.prepare_cached("SELECT id, actor_id FROM tokens WHERE digest = ?1")?;
            for digest in digests {
                if let Some(found) = statement.query_row([digest.as_bytes()], id_and_actor).optional()? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        }
    }
}

fn record_of(connection: &Connection, id: i64) -> rusqlite::Result<Option<TokenRecord>> {
    let text = format!("{} WHERE t.id = ?1", rows::RECORDS);
    connection.prepare_cached(&text)?.query_row([id], record).optional()
}

/// With `updated_at` as the time of its last change.
fn insert(transaction: &Transaction<'_>, token: &NewToken, updated_at: u64) -> rusqlite::Result<Inserted> {
    if is_present(transaction, &token.digest)? {
        return Ok(Inserted::DigestTaken);
    }
    let details = &token.details;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO token_details (hint, updated_at, note, auto_generated, extra) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let row = params![details.hint, signed(updated_at), details.note, details.auto_generated, details.extra];
    let id = statement.insert(row)?;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO tokens (digest, id, actor_id, generator_id, created_at, expires_at, restrictions, policy) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    statement.execute(params![
        token.digest.as_bytes(),
        id,
        token.actor_id,
        token.generator_id,
        signed(token.created_at),
        token.expires_at.map(signed),
        token.restrictions,
        token.policy
    ])?;
    Ok(Inserted::As(id))
}

/// Whether it was there already.
fn import(transaction: &Transaction<'_>, foreign: &ForeignToken) -> rusqlite::Result<bool> {
    let Inserted::As(id) = insert(transaction, &foreign.token, foreign.updated_at)? else { return Ok(true) };
    if let Some(Invalidated { at, reason }) = &foreign.invalidated {
        let mut statement =
            transaction.prepare_cached("INSERT INTO invalid_tokens (id, invalid_at, reason) VALUES (?1, ?2, ?3)")?;
        statement.execute(params![id, signed(*at), reason])?;
    }
    if let Some(last_used_at) = foreign.last_used_at {
        transaction.prepare_cached(rows::USED)?.execute(params![id, signed(last_used_at)])?;
    }
    Ok(false)
}

fn valid_tokens(transaction: &Transaction<'_>, which: &Which) -> rusqlite::Result<Vec<(i64, String)>> {
    match which {
        Which::One(one) => {
            let found = find(transaction, one)?;
            let mut invalid = transaction.prepare_cached("SELECT 1 FROM invalid_tokens WHERE id = ?1")?;
            match found {
                Some((id, actor)) if !invalid.exists([id])? => Ok(vec![(id, actor)]),
                _ => Ok(Vec::new()),
            }
        }
        Which::All(wanted) => {
            let (condition, parameters) = conditions(wanted);
            let text = format!(
                "SELECT t.id, t.actor_id FROM {} WHERE {condition} AND i.id IS NULL ORDER BY t.id",
                rows::tables_for(wanted)
            );
            let mut statement = transaction.prepare(&text)?;
            let found =
                statement.query_map(rusqlite::params_from_iter(parameters), |row| Ok((row.get(0)?, row.get(1)?)))?;
            found.collect()
        }
    }
}

fn update(transaction: &Transaction<'_>, id: i64, change: &Change, now: u64) -> rusqlite::Result<()> {
    let Change { note, policy, expires_at, valid } = change;
    if let Some(policy) = policy {
        transaction.execute("UPDATE tokens SET policy = ?2 WHERE id = ?1", params![id, policy])?;
    }
    if let Some(expires_at) = expires_at {
        let expires_at = expires_at.map(signed);
        transaction.execute("UPDATE tokens SET expires_at = ?2 WHERE id = ?1", params![id, expires_at])?;
    }
    match valid {
        Some(false) => {
            let text = "INSERT INTO invalid_tokens (id, invalid_at, reason) VALUES (?1, ?2, '') ON CONFLICT DO NOTHING";
            transaction.execute(text, params![id, signed(now)])?;
        }
        Some(true) => {
            transaction.execute("DELETE FROM invalid_tokens WHERE id = ?1", [id])?;
        }
        None => {}
    }
    let text = "UPDATE token_details SET updated_at = ?2, note = COALESCE(?3, note) WHERE id = ?1";
    transaction.execute(text, params![id, signed(now), note])?;
    Ok(())
}

fn delete(transaction: &Transaction<'_>, ended_before: u64) -> rusqlite::Result<u64> {
    let mut statement = transaction.prepare_cached(rows::ENDED)?;
    let ids = statement.query_map(params![signed(ended_before), DELETED_AT_ONCE], |row| row.get(0))?;
    let ids = ids.collect::<rusqlite::Result<Vec<i64>>>()?;
    for table in ["tokens", "token_details", "invalid_tokens", "token_uses"] {
        let mut statement = transaction.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?;
        for id in &ids {
            statement.execute([id])?;
        }
    }
    Ok(ids.len() as u64)
}

/// Whether that is new.
fn deactivate(transaction: &Transaction<'_>, actor_id: &str, since: u64, reason: &str) -> rusqlite::Result<bool> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO inactive_actors (actor_id, since, reason) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    Ok(statement.execute(params![actor_id, signed(since), reason])? > 0)
}

/// The actor as it was, if it was not active.
fn activate(transaction: &Transaction<'_>, actor_id: &str) -> rusqlite::Result<Option<InactiveActor>> {
    let text = "DELETE FROM inactive_actors WHERE actor_id = ?1 RETURNING actor_id, since, reason";
    transaction.prepare_cached(text)?.query_row([actor_id], inactive_actor).optional()
}

fn inactive_actor(row: &rusqlite::Row<'_>) -> rusqlite::Result<InactiveActor> {
    let (actor_id, reason): (String, String) = (row.get(0)?, row.get(2)?);
    Ok(InactiveActor::new(actor_id, unsigned(row.get(1)?), reason))
}

fn learn(transaction: &Transaction<'_>, learned: &Learned) -> rusqlite::Result<()> {
    let mut used = transaction.prepare_cached(rows::USED)?;
    for (id, at) in &learned.uses {
        used.execute(params![id, signed(*at)])?;
    }
    let text = "UPDATE OR IGNORE tokens SET digest = ?3 WHERE id = ?1 AND digest = ?2";
    let mut kept = transaction.prepare_cached(text)?;
    for (id, found, digest) in &learned.digests {
        kept.execute(params![id, found.as_bytes(), digest.as_bytes()])?;
    }
    Ok(())
}

/// Tells all processes of a change, should it be made.
fn tell(transaction: &Transaction<'_>, notices: &[Notice]) -> rusqlite::Result<()> {
    let mut last = None;
    for notice in notices {
        let mut statement = transaction.prepare_cached("INSERT INTO notices (what) VALUES (?1)")?;
        last = Some(statement.insert([notice.to_text()])?);
    }
    if let Some(last) = last {
        transaction.prepare_cached("DELETE FROM notices WHERE seq <= ?1")?.execute([last - NOTICES_KEPT])?;
    }
    Ok(())
}

/// Whether a path is one that SQLite would take for something else than a file.
pub(crate) fn is_no_file_name(path: &Path) -> bool {
    let text = path.to_string_lossy();
    text.is_empty() || text == ":memory:" || text.starts_with("file:") || text.contains('\0')
}
