//! The database handler as a plugin: what it is made of is [`token_database_core`], which other plugins share.

#[cfg(feature = "export")]
use token_plugin_api::export_plugin;

pub use token_database_core::{Config, Database, register};

#[cfg(feature = "export")]
export_plugin! { name: "database", hooks: [TokenHandler, TokenGenerator], register: register }
