//! `token-host plugins`: what is registered, in call order, and why it stands there.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;
use serde_json::json;
use token_host::{
    Error, Host, PluginRow, Status,
    config::{Origin, order_entries},
    order::{Registration, call_order, ordinal},
};

use super::{exit::Failure, host, output::Output, table::table};

/// The longest file that `--order-only` reads, in bytes.
const MAX_ORDER_FILE_BYTES: u64 = 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct Plugins {
    /// Load nothing: order the [[plugin]] entries of this TOML file by their `name`, `tryfirst`,
    /// `trylast` and `wrapper`
    #[arg(long, value_name = "FILE")]
    order_only: Option<PathBuf>,
}

/// A row of `--order-only`: what the order law alone can tell.
#[derive(Debug, Serialize)]
struct OrderRow {
    name: String,
    plugin: String,
    kind: &'static str,
    tryfirst: bool,
    trylast: bool,
    wrapper: bool,
    reason: String,
}

impl Plugins {
    /// Prints the list, as a table or as JSON.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        match &self.order_only {
            Some(file) => order_only(file, output),
            None => registered(config, output),
        }
    }
}

fn registered(config: &Path, output: &Output) -> Result<(), Failure> {
    let host = host(config, output)?;
    let rows = host.plugins();
    if output.is_json() {
        return output.json(&json!({ "plugins": rows, "status": host.status() }));
    }
    let rows: Vec<[String; 9]> = rows
        .iter()
        .map(|row: &PluginRow| {
            let claims = if row.claims.is_empty() { String::new() } else { row.claims.join(" ") };
            let from = row.file.as_deref().map_or("linked in", |file| file.rsplit(['/', '\\']).next().unwrap_or(file));
            let about = match (&row.version, row.abi_level) {
                (Some(version), Some(level)) => format!("{from} {version}, ABI {level}"),
                _ => from.to_owned(),
            };
            [
                row.name.clone(),
                row.plugin.clone(),
                row.kind.to_owned(),
                row.execution.unwrap_or_default().to_owned(),
                claims,
                about,
                row.generation.to_string(),
                condition(row),
                row.reason.clone(),
            ]
        })
        .collect();
    output.line(&table(
        ["NAME", "PLUGIN", "KIND", "EXECUTION", "CLAIMS", "FILE", "GENERATION", "STATE", "WHY HERE"],
        &rows,
    ))?;
    let Status { generation, libraries, .. } = host.status();
    output.line(&format!(
        "\nGeneration {generation}; {} libraries of {} bytes are mapped, {} of {} bytes are superseded.",
        libraries.mapped, libraries.mapped_bytes, libraries.superseded, libraries.superseded_bytes
    ))?;
    match patterns(&host).as_slice() {
        [] => Ok(()),
        patterns => output.line(&format!(
            "\nWhat secret scanners may look for:\n\n{}",
            table(["GENERATOR", "REGULAR EXPRESSION"], patterns)
        )),
    }
}

/// They are long, and few have one: no column of the list.
fn patterns(host: &Host) -> Vec<[String; 2]> {
    host.plugins().into_iter().filter_map(|row| Some([row.name, row.pattern?])).collect()
}

/// How it fares: `serving`, `tripped after 10 failures`, `serving, 2 slow calls`.
fn condition(row: &PluginRow) -> String {
    let mut condition = row.state.unwrap_or_default().to_owned();
    let counts = [
        (u64::from(row.failures_in_a_row.unwrap_or_default()), "failures in a row"),
        (row.slow_calls.unwrap_or_default(), "slow calls"),
    ];
    for (count, what) in counts {
        if count > 0 {
            let comma = if condition.is_empty() { "" } else { ", " };
            condition.push_str(&format!("{comma}{count} {what}"));
        }
    }
    condition
}

fn order_only(file: &Path, output: &Output) -> Result<(), Failure> {
    let mut text = String::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(MAX_ORDER_FILE_BYTES).read_to_string(&mut text));
    read.map_err(|error| Failure::Arguments(format!("cannot read {}: {error}", file.display())))?;
    let entries = order_entries(&text, Origin::File(file.to_owned())).map_err(Error::from)?;
    let registrations: Vec<Registration> = entries
        .into_iter()
        .map(|entry| Registration {
            name: entry.name,
            tryfirst: entry.tryfirst,
            trylast: entry.trylast,
            wrapper: entry.wrapper,
        })
        .collect();
    let rows: Vec<OrderRow> = call_order(&registrations)
        .into_iter()
        .map(|place| {
            let Registration { name, tryfirst, trylast, wrapper } = registrations[place].clone();
            let mut reason = format!("registered {}", ordinal(place));
            for (flag, set) in [("tryfirst", tryfirst), ("trylast", trylast)] {
                if set {
                    reason.push_str(&format!("; {flag} from config"));
                }
            }
            let kind = if wrapper { "wrapper" } else { "handler" };
            OrderRow { plugin: name.clone(), name, kind, tryfirst, trylast, wrapper, reason }
        })
        .collect();
    if output.is_json() {
        return output.json(&rows);
    }
    let rows: Vec<[String; 3]> = rows.into_iter().map(|row| [row.name, row.kind.to_owned(), row.reason]).collect();
    output.line(&table(["NAME", "KIND", "WHY HERE"], &rows))
}
