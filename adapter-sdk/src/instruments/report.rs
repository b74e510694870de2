//! Which list is in force, and what is said of it.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::{info, warn};

use super::{
    List, Master, Summary,
    ages::{Ages, spoken},
    judge::ALL,
    master::State,
};
use crate::{AdapterError, ListState, ListTrouble, abi::ErrorCode, ist};

/// The list in memory.
#[derive(Debug)]
pub(super) struct Held<L> {
    pub(super) list: Arc<L>,
    /// The last good one, which the next is compared with, if this is none.
    pub(super) good: Option<Arc<L>>,
    /// When the newest of its files was fetched.
    pub(super) fetched_at: SystemTime,
    pub(super) ages: Ages,
    pub(super) troubles: Vec<ListTrouble>,
}

/// A list that was read, and what there is to say of it.
#[derive(Debug)]
pub(super) struct Made<L> {
    pub(super) list: L,
    pub(super) good: Option<Arc<L>>,
    pub(super) fetched_at: SystemTime,
    pub(super) ages: Ages,
    pub(super) troubles: Vec<ListTrouble>,
}

/// The list that is in force, and whether it is another one than before.
#[derive(Debug)]
pub(super) struct Taken<L> {
    pub(super) list: Arc<L>,
    pub(super) is_changed: bool,
}

impl<L: List> Master<L> {
    /// Puts a list in force, and says how it is.
    pub(super) fn take(&self, made: Made<L>) -> Taken<L> {
        let Made { list, good, fetched_at, ages, troubles } = made;
        let Summary { instruments, skipped, bytes } = list.summary();
        let mut state = self.state.lock();
        let same = state.list.as_ref().filter(|held| *held.list == list).map(|held| Arc::clone(&held.list));
        let is_changed = same.is_none();
        let list = same.unwrap_or_else(|| Arc::new(list));
        state.list = Some(Held { list: Arc::clone(&list), good, fetched_at, ages, troubles });
        state.failure = None;
        drop(state);
        self.say();
        if is_changed {
            info!(instruments, skipped, bytes, "Read the list of instruments");
            self.lists.changed();
        }
        Taken { list, is_changed }
    }

    /// Notes that the broker's list could not be had. What is in force stays, but it is not what it should be
    /// when it is of an earlier day, or when the broker has sent something else since. That the broker is
    /// down says nothing against the list of today, and that the account is refused nothing of any.
    pub(super) fn failed(&self, error: &AdapterError) {
        let is_of_list = error.code() == ErrorCode::PROTOCOL || !self.is_current();
        if is_of_list && error.code() != ErrorCode::AUTH {
            self.state.lock().failure = Some(error.clone());
            self.say();
        }
    }

    /// Tells the host and the log what has changed.
    fn say(&self) {
        let mut state = self.state.lock();
        let now = self.describe(&state);
        let said = state.said.replace(now.clone());
        drop(state);
        log_troubles(said.as_ref().map(|said| said.troubles.as_slice()).unwrap_or_default(), &now.troubles);
        if said.as_ref() != Some(&now) {
            self.lists.say(&now);
        }
    }

    /// What there is to say.
    pub(super) fn describe(&self, state: &State<L>) -> ListState {
        let failure = state.failure.as_ref();
        let Some(held) = &state.list else {
            let troubles = failure.map(|error| unavailable(error, None)).into_iter().collect();
            return ListState { troubles, ..ListState::default() };
        };
        let Summary { instruments, skipped, .. } = held.list.summary();
        let (hour, minute) = self.source.renewed_at;
        // What is of the same daily list is of one age.
        let made = ist::last(hour, minute, held.fetched_at);
        let oldest = held.ages.oldest().filter(|(_, at)| *at < made);
        let (oldest_segment, oldest_at) = oldest.unwrap_or(("", held.fetched_at));
        let failure = failure.map(|error| unavailable(error, Some((instruments, held.fetched_at))));
        let troubles: Vec<ListTrouble> = held.troubles.iter().cloned().chain(failure).collect();
        ListState {
            is_whole: troubles.is_empty(),
            instruments,
            skipped,
            fetched_at: seconds(held.fetched_at),
            oldest_at: seconds(oldest_at),
            oldest_segment: oldest_segment.to_owned(),
            troubles,
        }
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What is said when the broker's list cannot be had, and one of so many instruments and of a time serves
/// instead, or none.
fn unavailable(error: &AdapterError, instead: Option<(usize, SystemTime)>) -> ListTrouble {
    let (expected, used) = match instead {
        Some((instruments, at)) => (instruments, format!("that of {} is used, and it", spoken(at))),
        None => (0, "it".to_owned()),
    };
    let reason = format!("the broker's list cannot be had: {error}; {used} is asked for again");
    ListTrouble { segment: ALL.to_owned(), rows: 0, expected, reason }
}

/// Says once what has changed.
fn log_troubles(before: &[ListTrouble], now: &[ListTrouble]) {
    for trouble in now.iter().filter(|trouble| !before.contains(trouble)) {
        let ListTrouble { segment, rows, expected, reason } = trouble;
        warn!(segment, rows, expected, reason, "The list of instruments is incomplete");
    }
    if now.is_empty() && !before.is_empty() {
        info!("The list of instruments is whole again");
    }
}
