//! `token-host create`: the flags of `datasette create-token`.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::Value;
use token_host::{
    CreateToken, TokenDetails, TokenKind, TokenRestrictions, authenticate::OWN_ACTIONS, token_plugin_api::action_name,
};

use super::{exit::Failure, filter::json, host, lifetime, output::Output};

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

    /// A note that describes it, for handlers that keep their tokens
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    note: Option<String>,

    /// Its policy document: what it may access in the API, for handlers that know such
    #[arg(long, value_name = "JSON", value_parser = json, allow_hyphen_values = true)]
    policy: Option<Value>,

    /// The generator that is to make its value, for handlers that use generators
    #[arg(long, value_name = "ID")]
    generator: Option<String>,

    /// What that generator needs to know; the value is JSON, or else text
    #[arg(long = "token-info", value_name = "NAME=VALUE", value_parser = member)]
    token_info: Vec<(String, Value)>,

    /// How often that generator may try to find a value that is not in use yet [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_attempts: Option<u32>,

    /// A field of your own to be kept with it, likewise
    #[arg(long = "extra", value_name = "NAME=VALUE", value_parser = member)]
    extra: Vec<(String, Value)>,

    /// Say that nobody asked for it by hand
    #[arg(long)]
    auto_generated: bool,

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

/// A named value, as JSON or else as text.
pub(crate) fn member(written: &str) -> Result<(String, Value), String> {
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
        for action in request.restrictions.iter().flat_map(TokenRestrictions::actions) {
            if action_name(action).is_none() && !OWN_ACTIONS.contains(&action) {
                output.note(&format!("unknown action: {action}, expected one of Datasette's, or of your own"));
            }
        }
        let request = request.with_details(self.details());
        let created = host.create_token_blocking(&request)?;
        if output.is_json() {
            return output.json(&serde_json::json!({
                "token": created.token,
                "id": created.id,
                "expires_at": created.expires_at,
            }));
        }
        // As it is, whatever is in it: another text would be another token.
        output.bytes(format!("{}\n", created.token).as_bytes())
    }

    fn details(self) -> TokenDetails {
        let mut details = TokenDetails::default();
        details.kind = self.kind.map(|kind| match kind {
            Kind::Access => TokenKind::Access,
            Kind::FreshAccess => TokenKind::FreshAccess,
            Kind::Refresh => TokenKind::Refresh,
        });
        details.note = self.note;
        details.policy = self.policy;
        details.token_generator_id = self.generator;
        details.token_info = self.token_info.into_iter().collect();
        details.max_attempts = self.max_attempts.unwrap_or(details.max_attempts);
        details.extra = self.extra.into_iter().collect();
        details.auto_generated = self.auto_generated;
        details.claims = self.claims.into_iter().collect();
        details.headers = self.headers.into_iter().collect();
        details
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
