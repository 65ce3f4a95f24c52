//! One token on the command line: by its value or by its id.

use std::io::{self, IsTerminal, Read};

use clap::Args;
use token_host::TokenSelector;

use super::exit::Failure;

/// Its options belong to the group `which`, of which a command asks for one.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct OneToken {
    /// This token, or `-` to read it from stdin: what stands in a command others may see
    #[arg(long, group = "which", value_name = "TOKEN", allow_hyphen_values = true)]
    token: Option<String>,

    /// The token with this id
    #[arg(long, group = "which", value_name = "ID", allow_hyphen_values = true)]
    id: Option<String>,
}

impl OneToken {
    /// None: no single token is meant.
    pub(crate) fn selector(self) -> Result<Option<TokenSelector>, Failure> {
        Ok(match (self.token, self.id) {
            (Some(token), _) if token == "-" => Some(TokenSelector::Token(line_of_stdin("a token")?)),
            (Some(token), _) => Some(TokenSelector::Token(token)),
            (None, id) => id.map(TokenSelector::Id),
        })
    }

    /// For commands whose group `which` has nothing else in it.
    pub(crate) fn required(self) -> Result<TokenSelector, Failure> {
        self.selector()?.ok_or_else(|| Failure::Arguments("expected --token or --id".to_owned()))
    }
}

/// The one line that stdin has; of a terminal the line that is typed, so that more can be asked there.
pub(crate) fn line_of_stdin(what: &str) -> Result<String, Failure> {
    const MAX_BYTES: u64 = 1 << 20;
    let mut line = String::new();
    let read = match io::stdin().is_terminal() {
        true => io::stdin().read_line(&mut line),
        false => io::stdin().take(MAX_BYTES).read_to_string(&mut line),
    };
    read.map_err(|error| Failure::Arguments(format!("cannot read stdin: {error}")))?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    if line.is_empty() || line.contains('\n') {
        return Err(Failure::Arguments(format!("expected {what} on stdin, in one line")));
    }
    Ok(line)
}
