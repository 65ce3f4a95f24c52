//! `token-host purge`: deletes tokens that ended long ago.

use std::path::Path;

use clap::Args;
use serde_json::json;
use token_host::DeleteTokens;

use super::{confirm::Confirm, exit::Failure, keeper::Handler, lifetime, now, output::Output, time::shown};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Purge {
    /// Those that were invalidated or expired longer ago than this: seconds, or with a unit, as in 12h, 90d
    #[arg(long, value_name = "AGE", value_parser = lifetime::seconds)]
    older_than: u64,

    /// Count them, and delete nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    handler: Handler,
}

impl Purge {
    /// Counts, asks, deletes.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let consent = if self.dry_run { None } else { Some(self.confirm.consent()?) };
        let keeper = self.handler.open(config, output)?;
        let mut request = DeleteTokens::new(now().saturating_sub(self.older_than));
        request.dry_run = true;
        let mut count = keeper.delete(&request)?;
        let which = format!("that ended before {}", shown(request.ended_before));
        if let Some(consent) = consent.filter(|_| count > 0) {
            consent.to(&format!(
                "{count} tokens {which} are to be deleted: from then on nobody knows that there were such."
            ))?;
            request.dry_run = false;
            count = keeper.delete(&request)?;
        }
        if output.is_json() {
            return output.json(&json!({
                "count": count,
                "ended_before": request.ended_before,
                "dry_run": self.dry_run,
            }));
        }
        output.line(&format!("{}: {count} tokens {which}", if self.dry_run { "would be deleted" } else { "deleted" }))
    }
}
