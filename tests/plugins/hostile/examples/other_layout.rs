//! A library with a good manifest, whose root has the name of a plugin's and another layout.
//!
//! Were it called as the host's own type says, the process would end.

#![expect(unsafe_code, reason = "the exported symbols and the section are the boundary itself")]
#![allow(
    missing_docs,
    unreachable_pub,
    elided_lifetimes_in_paths,
    missing_debug_implementations,
    clippy::all,
    non_camel_case_types,
    reason = "what `StableAbi` generates carries no lint discipline of ours"
)]

#[path = "parts/by_hand.rs"]
mod by_hand;

use abi_stable::{
    StableAbi, declare_root_module_statics,
    library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModule, RootModuleResult},
    package_version_strings,
    prefix_type::PrefixTypeTrait,
    sabi_types::VersionStrings,
};

/// What is the function that makes an instance in a plugin's root makes a number here.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRoot_Ref)))]
#[sabi(missing_field(panic))]
pub struct PluginRoot {
    pub new_instance: extern "C" fn(u64) -> u64,
    #[sabi(last_prefix_field)]
    pub extension: u64,
}

impl RootModule for PluginRoot_Ref {
    declare_root_module_statics! {PluginRoot_Ref}
    const BASE_NAME: &'static str = "token_plugin";
    const NAME: &'static str = "token_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

extern "C" fn new_instance(_: u64) -> u64 {
    std::process::abort()
}

fn root() -> PluginRoot_Ref {
    PluginRoot { new_instance, extension: 1 }.leak_into_prefix()
}

extern "C" fn constructor() -> RootModuleResult {
    __call_root_module_loader(root)
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static ROOT: LibHeader = {
    // SAFETY: `constructor` returns the module that `root` made, a `PluginRoot_Ref`.
    unsafe { LibHeader::from_constructor::<PluginRoot_Ref>(constructor, CheckTypeLayout::Yes) }
};
