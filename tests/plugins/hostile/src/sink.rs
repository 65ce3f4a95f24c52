//! An event sink that writes to the journal, or fails to.

use token_plugin_api::{Delivery, Event, EventSink, PluginError, Result};

use crate::{
    fuse::Fuse,
    harm,
    journal::Journal,
    settings::{Record, SinkSettings},
};

pub(crate) struct Sink {
    settings: SinkSettings,
    journal: Journal,
    _fuse: Fuse,
}

impl Sink {
    pub(crate) fn new(settings: SinkSettings, journal: Journal) -> Self {
        let fuse = Fuse(settings.drop.clone());
        Self { settings, journal, _fuse: fuse }
    }
}

impl EventSink for Sink {
    fn name(&self) -> &str {
        self.settings.naming.of(&self.settings.name)
    }

    fn delivery(&self) -> Delivery {
        if self.settings.required { Delivery::Required } else { Delivery::Queued }
    }

    fn record(&self, event: &Event) -> Result<()> {
        match self.settings.record {
            Record::Journal => {
                let event = serde_json::to_value(event).map_err(PluginError::failed)?;
                self.journal.note(&self.settings.name, "event", event)
            }
            Record::Fail => Err(PluginError::failed("it was told to fail to record")),
            Record::Panic => panic!("it was told to panic when recording"),
            Record::Hang => harm::hang(),
        }
    }
}
