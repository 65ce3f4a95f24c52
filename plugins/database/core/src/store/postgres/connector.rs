//! [`Connector`]: opens connections. [`Link`]: one of them.

use std::{
    error::Error,
    future::{Future, poll_fn},
    time::Duration,
};

use token_plugin_api::{
    PluginError, Result,
    runtime::{self, Task},
};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection, Socket, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{form, settings::Checked, settings::Settings};

/// Opens connections. Its futures have to run on the plugin's runtime.
pub(super) struct Connector {
    checked: Checked,
    /// Its tables are what a statement's names mean.
    pub(super) schema: String,
    /// Where hosts tell each other of changes.
    pub(super) channel: String,
    pub(super) may_migrate: bool,
    pub(super) timeout: Duration,
}

/// An open connection. Dropped, it is closed at once, whatever it is doing.
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) driver: Task<()>,
}

impl Connector {
    /// # Errors
    ///
    /// What is wrong with the settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        Ok(Self {
            checked: settings.check()?,
            schema: settings.schema.clone(),
            channel: format!("{}_notices", settings.schema),
            may_migrate: settings.migrate,
            timeout: settings.timeout,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.checked.name
    }

    /// A connection to a database that has the form that is needed.
    pub(super) async fn open(&self) -> Result<Link> {
        let mut link = self.connect(|_| {}).await?;
        form::ensure(self, &mut link.client).await?;
        Ok(link)
    }

    /// A connection to the database as it is. Each notification that comes is `told`.
    pub(super) async fn connect(&self, told: impl Fn(&str) + Send + 'static) -> Result<Link> {
        let connecting = self.checked.config.connect(self.checked.tls.clone());
        let (client, wire) = self.in_time(connecting).await?;
        let link = Link { client, driver: runtime::spawn(drive(wire, told))? };
        self.in_time(link.client.batch_execute(&self.session())).await?;
        Ok(link)
    }

    /// What comes of something that a server has to answer at once.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        match timeout(self.timeout, work).await {
            Ok(done) => done.map_err(|error| self.failed(&error)),
            Err(_) => Err(self.error(format!("it did not answer within {} ms", self.timeout.as_millis()))),
        }
    }

    /// What a database could not do, in words without secrets.
    pub(super) fn failed(&self, error: &tokio_postgres::Error) -> PluginError {
        // Of what the server says, only the message: details quote rows.
        if let Some(error) = error.as_db_error() {
            return self.error(format!("{} ({})", error.message(), error.code().code()));
        }
        let mut what = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            what = format!("{what}: {cause}");
            source = cause.source();
        }
        self.error(what)
    }

    pub(super) fn error(&self, what: impl std::fmt::Display) -> PluginError {
        PluginError::failed(format!("{}: {what}", self.name()))
    }

    /// What a session must not inherit from how somebody has configured the server: what an answer promises is on the
    /// disk, each statement sees what was committed before it, and none is compiled for longer than it runs.
    fn session(&self) -> String {
        format!(
            "SET search_path TO \"{}\"; SET default_transaction_isolation TO 'read committed'; SET jit TO off; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            self.schema
        )
    }
}

/// Returns when the connection is closed, or closes it when the server does not answer within this time that it is there.
pub(super) async fn ended(client: &Client, mut driver: Task<()>, patience: Duration) {
    const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);
    loop {
        if timeout(BETWEEN_QUESTIONS, &mut driver).await.is_ok() {
            return;
        }
        if !matches!(timeout(patience, client.check_connection()).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Pauses between attempts, each longer than the one before.
pub(super) struct Pauses(Duration);

impl Pauses {
    const FIRST: Duration = Duration::from_millis(50);
    /// So long at the most after a server is back, it is used again.
    const LONGEST: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self(Self::FIRST)
    }

    pub(super) async fn pause(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::LONGEST);
    }
}

type Wire = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Moves what is sent and received until the connection ends. Why it does, its calls are told.
async fn drive(mut wire: Wire, told: impl Fn(&str) + Send + 'static) {
    while let Some(Ok(message)) = poll_fn(|context| wire.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message {
            told(notification.payload());
        }
    }
}
