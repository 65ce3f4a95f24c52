//! [`FindingList`]: what is to be said of a generation while it is built.

use crate::{
    config::{Config, Finding, Place, PluginEntry, Severity},
    error::{Error, ErrorKind},
};

/// Collects what is to be said.
pub(crate) struct FindingList<'c> {
    config: &'c Config,
    pub(crate) list: Vec<Finding>,
    /// A library was refused.
    pub(crate) refused: bool,
    /// Something else is wrong.
    pub(crate) wrong: bool,
}

impl<'c> FindingList<'c> {
    /// With what the configuration's own reader had to say.
    pub(crate) fn new(config: &'c Config) -> Self {
        Self { config, list: config.warnings.clone(), refused: false, wrong: false }
    }

    /// Everything, when none of it is an error.
    ///
    /// # Errors
    ///
    /// All findings at once: [`ErrorKind::Admission`] when files were refused and nothing else is wrong,
    /// else [`ErrorKind::Config`].
    pub(crate) fn finish(self) -> Result<Vec<Finding>, Error> {
        match (self.wrong, self.refused) {
            (false, false) => Ok(self.list),
            (false, true) => Err(Error::from_findings(ErrorKind::Admission, self.list)),
            (true, _) => Err(Error::from_findings(ErrorKind::Config, self.list)),
        }
    }

    /// Whether the generation is refused already.
    pub(crate) fn has_errors(&self) -> bool {
        self.refused || self.wrong
    }

    pub(crate) fn refuse(&mut self, entry: &PluginEntry, message: String) {
        self.refused = true;
        self.add(Severity::Error, entry.place, Some(&entry.name), message);
    }

    pub(crate) fn wrong(&mut self, entry: &PluginEntry, message: String) {
        self.wrong = true;
        self.add(Severity::Error, entry.place, Some(&entry.name), message);
    }

    pub(crate) fn warn(&mut self, entry: &PluginEntry, message: String) {
        self.add(Severity::Warning, entry.place, Some(&entry.name), message);
    }

    pub(crate) fn add(&mut self, severity: Severity, place: Option<Place>, plugin: Option<&str>, message: String) {
        let (origin, plugin) = (Some(self.config.origin.to_string()), plugin.map(str::to_owned));
        self.list.push(Finding { origin, place, plugin, message, severity });
    }
}
