//! `/healthz`: the process answers. `/readyz`: its plugins do, and the stores behind them.

use std::time::Duration;

use ::http::{HeaderValue, StatusCode, header};
use axum::{
    Json,
    extract::Extension,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use token_plugin_api::TokenSelector;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::service::Service;
use crate::{error::ErrorKind, host::Host};

/// How long an answer of `/readyz` is good: probes come from several sides, and must not become a load.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How long a handler may take to say whether its store is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// The id of a token that nobody has. To be asked for it is all that a store needs to show that it is there. A number, since
/// for what cannot be an id some handlers ask no store; and one that none gets to.
const NOBODY: &str = "9223372036854775807";

/// The last answer of `/readyz`.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Ready)>>);

/// Whether requests may come.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Ready {
    /// Whether all of them are well.
    pub(crate) ready: bool,
    /// The present generation.
    pub(crate) generation: u64,
    /// Each handler in call order.
    pub(crate) handlers: Vec<HandlerReady>,
}

/// Whether a handler can be asked.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct HandlerReady {
    /// Its name.
    pub(crate) handler: String,
    /// Whether it can.
    pub(crate) ready: bool,
    /// `serving`, `tripped` or `probing`.
    pub(crate) state: String,
}

/// The process is there and answers.
pub(super) async fn healthz() -> Response {
    ([(header::CACHE_CONTROL, NO_STORE)], "ok\n").into_response()
}

/// 200 when every handler can be asked, 503 when one cannot.
pub(super) async fn readyz(Extension(service): Extension<Service>) -> Response {
    let mut last = service.0.readiness.0.lock().await;
    let ready = match last.as_ref().filter(|(at, _)| at.elapsed() < GOOD_FOR) {
        Some((_, ready)) => ready.clone(),
        None => {
            let ready = look(service.host()).await;
            // Good from when it is there: of those that waited for it, none is to look again.
            last.insert((Instant::now(), ready)).1.clone()
        }
    };
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, NO_STORE)], Json(ready)).into_response()
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

async fn look(host: &Host) -> Ready {
    let mut handlers = Vec::new();
    for row in host.plugins().into_iter().filter(|row| row.kind == "handler") {
        let nobody = TokenSelector::Id(NOBODY.to_owned());
        let asked = timeout(PATIENCE, host.get_token(Some(&row.name), &nobody)).await;
        let is_there = match asked {
            Ok(Ok(_)) => true,
            // It keeps no tokens; or none of this form.
            Ok(Err(error)) => matches!(
                error.kind(),
                ErrorKind::Unsupported | ErrorKind::NotFound(_) | ErrorKind::InvalidArgument | ErrorKind::Disabled
            ),
            Err(_) => false,
        };
        let state = row.state.unwrap_or_default().to_owned();
        handlers.push(HandlerReady { handler: row.name, ready: is_there, state });
    }
    let ready = !handlers.is_empty() && handlers.iter().all(|handler| handler.ready);
    Ready { ready, generation: host.generation(), handlers }
}
