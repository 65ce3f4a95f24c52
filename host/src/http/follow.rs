//! [`follow`]: what is done when the host has a new generation: its certificate is read, and what wants a restart is said.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use super::{
    listen::{Listener, Started},
    service::Service,
    tls::Tls,
};

/// How often to look. Who connects meanwhile gets the new certificate all the same.
const LOOK: Duration = Duration::from_millis(500);

/// What follows the host's generations.
pub(super) struct Following {
    started: Option<Arc<Started>>,
    tls: Option<Arc<Tls>>,
}

impl Following {
    pub(super) fn of(listeners: &[Listener]) -> Self {
        Self {
            started: listeners.first().map(|listener| Arc::clone(&listener.started)),
            tls: listeners.iter().find_map(|listener| listener.tls.clone()),
        }
    }

    /// Does it for ever.
    pub(super) async fn run(self, service: Service) {
        let Some(started) = self.started else { return };
        let mut seen = started.generation;
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let generation = service.host().generation();
            if generation == seen {
                continue;
            }
            seen = generation;
            if let Some(tls) = &self.tls {
                tls.follow(service.host()).await;
            }
            let settings = service.settings();
            for what in started.differences(&settings) {
                tracing::warn!(target: "http", generation, "{what} has changed: that wants a restart");
            }
        }
    }
}
