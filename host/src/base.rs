//! What every layer needs of the machine: clocks, files and locks, threads that may wait, and limits of the
//! system.

pub(crate) mod address;
pub mod blocking;
pub mod cause;
pub mod clock;
pub mod descriptors;
pub(crate) mod files;
pub(crate) mod locks;
pub mod log_rate;
pub mod private;
pub mod run_dir;
pub(crate) mod secret;
pub mod sha256;
pub(crate) mod span;
