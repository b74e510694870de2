//! What a feed says of itself.

use std::sync::Arc;

use tickhost_core::feed_state::FeedState;

use super::Actor;
use crate::{base::clock::Moment, feeds::feed::connection::Connection};

impl Actor {
    /// Lets everybody see how the feed is at this moment.
    pub(super) fn publish_status(&self, now: Moment) {
        // One whose instruments have moved to others is missed by nobody.
        let is_any_carrying = self.connections.iter().any(|connection| connection.instruments() > 0);
        let of_matter =
            self.connections.iter().filter(|connection| !is_any_carrying || connection.instruments() > 0);
        let worst = of_matter.max_by_key(|connection| connection.link().severity());
        let state = worst.map_or(FeedState::Starting, |connection| connection.link().feed_state());
        let mut status = self.feed.0.status.lock();
        if status.state != state {
            status.since_ns = now.unix_ns;
            status.state = state;
        }
        status.connections.clear();
        let connections = self.connections.iter().enumerate();
        status.connections.extend(connections.map(|(number, connection)| connection.status(number)));
        status.instruments = self.subscriptions.len();
        status.pending = self.subscriptions.pending();
        status.lost = self.lists.lost();
        status.list = self.lists.present().cloned();
        status.capacity = self.placement.limits().capacity();
        status.instances.clear();
        let present = self.connections.iter().enumerate();
        status.instances.extend(present.filter_map(|(number, connection)| {
            Some((number, Arc::downgrade(&connection.running()?.instance)))
        }));
        let last_error = worst.and_then(Connection::last_error);
        status.last_error = match (last_error, self.logins.message()) {
            (Some(error), Some(login)) if state == FeedState::AuthFailed => {
                Some(format!("{error}; {login}").into())
            }
            _ => last_error.or(self.builds.failure()).cloned(),
        };
        status.retry_at = worst.and_then(Connection::retry_at);
        status.attempts = worst.map_or(0, Connection::attempts);
        status.restarts = self.instances.restarts();
        status.disconnects = self.connections.iter().map(Connection::disconnects).sum();
    }
}
