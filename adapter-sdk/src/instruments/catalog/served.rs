//! What every adapter with a catalogue says of it.

use std::time::Duration;

use super::{Catalog, Sheet};
use crate::{
    Grant, Refusal, Subscription,
    instruments::{ListSource, Master, Outdated, SEGMENTS},
};

/// Hour and minute in India by which the brokers have made their lists of the day.
const RENEWED_AT: (u8, u8) = (8, 30);

/// Longest time for the download of one file.
const TIMEOUT: Duration = Duration::from_mins(3);

impl<S: Sheet<N>, const N: usize> Catalog<S, N> {
    /// Where it comes from, at most brokers of India: the files have all of [`SEGMENTS`], and are of the day
    /// by half past eight in the morning; a file takes three minutes at most. It is kept in the usual folder,
    /// and an old one is refused. Set what differs:
    ///
    /// ```
    /// # use adapter_sdk::instruments::{Catalog, ListSource, Outdated, Sheet};
    /// fn source<S: Sheet<3>>(url: String, outdated: Outdated) -> ListSource {
    ///     ListSource { outdated, ..Catalog::<S, 3>::source("acme", vec![url]) }
    /// }
    /// ```
    pub fn source(adapter: &'static str, urls: Vec<String>) -> ListSource {
        ListSource {
            adapter,
            cache_dir: None,
            urls,
            segments: SEGMENTS,
            max_bytes: S::MAX_BYTES,
            timeout: TIMEOUT,
            renewed_at: RENEWED_AT,
            outdated: Outdated::Refuse,
        }
    }
}

impl<S: Sheet<N>, const N: usize> Master<Catalog<S, N>> {
    /// Answers [`Adapter::resolve`](crate::Adapter::resolve) where the books of everything have so many
    /// levels, and those of indices none.
    ///
    /// # Errors
    /// As [`Master::look_up`].
    pub fn grant(&self, wanted: &Subscription, levels: u16) -> Result<Grant, Refusal> {
        self.look_up(wanted, |list| list.find(&wanted.exchange, &wanted.symbol))?;
        Ok(Grant::with_depth_up_to(wanted, if wanted.is_index() { 0 } else { levels }))
    }
}
