//! Which sessions of a shard want to hear of the state of which feed.

use std::cell::RefCell;

use rustc_hash::FxHashMap;
use tickhost_core::{mailbox::SessionId, model::FeedId};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{base::clock::Moment, clients::seat::Seat, feeds::feed::Feed};

/// Sessions by the feed that they follow, which is at most one. Bounded by the sessions.
#[derive(Debug, Default)]
pub(super) struct Followers(RefCell<FxHashMap<FeedId, FxHashMap<SessionId, Seat>>>);

impl Followers {
    /// A session follows this feed from this moment on, and is told its present state; or it follows none any
    /// more.
    pub(super) fn follow(&self, session: &Seat, feed: Option<(&Feed, Moment)>) {
        let mut feeds = self.0.borrow_mut();
        if let Some(before) = session.follow(feed.map(|(feed, _)| feed.id()))
            && let Some(sessions) = feeds.get_mut(&before)
        {
            sessions.remove(&session.id());
            if sessions.is_empty() {
                feeds.remove(&before);
            }
        }
        let Some((feed, now)) = feed else { return };
        feeds.entry(feed.id()).or_default().insert(session.id(), session.clone());
        // Read after the session is on the list: what is announced later reaches it through the shard's
        // inbox.
        let (number, frame) = feed.announced(now);
        session.tell_feed_status(number, &frame);
    }

    /// Hands the news of a feed to the sessions that follow it.
    pub(super) fn tell(&self, feed: FeedId, number: u64, frame: &Utf8Bytes) {
        if let Some(sessions) = self.0.borrow().get(&feed) {
            sessions.values().for_each(|session| session.tell_feed_status(number, frame));
        }
    }
}
