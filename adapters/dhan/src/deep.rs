//! Books of more than five levels: which of them come, and on which socket. They have no price, volume or time beside
//! them, which the live feed brings.

mod link;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

use adapter_sdk::{
    AdapterError, Level,
    ist::Day,
    tracing::{info, warn},
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant},
};

use self::link::{Event, Link};
use crate::{
    auth::Keys,
    config::Settings,
    decode,
    segment::Key,
    wire::depth::{Packet, Packets, Side, Tier},
};

/// Messages of all depth sockets that wait. When it is full the sockets are not read, and the broker waits.
const QUEUE: usize = 64;

/// How long a book may take to begin before the one of the live feed is shown instead. Outside the hours of trading
/// none begins.
const BOOK_LIMIT: Duration = Duration::from_secs(10);

/// Longest time for all goodbyes.
const CLOSE_LIMIT: Duration = Duration::from_millis(300);

/// The deep books of one connection.
#[derive(Debug)]
pub(crate) struct Deep {
    keys: Keys,
    settings: Arc<Settings>,
    links: Vec<Link>,
    books: BTreeMap<Key, Book>,
    /// By the host's number.
    holders: BTreeMap<u32, Key>,
    /// In India, when the last message came.
    day: Day,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
}

/// A book as far as it is known.
#[derive(Debug)]
struct Book {
    tier: Tier,
    /// Place in the list of links.
    link: usize,
    state: State,
    /// What is known of a side, if it is known.
    buy: Option<Vec<Level>>,
    sell: Option<Vec<Level>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is to come until then.
    Awaited(Instant),
    /// It comes.
    Coming,
    /// It does not come, and that of the live feed is shown.
    Missing,
}

/// What came of something that happened to the depth sockets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Books that have news.
    pub(crate) changed: Vec<Key>,
    /// Books that come again.
    pub(crate) begun: Vec<Key>,
    /// Books that come no more: the live feed has to bring them.
    pub(crate) missing: Vec<Key>,
    /// A feed that the broker does not give to this account.
    pub(crate) closed: Option<Tier>,
    /// Packets that make no sense.
    pub(crate) undecodable: usize,
}

impl Deep {
    pub(crate) fn new(keys: Keys, settings: Arc<Settings>) -> Self {
        let (sender, events) = mpsc::channel(QUEUE);
        Self {
            keys,
            settings,
            links: Vec::new(),
            books: BTreeMap::new(),
            holders: BTreeMap::new(),
            day: Day::at(SystemTime::now()),
            events,
            sender,
        }
    }

    /// Wants the book of an instrument, or wants it under another key or with other levels. Says whether the book
    /// comes, or may still come.
    pub(crate) fn want(&mut self, instrument: u32, key: Key, tier: Tier) -> bool {
        let is_known = self.books.get(&key).is_some_and(|book| book.tier == tier);
        if self.holders.get(&instrument).is_some_and(|known| *known != key || !is_known) {
            self.drop(instrument);
        }
        self.holders.insert(instrument, key);
        if !self.books.contains_key(&key) {
            let Some(link) = self.link(tier) else {
                self.holders.remove(&instrument);
                return false;
            };
            let state = State::Awaited(Instant::now() + BOOK_LIMIT);
            self.books.insert(key, Book { tier, link, state, buy: None, sell: None });
            self.tell(link);
        }
        self.is_coming(key)
    }

    /// Does not want the book of an instrument any more.
    pub(crate) fn drop(&mut self, instrument: u32) {
        let Some(key) = self.holders.remove(&instrument) else { return };
        if !self.holders.values().any(|held| *held == key)
            && let Some(book) = self.books.remove(&key)
        {
            self.tell(book.link);
        }
    }

    /// Whether a book comes, or may still come.
    pub(crate) fn is_coming(&self, key: Key) -> bool {
        self.books.get(&key).is_some_and(|book| book.state != State::Missing)
    }

    /// Whether an instrument wants the book of a key.
    pub(crate) fn is_held(&self, instrument: u32, key: Key) -> bool {
        self.holders.get(&instrument) == Some(&key)
    }

    /// Both sides of a book, best levels first, once both are known.
    pub(crate) fn sides(&self, key: Key) -> Option<(&[Level], &[Level])> {
        let book = self.books.get(&key)?;
        Some((book.buy.as_deref()?, book.sell.as_deref()?))
    }

    /// When to look again whether books have begun.
    pub(crate) fn due(&self) -> Option<Instant> {
        let awaited = |book: &Book| match book.state {
            State::Awaited(until) => Some(until),
            State::Coming | State::Missing => None,
        };
        self.books.values().filter_map(awaited).min()
    }

    /// Gives up waiting for books that have not begun.
    pub(crate) fn expire(&mut self, now: Instant) -> Outcome {
        let is_late = |book: &Book| matches!(book.state, State::Awaited(until) if until <= now);
        let late: Vec<Key> =
            self.books.iter().filter(|(_, book)| is_late(book)).map(|(key, _)| *key).collect();
        if !late.is_empty() {
            info!(count = late.len(), "Deep books do not begin; those of the live feed are shown meanwhile");
        }
        Outcome { missing: self.miss(late), ..Outcome::default() }
    }

    /// Waits for something to happen.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Outcome {
        match self.events.recv().await {
            Some(Event::Message(tier, message)) => self.take(tier, &message, Day::at(SystemTime::now())),
            Some(Event::Lost(link, error)) => self.lose(link, &error),
            // This side holds a sender.
            None => std::future::pending().await,
        }
    }

    /// Says goodbye to the broker.
    pub(crate) async fn close(mut self) {
        // Whoever waits for room in the queue must not wait for ever.
        self.events.close();
        self.links.iter_mut().for_each(Link::release);
        let until = Instant::now() + CLOSE_LIMIT;
        for link in &mut self.links {
            link.ended(until).await;
        }
    }

    /// Takes a message. A side that was said on another day is not shown with one of today.
    fn take(&mut self, tier: Tier, message: &[u8], today: Day) -> Outcome {
        if std::mem::replace(&mut self.day, today) != today {
            self.books.values_mut().for_each(|book| (book.buy, book.sell) = (None, None));
        }
        let mut outcome = Outcome::default();
        for packet in Packets::new(tier, message) {
            match packet {
                Ok(Packet::Side(key, side, rows)) => {
                    // What nobody wants is not unsubscribed: it goes on coming, whatever is said.
                    let Some(book) = self.books.get_mut(&key).filter(|book| book.tier == tier) else {
                        continue;
                    };
                    let levels = match side {
                        Side::Bid => &mut book.buy,
                        Side::Ask => &mut book.sell,
                    };
                    let mut taken = levels.take().unwrap_or_default();
                    if decode::side(rows, &mut taken).is_err() {
                        outcome.undecodable += 1;
                        continue;
                    }
                    *levels = Some(taken);
                    if book.buy.is_some() && book.sell.is_some() {
                        if std::mem::replace(&mut book.state, State::Coming) == State::Missing {
                            outcome.begun.push(key);
                        }
                        // Both sides come one after the other: they are shown together.
                        if outcome.changed.last() != Some(&key) {
                            outcome.changed.push(key);
                        }
                    }
                }
                // The link heeds the end of the connection.
                Ok(Packet::Disconnect(_) | Packet::Other(_)) => {}
                Err(_) => outcome.undecodable += 1,
            }
        }
        outcome
    }

    fn lose(&mut self, link: usize, error: &AdapterError) -> Outcome {
        warn!(%error, "A socket for deep books is lost; books of the live feed are shown meanwhile");
        let of_link = self.books.iter().filter(|(_, book)| book.link == link);
        let (keys, tiers): (Vec<Key>, Vec<Tier>) = of_link.map(|(key, book)| (*key, book.tier)).unzip();
        let closed = if error.is_retryable() { None } else { tiers.first().copied() };
        Outcome { missing: self.miss(keys), closed, ..Outcome::default() }
    }

    /// Notes that books do not come; gives those of which this is news.
    fn miss(&mut self, mut keys: Vec<Key>) -> Vec<Key> {
        keys.retain(|key| {
            let Some(book) = self.books.get_mut(key) else { return false };
            // An old side must not be shown with a new one.
            (book.buy, book.sell) = (None, None);
            std::mem::replace(&mut book.state, State::Missing) != State::Missing
        });
        keys
    }

    /// A link of a feed that has room for one more.
    fn link(&mut self, tier: Tier) -> Option<usize> {
        let count = |link: usize| self.books.values().filter(|book| book.link == link).count();
        let has_room = |place: &usize| count(*place) < tier.instruments();
        let mut of_tier = (0..self.links.len())
            .filter(|place| self.links.get(*place).is_some_and(|link| link.tier() == tier));
        if let Some(free) = of_tier.clone().find(has_room) {
            return Some(free);
        }
        if of_tier.by_ref().count() >= self.settings.depth_sockets(tier) {
            return None;
        }
        let place = self.links.len();
        let (keys, settings) = (self.keys.clone(), Arc::clone(&self.settings));
        self.links.push(Link::start(place, tier, keys, settings, self.sender.clone()));
        Some(place)
    }

    /// Tells a link what is wanted of it.
    fn tell(&self, place: usize) {
        let of_link = self.books.iter().filter(|(_, book)| book.link == place).map(|(key, _)| *key);
        if let Some(link) = self.links.get(place) {
            link.want(of_link.collect::<BTreeSet<Key>>());
        }
    }
}

#[cfg(test)]
mod tests;
