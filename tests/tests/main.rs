//! The black-box tests, one file a theme.
#![cfg(test)]

mod abi_archive;
mod admission;
mod api_access;
mod api_description;
mod api_events;
mod api_plugins;
mod api_tokens;
mod audit;
mod breaker;
mod cli;
mod config;
mod conformance;
#[cfg(target_os = "linux")]
mod console;
#[cfg(target_os = "linux")]
mod console_looks;
#[cfg(target_os = "linux")]
mod console_plugins;
#[cfg(target_os = "linux")]
mod console_tokens;
mod corruption;
mod create;
mod database;
mod database_bad_days;
mod database_hosts;
mod database_import;
mod database_managing;
mod database_server;
mod datasette_http;
mod datasette_http_form;
mod deadlines;
mod embedding;
mod embedding_axum;
mod events;
mod forward_auth;
mod forward_auth_limits;
mod fuzz;
mod hostile_http;
mod hostile_http2;
mod hostile_http_fuzz;
mod hostile_http_heads;
mod hostile_http_many;
mod hostile_http_slow;
mod hostile_plugins;
mod hostile_tokens;
mod interop;
mod introspection;
mod introspection_refusals;
mod jwt;
mod jwt_flask;
mod jwt_interop;
mod jwt_key_sets;
mod jwt_revocation;
mod jwt_strictness;
mod keeping;
mod logs;
mod many_reloads;
mod oauth2_layout;
mod oauth2_server;
mod oauth2_server_cli;
mod oauth2_server_consent;
mod oauth2_server_down;
mod oauth2_server_errors;
mod oauth2_stores;
mod observing;
mod order;
mod other_compiler;
mod policy;
mod preflight;
mod proxies;
mod proxies_apache;
mod proxies_replayed;
mod proxies_tricks;
mod reload;
mod revocation;
mod serve;
#[cfg(unix)]
mod serve_stop;
#[cfg(target_os = "linux")]
mod serve_systemd;
#[cfg(unix)]
mod serve_tls;
mod sessions;
mod signed;
mod stores;
mod token_review;
mod tracing;
mod trust;
mod verify;
mod watch;
mod watchdog;
mod wrappers;
