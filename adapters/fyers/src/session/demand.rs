//! What the broker is told of what is wanted, and what becomes of that.

use std::collections::BTreeMap;

use adapter_sdk::{
    AdapterError, Grant, Mode, Refusal, TickSink,
    net::Message,
    plan::{Change, Feed as Feeds},
    session::{Live, Protocol as _},
    tracing::warn,
};
use tokio::time::Instant;

use super::FyersFeed;
use crate::{
    request::{self, Action, Channel},
    requests::{Batch, Pair},
    topic::{Feed, Topic},
};

/// What a mode needs: prices on one channel, and for books another topic on it.
fn pairs(topic: Topic, mode: Option<Mode>) -> Vec<(Channel, Pair)> {
    let Some(mode) = mode else { return Vec::new() };
    let channel = if mode == Mode::Ltp { Channel::Lite } else { Channel::Full };
    let mut pairs = vec![(channel, (topic.prices(), topic))];
    // An index has no book.
    if mode == Mode::Depth && !topic.is_index() {
        pairs.push((channel, (Feed::Depth, topic)));
    }
    pairs
}

/// Whether the broker was told of a topic, on any channel or on this one.
fn is_told(live: &Live<FyersFeed>, wanted: &Pair, on: Option<Channel>) -> bool {
    let told = live.feed(&wanted.1).and_then(Feeds::told);
    pairs(wanted.1, told).iter().any(|(channel, pair)| pair == wanted && on.is_none_or(|on| on == *channel))
}

impl FyersFeed {
    /// The messages for some changes: what is wanted no more first, to make room.
    pub(super) fn follow(&mut self, changes: &[Change<Topic>], now: Instant) -> Vec<Message> {
        let mut lists: BTreeMap<(Action, Channel), Vec<Pair>> = BTreeMap::new();
        let topics = &mut self.publisher.topics;
        for Change { key, before, now } in changes {
            let (old, new) = (pairs(*key, *before), pairs(*key, *now));
            if old != new {
                self.publisher.bookless.remove(key);
            }
            if new.iter().any(|pair| old.contains(pair)) {
                self.repeated.push(*key);
            }
            for (channel, pair) in old.iter().filter(|pair| !new.contains(pair)) {
                lists.entry((Action::Unsubscribe, *channel)).or_default().push(*pair);
                // What moves to another channel keeps its last price.
                if new.iter().all(|(_, kept)| kept != pair) {
                    topics.drop(pair.0, &pair.1);
                }
            }
            // Without a difference nothing is said: what is known is known here.
            for (channel, pair) in new.iter().filter(|pair| !old.contains(pair)) {
                lists.entry((Action::Subscribe, *channel)).or_default().push(*pair);
                topics.want(pair.0, pair.1);
            }
        }
        let mut messages = Vec::new();
        for ((action, channel), topics) in lists {
            // Two topics do not fit into messages of one.
            for topics in topics.chunks(self.settings.batch_size) {
                messages.push(request::topics(action, channel, topics).into());
                self.again_at = now + self.settings.batch_interval;
                if action == Action::Subscribe {
                    self.requests.sent(Batch { channel, topics: topics.to_vec() }, now);
                }
            }
        }
        messages
    }

    /// Follows requests of which the broker says nothing, and sends parts of those that it refused.
    pub(super) fn settle_requests(
        &mut self,
        now: Instant,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        while let Some((batch, is_deaf)) = self.requests.ignored(now) {
            if is_deaf && batch.topics.iter().all(|pair| self.is_silent(pair)) {
                return Err(AdapterError::network("the broker does not answer requests any more"));
            }
            batch.topics.into_iter().for_each(|pair| self.check_silent(pair, live, sink));
        }
        for pair in self.requests.due(now) {
            self.check_silent(pair, live, sink);
        }
        if self.again_at <= now
            && self.requests.has_room()
            && let Some(Batch { channel, mut topics }) = self.requests.again()
        {
            topics.retain(|pair| is_told(live, pair, Some(channel)));
            if !topics.is_empty() {
                live.send(request::topics(Action::Subscribe, channel, &topics));
                self.requests.sent(Batch { channel, topics }, now);
                self.again_at = now + self.settings.batch_interval;
            }
        }
        Ok(())
    }

    /// Whether nothing has come of a topic.
    fn is_silent(&self, (feed, topic): &Pair) -> bool {
        self.publisher.topics.find(topic).and_then(|instrument| instrument.known(*feed)).is_none()
    }

    /// The broker had its time for a topic, or refused it. If nothing has come of it, nothing will.
    pub(super) fn check_silent(&mut self, pair: Pair, live: &mut Live<Self>, sink: &mut TickSink) {
        if !is_told(live, &pair, None) || !self.is_silent(&pair) || self.requests.has(&pair) {
            return;
        }
        warn!("The broker sends nothing of a topic");
        let (feed, topic) = pair;
        let instruments = live.feed(&topic).map(|feed| feed.instruments().to_vec()).unwrap_or_default();
        if feed != Feed::Depth {
            instruments.iter().for_each(|(number, _)| self.release(*number, None));
            live.refuse(&topic, &refusal(self.is_full()), sink);
            return;
        }
        // Without its book an instrument still has its prices.
        for (number, _) in instruments.iter().filter(|(_, mode)| *mode == Mode::Depth) {
            sink.outcome(*number, Ok(Grant::of_levels(0)));
        }
        self.publisher.bookless.insert(topic);
        self.publisher.repeat(&topic, live, sink);
    }
}

/// Why an instrument is not served although it exists.
fn refusal(is_full: bool) -> Refusal {
    if is_full {
        Refusal::Capacity("The broker's plan allows no more symbols".to_owned())
    } else {
        Refusal::Refused("The broker does not send this instrument".to_owned())
    }
}
