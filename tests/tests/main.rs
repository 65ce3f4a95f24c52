//! The black-box tests, one file a theme.
#![cfg(test)]

mod abi_archive;
mod admission;
mod breaker;
mod cli;
mod config;
mod conformance;
mod corruption;
mod create;
mod deadlines;
mod events;
mod fuzz;
mod hostile_plugins;
mod hostile_tokens;
mod interop;
mod jwt;
mod jwt_flask;
mod jwt_interop;
mod jwt_key_sets;
mod jwt_revocation;
mod jwt_strictness;
mod keeping;
mod logs;
mod many_reloads;
mod order;
mod other_compiler;
mod policy;
mod preflight;
mod reload;
mod signed;
mod stores;
mod trust;
mod verify;
mod watch;
mod watchdog;
mod wrappers;
