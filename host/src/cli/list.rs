//! `token-host list`: the tokens that a handler keeps.

use std::path::Path;

use clap::Args;
use token_host::TokenRecord;

use super::{
    exit::Failure, filter::Listed, keeper::Handler, now, output::Output, pages::Paging, record::state, table::table,
    time::shown_if_any,
};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct List {
    #[command(flatten)]
    listed: Listed,

    #[command(flatten)]
    paging: Paging,

    #[command(flatten)]
    handler: Handler,
}

impl List {
    /// Prints a page, or all of them, as a table or as one JSON object.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let keeper = self.handler.open(config, output)?;
        let now = now();
        let mut filter = self.listed.filter(now);
        let page = |(after, limit)| {
            (filter.after, filter.limit) = (after, limit);
            let page = keeper.list(&filter)?;
            Ok((page.tokens, page.next))
        };
        self.paging.print("tokens", output, page, |tokens| {
            let rows: Vec<[String; 9]> = tokens.into_iter().map(|token| row(token, now)).collect();
            table(["ID", "ACTOR", "HINT", "GENERATOR", "CREATED", "LAST USED", "EXPIRES", "STATE", "NOTE"], &rows)
        })
    }
}

fn row(record: TokenRecord, now: u64) -> [String; 9] {
    let state = cut(&state(&record, now));
    [
        record.id,
        record.actor_id,
        record.hint.unwrap_or_default(),
        record.token_generator_id.unwrap_or_default(),
        shown_if_any(record.created_at),
        shown_if_any(record.last_used_at),
        shown_if_any(record.expires_at),
        state,
        cut(&record.note.unwrap_or_default()),
    ]
}

/// A long text would make every row as wide: `show` has all of it.
fn cut(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
