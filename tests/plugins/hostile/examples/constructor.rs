//! A plugin whose library does something as soon as it is loaded: what its marker says.
//!
//! The constructor runs inside `dlopen`, before anybody can ask the library for anything.

#![expect(unsafe_code, reason = "a constructor is a function in a section of its own")]
#![expect(clippy::panic, reason = "to panic is one of the deeds")]

#[path = "parts/marker.rs"]
mod marker;
#[path = "parts/plugin.rs"]
mod plugin;

use token_plugin_api::export_plugin;

export_plugin! { name: "constructor", hooks: [TokenHandler], register: plugin::register }

#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(windows, unsafe(link_section = ".CRT$XCU"))]
#[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = ".init_array"))]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    marker::obey();
}
