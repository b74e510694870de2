//! The socket of fifty levels: a connection beside the data socket, which comes and goes without it.

use std::{sync::Arc, time::Duration};

use adapter_sdk::{
    AdapterError, Backoff, ExposeSecret as _, SecretString,
    net::{Beside, BesideEvent, Heartbeat, Http, Message, WebSocket, WebSocketRequest},
    tracing::{debug, warn},
};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::{
    book::{Book, Books, News},
    wire::{SocketMessage, TbtError},
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
#[derive(Debug)]
struct Symbol {
    ticker: String,
    topic: Topic,
    /// Numbers of the host that it is wanted for.
    instruments: Vec<u32>,
    /// Whether clients were told that they have more than five levels.
    is_granted: bool,
    /// By when its book must be whole.
    due: Option<Instant>,
    /// Whether its book is there, when that or the book is new.
    news: Option<bool>,
}

/// The socket, and the books that it brings.
#[derive(Debug)]
pub(crate) struct Fifty {
    /// How long the broker has for a whole book.
    snapshot_limit: Duration,
    symbols: Vec<Symbol>,
    books: Books,
    socket: Beside,
    /// What has happened there, and is to be followed.
    event: Option<BesideEvent>,
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
        Some(Self { snapshot_limit, symbols: Vec::new(), books: Books::new(), socket, event: None })
    }

    /// Wants the book of an instrument. Says whether it may be counted on: not when there is no room for it,
    /// and not while it does not come.
    pub(crate) fn want(&mut self, instrument: u32, topic: Topic, ticker: &str) -> bool {
        let known = self.symbols.iter_mut().find(|symbol| symbol.topic == topic);
        if let Some(Symbol { instruments, is_granted, .. }) = known {
            if !instruments.contains(&instrument) {
                instruments.push(instrument);
            }
            return *is_granted;
        }
        if self.symbols.len() >= MAX_SYMBOLS {
            return false;
        }
        self.symbols.push(Symbol {
            ticker: ticker.to_owned(),
            topic,
            instruments: vec![instrument],
            is_granted: true,
            due: Some(Instant::now() + self.snapshot_limit),
            news: None,
        });
        self.books.want(ticker);
        match self.socket.socket() {
            Some(socket) => begin(socket, &[ticker]),
            None => self.socket.want(),
        }
        true
    }

    /// Wants it no more.
    pub(crate) fn release(&mut self, instrument: u32) {
        self.symbols.iter_mut().for_each(|symbol| symbol.instruments.retain(|known| *known != instrument));
        let Some(place) = self.symbols.iter().position(|symbol| symbol.instruments.is_empty()) else {
            return;
        };
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

    /// Notes whether the book of an instrument is there. Gives the numbers of those who are to be told, if
    /// that is news.
    pub(crate) fn granted(&mut self, topic: &Topic, is_granted: bool) -> &[u32] {
        let mut symbols = self.symbols.iter_mut();
        let news = symbols.find(|symbol| symbol.topic == *topic && symbol.is_granted != is_granted);
        news.map_or(&[], |symbol| {
            symbol.is_granted = is_granted;
            &symbol.instruments
        })
    }

    /// When to look again.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.symbols.iter().filter_map(|symbol| symbol.due).min()
    }

    /// Waits until something happens; for ever when nobody wants anything.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn wait(&mut self) {
        self.event = Some(self.socket.next().await);
    }

    /// Follows what has happened, and what has not in time; [`Self::news`] has what that means for books.
    ///
    /// # Errors
    /// With the length of a message that makes no sense.
    pub(crate) fn advance(&mut self, now: Instant) -> Result<(), usize> {
        let Self { symbols, books, socket, .. } = self;
        for symbol in symbols.iter_mut().filter(|symbol| symbol.due.is_some_and(|due| due <= now)) {
            symbol.due = None;
            if !books.get(&symbol.ticker).is_some_and(Book::is_whole) {
                symbol.news = Some(false);
            }
        }
        match self.event.take() {
            Some(BesideEvent::Opened) => {
                let tickers: Vec<&str> = symbols.iter().map(|symbol| symbol.ticker.as_str()).collect();
                socket.socket().into_iter().for_each(|socket| begin(socket, &tickers));
            }
            Some(BesideEvent::Message(Message::Binary(bytes))) => {
                self.take(&bytes).map_err(|_| bytes.len())?;
            }
            Some(BesideEvent::Lost(error)) => {
                warn!(%error, "No socket of fifty levels; books of five levels go on");
                for symbol in symbols {
                    books.want(&symbol.ticker);
                    (symbol.due, symbol.news) = (None, Some(false));
                }
            }
            // Answers to heartbeats, and notices that say nothing of a book.
            _ => {}
        }
        Ok(())
    }

    /// An instrument whose book is another one now, or is not there any more.
    pub(crate) fn news(&mut self) -> Option<(Topic, bool)> {
        self.symbols.iter_mut().find_map(|symbol| Some((symbol.topic, symbol.news.take()?)))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), TbtError> {
        let Self { symbols, books, socket, snapshot_limit, .. } = self;
        let message = SocketMessage::parse(bytes)?;
        if message.is_error {
            // Its words are left out: nobody knows what they repeat.
            warn!("The socket of fifty levels refuses something; books of five levels go on");
        }
        let mut gaps = Vec::new();
        books.apply(&message, |news| {
            let (News::Changed(book) | News::Gap(book)) = news;
            let symbol = symbols.iter_mut().enumerate().find(|(_, symbol)| symbol.ticker == book.ticker);
            match (news, symbol) {
                (News::Changed(_), Some((_, symbol))) if book.is_whole() => symbol.news = Some(true),
                (News::Gap(_), Some((place, _))) => gaps.push(place),
                _ => {}
            }
        })?;
        for place in gaps {
            let (Some(symbol), Some(socket)) = (symbols.get_mut(place), socket.socket()) else { continue };
            warn!("A change of a book of fifty levels is missing; asking for the whole book");
            books.want(&symbol.ticker);
            socket.queue(depth(-1, &[&symbol.ticker]));
            begin(socket, &[&symbol.ticker]);
            symbol.due = Some(Instant::now() + *snapshot_limit);
        }
        Ok(())
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
    authorization: SecretString,
) -> Result<WebSocket, AdapterError> {
    let url = match &settings.tbt_url {
        Some(url) => url.clone(),
        None => find(&settings, &http, authorization.expose_secret()).await?,
    };
    let request = WebSocketRequest::new(url)
        .header("Authorization", authorization.expose_secret())
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
