//! Books of more than five levels: which of them come, and on which socket. They have no price, volume or
//! time beside them, which the live feed brings.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use adapter_sdk::{
    AdapterError, Backoff, Level,
    ist::Day,
    net::{Beside, BesideEvent, Message},
    session::Promised,
    tracing::{debug, info, warn},
};
use tokio::time::{Instant, timeout};

use crate::{
    allotment::Places,
    auth::{Keys, disconnected},
    config::{DEPTH_SOCKETS, Settings},
    decode, request,
    segment::Key,
    wire::depth::{Packet, Packets, Side, Tier},
};

/// Least time between two attempts to open a socket, however fast clients come and go.
const SPACING: Duration = Duration::from_secs(2);

/// Pause after the broker has found that there are too many sockets. To insist would end the live feed of a
/// sibling.
const CROWDED_PAUSE: Duration = Duration::from_mins(10);

/// How long a book may take to begin before the one of the live feed is shown instead. Outside the hours of
/// trading none begins.
const BOOK_LIMIT: Duration = Duration::from_secs(10);

/// Longest time for all goodbyes.
const CLOSE_LIMIT: Duration = Duration::from_millis(300);

/// The deep books of one connection.
#[derive(Debug)]
pub(crate) struct Deep {
    sockets: [Socket; DEPTH_SOCKETS],
    books: BTreeMap<Key, Book>,
    /// Which of them come; of the others those of the live feed are shown.
    promised: Promised<Key>,
    /// In India, when the last message came.
    day: Day,
}

/// A socket of a depth feed. It is open while something is wanted of it.
#[derive(Debug)]
struct Socket {
    tier: Tier,
    /// Most instruments on it; none when it may not be opened.
    room: usize,
    beside: Beside,
    /// What was subscribed since it was opened.
    told: BTreeSet<Key>,
}

impl Socket {
    fn new(place: usize, keys: &Keys, settings: &Arc<Settings>) -> Self {
        let [twenty, two_hundred] = Tier::ALL.map(|tier| settings.depth_sockets(tier));
        let tier = if place < twenty { Tier::Twenty } else { Tier::TwoHundred };
        let room = if place < twenty + two_hundred { tier.instruments() } else { 0 };
        let (keys, settings) = (keys.clone(), Arc::clone(settings));
        let beside = Beside::new(Backoff { first: SPACING, ..Backoff::default() }, move || {
            let (keys, settings) = (keys.clone(), Arc::clone(&settings));
            async move { keys.open(&settings, settings.depth_url(tier)).await }
        });
        Self { tier, room, beside: beside.patient(CROWDED_PAUSE), told: BTreeSet::new() }
    }

    /// Makes the broker send these books, of which there are no more than it has room for.
    fn follow(&mut self, wanted: &[Key]) {
        let new: Vec<Key> = wanted.iter().copied().filter(|key| !self.told.contains(key)).collect();
        // What is not wanted any more cannot be unsubscribed for certain, and counts against the broker's
        // limit.
        if wanted.is_empty() || self.told.len() + new.len() > self.room {
            // It is closed before it is opened again: one too many would end a sibling.
            self.beside.part(request::DISCONNECT);
            self.told.clear();
        }
        if let Some(socket) = self.beside.socket() {
            request::books(self.tier, &new).into_iter().for_each(|text| socket.queue(text));
            self.told.extend(new);
        } else if !wanted.is_empty() && self.room > 0 {
            self.beside.want();
        }
    }
}

/// A book as far as it is known.
#[derive(Debug)]
struct Book {
    tier: Tier,
    /// Place of its socket.
    socket: usize,
    /// What is known of a side, if it is known.
    buy: Option<Vec<Level>>,
    sell: Option<Vec<Level>>,
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
    /// The reason for which the broker is about to hang up, if it says so.
    reason: Option<u16>,
}

impl Deep {
    pub(crate) fn new(keys: &Keys, settings: &Arc<Settings>) -> Self {
        Self {
            sockets: std::array::from_fn(|place| Socket::new(place, keys, settings)),
            books: BTreeMap::new(),
            promised: Promised::new(BOOK_LIMIT),
            day: Day::at(SystemTime::now()),
        }
    }

    /// Follows who has a place: books that nobody has one for any more end, and new ones begin as far as
    /// there are sockets for them.
    pub(crate) fn follow(&mut self, places: &Places) {
        let wanted = places.taken();
        let is_over = |key: &Key, book: &mut Book| !wanted.contains(&(*key, book.tier));
        let mut sockets = BTreeSet::new();
        for (key, book) in self.books.extract_if(.., is_over) {
            self.promised.drop(&key);
            sockets.insert(book.socket);
        }
        for (key, tier) in &wanted {
            if !self.books.contains_key(key)
                && let Some(socket) = self.socket_with_room(*tier)
            {
                self.promised.want(*key, Instant::now());
                self.books.insert(*key, Book { tier: *tier, socket, buy: None, sell: None });
                sockets.insert(socket);
            }
        }
        sockets.into_iter().for_each(|socket| self.tell(socket));
    }

    /// Whether a book comes, or may still come.
    pub(crate) fn is_coming(&self, key: Key) -> bool {
        self.promised.is_coming(&key)
    }

    /// Both sides of a book, best levels first, once both are known.
    pub(crate) fn sides(&self, key: Key) -> Option<(&[Level], &[Level])> {
        let book = self.books.get(&key)?;
        Some((book.buy.as_deref()?, book.sell.as_deref()?))
    }

    /// When to look again whether books have begun.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.promised.due()
    }

    /// Gives up waiting for books that have not begun.
    pub(crate) fn expire(&mut self, now: Instant) -> Outcome {
        let missing = self.promised.expire(now);
        self.forget(&missing);
        if !missing.is_empty() {
            info!(
                count = missing.len(),
                "Deep books do not begin; those of the live feed are shown meanwhile"
            );
        }
        Outcome { missing, ..Outcome::default() }
    }

    /// Waits for something to happen.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Outcome {
        let [first, second, third, fourth] = &mut self.sockets;
        let (place, event) = tokio::select! {
            event = first.beside.next() => (0, event),
            event = second.beside.next() => (1, event),
            event = third.beside.next() => (2, event),
            event = fourth.beside.next() => (3, event),
        };
        match event {
            BesideEvent::Message(Message::Binary(bytes)) => self.take_from(place, &bytes),
            BesideEvent::Lost(error) => self.lose(place, &error),
            BesideEvent::Opened => {
                self.tell(place);
                Outcome::default()
            }
            _ => {
                debug!("A text on a depth feed");
                Outcome::default()
            }
        }
    }

    /// Says goodbye to the broker.
    pub(crate) async fn close(self) {
        let [first, second, third, fourth] = self.sockets.map(|mut socket| {
            socket.beside.part(request::DISCONNECT);
            socket.beside.close()
        });
        // What is not done by then is dropped.
        _ = timeout(CLOSE_LIMIT, async { tokio::join!(first, second, third, fourth) }).await;
    }

    /// Takes a message of a socket, which may be its last.
    fn take_from(&mut self, place: usize, message: &[u8]) -> Outcome {
        let Some(tier) = self.sockets.get(place).map(|socket| socket.tier) else { return Outcome::default() };
        let outcome = self.take(tier, message, Day::at(SystemTime::now()));
        let Some(reason) = outcome.reason else { return outcome };
        let error = disconnected(reason);
        if let Some(socket) = self.sockets.get_mut(place) {
            socket.beside.lose(&error);
        }
        let Outcome { missing, closed, .. } = self.lose(place, &error);
        Outcome { missing, closed, ..outcome }
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
                        if self.promised.came(&key) {
                            outcome.begun.push(key);
                        }
                        // Both sides come one after the other: they are shown together.
                        if outcome.changed.last() != Some(&key) {
                            outcome.changed.push(key);
                        }
                    }
                }
                Ok(Packet::Disconnect(reason)) => outcome.reason = Some(reason),
                Ok(Packet::Other(_)) => {}
                Err(_) => outcome.undecodable += 1,
            }
        }
        outcome
    }

    /// A socket is lost. It is opened again by itself, unless that is of no use.
    fn lose(&mut self, place: usize, error: &AdapterError) -> Outcome {
        warn!(%error, "A socket for deep books is lost; books of the live feed are shown meanwhile");
        let mut closed = None;
        if let Some(socket) = self.sockets.get_mut(place) {
            socket.told.clear();
            if !error.is_retryable() {
                socket.beside.leave();
                socket.room = 0;
                closed = Some(socket.tier);
            }
        }
        let of_socket = self.books.iter().filter(|(_, book)| book.socket == place);
        let keys: Vec<Key> = of_socket.map(|(key, _)| *key).collect();
        self.forget(&keys);
        Outcome { missing: self.promised.miss(keys), closed, ..Outcome::default() }
    }

    /// An old side must not be shown with a new one.
    fn forget(&mut self, keys: &[Key]) {
        for (_, book) in self.books.iter_mut().filter(|(key, _)| keys.contains(key)) {
            (book.buy, book.sell) = (None, None);
        }
    }

    /// The place of a socket of a feed that has room for one more.
    fn socket_with_room(&self, tier: Tier) -> Option<usize> {
        let count = |place: usize| self.books.values().filter(|book| book.socket == place).count();
        let mut places = (0..).zip(&self.sockets).filter(|(_, socket)| socket.tier == tier);
        places.find(|(place, socket)| count(*place) < socket.room).map(|(place, _)| place)
    }

    /// Tells a socket what is wanted of it.
    fn tell(&mut self, place: usize) {
        let of_socket = self.books.iter().filter(|(_, book)| book.socket == place);
        let wanted: Vec<Key> = of_socket.map(|(key, _)| *key).collect();
        if let Some(socket) = self.sockets.get_mut(place) {
            socket.follow(&wanted);
        }
    }
}

#[cfg(test)]
mod tests;
