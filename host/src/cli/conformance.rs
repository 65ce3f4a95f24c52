//! `token-host conformance`: whether a plugin keeps the contract that hosts rely on.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{builder, exit::Failure, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Conformance {
    /// The library. Its settings are those of the `[[plugin]]` entry in the configuration that names it; tokens that it
    /// makes stay where it keeps them
    file: PathBuf,
}

impl Conformance {
    /// Prints a line for each check; refused when one of them failed.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let mut written = Ok(());
        let report = builder(config).conformance(&self.file, |check| {
            if !output.is_json() && written.is_ok() {
                written = output.line(&check.to_string());
            }
        })?;
        written?;
        if output.is_json() {
            output.json(&report)?;
        }
        if report.is_good() { Ok(()) } else { Err(Failure::Refused) }
    }
}
