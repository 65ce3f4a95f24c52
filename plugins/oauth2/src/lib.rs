//! The OAuth 2.0 stores and their handler as a plugin: what it is made of is [`token_oauth2_core`], which embedders and the
//! benches share.

#[cfg(feature = "export")]
use token_plugin_api::export_plugin;

pub use token_oauth2_core::{Config, Stores, register};

#[cfg(feature = "export")]
export_plugin! { name: "oauth2", hooks: [TokenHandler, Store], register: register }
