//! Hears what other hosts change.

use std::{sync::Arc, time::Duration};

use token_plugin_api::PluginError;

use super::connector::{Connector, Pauses, ended};
use crate::cutoffs::{Cutoffs, Notice};

/// Tells cutoffs of changes, for ever.
pub(super) async fn follow(connector: Arc<Connector>, cutoffs: Arc<Cutoffs>) {
    /// How long it may stay unnoticed that nothing is heard any more, a second between two questions apart.
    const PATIENCE: Duration = Duration::from_secs(1);
    let mut pauses = Pauses::new();
    let mut was_heard = true;
    loop {
        let told = Arc::clone(&cutoffs);
        let heard = async {
            let link = connector.connect(move |text| told.tell(&Notice::from_text(text))).await?;
            let listen = format!("LISTEN \"{}\"", connector.channel);
            connector.in_time(link.client.batch_execute(&listen)).await?;
            Ok::<_, PluginError>(link)
        };
        match heard.await {
            Ok(link) => {
                let _hearing = Hearing::begin(&cutoffs);
                (pauses, was_heard) = (Pauses::new(), true);
                ended(&link.client, link.driver, PATIENCE).await;
            }
            Err(error) if was_heard => {
                was_heard = false;
                tracing::warn!(%error, "changes that other hosts make are not heard: nothing is cached");
            }
            Err(_) => {}
        }
        pauses.pause().await;
    }
}

/// Notices are heard as long as there is this.
struct Hearing<'c>(&'c Cutoffs);

impl<'c> Hearing<'c> {
    fn begin(cutoffs: &'c Cutoffs) -> Self {
        cutoffs.found();
        Self(cutoffs)
    }
}

impl Drop for Hearing<'_> {
    fn drop(&mut self) {
        self.0.lost();
    }
}
