//! The socket of fifty levels: a connection beside the data socket, which comes and goes without it.

use std::{sync::Arc, time::Duration};

use adapter_sdk::{
    AdapterError, Backoff,
    net::{Beside, BesideEvent, Heartbeat, Http, Message, WebSocket, WebSocketRequest},
    tracing::{debug, warn},
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    book::{Book, Books, News},
    wire::SocketMessage,
};
use crate::{auth::Keys, config::Settings, topic::Topic};

/// Symbols that the broker takes on one connection.
pub(crate) const MAX_SYMBOLS: usize = 5;

/// Where the socket is when the broker does not say.
const USUAL_URL: &str = "wss://rtsocket-api.fyers.in/versova";

/// The one channel of this adapter. Channels are numbers in text.
const CHANNEL: &str = "1";

/// Longest message of the broker, in bytes. A snapshot of five symbols has some 15 KB.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Longest answer to where the socket is, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Longest time for that answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A symbol whose book is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) ticker: String,
    pub(crate) topic: Topic,
    /// Whether clients were told that they have more than five levels.
    pub(crate) is_granted: bool,
    /// By when its book must be whole.
    pub(crate) due: Option<Instant>,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Event {
    Message(Message),
    /// No book is known any more.
    Lost,
}

/// The socket, and the books that it brings.
#[derive(Debug)]
pub(crate) struct Fifty {
    /// How long the broker has for a whole book.
    snapshot_limit: Duration,
    symbols: Vec<Symbol>,
    books: Books,
    socket: Beside,
}

impl Fifty {
    /// None when nobody wants it, or the account cannot open it.
    pub(crate) fn of(settings: &Arc<Settings>, http: &Http, keys: &Keys) -> Option<Self> {
        let authorization = keys.authorization().filter(|_| settings.depth_50);
        if settings.depth_50 && authorization.is_none() {
            warn!("Books of fifty levels need the app's ID: set api_key of the account");
        }
        let (settings, http, both) = (Arc::clone(settings), http.clone(), authorization?);
        let snapshot_limit = settings.snapshot_limit;
        let backoff = Backoff { first: Duration::from_secs(1), ..Backoff::default() };
        let socket = Beside::new(backoff, move || open(Arc::clone(&settings), http.clone(), both.clone()));
        Some(Self { snapshot_limit, symbols: Vec::new(), books: Books::new(), socket })
    }

    /// Wants the book of a symbol. None when there is no room for it.
    pub(crate) fn want(&mut self, topic: Topic, ticker: &str) -> Option<&mut Symbol> {
        if self.symbol(&topic).is_none() {
            self.add(topic, ticker);
        }
        self.symbol(&topic)
    }

    fn add(&mut self, topic: Topic, ticker: &str) {
        if self.symbols.len() >= MAX_SYMBOLS {
            return;
        }
        let due = Some(Instant::now() + self.snapshot_limit);
        self.symbols.push(Symbol { ticker: ticker.to_owned(), topic, is_granted: true, due });
        self.books.want(ticker);
        match self.socket.socket() {
            Some(socket) => begin(socket, &[ticker]),
            None => self.socket.want(),
        }
    }

    /// Wants it no more.
    pub(crate) fn release(&mut self, topic: &Topic) {
        let Some(place) = self.symbols.iter().position(|symbol| symbol.topic == *topic) else { return };
        let symbol = self.symbols.swap_remove(place);
        self.books.drop(&symbol.ticker);
        if self.symbols.is_empty() {
            self.socket.leave();
        } else if let Some(socket) = self.socket.socket() {
            socket.queue(depth(-1, &[&symbol.ticker]));
        }
    }

    /// The whole book of an instrument, if it is known.
    pub(crate) fn book(&self, topic: &Topic) -> Option<&Book> {
        let symbol = self.symbols.iter().find(|symbol| symbol.topic == *topic)?;
        self.books.get(&symbol.ticker).filter(|book| book.is_whole())
    }

    /// The symbol of an instrument.
    pub(crate) fn symbol(&mut self, topic: &Topic) -> Option<&mut Symbol> {
        self.symbols.iter_mut().find(|symbol| symbol.topic == *topic)
    }

    /// Instruments that are wanted.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        self.symbols.iter().map(|symbol| symbol.topic).collect()
    }

    /// Instruments whose books should be whole by now and are not.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<Topic> {
        let Self { symbols, books, .. } = self;
        let mut overdue = Vec::new();
        for symbol in symbols {
            if symbol.due.is_some_and(|due| due <= now) {
                symbol.due = None;
                if !books.get(&symbol.ticker).is_some_and(Book::is_whole) {
                    overdue.push(symbol.topic);
                }
            }
        }
        overdue
    }

    /// When to look again.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.symbols.iter().filter_map(|symbol| symbol.due).min()
    }

    /// Takes a message. Gives the instruments whose books are others now; false when it makes no sense.
    pub(crate) fn take(&mut self, bytes: &[u8], changed: &mut Vec<Topic>) -> bool {
        let Ok(message) = SocketMessage::parse(bytes) else { return false };
        if message.is_error {
            // Its words are left out: nobody knows what they repeat.
            warn!("The socket of fifty levels refuses something; books of five levels go on");
        }
        let mut gaps = Vec::new();
        let symbols = &self.symbols;
        let taken = self.books.apply(&message, |news| {
            let (News::Changed(book) | News::Gap(book)) = news;
            let Some(place) = symbols.iter().position(|symbol| symbol.ticker == book.ticker) else { return };
            match news {
                News::Changed(_) => changed.extend(symbols.get(place).map(|symbol| symbol.topic)),
                News::Gap(_) => gaps.push(place),
            }
        });
        for place in gaps {
            let (Some(symbol), Some(socket)) = (self.symbols.get_mut(place), self.socket.socket()) else {
                continue;
            };
            warn!("A change of a book of fifty levels is missing; asking for the whole book");
            self.books.want(&symbol.ticker);
            socket.queue(depth(-1, &[&symbol.ticker]));
            begin(socket, &[&symbol.ticker]);
            symbol.due = Some(Instant::now() + self.snapshot_limit);
        }
        taken.is_ok()
    }

    /// Waits for what comes next; for ever when nobody wants anything.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            match self.socket.next().await {
                BesideEvent::Message(message) => return Event::Message(message),
                BesideEvent::Lost(error) => {
                    warn!(%error, "No socket of fifty levels; books of five levels go on");
                    for symbol in &mut self.symbols {
                        self.books.want(&symbol.ticker);
                        symbol.due = None;
                    }
                    return Event::Lost;
                }
                _ => {}
            }
            if let Some(socket) = self.socket.socket() {
                let tickers: Vec<&str> = self.symbols.iter().map(|symbol| symbol.ticker.as_str()).collect();
                begin(socket, &tickers);
            }
        }
    }
}

/// Subscribes. A channel says nothing before it is resumed.
fn begin(socket: &mut WebSocket, tickers: &[&str]) {
    socket.queue(depth(1, tickers));
    socket.queue(json!({"type": 2, "data": {"resumeChannels": [CHANNEL], "pauseChannels": []}}).to_string());
}

fn depth(subs: i8, tickers: &[&str]) -> String {
    json!({"type": 1, "data": {"subs": subs, "symbols": tickers, "mode": "depth", "channel": CHANNEL}})
        .to_string()
}

async fn open(
    settings: Arc<Settings>,
    http: Http,
    authorization: Zeroizing<String>,
) -> Result<WebSocket, AdapterError> {
    let url = match &settings.tbt_url {
        Some(url) => url.clone(),
        None => find(&settings, &http, &authorization).await?,
    };
    let request = WebSocketRequest::new(url)
        .header("Authorization", authorization.as_str())
        .heartbeat(Heartbeat::Text("ping", settings.heartbeat()))
        .stall_after(settings.stall)
        .max_message_bytes(MAX_MESSAGE_BYTES);
    Ok(settings.network.websocket(request).await?)
}

#[derive(Deserialize)]
struct Answer {
    data: Where,
}

#[derive(Deserialize)]
struct Where {
    socket_url: String,
}

/// Asks the broker where the socket is. It may not know.
async fn find(settings: &Settings, http: &Http, authorization: &str) -> Result<String, AdapterError> {
    let url = format!("{}/indus/home/tbtws", settings.api_url);
    let is_encrypted = url.starts_with("https://");
    let asked = async {
        let response = http.get(&url).header("Authorization", authorization).timeout(TIMEOUT).send().await?;
        if !response.is_success() {
            return Err(response.refusal("the request for its socket of fifty levels"));
        }
        let Answer { data } = response.json(MAX_ANSWER_BYTES).await?;
        // The token goes there: not in the clear, unless everything is.
        if data.socket_url.starts_with("wss://") || (!is_encrypted && data.socket_url.starts_with("ws://")) {
            return Ok(data.socket_url);
        }
        Err(AdapterError::protocol("the broker says that its socket of fifty levels is at no address of one"))
    };
    match asked.await {
        // A simulator's account must not be shown to the broker.
        Err(error) if is_encrypted => {
            debug!(%error, "The broker does not say where its socket of fifty levels is");
            Ok(USUAL_URL.to_owned())
        }
        answer => answer,
    }
}
