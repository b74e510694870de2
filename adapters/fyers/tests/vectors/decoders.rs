//! Vectors, and decoders that tell what comes of each frame.

#![allow(dead_code, reason = "not every test needs all of it")]

use adapter_fyers::{
    request,
    state::{Instrument, Topics},
    tbt::{
        book::{Book, Books, News},
        wire::{SocketMessage, TbtError},
    },
    topic::{Feed, Topic},
    wire::{Frame, LITE_VALUES, Request, WireError},
};
use serde_json::Value;

/// One vector for each line.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = Value> + '_ {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// One connection of the data socket.
pub(crate) struct Hsm {
    pub(crate) topics: Topics,
    acknowledge_every: u32,
    since: u32,
}

#[derive(Debug)]
pub(crate) enum HsmEvent<'a> {
    Send(Vec<u8>),
    /// The package's names of such an answer, and whether it is a good one.
    Answer(&'static [&'static str], bool),
    Custom(i32, String),
    Tick(Feed, &'a Instrument),
}

impl Hsm {
    pub(crate) fn new(line: &Value) -> Self {
        Self::wanting(&line["symbols"])
    }

    pub(crate) fn wanting(symbols: &Value) -> Self {
        let mut topics = Topics::new();
        for name in symbols.as_object().unwrap().keys() {
            let (feed, topic) = Topic::parse(name.as_bytes()).unwrap();
            topics.want(feed, topic);
        }
        Self { topics, acknowledge_every: 0, since: 0 }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], mut tell: impl FnMut(HsmEvent<'_>)) -> Result<(), WireError> {
        match Frame::parse(bytes, LITE_VALUES)? {
            Frame::Verdict(verdict) => {
                (self.acknowledge_every, self.since) = (verdict.acknowledge_every, 0);
                tell(HsmEvent::Answer(&["cn"], verdict.is_accepted));
            }
            Frame::Answer { request, is_accepted } => {
                let names: &[&str] = match request {
                    Request::Authenticate => &["cn"],
                    Request::Subscribe => &["sub"],
                    Request::Unsubscribe => &["unsub"],
                    Request::Pause => &["cp"],
                    Request::Resume => &["cr"],
                    Request::Mode => &["lit", "ful"],
                };
                tell(HsmEvent::Answer(names, is_accepted));
            }
            Frame::Custom { code, text, .. } => {
                tell(HsmEvent::Custom(code, String::from_utf8_lossy(text).into_owned()));
            }
            Frame::Data(data) => {
                self.since += 1;
                if self.since == self.acknowledge_every {
                    self.since = 0;
                    tell(HsmEvent::Send(request::acknowledge(data.number)));
                }
                for record in data.records {
                    let record = record?;
                    let target = self.topics.target(&record);
                    if self.topics.apply(&record, target)
                        && let Some(target) = target
                    {
                        tell(HsmEvent::Tick(target.feed, self.topics.get(target.place).unwrap()));
                    }
                }
            }
            Frame::Other => {}
        }
        Ok(())
    }
}

/// One connection of the socket of fifty levels.
pub(crate) struct Tbt {
    pub(crate) books: Symbols,
}

/// Books with the symbols that are wanted.
pub(crate) struct Symbols {
    books: Books,
    wanted: Vec<String>,
}

impl Symbols {
    pub(crate) fn clone_all(&self) -> Vec<Book> {
        self.wanted.iter().filter_map(|ticker| self.books.get(ticker)).cloned().collect()
    }
}

#[derive(Debug)]
pub(crate) enum TbtEvent {
    Book(Box<Book>, bool),
    Gap(String),
    Error(String),
}

impl TbtEvent {
    pub(crate) fn symbol(&self) -> &str {
        match self {
            Self::Book(book, _) => &book.ticker,
            Self::Gap(symbol) => symbol,
            Self::Error(_) => "",
        }
    }
}

impl Tbt {
    /// Wants every symbol that the vector tells of.
    pub(crate) fn new(line: &Value) -> Self {
        Self::wanting(&Self::wanted(line))
    }

    /// Every symbol that the vector tells of.
    pub(crate) fn wanted(line: &Value) -> Vec<String> {
        let mut wanted: Vec<String> = Vec::new();
        for event in line["expected"].as_array().unwrap().iter().flat_map(|events| events.as_array().unwrap())
        {
            if let Some(symbol) = event["symbol"].as_str()
                && !wanted.iter().any(|known| known == symbol)
            {
                wanted.push(symbol.to_owned());
            }
        }
        wanted
    }

    pub(crate) fn wanting(wanted: &[String]) -> Self {
        let mut books = Books::new();
        for symbol in wanted {
            books.want(symbol);
        }
        Self { books: Symbols { books, wanted: wanted.to_vec() } }
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<TbtEvent>, TbtError> {
        let message = SocketMessage::parse(bytes)?;
        let mut events = Vec::new();
        if message.is_error {
            events.push(TbtEvent::Error(message.message.to_owned()));
        }
        self.books.books.apply(&message, |news| match news {
            News::Changed(book) => events.push(TbtEvent::Book(Box::new(book.clone()), message.is_snapshot)),
            News::Gap(book) => events.push(TbtEvent::Gap(book.ticker.clone())),
        })?;
        Ok(events)
    }
}
