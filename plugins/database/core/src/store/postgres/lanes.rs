//! [`Lanes`]: connections on which one statement has many calls in flight.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use token_plugin_api::{
    PluginError, Result,
    runtime::{self, Task},
};
use tokio::sync::watch;
use tokio_postgres::{Client, Row, Statement, types::ToSql};

use super::{
    connector::{Connector, Link, Pauses, ended},
    hidden::Hidden,
};

/// Connections with one statement, opened by the first call and again whenever they are lost. A call is sent at once,
/// behind those that are not answered yet; while no connection is open, and the last attempt failed, it is an error
/// at once.
pub(super) struct Lanes {
    connector: Arc<Connector>,
    count: usize,
    plan: Plan,
    lanes: OnceLock<Result<Vec<Lane>>>,
    next: AtomicUsize,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Settings of the session.
    pub(super) session: &'static str,
    /// The statement.
    pub(super) statement: String,
}

/// One connection with the statement on it.
pub(super) struct Ready {
    client: Client,
    statement: Statement,
}

struct Lane {
    state: watch::Receiver<State>,
    _supervisor: Task<()>,
}

enum State {
    Opening,
    Open(Arc<Ready>),
    /// It could not be opened, and is tried again.
    Failed(PluginError),
}

impl Lanes {
    /// So many, for this. Nothing is opened yet.
    pub(super) fn new(connector: Arc<Connector>, count: usize, plan: Plan) -> Self {
        Self { connector, count, plan, lanes: OnceLock::new(), next: AtomicUsize::new(0) }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A connection that is open: each in its turn.
    pub(super) async fn ready(&self) -> Result<Arc<Ready>> {
        let lanes = self.lanes.get_or_init(|| self.begin()).as_ref().map_err(Clone::clone)?;
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.count;
        let in_turn = || lanes.iter().cycle().skip(first).take(self.count);
        for lane in in_turn() {
            if let State::Open(ready) = &*lane.state.borrow()
                && !ready.client.is_closed()
            {
                return Ok(Arc::clone(ready));
            }
        }
        let mut failed = self.connector.error("it is not connected");
        for lane in in_turn() {
            match lane.state.clone().wait_for(State::is_settled).await.as_deref() {
                Ok(State::Open(ready)) => return Ok(Arc::clone(ready)),
                Ok(State::Failed(error)) => failed = error.clone(),
                Ok(State::Opening) | Err(_) => {}
            }
        }
        Err(failed)
    }

    fn begin(&self) -> Result<Vec<Lane>> {
        let lane = |_| {
            let (sender, state) = watch::channel(State::Opening);
            let supervisor = supervise(Arc::clone(&self.connector), self.plan.clone(), sender);
            Ok(Lane { state, _supervisor: runtime::spawn(supervisor)? })
        };
        (0..self.count).map(lane).collect()
    }
}

impl Ready {
    /// The one row that this statement gives with these parameters, if any.
    pub(super) async fn row(&self, parameters: &[Hidden<'_>]) -> Result<Option<Row>, tokio_postgres::Error> {
        let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|hidden| hidden as _).collect();
        self.client.query_opt(&self.statement, &parameters).await
    }
}

impl State {
    /// Whether it is worth no waiting. A connection that was just closed is opened again in no time.
    fn is_settled(&self) -> bool {
        match self {
            Self::Opening => false,
            Self::Open(ready) => !ready.client.is_closed(),
            Self::Failed(_) => true,
        }
    }
}

/// Keeps one connection open for ever.
async fn supervise(connector: Arc<Connector>, plan: Plan, state: watch::Sender<State>) {
    let mut pauses = Pauses::new();
    loop {
        match open(&connector, &plan).await {
            Ok((ready, driver)) => {
                pauses = Pauses::new();
                state.send_replace(State::Open(Arc::clone(&ready)));
                ended(&ready.client, driver, connector.timeout).await;
                state.send_replace(State::Opening);
            }
            Err(error) => {
                let was_lost = !matches!(state.send_replace(State::Failed(error.clone())), State::Failed(_));
                if was_lost {
                    tracing::warn!(%error, "no connection");
                }
                pauses.pause().await;
            }
        }
    }
}

async fn open(connector: &Connector, plan: &Plan) -> Result<(Arc<Ready>, Task<()>)> {
    let Link { client, driver } = connector.open().await?;
    let prepared = async {
        client.batch_execute(plan.session).await?;
        client.prepare(&plan.statement).await
    };
    let statement = connector.in_time(prepared).await?;
    Ok((Arc::new(Ready { client, statement }), driver))
}
