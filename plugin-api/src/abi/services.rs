//! [`HostServices`]: the plugin's side of what the host does for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use abi_stable::std_types::{RStr, RString, RVec};
use serde_json::{Map, Value};

use super::{
    convert::result_from_v1,
    v1::{Generator, LogRecordV1, NewInstanceV1, Services},
};
use crate::{Event, PluginError, Result, TokenGenerator, bridge};

/// The host, as one instance of a plugin sees it.
pub(crate) struct HostServices {
    services: Services,
    plugin: String,
    folder: PathBuf,
    log_slot: bridge::Slot,
    faults: Mutex<Vec<String>>,
}

impl HostServices {
    pub(crate) fn new(services: Services, new: &NewInstanceV1<'_>, log_slot: bridge::Slot) -> Arc<Self> {
        let (plugin, folder) = (new.name.as_str().to_owned(), PathBuf::from(new.folder.as_str()));
        let services = Self { services, plugin, folder, log_slot, faults: Mutex::default() };
        let services = Arc::new(services);
        bridge::attach(log_slot, &services);
        services
    }

    pub(crate) fn plugin(&self) -> &str {
        &self.plugin
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn log_slot(&self) -> bridge::Slot {
        self.log_slot
    }

    pub(crate) fn now(&self) -> u64 {
        self.services.now()
    }

    pub(crate) fn log_enabled(&self, level: u8) -> bool {
        self.services.log_enabled(level)
    }

    pub(crate) fn log(&self, level: u8, target: &str, message: &str, fields: &str) {
        self.services.log(LogRecordV1 { level, target: target.into(), message: message.into(), fields: fields.into() });
    }

    pub(crate) fn emit(&self, event: &Event) {
        match serde_json::to_string(event) {
            Ok(event) => self.services.emit(RStr::from(event.as_str())),
            Err(error) => self.log(1, module_path!(), &format!("an event could not be written: {error}"), ""),
        }
    }

    pub(crate) fn token_generator(&self, id: &str) -> Option<ForeignGenerator> {
        let generator = self.services.token_generator(id.into()).into_option()?;
        Some(ForeignGenerator { id: id.to_owned(), generator })
    }

    /// Notes that something went wrong where no answer could carry it.
    pub(crate) fn fault(&self, message: String) {
        self.log(1, module_path!(), &message, "");
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }

    pub(crate) fn take_faults(&self) -> RVec<RString> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.drain(..).map(RString::from).collect()
    }
}

impl Drop for HostServices {
    fn drop(&mut self) {
        bridge::detach(self.log_slot);
    }
}

/// A token generator of another plugin, reached through the host.
pub(crate) struct ForeignGenerator {
    id: String,
    generator: Generator,
}

impl TokenGenerator for ForeignGenerator {
    fn id(&self) -> &str {
        &self.id
    }

    fn create_token(&self, token_info: &Map<String, Value>) -> Result<String> {
        let token_info = serde_json::to_string(token_info).map_err(PluginError::failed)?;
        result_from_v1(self.generator.create_token(token_info.as_str().into())).map(RString::into_string)
    }

    fn validate_token(&self, token: &str, token_info: &Map<String, Value>) -> Result<bool> {
        let token_info = serde_json::to_string(token_info).map_err(PluginError::failed)?;
        result_from_v1(self.generator.validate_token(token.into(), token_info.as_str().into()))
    }
}
