//! The conformance suite over what a library exports. A program of its own: the bridge to a host belongs to the process.

mod subject;

use subject::{Fault, SETTINGS, assert_only, with};
use token_plugin_api::{
    abi::{
        export::{self, abi_stable::std_types::RResult},
        manifest::Hook,
        v1::{ErrorV1, InstanceV1, NewInstanceV1, Services},
    },
    conformance::Suite,
};

type NewInstance = extern "C" fn(Services, NewInstanceV1<'_>) -> RResult<InstanceV1, ErrorV1>;

/// As `export_plugin!` writes it, for a handler with a fault.
macro_rules! library {
    ($name:ident, $fault:ident) => {
        extern "C" fn $name(services: Services, new: NewInstanceV1<'_>) -> RResult<InstanceV1, ErrorV1> {
            export::new_instance(services, new, &[Hook::TokenHandler], |hooks, config| {
                with(Fault::$fault)(hooks, config)
            })
        }
    };
}

library!(honest, None);
library!(panicking, PanicsOnItsOwnThread);
library!(tracing, TracesTokens);
library!(logging, LogsTokens);
library!(quoting, QuotesItsKey);

// One test, since panics and records of threads of the plugin's own go to whichever instance is there.
#[test]
fn a_librarys_log_and_its_panics_reach_the_suite() {
    let run = |make: NewInstance| {
        let suite = Suite::of_library(move |services, new| make(services, new), SETTINGS, ["a key that nobody knows"]);
        suite.named("toy").run(&mut |_| ())
    };
    let reports = [honest, panicking, tracing, logging, quoting].map(run);
    // The plugin's hook tells its host of panics, and nobody else: below it would hide why this test fails.
    drop(std::panic::take_hook());
    let [honest, panicking, tracing, logging, quoting] = reports;
    honest.assert_good();
    assert_only(&panicking, "panics", "in `create_then_verify` of `toy`: a thread of the plugin panicked at ");
    assert_only(
        &tracing,
        "secrecy",
        "a log record of `conformance_bridged::subject` in `changed_bytes` of `toy` quotes",
    );
    assert_only(
        &logging,
        "secrecy",
        "a log record of `conformance_bridged::subject` in `changed_bytes` of `toy` quotes",
    );
    assert_only(&quoting, "secrecy", "quotes a secret of the settings");
}
