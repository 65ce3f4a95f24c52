//! The conformance suite over a library, run in a child process: a plugin that crashes fails a check, and that is all.

use std::{path::Path, time::Duration};

use token_plugin_api::conformance::{Check, Outcome, Report};

use super::{
    ending,
    process::{self, Ended},
    request,
    wire::{Line, Task},
};
use crate::{
    admit::{Policy, examine, locate},
    builder::{HostBuilder, Source},
    config::{Config, LibraryName, MakeSecrets, PluginEntry, PluginSettings, PreflightSettings},
    error::{Error, ErrorKind},
};

/// How long the suite may take. On a plugin that answers at once it takes some hundredths of a second.
const DEADLINE: Duration = Duration::from_secs(300);

impl HostBuilder {
    /// Runs the conformance suite of [`token_plugin_api::conformance`] over a library, in a child process, with the
    /// settings of the first `[[plugin]]` entry that names it; without one its settings are empty. `hear` is told of
    /// each check as it ends. What a plugin with a store of its own creates stays there.
    ///
    /// A crash, and a check that does not end, fails the check that had begun.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Admission`] when the file is refused, [`ErrorKind::Config`] when the configuration is not good,
    /// [`ErrorKind::InvalidArgument`] when there is no program for the child.
    pub fn conformance(self, library: impl AsRef<Path>, mut hear: impl FnMut(&Check)) -> Result<Report, Error> {
        let library = library.as_ref();
        let builder_program = self.preflight_program.clone();
        let (source, _) = self.into_parts();
        let config = match &source {
            Source::File(path) if !path.exists() => Config::empty(),
            source => source.read(MakeSecrets::Ephemeral)?,
        };
        let refused = |message: String| Error::new(ErrorKind::Admission, message);
        let named = config.plugins.iter().find(|entry| is_of(entry, library, &config));
        // Whoever is given an entry's secrets is admitted as the entry's plugin would be; what has none may lie anywhere.
        let (pin, policy) = match named {
            Some(entry) => (entry.sha256.as_ref(), Policy::of(&config)),
            None => (None, Policy { danger_insecure_permissions: true, ..Policy::default() }),
        };
        let examined = examine(library, pin, &policy).map_err(|refusal| refused(refusal.to_string()))?;
        let unwritten = || PluginEntry::unwritten(&examined.manifest().name, PluginSettings::empty(), &config.folder);
        let entry = named.cloned().unwrap_or_else(unwritten);
        let program = config.preflight.program.clone().or(builder_program);
        let program = program.ok_or_else(|| {
            Error::new(ErrorKind::InvalidArgument, "the suite needs a token-host executable to run it in")
        })?;
        let limits = PreflightSettings { deadline: DEADLINE, max_cpu_seconds: DEADLINE.as_secs(), ..config.preflight };
        let request = request(Task::Conform, &entry, &examined, &limits).map_err(refused)?;
        let mut run = Run::default();
        let ended = process::run(&program, &request, examined.shared_bytes(), limits.deadline, |line| {
            run.hear(line, &mut hear);
        });
        let ended = ended.map_err(|error| refused(format!("cannot run {}: {error}", program.display())))?;
        run.finish(&ended, &limits, &entry, &mut hear)
    }
}

/// Whether an entry's plugin is this very library, not only one of the same name.
fn is_of(entry: &PluginEntry, library: &Path, config: &Config) -> bool {
    let file = match &entry.file {
        LibraryName::Path(path) => Some(path.clone()),
        LibraryName::Bare(bare) => locate(bare, &config.library_folders().map(Path::to_owned).collect::<Vec<_>>()),
    };
    matches!((file.map(|file| file.canonicalize()), library.canonicalize()), (Some(Ok(file)), Ok(library)) if file == library)
}

#[derive(Default)]
struct Run {
    checks: Vec<Check>,
    begun: Option<(String, Option<String>)>,
    failed: Option<String>,
    is_done: bool,
}

impl Run {
    fn hear(&mut self, line: Line, hear: &mut impl FnMut(&Check)) {
        match line {
            Line::Checking { name, subject } => self.begun = Some((name, subject)),
            Line::Checked(check) => {
                hear(&check);
                self.checks.push(check);
                self.begun = None;
            }
            Line::Done => self.is_done = true,
            line => {
                self.failed.get_or_insert(line.problem());
            }
        }
    }

    fn finish(
        mut self,
        ended: &Ended,
        limits: &PreflightSettings,
        entry: &PluginEntry,
        hear: &mut impl FnMut(&Check),
    ) -> Result<Report, Error> {
        if let Some(problem) = self.failed.filter(|problem| !problem.is_empty()) {
            return Err(Error::new(ErrorKind::Admission, problem));
        }
        if !self.is_done || !ended.status.is_some_and(|status| status.success()) {
            let (name, subject) = self.begun.unwrap_or_else(|| ("end of the process".to_owned(), None));
            let failed = Check::new(name, subject.as_deref(), Outcome::Failed(ending(ended, limits, &entry.settings)));
            hear(&failed);
            self.checks.push(failed);
        }
        Ok(Report::new(self.checks))
    }
}
