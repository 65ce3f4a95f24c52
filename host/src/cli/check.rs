//! `token-host check`: everything that starting would do, and every finding. Writes nothing.

use std::path::Path;

use serde_json::{Value, json};
use token_host::{
    config::{Finding, Severity},
    http,
};

use super::{builder, exit::Failure, output::Output};

/// Prints the findings; refused when one of them is an error.
pub(crate) fn run(config: &Path, output: &Output) -> Result<(), Failure> {
    let checked = builder(config).check().and_then(|host| Ok((http::check(&host)?, host)));
    let (findings, ok): (Vec<Finding>, _) = match &checked {
        Ok((warnings, host)) => (host.warnings().into_iter().chain(warnings.iter().cloned()).collect(), true),
        Err(error) => (error.findings().to_vec(), false),
    };
    let findings: Vec<Finding> = findings.into_iter().chain(of_this_program()).collect();
    if output.is_json() {
        let list: Vec<Value> = findings.iter().map(as_json).collect();
        output.json(&json!({ "ok": ok, "findings": list }))?;
    } else {
        for finding in &findings {
            output.line(&finding.to_string())?;
        }
    }
    match checked {
        Ok(_) if output.is_json() => Ok(()),
        Ok((_, host)) => {
            let rows = host.plugins();
            let handlers = rows.iter().filter(|row| row.kind == "handler").count();
            output.line(&format!("{}: good, {handlers} of {} registrations are handlers", config.display(), rows.len()))
        }
        Err(error) if error.findings().is_empty() => Err(Failure::Host(error)),
        Err(_) => Err(Failure::Refused),
    }
}

/// What the operator should know of how this very program was built.
fn of_this_program() -> Option<Finding> {
    cfg!(all(target_feature = "sha", target_feature = "avx")).then(|| Finding {
        origin: None,
        place: None,
        plugin: None,
        message: format!("token-host: {}", token_host::SLOW_HASHING),
        severity: Severity::Warning,
    })
}

fn as_json(finding: &Finding) -> Value {
    json!({
        "severity": match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            _ => "notice",
        },
        "file": finding.origin,
        "line": finding.place.map(|place| place.line),
        "column": finding.place.map(|place| place.column),
        "plugin": finding.plugin,
        "message": finding.message,
    })
}
