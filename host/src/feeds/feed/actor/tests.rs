//! The actor in virtual time, with adapters that the test plays: no process, no socket, no clock.

mod balance;
mod clients;
mod credentials;
mod deadlines;
pub(in crate::feeds::feed) mod fake;
mod lists;
mod rig;
mod schedule;
mod silence;
mod swaps;
