//! What an author implements.

use crate::{AdapterError, Context, Credentials, DeepBooks, Login, Manifest, Mode, Subscription, TickSink};

/// A broker, or rather one account's way to it. One value serves one connection of one account.
///
/// All methods run on the adapter's own thread, in a current-thread tokio runtime. Futures need not be
/// `Send`, a slow method delays nobody else's feed, and a panic costs this instance and nothing more.
#[expect(async_fn_in_trait, reason = "everything runs on one thread, so nobody needs a Send bound")]
pub trait Adapter: Sized + 'static {
    /// Settings: the adapter's table in `plugins.toml`. Use `#[serde(deny_unknown_fields)]`, so that a
    /// misspelt setting is a mistake and not a surprise.
    type Config: serde::de::DeserializeOwned;

    /// A connection that is up.
    type Connection: Connection;

    /// What the adapter is, and which brokers it serves if these are several. Pure; asked before anything is
    /// created.
    fn manifest() -> Manifest;

    /// Checks the settings and makes an instance for the broker of the context. No I/O: the host calls this
    /// to validate `plugins.toml` too, once for each broker.
    ///
    /// # Errors
    /// [`AdapterError::config`], with a sentence that names the setting and what is allowed.
    fn try_new(config: Self::Config, context: Context) -> Result<Self, AdapterError>;

    /// How many deep books one connection carries with these settings, where the broker counts them apart
    /// from its instruments. The host opens the next connection for what finds no place, and when there is
    /// none left asks for no more levels than any book has. Pure; asked of an instance that is made for
    /// nothing else.
    fn deep_books(&self) -> Option<DeepBooks> {
        None
    }

    /// Whether the instrument exists, and with how many depth levels it will come. Asked without a
    /// connection, so that a client learns at once that a symbol is misspelt; called often, so look it up in
    /// a table.
    ///
    /// # Errors
    /// [`Refusal`], whose message the client sees.
    fn resolve(&self, subscription: &Subscription) -> Result<Grant, Refusal> {
        Ok(Grant::as_asked(subscription))
    }

    /// Gets what [`Self::resolve`] needs, such as the list of instruments. Called before each
    /// [`Self::connect`]; subscriptions that come before the first one has worked wait for it.
    ///
    /// Keep what is there already, even if it is of yesterday, rather than spend a request with credentials
    /// that are not proven yet: the connection proves them, and after it the list can be renewed.
    ///
    /// # Errors
    /// As [`Self::connect`], which is then not called.
    async fn prepare(&self, _credentials: &Credentials) -> Result<(), AdapterError> {
        Ok(())
    }

    /// Connects and logs in. The SDK calls it again, after a pause, whenever the connection was lost.
    ///
    /// # Errors
    /// [`AdapterError::auth`] when the broker refuses the credentials: it is tried once more, and then only
    /// with new ones. Anything else is tried again for ever, with growing pauses.
    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError>;

    /// Takes one step of logging in at the broker: looks at what is stored with the account and at what was
    /// answered so far, and asks for one more thing, or logs in and gives the fields that are to be stored,
    /// such as the day's token.
    ///
    /// It has no memory: everything that it needs is in `fields`. When all of it is stored, it must come to
    /// [`Login::Done`] without asking, since the host then does it by itself after the broker has refused a
    /// token. Declare it with [`Capability::Login`](crate::Capability::Login).
    ///
    /// # Errors
    /// [`AdapterError::auth`] when the broker refuses what was given, in words that say what to do about it.
    async fn login(&self, _fields: &Credentials) -> Result<Login, AdapterError> {
        Err(AdapterError::config("this adapter does not log in: store a token with `tickhost account set`"))
    }
}

/// A connection that is up. An error from any method ends it; the SDK connects again and subscribes to
/// everything.
#[expect(async_fn_in_trait, reason = "everything runs on one thread, so nobody needs a Send bound")]
pub trait Connection {
    /// Subscribes, in as few messages as the broker allows. Also called for a new mode or depth of an
    /// instrument that is subscribed already, and after a reconnect with everything that is wanted. A broker
    /// that refuses a single instrument later is reported with [`TickSink::outcome`].
    ///
    /// # Errors
    /// When the connection is of no use any more.
    async fn subscribe(
        &mut self,
        subscriptions: &[Subscription],
        sink: &mut TickSink,
    ) -> Result<(), AdapterError>;

    /// Unsubscribes.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError>;

    /// Waits for the next packet and publishes what it holds. What cannot be decoded is counted with
    /// [`TickSink::undecodable`] and skipped.
    ///
    /// # Errors
    /// When the connection is lost.
    ///
    /// # Cancel Safety
    /// Must be cancel safe: the future is dropped whenever the host has something to say. Reading from a
    /// tokio channel or a WebSocket stream is.
    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError>;

    /// Says goodbye to the broker. Time is short.
    async fn close(self)
    where
        Self: Sized,
    {
    }
}

/// An instrument that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// Depth levels on each side that will really come; 0 below mode DEPTH.
    pub depth: u16,
}

impl Grant {
    /// With so many levels of depth on each side; 0 below mode DEPTH, and of an instrument without a book.
    pub const fn of_levels(depth: u16) -> Self {
        Self { depth }
    }

    /// Everything that was asked for.
    pub const fn as_asked(subscription: &Subscription) -> Self {
        Self { depth: subscription.depth }
    }

    /// What was asked for, but no more levels than the broker has: none of an instrument without a book.
    pub fn with_depth_up_to(subscription: &Subscription, levels: u16) -> Self {
        let levels = if subscription.mode == Mode::Depth { levels } else { 0 };
        Self { depth: subscription.depth.min(levels) }
    }
}

/// Why an instrument is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such instrument.
    UnknownInstrument(String),
    /// The broker does not give it to this account, or not in this mode.
    Refused(String),
    /// The connection has no room left.
    Capacity(String),
}

impl Refusal {
    /// There is no such instrument, in the words of every adapter.
    pub fn not_found(exchange: &str, symbol: &str) -> Self {
        Self::UnknownInstrument(format!("Symbol {symbol} not found on {exchange}"))
    }

    /// There is no such instrument any more.
    pub fn expired(exchange: &str, symbol: &str) -> Self {
        Self::UnknownInstrument(format!("{symbol} on {exchange} has expired"))
    }
}
