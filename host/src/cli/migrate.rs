//! `token-host migrate`: brings a handler's store to the form that it needs.

use std::path::Path;

use clap::Args;
use token_host::Migrate as Request;

use super::{
    exit::Failure,
    keeper::Handler,
    output::{Output, one_line},
};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Migrate {
    /// Show what would be done, and do nothing; the exit code is 1 when there is anything
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    handler: Handler,
}

impl Migrate {
    /// Migrates, or looks, and prints the steps.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let request = if self.check { Request::check() } else { Request::default() };
        let migrations = self.handler.open(config, output)?.migrate(request)?;
        if output.is_json() {
            output.json(&migrations)?;
        } else {
            let store = one_line(&migrations.store);
            output.line(&match migrations.steps.len() {
                0 => format!("{store}: has version {}, nothing to do", migrations.to),
                _ if self.check => format!("{store}: has version {}, needs {}", migrations.from, migrations.to),
                _ => format!("{store}: had version {}, has {} now", migrations.from, migrations.to),
            })?;
            for step in &migrations.steps {
                output.line(&format!("{}: {}", step.version, one_line(&step.title)))?;
            }
        }
        match migrations.steps.len() {
            count if self.check && count > 0 => Err(Failure::No(format!("steps to be done: {count}"))),
            _ => Ok(()),
        }
    }
}
