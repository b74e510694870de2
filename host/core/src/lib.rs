//! The way of a tick: from what an adapter or a publisher brought to the frames that wait for each client.
//!
//! ```text
//! intake -> router (book, throttle, encode) -> mailbox -> index -> outbox
//! ```
//!
//! Nothing here opens a socket or a file, and nothing reads a clock: who calls hands in the time. That is
//! what makes it possible to test a night, a flood or a million schedules in milliseconds. What it waits for
//! are wake-ups of other threads ([`tokio::sync::Notify`]); the tasks that do the waiting are the host's.

pub mod model;

pub mod book;
pub mod intake;
pub mod router;
pub mod throttle;

pub mod index;
pub mod mailbox;
pub mod outbox;

pub mod protocol;

pub mod calendar;
pub mod demand;
pub mod feed_state;
pub mod handover;
pub mod instruments;
pub mod pace;
pub mod pool;
pub mod silence;

pub mod allowance;
pub mod inbox;
pub mod label;
pub mod metrics;
pub mod text;
