//! Figures that are told as the configuration has them, or never.

use token_plugin_api::Hooks;

use crate::{
    fuse::wait_for,
    harm,
    journal::Journal,
    settings::{MetricsSettings, Tell},
};

pub(crate) fn register(hooks: &mut Hooks, settings: MetricsSettings, journal: Journal) {
    hooks.metrics(move || {
        // Whether it could be noted is for whoever reads the journal to see.
        let _ = journal.note("metrics", "tell", ());
        match settings.tell {
            Tell::Ok => {}
            Tell::Panic => panic!("it was told to panic when telling"),
            Tell::Hang => harm::hang(),
            Tell::Slow => settings.slow_until.iter().for_each(|path| wait_for(path)),
        }
        settings.figures.clone()
    });
}
