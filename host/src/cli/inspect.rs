//! `token-host inspect`: what a library says of itself, read without running any of it.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use token_host::{
    admit::{Policy, hexadecimal, inspect},
    token_plugin_api::abi::manifest::PanicStrategy,
};

use super::{
    exit::Failure,
    output::{Output, one_line},
};

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The library, of any platform
    file: PathBuf,
}

impl Inspect {
    /// Prints the manifest, and whether this host would load the file.
    pub(crate) fn run(self, output: &Output) -> Result<(), Failure> {
        let inspected = inspect(&self.file, Policy::default().max_bytes).map_err(|refusal| {
            output.note(&refusal.to_string());
            Failure::Refused
        })?;
        let manifest = &inspected.manifest;
        let hooks = manifest.hooks.iter().map(|hook| hook.name());
        let hooks: Vec<&str> = hooks.chain(manifest.unknown_hooks.iter().map(String::as_str)).collect();
        let panic = if manifest.panic == PanicStrategy::Unwind { "unwind" } else { "abort" };
        let objection = inspected.objection.as_ref().map(ToString::to_string);
        if output.is_json() {
            return output.json(&json!({
                "name": manifest.name,
                "version": manifest.version,
                "description": manifest.description,
                "abi_level": manifest.abi_level,
                "api_version": manifest.api_version,
                "rustc": manifest.rustc,
                "panic": panic,
                "hooks": hooks,
                "tryfirst": manifest.tryfirst,
                "trylast": manifest.trylast,
                "static_sha_and_avx": manifest.static_sha_and_avx,
                "sha256": hexadecimal(&inspected.sha256),
                "size_bytes": inspected.size_bytes,
                "objection": objection,
            }));
        }
        for (label, value) in [
            ("name", one_line(&manifest.name)),
            ("version", one_line(&manifest.version)),
            ("description", one_line(&manifest.description)),
            ("hooks", one_line(&hooks.join(", "))),
            ("ABI level", manifest.abi_level.to_string()),
            ("API version", one_line(&manifest.api_version)),
            ("rustc", one_line(&manifest.rustc)),
            ("panic", panic.to_owned()),
            ("tryfirst", manifest.tryfirst.to_string()),
            ("trylast", manifest.trylast.to_string()),
            ("sha256", hexadecimal(&inspected.sha256)),
            ("size", format!("{} bytes", inspected.size_bytes)),
            ("this host", objection.map_or("would load it".to_owned(), |why| format!("would not load it: {why}"))),
        ] {
            output.line(&format!("{label:12} {value}"))?;
        }
        Ok(())
    }
}
