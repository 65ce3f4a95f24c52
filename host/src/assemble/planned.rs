//! [`Planned`]: the plugins of a configuration in the order of registration, each examined, none loaded.
//!
//! What is linked in is registered first, then the files of the drop-in folder by name, then the
//! `[[plugin]]` entries; an entry that names a file of the folder takes that file's place with it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use token_plugin_api::abi::manifest::{Hook, Manifest};

use crate::{
    admit::{self, Examined, Policy},
    builder::StaticPlugin,
    config::{Config, LibraryName, PLUGIN_NAME_RULE, PluginEntry, PluginSettings, Severity, is_plugin_name},
    instance::InstanceKey,
    order::ordinal,
};

use super::{SLOW_HASHING, finding_list::FindingList};

/// A plugin that is to be made, in the order of registration.
pub(crate) struct Planned<'c> {
    pub(crate) registered: Registered,
    pub(crate) from: From<'c>,
    /// It has passed its preflight,
    pub(crate) has_passed: bool,
    /// and that has tried it just now.
    pub(crate) was_tried: bool,
}

/// Where a plugin comes from.
pub(crate) enum From<'c> {
    File(Box<Examined>),
    Linked(&'c StaticPlugin),
}

/// A plugin's registration: what the order law, and whoever reads a listing, wants to know of it.
#[derive(Clone)]
pub(crate) struct Registered {
    pub(crate) entry: PluginEntry,
    /// What the plugin itself asks for: tryfirst, trylast.
    declared: (bool, bool),
    /// None: it is linked in.
    pub(crate) file: Option<RegisteredFile>,
}

/// What is known of a plugin's file.
#[derive(Clone)]
pub(crate) struct RegisteredFile {
    pub(crate) path: PathBuf,
    pub(crate) sha256: [u8; 32],
    pub(crate) manifest: Manifest,
}

impl Registered {
    fn of_file(entry: PluginEntry, examined: &Examined) -> Self {
        let manifest = examined.manifest().clone();
        let file = RegisteredFile { path: examined.path().to_owned(), sha256: *examined.sha256(), manifest };
        let declared = (file.manifest.tryfirst, file.manifest.trylast);
        Self { entry, declared, file: Some(file) }
    }

    /// What an instance of it is made from.
    pub(crate) fn key(&self) -> InstanceKey {
        InstanceKey {
            plugin: self.entry.name.clone(),
            sha256: self.file.as_ref().map(|file| file.sha256),
            settings: self.entry.settings.digest(),
            max_blocking_calls: self.entry.max_blocking_calls,
        }
    }

    /// tryfirst and trylast: the configuration's word, else the plugin's. Who sets only one of them
    /// in the configuration does not want the plugin's other one on top.
    pub(crate) fn flags(&self) -> (bool, bool) {
        match (self.entry.tryfirst, self.entry.trylast) {
            (Some(true), None) => (true, false),
            (None, Some(true)) => (false, true),
            (tryfirst, trylast) => (tryfirst.unwrap_or(self.declared.0), trylast.unwrap_or(self.declared.1)),
        }
    }

    /// Why it stands where it does, when it was registered at this place.
    pub(crate) fn reason(&self, registered: usize) -> String {
        let mut reason = format!("registered {}", ordinal(registered));
        let flags = self.flags();
        for (flag, counts, written, declared) in [
            ("tryfirst", flags.0, self.entry.tryfirst, self.declared.0),
            ("trylast", flags.1, self.entry.trylast, self.declared.1),
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
}

/// Finds and examines every plugin of a configuration.
pub(crate) fn plan<'c>(
    config: &Config,
    statics: &'c [StaticPlugin],
    findings: &mut FindingList<'_>,
) -> Vec<Planned<'c>> {
    let policy = Policy::of(config);
    if config.trust.require_lock && config.lock.is_none() {
        findings.wrong = true;
        let message = "there is no plugins.lock, which [trust] requires: run `token-host lock`".to_owned();
        findings.add(Severity::Error, None, None, message);
    }
    let entries: Vec<(&PluginEntry, Option<PathBuf>)> =
        config.plugins.iter().map(|entry| (entry, find(entry, config, findings))).collect();
    let mut planned: Vec<Planned<'c>> = Vec::new();
    for plugin in statics {
        let entry = PluginEntry::unwritten(&plugin.name, PluginSettings::from_json(&plugin.settings), &config.folder);
        let registered = Registered { entry, declared: (plugin.tryfirst, plugin.trylast), file: None };
        planned.push(Planned { registered, from: From::Linked(plugin), has_passed: false, was_tried: false });
    }
    let of_file = |entry: PluginEntry, examined: Examined| Planned {
        registered: Registered::of_file(entry, &examined),
        from: From::File(Box::new(examined)),
        has_passed: false,
        was_tried: false,
    };
    for file in discover(config, findings) {
        if entries.iter().any(|(_, path)| path.as_deref().is_some_and(|path| is_same(path, &file))) {
            continue;
        }
        match admit::examine(&file, None, &policy) {
            Ok(examined) => {
                let entry = PluginEntry::unwritten(&examined.manifest().name, PluginSettings::empty(), &config.folder);
                check_manifest(&entry, examined.manifest(), findings);
                planned.push(of_file(entry, examined));
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
                check_manifest(entry, examined.manifest(), findings);
                seen.insert(path, examined.clone());
                planned.push(of_file(entry.clone(), examined));
            }
            Err(refusal) => findings.refuse(entry, refusal.to_string()),
        }
    }
    refuse_repeated_names(&planned, findings);
    tell_of_unused_locks(config, &planned, findings);
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
    let folders: Vec<PathBuf> = config.library_folders().map(Path::to_owned).collect();
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
    let place = |registered: &Registered| match &registered.file {
        Some(file) => file.path.display().to_string(),
        None => "what is linked in".to_owned(),
    };
    for (index, Planned { registered: later, .. }) in planned.iter().enumerate() {
        let mut before = planned[..index].iter().map(|earlier| &earlier.registered);
        if let Some(earlier) = before.find(|earlier| earlier.entry.name == later.entry.name) {
            let message = format!(
                "the name is used twice, by {} and by {}: give one of them a [[plugin]] entry with another name",
                place(earlier),
                place(later)
            );
            findings.wrong(&later.entry, message);
        }
    }
}

/// A file that is locked and not there is no danger, but probably not what was meant.
fn tell_of_unused_locks(config: &Config, planned: &[Planned<'_>], findings: &mut FindingList<'_>) {
    let Some(lock) = &config.lock else { return };
    let files = planned.iter().filter_map(|planned| Some(planned.registered.file.as_ref()?.path.as_path()));
    for unused in lock.unused(&files.collect::<Vec<_>>()) {
        let message = format!("plugins.lock has {unused}, which no plugin is loaded from");
        findings.add(Severity::Notice, None, None, message);
    }
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
