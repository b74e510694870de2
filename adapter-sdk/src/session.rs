//! A connection that the SDK runs, around the little that only the broker knows.
//!
//! A broker's adapter implements [`Protocol`]: the key of an instrument in the broker's list, the messages
//! that subscribe, what a message means. [`Session`] is the [`Connection`](crate::Connection) around it and
//! does what is the same at every broker:
//!
//! - It knows what is wanted and what the broker was told ([`Plan`](crate::plan::Plan)), and sends the
//!   difference in batches of the size and at the pace that the broker allows ([`Batches`]). No more is
//!   queued than the broker reads.
//! - It logs in on the socket, if the broker wants that: [`Protocol::hello`], [`Protocol::welcome`].
//! - It renews the list of instruments while the connection is up. What has another key in the new one leaves
//!   the old key at once, so that no tick of one instrument is shown under the name of another; what the new
//!   list lacks is refused, and the client is told.
//! - It lets an instrument wait whose key the broker has to be asked for first ([`Protocol::must_ask`]), and
//!   no longer than [`Batches::answer_within`].
//! - It waits for messages, for the time that the protocol asks for ([`Protocol::wake_at`]) and for what
//!   comes beside the socket ([`Protocol::wait`]), and loses nothing when it is interrupted. A socket of the
//!   broker's for order updates is an [`OrderSocket`].
//! - It logs a kind of nonsense once, and counts it from then on ([`Live::undecodable`]).
//!
//! Heartbeats, pongs, silence and the order of what is queued are the [`WebSocket`](crate::net::WebSocket)'s.
//!
//! What a message brings is published with [`TickSink::publish`](crate::TickSink::publish), which sends
//! nothing above the mode that is wanted. A broker that sends an instrument's prices and its book in
//! different messages publishes each as what it is, [`Packet::Values`](crate::Packet::Values) and
//! [`Packet::Book`](crate::Packet::Book); one whose messages have only what has changed collects them in
//! [`sparse::State`](crate::sparse::State) first.
//!
//! ```no_run
//! use adapter_sdk::{
//!     AdapterError, Credentials, Mode, Packet, Price, Refusal, Subscription, Tick, TickSink,
//!     net::{Message, Network, WebSocketRequest},
//!     plan::Change,
//!     session::{Batches, Listed, Live, NoList, Protocol, Session, Welcome},
//! };
//!
//! /// A broker that names instruments by number, and sends `number,price` in paise.
//! struct Acme {
//!     token: String,
//! }
//!
//! impl Protocol for Acme {
//!     type Key = u32;
//!     type Asked = Mode;
//!     type List = NoList;
//!
//!     fn find(&self, _: &NoList, wanted: &Subscription) -> Result<u32, Refusal> {
//!         wanted.symbol.parse().map_err(|_| Refusal::not_found(&wanted.exchange, &wanted.symbol))
//!     }
//!
//!     fn ask(&mut self, wanted: &mut Subscription, _: &u32, _: &mut TickSink) -> Mode {
//!         wanted.mode
//!     }
//!
//!     fn hello(&mut self) -> Vec<Message> {
//!         vec![format!("login {}", self.token).into()]
//!     }
//!
//!     fn welcome(&mut self, message: &Message) -> Result<Welcome, AdapterError> {
//!         match message {
//!             Message::Text(text) if text.as_str() == "ok" => Ok(Welcome::Accepted(Vec::new())),
//!             Message::Text(_) => Err(AdapterError::auth("the broker refused the token")),
//!             Message::Binary(_) => Ok(Welcome::Continue(Vec::new())),
//!         }
//!     }
//!
//!     fn requests(&mut self, changes: &[Change<u32>]) -> Vec<Message> {
//!         changes.iter().map(|change| format!("{} {}", change.now.is_some(), change.key).into()).collect()
//!     }
//!
//!     fn receive(&mut self, message: Message, live: &mut Live<Self>, sink: &mut TickSink) -> Result<(), AdapterError> {
//!         let Message::Text(text) = message else { return Ok(()) };
//!         let read = |(key, paise): (&str, &str)| Some((key.parse().ok()?, Price::from_scaled(paise.parse().ok()?, 2)?));
//!         let Some((key, price)) = text.split_once(',').and_then(read) else {
//!             live.undecodable("packet", &"no number and price", text.len(), sink);
//!             return Ok(());
//!         };
//!         let Some(heard) = live.heard(&key) else { return Ok(()) };
//!         for (instrument, mode) in heard.instruments() {
//!             sink.publish(*mode, &Packet::Ltp(Tick::new(*instrument).ltp(price).image()));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! async fn connect(network: &Network, credentials: &Credentials) -> Result<Session<Acme>, AdapterError> {
//!     let acme = Acme { token: credentials.require("access_token")?.to_owned() };
//!     let socket = network.websocket(WebSocketRequest::new("wss://acme.example/feed")).await?;
//!     Session::open(acme, socket, Listed::none(), Batches::of(100)).await
//! }
//! ```

mod awaited;
mod listed;
mod live;
mod orders;
mod places;
mod promised;
mod questions;
mod recent;
mod run;

use std::{fmt::Debug, hash::Hash, time::Duration};

use tokio::time::Instant;

pub use self::{
    awaited::Awaited,
    listed::{Listed, NoList},
    live::{Heard, Live},
    orders::OrderSocket,
    places::Places,
    promised::Promised,
    questions::Questions,
    recent::Recent,
    run::Session,
};
use crate::{AdapterError, Refusal, Subscription, TickSink, instruments::List, net::Message, plan::Change};

/// What only the broker knows. [`Session`] does the rest; the [module](self) says what that is.
///
/// Four methods have to be written: [`find`](Self::find), [`ask`](Self::ask), [`requests`](Self::requests)
/// and [`receive`](Self::receive). All run on the adapter's one thread, and none may block it.
#[expect(async_fn_in_trait, reason = "everything runs on one thread, so nobody needs a Send bound")]
pub trait Protocol: Sized + 'static {
    /// What the broker's packets call an instrument: a number, or a text such as `Arc<str>`. Two names of one
    /// instrument have the same key.
    type Key: Clone + Eq + Hash + Debug;

    /// What the broker is asked for of a key: a [`Mode`](crate::Mode) at most brokers, or a mode and a number
    /// of levels. The highest that anybody wants is asked for.
    type Asked: Copy + Ord + Debug;

    /// The broker's list of instruments, [`NoList`] if it has none.
    type List: List;

    /// The key of an instrument in the list that is in force. Called when an instrument is subscribed, and
    /// for everything that is wanted when another list is in force.
    /// [`Table::find`](crate::instruments::Table::find) does it for a table of OpenAlgo's names.
    ///
    /// # Errors
    /// When it cannot be subscribed: the client is told, and it is wanted no more.
    fn find(&self, list: &Self::List, wanted: &Subscription) -> Result<Self::Key, Refusal>;

    /// Whether the broker has to be asked before [`Self::find`] knows the key, by a request beside the socket
    /// or on it. The instrument then waits without a key. Ask for what is [`Live::waiting`] in
    /// [`Self::advance`], and say [`Live::answered`] when the answer is there, or will not come. Without that
    /// the wait ends after [`Batches::answer_within`]. In each case [`Self::find`] is next, which decides by
    /// what is known then. [`Questions`] does the asking where many go in one request. Called as often as
    /// `find`, and before it.
    fn must_ask(&mut self, _list: &Self::List, _wanted: &Subscription) -> bool {
        false
    }

    /// What the broker is to be asked for of an instrument, which need not be what is wanted: an index
    /// without a book is asked for as a quote at many brokers. Called whenever an instrument is planned, also
    /// when it is planned already. Where fewer levels come than are wanted, lower `depth`, which stays so,
    /// and say it with [`TickSink::outcome`].
    fn ask(&mut self, wanted: &mut Subscription, key: &Self::Key, sink: &mut TickSink) -> Self::Asked;

    /// The messages that make the broker follow these changes, in the order in which they must go. There are
    /// at most [`Batches::of`] changes, one for each key. Changes whose two modes are equal ask for the
    /// broker's state once more.
    fn requests(&mut self, changes: &[Change<Self::Key, Self::Asked>]) -> Vec<Message>;

    /// Whether one more batch may go. False while the broker has as many requests without an answer as are to
    /// be out at once; its answer, or [`Self::wake_at`], makes the session ask again.
    fn has_room(&self) -> bool {
        true
    }

    /// Takes a message of the broker.
    ///
    /// # Errors
    /// When the connection is of no use any more. A message that makes no sense is no error, see
    /// [`Live::undecodable`].
    fn receive(
        &mut self,
        message: Message,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError>;

    /// What is said first, such as a log-in. None: the handshake was all, and [`Self::welcome`] is not asked.
    /// A first message that the broker does not answer is not for here, since an answer is waited for:
    /// [queue](crate::net::WebSocket::queue) it before [`Session::open`].
    fn hello(&mut self) -> Vec<Message> {
        Vec::new()
    }

    /// Takes the broker's messages from [`Self::hello`] until it accepts; nothing is subscribed before. It
    /// has the time of [`Batches::welcome_within`].
    ///
    /// # Errors
    /// [`AdapterError::auth`] when it refuses the account. The broker's own words may repeat a token: leave
    /// them out.
    fn welcome(&mut self, _message: &Message) -> Result<Welcome, AdapterError> {
        Ok(Welcome::Accepted(Vec::new()))
    }

    /// An instrument is not wanted any more, or is about to have another key. If nobody else wants the key
    /// that it had, that is `last_of`: what is kept of it can go.
    fn release(&mut self, _instrument: u32, _last_of: Option<&Self::Key>) {}

    /// Another list is in force, and everything that is wanted is planned by it after this. `is_repair` says
    /// that it took the place of one of the same day, whose keys were right but not complete.
    fn list_changed(&mut self, _list: &Self::List, _is_repair: bool) -> Replan {
        Replan::Moved
    }

    /// Waits for what comes beside the socket, such as a second socket or an answer to a request. Keep it in
    /// `self`; [`Self::advance`] is called next. By default there is nothing.
    ///
    /// # Cancel Safety
    /// Must be cancel safe: the future is dropped whenever something else comes first.
    async fn wait(&mut self) {
        std::future::pending::<()>().await;
    }

    /// When [`Self::advance`] is to be called although nothing has come.
    fn wake_at(&self) -> Option<Instant> {
        None
    }

    /// Does what is due, by time or since [`Self::wait`] has ended. Called before each wait, so it must be
    /// cheap when nothing is.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    fn advance(
        &mut self,
        _now: Instant,
        _live: &mut Live<Self>,
        _sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        Ok(())
    }

    /// The socket was lost, or nothing has answered [`Self::hello`] in time. What the broker means by that
    /// can be said here.
    fn lost(&mut self, error: AdapterError) -> AdapterError {
        error
    }

    /// What is said last, when this side ends the connection. It is sent if the socket takes it at once.
    fn goodbye(&mut self) -> Vec<Message> {
        Vec::new()
    }

    /// Closes what was open beside the socket. Time is short.
    async fn close(self) {}
}

/// What a message before the connection was up came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Welcome {
    /// Not decided yet; these messages are the answer.
    Continue(Vec<Message>),
    /// The broker has let this side in; these messages go before everything else.
    Accepted(Vec<Message>),
}

/// What another list of instruments means for those that are subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replan {
    /// What has the same key goes on; what has another one moves.
    Moved,
    /// Everything ends and is subscribed again: the broker says something only then, such as the close of the
    /// day before.
    Everything,
}

/// How the broker wants to be asked: how much at once, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Batches {
    most: usize,
    interval: Duration,
    welcome_within: Duration,
    /// What it means that nothing has answered the hello in that time.
    unanswered: Option<&'static str>,
    answer_within: Duration,
    /// What it means that the broker closes a connection which is not older than that.
    replaced: Option<(Duration, &'static str)>,
}

impl Batches {
    /// Longest wait for the broker's welcome, if nothing else is said.
    const WELCOME: Duration = Duration::from_secs(10);

    /// Longest wait for the broker's word on a key, if nothing else is said.
    const ANSWER: Duration = Duration::from_secs(30);

    /// At most so many changes in a batch, at least one.
    pub const fn of(most: usize) -> Self {
        Self {
            most: if most == 0 { 1 } else { most },
            interval: Duration::ZERO,
            welcome_within: Self::WELCOME,
            unanswered: None,
            replaced: None,
            answer_within: Self::ANSWER,
        }
    }

    /// Shortest time between two batches; none if not set.
    #[must_use]
    pub const fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Longest wait for the broker's welcome; ten seconds if not set.
    #[must_use]
    pub const fn welcome_within(mut self, limit: Duration) -> Self {
        self.welcome_within = limit;
        self
    }

    /// What it means that the broker says nothing at all to [`Protocol::hello`]: some do that with a token
    /// that has ended. Then it is an authentication error with these words instead of trouble of the network,
    /// since who insists may be locked out.
    #[must_use]
    pub const fn unanswered_means(mut self, message: &'static str) -> Self {
        self.unanswered = Some(message);
        self
    }

    /// What it means that the broker closes a connection so soon after it was opened: at a broker of one
    /// session, that another program has connected with the account. It is tried again after the longest
    /// pause, with these words, instead of at once, which would throw the other out.
    #[must_use]
    pub const fn closed_within_means(mut self, age: Duration, message: &'static str) -> Self {
        self.replaced = Some((age, message));
        self
    }

    /// Longest time that an instrument waits for what the broker says of its key ([`Protocol::must_ask`]);
    /// thirty seconds if not set.
    #[must_use]
    pub const fn answer_within(mut self, limit: Duration) -> Self {
        self.answer_within = limit;
        self
    }
}
