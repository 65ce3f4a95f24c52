//! [`Store`]: what a database must be able to do to keep tokens. [`sqlite`] and [`postgres`] do it, alike: one suite of
//! tests runs on both.
//!
//! A store knows rows, digests and times. It judges nothing: whether an expired or invalidated token is good is for
//! [`judge`](crate::judge) to say. Times are Unix seconds and come with each call. Texts hold no NUL and have bounds that
//! were checked before.
//!
//! What a call that is no error did is on the disk, and visible to all hosts, when it returns. An error means that it may
//! or may not have been done; nothing is done by halves.
//!
//! Nothing is opened before the first call, and nothing that is open is needed to make a store: a host's preflight makes
//! one in a process of its own, which must leave no trace.

#[cfg(test)]
mod contract;
pub(crate) mod postgres;
pub(crate) mod sql;
pub(crate) mod sqlite;

use std::{fmt, future::Future, path::Path, pin::Pin, sync::Arc};

use token_plugin_api::{ActorPage, InactiveActor, Migrations, PluginError, Result, TokenRecord};

use crate::{
    config::{Config, PostgresConfig, SqliteConfig},
    cutoffs::{Cutoffs, Notice},
    digest::Digest,
};

/// An answer that is waited for. Dropped before it is there, the call may go on to its end, unobserved.
pub(crate) type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// A token that is about to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewToken {
    pub(crate) digest: Digest,
    pub(crate) actor_id: String,
    pub(crate) generator_id: String,
    pub(crate) created_at: u64,
    pub(crate) expires_at: Option<u64>,
    /// `_r` as JSON; none: unrestricted.
    pub(crate) restrictions: Option<String>,
    /// The policy document as JSON; none: everything is allowed.
    pub(crate) policy: Option<String>,
    pub(crate) details: Details,
}

/// What is told to people, and judged by nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) hint: String,
    pub(crate) note: String,
    pub(crate) auto_generated: bool,
    /// A JSON object; none: it would be empty.
    pub(crate) extra: Option<String>,
}

/// What became of a token that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// It has this id.
    As(i64),
    /// There is one with this digest already.
    DigestTaken,
}

/// A token of another system, with what happened to it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ForeignToken {
    pub(crate) token: NewToken,
    pub(crate) updated_at: u64,
    pub(crate) last_used_at: Option<u64>,
    pub(crate) invalidated: Option<Invalidated>,
}

/// When and why a token was invalidated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalidated {
    pub(crate) at: u64,
    pub(crate) reason: String,
}

/// What a verification has to know of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: i64,
    pub(crate) actor_id: String,
    pub(crate) generator_id: String,
    pub(crate) expires_at: Option<u64>,
    pub(crate) restrictions: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) invalidated: Option<Invalidated>,
    /// Since when its actor is deactivated.
    pub(crate) inactive_since: Option<u64>,
}

/// One token, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum One {
    Id(i64),
    /// The first of these that there is: under each a token may be kept.
    Digests(Vec<Digest>),
}

/// Several tokens. All conditions hold for each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// Of one of these actors; none: everyone's.
    pub(crate) actors: Option<Vec<String>>,
    pub(crate) generator_id: Option<String>,
    /// With this in their note, in upper and lower case as it is written.
    pub(crate) note_contains: Option<String>,
    /// With exactly this policy document, as it is kept; `Some(None)`: with none.
    pub(crate) policy: Option<Option<String>>,
    pub(crate) created_before: Option<u64>,
    /// Not used at this time or after it, and not made then either: a token that was never used is as old as it is.
    pub(crate) unused_since: Option<u64>,
    /// Expired at a time, or not.
    pub(crate) expired: Option<(bool, u64)>,
    /// Not invalidated, or invalidated.
    pub(crate) valid: Option<bool>,
}

/// Which tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    One(One),
    All(Conditions),
}

/// A page of a listing: the first tokens behind an id, in the order of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) conditions: Conditions,
    pub(crate) after: Option<i64>,
    pub(crate) limit: u32,
}

/// What of a token is to change; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) note: Option<String>,
    /// `Some(None)` takes a policy away.
    pub(crate) policy: Option<Option<String>>,
    /// `Some(None)` takes an expiry away.
    pub(crate) expires_at: Option<Option<u64>>,
    /// `false` invalidates, with no reason, unless it is invalid already; `true` makes it valid, and forgets why it was not.
    pub(crate) valid: Option<bool>,
}

/// What was learned from verifications, and is written later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Learned {
    /// When tokens were last used, by id. A time that is earlier than what is kept changes nothing.
    pub(crate) uses: Vec<(i64, u64)>,
    /// Tokens that are to be kept under another digest: id, the digest that was found, the new one.
    pub(crate) digests: Vec<(i64, Digest, Digest)>,
}

/// A database of tokens.
pub(crate) trait Store: Send + Sync + 'static {
    /// [`look_up`](Self::look_up) where nothing has to be waited for; none: it would be.
    fn look_up_at_once(&self, digest: &Digest) -> Option<Result<Option<Known>>>;

    /// The token with this digest: one indexed lookup, which writes nothing.
    fn look_up(&self, digest: Digest) -> Answer<'_, Option<Known>>;

    /// Keeps a token.
    fn insert(&self, token: NewToken) -> Answer<'_, Inserted>;

    /// Keeps tokens of another system, in one transaction; which of them were there already, by digest, and which actors
    /// are newly deactivated. In a dry run nothing is kept. Tells hosts that everything may have changed,
    /// as all changes do: others soon, this store's own cutoffs before the call is answered.
    fn import(
        &self,
        tokens: Vec<ForeignToken>,
        inactive: Vec<InactiveActor>,
        dry_run: bool,
    ) -> Answer<'_, (Vec<bool>, Vec<InactiveActor>)>;

    /// What is known of a token.
    fn record(&self, which: One) -> Answer<'_, Option<TokenRecord>>;

    /// One page of tokens, without [`TokenRecord::deprecated`].
    fn list(&self, page: Page) -> Answer<'_, Vec<TokenRecord>>;

    /// Invalidates tokens, in one transaction, and tells hosts; those that were valid before, with their actors. Those
    /// that were not keep their date and reason.
    fn invalidate(&self, which: Which, at: u64, reason: String) -> Answer<'_, Vec<(i64, String)>>;

    /// Changes a token, and tells hosts; as it is then.
    fn update(&self, which: One, change: Change, now: u64) -> Answer<'_, Option<TokenRecord>>;

    /// Deletes tokens that were invalidated or expired before this time; how many. In a dry run they are only counted.
    fn delete(&self, ended_before: u64, dry_run: bool) -> Answer<'_, u64>;

    /// Activates or deactivates actors, and tells hosts; those that this changed. The first date and reason stay.
    fn set_actors(&self, actors: Vec<String>, inactive: Option<(u64, String)>) -> Answer<'_, Vec<InactiveActor>>;

    /// This actor, if it is deactivated.
    fn inactive_actor(&self, actor_id: String) -> Answer<'_, Option<InactiveActor>>;

    /// The deactivated actors behind this one, in the order of their ids.
    fn list_inactive_actors(&self, after: Option<String>, limit: u32) -> Answer<'_, ActorPage>;

    /// Writes what was learned. Tokens that are gone are passed over.
    fn learn(&self, learned: Learned) -> Answer<'_, ()>;

    /// Brings the database to the form that is needed, under a lock, or says what that would change.
    fn migrate(&self, check: bool, now: u64) -> Answer<'_, Migrations>;

    /// Begins to tell these cutoffs what any host changes, this one included: when notices are heard, of each, and when
    /// they are not any more. Called at most once, before the first look.
    fn follow(&self, cutoffs: Arc<Cutoffs>);

    /// Which database it is, without credentials: for messages.
    fn name(&self) -> &str;
}

/// What hosts are told of tokens that were invalidated, of these actors.
pub(crate) fn notices(which: &Which, invalidated: &[(i64, String)]) -> Vec<Notice> {
    let notices = Notice::of_actors(invalidated.iter().map(|(_, actor)| actor.as_str()));
    match which {
        Which::All(Conditions { generator_id: Some(generator), .. }) if notices == [Notice::Everyone] => {
            vec![Notice::Generator(generator.clone())]
        }
        _ => notices,
    }
}

impl fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The store that the settings want. Paths are relative to this folder.
///
/// # Errors
///
/// When the URL is none of a database.
pub(crate) fn open(config: &Config, folder: &Path) -> Result<Arc<dyn Store>> {
    match backend(config.url.as_str(), config.migrate, &config.sqlite, &config.postgres, folder)? {
        Backend::Sqlite(sqlite) => Ok(Arc::new(*sqlite)),
        Backend::Postgres(postgres) => Ok(Arc::new(*postgres)),
    }
}

/// What there is.
pub(crate) enum Backend {
    Sqlite(Box<sqlite::Sqlite>),
    Postgres(Box<postgres::Postgres>),
}

/// The backend that a URL names.
///
/// # Errors
///
/// When it is none of a database.
pub(crate) fn backend(
    url: &str,
    migrate: bool,
    sqlite: &SqliteConfig,
    postgres: &PostgresConfig,
    folder: &Path,
) -> Result<Backend> {
    let wrong = |message: &str| Err(PluginError::invalid_argument(format!("`url`: {message}")));
    match url.split_once(':') {
        Some(("sqlite", path)) => {
            if sqlite::is_no_file_name(Path::new(path)) {
                return wrong("expected `sqlite:` and the path of a file");
            }
            Ok(Backend::Sqlite(Box::new(sqlite::Sqlite::new(sqlite::Settings {
                path: folder.join(path),
                migrate,
                cache_kib: sqlite.cache_kib,
                mmap_bytes: sqlite.danger_mmap_bytes,
            }))))
        }
        Some(("postgres" | "postgresql", _)) => {
            let PostgresConfig { schema, connections, transactions, tls_root } = postgres;
            let settings = postgres::Settings {
                schema: schema.clone(),
                connections: *connections,
                transactions: *transactions,
                tls_root: tls_root.as_ref().map(|path| folder.join(path)),
                migrate,
                ..postgres::Settings::new(url)
            };
            let postgres = postgres::Postgres::new(&settings).map_err(PluginError::invalid_argument)?;
            Ok(Backend::Postgres(Box::new(postgres)))
        }
        _ => wrong("expected `sqlite:PATH` or `postgres://...`"),
    }
}
