//! What is wanted, and what the broker is told of it.

use std::sync::Arc;

use adapter_sdk::{
    Grant, Mode, Refusal, Subscription, TickSink,
    plan::{Change, Feed as Feeds},
    tracing::warn,
};
use tokio::time::Instant;

use super::{Session, refusal};
use crate::{
    decode,
    directory::Place,
    instruments::Instruments,
    request::{self, Action, Channel},
    requests::{Batch, Pair, Settled},
    tbt::socket::Fifty,
    topic::{Feed, Topic},
};

/// Levels of the data socket's books.
#[expect(clippy::cast_possible_truncation, reason = "five")]
const LEVELS: u16 = decode::LEVELS as u16;

/// What a mode needs: prices on one channel, and for books another topic on it.
fn pairs(topic: Topic, mode: Option<Mode>) -> impl Iterator<Item = (Channel, Pair)> {
    let channel = if mode == Some(Mode::Ltp) { Channel::Lite } else { Channel::Full };
    let prices = mode.map(|_| (channel, (topic.prices(), topic)));
    // An index has no book.
    let has_book = mode == Some(Mode::Depth) && !topic.is_index();
    prices.into_iter().chain(has_book.then_some((channel, (Feed::Depth, topic))))
}

impl Session {
    /// Plans an instrument by what its name means. When `is_urgent` the list is enough.
    pub(super) fn place(&mut self, instrument: u32, is_urgent: bool, sink: &mut TickSink) {
        let Some(wanted) = self.wanted.get_mut(&instrument) else { return };
        let listed = self.directory.listed(&wanted.subscription).ok();
        let place = match self.plan.key(instrument) {
            // Another mode is no reason to ask again.
            Some(topic) if listed.is_some() && wanted.listed == listed => Ok(Place::Topic(topic)),
            _ => self.directory.place(&wanted.subscription, is_urgent),
        };
        wanted.listed = listed;
        match place {
            Ok(Place::Topic(topic)) => {
                let mode = wanted.subscription.mode;
                if self.plan.key(instrument).is_some_and(|known| known != topic) {
                    self.leave(instrument);
                }
                let told = self.plan.feed(&topic).and_then(Feeds::told);
                let is_state_known = self.plan.key(instrument).is_none() && told >= Some(mode);
                self.plan.want(instrument, topic, mode);
                self.settle_fifty(instrument, topic, sink);
                if is_state_known {
                    // Another name of it: the broker says nothing more before it changes.
                    let Self { plan, topics, publisher, fifty, .. } = self;
                    publisher.repeat(&topic, topics, plan, fifty.as_ref(), sink);
                }
            }
            Ok(Place::Ask(_)) => {
                self.leave(instrument);
                if !self.unasked.contains(&instrument) {
                    self.unasked.push(instrument);
                }
            }
            Err(refusal) => {
                let Subscription { exchange, symbol, .. } = &wanted.subscription;
                let refusal = self.renewal.explain(exchange, symbol, refusal);
                self.refuse(instrument, refusal, sink);
            }
        }
    }

    /// Publishes nothing under a number any more.
    pub(super) fn leave(&mut self, instrument: u32) {
        self.publisher.deep.remove(&instrument);
        let Some(topic) = self.plan.key(instrument) else { return };
        self.plan.drop(instrument);
        if self.deepest(&topic) <= LEVELS
            && let Some(fifty) = &mut self.fifty
        {
            fifty.release(&topic);
        }
    }

    fn refuse(&mut self, instrument: u32, refusal: Refusal, sink: &mut TickSink) {
        self.leave(instrument);
        self.wanted.remove(&instrument);
        sink.outcome(instrument, Err(refusal));
    }

    /// Another list is in force. What it has under another number is left in the same breath, before a tick of the old one
    /// could be shown under its name; what it has under the same one goes on.
    pub(super) fn take_list(&mut self, list: Arc<Instruments>, sink: &mut TickSink) {
        self.directory.renew(list);
        // Whoever was asked for by the old list is asked for anew.
        self.asking = None;
        self.unasked.clear();
        let instruments: Vec<u32> = self.wanted.keys().copied().collect();
        for instrument in instruments {
            let Some(wanted) = self.wanted.get(&instrument) else { continue };
            let is_same = self.plan.key(instrument).is_some()
                && self.directory.listed(&wanted.subscription).ok() == wanted.listed;
            if !is_same {
                self.place(instrument, false, sink);
            }
        }
    }

    pub(super) fn has_batch(&self) -> bool {
        (self.plan.has_changes() || self.requests.has_more()) && self.requests.has_room()
    }

    /// Sends the next messages: what is wanted no more first, to make room.
    pub(super) fn send_batch(&mut self, now: Instant) {
        if let Some(batch) = self.requests.again() {
            let Batch { channel, mut topics } = batch;
            topics.retain(|(feed, topic)| {
                let told = self.plan.feed(topic).and_then(Feeds::told);
                pairs(*topic, told).any(|wanted| wanted == (channel, (*feed, *topic)))
            });
            self.send(Action::Subscribe, channel, &topics, now);
            return;
        }
        // A change is of two topics at most.
        let changes = self.plan.changes((self.settings.batch_size / 2).max(1));
        let mut ends = [(Channel::Lite, Vec::new()), (Channel::Full, Vec::new())];
        let mut begins = ends.clone();
        for Change { key, before, now } in changes {
            if before == now {
                // What is known of it is known here, see `place`.
                continue;
            }
            for (channel, pair) in pairs(key, before) {
                if pairs(key, now).all(|kept| kept != (channel, pair)) {
                    push(&mut ends, channel, pair);
                }
                // What moves to another channel keeps its last price.
                if pairs(key, now).all(|(_, kept)| kept != pair) {
                    self.topics.drop(pair.0, &pair.1);
                }
                self.publisher.bookless.remove(&key);
            }
            for (channel, pair) in pairs(key, now) {
                if pairs(key, before).all(|known| known != (channel, pair)) {
                    push(&mut begins, channel, pair);
                    self.topics.want(pair.0, pair.1);
                }
            }
        }
        for (action, lists) in [(Action::Unsubscribe, ends), (Action::Subscribe, begins)] {
            for (channel, topics) in lists {
                self.send(action, channel, &topics, now);
            }
        }
    }

    fn send(&mut self, action: Action, channel: Channel, topics: &[Pair], now: Instant) {
        // Two topics do not fit into messages of one.
        for topics in topics.chunks(self.settings.batch_size) {
            self.socket.queue_binary(request::topics(action, channel, topics));
            self.batch_at = now + self.settings.batch_interval;
            if action == Action::Subscribe {
                self.requests.sent(Batch { channel, topics: topics.to_vec() }, now);
            }
        }
    }

    pub(super) fn take_settled(&mut self, settled: Vec<Settled>, sink: &mut TickSink) {
        for one in settled {
            if let Settled::Refused(pair) = one {
                self.check_silent(pair, sink);
            }
        }
    }

    /// Whether nothing has come of a topic.
    pub(super) fn is_silent(&self, (feed, topic): &Pair) -> bool {
        !self.topics.find(topic).is_some_and(|instrument| match feed {
            Feed::Depth => instrument.book().is_some(),
            Feed::Scrip | Feed::Index => instrument.prices().is_some(),
        })
    }

    /// The broker had its time for a topic, or refused it. If nothing has come of it, nothing will.
    pub(super) fn check_silent(&mut self, pair: Pair, sink: &mut TickSink) {
        let (_, topic) = pair;
        let told = self.plan.feed(&topic).and_then(Feeds::told);
        let is_wanted = pairs(topic, told).any(|(_, wanted)| wanted == pair);
        if is_wanted && self.is_silent(&pair) && !self.requests.has(&pair) {
            warn!("The broker sends nothing of a topic");
            self.give_up(pair, sink);
        }
    }

    /// A topic cannot be had. Without its book an instrument still has its prices.
    fn give_up(&mut self, (feed, topic): Pair, sink: &mut TickSink) {
        let is_full = self.full_until.is_some_and(|until| Instant::now() < until);
        let instruments: Vec<(u32, Mode)> =
            self.plan.feed(&topic).map(|known| known.instruments().to_vec()).unwrap_or_default();
        for (instrument, mode) in instruments {
            if feed != Feed::Depth {
                self.refuse(instrument, refusal(is_full), sink);
            } else if mode == Mode::Depth {
                sink.outcome(instrument, Ok(Grant { depth: 0 }));
            }
        }
        if feed == Feed::Depth {
            self.publisher.bookless.insert(topic);
            let Self { plan, topics, publisher, fifty, .. } = self;
            publisher.repeat(&topic, topics, plan, fifty.as_ref(), sink);
            // There may be no packet for a while that would take it along.
            sink.flush();
        }
    }

    /// Levels that the most demanding client of an instrument wants.
    fn deepest(&self, topic: &Topic) -> u16 {
        let feed = self.plan.feed(topic);
        let depths = feed.into_iter().flat_map(Feeds::instruments).map(|(number, mode)| {
            self.wanted
                .get(number)
                .filter(|_| *mode == Mode::Depth)
                .map_or(0, |wanted| wanted.subscription.depth)
        });
        depths.max().unwrap_or(0)
    }

    /// Asks for a book of fifty levels, or asks for it no more. When there is no room for one more, clients are told.
    fn settle_fifty(&mut self, instrument: u32, topic: Topic, sink: &mut TickSink) {
        let is_deep =
            self.deepest(&topic) > LEVELS && !topic.is_index() && topic.segment().has_fifty_levels();
        let Some(wanted) = self.wanted.get(&instrument) else { return };
        let ticker = wanted.listed.as_ref().map(|listed| listed.ticker.as_str()).unwrap_or_default();
        let has_room = match &mut self.fifty {
            Some(fifty) if is_deep => fifty.want(topic, ticker),
            Some(fifty) => {
                fifty.release(&topic);
                true
            }
            None => !is_deep,
        };
        if wanted.subscription.depth > LEVELS && has_room {
            self.publisher.deep.insert(instrument, wanted.subscription.depth.into());
        } else {
            self.publisher.deep.remove(&instrument);
        }
        let is_served =
            self.fifty.as_mut().and_then(|fifty| fifty.symbol(&topic)).is_some_and(|one| one.is_granted);
        if wanted.subscription.depth > LEVELS && (!has_room || !is_served) {
            sink.outcome(instrument, Ok(Grant { depth: LEVELS }));
        }
    }

    /// Books of fifty levels are not to be had; those of five go on.
    pub(super) fn fall_back(&mut self, topics: &[Topic], sink: &mut TickSink) {
        for topic in topics {
            self.tell_depth(topic, false, sink);
        }
    }

    /// A book of fifty levels is another one now.
    pub(super) fn take_book(&mut self, topic: &Topic, sink: &mut TickSink) {
        if self.fifty.as_ref().is_some_and(|fifty| fifty.book(topic).is_some()) {
            self.tell_depth(topic, true, sink);
            let Self { plan, topics, publisher, fifty, .. } = self;
            publisher.deepen(topic, topics, plan, fifty.as_ref(), sink);
        }
    }

    /// Tells clients how many levels they have, when that is news.
    fn tell_depth(&mut self, topic: &Topic, is_granted: bool, sink: &mut TickSink) {
        let Some(symbol) = self.fifty.as_mut().and_then(|fifty| Fifty::symbol(fifty, topic)) else { return };
        if std::mem::replace(&mut symbol.is_granted, is_granted) == is_granted {
            return;
        }
        let instruments = self.plan.feed(topic).into_iter().flat_map(Feeds::instruments);
        for (number, mode) in instruments {
            let depth = self.wanted.get(number).map_or(0, |wanted| wanted.subscription.depth);
            if *mode == Mode::Depth && depth > LEVELS {
                sink.outcome(*number, Ok(Grant { depth: if is_granted { depth } else { LEVELS } }));
            }
        }
    }
}

fn push(lists: &mut [(Channel, Vec<Pair>); 2], channel: Channel, pair: Pair) {
    if let Some((_, list)) = lists.iter_mut().find(|(known, _)| *known == channel) {
        list.push(pair);
    }
}
