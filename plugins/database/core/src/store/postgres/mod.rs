//! [`Postgres`]: tokens in PostgreSQL, for a fleet of hosts.
//!
//! ```text
//! look_up ─ lookups: a few connections, on each of which many calls are in flight
//! insert ── inserts: the same, apart, since each waits for the disk
//! others ── pool:    connections for one call at a time
//! follow ──────────  a connection that hears what other hosts change
//! ```
//!
//! Connections live on the plugin's runtime; calls are awaited anywhere. What is lost is opened again, without end: until
//! then calls are errors at once. A call that is not awaited to its end leaves nothing half done.

mod connector;
mod follow;
mod form;
mod guest;
mod hidden;
mod import;
mod lanes;
mod pool;
mod reads;
mod rows;
mod settings;
#[cfg(test)]
mod tests;
mod writes;

use std::sync::{Arc, OnceLock};

use token_plugin_api::{
    ActorPage, InactiveActor, Migrations, PluginError, Result, TokenRecord,
    runtime::{self, Task},
};

use self::{connector::Connector, lanes::Lanes, pool::Pool};
pub(crate) use self::{guest::Guest, settings::Settings};
use super::{Answer, Change, ForeignToken, Inserted, Known, Learned, NewToken, One, Page, Store, Which};
use crate::{
    cutoffs::{Cutoffs, Notice},
    digest::Digest,
};

/// Tokens in PostgreSQL.
pub(crate) struct Postgres {
    connector: Arc<Connector>,
    lookups: Lanes,
    inserts: Lanes,
    items: Lanes,
    pool: Pool,
    following: OnceLock<(Arc<Cutoffs>, Result<Task<()>>)>,
}

impl Postgres {
    /// With these settings. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let connector = Arc::new(Connector::new(settings)?);
        Ok(Self {
            lookups: Lanes::new(Arc::clone(&connector), settings.connections, reads::look_ups()),
            inserts: Lanes::new(Arc::clone(&connector), settings.transactions, writes::inserts()),
            items: Lanes::new(Arc::clone(&connector), settings.connections, reads::items()),
            pool: Pool::new(Arc::clone(&connector), settings.transactions),
            following: OnceLock::new(),
            connector,
        })
    }

    /// What is told of an error of the database's.
    pub(crate) fn failed(&self, error: &tokio_postgres::Error) -> PluginError {
        self.connector.failed(error)
    }

    /// Tells this host's cutoffs at once what it has changed; what goes round through the database comes later.
    fn tell(&self, notices: &[Notice]) {
        if let Some((cutoffs, _)) = self.following.get() {
            notices.iter().for_each(|notice| cutoffs.tell(notice));
        }
    }
}

impl Store for Postgres {
    fn look_up_at_once(&self, _: &Digest) -> Option<Result<Option<Known>>> {
        None
    }

    fn look_up(&self, digest: Digest) -> Answer<'_, Option<Known>> {
        Box::pin(self.known(digest))
    }

    fn insert(&self, token: NewToken) -> Answer<'_, Inserted> {
        Box::pin(self.keep(token))
    }

    fn import(
        &self,
        tokens: Vec<ForeignToken>,
        inactive: Vec<InactiveActor>,
        dry_run: bool,
    ) -> Answer<'_, (Vec<bool>, Vec<InactiveActor>)> {
        Box::pin(self.bring_over(tokens, inactive, dry_run))
    }

    fn record(&self, which: One) -> Answer<'_, Option<TokenRecord>> {
        Box::pin(self.record_of(which))
    }

    fn list(&self, page: Page) -> Answer<'_, Vec<TokenRecord>> {
        Box::pin(self.page(page))
    }

    fn invalidate(&self, which: Which, at: u64, reason: String) -> Answer<'_, Vec<(i64, String)>> {
        Box::pin(self.make_invalid(which, at, reason))
    }

    fn update(&self, which: One, change: Change, now: u64) -> Answer<'_, Option<TokenRecord>> {
        Box::pin(self.change(which, change, now))
    }

    fn delete(&self, ended_before: u64, dry_run: bool) -> Answer<'_, u64> {
        Box::pin(self.delete_ended(ended_before, dry_run))
    }

    fn set_actors(&self, actors: Vec<String>, inactive: Option<(u64, String)>) -> Answer<'_, Vec<InactiveActor>> {
        Box::pin(self.set_inactive(actors, inactive))
    }

    fn inactive_actor(&self, actor_id: String) -> Answer<'_, Option<InactiveActor>> {
        Box::pin(self.one_inactive_actor(actor_id))
    }

    fn list_inactive_actors(&self, after: Option<String>, limit: u32) -> Answer<'_, ActorPage> {
        Box::pin(self.inactive_actors(after, limit))
    }

    fn learn(&self, learned: Learned) -> Answer<'_, ()> {
        Box::pin(self.write_learned(learned))
    }

    fn migrate(&self, check: bool, now: u64) -> Answer<'_, Migrations> {
        let connector = Arc::clone(&self.connector);
        Box::pin(async move { runtime::run(async move { form::migrate(&connector, check, now).await }).await? })
    }

    fn follow(&self, cutoffs: Arc<Cutoffs>) {
        self.following.get_or_init(|| {
            let following = runtime::spawn(follow::follow(Arc::clone(&self.connector), Arc::clone(&cutoffs)));
            (cutoffs, following)
        });
    }

    fn name(&self) -> &str {
        self.connector.name()
    }
}
