//! [`Syncer`]: makes lines survive a failure of power, as the settings say.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    config::Fsync,
    file::{FileId, Locked},
};

/// Makes lines survive a failure of power.
#[derive(Debug)]
pub(crate) struct Syncer {
    when: Fsync,
    done: Mutex<Done>,
    later: Arc<Later>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// How far a file is on the disk.
#[derive(Debug, Default)]
struct Done {
    until: Option<(FileId, u64)>,
    /// What may never get there: a system that failed once may say of the same bytes later that all is well.
    failed: Option<(FileId, u64)>,
}

/// What the thread has to do.
#[derive(Debug)]
struct Later {
    path: PathBuf,
    interval: Duration,
    flags: Mutex<Flags>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Flags {
    is_dirty: bool,
    stop: bool,
}

impl Syncer {
    pub(crate) fn new(when: Fsync, interval: Duration, path: &Path) -> Self {
        let later = Later { path: path.to_owned(), interval, flags: Mutex::default(), changed: Condvar::new() };
        Self { when, done: Mutex::default(), later: Arc::new(later), thread: Mutex::default() }
    }

    /// Whether lines ever have to be on the disk.
    pub(crate) fn is_wanted(&self) -> bool {
        self.when != Fsync::Never
    }

    /// Takes a file that was written to, with its lock. Returns when what was written is where it has to be.
    pub(crate) fn written(&self, file: Locked, is_change: bool) -> io::Result<()> {
        match self.when {
            Fsync::Always => self.now(file),
            Fsync::Changes if is_change => self.now(file),
            Fsync::Changes | Fsync::Interval => self.soon(file),
            Fsync::Never => Ok(()),
        }
    }

    /// Whoever waits here while the disk is at work, for others, is served with them all in one go.
    fn now(&self, file: Locked) -> io::Result<()> {
        let (id, length) = (file.id, file.length);
        let covers = |until: Option<(FileId, u64)>| until.is_some_and(|(file, until)| file == id && length <= until);
        let file = file.unlock();
        let mut done = lock(&self.done);
        if covers(done.failed) {
            return Err(io::Error::other("the disk failed with what was written at the same time"));
        }
        if covers(done.until) {
            return Ok(());
        }
        let until = Some((id, file.metadata()?.len()));
        match file.sync_data() {
            Ok(()) => done.until = until,
            Err(error) => {
                done.failed = until;
                return Err(error);
            }
        }
        Ok(())
    }

    fn soon(&self, file: Locked) -> io::Result<()> {
        let mut thread = lock(&self.thread);
        if thread.is_none() {
            let later = Arc::clone(&self.later);
            match thread::Builder::new().name("token-audit-fsync".to_owned()).spawn(move || later.run()) {
                Ok(started) => *thread = Some(started),
                Err(_) => return self.now(file),
            }
        }
        drop(file);
        lock(&self.later.flags).is_dirty = true;
        self.later.changed.notify_one();
        Ok(())
    }
}

impl Drop for Syncer {
    /// What is not on the disk yet is brought there.
    fn drop(&mut self) {
        let Some(thread) = lock(&self.thread).take() else { return };
        lock(&self.later.flags).stop = true;
        self.later.changed.notify_one();
        let _ = thread.join();
    }
}

impl Later {
    fn run(&self) {
        loop {
            let idle = |flags: &mut Flags| !flags.is_dirty && !flags.stop;
            let flags = self.changed.wait_while(lock(&self.flags), idle).unwrap_or_else(PoisonError::into_inner);
            if !flags.is_dirty {
                return;
            }
            let waited = self.changed.wait_timeout_while(flags, self.interval, |flags| !flags.stop);
            waited.unwrap_or_else(PoisonError::into_inner).0.is_dirty = false;
            if let Err(error) = self.sync() {
                tracing::error!(file = %self.path.display(), %error, "lines may not be on the disk");
            }
        }
    }

    /// A file that took the place of the one that was written to is as good: that one was synchronized before.
    fn sync(&self) -> io::Result<()> {
        match Locked::open(&self.path, PATIENCE)? {
            Some(file) => file.unlock().sync_data(),
            None => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Others need the file for microseconds.
const PATIENCE: Duration = Duration::from_secs(5);
