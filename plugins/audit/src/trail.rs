//! [`Trail`]: the audit file, and the full ones beside it, as one chain that grows at its end.

use std::{
    fmt, fs, io,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use token_audit_chain::{FILE_STARTED, FORMAT, FileStart, LINE_TORN, Position, RECORDS_LOST, Seal, append};
use token_plugin_api::{Event, PluginError, Result};

use crate::{
    config::{Settings, is_change},
    end::End,
    file::{FileId, Finished, Locked, sync_folder},
    record::{Record, kind, shortened},
    rotated::Rotated,
    sync::Syncer,
};

/// The audit trail. Nothing is created before there is something to write.
pub(crate) struct Trail {
    settings: Settings,
    /// Unix seconds.
    now: Box<dyn Fn() -> u64 + Send + Sync>,
    state: Mutex<State>,
    syncer: Syncer,
}

#[derive(Default)]
struct State {
    /// Where we wrote last, or found the end.
    known: Option<Known>,
    /// How many records could not be written since.
    lost: u64,
    /// Whether it was said that a file cannot be rotated.
    complained: bool,
}

#[derive(Debug, Clone)]
struct Known {
    file: FileId,
    /// In bytes.
    length: u64,
    position: Position,
    /// The file's own.
    number: u64,
}

/// What a new file goes on from.
#[derive(Debug)]
struct Before {
    position: Position,
    /// The number of the new file.
    number: u64,
    previous_file: Option<String>,
    damaged: Option<String>,
}

impl Trail {
    pub(crate) fn new(settings: Settings, now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let syncer = Syncer::new(settings.fsync, settings.fsync_interval, &settings.path);
        Self { settings, now: Box::new(now), state: Mutex::default(), syncer }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Writes events down, in one go.
    ///
    /// # Errors
    ///
    /// When they are not where they have to be. Then none of them is in the file, unless it is the disk that failed with
    /// what was written already.
    pub(crate) fn record(&self, events: &[&Event]) -> Result<()> {
        let mut state = self.state();
        let written = self.write(&mut state, events);
        state.lost = match written {
            Ok(_) => 0,
            Err(_) => state.lost.saturating_add(events.len() as u64),
        };
        drop(state);
        let synced = self.syncer.written(written?, events.iter().any(|event| is_change(event.kind)));
        synced.map_err(|error| self.failed("what was written may not be on the disk", error))
    }

    fn write(&self, state: &mut State, events: &[&Event]) -> Result<Locked> {
        let (mut file, mut known) = self.open_at_end(state)?;
        if self.settings.rotate_bytes.is_some_and(|limit| known.length >= limit) {
            (file, known) = self.begin_next(state, file, known)?;
        }
        let mut text = Vec::new();
        if state.lost > 0 {
            self.add(&mut text, &mut known.position, RECORDS_LOST, &Lost { records: state.lost })?;
        }
        for event in events {
            let after = known.position;
            let line = append(&mut text, &self.settings.seal, after, event.at, &kind(event.kind), &Record::of(event));
            known.position = line.map_err(PluginError::failed)?;
        }
        file.append(&text).map_err(|error| self.failed("cannot be written to", error))?;
        known.length = file.length;
        state.known = Some(known);
        Ok(file)
    }

    /// The file, locked, and where its end is; with a beginning, and with the end of a line.
    fn open_at_end(&self, state: &mut State) -> Result<(Locked, Known)> {
        for _ in 0..MAX_FILES_ASIDE {
            let file = Locked::open_or_create(&self.settings.path, self.patience());
            let file = file.map_err(|error| self.failed("cannot be opened", error))?;
            if let Some(known) = &state.known
                && (known.file, known.length) == (file.id, file.length)
            {
                return Ok((file, known.clone()));
            }
            let end = End::read(file.length, &self.settings.seal, |from, to| file.read(from, to));
            let number = match end.map_err(|error| self.failed("cannot be read", error))? {
                End::Nothing { torn } => return self.begin(state, file, &torn),
                End::Line { position, length, torn, start, is_ours: true } => {
                    let position = self.latest(state, position);
                    let known = Known { file: file.id, length, position, number: start.file };
                    return self.go_on(state, file, known, &torn);
                }
                End::Line { start, is_ours: false, .. } => Some(start.file),
                End::Damaged(why) => {
                    let file = self.settings.path.display();
                    tracing::error!(%file, "nobody can go on from the end of the file, it is kept aside: {why}");
                    None
                }
            };
            self.set_aside(file, number).map_err(|error| self.failed("cannot be renamed", error))?;
        }
        Err(self.failed("cannot be begun", io::Error::other("others put other files there")))
    }

    /// Writes the beginning of a new file.
    fn begin(&self, state: &mut State, mut file: Locked, torn: &[u8]) -> Result<(Locked, Known)> {
        let before = self.before(state).map_err(|error| self.failed("cannot go on from the files before it", error))?;
        let Before { mut position, number, previous_file, damaged } = before;
        let seal = &self.settings.seal;
        let start = FileStart {
            file: number,
            format: FORMAT,
            chain: seal.name().to_owned(),
            key_id: seal.key_id().map(str::to_owned),
            previous_file,
            damaged,
        };
        let mut text = Vec::new();
        self.add(&mut text, &mut position, FILE_STARTED, &start)?;
        self.replace_torn(&mut file, 0, torn, &mut text, &mut position)?;
        if self.syncer.is_wanted() {
            sync_folder(&self.settings.path)
                .map_err(|error| self.failed("its folder cannot be synchronized", error))?;
        }
        let known = Known { file: file.id, length: file.length, position, number };
        state.known = Some(known.clone());
        Ok((file, known))
    }

    /// Closes what was torn, if anything was.
    fn go_on(&self, state: &mut State, mut file: Locked, mut known: Known, torn: &[u8]) -> Result<(Locked, Known)> {
        if !torn.is_empty() {
            let (whole, mut text) = (known.length, Vec::new());
            self.replace_torn(&mut file, whole, torn, &mut text, &mut known.position)?;
            known.length = file.length;
        }
        state.known = Some(known.clone());
        Ok((file, known))
    }

    /// Appends a text after so many bytes, and a line about what was torn there. That is in the line, and so the rest
    /// of the file is whole lines.
    fn replace_torn(
        &self,
        file: &mut Locked,
        length: u64,
        torn: &[u8],
        text: &mut Vec<u8>,
        position: &mut Position,
    ) -> Result<()> {
        if !torn.is_empty() {
            let lossy = String::from_utf8_lossy(torn);
            let (kept, _) = shortened(&lossy, MAX_TORN_BYTES);
            let sha256 = Seal::Plain.hash(torn).to_string();
            self.add(text, position, LINE_TORN, &Torn { bytes: torn.len(), sha256, torn: kept })?;
            tracing::warn!(file = %self.settings.path.display(), bytes = torn.len(), "the last line was torn");
            file.shorten(length).map_err(|error| self.failed("cannot be shortened", error))?;
        }
        file.append(text).map_err(|error| self.failed("cannot be written to", error))
    }

    /// Adds a line of our own to a text.
    fn add(&self, text: &mut Vec<u8>, position: &mut Position, event: &str, members: &impl Serialize) -> Result<()> {
        let line = append(text, &self.settings.seal, *position, (self.now)(), event, members);
        *position = line.map_err(PluginError::failed)?;
        Ok(())
    }

    /// What the next file goes on from: the last full one; or what we know, when that is more.
    fn before(&self, state: &State) -> io::Result<Before> {
        let mut before = Before { position: Position::START, number: 1, previous_file: None, damaged: None };
        if let Some(last) = Rotated::all(&self.settings.path)?.pop() {
            before.number = last.number.saturating_add(1);
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", last.name()));
            let file = Finished::open(&last.path).map_err(named)?;
            match End::read(file.length, &self.settings.seal, |from, to| file.read(from, to)).map_err(named)? {
                End::Line { position, .. } => {
                    (before.position, before.previous_file) = (position, Some(last.name()));
                }
                End::Nothing { .. } | End::Damaged(_) => before.damaged = Some(last.name()),
            }
        }
        let position = self.latest(state, before.position);
        if position != before.position {
            (before.position, before.previous_file) = (position, None);
        }
        if let Some(known) = &state.known {
            before.number = before.number.max(known.number.saturating_add(1));
        }
        Ok(before)
    }

    /// Where the chain goes on: at the end that was found, unless we know a later one. Then lines were taken away, and
    /// who verifies the file has to see that.
    fn latest(&self, state: &State, found: Position) -> Position {
        match &state.known {
            Some(Known { position, .. }) if position.sequence >= found.sequence && *position != found => {
                let file = self.settings.path.display();
                let (known, found) = (position.sequence, found.sequence);
                tracing::error!(%file, known, found, "lines that were written are not in the file any more");
                *position
            }
            _ => found,
        }
    }

    /// Ends a file that is full and begins the next one. When that cannot be done, the file grows on.
    fn begin_next(&self, state: &mut State, file: Locked, known: Known) -> Result<(Locked, Known)> {
        match self.set_aside(file, Some(known.number)) {
            Ok(()) => {
                state.complained = false;
                let Position { sequence, hash } = known.position;
                let file = self.settings.path.display();
                tracing::info!(%file, sequence, %hash, "the file is full, another one begins after this line");
                self.remove_oldest();
            }
            Err(error) if !state.complained => {
                state.complained = true;
                tracing::error!(file = %self.settings.path.display(), %error, "the full file cannot be renamed");
            }
            Err(_) => {}
        }
        self.open_at_end(state)
    }

    /// Gives the file the name of a full one. Others who wait for it notice that it has another name.
    fn set_aside(&self, file: Locked, number: Option<u64>) -> io::Result<()> {
        let path = &self.settings.path;
        if self.syncer.is_wanted() {
            file.sync()?;
        }
        let next = Rotated::all(path)?.pop().map_or(1, |last| last.number.saturating_add(1));
        let rotated = Rotated::new(path, number.map_or(next, |number| number.max(next)));
        if fs::symlink_metadata(&rotated.path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("there is {} already", rotated.name())));
        }
        if cfg!(windows) {
            // There no file can be renamed that is open like this. Who comes in between writes to a full file.
            drop(file);
            fs::rename(path, &rotated.path)?;
        } else {
            fs::rename(path, &rotated.path)?;
            drop(file);
        }
        if self.syncer.is_wanted() { sync_folder(path) } else { Ok(()) }
    }

    fn remove_oldest(&self) {
        let Some(keep) = self.settings.keep_files else { return };
        let all = Rotated::all(&self.settings.path).unwrap_or_default();
        for old in all.iter().take(all.len().saturating_sub(keep)) {
            if let Err(error) = fs::remove_file(&old.path) {
                tracing::warn!(file = %old.path.display(), %error, "the old file cannot be removed");
            }
        }
    }

    /// How long to wait for others. A caller who waits for us gets to hear why before its deadline, which is a second
    /// unless set otherwise.
    fn patience(&self) -> Duration {
        if self.settings.required { Duration::from_millis(800) } else { Duration::from_secs(5) }
    }

    fn failed(&self, what: &str, error: io::Error) -> PluginError {
        PluginError::failed(format!("{}: {what}: {error}", self.settings.path.display()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Trail {
    /// Leaves the last hash in the host's log: somewhere else than in the file.
    fn drop(&mut self) {
        if let Some(Known { position: Position { sequence, hash }, .. }) = self.state().known {
            tracing::info!(file = %self.settings.path.display(), sequence, %hash, "the last line that was written");
        }
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Lost {
    records: u64,
}

#[derive(Serialize)]
struct Torn<'a> {
    bytes: usize,
    sha256: String,
    torn: &'a str,
}

const MAX_TORN_BYTES: usize = 1024;
/// How many files that nobody can go on from are put aside in one go: another one is not to be expected.
const MAX_FILES_ASIDE: usize = 4;

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
