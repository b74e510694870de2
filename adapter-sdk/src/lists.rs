//! What an adapter says of its list of instruments, and how the host asks for a new one.

use std::{fmt, sync::Arc};

use adapter_abi::abi_stable::std_types::RStr;
use serde::Serialize;
use tokio::sync::Notify;

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
    /// When it was made or fetched, in seconds since the Unix epoch.
    pub fetched_at: u64,
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
}

impl ListReporter {
    pub(crate) fn new(host: Handle, asked: Arc<Notify>) -> Self {
        Self { host: Some(host), asked }
    }

    /// Tells the host. Say it at each change, also when the list is whole again.
    pub fn say(&self, state: &ListState) {
        if let Some(host) = &self.host
            && let Ok(json) = serde_json::to_string(state)
        {
            host.0.instrument_list(RStr::from(json.as_str()));
        }
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
