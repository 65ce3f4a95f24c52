//! Which tokens a command is about: the conditions of a `TokenFilter` as options.

use clap::Args;
use serde_json::Value;
use token_host::{Actors, TokenFilter};

use super::time::{Time, time};

/// What may be asked of tokens. All conditions must hold.
#[derive(Debug, Args)]
#[group(id = "conditions", multiple = true)]
pub(crate) struct Conditions {
    /// Only those made by this generator
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    generator: Option<String>,

    /// Only those with this text in their note
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    note: Option<String>,

    /// Only those with this policy document; `null`: with none
    #[arg(long, value_name = "JSON", value_parser = json, allow_hyphen_values = true)]
    policy: Option<Value>,

    /// Only those made before this time: Unix seconds, `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS` (UTC), or 30d for 30 days ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    created_before: Option<Time>,

    /// Only those that were not used since this time, likewise
    #[arg(long, value_name = "TIME", value_parser = time)]
    unused_since: Option<Time>,

    /// Only expired ones
    #[arg(long, conflicts_with = "not_expired")]
    expired: bool,

    /// Only those that have not expired
    #[arg(long)]
    not_expired: bool,
}

impl Conditions {
    /// The tokens of these actors for which all of it holds.
    pub(crate) fn filter(&self, actors: Actors, now: u64) -> TokenFilter {
        let mut filter = TokenFilter::of(actors);
        filter.token_generator_id.clone_from(&self.generator);
        filter.note_contains.clone_from(&self.note);
        filter.policy.clone_from(&self.policy);
        filter.created_before = self.created_before.map(|time| time.ago(now));
        filter.unused_since = self.unused_since.map(|time| time.ago(now));
        filter.expired = either(self.expired, self.not_expired);
        filter
    }
}

/// The tokens of a listing: everyone's, unless it says whose.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Listed {
    /// Only the tokens of this actor; may be given several times
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    actor: Vec<String>,

    #[command(flatten)]
    conditions: Conditions,

    /// Only those that were not invalidated
    #[arg(long, conflicts_with = "invalid")]
    valid: bool,

    /// Only invalidated ones
    #[arg(long)]
    invalid: bool,
}

impl Listed {
    pub(crate) fn filter(self, now: u64) -> TokenFilter {
        let actors = if self.actor.is_empty() { Actors::Everyone } else { Actors::These(self.actor) };
        let mut filter = self.conditions.filter(actors, now);
        filter.valid = either(self.valid, self.invalid);
        filter
    }
}

/// A JSON document as an argument.
pub(crate) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))
}

/// What two options that exclude each other say.
fn either(yes: bool, no: bool) -> Option<bool> {
    (yes || no).then_some(yes)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        listed: Listed,
    }

    fn filter(arguments: &[&str]) -> TokenFilter {
        Command::try_parse_from([&["list"], arguments].concat()).unwrap().listed.filter(1_000_000)
    }

    #[test]
    fn nothing_said_is_everything() {
        assert_eq!(filter(&[]), TokenFilter::of(Actors::Everyone));
    }

    #[test]
    fn each_option_is_a_condition() {
        let mut expected = TokenFilter::of(Actors::These(vec!["ann".to_owned(), "-b".to_owned()]));
        expected.token_generator_id = Some("vendor".to_owned());
        expected.note_contains = Some("- ünit".to_owned());
        expected.policy = Some(Value::Null);
        expected.created_before = Some(1_000_000 - 86_400);
        expected.unused_since = Some(500);
        (expected.expired, expected.valid) = (Some(false), Some(true));
        let arguments =
            ["--actor", "ann", "--actor", "-b", "--generator", "vendor", "--note", "- ünit", "--policy", "null"];
        let more = ["--created-before", "1d", "--unused-since", "500", "--not-expired", "--valid"];
        assert_eq!(filter(&[&arguments[..], &more].concat()), expected);
        (expected.expired, expected.valid) = (Some(true), Some(false));
        let more = ["--created-before", "1d", "--unused-since", "500", "--expired", "--invalid"];
        assert_eq!(filter(&[&arguments[..], &more].concat()), expected);
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            &["--expired", "--not-expired"][..],
            &["--valid", "--invalid"],
            &["--policy", "{"],
            &["--created-before", "yesterday"],
        ] {
            assert!(Command::try_parse_from([&["list"], arguments].concat()).is_err(), "{arguments:?}");
        }
    }
}
