//! `token-host explain`: what each handler says to a token.

use std::path::Path;

use clap::Args;

use super::{exit::Failure, host, output::Output, table::table};

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The token
    #[arg(allow_hyphen_values = true)]
    token: String,
}

impl Explain {
    /// Prints each handler in call order with its answer, and what became of the token. Never the token.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let explanation = host(config, output)?.explain_blocking(&self.token);
        if output.is_json() {
            return output.json(&explanation);
        }
        let rows: Vec<[String; 5]> = explanation
            .handlers
            .iter()
            .map(|step| {
                let took = step.took_us.map(|took| format!("{took:.1} us")).unwrap_or_default();
                let reason = step.reason.clone().unwrap_or_default();
                [step.handler.clone(), step.plugin.clone(), step.said.replace('_', " "), took, reason]
            })
            .collect();
        output.line(&table(["HANDLER", "PLUGIN", "SAID", "TOOK", "WHY"], &rows))?;
        if !explanation.wrappers.is_empty() {
            output.line(&format!("inside of: {}", explanation.wrappers.join(", ")))?;
        }
        let mut outcome = format!("outcome: {}", explanation.status.replace('_', " "));
        if let Some(reason) = &explanation.reason {
            outcome.push_str(&format!(": {reason}"));
        }
        output.line(&outcome)?;
        match &explanation.actor {
            Some(actor) => output.json(actor),
            None => Ok(()),
        }
    }
}
