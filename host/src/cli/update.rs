//! `token-host update`: changes what is kept of a token.

use std::path::Path;

use clap::{ArgGroup, Args};
use serde_json::Value;
use token_host::{Expires, UpdateToken};

use super::{
    exit::Failure,
    filter::json,
    keeper::Handler,
    now,
    output::Output,
    record,
    selector::OneToken,
    time::{Time, time},
};

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true)))]
#[group(skip)]
pub(crate) struct Update {
    #[command(flatten)]
    token: OneToken,

    #[command(flatten)]
    change: Change,

    #[command(flatten)]
    handler: Handler,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// Its note
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    note: Option<String>,

    /// Its policy document
    #[arg(long, value_name = "JSON", value_parser = json, allow_hyphen_values = true, conflicts_with = "no_policy")]
    policy: Option<Value>,

    /// Take its policy document away
    #[arg(long)]
    no_policy: bool,

    /// When it expires: `never`, Unix seconds, `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS` (UTC), or 30d for 30 days from now
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    expires: Option<Expiry>,

    /// Whether it is valid; `invalidate` also takes a reason
    #[arg(long, value_name = "BOOL")]
    valid: Option<bool>,
}

#[derive(Debug, Clone, Copy)]
enum Expiry {
    Never,
    At(Time),
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" { Ok(Expiry::Never) } else { time(text).map(Expiry::At) }
}

impl Update {
    /// Changes it, and prints it as it is now.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let now = now();
        let mut request = UpdateToken::new(self.token.required()?);
        request.note = self.change.note;
        request.policy = if self.change.no_policy { Some(Value::Null) } else { self.change.policy };
        request.expires = self.change.expires.map(|expiry| match expiry {
            Expiry::Never => Expires::Never,
            Expiry::At(time) => Expires::At(time.ahead(now)),
        });
        request.valid = self.change.valid;
        let updated = self.handler.open(config, output)?.update(&request)?;
        record::print(&updated, now, output)
    }
}
