#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adapter;
mod backoff;
mod book;
mod brand;
mod context;
mod credentials;
mod entry;
mod error;
#[doc(hidden)]
pub mod export;
mod greeks;
mod guard;
mod hash;
mod instance;
pub mod instruments;
pub mod ist;
mod lists;
mod log;
pub mod login;
mod manifest;
mod model;
#[cfg(feature = "net")]
pub mod net;
mod packet;
pub mod plan;
mod price;
pub mod read;
mod runtime;
#[cfg(feature = "net")]
pub mod session;
pub mod settings;
mod sink;
pub mod sparse;
pub mod symbol;
#[cfg(feature = "testing")]
pub mod testing;

#[doc(hidden)]
pub use self::export as __export;
/// The boundary to the host, for what is made of it outside the SDK: `export_adapter!`, the conformance suite
/// and tests. Its types have those of `abi_stable` in them; adapters need none but what is exported here by
/// name.
#[doc(hidden)]
pub use adapter_abi as abi;
pub use adapter_abi::{ErrorCode, StatusKind};
pub use adapter_time::Backoff;
/// A text that is not to be shown: it is wiped from memory when dropped, `Debug` says nothing of it, it has
/// no `Display`, and nothing serialises it. `expose_secret` reads it.
pub use secrecy::{ExposeSecret, SecretString};
pub use serde;
pub use serde_json;
pub use tracing;

pub use self::{
    adapter::{Adapter, Connection, Grant, Refusal},
    backoff::Pauses,
    book::Book,
    brand::Brand,
    context::Context,
    credentials::{Credentials, Token},
    error::AdapterError,
    greeks::Greeks,
    hash::fingerprint,
    lists::{ListChanges, ListReporter, ListState, ListTrouble},
    login::{Fields, Login, Question},
    manifest::{Capability, DeepBooks, Manifest},
    model::{Level, Mode, OrderUpdate, Subscription, Tick},
    packet::Packet,
    price::Price,
    sink::TickSink,
};

/// Version of this SDK, as the host shows it.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
