//! Where ticks go: the port of the clients, from a connection and its encryption to the session that serves
//! it.

pub mod admissions;
pub mod listener;
pub mod memory;
pub mod seat;
pub mod session;
pub mod shard;
pub mod tls;
pub mod upgrade;
