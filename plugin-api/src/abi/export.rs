//! From an author's `register` function to what a plugin library exports.

use abi_stable::{
    sabi_trait::TD_Opaque,
    std_types::{ROption, RResult, RStr, RString},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use zeroize::Zeroizing;

pub use abi_stable;

use super::{
    convert::{GeneratorDetails, HandlerDetails},
    extension::ExtensionV1,
    fence::fenced,
    manifest::Hook,
    objects::{AsyncObject, Object, keeper, refused},
    services::HostServices,
    v1,
};
use crate::{
    AsyncTokenHandler, Claims, Delivery, EventSink, Hooks, HostHandle, PluginError, Result, TokenGenerator,
    TokenHandler, Trial, Wrapper, bridge, handler::MAX_CLAIM_BYTES, secret::Watch,
};

/// Makes an instance of a plugin that is a library of its own.
pub fn new_instance<C: DeserializeOwned>(
    services: v1::Services,
    new: v1::NewInstanceV1<'_>,
    declared: &[Hook],
    register: fn(&mut Hooks, C) -> Result<()>,
) -> RResult<v1::InstanceV1, v1::ErrorV1> {
    instantiate(HostServices::new(services, &new, bridge::install()), new, Some(declared), register)
}

/// Makes an instance of a plugin that is linked into the host.
pub fn new_in_process<C: DeserializeOwned>(
    services: v1::Services,
    new: v1::NewInstanceV1<'_>,
    register: impl FnOnce(&mut Hooks, C) -> Result<()>,
) -> RResult<v1::InstanceV1, v1::ErrorV1> {
    instantiate(HostServices::new(services, &new, bridge::IN_PROCESS), new, None, register)
}

/// Level 1 has no extensions of the library itself.
pub extern "C" fn no_extension(_: RStr<'_>) -> ROption<ExtensionV1> {
    ROption::RNone
}

fn instantiate<C: DeserializeOwned>(
    services: std::sync::Arc<HostServices>,
    new: v1::NewInstanceV1<'_>,
    declared: Option<&[Hook]>,
    register: impl FnOnce(&mut Hooks, C) -> Result<()>,
) -> RResult<v1::InstanceV1, v1::ErrorV1> {
    let mut hooks = Hooks::new(HostHandle(std::sync::Arc::clone(&services)), keeper(&services));
    let registered = fenced(&services, || {
        let watch = Watch::start(new.resolved.iter().map(|value| value.as_str()));
        let config = read_settings(new.settings.as_str())?;
        if watch.inline() > 0 {
            hooks.warn("a secret stands in the configuration itself: use { env = \"NAME\" } or { file = \"path\" }");
        }
        drop(watch);
        register(&mut hooks, config)?;
        hooks.check(declared)
    });
    match registered {
        Ok(()) => RResult::ROk(hooks.into_instance()),
        Err(error) => refused(error),
    }
}

/// Reads the settings into the author's type. Unknown keys are refused, whether or not the author
/// thought of `deny_unknown_fields`.
fn read_settings<C: DeserializeOwned>(settings: &str) -> Result<C> {
    let mut unknown = Vec::new();
    let mut json = serde_json::Deserializer::from_str(settings);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let read = serde_ignored::deserialize(tracked, |path| unknown.push(path.to_string()));
    let config = read.map_err(|error: serde_json::Error| {
        let path = track.path().to_string();
        let text = without_values(&error.to_string(), settings);
        PluginError::invalid_argument(if path == "." { text } else { format!("`{path}`: {text}") })
    })?;
    match unknown.as_slice() {
        [] => Ok(config),
        unknown => Err(PluginError::invalid_argument(format!("`{}`: unknown key", unknown.join("`, `")))),
    }
}

/// A message of serde's without any value of the settings, which may be a secret in the wrong place,
/// and without its position, which is one in a JSON text that nobody has seen.
fn without_values(message: &str, settings: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    let quotes = ["invalid type: ", "invalid value: "].iter().find_map(|start| message.strip_prefix(start));
    let mut message =
        match quotes.and_then(|rest| Some((rest.split([' ', '`']).next()?, rest.rsplit_once(", expected ")?.1))) {
            Some((kind, expected)) => format!("expected {expected}, found a value of type {kind}"),
            None => message.to_owned(),
        };
    // An author's own message may quote a value as well.
    let mut texts = Vec::new();
    if let Ok(settings) = serde_json::from_str(settings) {
        collect_texts(&settings, &mut texts);
    }
    // Longest first: a shorter value may be a part of a longer one.
    texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
    for text in texts.iter().filter(|text| text.len() >= SHORTEST_SECRET_BYTES) {
        message = message.replace(text.as_str(), "[value]");
    }
    message
}

/// Shorter values are no secrets, and are found in many words.
const SHORTEST_SECRET_BYTES: usize = 4;

fn collect_texts(value: &Value, texts: &mut Vec<Zeroizing<String>>) {
    match value {
        Value::String(text) => texts.push(Zeroizing::new(text.clone())),
        Value::Array(list) => list.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(map) => map.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}

impl Hooks {
    pub(crate) fn put_handler(&mut self, handler: impl TokenHandler, blocking: bool) {
        // Author code is asked only once its value is guarded: should it panic, the value's `Drop` may panic too.
        let object = Object::new(handler, self.host(), "the handler");
        let about = (object.value().name().to_owned(), object.value().claims(), object.value().trial());
        let object = v1::Handler::from_value(object, TD_Opaque);
        let object = if blocking { v1::HandlerKindV1::Blocking(object) } else { v1::HandlerKindV1::Inline(object) };
        self.put_entry(about, object);
    }

    pub(crate) fn put_async_handler(&mut self, handler: impl AsyncTokenHandler) {
        let object = AsyncObject::new(handler, self.host());
        let about = (object.value().name().to_owned(), object.value().claims(), object.value().trial());
        let object = v1::AsyncHandler::from_value(object, TD_Opaque);
        self.put_entry(about, v1::HandlerKindV1::Async(object));
    }

    fn put_entry(&mut self, (name, claims, trial): (String, Claims, Trial), handler: v1::HandlerKindV1) {
        if let Some(claim) = claims.as_slice().iter().find(|claim| claim.is_empty() || claim.len() > MAX_CLAIM_BYTES) {
            self.fault(format!(
                "handler `{name}` claims a prefix of {} bytes, expected 1 to {MAX_CLAIM_BYTES}",
                claim.len()
            ));
        }
        let claims = claims.0.into_iter().map(RString::from).collect();
        let details = HandlerDetails { trial }.to_v1();
        self.instance.handlers.push(v1::HandlerEntryV1 { name: name.into(), claims, handler, details });
    }

    pub(crate) fn put_wrapper(&mut self, wrapper: impl Wrapper) {
        let object = Object::new(wrapper, self.host(), "the wrapper");
        let name = RString::from(object.value().name());
        let wrapper = v1::WrapperObject::from_value(object, TD_Opaque);
        self.instance.wrappers.push(v1::WrapperEntryV1 { name, wrapper, details: v1::DetailsV1::RNone });
    }

    pub(crate) fn put_event_sink(&mut self, sink: impl EventSink) {
        let object = Object::new(sink, self.host(), "the event sink");
        let (name, required) = (RString::from(object.value().name()), object.value().delivery() == Delivery::Required);
        let sink = v1::Sink::from_value(object, TD_Opaque);
        self.instance.event_sinks.push(v1::EventSinkEntryV1 { name, required, sink, details: v1::DetailsV1::RNone });
    }

    pub(crate) fn put_token_generator(&mut self, generator: impl TokenGenerator) {
        let object = Object::new(generator, self.host(), "the generator");
        let id = RString::from(object.value().id());
        let details = GeneratorDetails { pattern: object.value().pattern() }.to_v1();
        let generator = v1::Generator::from_value(object, TD_Opaque);
        self.instance.token_generators.push(v1::TokenGeneratorEntryV1 { id, generator, details });
    }
}

/// Exports a plugin from a `cdylib` crate: its manifest and its root.
///
/// ```
/// # mod plugin {
/// use token_plugin_api::{Hooks, NoConfig, Result, export_plugin};
///
/// fn register(hooks: &mut Hooks, _: NoConfig) -> Result<()> {
///     Ok(())
/// }
///
/// export_plugin! {
///     name: "example",
///     hooks: [TokenHandler, Wrapper],
///     tryfirst: true,
///     register: register,
/// }
/// # }
/// # fn main() {}
/// ```
///
/// - `name`: the plugin's name, in listings and as the default in configurations;
/// - `hooks`: what it registers, of [`Hook`](crate::abi::manifest::Hook)'s variants; registering anything else is refused;
/// - `tryfirst`, `trylast`: where it asks to be in the call order, `false` when left out; the configuration overrides them;
/// - `register`: a `fn(&mut Hooks, Config) -> Result<()>`, where `Config` is any `Deserialize` type.
///
/// Version and description are those of the crate.
///
/// A program can hold one exported plugin. A crate that is also linked into hosts puts the macro
/// behind a feature of its own, which is on by default and which those hosts switch off.
#[macro_export]
macro_rules! export_plugin {
    (
        name: $name:literal,
        hooks: [$($hook:ident),* $(,)?],
        $(tryfirst: $tryfirst:literal,)?
        $(trylast: $trylast:literal,)?
        register: $register:path $(,)?
    ) => {
        // The exported symbols and the section are the boundary itself.
        #[allow(unsafe_code)]
        const _: () = {
            use $crate::abi::{export, manifest, v1};
            use $crate::abi::export::abi_stable::{library, prefix_type::PrefixTypeTrait, std_types};

            const RECORDS: &[(&str, &str)] = &[
                ("name", $name),
                ("version", env!("CARGO_PKG_VERSION")),
                ("description", env!("CARGO_PKG_DESCRIPTION")),
                ("abi", "1"),
                ("api", $crate::VERSION),
                ("rustc", manifest::RUSTC),
                ("panic", if cfg!(panic = "unwind") { "unwind" } else { "abort" }),
                (
                    "static_sha_and_avx",
                    if cfg!(all(target_feature = "sha", target_feature = "avx")) { "true" } else { "false" },
                ),
                ("tryfirst", if false $(|| $tryfirst)? { "true" } else { "false" }),
                ("trylast", if false $(|| $trylast)? { "true" } else { "false" }),
                $(("hook", manifest::Hook::$hook.name()),)*
            ];

            // Exported as well as placed in a section: an exported symbol is never collected by the linker.
            #[used]
            #[unsafe(export_name = "token_plugin_manifest")]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__token_plugin"))]
            #[cfg_attr(windows, unsafe(link_section = ".tokplug"))]
            #[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = ".token_plugin"))]
            static MANIFEST: [u8; manifest::encoded_len(RECORDS)] = manifest::encode(RECORDS);

            extern "C" fn new_instance(
                services: v1::Services,
                new: v1::NewInstanceV1<'_>,
            ) -> std_types::RResult<v1::InstanceV1, v1::ErrorV1> {
                export::new_instance(services, new, &[$(manifest::Hook::$hook),*], $register)
            }

            fn root() -> v1::PluginRoot_Ref {
                v1::PluginRoot { new_instance, extension: export::no_extension }.leak_into_prefix()
            }

            extern "C" fn constructor() -> library::RootModuleResult {
                library::__call_root_module_loader(root)
            }

            // The name that `abi_stable` looks for: `ROOT_MODULE_LOADER_NAME`.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static ROOT: library::LibHeader = {
                // SAFETY: `constructor` returns the module that `root` made, a `PluginRoot_Ref`.
                unsafe {
                    library::LibHeader::from_constructor::<v1::PluginRoot_Ref>(
                        constructor,
                        library::CheckTypeLayout::Yes,
                    )
                }
            };
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_about_settings_quote_no_values() {
        #[derive(Debug, serde::Deserialize)]
        #[allow(dead_code, reason = "only read for its errors")]
        struct Settings {
            limit: u64,
            #[serde(default)]
            url: Option<Url>,
        }
        #[derive(Debug, serde::Deserialize)]
        #[serde(try_from = "String")]
        struct Url;
        impl TryFrom<String> for Url {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Err(format!("cannot parse {text}"))
            }
        }
        let message = |settings: &str| read_settings::<Settings>(settings).unwrap_err().to_string();
        assert_eq!(
            message(r#"{"limit":"hunter2, expected x"}"#),
            "`limit`: expected u64, found a value of type string"
        );
        assert_eq!(message(r#"{"limit":-7}"#), "`limit`: expected u64, found a value of type integer");
        assert_eq!(message(r#"{"url":"http://u:hunter2@h"}"#), "`url`: cannot parse [value]");
        assert_eq!(message(r#"{}"#), "missing field `limit`");
        assert_eq!(message(r#"{"limit":1,"limmit":2}"#), "`limmit`: unknown key");
    }
}
