//! The types and traits that cross the boundary between the Tickhost daemon and an adapter library.
//!
//! An adapter is a shared library that speaks one broker's protocol. The host loads it at run time and may be
//! newer or older than it, so everything here has a stable layout and only ever grows at its end. Authors do
//! not use this crate directly: `tickhost-adapter-sdk` wraps it in an async trait and exports the root
//! module.
//!
//! The flow, in the order of the modules:
//!
//! 1. [`module`]: the host reads [`AdapterMetadata`] and calls `create`, handing over a [`HostHandle`];
//! 2. [`control`]: the host asks for subscriptions by number, the adapter reports outcomes and status events;
//! 3. [`record`]: the adapter publishes batches of plain [`Ltp`], [`Quote`], [`Depth`] and [`Greeks`]
//!    records.
//!
//! # Assignments
//!
//! A library may serve several brokers, and an instance serves one connection of one account at one of them.
//! Which one, the host says with an assignment, a JSON object: `broker`, its name as `plugins.toml` and
//! accounts have it; `account`, an opaque name that is the same at each start and says nothing of a person
//! (missing where no account is meant); `connection`, the number of the connection within the account, from 0
//! (missing where none is meant). Members that a library does not know are ignored. Hosts before 1.2 give
//! none.
//!
//! # Calls
//!
//! Rules for both sides, on every call: it returns at once and never waits for the other side; it never
//! unwinds; borrowed arguments are valid only during the call; memory is freed by the side that made it; any
//! thread may call.
//!
//! ```
//! use adapter_abi::{Ltp, field};
//!
//! let tick = Ltp {
//!     instrument: 7,
//!     fields: field::LTP | field::VOLUME,
//!     ltp: 62_550 * adapter_abi::PRICE_SCALE / 100, // 625.50
//!     volume: 1_500_000,
//!     ..Ltp::default()
//! };
//! assert_eq!(tick.ltp, 625_500_000_000);
//! ```
#![allow(
    non_local_definitions,
    non_camel_case_types,
    unsafe_code,
    unused_qualifications,
    clippy::cast_ptr_alignment,
    clippy::mem_forget,
    clippy::no_effect_underscore_binding,
    clippy::used_underscore_binding,
    reason = "the macros of abi_stable 0.11.3 expand to all of them on current compilers"
)]

pub mod control;
pub mod module;
pub mod record;

pub use abi_stable;
pub use control::{
    AdapterError, ErrorCode, HealthSnapshot, LogLevel, OutcomeCode, PublishOutcome, StatusEvent, StatusKind,
    Subscription, SubscriptionOutcome,
};
pub use module::{
    Adapter, Adapter_TO, AdapterBox, AdapterMetadata, AdapterModule, AdapterModuleRef, HEADER_SYMBOL, Host,
    Host_TO, HostHandle, ModuleLoader, capability, library_header,
};
pub use record::{
    Depth, DepthLevel, Greeks, Ltp, MAX_DEPTH_LEVELS, ORDERS_ABSENT, PRICE_SCALE, Quote, field, greek,
};

/// Version of this ABI, as `major.minor`. A host accepts adapters of its own major version.
pub const ABI_VERSION: &str = "1.2";
