//! [`Outline`]: what a configuration would register, in call order, known without loading anything.
//!
//! The names of handlers come from plugins that run; what a file says of itself is which hooks its
//! plugin fills, and where it asks to be. So an outline has a line for each hook of each plugin.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::Serialize;
use token_plugin_api::abi::manifest::Hook;

use crate::{
    admit::{Examined, Lock, hexadecimal},
    assemble::{FindingList, From, Planned, Registered, places, plan},
    builder::{HostBuilder, Source},
    config::{Config, Finding, MakeSecrets, lock_file},
    error::{Error, ErrorKind},
    host::Host,
    registry::Registry,
    reload::{Line, differences},
};

/// What a configuration registers, in call order: wrappers and handlers first, then sinks and generators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Outline {
    /// The lines.
    pub rows: Vec<OutlineRow>,
    /// What the operator should know of a configuration that works.
    #[serde(skip)]
    pub warnings: Vec<Finding>,
}

/// One hook of one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct OutlineRow {
    /// The plugin's name, as configured.
    pub plugin: String,
    /// `wrapper`, `handler`, `event_sink` or `token_generator`; `linked in` for what no file tells of.
    pub kind: &'static str,
    /// Why it stands at this place: `registered 3rd; tryfirst from config`.
    pub reason: String,
    /// The plugin's library; none: it is linked into the host.
    pub file: Option<String>,
    /// The SHA-256 of that file, in hex.
    pub sha256: Option<String>,
    /// The plugin's version.
    pub version: Option<String>,
    /// Tells whether the settings are the same.
    #[serde(skip)]
    settings: Option<[u8; 32]>,
}

/// The order before a change and after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "http", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Plan {
    /// The order as it is.
    pub before: Outline,
    /// The order as it would be.
    pub after: Outline,
    /// The differences: `handler of "jwt" moved from 3rd to 1st`.
    pub changes: Vec<String>,
}

impl Plan {
    /// What changes from one order to another.
    pub fn between(before: Outline, after: Outline) -> Self {
        let lines = |outline: &Outline| outline.rows.iter().map(OutlineRow::line).collect::<Vec<_>>();
        let changes = differences(&lines(&before), &lines(&after));
        Self { before, after, changes }
    }
}

impl Host {
    /// What this configuration would change in the running host. Its files are examined, nothing of them is loaded,
    /// and the host goes on as it is.
    ///
    /// # Errors
    ///
    /// As [`HostBuilder::outline`].
    pub fn plan(&self, config_file: impl AsRef<Path>) -> Result<Plan, Error> {
        let after = outline(&Source::File(config_file.as_ref().to_owned()), &self.0.statics)?;
        Ok(Plan::between(Outline::of_registry(&self.0.registry.load()), after))
    }
}

impl HostBuilder {
    /// What would be registered. Files are examined, nothing of them is loaded, and nothing is written.
    ///
    /// # Errors
    ///
    /// As [`HostBuilder::build`], as far as it can be told without loading anything.
    pub fn outline(self) -> Result<Outline, Error> {
        let (source, statics) = self.into_parts();
        outline(&source, &statics)
    }

    /// The lock of the plugin files as they are now, whatever the present one says, and where it belongs. Files are
    /// examined, nothing of them is loaded, and nothing is written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] when the configuration is no file; else as [`HostBuilder::outline`].
    pub fn lock(self) -> Result<(PathBuf, Lock), Error> {
        let (source, statics) = self.into_parts();
        let Source::File(path) = &source else {
            return Err(Error::new(ErrorKind::InvalidArgument, "only a configuration that is a file has a lock"));
        };
        let mut config = Config::from_file(path, MakeSecrets::Ephemeral)?;
        // There is to be one now.
        config.trust.require_lock = false;
        let mut findings = FindingList::new(&config);
        let planned = plan(&config, &statics, &mut findings);
        findings.finish()?;
        let lock_path = lock_file::path_of(path);
        let folder = lock_path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let examined = planned.iter().filter_map(|planned| match &planned.from {
            From::File(examined) => Some::<&Examined>(examined),
            From::Linked(_) => None,
        });
        let lock = Lock::of(folder, examined);
        Ok((lock_path, lock))
    }
}

fn outline(source: &Source, statics: &[crate::StaticPlugin]) -> Result<Outline, Error> {
    of_config(&source.read(MakeSecrets::Ephemeral)?, statics)
}

/// What a configuration would register.
pub(crate) fn of_config(config: &Config, statics: &[crate::StaticPlugin]) -> Result<Outline, Error> {
    let mut findings = FindingList::new(config);
    let planned = plan(config, statics, &mut findings);
    let warnings = findings.finish()?;
    Ok(Outline { rows: rows(&planned), warnings })
}

fn rows(planned: &[Planned<'_>]) -> Vec<OutlineRow> {
    let registered: Vec<&Registered> = planned.iter().map(|planned| &planned.registered).collect();
    let (mut called, mut others) = (Vec::new(), Vec::new());
    for (place, as_wrapper) in places(registered.iter().copied()) {
        let one = registered[place];
        let row = |kind| OutlineRow {
            plugin: one.entry.name.clone(),
            kind,
            reason: one.reason(place),
            file: one.file.as_ref().map(|file| file.path.display().to_string()),
            sha256: one.file.as_ref().map(|file| hexadecimal(&file.sha256)),
            version: one.file.as_ref().map(|file| file.manifest.version.clone()),
            settings: Some(one.entry.settings.digest()),
        };
        let Some(file) = &one.file else {
            // What it registers shows when it runs.
            called.extend((!as_wrapper).then(|| row("linked in")));
            continue;
        };
        let hooks = &file.manifest.hooks;
        if as_wrapper {
            called.extend(hooks.contains(&Hook::Wrapper).then(|| row(Hook::Wrapper.name())));
            continue;
        }
        called.extend(hooks.contains(&Hook::TokenHandler).then(|| row(Hook::TokenHandler.name())));
        let is_other = |hook: &&Hook| !matches!(hook, Hook::Wrapper | Hook::TokenHandler);
        others.extend(hooks.iter().filter(is_other).map(|hook| row(hook.name())));
    }
    called.extend(others);
    called
}

impl Outline {
    pub(crate) fn of_registry(registry: &Registry) -> Self {
        let settings = |plugin: &str| {
            let instance = registry.instances.iter().find(|instance| instance.plugin() == plugin);
            instance.map(|instance| instance.key.settings)
        };
        let mut listed = HashSet::new();
        let mut rows = Vec::new();
        for row in &registry.rows {
            // Several handlers of one plugin stand next to each other.
            let kind = if row.file.is_some() { row.kind } else { "linked in" };
            if listed.insert((row.plugin.as_str(), kind)) {
                rows.push(OutlineRow {
                    plugin: row.plugin.clone(),
                    kind,
                    reason: row.reason.clone(),
                    file: row.file.clone(),
                    sha256: row.sha256.clone(),
                    version: row.version.clone(),
                    settings: settings(&row.plugin),
                });
            }
        }
        Self { rows, warnings: Vec::new() }
    }
}

impl OutlineRow {
    fn line(&self) -> Line {
        let settings = self.settings.map(|digest| hexadecimal(&digest));
        Line {
            label: format!("{} of \"{}\"", self.kind, self.plugin),
            plugin: self.plugin.clone(),
            kind: self.kind,
            made: format!("{:?} {settings:?}", self.sha256),
            sha256: self.sha256.clone(),
        }
    }
}
