//! [`Sqlite`]: tokens in a file, for one machine. Any number of processes may have it open.
//!
//! Written by one thread of each process, which takes what is waiting for it into one transaction (a disk that takes a
//! while to sync takes it once for all of them), and read by as many connections as there are readers: with a
//! write-ahead log neither waits for the other.

mod file;
#[cfg(target_os = "linux")]
mod locks;
mod log_index;
mod news;
mod prepared;
mod readers;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, mpsc},
    thread::JoinHandle,
};

use arc_swap::ArcSwapOption;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use token_plugin_api::{ActorPage, InactiveActor, Migrations, PluginError, Result, TokenRecord};

pub(crate) use self::prepared::ItemRow;
use self::{
    file::Database,
    prepared::Prepared,
    readers::Readers,
    rows::{record, select},
    writer::{Job, Writer},
};
use super::{
    Answer, Change, ForeignToken, Inserted, Invalidated, Known, Learned, NewToken, One, Page, Store, Which, notices,
    sql::{self, Dialect, Statement, from_column, to_column},
};
use crate::{
    cutoffs::{Cutoffs, Notice},
    digest::Digest,
    elsewhere::elsewhere,
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
    cutoffs: OnceLock<Arc<Cutoffs>>,
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
            cutoffs: OnceLock::new(),
            news: Mutex::default(),
        }
    }

    /// The item with a key, expired or not, where nothing has to be waited for; none: it would be.
    pub(crate) fn item_row_at_once(&self, key: &[u8]) -> Option<Result<Option<ItemRow>>> {
        self.ask_at_once(|prepared| prepared.item(key))
    }

    /// The item with a key, expired or not.
    pub(crate) fn item_row(&self, key: Vec<u8>) -> Answer<'_, Option<ItemRow>> {
        self.ask(None, move |prepared| prepared.item(&key))
    }

    fn ask_at_once<T>(&self, question: impl FnOnce(&mut Prepared) -> rusqlite::Result<T>) -> Option<Result<T>> {
        let readers = self.readers.load();
        let readers = readers.as_ref().filter(|readers| readers.is_current(&self.database))?;
        readers.ask_at_once(question).map(|answer| answer.map_err(|error| self.database.failed(&error)))
    }

    /// Asks on a thread that may wait; `absent` when there is no file yet.
    fn ask<T: Send + 'static>(
        &self,
        absent: T,
        question: impl Fn(&mut Prepared) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        let (database, readers) = (Arc::clone(&self.database), Arc::clone(&self.readers));
        elsewhere(move || match Readers::of(&readers, &database)? {
            Some(readers) => readers.ask_patiently(&database, question),
            None => Ok(absent),
        })
    }

    /// Does something to the file on the writer's thread, together with what others want; done when this is answered.
    pub(crate) fn write<T: Send + 'static>(
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

    /// The same for what hosts are to be told of: the others read it in the file, this one knows it when this is answered.
    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<(T, Vec<Notice>)> + Send + 'static,
    ) -> Answer<'_, T> {
        let written = self.write(move |transaction| {
            let (done, notices) = change(transaction)?;
            tell(transaction, &notices)?;
            Ok((done, notices))
        });
        Box::pin(async move {
            let (done, notices) = written.await?;
            if let Some(cutoffs) = self.cutoffs.get() {
                notices.iter().for_each(|notice| cutoffs.tell(notice));
            }
            Ok(done)
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
    pub(crate) fn read<T: Send + 'static>(
        &self,
        absent: T,
        question: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<'_, T> {
        self.ask(absent, move |prepared| question(prepared.connection()?))
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
        self.ask_at_once(|prepared| prepared.look_up(digest))
    }

    fn look_up(&self, digest: Digest) -> Answer<'_, Option<Known>> {
        self.ask(None, move |prepared| prepared.look_up(&digest))
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
            let (digests, actors): (Vec<Digest>, _) =
                (tokens.iter().map(|foreign| foreign.token.digest).collect(), inactive);
            let absent = expected(&digests, &actors, |_| Ok(false), |_| Ok(false));
            let absent = absent.map_err(|error| self.database.failed(&error));
            return match absent {
                Ok(absent) => self.read(absent, move |connection| {
                    let is_inactive = "SELECT 1 FROM inactive_actors WHERE actor_id = ?1";
                    expected(
                        &digests,
                        &actors,
                        |digest| is_present(connection, digest),
                        |actor| connection.prepare_cached(is_inactive)?.exists([actor]),
                    )
                }),
                Err(error) => Box::pin(async { Err(error) }),
            };
        }
        self.change(move |transaction| {
            let present = tokens.iter().map(|foreign| import(transaction, foreign));
            let present = present.collect::<rusqlite::Result<Vec<bool>>>()?;
            let mut newly = Vec::new();
            for actor in inactive {
                let InactiveActor { actor_id, since, reason, .. } = &actor;
                if deactivate(transaction, actor_id, *since, reason)? {
                    newly.push(actor);
                }
            }
            let is_change = present.contains(&false) || !newly.is_empty();
            let notices = if is_change { vec![Notice::Everyone] } else { Vec::new() };
            Ok(((present, newly), notices))
        })
    }

    fn record(&self, which: One) -> Answer<'_, Option<TokenRecord>> {
        self.read(None, move |connection| record_of(connection, &which))
    }

    fn list(&self, page: Page) -> Answer<'_, Vec<TokenRecord>> {
        self.read(Vec::new(), move |connection| select(connection, &sql::list(Dialect::Sqlite, &page), record))
    }

    fn invalidate(&self, which: Which, at: u64, reason: String) -> Answer<'_, Vec<(i64, String)>> {
        self.change(move |transaction| {
            let valid = select(transaction, &sql::valid(Dialect::Sqlite, &which), id_and_actor)?;
            let mut insert = transaction
                .prepare_cached("INSERT INTO invalid_tokens (id, invalid_at, reason) VALUES (?1, ?2, ?3)")?;
            for (id, _) in &valid {
                insert.execute(params![id, to_column(at), reason])?;
            }
            let notices = notices(&which, &valid);
            Ok((valid, notices))
        })
    }

    fn update(&self, which: One, change: Change, now: u64) -> Answer<'_, Option<TokenRecord>> {
        self.change(move |transaction| {
            let Some((id, actor)) = find(transaction, &which)? else { return Ok((None, Vec::new())) };
            let mut notices = Vec::new();
            if change != Change::default() {
                update(transaction, id, &change, now)?;
                notices.push(Notice::Actor(actor));
            }
            Ok((record_of(transaction, &One::Id(id))?, notices))
        })
    }

    fn delete(&self, ended_before: u64, dry_run: bool) -> Answer<'_, u64> {
        if dry_run {
            return self.read(0, move |connection| {
                let text = format!("SELECT count(*) FROM ({})", rows::ENDED);
                connection.query_row(&text, params![to_column(ended_before), -1], |row| row.get(0).map(from_column))
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
        self.change(move |transaction| {
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
            let notices = Notice::of_actors(changed.iter().map(|actor| actor.actor_id.as_str()));
            Ok((changed, notices))
        })
    }

    fn inactive_actor(&self, actor_id: String) -> Answer<'_, Option<InactiveActor>> {
        self.read(None, move |connection| {
            let text = "SELECT actor_id, since, reason FROM inactive_actors WHERE actor_id = ?1";
            connection.prepare_cached(text)?.query_row([&actor_id], inactive_actor).optional()
        })
    }

    fn list_inactive_actors(&self, after: Option<String>, limit: u32) -> Answer<'_, ActorPage> {
        self.read(ActorPage::default(), move |connection| {
            let mut statement = connection.prepare(
                "SELECT actor_id, since, reason FROM inactive_actors WHERE ?1 IS NULL OR actor_id > ?1 \
                 ORDER BY actor_id LIMIT ?2",
            )?;
            // One more tells whether there is another page.
            let actors = statement.query_map(params![after, i64::from(limit) + 1], inactive_actor)?;
            let mut actors = actors.collect::<rusqlite::Result<Vec<_>>>()?;
            let is_last = actors.len() <= limit as usize;
            actors.truncate(limit as usize);
            let next = actors.last().filter(|_| !is_last).map(|last| last.actor_id.clone());
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
            let missing = migrations::missing(from).map_err(|what| database.wrong(what))?;
            Ok(migrations::report(database.name(), from, missing))
        })
    }

    fn follow(&self, cutoffs: Arc<Cutoffs>) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.cutoffs.set(Arc::clone(&cutoffs));
        match news::Following::start(&self.database, &self.readers, cutoffs) {
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

/// What a verification asks.
static LOOK_UP: LazyLock<String> = LazyLock::new(|| sql::look_up(Dialect::Sqlite));

fn is_present(connection: &Connection, digest: &Digest) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM tokens WHERE digest = ?1")?.exists([digest.as_bytes()])
}

/// The id and the actor of a token.
fn find(connection: &Connection, which: &One) -> rusqlite::Result<Option<(i64, String)>> {
    let mut statement = Statement::new(Dialect::Sqlite, "SELECT t.id, t.actor_id FROM tokens t WHERE ");
    statement.one(which);
    Ok(select(connection, &statement, id_and_actor)?.pop())
}

fn id_and_actor(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn record_of(connection: &Connection, which: &One) -> rusqlite::Result<Option<TokenRecord>> {
    Ok(select(connection, &sql::record(Dialect::Sqlite, which), record)?.pop())
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
    let row = params![details.hint, to_column(updated_at), details.note, details.auto_generated, details.extra];
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
        to_column(token.created_at),
        token.expires_at.map(to_column),
        token.restrictions,
        token.policy
    ])?;
    Ok(Inserted::As(id))
}

/// What an import of these would find: which tokens are there, the same ones before among them, and whose actors are newly
/// deactivated.
fn expected(
    digests: &[Digest],
    inactive: &[InactiveActor],
    is_present: impl Fn(&Digest) -> rusqlite::Result<bool>,
    is_inactive: impl Fn(&str) -> rusqlite::Result<bool>,
) -> rusqlite::Result<(Vec<bool>, Vec<InactiveActor>)> {
    let (mut seen, mut actors, mut newly) = (HashSet::new(), HashSet::new(), Vec::new());
    let present = digests.iter().map(|digest| Ok(!seen.insert(digest) || is_present(digest)?));
    let present = present.collect::<rusqlite::Result<Vec<bool>>>()?;
    for actor in inactive {
        if actors.insert(actor.actor_id.as_str()) && !is_inactive(&actor.actor_id)? {
            newly.push(actor.clone());
        }
    }
    Ok((present, newly))
}

/// Whether it was there already.
fn import(transaction: &Transaction<'_>, foreign: &ForeignToken) -> rusqlite::Result<bool> {
    let Inserted::As(id) = insert(transaction, &foreign.token, foreign.updated_at)? else { return Ok(true) };
    if let Some(Invalidated { at, reason }) = &foreign.invalidated {
        let mut statement =
            transaction.prepare_cached("INSERT INTO invalid_tokens (id, invalid_at, reason) VALUES (?1, ?2, ?3)")?;
        statement.execute(params![id, to_column(*at), reason])?;
    }
    if let Some(last_used_at) = foreign.last_used_at {
        transaction.prepare_cached(rows::USED)?.execute(params![id, to_column(last_used_at)])?;
    }
    Ok(false)
}

fn update(transaction: &Transaction<'_>, id: i64, change: &Change, now: u64) -> rusqlite::Result<()> {
    let Change { note, policy, expires_at, valid } = change;
    if let Some(policy) = policy {
        transaction.execute("UPDATE tokens SET policy = ?2 WHERE id = ?1", params![id, policy])?;
    }
    if let Some(expires_at) = expires_at {
        let expires_at = expires_at.map(to_column);
        transaction.execute("UPDATE tokens SET expires_at = ?2 WHERE id = ?1", params![id, expires_at])?;
    }
    match valid {
        Some(false) => {
            let text = "INSERT INTO invalid_tokens (id, invalid_at, reason) VALUES (?1, ?2, '') ON CONFLICT DO NOTHING";
            transaction.execute(text, params![id, to_column(now)])?;
        }
        Some(true) => {
            transaction.execute("DELETE FROM invalid_tokens WHERE id = ?1", [id])?;
        }
        None => {}
    }
    let text = "UPDATE token_details SET updated_at = ?2, note = COALESCE(?3, note) WHERE id = ?1";
    transaction.execute(text, params![id, to_column(now), note])?;
    Ok(())
}

fn delete(transaction: &Transaction<'_>, ended_before: u64) -> rusqlite::Result<u64> {
    let mut statement = transaction.prepare_cached(rows::ENDED)?;
    let ids = statement.query_map(params![to_column(ended_before), DELETED_AT_ONCE], |row| row.get(0))?;
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
    Ok(statement.execute(params![actor_id, to_column(since), reason])? > 0)
}

/// The actor as it was, if it was not active.
fn activate(transaction: &Transaction<'_>, actor_id: &str) -> rusqlite::Result<Option<InactiveActor>> {
    let text = "DELETE FROM inactive_actors WHERE actor_id = ?1 RETURNING actor_id, since, reason";
    transaction.prepare_cached(text)?.query_row([actor_id], inactive_actor).optional()
}

fn inactive_actor(row: &rusqlite::Row<'_>) -> rusqlite::Result<InactiveActor> {
    let (actor_id, reason): (String, String) = (row.get(0)?, row.get(2)?);
    Ok(InactiveActor::new(actor_id, from_column(row.get(1)?), reason))
}

fn learn(transaction: &Transaction<'_>, learned: &Learned) -> rusqlite::Result<()> {
    let mut used = transaction.prepare_cached(rows::USED)?;
    for (id, at) in &learned.uses {
        used.execute(params![id, to_column(*at)])?;
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
