//! [`Keeper`]: the handler whose tokens a command is about, asked without async.

use std::path::Path;

use clap::Args;
use token_host::{
    DeleteTokens, Error, ErrorKind, Host, ImportTokens, ImportedTokens, InvalidateTokens, InvalidatedTokens,
    ListActors, Migrate, Migrations, SetActors, TokenFilter, TokenPage, TokenRecord, TokenSelector, UpdateToken,
    block_on,
    token_plugin_api::{ActorPage, InactiveActor},
};

use super::{host, output::Output};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Handler {
    /// The handler whose tokens they are [default: the first in call order that keeps any]
    #[arg(long = "handler", value_name = "NAME")]
    name: Option<String>,
}

impl Handler {
    /// The host of the configuration, to be asked for this handler.
    pub(crate) fn open(self, config: &Path, output: &Output) -> Result<Keeper, Error> {
        Ok(Keeper::new(host(config, output)?, self.name))
    }
}

/// A handler that keeps tokens; without a name: the first in call order that answers.
#[derive(Debug, Clone)]
pub(crate) struct Keeper {
    host: Host,
    name: Option<String>,
}

impl Keeper {
    pub(crate) fn new(host: Host, name: Option<String>) -> Self {
        Self { host, name }
    }

    /// The handlers that may be the one, in call order, each by its name.
    pub(crate) fn candidates(&self) -> Vec<(String, Self)> {
        let names = match &self.name {
            Some(name) => vec![name.clone()],
            None => {
                let rows = self.host.plugins().into_iter().filter(|row| row.kind == "handler");
                rows.map(|row| row.name).collect()
            }
        };
        let of_name = |name: String| (name.clone(), Self::new(self.host.clone(), Some(name)));
        names.into_iter().map(of_name).collect()
    }

    pub(crate) fn list(&self, filter: &TokenFilter) -> Result<TokenPage, Error> {
        block_on(self.host.list_tokens(self.name.as_deref(), filter))
    }

    pub(crate) fn find(&self, token: &TokenSelector) -> Result<Option<TokenRecord>, Error> {
        block_on(self.host.get_token(self.name.as_deref(), token))
    }

    pub(crate) fn invalidate(&self, request: &InvalidateTokens) -> Result<InvalidatedTokens, Error> {
        block_on(self.host.invalidate_tokens(self.name.as_deref(), request))
    }

    pub(crate) fn update(&self, request: &UpdateToken) -> Result<TokenRecord, Error> {
        block_on(self.host.update_token(self.name.as_deref(), request))
    }

    /// How many were deleted, or would be.
    pub(crate) fn delete(&self, request: &DeleteTokens) -> Result<u64, Error> {
        Ok(block_on(self.host.delete_tokens(self.name.as_deref(), request))?.count)
    }

    pub(crate) fn import(&self, request: &ImportTokens) -> Result<ImportedTokens, Error> {
        block_on(self.host.import_tokens(self.name.as_deref(), request))
    }

    pub(crate) fn set_actors(&self, request: &SetActors) -> Result<Vec<InactiveActor>, Error> {
        block_on(self.host.set_actors(self.name.as_deref(), request))
    }

    pub(crate) fn list_actors(&self, request: &ListActors) -> Result<ActorPage, Error> {
        block_on(self.host.list_inactive_actors(self.name.as_deref(), request))
    }

    pub(crate) fn migrate(&self, request: Migrate) -> Result<Migrations, Error> {
        block_on(self.host.migrate(self.name.as_deref(), &request))
    }
}

/// The answer, or nothing where the handler does not offer the operation.
pub(crate) fn if_supported<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(error) if *error.kind() == ErrorKind::Unsupported => Ok(None),
        answer => answer.map(Some),
    }
}
