//! [`Audit`]: the event sink.

use std::{fs, io, path::Path};

use token_plugin_api::{Delivery, Event, EventSink, Hooks, HostHandle, PluginError, Result};

use crate::{config::Config, trail::Trail};

/// The event sink.
#[derive(Debug)]
pub struct Audit(Trail);

impl Audit {
    /// A sink with these settings. Nothing is created before the first event.
    ///
    /// # Errors
    ///
    /// When a setting makes no sense, or there can never be a file at its place.
    pub fn new(config: Config, host: &HostHandle) -> Result<Self> {
        let settings = config.check(host.folder())?;
        check_place(&settings.path)?;
        let host = host.clone();
        Ok(Self(Trail::new(settings, move || host.now())))
    }

    /// What should be known about a file that is there already.
    fn warning(&self) -> Option<String> {
        let path = &self.0.settings().path;
        is_open_to_others(path).then(|| format!("{} can be changed by others, expected mode 600", path.display()))
    }
}

impl EventSink for Audit {
    fn name(&self) -> &str {
        "audit"
    }

    fn delivery(&self) -> Delivery {
        if self.0.settings().required { Delivery::Required } else { Delivery::Queued }
    }

    fn record(&self, event: &Event) -> Result<()> {
        self.record_all(std::slice::from_ref(event))
    }

    fn record_all(&self, events: &[Event]) -> Result<()> {
        let wanted: Vec<&Event> = events.iter().filter(|event| self.0.settings().records(event.kind)).collect();
        if wanted.is_empty() { Ok(()) } else { self.0.record(&wanted) }
    }
}

/// Whether there is, or can be, a file: better said at the start than at the first event.
fn check_place(path: &Path) -> Result<()> {
    let refused = |why: &str| Err(PluginError::invalid_argument(format!("`path`: {}: {why}", path.display())));
    if path.parent().is_some_and(|folder| !folder.is_dir()) {
        return refused("it has no folder to be in, expected one that exists");
    }
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => refused("it is a symbolic link, expected the file itself"),
        Ok(metadata) if !metadata.is_file() => refused("it is not a regular file"),
        Err(error) if error.kind() != io::ErrorKind::NotFound => refused(&error.to_string()),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o022 != 0)
}

/// There the folder's rights decide.
#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

/// Registers the sink: for `export_plugin!`, and for hosts that link it in.
///
/// # Errors
///
/// As [`Audit::new`].
pub fn register(hooks: &mut Hooks, config: Config) -> Result<()> {
    let audit = Audit::new(config, hooks.host())?;
    if let Some(warning) = audit.warning() {
        hooks.warn(warning);
    }
    hooks.event_sink(audit);
    Ok(())
}
