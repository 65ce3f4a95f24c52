//! `token-host actor`: deactivates actors, activates them again, and lists who is deactivated.

use std::path::Path;

use clap::{Args, Subcommand};
use serde_json::json;
use token_host::{ListActors, SetActors, token_plugin_api::InactiveActor};

use super::{
    confirm::Confirm,
    exit::Failure,
    keeper::Handler,
    output::{Output, one_line},
    pages::Paging,
    table::table,
    time::shown,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Actor {
    /// Have all tokens of these actors rejected, until they are active again; asks first
    Deactivate(Deactivate),
    /// Have the tokens of these actors accepted again; asks first when there are several
    Activate(Activate),
    /// List who is deactivated
    List(List),
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Deactivate {
    /// Who
    #[arg(required = true, value_name = "ID")]
    actors: Vec<String>,

    /// Why; kept with the actor
    #[arg(long, default_value = "", value_name = "TEXT", allow_hyphen_values = true)]
    reason: String,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    handler: Handler,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Activate {
    /// Who
    #[arg(required = true, value_name = "ID")]
    actors: Vec<String>,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    handler: Handler,
}

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct List {
    #[command(flatten)]
    paging: Paging,

    #[command(flatten)]
    handler: Handler,
}

impl Actor {
    /// Does it, and prints whom it concerned.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Deactivate(Deactivate { actors, reason, confirm, handler }) => {
                let consent = confirm.consent()?;
                let keeper = handler.open(config, output)?;
                consent.to(&format!("All tokens of {} are to be rejected.", one_line(&actors.join(", "))))?;
                let changed = keeper.set_actors(&SetActors::deactivate(actors, reason))?;
                print_changed(&changed, "deactivated", output)
            }
            Self::Activate(Activate { actors, confirm, handler }) => {
                let consent = if actors.len() > 1 { Some(confirm.consent()?) } else { None };
                let keeper = handler.open(config, output)?;
                if let Some(consent) = consent {
                    consent.to(&format!("The tokens of {} are to work again.", one_line(&actors.join(", "))))?;
                }
                let changed = keeper.set_actors(&SetActors::activate(actors))?;
                print_changed(&changed, "activated", output)
            }
            Self::List(List { paging, handler }) => list(paging, handler, config, output),
        }
    }
}

fn print_changed(changed: &[InactiveActor], became: &str, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.json(&json!({ "actors": changed }));
    }
    for actor in changed {
        output.line(&format!("{became}: {}", one_line(&actor.actor_id)))?;
    }
    if changed.is_empty() {
        output.note(&format!("nobody who was not {became} before"));
    }
    Ok(())
}

fn list(paging: Paging, handler: Handler, config: &Path, output: &Output) -> Result<(), Failure> {
    let keeper = handler.open(config, output)?;
    let page = |(after, limit)| {
        let mut request = ListActors::default();
        (request.after, request.limit) = (after, limit);
        let page = keeper.list_actors(&request)?;
        Ok((page.actors, page.next))
    };
    paging.print("actors", output, page, |actors| {
        let row = |actor: InactiveActor| [actor.actor_id, shown(actor.since), actor.reason];
        let rows: Vec<[String; 3]> = actors.into_iter().map(row).collect();
        table(["ACTOR", "DEACTIVATED", "REASON"], &rows)
    })
}
