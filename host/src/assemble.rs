//! From a configuration to a generation: discover, examine, load, make, order.
//!
//! Every plugin is looked at before any is refused for, so that all findings come at once. What is
//! linked in is registered first, then the files of the drop-in folder by name, then the
//! `[[plugin]]` entries; an entry that names a file of the folder takes that file's place with it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use token_plugin_api::{
    PluginError, PluginErrorKind,
    abi::{
        convert::error_from_v1,
        manifest::{Hook, Manifest},
        v1,
    },
};

use crate::{
    admit::{self, Examined, Policy},
    builder::StaticPlugin,
    config::{
        Config, Finding, LibraryName, OnError, PLUGIN_NAME_RULE, Place, PluginEntry, PluginSettings, Severity,
        is_plugin_name,
    },
    engine::Engine,
    error::{Error, ErrorKind},
    instance::{Instance, InstanceKey},
    load::Image,
    order::{Registration, call_order, ordinal},
    registry::{HandlerSlot, Parts, PluginRow, Registry, Slot},
    services::ForPlugin,
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
/// All findings at once: [`ErrorKind::Admission`] when files were refused and nothing else is wrong,
/// else [`ErrorKind::Config`].
pub(crate) fn generation(engine: &Arc<Engine>, config: Config, old: &Registry) -> Result<Generation, Error> {
    let mut findings = FindingList { config: &config, list: config.warnings.clone(), refused: false, wrong: false };
    let planned = plan(&config, &engine.statics, &mut findings);
    let made: Vec<Made> =
        planned.into_iter().filter_map(|one| make(engine, &config, old, one, &mut findings)).collect();
    if findings.refused || findings.wrong {
        let kind = if findings.wrong { ErrorKind::Config } else { ErrorKind::Admission };
        return Err(Error::from_findings(kind, findings.list));
    }
    let parts = arrange(made);
    warn_of_shadowed_names(&parts, &mut findings);
    let warnings = findings.list;
    let registry = Registry::new(old.generation + 1, config.host.max_token_bytes, parts);
    Ok(Generation { registry, warnings })
}

/// Collects what is to be said.
struct FindingList<'c> {
    config: &'c Config,
    list: Vec<Finding>,
    /// A library was refused.
    refused: bool,
    /// Something else is wrong.
    wrong: bool,
}

impl FindingList<'_> {
    fn refuse(&mut self, entry: &PluginEntry, message: String) {
        self.refused = true;
        self.add(Severity::Error, entry.place, Some(&entry.name), message);
    }

    fn wrong(&mut self, entry: &PluginEntry, message: String) {
        self.wrong = true;
        self.add(Severity::Error, entry.place, Some(&entry.name), message);
    }

    fn warn(&mut self, entry: &PluginEntry, message: String) {
        self.add(Severity::Warning, entry.place, Some(&entry.name), message);
    }

    fn add(&mut self, severity: Severity, place: Option<Place>, plugin: Option<&str>, message: String) {
        let (origin, plugin) = (Some(self.config.origin.to_string()), plugin.map(str::to_owned));
        self.list.push(Finding { origin, place, plugin, message, severity });
    }
}

/// A plugin that is to be made, in the order of registration.
struct Planned<'c> {
    entry: PluginEntry,
    from: From<'c>,
}

enum From<'c> {
    File(Box<Examined>),
    Linked(&'c StaticPlugin),
}

fn plan<'c>(config: &Config, statics: &'c [StaticPlugin], findings: &mut FindingList<'_>) -> Vec<Planned<'c>> {
    let policy = Policy {
        danger_insecure_permissions: config.host.danger_insecure_permissions,
        max_bytes: config.host.max_plugin_bytes,
    };
    let entries: Vec<(&PluginEntry, Option<PathBuf>)> =
        config.plugins.iter().map(|entry| (entry, find(entry, config, findings))).collect();
    let mut planned: Vec<Planned<'c>> = Vec::new();
    for plugin in statics {
        let settings = PluginSettings::from_json(&plugin.settings);
        planned.push(Planned { entry: PluginEntry::unwritten(&plugin.name, settings), from: From::Linked(plugin) });
    }
    for file in discover(config, findings) {
        if entries.iter().any(|(_, path)| path.as_deref().is_some_and(|path| is_same(path, &file))) {
            continue;
        }
        match admit::examine(&file, None, &policy) {
            Ok(examined) => {
                let entry = PluginEntry::unwritten(&examined.manifest().name, PluginSettings::empty());
                planned.push(Planned { entry, from: From::File(Box::new(examined)) });
            }
            Err(refusal) => {
                findings.refused = true;
                findings.add(Severity::Error, None, None, refusal.to_string());
            }
        }
    }
    let mut seen: HashMap<PathBuf, Examined> = HashMap::new();
    for (entry, path) in entries {
        let Some(path) = path else { continue };
        // A file that several entries name is read once; a pin is each entry's own.
        let examined = match seen.get(&path).filter(|_| entry.sha256.is_none()) {
            Some(examined) => Ok(examined.clone()),
            None => admit::examine(&path, entry.sha256.as_ref(), &policy),
        };
        match examined {
            Ok(examined) => {
                seen.insert(path, examined.clone());
                planned.push(Planned { entry: entry.clone(), from: From::File(Box::new(examined)) });
            }
            Err(refusal) => findings.refuse(entry, refusal.to_string()),
        }
    }
    refuse_repeated_names(&planned, findings);
    planned
}

fn discover(config: &Config, findings: &mut FindingList<'_>) -> Vec<PathBuf> {
    match config.host.drop_in.as_deref().map(admit::discover) {
        None => Vec::new(),
        Some(Ok(files)) => files,
        Some(Err(refusal)) => {
            findings.wrong = true;
            findings.add(Severity::Error, None, None, format!("the drop-in folder: {refusal}"));
            Vec::new()
        }
    }
}

fn find(entry: &PluginEntry, config: &Config, findings: &mut FindingList<'_>) -> Option<PathBuf> {
    let bare = match &entry.file {
        LibraryName::Path(path) => return Some(path.clone()),
        LibraryName::Bare(bare) => bare,
    };
    let folders: Vec<PathBuf> = config.host.drop_in.iter().chain(&config.host.search).cloned().collect();
    let found = admit::locate(bare, &folders);
    if found.is_none() {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let looked_in = match folders.as_slice() {
            [] => "no folder, since there is neither `drop_in` nor `search`".to_owned(),
            folders => folders.join(", "),
        };
        let message = format!("there is no library {}, looked in {looked_in}", admit::library_file_name(bare));
        findings.refuse(entry, message);
    }
    found
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn refuse_repeated_names(planned: &[Planned<'_>], findings: &mut FindingList<'_>) {
    let place = |planned: &Planned<'_>| match &planned.from {
        From::File(examined) => examined.path().display().to_string(),
        From::Linked(_) => "what is linked in".to_owned(),
    };
    for (index, later) in planned.iter().enumerate() {
        if let Some(earlier) = planned[..index].iter().find(|earlier| earlier.entry.name == later.entry.name) {
            let message = format!(
                "the name is used twice, by {} and by {}: give one of them a [[plugin]] entry with another name",
                place(earlier),
                place(later)
            );
            findings.wrong(&later.entry, message);
        }
    }
}

/// A plugin that was made.
struct Made {
    instance: Arc<Instance>,
    entry: PluginEntry,
    /// What the plugin itself asks for: tryfirst, trylast.
    declared: (bool, bool),
    file: Option<(String, Arc<Image>)>,
}

impl Made {
    /// tryfirst and trylast: the configuration's word, else the plugin's. Who sets only one of them
    /// in the configuration does not want the plugin's other one on top.
    fn flags(&self) -> (bool, bool) {
        match (self.entry.tryfirst, self.entry.trylast) {
            (Some(true), None) => (true, false),
            (None, Some(true)) => (false, true),
            (tryfirst, trylast) => (tryfirst.unwrap_or(self.declared.0), trylast.unwrap_or(self.declared.1)),
        }
    }
}

fn make(
    engine: &Arc<Engine>,
    config: &Config,
    old: &Registry,
    Planned { entry, from }: Planned<'_>,
    findings: &mut FindingList<'_>,
) -> Option<Made> {
    let (file, declared) = match &from {
        From::Linked(plugin) => (None, (plugin.tryfirst, plugin.trylast)),
        From::File(examined) => {
            let manifest = examined.manifest();
            check_manifest(&entry, manifest, findings);
            let image = engine.images.load(examined).map_err(|message| findings.refuse(&entry, message)).ok()?;
            (Some((examined.path().display().to_string(), image)), (manifest.tryfirst, manifest.trylast))
        }
    };
    let key = InstanceKey {
        plugin: entry.name.clone(),
        sha256: file.as_ref().map(|(_, image)| image.sha256),
        settings: entry.settings.digest(),
        max_blocking_calls: entry.max_blocking_calls,
    };
    let instance = match old.instances.iter().find(|instance| instance.key == key) {
        Some(instance) => Arc::clone(instance),
        None => {
            let services = ForPlugin::services(&entry.name, engine);
            let new = v1::NewInstanceV1 {
                name: entry.name.as_str().into(),
                settings: entry.settings.json().into(),
                resolved: entry.settings.resolved().iter().map(|value| value.as_str().into()).collect(),
            };
            let made = match (&from, &file) {
                (From::File(_), Some((_, image))) => (image.root.new_instance())(services, new),
                (From::Linked(plugin), _) => (plugin.make)(services, new),
                (From::File(_), None) => return None,
            };
            let made =
                made.into_result().map_err(|error| refuse_settings(&entry, &error_from_v1(error), findings)).ok()?;
            let generation = old.generation + 1;
            Arc::new(Instance::new(key, made, generation, &engine.service, &engine.stops, config.host.event_queue))
        }
    };
    for warning in &instance.warnings {
        findings.warn(&entry, warning.clone());
    }
    Some(Made { instance, entry, declared, file })
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

fn check_manifest(entry: &PluginEntry, manifest: &Manifest, findings: &mut FindingList<'_>) {
    if !is_plugin_name(&entry.name) {
        let name = entry.name.escape_debug().take(64).collect::<String>();
        findings.wrong(entry, format!("its manifest names it `{name}`, expected {PLUGIN_NAME_RULE}"));
    }
    if let Some(stated) = entry.wrapper
        && stated != manifest.hooks.contains(&Hook::Wrapper)
    {
        let is = if stated { "is no wrapper" } else { "is a wrapper" };
        findings.wrong(entry, format!("`wrapper` is {stated}, but the plugin {is}: its manifest tells"));
    }
    if !manifest.unknown_hooks.is_empty() {
        let unknown = manifest.unknown_hooks.join("`, `");
        findings.warn(entry, format!("it fills hooks that this host does not know, and will not call: `{unknown}`"));
    }
    if manifest.static_sha_and_avx {
        findings.warn(entry, SLOW_HASHING.to_owned());
    }
}

/// What the build flags cost that enable both instruction sets at compile time.
pub const SLOW_HASHING: &str = "it was built with SHA and AVX instructions enabled statically (as `-C target-cpu=native` does), \
     which can make hashing 30 times slower: build without, they are detected at run time";

/// Puts everything into call order.
fn arrange(made: Vec<Made>) -> Parts {
    // A plugin's wrappers are one registration, everything else in it another one.
    let registrations: Vec<Registration> = made
        .iter()
        .flat_map(|made| {
            let (tryfirst, trylast) = made.flags();
            [true, false].map(|wrapper| Registration { name: made.entry.name.clone(), tryfirst, trylast, wrapper })
        })
        .collect();
    let mut parts = Parts::default();
    let (mut sinks, mut generators) = (Vec::new(), Vec::new());
    for place in call_order(&registrations) {
        let (made, registered) = (&made[place / 2], place / 2);
        let (instance, entry, (tryfirst, trylast)) = (&made.instance, &made.entry, made.flags());
        let slot = |index| Slot { instance: Arc::clone(instance), index, deadline: entry.deadline };
        let deadline_ms = Some(u64::try_from(entry.deadline.as_millis()).unwrap_or(u64::MAX));
        let row = |name: &str, kind: Hook| PluginRow {
            name: name.to_owned(),
            plugin: entry.name.clone(),
            kind: kind.name(),
            tryfirst,
            trylast,
            wrapper: kind == Hook::Wrapper,
            reason: reason(registered, made),
            file: made.file.as_ref().map(|(path, _)| path.clone()),
            sha256: made.file.as_ref().map(|(_, image)| admit::hexadecimal(&image.sha256)),
            version: made.file.as_ref().map(|(_, image)| image.manifest.version.clone()),
            abi_level: made.file.as_ref().map(|(_, image)| image.manifest.abi_level),
            rustc: made.file.as_ref().map(|(_, image)| image.manifest.rustc.clone()),
            execution: None,
            claims: Vec::new(),
            on_error: None,
            deadline_ms: None,
            generation: instance.generation,
        };
        if registrations[place].wrapper {
            for (index, wrapper) in instance.wrappers.iter().enumerate() {
                parts.wrappers.push(slot(index));
                parts.rows.push(row(&wrapper.name, Hook::Wrapper));
            }
            continue;
        }
        for (index, handler) in instance.handlers.iter().enumerate() {
            parts.handlers.push(HandlerSlot::new(slot(index), entry.on_error));
            parts.rows.push(PluginRow {
                execution: Some(handler.execution()),
                claims: handler.claims.clone(),
                on_error: Some(if entry.on_error == OnError::Stop { "stop" } else { "continue" }),
                deadline_ms: deadline_ms.filter(|_| !handler.is_inline()),
                ..row(&handler.name, Hook::TokenHandler)
            });
        }
        for (index, sink) in instance.sinks.iter().enumerate() {
            parts.sinks.push(slot(index));
            let deadline_ms = deadline_ms.filter(|_| sink.required);
            sinks.push(PluginRow { deadline_ms, ..row(&sink.name, Hook::EventSink) });
        }
        for generator in &instance.generators {
            parts.generators.push(Arc::clone(generator));
            generators.push(row(&generator.id, Hook::TokenGenerator));
        }
    }
    parts.rows.extend(sinks.into_iter().chain(generators));
    parts.instances = made.into_iter().map(|made| made.instance).collect();
    parts
}

/// Why a plugin stands where it does.
fn reason(registered: usize, made: &Made) -> String {
    let mut reason = format!("registered {}", ordinal(registered));
    let flags = made.flags();
    for (flag, counts, written, declared) in [
        ("tryfirst", flags.0, made.entry.tryfirst, made.declared.0),
        ("trylast", flags.1, made.entry.trylast, made.declared.1),
    ] {
        match (counts, written, declared) {
            (true, Some(_), _) => reason.push_str(&format!("; {flag} from config")),
            (true, None, _) => reason.push_str(&format!("; {flag} declared by the plugin")),
            (false, _, true) => reason.push_str(&format!("; {flag} declared by the plugin, overridden in config")),
            (false, _, false) => {}
        }
    }
    reason
}

/// Two handlers may have one name, as in Datasette; by name only the first is reached.
fn warn_of_shadowed_names(parts: &Parts, findings: &mut FindingList<'_>) {
    for (place, later) in parts.handlers.iter().enumerate() {
        if let Some(first) = parts.handlers[..place].iter().find(|first| first.name() == later.name()) {
            let message = format!(
                "its handler \"{}\" cannot be chosen by name: plugin \"{}\" has one of the same name before it",
                later.name(),
                first.plugin()
            );
            findings.add(Severity::Warning, None, Some(later.plugin()), message);
        }
    }
}
