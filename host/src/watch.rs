//! [`Watch`]: reloads a host when what it was made from changes, or when the process is told to.
//!
//! Events of the operating system only wake the watch up. What decides is a [`Snapshot`]: which files
//! there are, and of each what changes when it is written, replaced or renamed over. So it does not
//! matter which of the many kinds of event an editor, a copy or a swapped link makes, an event that
//! is lost is made up for by looking every second, and what else happens in those folders
//! causes no reload.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::{
    admit,
    builder::Source,
    config::{Config, LibraryName},
    engine::Engine,
    error::{Error, ErrorKind},
    host::Host,
};

/// How long nothing may change before a change counts as finished: an editor or a copy writes several times.
const QUIET: Duration = Duration::from_millis(75);

/// How long a change may go on before it is looked at all the same.
const LONGEST: Duration = Duration::from_secs(3);

/// How often to look when every folder is watched: for events that were lost, and for folders that others took the
/// place of, whose events are not seen before.
const LOOK: Duration = Duration::from_secs(1);

/// How often to look when a folder cannot be watched, for instance since it is missing.
const LOOK_UNWATCHED: Duration = Duration::from_millis(500);

/// Reloads a host when its files change, until it is dropped. See [`Host::watch`].
#[derive(Debug)]
pub struct Watch {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
    #[cfg(unix)]
    signals: Option<signal_hook::iterator::Handle>,
}

#[derive(Debug)]
enum Wake {
    /// Something happened in a folder.
    Event,
    /// The process was told to reload.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no such signal"))]
    Hangup,
    Stop,
}

impl Host {
    /// Reloads whenever the configuration, its lock, the drop-in folder or a plugin's file changes,
    /// within a second after the change is finished. What fails is logged and counted, and the old
    /// generation goes on; see [`Host::status`].
    ///
    /// It ends when the [`Watch`] is dropped, or the host.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] when no thread can be started. A folder that cannot be watched is none: it is looked
    /// at twice a second instead.
    pub fn watch(&self) -> Result<Watch, Error> {
        let (wake, wakes) = mpsc::channel();
        let watching = Watching { engine: Arc::downgrade(&self.0), folders: Folders::new(wake.clone()) };
        let thread = thread::Builder::new().name("token-host-watch".to_owned());
        let thread = thread.spawn(move || watching.run(&wakes));
        let failed = |error| Error::new(ErrorKind::Internal, format!("no thread could be started: {error}"));
        let thread = Some(thread.map_err(failed)?);
        Ok(Watch {
            wake,
            thread,
            #[cfg(unix)]
            signals: None,
        })
    }
}

impl Watch {
    /// Reloads on `SIGHUP` as well, whatever has changed: also what no file shows, such as a secret's. The signal does
    /// not end the process any more, not even when the [`Watch`] is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] when the system does not let the process handle the signal.
    #[cfg(unix)]
    pub fn reload_on_hangup(mut self) -> Result<Self, Error> {
        let failed = |error| Error::new(ErrorKind::Internal, format!("cannot handle SIGHUP: {error}"));
        let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGHUP]).map_err(failed)?;
        self.signals = Some(signals.handle());
        let wake = self.wake.clone();
        let thread = thread::Builder::new().name("token-host-signals".to_owned());
        let forward = move || {
            // Ends when the handle is closed, or when nobody reloads any more.
            let _ = signals.forever().map(|_| wake.send(Wake::Hangup)).take_while(Result::is_ok).count();
        };
        thread.spawn(forward).map_err(failed)?;
        Ok(self)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(signals) = &self.signals {
            signals.close();
        }
        let _ = self.wake.send(Wake::Stop);
        // A reload that is under way goes on to its end, and holds the host as long: were it not waited for, a program
        // that drops its host and ends would not give plugins the time to write what they have to.
        let own = thread::current().id();
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != own) {
            let _ = thread.join();
        }
    }
}

/// The watching thread.
struct Watching {
    engine: Weak<Engine>,
    folders: Folders,
}

impl Watching {
    fn run(mut self, wakes: &Receiver<Wake>) {
        loop {
            let Some(Seen { scope, snapshot }) = self.engine.upgrade().map(|engine| engine.seen()) else { return };
            let look = if self.folders.watch(scope.folders()) { LOOK } else { LOOK_UNWATCHED };
            let mut is_told = false;
            // Something may have changed while the host reloaded, or before its folders were watched.
            if scope.snapshot() == snapshot {
                match wakes.recv_timeout(look) {
                    Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                    Ok(Wake::Hangup) => is_told = true,
                    Ok(Wake::Event) => {}
                    Err(RecvTimeoutError::Timeout) => continue,
                }
            }
            let Some((settled, was_told)) = settle(&scope, wakes) else { return };
            let Some(engine) = self.engine.upgrade() else { return };
            // Whoever changed it may have had it read as well, meanwhile.
            if (settled == snapshot || settled == engine.seen().snapshot) && !is_told && !was_told {
                continue;
            }
            // What comes of it is logged and counted there.
            let _ = Host(engine).reload();
        }
    }
}

/// Waits until nothing changes any more, and tells whether a reload was asked for meanwhile; `None`: the watch ended.
fn settle(scope: &Scope, wakes: &Receiver<Wake>) -> Option<(Snapshot, bool)> {
    let (began, mut was_told) = (Instant::now(), false);
    let mut snapshot = scope.snapshot();
    loop {
        let until = Instant::now() + QUIET;
        loop {
            match wakes.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(Wake::Hangup) => was_told = true,
                Ok(Wake::Event) => {}
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        let now = scope.snapshot();
        if now == snapshot || began.elapsed() >= LONGEST {
            return Some((now, was_told));
        }
        snapshot = now;
    }
}

/// What a configuration was made from when it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    scope: Scope,
    snapshot: Snapshot,
}

impl Seen {
    /// Reads a configuration, and tells what it was made from: whatever is changed from now on is another change.
    pub(crate) fn reading<E>(
        &self,
        source: &Source,
        read: impl FnOnce() -> Result<Config, E>,
    ) -> (Self, Result<Config, E>) {
        let own = Scope { files: source.files().collect(), drop_in: None };
        let before = own.snapshot();
        let read = read();
        // What cannot be read names no files: those of before are still the ones to wait for.
        let scope = read.as_ref().map_or_else(|_| self.scope.clone(), |config| Scope::of(source, config));
        let mut snapshot = scope.snapshot();
        snapshot.0.extend(before.0);
        (Self { scope, snapshot }, read)
    }
}

/// The files that a configuration is made from.
#[derive(Debug, Clone, Default)]
struct Scope {
    files: BTreeSet<PathBuf>,
    drop_in: Option<PathBuf>,
}

impl Scope {
    fn of(source: &Source, config: &Config) -> Self {
        let mut libraries = BTreeSet::new();
        for entry in &config.plugins {
            match &entry.file {
                LibraryName::Path(path) => libraries.extend([path.clone()]),
                // A file that is not there yet may come, and would then be the first to be found.
                LibraryName::Bare(bare) => {
                    let name = admit::library_file_name(bare);
                    libraries.extend(config.library_folders().map(|folder| folder.join(&name)));
                }
            }
        }
        let signatures: Vec<PathBuf> = libraries.iter().map(|file| admit::path_of_signature(file)).collect();
        let files = source.files().chain(libraries).chain(signatures).collect();
        Self { files, drop_in: config.host.drop_in.clone() }
    }

    /// The folders in which something may happen.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let parent = |file: &PathBuf| match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        self.files.iter().map(parent).chain(self.drop_in.clone()).collect()
    }

    fn snapshot(&self) -> Snapshot {
        // One that cannot be read holds nothing for now.
        let dropped_in = self.drop_in.iter().flat_map(|folder| admit::discover(folder).unwrap_or_default());
        let dropped_in = dropped_in.flat_map(|file| [admit::path_of_signature(&file), file]);
        let files = self.files.iter().cloned().chain(dropped_in).chain(self.drop_in.clone());
        let stamped = |file: PathBuf| {
            let stamp = stamp(&file);
            (file, stamp)
        };
        Snapshot(files.map(stamped).collect())
    }
}

/// The files of a [`Scope`] as they are at one moment; `None`: it is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Snapshot(BTreeMap<PathBuf, Option<Stamp>>);

/// What changes when a file is written, replaced, or renamed over. Of a folder, as far as it is one.
#[cfg(unix)]
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

#[cfg(unix)]
fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok()?;
    // What happens to other files in the folder is no change.
    let (size, modified, changed) = match metadata.is_dir() {
        true => (0, (0, 0), (0, 0)),
        false => {
            (metadata.size(), (metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec()))
        }
    };
    Some((metadata.dev(), metadata.ino(), size, modified, changed))
}

#[cfg(not(unix))]
type Stamp = (u64, Option<std::time::SystemTime>, Option<std::time::SystemTime>);

#[cfg(not(unix))]
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    match metadata.is_dir() {
        true => Some((0, None, None)),
        false => Some((metadata.len(), metadata.modified().ok(), metadata.created().ok())),
    }
}

/// The folders whose events wake the watch up.
struct Folders {
    watcher: Option<RecommendedWatcher>,
    /// With what tells a folder from another one that took its place.
    watched: BTreeMap<PathBuf, Option<Stamp>>,
}

impl Folders {
    fn new(wake: Sender<Wake>) -> Self {
        let woken = move |event: notify::Result<notify::Event>| {
            // Reading changes nothing, and this host reads.
            if !matches!(&event, Ok(event) if event.kind.is_access() && !is_end_of_writing(event)) {
                let _ = wake.send(Wake::Event);
            }
        };
        let watcher = notify::recommended_watcher(woken);
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "files cannot be watched; they are looked at twice a second"));
        Self { watcher: watcher.ok(), watched: BTreeMap::new() }
    }

    /// Watches these folders and no others; whether that worked for all of them.
    fn watch(&mut self, folders: BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let is_the_same = |folder: &PathBuf, known: &Option<Stamp>| folders.contains(folder) && stamp(folder) == *known;
        let gone: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(folder, known)| !is_the_same(folder, known))
            .map(|(folder, _)| folder.clone())
            .collect();
        for folder in gone {
            // It may be gone for good.
            let _ = watcher.unwatch(&folder);
            self.watched.remove(&folder);
        }
        for folder in &folders {
            if !self.watched.contains_key(folder) && watcher.watch(folder, RecursiveMode::NonRecursive).is_ok() {
                self.watched.insert(folder.clone(), stamp(folder));
            }
        }
        self.watched.len() == folders.len()
    }
}

fn is_end_of_writing(event: &notify::Event) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    event.kind == EventKind::Access(AccessKind::Close(AccessMode::Write))
}
