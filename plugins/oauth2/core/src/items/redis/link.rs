//! [`Link`]: the one connection to a server or a cluster, opened by the first call and again when it is lost.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, PushInfo, PushKind, RedisError, RedisResult, Script, ServerErrorKind, Value,
    aio::MultiplexedConnection, cluster_async::ClusterConnection, cluster_routing::SingleNodeRoutingInfo,
};
use token_plugin_api::{PluginError, Result, runtime};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::settings::{Checked, Settings, Target};

/// The one connection. Calls are sent at once, behind those that are not answered yet.
pub(super) struct Link(Arc<Shared>);

/// What a command does, and so whether it may be sent again when nobody knows whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Reads,
    Writes,
}

struct Shared {
    target: Target,
    name: String,
    timeout: Duration,
    state: Mutex<State>,
}

enum State {
    /// The number of the next one.
    Closed(u64),
    Opening(u64, watch::Receiver<Option<Result<()>>>),
    Open(u64, Connection),
}

#[derive(Clone)]
enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// What is known after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aftermath {
    /// A cluster has not done it, and may when it is asked again: it has moved the key, or the connection to a node was
    /// not there.
    Again,
    /// It may have been done, or not: the connection was lost, perhaps long ago, or is of no use.
    Lost,
    /// Whatever happened, to ask again would not help.
    Final,
}

/// Pauses between attempts to reach the node of a cluster that has a key.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(20), Duration::from_millis(40)];

impl Link {
    /// Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        let Checked { target, name } = settings.check()?;
        let state = Mutex::new(State::Closed(0));
        Ok(Self(Arc::new(Shared { target, name, timeout: settings.timeout, state })))
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// What the server answers to a command. It can be awaited anywhere.
    pub(super) async fn ask(&self, command: Cmd, effect: Effect) -> Result<Value> {
        self.in_time(async { self.0.attempts(&command, effect).await.map_err(|error| self.0.failed(error)) }).await
    }

    /// What a script answers that writes to one key.
    pub(super) async fn run<const N: usize>(
        &self,
        script: &Program,
        key: &str,
        arguments: [&[u8]; N],
    ) -> Result<Value> {
        let command = |name: &str, of: &str| {
            let mut command = redis::cmd(name);
            command.arg(of).arg(1).arg(key).arg(&arguments[..]);
            command
        };
        self.in_time(async {
            let known = self.0.attempts(&command("EVALSHA", script.script.get_hash()), Effect::Writes).await;
            let answer = match known {
                Err(Trouble::Redis(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    // The node that has the key learns it by this: to load it would ask all nodes of a cluster.
                    self.0.attempts(&command("EVAL", script.code), Effect::Writes).await
                }
                answer => answer,
            };
            answer.map_err(|error| self.0.failed(error))
        })
        .await
    }

    async fn in_time(&self, work: impl Future<Output = Result<Value>>) -> Result<Value> {
        let late = |_| self.0.error(format!("it did not answer within {} ms", self.0.timeout.as_millis()));
        runtime::entered(async { timeout(self.0.timeout, work).await.map_err(late)? }).await?
    }

    /// What is answered that fits no command of ours.
    pub(super) fn unexpected(&self) -> PluginError {
        self.0.error("it answers what was not asked")
    }
}

/// A script, by which the server does several things on one key as one.
pub(super) struct Program {
    code: &'static str,
    script: Script,
}

impl Program {
    pub(super) fn new(code: &'static str) -> Self {
        Self { code, script: Script::new(code) }
    }
}

enum Trouble {
    Redis(RedisError),
    Opening(PluginError),
}

impl Shared {
    async fn attempts(self: &Arc<Self>, command: &Cmd, effect: Effect) -> Result<Value, Trouble> {
        let (mut pauses, mut is_lost) = (PAUSES.iter(), false);
        loop {
            let (number, mut connection) = self.open().await.map_err(Trouble::Opening)?;
            let error = match connection.send(command).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let may_help = match self.aftermath(&error) {
                Aftermath::Again => match pauses.next() {
                    Some(pause) => {
                        sleep(*pause).await;
                        true
                    }
                    None => false,
                },
                Aftermath::Lost => {
                    self.close(number);
                    effect == Effect::Reads && !std::mem::replace(&mut is_lost, true)
                }
                Aftermath::Final => false,
            };
            if !may_help {
                return Err(Trouble::Redis(error));
            }
        }
    }

    fn aftermath(&self, error: &RedisError) -> Aftermath {
        let is_cluster = self.is_cluster();
        match error.kind() {
            ErrorKind::ClusterConnectionNotFound => Aftermath::Again,
            ErrorKind::Server(
                ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain | ServerErrorKind::ReadOnly,
            ) if is_cluster => Aftermath::Again,
            // Its name may lead to another server by now, which has taken over.
            ErrorKind::Server(ServerErrorKind::ReadOnly) => Aftermath::Lost,
            _ if error.is_unrecoverable_error() => Aftermath::Lost,
            _ => Aftermath::Final,
        }
    }

    /// The connection, and its number.
    async fn open(self: &Arc<Self>) -> Result<(u64, Connection)> {
        let mut opened = match &mut *self.state() {
            State::Open(number, connection) => return Ok((*number, connection.clone())),
            State::Opening(_, opened) => opened.clone(),
            state @ State::Closed(_) => self.begin(state)?,
        };
        // It is opened for all who wait, and even when none of them waits so long.
        let outcome = opened.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
        let mut state = self.state();
        match (outcome, &*state) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(())), State::Open(number, connection)) => Ok((*number, connection.clone())),
            (Some(Ok(())), _) => Err(self.error("the connection was closed at once")),
            (None, State::Opening(number, _)) => {
                *state = State::Closed(number + 1);
                Err(self.error("the opening of the connection panicked"))
            }
            (None, _) => Err(self.error("the opening of the connection panicked")),
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State) -> Result<watch::Receiver<Option<Result<()>>>> {
        let State::Closed(number) = *state else { return Err(self.error("it is connected")) };
        let (sender, opened) = watch::channel(None);
        let shared = Arc::clone(self);
        let opening = async move {
            let outcome = shared.connect(number).await;
            let (next, outcome) = match outcome {
                Ok(connection) => (State::Open(number, connection), Ok(())),
                Err(error) => (State::Closed(number + 1), Err(shared.failed(Trouble::Redis(error)))),
            };
            *shared.state() = next;
            sender.send_replace(Some(outcome));
        };
        runtime::spawn(opening)?.detach();
        *state = State::Opening(number, opened.clone());
        Ok(opened)
    }

    async fn connect(self: &Arc<Self>, number: u64) -> RedisResult<Connection> {
        match &self.target {
            Target::Server(client) => {
                let shared: Weak<Self> = Arc::downgrade(self);
                // Before the next call, so that it is no error.
                let closed = move |told: PushInfo| {
                    if let (PushKind::Disconnection, Some(shared)) = (told.kind, shared.upgrade()) {
                        shared.close(number);
                    }
                    Ok::<(), ()>(())
                };
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(self.timeout))
                    // A call is bounded as a whole.
                    .set_response_timeout(None)
                    .set_push_sender(closed);
                client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Server)
            }
            Target::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }

    /// Has the next call open a connection, unless that was done already. A cluster's does so itself, for each node.
    fn close(&self, number: u64) {
        let mut state = self.state();
        if matches!(&*state, State::Open(open, Connection::Server(_)) if *open == number) {
            *state = State::Closed(number + 1);
        }
    }

    fn is_cluster(&self) -> bool {
        matches!(self.target, Target::Cluster(_))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In words without keys, values and credentials: of what a server says, only the first word.
    fn failed(&self, trouble: Trouble) -> PluginError {
        let error = match trouble {
            Trouble::Opening(error) => return error,
            Trouble::Redis(error) => error,
        };
        let is_code = |code: &&str| code.bytes().all(|byte| byte.is_ascii_uppercase());
        match (error.kind(), error.code().filter(is_code)) {
            (ErrorKind::Server(ServerErrorKind::Moved), _) if !self.is_cluster() => {
                self.error("it is a node of a cluster: expected `redis+cluster://` in `url`")
            }
            (_, Some(code)) => self.error(format!("the server says {code}")),
            (ErrorKind::Io, None) => self.error(error),
            _ => self.error(error.category()),
        }
    }

    fn error(&self, what: impl std::fmt::Display) -> PluginError {
        PluginError::failed(format!("{}: {what}", self.name))
    }
}

impl Connection {
    async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Server(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => {
                let answer = command.query_async(connection).await;
                match answer {
                    Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::Ask) => {
                        asking(connection, command, error).await
                    }
                    answer => answer,
                }
            }
        }
    }
}

/// Asks the node to which the key is being moved.
async fn asking(connection: &mut ClusterConnection, command: &Cmd, error: RedisError) -> RedisResult<Value> {
    let node = error.redirect_node().and_then(|(address, _)| address.rsplit_once(':'));
    let Some((host, Ok(port))) = node.map(|(host, port)| (host.to_owned(), port.parse())) else { return Err(error) };
    let mut pipeline = redis::pipe();
    pipeline.cmd("ASKING").add_command(command.clone());
    let route = SingleNodeRoutingInfo::ByAddress { host, port };
    let answer = connection.route_pipeline(pipeline, 1, 1, route).await?.pop();
    answer.unwrap_or(Value::Nil).extract_error()
}
