//! What an adapter says of its list of instruments, and how the host asks for a new one.

use std::{fmt, sync::Arc};

use adapter_abi::abi_stable::std_types::RStr;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, watch};

use crate::sink::Handle;

/// What there is to say of a list of instruments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListState {
    /// Whether everything is there that the last good list lets expect.
    pub is_whole: bool,
    /// Instruments that can be subscribed.
    pub instruments: usize,
    /// Rows that were left out, because they could not be read.
    pub skipped: usize,
    /// When it was made or fetched, in seconds since the Unix epoch; of several files the newest.
    pub fetched_at: u64,
    /// When its oldest rows were made or fetched, in seconds since the Unix epoch: before `fetched_at` where
    /// a file or a segment is of an earlier list than the rest. 0 when nobody knows.
    pub oldest_at: u64,
    /// The segment that those rows are of; empty where all are of one list.
    pub oldest_segment: String,
    /// What is wrong with it; empty when it is whole.
    pub troubles: Vec<ListTrouble>,
}

/// A part of a list that is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListTrouble {
    /// The segment, in the broker's or the host's word for it, such as `NFO`.
    pub segment: String,
    /// Rows that the broker sent.
    pub rows: usize,
    /// Rows of the last good list.
    pub expected: usize,
    /// For people: what is wrong, and what is used instead.
    pub reason: String,
}

/// The way of a list's state to the host, and of the host's wish for a new one to who keeps the list.
#[derive(Clone, Default)]
pub struct ListReporter {
    host: Option<Handle>,
    asked: Arc<Notify>,
    /// How often another list came into force.
    changes: watch::Sender<u64>,
    /// What the host was told last.
    said: Arc<Mutex<Option<String>>>,
}

/// Tells when another list comes into force; see [`ListReporter::changes`].
#[derive(Clone, Debug)]
pub struct ListChanges {
    seen: watch::Receiver<u64>,
}

impl ListChanges {
    /// Waits until another list is in force than when this was last waited for. Several changes may be told
    /// as one.
    ///
    /// # Cancel Safety
    /// A change that is not returned stays.
    pub async fn next(&mut self) {
        if self.seen.changed().await.is_err() {
            // Who keeps the list is gone, so it changes no more.
            std::future::pending::<()>().await;
        }
    }
}

impl ListReporter {
    pub(crate) fn new(host: Handle, asked: Arc<Notify>) -> Self {
        Self { host: Some(host), asked, changes: watch::Sender::default(), said: Arc::default() }
    }

    /// Tells the host. Say it at each change, also when the list is whole again: the host then asks for what
    /// the list had lost.
    pub fn say(&self, state: &ListState) {
        if let Some(host) = &self.host
            && let Ok(json) = serde_json::to_string(state)
        {
            host.0.instrument_list(RStr::from(json.as_str()));
            *self.said.lock() = Some(json);
        }
    }

    /// Tells the host again what it was told last, if anything.
    pub(crate) fn repeat(&self) {
        let said = self.said.lock().clone();
        if let (Some(host), Some(json)) = (&self.host, said) {
            host.0.instrument_list(RStr::from(json.as_str()));
        }
    }

    /// Notes that another list is in force, by which [`Adapter::resolve`](crate::Adapter::resolve) answers
    /// from now on. `instruments::Master` does so.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// The changes from now on. What was refused because the list did not have it is worth another look at
    /// each.
    pub fn changes(&self) -> ListChanges {
        ListChanges { seen: self.changes.subscribe() }
    }

    /// Asks for a new list, as the operator does.
    #[cfg(any(test, feature = "testing"))]
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Waits until the operator asks for a new list.
    ///
    /// # Cancel Safety
    /// A wish that is not returned stays.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }
}

impl fmt::Debug for ListReporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListReporter(..)")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_change_is_told_once_however_many_there_were_and_not_lost_when_nobody_waits() {
        let lists = ListReporter::default();
        lists.changed();
        let mut changes = lists.changes();
        assert_eq!(changes.next().now_or_never(), None, "it came before");
        lists.clone().changed();
        lists.changed();
        changes.next().await;
        assert_eq!(changes.next().now_or_never(), None);
    }
}
