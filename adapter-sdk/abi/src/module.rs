//! The root module that a library exports, and the two trait objects that host and adapter hold of each
//! other.

#![allow(clippy::expl_impl_clone_on_copy, reason = "the derive of abi_stable writes it so")]

use abi_stable::{
    StableAbi,
    library::{__call_root_module_loader, CheckTypeLayout, LibHeader, RootModule, RootModuleResult},
    package_version_strings, sabi_trait,
    sabi_types::VersionStrings,
    std_types::{RArc, RBox, RResult, RSlice, RStr, RString},
};

use crate::{
    control::{
        AdapterError, HealthSnapshot, LogLevel, PublishOutcome, StatusEvent, Subscription,
        SubscriptionOutcome,
    },
    record::{Depth, DepthLevel, Greeks, Ltp, Quote},
};

/// What a library says of itself. Read before anything of it is created.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct AdapterMetadata {
    /// Short lower-case name, such as `sim`.
    pub name: RString,
    /// Version of the adapter, semantic.
    pub version: RString,
    /// [`ABI_VERSION`](crate::ABI_VERSION) that the adapter was built with.
    pub abi_version: RString,
    /// Version of the SDK it was built with.
    pub sdk_version: RString,
    /// Compiler it was built with.
    pub rustc: RString,
    /// Bits of [`capability`].
    pub capabilities: u64,
    /// Instruments that one connection can carry; 0 when the adapter knows no limit.
    pub symbols_per_connection: u32,
    /// Connections that one account may open; 0 when the adapter knows no limit.
    pub connections: u32,
    /// JSON Schema of the adapter's section in `plugins.toml`.
    pub config_schema_json: RString,
    /// JSON Schema of the credentials it needs; empty when it needs none.
    pub credentials_schema_json: RString,
}

/// Bits of [`AdapterMetadata::capabilities`].
pub mod capability {
    /// Publishes `Ltp` records.
    pub const LTP: u64 = 1 << 0;
    /// Publishes `Quote` records.
    pub const QUOTE: u64 = 1 << 1;
    /// Publishes `Depth` records.
    pub const DEPTH: u64 = 1 << 2;
    /// Publishes order updates.
    pub const ORDERS: u64 = 1 << 3;
    /// The broker allows one session for an account: an old instance must end before a new one connects.
    pub const SINGLE_SESSION: u64 = 1 << 4;
    /// The broker counts (symbol, mode) pairs against its limit, not symbols.
    pub const COUNTS_MODES: u64 = 1 << 5;
    /// [`AdapterModule::login`](super::AdapterModule) logs in at the broker. Since 1.1.
    pub const LOGIN: u64 = 1 << 6;
}

/// The root module of an adapter library. Entries are only ever appended.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = AdapterModuleRef)))]
#[sabi(missing_field(panic))]
#[allow(missing_debug_implementations, reason = "a table of function pointers has nothing to show")]
pub struct AdapterModule {
    /// Describes the library. Pure.
    pub metadata: extern "C" fn() -> AdapterMetadata,
    /// Checks a configuration (a JSON object) without any side effect.
    pub validate_config: extern "C" fn(config_json: RStr<'_>) -> RResult<(), AdapterError>,
    /// Makes one instance, which will hold one connection to the broker. It does nothing before `connect`.
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(config_json: RStr<'_>, host: HostHandle) -> RResult<AdapterBox, AdapterError>,
    /// Takes one step of logging in, with the settings and with what is known of the account: a JSON object
    /// of strings, the stored fields and the answers so far. Gives a JSON object:
    /// `{"ask": {"field", "message", "url", "is_secret"}}` when a person has to give something, of which
    /// `url` and `is_secret` may be missing, or `{"done": {…}}` with the fields that are to be stored. Talks
    /// to the broker, and so takes up to the deadline: the one function of a module that waits. Present when
    /// [`capability::LOGIN`] is set. Since 1.1.
    #[sabi(missing_field(option))]
    pub login: extern "C" fn(
        config_json: RStr<'_>,
        fields_json: RStr<'_>,
        deadline_ms: u32,
    ) -> RResult<RString, AdapterError>,
    /// Describes the brokers that the library serves: a JSON array of objects, one for each brand, with
    /// `name` (as `plugins.toml` and accounts name the broker), and, where they differ from what
    /// [`Self::metadata`] says, `title`, `capabilities`, `symbols_per_connection`, `connections`,
    /// `credentials_schema` (a JSON Schema as a text) and `config_defaults` (an object, over which the
    /// library lays the settings that it is given). Members that the host does not know are ignored. An empty
    /// array, or no such function, is a library of one brand, which serves any name that the operator gives
    /// it. Pure. Since 1.2.
    #[sabi(missing_field(option))]
    pub brands: extern "C" fn() -> RString,
    /// [`Self::validate_config`] for what an [assignment](crate#assignments) says. Since 1.2.
    #[sabi(missing_field(option))]
    pub validate_config_for:
        extern "C" fn(assignment_json: RStr<'_>, config_json: RStr<'_>) -> RResult<(), AdapterError>,
    /// [`Self::create`] for what an [assignment](crate#assignments) says. A host that has this calls nothing
    /// else to make an instance. Since 1.2.
    #[sabi(missing_field(option))]
    pub create_for: extern "C" fn(
        assignment_json: RStr<'_>,
        config_json: RStr<'_>,
        host: HostHandle,
    ) -> RResult<AdapterBox, AdapterError>,
    /// [`Self::login`] for what an [assignment](crate#assignments) says. Since 1.2.
    #[sabi(missing_field(option))]
    pub login_for: extern "C" fn(
        assignment_json: RStr<'_>,
        config_json: RStr<'_>,
        fields_json: RStr<'_>,
        deadline_ms: u32,
    ) -> RResult<RString, AdapterError>,
    /// Describes limits of the broker of an [assignment](crate#assignments) that depend on the settings, or
    /// for which [`AdapterMetadata`] has no field: a JSON object with `deep_books`, an object or null, of
    /// which `per_connection` is how many books of more than `above_levels` levels one connection carries, 0
    /// where the account has none. Members that the host does not know are ignored, and so is everything when
    /// the settings are no good. Pure. Since 1.2.
    #[sabi(missing_field(option))]
    pub limits_for: extern "C" fn(assignment_json: RStr<'_>, config_json: RStr<'_>) -> RString,
}

impl RootModule for AdapterModuleRef {
    abi_stable::declare_root_module_statics! {AdapterModuleRef}

    const BASE_NAME: &'static str = "tickhost_adapter";
    const NAME: &'static str = "tickhost_adapter";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// One instance of an adapter, as the host sees it: one connection to the broker.
///
/// Methods return at once: they hand a command to the adapter's own thread, and the outcome comes back
/// through [`Host::status`] or [`Host::subscription_outcomes`].
#[sabi_trait]
pub trait Adapter: Send + Sync {
    /// Starts to connect, and keeps the connection up from then on.
    fn connect(&self, request: u64) -> RResult<(), AdapterError>;

    /// Adds instruments or changes their mode and depth. Each gets an outcome.
    fn subscribe(&self, request: u64, subscriptions: RSlice<'_, Subscription>) -> RResult<(), AdapterError>;

    /// Drops instruments. Nothing may be published for them any more.
    fn unsubscribe(&self, request: u64, instruments: RSlice<'_, u32>) -> RResult<(), AdapterError>;

    /// Says that [`Host::credentials`] has something new: connect again with it.
    fn credentials_changed(&self);

    /// Counters. Never takes a lock.
    fn health(&self) -> HealthSnapshot;

    /// Ends the instance within the given time, waiting for it.
    #[sabi(last_prefix_field)]
    fn shutdown(&self, deadline_ms: u32);

    /// Asks for the list of instruments again at once, whole or not. Since 1.2.
    fn renew_list(&self) {}
}

/// An owned adapter instance.
pub type AdapterBox = Adapter_TO<'static, RBox<()>>;

/// The host, as an adapter instance sees it. Never waits; may be called from any thread.
#[sabi_trait]
pub trait Host: Send + Sync {
    /// Takes a batch of trade ticks.
    fn publish_ltp(&self, batch: RSlice<'_, Ltp>) -> PublishOutcome;

    /// Takes a batch of quotes.
    fn publish_quote(&self, batch: RSlice<'_, Quote>) -> PublishOutcome;

    /// Takes a batch of books; their levels stand in the second slice.
    fn publish_depth(&self, batch: RSlice<'_, Depth>, levels: RSlice<'_, DepthLevel>) -> PublishOutcome;

    /// Takes an order update: a JSON object of the fields that OpenAlgo order updates have, without
    /// `user_id`.
    fn publish_order_update(&self, update_json: RStr<'_>) -> PublishOutcome;

    /// Takes a change in the instance's life.
    fn status(&self, event: StatusEvent);

    /// Takes what became of subscriptions. `request` is that of the call which asked, 0 when the broker
    /// changed its mind.
    fn subscription_outcomes(&self, request: u64, outcomes: RSlice<'_, SubscriptionOutcome>);

    /// The account's credentials at this moment: a JSON object of strings. Ask at each connect; keep no copy.
    fn credentials(&self) -> RString;

    /// The most verbose level that the host would keep.
    fn max_log_level(&self) -> LogLevel;

    /// Takes a log line. `fields_json` is a JSON object.
    #[sabi(last_prefix_field)]
    fn log(&self, level: LogLevel, target: RStr<'_>, message: RStr<'_>, fields_json: RStr<'_>);

    /// Takes what there is to say of the list of instruments, each time that it changes: a JSON object with
    /// `is_whole`, `instruments`, `skipped`, `fetched_at` (seconds since the Unix epoch) and `troubles`, an
    /// array of objects with `segment`, `rows`, `expected` and `reason`. Where some rows are of an earlier
    /// list than the rest, `oldest_at` is when the oldest were fetched, and `oldest_segment` what they are
    /// of. Since 1.2.
    fn instrument_list(&self, _state_json: RStr<'_>) {}

    /// Takes a batch of greeks. A host before 1.2 does not know them: they go nowhere, and count neither as
    /// taken nor as refused. Since 1.2.
    fn publish_greeks(&self, _batch: RSlice<'_, Greeks>) -> PublishOutcome {
        PublishOutcome::default()
    }
}

/// A shared handle to the host.
pub type HostHandle = Host_TO<'static, RArc<()>>;

/// Makes the root module of a library; implemented by the SDK's export macro.
pub trait ModuleLoader {
    /// The module.
    fn module() -> AdapterModuleRef;
}

/// The header that a library exports under [`HEADER_SYMBOL`].
pub const fn library_header<L: ModuleLoader>() -> LibHeader {
    extern "C" fn load<L: ModuleLoader>() -> RootModuleResult {
        __call_root_module_loader(L::module)
    }

    // SAFETY: the constructor gives an `AdapterModuleRef`, the type that the header is made for.
    unsafe { LibHeader::from_constructor::<AdapterModuleRef>(load::<L>, CheckTypeLayout::Yes) }
}

/// Name of the exported header, as `abi_stable` 0.11 looks it up.
pub const HEADER_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_name_that_the_loader_looks_for() {
        assert_eq!(HEADER_SYMBOL, abi_stable::library::ROOT_MODULE_LOADER_NAME);
    }
}
