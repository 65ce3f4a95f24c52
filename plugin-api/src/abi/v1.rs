//! Level 1 of the ABI: the types that cross the boundary, frozen with release 1.0 of this crate.
//!
//! `abi_stable` refuses a plugin as soon as one of these types has a field or a method more than
//! the host's, in one direction or the other. So nothing is ever added here: what later versions
//! need goes into the JSON texts (`details`, `claims`, `context`, the requests of
//! [`HandlerV1::manage`]), behind an [`ExtensionV1`], or into a `v2` beside this module.
//!
//! What is on the hot path is typed; what is rare or open-ended is JSON. Strings that a plugin
//! hands out as `'static` may point into its read-only data: libraries are never unloaded.

// What `sabi_trait` and `StableAbi` generate beside these items carries no docs and no lint discipline of ours.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    elided_lifetimes_in_paths,
    missing_debug_implementations,
    clippy::all,
    non_local_definitions,
    non_camel_case_types
)]

use abi_stable::{
    StableAbi, declare_root_module_statics,
    library::RootModule,
    package_version_strings, sabi_trait,
    sabi_types::VersionStrings,
    std_types::{RBox, RCowStr, ROption, RResult, RStr, RString, RVec},
};
use async_ffi::FfiFuture;

pub use super::extension::ExtensionV1;

/// What every plugin library exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRoot_Ref)))]
#[sabi(missing_field(panic))]
pub struct PluginRoot {
    /// Makes one instance. All state is in instances: a library has one root, however often it is used.
    pub new_instance: extern "C" fn(Services, NewInstanceV1<'_>) -> RResult<InstanceV1, ErrorV1>,
    /// What the library offers beyond level 1.
    #[sabi(last_prefix_field)]
    pub extension: extern "C" fn(RStr<'_>) -> ROption<ExtensionV1>,
}

impl RootModule for PluginRoot_Ref {
    declare_root_module_statics! {PluginRoot_Ref}
    const BASE_NAME: &'static str = "token_plugin";
    const NAME: &'static str = "token_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// What an instance is made from.
#[repr(C)]
#[derive(StableAbi)]
pub struct NewInstanceV1<'a> {
    /// The plugin's name in the host's configuration.
    pub name: RStr<'a>,
    /// Its settings, as JSON.
    pub settings: RStr<'a>,
    /// The settings' values that the host took from the environment or from files.
    pub resolved: RVec<RStr<'a>>,
    /// What relative paths in the settings are relative to: the folder of the host's configuration.
    pub folder: RStr<'a>,
}

/// What a plugin registered.
#[repr(C)]
#[derive(StableAbi)]
pub struct InstanceV1 {
    pub handlers: RVec<HandlerEntryV1>,
    pub wrappers: RVec<WrapperEntryV1>,
    pub event_sinks: RVec<EventSinkEntryV1>,
    pub token_generators: RVec<TokenGeneratorEntryV1>,
    pub extensions: RVec<ExtensionEntryV1>,
    /// For the operator: for instance that a secret stands in the configuration itself.
    pub warnings: RVec<RString>,
    /// Dropped last.
    pub keeper: Keeper,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct HandlerEntryV1 {
    pub name: RString,
    /// Prefixes; none: every token.
    pub claims: RVec<RString>,
    pub handler: HandlerKindV1,
    pub details: DetailsV1,
}

#[repr(u8)]
#[derive(StableAbi)]
pub enum HandlerKindV1 {
    /// Called on the caller's task.
    Inline(Handler),
    /// Called on threads that the host keeps for the plugin, with a deadline.
    Blocking(Handler),
    /// Polled on the host's runtime, with a deadline.
    Async(AsyncHandler),
}

#[repr(C)]
#[derive(StableAbi)]
pub struct WrapperEntryV1 {
    pub name: RString,
    pub wrapper: WrapperObject,
    pub details: DetailsV1,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct EventSinkEntryV1 {
    pub name: RString,
    /// Creations, updates and invalidations are recorded before they are answered.
    pub required: bool,
    pub sink: Sink,
    pub details: DetailsV1,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct TokenGeneratorEntryV1 {
    pub id: RString,
    pub generator: Generator,
    pub details: DetailsV1,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct ExtensionEntryV1 {
    pub id: RString,
    pub extension: ExtensionV1,
}

/// Room for what is rare, and for later versions: a JSON object. Who reads it passes over keys
/// that it does not know, so what must not be passed over does not belong in here.
pub type DetailsV1 = ROption<RString>;

pub type Services = HostServicesV1_TO<RBox<()>>;
pub type Handler = HandlerV1_TO<RBox<()>>;
pub type AsyncHandler = AsyncHandlerV1_TO<RBox<()>>;
pub type WrapperObject = WrapperV1_TO<RBox<()>>;
pub type Sink = EventSinkV1_TO<RBox<()>>;
pub type Generator = TokenGeneratorV1_TO<RBox<()>>;
pub type Keeper = KeeperV1_TO<RBox<()>>;
pub type State = WrapperStateV1_TO<RBox<()>>;

/// What the host does for a plugin.
#[sabi_trait]
pub trait HostServicesV1: Send + Sync + 'static {
    /// Unix seconds.
    fn now(&self) -> u64;
    /// Levels are 1 (error) to 5 (trace).
    fn log_enabled(&self, level: u8) -> bool;
    fn log(&self, record: LogRecordV1<'_>);
    /// An [`Event`](crate::Event) as JSON.
    fn emit(&self, event: RStr<'_>);
    fn token_generator(&self, id: RStr<'_>) -> ROption<Generator>;
    fn extension(&self, id: RStr<'_>) -> ROption<ExtensionV1>;
}

#[repr(C)]
#[derive(StableAbi)]
pub struct LogRecordV1<'a> {
    pub level: u8,
    pub target: RStr<'a>,
    pub message: RStr<'a>,
    /// The other fields, as a JSON object; empty: none.
    pub fields: RStr<'a>,
}

/// A handler whose methods return when they are done.
#[sabi_trait]
pub trait HandlerV1: Send + Sync + 'static {
    fn verify(&self, token: RStr<'_>, context: RStr<'_>) -> VerdictV1;
    fn create(&self, request: CreateV1<'_>, context: RStr<'_>) -> RResult<CreatedV1, ErrorV1>;
    /// Requests and answers are JSON; an operation that is not known is unsupported.
    fn manage(&self, operation: RStr<'_>, request: RStr<'_>, context: RStr<'_>) -> RResult<RString, ErrorV1>;
}

/// A handler whose methods return futures, which own all that they need.
#[sabi_trait]
pub trait AsyncHandlerV1: Send + Sync + 'static {
    /// The answer, when there is one without waiting: asked on the caller's task, before `verify`.
    fn verify_at_once(&self, token: RStr<'_>, context: RStr<'_>) -> ROption<VerdictV1>;
    fn verify(&self, token: RStr<'_>, context: RStr<'_>) -> FfiFuture<VerdictV1>;
    fn create(&self, request: CreateV1<'_>, context: RStr<'_>) -> FfiFuture<RResult<CreatedV1, ErrorV1>>;
    fn manage(&self, operation: RStr<'_>, request: RStr<'_>, context: RStr<'_>)
    -> FfiFuture<RResult<RString, ErrorV1>>;
}

#[sabi_trait]
pub trait WrapperV1: Send + Sync + 'static {
    fn before_verify(&self, token: RStr<'_>, context: RStr<'_>) -> RResult<State, ErrorV1>;
    fn after_verify(&self, state: State, token: RStr<'_>, context: RStr<'_>, outcome: VerdictV1) -> VerdictV1;
    fn before_create(&self, request: CreateV1<'_>, context: RStr<'_>) -> RResult<State, ErrorV1>;
    fn after_create(
        &self,
        state: State,
        request: CreateV1<'_>,
        context: RStr<'_>,
        outcome: RResult<CreatedV1, ErrorV1>,
    ) -> RResult<CreatedV1, ErrorV1>;
}

/// What a wrapper keeps between before and after: only the wrapper that made it looks inside, by downcast.
#[sabi_trait]
pub trait WrapperStateV1: Send + 'static {
    /// Nothing to ask: the host only carries it.
    fn carried(&self) {}
}

#[sabi_trait]
pub trait EventSinkV1: Send + Sync + 'static {
    /// A JSON list of [`Event`](crate::Event)s, all or none of which are recorded.
    fn record(&self, events: RStr<'_>) -> RResult<(), ErrorV1>;
}

#[sabi_trait]
pub trait TokenGeneratorV1: Send + Sync + 'static {
    /// `token_info` is a JSON object.
    fn create_token(&self, token_info: RStr<'_>) -> RResult<RString, ErrorV1>;
    fn validate_token(&self, token: RStr<'_>, token_info: RStr<'_>) -> RResult<bool, ErrorV1>;
}

/// Stands for the instance itself.
#[sabi_trait]
pub trait KeeperV1: Send + Sync + 'static {
    /// What went wrong while the other parts of the instance were dropped: asked after that.
    fn faults(&self) -> RVec<RString>;
    /// Requests and answers are JSON; an operation that is not known is unsupported, as all are in 1.0.
    fn manage(&self, operation: RStr<'_>, request: RStr<'_>) -> RResult<RString, ErrorV1>;
}

#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct CreateV1<'a> {
    pub actor_id: RStr<'a>,
    /// Seconds.
    pub expires_after: ROption<u64>,
    /// `_r` as JSON; none: unrestricted.
    pub restrictions: ROption<RStr<'a>>,
    /// [`TokenDetails`](crate::TokenDetails) as JSON, none: all at their defaults. A key that is not known is an
    /// error: it may be one that restricts.
    pub details: ROption<RStr<'a>>,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct CreatedV1 {
    pub token: RString,
    pub id: ROption<RString>,
    /// Unix seconds.
    pub expires_at: ROption<u64>,
    pub details: DetailsV1,
}

#[repr(u8)]
#[derive(StableAbi)]
pub enum VerdictV1 {
    NotRecognized,
    Accepted(ActorV1),
    Rejected(ReasonV1),
    Failed(ErrorV1),
}

#[repr(C)]
#[derive(StableAbi)]
pub struct ActorV1 {
    pub id: RString,
    pub token: RCowStr<'static>,
    /// Unix seconds.
    pub token_expires: ROption<u64>,
    /// What most actors do not have: kept apart, so that a verdict is small.
    pub more: ROption<RBox<ActorMoreV1>>,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct ActorMoreV1 {
    /// `_r` as JSON; none: unrestricted.
    pub restrictions: ROption<RString>,
    /// A JSON object of what the token itself says.
    pub claims: ROption<RString>,
    pub details: DetailsV1,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct ReasonV1 {
    /// A number of [`convert::reason_code`](super::convert); one that is not known means "other".
    pub kind: u8,
    pub message: RCowStr<'static>,
    pub details: DetailsV1,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct ErrorV1 {
    pub parts: RBox<ErrorPartsV1>,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct ErrorPartsV1 {
    /// A number of [`convert`](super::convert); one that is not known means "failed".
    pub kind: u8,
    pub message: RCowStr<'static>,
    /// What the kind is about: the missing key, what was not found, the number of a reason.
    pub subject: ROption<RString>,
    pub details: DetailsV1,
}
