//! From a configuration to a generation: plan, try in a preflight, load, make, arrange, try.
//!
//! Every plugin is looked at before any is refused for, so that all findings come at once.

mod arranged;
mod authorization_server;
mod finding_list;
mod planned;

use std::sync::Arc;

use token_plugin_api::{
    PluginError, PluginErrorKind,
    abi::{convert::error_from_v1, v1},
};

use self::arranged::{arrange, warn_of_shadowed_names};
pub(crate) use self::{
    arranged::places,
    finding_list::FindingList,
    planned::{From, Planned, Registered, plan},
};
use crate::{
    admit,
    builder::StaticPlugin,
    config::{Config, Finding, PluginEntry, Severity},
    engine::Engine,
    error::Error,
    instance::{Instance, InstanceKey},
    load::{Image, on_a_thread},
    preflight::{self, Candidate, Failed},
    registry::Registry,
    services::ForPlugin,
    trial,
};

/// A registry, and what the operator should know of it.
pub(crate) struct Generation {
    pub(crate) registry: Registry,
    pub(crate) warnings: Vec<Finding>,
}

/// Builds the generation after `old`, from which it takes over what has not changed.
///
/// # Errors
///
/// All findings at once; nothing is loaded by halves, and `old` is as it was.
pub(crate) fn generation(engine: &Arc<Engine>, config: &Config, old: &Registry) -> Result<Generation, Error> {
    let mut findings = FindingList::new(config);
    let planned = plan(config, &engine.statics, &mut findings);
    let planned = tried_before(engine, config, old, planned, &mut findings);
    // A library that is loaded stays. Of a generation that is refused, those that a preflight has found to be good are
    // not loaded for nothing; what else there is to find in them, it has found.
    let is_refused = findings.has_errors();
    let is_wanted = |planned: &Planned<'_>| !(is_refused && planned.has_passed);
    let made = planned.into_iter().filter(is_wanted);
    let made: Vec<Made> = made.filter_map(|one| make(engine, config, old, one, &mut findings)).collect();
    try_new_ones(config, old, &made, &mut findings);
    let parts = arrange(made, &engine.metrics);
    warn_of_shadowed_names(&parts, &mut findings);
    if let Some(oauth2) = config.oauth2.as_ref().filter(|_| !findings.has_errors()) {
        authorization_server::check(oauth2, &parts, &mut findings);
    }
    let warnings = findings.finish()?;
    let mut registry = Registry::new(old.generation + 1, config.host.max_token_bytes, parts);
    registry.oauth2 = config.oauth2.clone().map(Arc::new);
    registry.http = Arc::new(config.http.clone());
    Ok(Generation { registry, warnings })
}

/// The plugins that passed their preflight, or need none: what is linked in, and what goes on unchanged.
fn tried_before<'c>(
    engine: &Engine,
    config: &Config,
    old: &Registry,
    planned: Vec<Planned<'c>>,
    findings: &mut FindingList<'_>,
) -> Vec<Planned<'c>> {
    if config.preflight.danger_skip {
        return planned;
    }
    let candidates: Vec<Candidate<'_>> = planned.iter().filter_map(|planned| candidate(planned, old)).collect();
    if candidates.is_empty() {
        return planned;
    }
    let Some(program) = config.preflight.program.as_deref().or(engine.preflight_program.as_deref()) else {
        findings.add(Severity::Warning, None, None, NO_PREFLIGHT.to_owned());
        return planned;
    };
    // It is handed every secret, and its word is taken. The one that the embedder names is the embedder's own.
    if let Some(named) = &config.preflight.program
        && !config.host.danger_insecure_permissions
        && named.exists()
        && let Err(reason) = admit::check_path(named)
    {
        findings.wrong = true;
        let message = format!("the preflight's program {} cannot be relied on: {reason}", named.display());
        findings.add(Severity::Error, None, None, message);
        return Vec::new();
    }
    let outcomes = preflight::try_out(program, &config.preflight, &engine.passed, &candidates);
    let is_candidate: Vec<bool> = planned.iter().map(|planned| candidate(planned, old).is_some()).collect();
    let mut outcomes = outcomes.into_iter();
    let mut passed = Vec::new();
    for (mut planned, is_candidate) in planned.into_iter().zip(is_candidate) {
        let entry = &planned.registered.entry;
        match is_candidate.then(|| outcomes.next()).flatten() {
            None => {}
            Some(Ok(pass)) => {
                pass.warnings.into_iter().for_each(|warning| findings.warn(entry, warning));
                planned.has_passed = true;
                planned.was_tried = pass.is_recent;
            }
            Some(Err(Failed::Refused(message))) => {
                findings.refuse(entry, message);
                continue;
            }
            Some(Err(Failed::Settings(error))) => {
                refuse_settings(entry, &error, findings);
                continue;
            }
        }
        passed.push(planned);
    }
    passed
}

const NO_PREFLIGHT: &str = "plugins are loaded without a preflight, so one that crashes when it is loaded ends this \
     process: name a token-host executable as `program` in [preflight]";

fn candidate<'p>(planned: &'p Planned<'_>, old: &Registry) -> Option<Candidate<'p>> {
    match &planned.from {
        From::File(examined) if !old.instances.iter().any(|instance| instance.key == planned.registered.key()) => {
            Some(Candidate { entry: &planned.registered.entry, examined })
        }
        From::File(_) | From::Linked(_) => None,
    }
}

/// A plugin that was made.
struct Made {
    instance: Arc<Instance>,
    registered: Registered,
    was_tried: bool,
}

fn make(
    engine: &Arc<Engine>,
    config: &Config,
    old: &Registry,
    Planned { registered, from, was_tried, .. }: Planned<'_>,
    findings: &mut FindingList<'_>,
) -> Option<Made> {
    let entry = &registered.entry;
    let image = match &from {
        From::Linked(_) => None,
        From::File(examined) => {
            Some(engine.images.load(examined).map_err(|message| findings.refuse(entry, message)).ok()?)
        }
    };
    let key = registered.key();
    let instance = match old.instances.iter().find(|instance| instance.key == key) {
        Some(instance) => Arc::clone(instance),
        None => {
            let origin = match (&from, &image) {
                (From::Linked(plugin), _) => Origin::Linked(plugin),
                (From::File(_), Some(image)) => Origin::Image(image),
                (From::File(_), None) => return None,
            };
            let made = instantiate(engine, key, entry, origin, old.generation + 1, config.host.event_queue);
            Arc::new(made.map_err(|error| refuse_settings(entry, &error, findings)).ok()?)
        }
    };
    for warning in &instance.warnings {
        findings.warn(entry, warning.clone());
    }
    Some(Made { instance, registered, was_tried })
}

/// What an instance is made by.
pub(crate) enum Origin<'a> {
    Image(&'a Image),
    Linked(&'a StaticPlugin),
}

/// Makes an instance with the settings of an entry.
///
/// # Errors
///
/// What the plugin answers.
pub(crate) fn instantiate(
    engine: &Arc<Engine>,
    key: InstanceKey,
    entry: &PluginEntry,
    origin: Origin<'_>,
    generation: u64,
    event_queue: usize,
) -> Result<Instance, PluginError> {
    let services = ForPlugin::services(&entry.name, engine);
    let folder = entry.folder.to_string_lossy();
    let new = v1::NewInstanceV1 {
        name: entry.name.as_str().into(),
        settings: entry.settings.json().into(),
        resolved: entry.settings.resolved().iter().map(|value| value.as_str().into()).collect(),
        folder: (&*folder).into(),
    };
    let made = match origin {
        Origin::Image(image) => {
            let new_instance = image.root.new_instance();
            on_a_thread(move || new_instance(services, new)).map_err(PluginError::failed)?
        }
        // It may want to know the runtime that its program is in.
        Origin::Linked(plugin) => (plugin.make)(services, new),
    };
    let made = made.into_result().map_err(error_from_v1)?;
    Ok(Instance::new(key, made, generation, &engine.service, &engine.stops, event_queue))
}

/// Tries what is about to serve for the first time, unless a preflight has just done so: what that found would be found
/// again, and code that is damaged is better run in a child.
///
/// Not the first generation: a command that does one thing and ends should not make a token more each time.
fn try_new_ones(config: &Config, old: &Registry, made: &[Made], findings: &mut FindingList<'_>) {
    let is_due = |made: &&Made| !made.was_tried && made.instance.generation > old.generation && old.generation > 0;
    for Made { instance, registered, .. } in made.iter().filter(is_due) {
        let entry = &registered.entry;
        let found = trial::try_out_within(config.preflight.deadline, instance, entry.deadline, |_| {});
        found.warnings.into_iter().for_each(|warning| findings.warn(entry, warning));
        found.faults.into_iter().for_each(|fault| findings.refuse(entry, fault));
    }
}

/// A plugin that could not be made of its settings: the finding points at the setting that it names.
fn refuse_settings(entry: &PluginEntry, error: &PluginError, findings: &mut FindingList<'_>) {
    let (about, setting) = match error.kind() {
        PluginErrorKind::InvalidArgument => ("its configuration is not good", error.message().split('`').nth(1)),
        _ => ("it could not be made", None),
    };
    let place = setting.and_then(|setting| entry.settings.place_of(setting)).or(entry.place);
    findings.wrong = true;
    findings.add(Severity::Error, place, Some(&entry.name), format!("{about}: {error}"));
}

/// What the build flags cost that enable both instruction sets at compile time.
pub const SLOW_HASHING: &str = "it was built with SHA and AVX instructions enabled statically (as `-C target-cpu=native` does), \
     which can make hashing 30 times slower: build without, they are detected at run time";
