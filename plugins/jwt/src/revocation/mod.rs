//! [`Revocations`]: tokens that are refused although they are good: single ones by their `jti`, and all that were issued
//! before some time.
//!
//! They are kept in a [`store::Store`], which processes may share, and checked in [`memory::Memory`] alone: what is
//! revoked here is in force when the call returns, what is revoked by another process after its next look.
//!
//! What is in memory stays there whatever becomes of the store, until it has expired.

mod config;
mod gate;
mod memory;
mod sqlite;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use self::{
    config::Place,
    memory::Memory,
    sqlite::Sqlite,
    store::{Revocation, Store},
    watch::Watch,
};
pub(crate) use self::{config::RevocationConfig, store::RevokedToken};

/// Why something could not be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotRevoked {
    /// What was asked for makes no sense.
    Argument(String),
    /// It could not be kept.
    Store(String),
}

/// The revocations of a handler. Times are Unix seconds, and errors say which file is concerned.
pub(crate) struct Revocations {
    shared: Arc<Shared>,
    #[expect(dead_code, reason = "it looks as long as it is held")]
    watch: Watch,
}

/// What the watching thread needs, too.
struct Shared {
    memory: Memory,
    store: Box<dyn Store>,
    /// Unix seconds, by a clock that may be set.
    now: Box<dyn Fn() -> u64 + Send + Sync>,
    /// For how long this has been there, by one that may not.
    uptime: Box<dyn Fn() -> Duration + Send + Sync>,
}

impl Revocations {
    /// Reads all that is revoked, and from now on looks for more; none: revocation is switched off. `plugin` is what the
    /// plugin is called, `now` the time in Unix seconds; a relative path begins at this folder. A file that is not there
    /// is created by the first revocation.
    ///
    /// # Errors
    ///
    /// When a setting is wrong, or the file is there and cannot be read.
    pub(crate) fn open(
        config: &RevocationConfig,
        plugin: &str,
        folder: &Path,
        now: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Result<Option<Arc<Self>>, String> {
        let start = Instant::now();
        Self::open_at(config, plugin, folder, now, move || start.elapsed())
    }

    fn open_at(
        config: &RevocationConfig,
        plugin: &str,
        folder: &Path,
        now: impl Fn() -> u64 + Send + Sync + 'static,
        uptime: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Result<Option<Arc<Self>>, String> {
        let path = match config.place(plugin, folder)? {
            Place::Sqlite(path) => path,
            Place::Nowhere => return Ok(None),
        };
        let store = Box::new(Sqlite::new(path)?);
        let shared = Shared { memory: Memory::new()?, store, now: Box::new(now), uptime: Box::new(uptime) };
        let shared = Arc::new(shared);
        shared.look()?;
        let watch = Watch::start(Arc::clone(&shared), Duration::from_millis(config.poll_ms))?;
        Ok(Some(Arc::new(Self { shared, watch })))
    }

    /// Whether a token is revoked. `issued_at` is its `iat`, rounded down. From memory, without waiting for anything.
    pub(crate) fn is_revoked(&self, jti: Option<&str>, actor_id: &str, issued_at: Option<u64>) -> bool {
        let memory = &self.shared.memory;
        jti.is_some_and(|jti| memory.tokens.contains(jti)) || memory.cutoffs.refuse(actor_id, issued_at)
    }

    /// Revokes the token with this `jti`. It is forgotten some time after it has expired, or never. Returns whether it
    /// was not revoked before; if it was, that reason and date stay, and the later expiry. An actor whose id is too long
    /// to be kept is as good as unknown.
    ///
    /// # Errors
    ///
    /// When a text is too long, the `jti` is empty, or the store cannot be written. The token is not revoked then.
    pub(crate) fn revoke_token(
        &self,
        jti: &str,
        actor_id: Option<&str>,
        expires_at: Option<u64>,
        reason: &str,
    ) -> Result<bool, NotRevoked> {
        if jti.is_empty() {
            return Err(NotRevoked::Argument("`jti`: it is empty, expected the id of a token".to_owned()));
        }
        check_length("jti", jti)?;
        check_length("reason", reason)?;
        let token = RevokedToken {
            seq: 0,
            jti: jti.to_owned(),
            actor_id: actor_id.filter(|actor_id| actor_id.len() <= MAX_TEXT_BYTES).map(str::to_owned),
            expires_at,
            revoked_at: (self.shared.now)(),
            reason: reason.to_owned(),
        };
        let fresh = self.shared.store.revoke_token(&token).map_err(NotRevoked::Store)?;
        self.shared.memory.tokens.insert(jti, expires_at);
        Ok(fresh)
    }

    /// Revokes all tokens of this actor, or of everyone, that were issued before this time. Returns whether it is later
    /// than the one that held before; if not, that one stays: what was revoked once remains so.
    ///
    /// # Errors
    ///
    /// When a text is too long, the time is 0 or more than a day ahead, or the store cannot be written. Nothing is
    /// revoked then.
    pub(crate) fn revoke_before(&self, actor_id: Option<&str>, before: u64, reason: &str) -> Result<bool, NotRevoked> {
        check_length("actor", actor_id.unwrap_or_default())?;
        check_length("reason", reason)?;
        let now = (self.shared.now)();
        if before == 0 || before > now.saturating_add(MAX_AHEAD_SECONDS) {
            return Err(NotRevoked::Argument(format!(
                "`before`: {before}, expected Unix seconds, at most a day ahead: it cannot be taken back"
            )));
        }
        let actor = actor_id.map(str::to_owned);
        let cutoff = store::Cutoff { actor_id: actor, before, set_at: now, reason: reason.to_owned() };
        let later = self.shared.store.revoke_before(&cutoff).map_err(NotRevoked::Store)?;
        self.shared.memory.cutoffs.raise(actor_id, before);
        Ok(later)
    }

    /// What the store knows of the revoked token with this `jti`; none: it is not revoked by itself.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(crate) fn revoked(&self, jti: &str) -> Result<Option<RevokedToken>, String> {
        self.shared.store.token(jti)
    }

    /// The revoked tokens behind the one with this [`RevokedToken::seq`], first revoked first, at most `limit`.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub(crate) fn list(&self, after: Option<i64>, limit: u32) -> Result<Vec<RevokedToken>, String> {
        self.shared.store.tokens(after, limit)
    }

    /// All cutoffs, everyone's first.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    #[cfg(test)]
    pub(crate) fn cutoffs(&self) -> Result<Vec<store::Cutoff>, String> {
        self.shared.store.cutoffs()
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = &self.shared.memory;
        let mut debug = formatter.debug_struct("Revocations");
        debug.field("tokens", &memory.tokens.len()).field("actors", &memory.cutoffs.actors());
        debug.finish_non_exhaustive()
    }
}

impl Shared {
    /// Takes over what the store knows and memory does not, expired or not: a clock may be wrong.
    fn look(&self) -> Result<(), String> {
        self.store.news(&mut |revocation| match revocation {
            Revocation::Token { jti, expires_at } => self.memory.tokens.insert(jti, expires_at),
            Revocation::Before { actor_id, before } => self.memory.cutoffs.raise(actor_id, before),
        })
    }
}

fn check_length(what: &str, text: &str) -> Result<(), NotRevoked> {
    match text.len() {
        ..=MAX_TEXT_BYTES => Ok(()),
        bytes => Err(NotRevoked::Argument(format!("`{what}`: {bytes} bytes long, expected at most {MAX_TEXT_BYTES}"))),
    }
}

/// For an id, a name or a reason.
const MAX_TEXT_BYTES: usize = 1024;
/// For clocks that are behind. Further ahead it is milliseconds, and nobody could have a token again.
const MAX_AHEAD_SECONDS: u64 = 24 * 3600;
