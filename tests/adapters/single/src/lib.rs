//! The library `adapter_single`: [`OneSession`], the same adapter at a broker that allows one session for an
//! account. What an adapter can do is fixed in its library, so this takes a library of its own.

pub use fault_kit::OneSession;

adapter_sdk::export_adapter!(OneSession);
