//! `token-host import`: brings over tokens of another system, which go on working.

use std::{collections::BTreeSet, path::Path};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use token_host::{ImportTokens, ImportedTokens};

use super::{
    confirm::Confirm,
    create::member,
    exit::Failure,
    keeper::{Handler, Keeper},
    output::Output,
    pages::Pages,
    selector::line_of_stdin,
};

#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct Import {
    /// The system whose tokens they are
    #[arg(value_parser = ["djblets", "datasette-auth-tokens", "django-rest-knox"])]
    system: String,

    #[command(flatten)]
    from: From,

    /// What has to be known of that system; the value is JSON, or else text. Others may see it: for secrets there is
    /// --option-env
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = member)]
    options: Vec<(String, Value)>,

    /// The same, with the text that an environment variable has
    #[arg(long = "option-env", value_name = "NAME=VARIABLE", value_parser = named)]
    secrets: Vec<(String, String)>,

    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,

    #[command(flatten)]
    confirm: Confirm,

    #[command(flatten)]
    handler: Handler,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct From {
    /// The URL of its database, or `-` to read it from stdin. What stands in a command others may see: give a URL with a
    /// password by stdin or by --from-env
    #[arg(long, value_name = "URL")]
    from: Option<String>,

    /// The environment variable that has the URL
    #[arg(long, value_name = "VARIABLE")]
    from_env: Option<String>,
}

impl Import {
    /// Has everything read and judged first, asks, and then does it.
    pub(crate) fn run(self, config: &Path, output: &Output) -> Result<(), Failure> {
        let consent = if self.dry_run { None } else { Some(self.confirm.consent()?) };
        let mut request = ImportTokens::new(self.system, self.from.url()?);
        request.options.extend(self.options);
        for (name, variable) in self.secrets {
            request.options.insert(name, environment(&variable)?.into());
        }
        let keeper = self.handler.open(config, output)?;

        request.dry_run = true;
        let mut sums = Sums::default();
        sums.add_all(&keeper, &request, output)?;
        let Some(consent) = consent.filter(|_| sums.changes_anything()) else { return sums.print(true, output) };
        consent.to(&sums.sentence(true))?;

        request.dry_run = false;
        let mut done = Sums { notes: sums.notes, ..Sums::default() };
        done.add_all(&keeper, &request, output).inspect_err(|_| {
            output.note(&done.sentence(false));
            output.note("it did not come to its end; if it is run again, it passes over what is there already");
        })?;
        done.print(false, output)
    }
}

impl From {
    fn url(self) -> Result<String, Failure> {
        match (self.from, self.from_env) {
            (Some(url), _) if url == "-" => line_of_stdin("a URL"),
            (Some(url), _) => Ok(url),
            (None, variable) => environment(&variable.unwrap_or_default()),
        }
    }
}

/// What became of all parts so far.
#[derive(Debug, Default)]
struct Sums {
    counts: ImportedTokens,
    /// Each is said once, though the dry run and the import have them both.
    notes: BTreeSet<String>,
}

impl Sums {
    fn add_all(&mut self, keeper: &Keeper, request: &ImportTokens, output: &Output) -> Result<(), Failure> {
        let mut request = request.clone();
        // Draws nothing where stderr is no terminal; what it drew is gone when it is dropped.
        let bar = ProgressBar::new(0).with_message(if request.dry_run { "dry run" } else { "import" });
        if let Ok(style) = ProgressStyle::with_template("{msg:8} [{bar:40}] {human_pos}/{human_len} {eta}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let parts = Pages::new(None, |after| {
            request.after = after;
            let part = keeper.import(&request)?;
            let next = part.next.clone();
            Ok((part, next))
        });
        for part in parts {
            let new_notes = self.add(part?);
            bar.set_length(self.counts.total);
            bar.set_position(self.counts.read);
            if !new_notes.is_empty() {
                bar.suspend(|| new_notes.iter().for_each(|note| output.note(note)));
            }
        }
        Ok(())
    }

    /// The notes that were not said yet.
    fn add(&mut self, part: ImportedTokens) -> Vec<String> {
        let counts = &mut self.counts;
        counts.total = part.total;
        for (sum, more) in [
            (&mut counts.read, part.read),
            (&mut counts.imported, part.imported),
            (&mut counts.present, part.present),
            (&mut counts.skipped, part.skipped),
            (&mut counts.inactive_actors, part.inactive_actors),
        ] {
            *sum = sum.saturating_add(more);
        }
        part.notes.into_iter().filter(|note| self.notes.insert(note.clone())).collect()
    }

    fn changes_anything(&self) -> bool {
        self.counts.imported > 0 || self.counts.inactive_actors > 0
    }

    fn sentence(&self, is_dry_run: bool) -> String {
        let ImportedTokens { total, read, imported, present, skipped, inactive_actors, .. } = self.counts;
        let (brought, deactivated) = match is_dry_run {
            true => ("would be brought over", "would be deactivated"),
            false => ("brought over", "deactivated"),
        };
        format!(
            "tokens: {read} of {total} read, {imported} {brought}, {present} there already, {skipped} skipped; \
             actors: {inactive_actors} {deactivated}"
        )
    }

    fn print(&self, is_dry_run: bool, output: &Output) -> Result<(), Failure> {
        if !output.is_json() {
            return output.line(&self.sentence(is_dry_run));
        }
        let ImportedTokens { total, read, imported, present, skipped, inactive_actors, .. } = self.counts;
        output.json(&json!({
            "dry_run": is_dry_run,
            "total": total,
            "read": read,
            "imported": imported,
            "present": present,
            "skipped": skipped,
            "inactive_actors": inactive_actors,
            "notes": self.notes,
        }))
    }
}

fn environment(variable: &str) -> Result<String, Failure> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    // Without what it says: there may be a secret in it that is not UTF-8.
    value.ok_or_else(|| Failure::Arguments(format!("expected text in the environment variable {variable}")))
}

fn named(written: &str) -> Result<(String, String), String> {
    let (name, variable) = written.split_once('=').ok_or("expected NAME=VARIABLE")?;
    Ok((name.to_owned(), variable.to_owned()))
}
