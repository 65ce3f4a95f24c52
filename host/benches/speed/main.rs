//! What things cost, all in one run: `cargo bench -p token-host`.
//!
//! Printed are medians with their spread, and beside them what they are compared with. With
//! `-- --test`, or run by `cargo test --benches`, it does everything once and fast, as a check that it runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench reports on its output, and stops at what is odd"
)]

mod boundary;
mod changing;
mod database;
mod floor;
mod installed;
mod jwt;
mod jwt_floor;
mod latency;
mod libraries;
mod loading;
mod machine;
mod oauth2;
mod reloading;
mod sampler;
mod scaling;
mod serving;
mod table;
mod threads;

use crate::sampler::Effort;

fn main() {
    if std::env::args().any(|argument| argument == serving::FIXED_SERVER) {
        return serving::serve_fixed();
    }
    let effort = Effort::asked_for(std::env::args());
    machine::raise_file_limit();
    machine::print(effort);
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, measure) in SECTIONS {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            measure(effort);
        }
    }
    table::print_verdict();
}

/// A part of the run: its name, and what it does.
type Section = (&'static str, fn(Effort));

/// What is measured; a few alone by name, as in `cargo bench -p token-host -- jwt`.
const SECTIONS: [Section; 11] = [
    ("boundary", boundary::measure),
    ("jwt", jwt::measure),
    ("database", database::measure),
    ("oauth2", oauth2::measure),
    ("scaling", scaling::measure),
    ("threads", threads::measure),
    ("loading", loading::measure),
    ("reloading", reloading::measure),
    ("latency", latency::measure),
    ("http", serving::measure),
    ("soak", serving::soak),
];
