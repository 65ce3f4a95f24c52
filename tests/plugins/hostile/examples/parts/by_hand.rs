//! A manifest as the export macro writes it, for examples whose root is written by hand.

use token_plugin_api::abi::manifest::{Hook, RUSTC, encode, encoded_len};

const RECORDS: &[(&str, &str)] = &[
    ("name", env!("CARGO_CRATE_NAME")),
    ("version", env!("CARGO_PKG_VERSION")),
    ("description", env!("CARGO_PKG_DESCRIPTION")),
    ("abi", "1"),
    ("api", token_plugin_api::VERSION),
    ("rustc", RUSTC),
    ("panic", "unwind"),
    ("hook", Hook::TokenHandler.name()),
];

#[used]
#[unsafe(export_name = "token_plugin_manifest")]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__token_plugin"))]
#[cfg_attr(windows, unsafe(link_section = ".tokplug"))]
#[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = ".token_plugin"))]
static MANIFEST: [u8; encoded_len(RECORDS)] = encode(RECORDS);
