//! The library `adapter_faulty`: [`Faulty`] as it is. `tests/adapters/README.md` has its settings and faults.

pub use fault_kit::Faulty;

adapter_sdk::export_adapter!(Faulty);
