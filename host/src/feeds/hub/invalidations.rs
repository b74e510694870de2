//! Users of whom a publisher says that something remembered is outdated.
//!
//! Anybody who reaches the bus can say so of anybody, as often as the wire allows. So it only makes the host
//! look a little earlier at what it looks at anyway: names of users who are logged in are gathered, each
//! once, and one task looks at the database for a bounded number of them about once a second. The first look
//! after a quiet second is made at once.

use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use tokio::sync::Notify;

use crate::{accounts::UserName, bus::Invalidated};

/// From one look at the database to the next.
pub(super) const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Users in one look; the others have to wait for the next.
const LOOK_LIMIT: usize = 256;

/// Users to look at. Bounded by those who are logged in.
#[derive(Debug, Default)]
pub(super) struct Invalidations {
    users: Mutex<FxHashSet<UserName>>,
    added: Notify,
}

impl Invalidations {
    /// Notes a user.
    pub(super) fn add(&self, user: UserName) -> Invalidated {
        if !self.users.lock().insert(user) {
            return Invalidated::Pending;
        }
        self.added.notify_one();
        Invalidated::Noted
    }

    /// Waits until there may be some.
    ///
    /// # Cancel Safety
    /// A notification that is not returned stays.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }

    /// Those of the next look.
    pub(super) fn take(&self) -> FxHashSet<UserName> {
        let mut users = self.users.lock();
        if users.len() <= LOOK_LIMIT {
            return std::mem::take(&mut users);
        }
        let taken: FxHashSet<UserName> = users.iter().take(LOOK_LIMIT).cloned().collect();
        users.retain(|user| !taken.contains(user));
        self.added.notify_one();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_user_is_noted_once_and_many_are_looked_at_in_turns() {
        let invalidations = Invalidations::default();
        let name = |number: usize| UserName::from(number.to_string().as_str());
        for _ in 0..3 {
            let added: Vec<_> = (0..LOOK_LIMIT + 10).map(|number| invalidations.add(name(number))).collect();
            assert!(added.iter().all(|outcome| *outcome == added[0]));
        }
        invalidations.added().await;
        let first = invalidations.take();
        assert_eq!(first.len(), LOOK_LIMIT);
        invalidations.added().await;
        let second = invalidations.take();
        assert_eq!(second.len(), 10);
        assert!(first.is_disjoint(&second) && invalidations.take().is_empty());
        assert_eq!(invalidations.add(name(1)), Invalidated::Noted, "after a look it is news again");
    }
}
