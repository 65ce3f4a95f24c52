//! `token-host invalidate`: makes tokens worthless before their time.

use std::{io::Read, path::Path};

use clap::Args;
use serde_json::json;
use token_host::{
    Actors, InvalidateTokens, TokenFilter, TokenSelector,
    token_plugin_api::{Cutoff, InvalidatedToken},
};

use super::{exit::Failure, host, output::Output};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Invalidate {
    #[command(flatten)]
    which: Which,

    /// Only those made before this time, in Unix seconds
    #[arg(long, value_name = "TIME", conflicts_with_all = ["token", "id"])]
    created_before: Option<u64>,

    /// Why; kept with the token, and told to event sinks
    #[arg(long, default_value = "", value_name = "TEXT", allow_hyphen_values = true)]
    reason: String,

    /// The handler whose tokens they are [default: the first in call order that keeps any]
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// This token, or `-` to read it from stdin: what stands in a command others may see
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    /// The token with this id
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    id: Option<String>,

    /// The tokens of this actor; may be given several times
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    actor: Vec<String>,

    /// The tokens of all actors
    #[arg(long)]
    everyone: bool,
}

impl Invalidate {
    /// Invalidates, and prints what was valid before.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let host = host(config, output)?;
        let handler = self.handler.clone();
        let request = InvalidateTokens::new(self.selector()?, self.reason);
        let invalidated = host.invalidate_tokens_blocking(handler.as_deref(), &request)?;
        if output.is_json() {
            return output.json(&json!({ "tokens": invalidated.tokens, "cutoffs": invalidated.cutoffs }));
        }
        for InvalidatedToken { id, actor_id, .. } in &invalidated.tokens {
            output.line(&match actor_id.as_str() {
                "" => format!("token {id}"),
                actor => format!("token {id} of {actor}"),
            })?;
        }
        for Cutoff { actor_id, created_before, .. } in &invalidated.cutoffs {
            let whose = actor_id.as_deref().map_or("all tokens".to_owned(), |actor| format!("all tokens of {actor}"));
            output.line(&format!("{whose} made before {created_before}"))?;
        }
        if invalidated.tokens.is_empty() && invalidated.cutoffs.is_empty() {
            output.note("nothing that was valid");
        }
        Ok(())
    }

    fn selector(&self) -> Result<TokenSelector, Failure> {
        let Which { token, id, actor, everyone } = &self.which;
        Ok(match (token, id) {
            (Some(token), _) if token == "-" => TokenSelector::Token(from_stdin()?),
            (Some(token), _) => TokenSelector::Token(token.clone()),
            (None, Some(id)) => TokenSelector::Id(id.clone()),
            (None, None) => {
                let actors = if *everyone { Actors::Everyone } else { Actors::These(actor.clone()) };
                let mut filter = TokenFilter::of(actors);
                filter.created_before = self.created_before;
                TokenSelector::Filter(filter)
            }
        })
    }
}

fn from_stdin() -> Result<String, Failure> {
    const MAX_BYTES: u64 = 1 << 20;
    let mut token = String::new();
    let read = std::io::stdin().take(MAX_BYTES).read_to_string(&mut token);
    read.map_err(|error| Failure::Arguments(format!("cannot read stdin: {error}")))?;
    token.truncate(token.trim_end_matches(['\r', '\n']).len());
    Ok(token)
}
