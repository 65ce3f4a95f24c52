//! `token-host show`: what a handler knows of one token.

use std::path::Path;

use clap::{ArgGroup, Args};

use super::{exit::Failure, keeper::Handler, now, output::Output, record, selector::OneToken};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true)))]
#[group(skip)]
pub(crate) struct Show {
    #[command(flatten)]
    token: OneToken,

    #[command(flatten)]
    handler: Handler,
}

impl Show {
    /// Prints everything but the token itself.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let token = self.token.required()?;
        let record = self.handler.open(config, output)?.find(&token)?;
        let record = record.ok_or_else(|| Failure::No("token not found".to_owned()))?;
        record::print(&record, now(), output)
    }
}
