//! A plugin that does what its configuration tells it to, right or wrong: for the tests of the host.
//!
//! One library stands for every plugin of the tests, so that it is built once. `settings` is what
//! can be told, `deed` is what handlers then do, `fuse` is what misbehaves when it is dropped, `harm` is what no
//! process survives, `leftover` is what outlives its plugin.

#![expect(clippy::panic, reason = "to panic is what this plugin is for")]

mod deed;
mod fuse;
mod generator;
mod handler;
mod harm;
mod journal;
mod leftover;
mod metrics;
mod noise;
mod settings;
mod sink;
mod store;
mod wrapper;

use std::process;

use token_plugin_api::{Hooks, PluginError, Result, export_plugin};

use self::{
    generator::Generator,
    handler::{AsyncHandler, Handler},
    journal::Journal,
    settings::{Execution, Register, Settings},
    sink::Sink,
    wrapper::Wrapper,
};

fn register(hooks: &mut Hooks, settings: Settings) -> Result<()> {
    let journal = Journal::new(settings.journal, hooks.host().plugin());
    journal.note("plugin", "register", ())?;
    match settings.register {
        Register::Ok => {}
        Register::Fail => return Err(PluginError::failed("it was told to fail at registration")),
        Register::Panic => panic!("it was told to panic at registration"),
        Register::PanicWithBomb => fuse::panic_with_bomb(),
        Register::Warn => {
            hooks.warn("it was told to warn");
        }
        Register::Log => noise::log_everywhere(),
        Register::Hang => harm::hang(),
        Register::Spin => harm::spin(),
        Register::Allocate => harm::allocate(),
        Register::Abort => process::abort(),
        Register::Exit => harm::exit(),
        Register::Overflow => harm::overflow(),
        Register::Thread => leftover::thread(),
        Register::Locals => leftover::locals(&journal),
        Register::Stdout => noise::print()?,
    }
    if let Some(id) = &settings.extension {
        hooks.extension(id, 42_u64);
    }
    for settings in settings.handlers {
        match settings.execution {
            Execution::Inline => hooks.handler(Handler::new(settings, journal.clone())),
            Execution::Blocking => hooks.blocking_handler(Handler::new(settings, journal.clone())),
            Execution::Async => hooks.async_handler(AsyncHandler::new(settings, journal.clone())),
        };
    }
    for settings in settings.wrappers {
        hooks.wrapper(Wrapper::new(settings, journal.clone()));
    }
    for settings in settings.sinks {
        hooks.event_sink(Sink::new(settings, journal.clone()));
    }
    for settings in settings.metrics {
        metrics::register(hooks, settings, journal.clone());
    }
    for settings in settings.generators {
        hooks.token_generator(Generator::new(settings));
    }
    Ok(())
}

export_plugin! {
    name: "hostile",
    hooks: [TokenHandler, Wrapper, EventSink, TokenGenerator],
    register: register,
}
