//! `token-host create`: the flags of `datasette create-token`.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use token_host::{CreateToken, TokenDetails, TokenKind, TokenRestrictions, token_plugin_api::action_name};

use super::{exit::Failure, host, lifetime, output::Output};

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Whom the token is to stand for
    actor_id: String,

    /// The handler that is to make it [default: the first in call order that can]
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,

    /// How long it is to live: seconds, or with a unit, as in 15m, 12h, 30d
    #[arg(short, long, value_name = "TIME", value_parser = lifetime::seconds, allow_negative_numbers = true)]
    expires_after: Option<u64>,

    /// Allow an action everywhere; with any of these three options nothing else is allowed
    #[arg(short, long = "all", value_name = "ACTION")]
    all: Vec<String>,

    /// Allow an action on a database
    #[arg(short, long, num_args = 2, value_names = ["DATABASE", "ACTION"])]
    database: Vec<String>,

    /// Allow an action on a resource (a table, a view, a query) of a database
    #[arg(short, long, num_args = 3, value_names = ["DATABASE", "RESOURCE", "ACTION"])]
    resource: Vec<String>,

    /// What kind of token, for handlers that have kinds [default: the handler's usual one]
    #[arg(long, value_name = "KIND", value_enum)]
    kind: Option<Kind>,

    /// A claim to stand in the token, for handlers whose tokens carry claims; the value is JSON, or else text
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = member)]
    claims: Vec<(String, Value)>,

    /// A parameter to stand in the token's header, likewise
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = member)]
    headers: Vec<(String, Value)>,
}

/// [`TokenKind`], as it is written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Access,
    FreshAccess,
    Refresh,
}

fn member(written: &str) -> Result<(String, Value), String> {
    let (name, value) = written.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::from(value))))
}

impl Create {
    /// Makes the token and prints it alone, or as JSON with its id and expiry.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let host = host(config, output)?;
        let mut request = CreateToken::new(&self.actor_id);
        request.handler = self.handler.clone();
        request.expires_after = self.expires_after;
        request.restrictions = self.restrictions();
        let mut details = TokenDetails::default();
        details.kind = self.kind.map(|kind| match kind {
            Kind::Access => TokenKind::Access,
            Kind::FreshAccess => TokenKind::FreshAccess,
            Kind::Refresh => TokenKind::Refresh,
        });
        details.claims = self.claims.iter().cloned().collect();
        details.headers = self.headers.iter().cloned().collect();
        let request = request.with_details(details);
        for action in request.restrictions.iter().flat_map(TokenRestrictions::actions) {
            if action_name(action).is_none() {
                output.note(&format!("unknown action: {action}, expected one of Datasette's, or of your own"));
            }
        }
        let created = host.create_token_blocking(&request)?;
        if output.is_json() {
            return output.json(&json!({
                "token": created.token,
                "id": created.id,
                "expires_at": created.expires_at,
            }));
        }
        output.line(&created.token)
    }

    fn restrictions(&self) -> Option<TokenRestrictions> {
        if self.all.is_empty() && self.database.is_empty() && self.resource.is_empty() {
            return None;
        }
        let mut restrictions = TokenRestrictions::nothing();
        for action in &self.all {
            restrictions = restrictions.allow_all(action);
        }
        for pair in self.database.as_chunks::<2>().0 {
            let [database, action] = pair;
            restrictions = restrictions.allow_database(database, action);
        }
        for triple in self.resource.as_chunks::<3>().0 {
            let [database, resource, action] = triple;
            restrictions = restrictions.allow_resource(database, resource, action);
        }
        Some(restrictions)
    }
}
