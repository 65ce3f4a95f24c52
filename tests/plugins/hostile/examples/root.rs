//! A plugin whose library does something when the host asks it for its root: what its marker says.

#![expect(unsafe_code, reason = "the exported symbols and the section are the boundary itself")]
#![expect(clippy::panic, reason = "to panic is one of the deeds")]

#[path = "parts/by_hand.rs"]
mod by_hand;
#[path = "parts/marker.rs"]
mod marker;
#[path = "parts/plugin.rs"]
mod plugin;

use abi_stable::{
    library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult},
    prefix_type::PrefixTypeTrait,
    std_types::RResult,
};
use token_plugin_api::abi::{export, manifest::Hook, v1};

extern "C" fn new_instance(services: v1::Services, new: v1::NewInstanceV1<'_>) -> RResult<v1::InstanceV1, v1::ErrorV1> {
    export::new_instance(services, new, &[Hook::TokenHandler], plugin::register)
}

fn root() -> v1::PluginRoot_Ref {
    marker::obey();
    v1::PluginRoot { new_instance, extension: export::no_extension }.leak_into_prefix()
}

extern "C" fn constructor() -> RootModuleResult {
    __call_root_module_loader(root)
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
static ROOT: LibHeader = {
    // SAFETY: `constructor` returns the module that `root` made, a `PluginRoot_Ref`.
    unsafe { LibHeader::from_constructor::<v1::PluginRoot_Ref>(constructor, CheckTypeLayout::Yes) }
};
