//! The check `concurrency`: calls from many threads do not disturb each other.

use std::{sync::Barrier, thread};

use super::{
    capture,
    creation::expect_actor,
    handler::Handler,
    report::{Checked, Stop, failed},
};
use crate::{CreateToken, CreatedToken};

const THREADS: usize = 8;
const ROUNDS: usize = 100;

pub(super) fn concurrency(handler: &Handler<'_>) -> Checked {
    let shared = handler.good_token(&handler.request())?;
    // Actors of their own, so that a mix-up shows; unless the handler knows its actors and these are strangers.
    let requests: Vec<_> = (0..THREADS)
        .map(|thread| handler.request_for(format!("{}-{thread}", handler.request().actor_id)))
        .map(|request| if handler.create(&request).is_ok() { request } else { handler.request() })
        .collect();
    let start = Barrier::new(THREADS);
    let done = thread::scope(|scope| {
        let threads: Vec<_> = requests
            .iter()
            .map(|request| {
                scope.spawn(|| {
                    capture::listening(handler.ledger(), || {
                        start.wait();
                        (0..ROUNDS).try_for_each(|_| round(handler, request, &shared))
                    })
                })
            })
            .collect();
        let ended = threads.into_iter().map(|thread| thread.join());
        ended.map(|ended| ended.unwrap_or_else(|_| failed("a thread panicked"))).collect::<Vec<_>>()
    });
    done.into_iter().collect::<Checked>().map_err(|stop| match stop {
        Stop::Failed(why) => Stop::Failed(format!("with {THREADS} threads at once: {why}")),
        skipped => skipped,
    })
}

fn round(handler: &Handler<'_>, request: &CreateToken, shared: &CreatedToken) -> Checked {
    match handler.create(request) {
        Ok(token) => expect_actor(handler, &token, &request.actor_id)?,
        Err(error) => return failed(format!("a creation got an error: {}", handler.quotable(&error))),
    }
    expect_actor(handler, shared, &handler.request().actor_id)
}
