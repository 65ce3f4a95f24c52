//! `token-host plan`: the order before a change of the configuration and after it. Loads nothing.

use std::path::{Path, PathBuf};

use clap::Args;
use token_host::{Outline, Plan};

use super::{builder, exit::Failure, output::Output, table::table};

#[derive(Debug, Args)]
pub(crate) struct Planned {
    /// The configuration as it would be
    new: PathBuf,
}

impl Planned {
    /// Prints both orders and what differs between them.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let plan = Plan::between(builder(config).outline()?, builder(&self.new).outline()?);
        for finding in &plan.after.warnings {
            output.note(&finding.to_string());
        }
        if output.is_json() {
            return output.json(&plan);
        }
        output.line(&format!("Before, {}:\n\n{}\n", config.display(), shown(&plan.before)))?;
        output.line(&format!("After, {}:\n\n{}\n", self.new.display(), shown(&plan.after)))?;
        match plan.changes.as_slice() {
            [] => output.line("Nothing changes."),
            changes => output.line(&format!("Changes:\n\n{}", changes.join("\n"))),
        }
    }
}

fn shown(outline: &Outline) -> String {
    let rows: Vec<[String; 4]> = outline
        .rows
        .iter()
        .map(|row| {
            let file = row.file.clone().unwrap_or_default();
            [row.plugin.clone(), row.kind.to_owned(), file, row.reason.clone()]
        })
        .collect();
    table(["PLUGIN", "KIND", "FILE", "WHY HERE"], &rows)
}
