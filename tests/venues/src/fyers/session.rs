//! What a connection to the HSM socket was told, from which follows what it has to be told next.

use std::collections::{BTreeMap, HashSet, VecDeque};

use tokio_tungstenite::tungstenite::Message;

use super::{
    frame,
    names::Feed,
    record::{self, NOTHING},
};
use crate::{
    broker::{Cause, News},
    model::Mode,
    state::Peer,
};

/// Data frames after which a client has to acknowledge one.
pub const ACKNOWLEDGE: u32 = 10;

/// Acknowledgements that may be missing before trades are held back.
const MISSING: usize = 20;

/// Frames that a client may still acknowledge.
const REMEMBERED: usize = 1_000;

/// Topics that a connection remembers; those that are not subscribed any more are forgotten then. There are
/// more numbers.
const TOPICS: usize = 20_000;

/// The first of the topic numbers that no subscription is given: they are for what nobody subscribed.
pub(super) const STRAY_IDS: u16 = 0xc000;

/// What the venue knows of a connection.
#[derive(Debug)]
pub(super) struct Hsm {
    /// Whether the handshake had what makes the broker deaf to all that follows.
    pub is_ignored: bool,
    /// Whether the log-in was accepted.
    pub is_accepted: bool,
    /// Channels in lite mode, a bit each.
    pub lite: u64,
    /// Channels that are paused, a bit each.
    pub paused: u64,
    topics: BTreeMap<(usize, Feed), Topic>,
    ids: HashSet<u16>,
    next_id: u16,
    number: u32,
    frames: u32,
    /// Numbers of the frames that are to be acknowledged.
    due: VecDeque<u32>,
}

#[derive(Debug)]
struct Topic {
    id: u16,
    /// None when it is not subscribed any more.
    channel: Option<u8>,
    /// What the client was told; none when it was told nothing.
    last: Option<Vec<i32>>,
}

/// The session of a connection to the HSM socket; none for other connections.
pub(super) fn of(peer: &mut Peer) -> Option<&mut Hsm> {
    peer.session.downcast_mut()
}

const fn bit(channel: u8) -> u64 {
    1_u64.unbounded_shl(channel as u32)
}

impl Hsm {
    /// Nothing that a client can learn on one connection is good on the next.
    pub(super) fn new(connection: u64, is_ignored: bool) -> Self {
        let [low, high, ..] = connection.wrapping_mul(7_919).to_le_bytes();
        Self {
            is_ignored,
            is_accepted: false,
            lite: 0,
            paused: 0,
            topics: BTreeMap::new(),
            ids: HashSet::new(),
            next_id: u16::from_le_bytes([low, high]),
            number: u32::from_le_bytes([low, high, low, 0x1b]),
            frames: 0,
            due: VecDeque::new(),
        }
    }

    /// A number that no topic has.
    fn fresh_id(&mut self) -> u16 {
        // Odd, so that it meets all numbers; far apart, so that a mistake meets none.
        self.next_id = self.next_id.wrapping_add(12_347);
        while self.next_id >= STRAY_IDS || !self.ids.insert(self.next_id) {
            self.next_id = self.next_id.wrapping_add(12_347);
        }
        self.next_id
    }

    /// Puts a topic on a channel, with a new number.
    pub(super) fn subscribe(&mut self, place: usize, feed: Feed, channel: u8) {
        if self.topics.len() >= TOPICS {
            self.topics.retain(|_, topic| topic.channel.is_some());
            self.ids = self.topics.values().map(|topic| topic.id).collect();
        }
        if let Some(old) = self.topics.remove(&(place, feed)) {
            self.ids.remove(&old.id);
        }
        let id = self.fresh_id();
        self.topics.insert((place, feed), Topic { id, channel: Some(channel), last: None });
    }

    /// Takes a topic from a channel, if it is there.
    pub(super) fn unsubscribe(&mut self, place: usize, feed: Feed, channel: u8) {
        let topic = self.topics.get_mut(&(place, feed));
        if let Some(topic) = topic.filter(|topic| topic.channel == Some(channel)) {
            topic.channel = None;
        }
    }

    /// Topics that are subscribed, with the mode of each.
    pub(super) fn subscribed(&self) -> impl Iterator<Item = (usize, Mode)> {
        let subscribed = self.topics.iter().filter_map(|(key, topic)| Some((key, topic.channel?)));
        subscribed.map(|(&(place, feed), channel)| (place, self.mode(feed, channel)))
    }

    /// Topics of which nothing was told, with the mode of each.
    pub(super) fn untold(&self) -> Vec<(usize, Mode)> {
        let untold = self.topics.iter().filter(|(_, topic)| topic.last.is_none());
        let untold = untold.filter_map(|(key, topic)| Some((key, topic.channel?)));
        untold.map(|(&(place, feed), channel)| (place, self.mode(feed, channel))).collect()
    }

    /// How much a topic on a channel says.
    pub(super) fn mode(&self, feed: Feed, channel: u8) -> Mode {
        match feed {
            // A book has no lite form.
            Feed::Depth => Mode::Full,
            _ if self.lite & bit(channel) != 0 => Mode::Ltp,
            _ => Mode::Quote,
        }
    }

    /// Two instruments have got each other's number. Indices have names, which stay.
    pub(super) fn renumber(&mut self, one: usize, other: usize) {
        for feed in [Feed::Scrip, Feed::Depth] {
            let [first, second] = [one, other].map(|place| self.topics.remove(&(place, feed)));
            let moved = [(other, first), (one, second)];
            self.topics.extend(moved.into_iter().filter_map(|(place, topic)| Some(((place, feed), topic?))));
        }
    }

    /// Takes an acknowledgement, which is one of all that was before.
    pub(super) fn acknowledge(&mut self, number: u32) {
        if let Some(place) = self.due.iter().position(|due| *due == number) {
            self.due.drain(..=place);
        }
    }

    /// Records as a frame.
    pub(super) fn frame(&mut self, records: &[Vec<u8>]) -> Message {
        self.number = self.number.wrapping_add(1);
        self.frames += 1;
        if self.frames == ACKNOWLEDGE {
            self.frames = 0;
            self.due.push_back(self.number);
            if self.due.len() > REMEMBERED {
                self.due.pop_front();
            }
        }
        Message::binary(frame::data(self.number, records))
    }

    /// The records that tell of an instrument.
    pub(super) fn write(&mut self, news: &News<'_>) -> Result<Vec<Vec<u8>>, String> {
        let prices = Feed::of_prices(news.instrument);
        let feeds: &[Feed] = match (news.mode, news.cause, prices) {
            (Mode::Full, Cause::State | Cause::Trade, _) => &[Feed::Depth],
            // Both halves of what somebody asked for: the prices complete it.
            (Mode::Full, _, Feed::Scrip) => &[Feed::Depth, prices],
            (Mode::Ltp | Mode::Quote | Mode::Full, ..) => &[prices],
            (Mode::Deep(_), ..) => return Err("this socket has no deep books".to_owned()),
        };
        if !self.is_accepted {
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        for &feed in feeds {
            let mut slots = record::slots(feed, news.instrument, news.values)?;
            if news.cause == Cause::Partial {
                record::without_empty_sides(feed, &mut slots, news.values);
            }
            records.extend(self.record(feed, news, &slots)?);
        }
        Ok(records)
    }

    fn record(&mut self, feed: Feed, news: &News<'_>, slots: &[i32]) -> Result<Option<Vec<u8>>, String> {
        let (is_held_back, paused) = (self.due.len() > MISSING, self.paused);
        let Some(topic) = self.topics.get_mut(&(news.place, feed)) else {
            return unknown(feed, news, slots).map(Some);
        };
        let is_paused = topic.channel.is_some_and(|channel| paused & bit(channel) != 0);
        let is_silent = match news.cause {
            Cause::State => is_paused,
            Cause::Trade => is_paused || is_held_back,
            Cause::Whole | Cause::Partial | Cause::Stray => false,
        };
        if is_silent {
            return Ok(None);
        }
        let ltp = slots.first().copied().unwrap_or(NOTHING);
        match (&mut topic.last, news.cause) {
            (Some(last), Cause::Whole | Cause::Trade)
                if news.mode == Mode::Ltp && last.first() != Some(&ltp) =>
            {
                last.iter_mut().take(1).for_each(|slot| *slot = ltp);
                Ok(Some(record::lite(topic.id, ltp)))
            }
            (Some(_), Cause::Trade) if news.mode == Mode::Ltp => Ok(None),
            (Some(last), Cause::Trade | Cause::Partial) => {
                let changed = changes(last, slots);
                let is_news = changed.iter().any(|slot| *slot != NOTHING);
                is_news.then(|| record::update(topic.id, &changed)).transpose()
            }
            (last, _) => {
                *last = Some(slots.to_vec());
                record::snapshot(topic.id, feed, news.instrument, slots).map(Some)
            }
        }
    }

    /// Announces a topic without a value.
    pub(super) fn announce(&mut self, feed: Feed, news: &News<'_>) -> Result<Vec<u8>, String> {
        let topic = self.topics.get_mut(&(news.place, feed)).ok_or("it is not subscribed")?;
        let slots = match feed {
            // Zero is a value of a book.
            Feed::Depth => vec![NOTHING; record::DEPTH],
            _ => record::slots(feed, news.instrument, news.values)?,
        };
        let record = record::snapshot(topic.id, feed, news.instrument, &slots)?;
        topic.last = Some(slots);
        Ok(record)
    }
}

/// What is new, with [`NOTHING`] for the rest; it is old from now on.
fn changes(last: &mut [i32], slots: &[i32]) -> Vec<i32> {
    let change = |(old, new): (&mut i32, &i32)| {
        if *new == NOTHING || new == old {
            return NOTHING;
        }
        *old = *new;
        *new
    };
    last.iter_mut().zip(slots).map(change).collect()
}

/// A record of a topic that was never subscribed on this connection: of a last price alone under a number
/// that nobody was told, of anything else with number and name.
fn unknown(feed: Feed, news: &News<'_>, slots: &[i32]) -> Result<Vec<u8>, String> {
    let [low, high, ..] = news.place.to_le_bytes();
    let id = STRAY_IDS | u16::from_le_bytes([low, high]);
    if news.mode == Mode::Ltp {
        return Ok(record::lite(id, slots.first().copied().unwrap_or(NOTHING)));
    }
    record::snapshot(id, feed, news.instrument, slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There are fewer numbers than subscriptions in the life of a connection.
    #[test]
    fn topics_come_and_go_without_end_and_no_two_have_a_number() {
        let mut session = Hsm::new(1, false);
        (0..70_000).for_each(|_| session.subscribe(7, Feed::Depth, 1));
        for round in 0..70_000 {
            session.subscribe(round, Feed::Scrip, 1);
            if round >= 100 {
                session.unsubscribe(round - 100, Feed::Scrip, 1);
            }
        }
        let ids: HashSet<u16> = session.topics.values().map(|topic| topic.id).collect();
        assert_eq!(ids.len(), session.topics.len());
        assert!(session.topics.len() <= TOPICS && ids.iter().all(|id| *id < STRAY_IDS));
        assert_eq!(session.subscribed().count(), 101);
    }

    #[test]
    fn an_acknowledgement_is_one_of_all_before() {
        let mut session = Hsm::new(1, false);
        for _ in 0..3 * ACKNOWLEDGE {
            session.frame(&[]);
        }
        let due = session.due.clone();
        assert_eq!(due.len(), 3);
        session.acknowledge(due[0] + 1);
        assert_eq!(session.due, due);
        session.acknowledge(due[1]);
        assert_eq!(session.due, [due[2]]);
    }
}
