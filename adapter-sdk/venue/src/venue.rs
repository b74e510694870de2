//! A whole fake venue around what only the broker knows.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
    sync::Arc,
    time::Duration,
};

use adapter_conformance::{Answer, Command, Control, Hello, Packet, VenueReport, serve};
use parking_lot::{Mutex, MutexGuard};
use serde_json::Value as Json;
use tokio::runtime::Runtime;

use crate::{
    Admission, Desk, Faults, Garbage, Handshake, Line, Message, Next, Pulse, Reply, Request, Server, Service,
    http::reply,
};

/// Who is let in by a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Guest {
    /// Somebody who is logged in by the handshake, by what the account is called.
    Known(String),
    /// Somebody who logs in by what is said on the socket; see [`Desk::logged_in_on`].
    Stranger,
    /// Nobody logs in at this broker.
    Anybody,
}

/// A broker's protocol. What is the same at every broker is in the [`Desk`].
pub trait Broker: Send + 'static {
    /// Names under which accounts have what ends with the day, such as `access_token`.
    const TOKENS: &'static [&'static str] = &[];

    /// Names of the values that its quotes carry, as `adapter_sdk::Tick` calls them.
    fn values(&self) -> Vec<&'static str>;

    /// What is particular about the broker: a fixed layout, images, order updates. A command that it has no
    /// way to do is taken out of [`Hello::commands`]: cases that need it are skipped.
    fn hello(&self, hello: Hello) -> Hello {
        hello
    }

    /// Answers a request over HTTP: log-in, lists of instruments.
    fn answer(&mut self, _desk: &mut Desk, _request: &Request) -> Reply {
        reply(404, "text/plain", "Not Found")
    }

    /// Judges a handshake.
    ///
    /// # Errors
    /// The answer that refuses. One of 401 or 403 is a log-in that was refused.
    #[expect(clippy::result_large_err, reason = "a server of tests; the answer is sent at once")]
    fn admit(&mut self, desk: &mut Desk, handshake: &Handshake) -> Result<Guest, Reply>;

    /// What a connection is told first.
    fn greet(&mut self, _desk: &mut Desk, _connection: u64) {}

    /// A message of a client, but for pings and pongs.
    fn hear(&mut self, desk: &mut Desk, connection: u64, message: &Message) -> Next;

    /// Writes packets for a connection, in one message if there are several and the broker can: those of the
    /// instruments that it ever subscribed ([`Desk::mode_on`]). `is_partial` says that what a packet does not
    /// have is as before.
    ///
    /// # Errors
    /// When one of them cannot be written: the case fails with the sentence. What the broker never sends,
    /// such as packets with nothing but what changed, is a command to leave out of [`Self::hello`].
    fn write(
        &mut self,
        desk: &Desk,
        connection: u64,
        packets: &[Packet],
        is_partial: bool,
    ) -> Result<Vec<Message>, String>;

    /// Writes an order update with these members, by the names that [`Self::hello`] gives: each is to be
    /// written as it is.
    fn write_order(&mut self, _order: &BTreeMap<String, Json>) -> Option<Message> {
        None
    }

    /// What a person would answer to a question of a log-in, with the page that they are shown.
    fn person(&mut self, _desk: &mut Desk, _field: &str, _page: Option<&str>) -> Option<String> {
        None
    }

    /// What a connection is told last when the account has logged in elsewhere; none where the broker only
    /// hangs up.
    fn replaced(&mut self) -> Option<Message> {
        None
    }

    /// Samples of its messages, for frames that make no sense.
    fn samples(&self) -> Vec<Message> {
        Vec::new()
    }

    /// Whether a connection gets heartbeats at the moment: some brokers send them only when they are asked
    /// for.
    fn beats(&self, _connection: u64) -> bool {
        true
    }

    /// How connections are kept.
    fn pulse(&self) -> Pulse {
        Pulse { heartbeat: None, patience: Some(Duration::from_mins(1)) }
    }
}

/// A venue that runs on 127.0.0.1, in a thread of its own. It ends when it is dropped.
#[derive(Debug)]
pub struct Venue<B> {
    server: Server,
    shared: Arc<Shared<B>>,
    faults: Faults,
    // Dropped last: it ends all connections.
    _runtime: Runtime,
}

#[derive(Debug)]
struct Shared<B>(Mutex<State<B>>);

/// The broker with its desk, for a test to look at and to change.
#[derive(Debug)]
pub struct State<B> {
    /// What every venue keeps.
    pub desk: Desk,
    /// The broker.
    pub broker: B,
}

impl<B: Broker> Service for Shared<B> {
    fn answer(&self, request: &Request) -> Reply {
        let State { desk, broker } = &mut *self.0.lock();
        broker.answer(desk, request)
    }

    fn admit(&self, handshake: &Handshake, line: Line) -> Admission {
        let State { desk, broker } = &mut *self.0.lock();
        let owner = match broker.admit(desk, handshake) {
            Ok(Guest::Known(owner)) => Some(owner),
            Ok(Guest::Stranger) => None,
            Ok(Guest::Anybody) => {
                let connection = desk.enter(line, None);
                desk.let_in(connection, "");
                broker.greet(desk, connection);
                return Admission::Taken(connection);
            }
            Err(refusal) => {
                if matches!(refusal.status().as_u16(), 401 | 403) {
                    desk.logged_in(false);
                }
                return Admission::Refused(refusal);
            }
        };
        let connection = desk.enter(line, owner);
        broker.greet(desk, connection);
        Admission::Taken(connection)
    }

    fn hear(&self, connection: u64, message: &Message) -> Next {
        if matches!(message, Message::Ping(_) | Message::Pong(_)) {
            return Next::Go;
        }
        let State { desk, broker } = &mut *self.0.lock();
        let next = broker.hear(desk, connection, message);
        if let Next::HangUpOver(reason) = next {
            desk.complain(reason);
        }
        next
    }

    fn left(&self, connection: u64) {
        self.0.lock().desk.leave(connection);
    }

    fn pulse(&self, _connection: u64) -> Pulse {
        self.0.lock().broker.pulse()
    }

    fn beats(&self, connection: u64) -> bool {
        self.0.lock().broker.beats(connection)
    }

    fn lost_patience(&self, _connection: u64, silence: Duration) {
        self.0.lock().desk.complain(format!("the client said nothing for {silence:?}"));
    }
}

impl<B: Broker> Venue<B> {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When it cannot listen, or start a thread.
    pub fn start(broker: B) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let faults = Faults::default();
        let state = State { desk: Desk::new(B::TOKENS), broker };
        let shared = Arc::new(Shared(Mutex::new(state)));
        let server = runtime.block_on(Server::start(0, Arc::clone(&shared), faults.clone()))?;
        Ok(Self { server, shared, faults, _runtime: runtime })
    }

    /// Where everything is to be found, as `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.server.address().to_string()
    }

    /// The broker and what it keeps. Connections wait meanwhile.
    pub fn state(&self) -> MutexGuard<'_, State<B>> {
        self.shared.0.lock()
    }

    /// What goes wrong on purpose.
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What was seen so far.
    pub fn report(&self) -> VenueReport {
        self.state().desk.report()
    }

    /// Sends packets on each connection that knows their instruments.
    ///
    /// # Errors
    /// When the broker has no way to write one of them.
    pub fn send(&self, packets: &[Packet], is_partial: bool) -> Result<(), String> {
        let State { desk, broker } = &mut *self.state();
        for connection in desk.connections() {
            for message in broker.write(desk, connection, packets, is_partial)? {
                desk.say(connection, message);
            }
        }
        Ok(())
    }

    fn garbage(&self, seed: u64, frames: u32) {
        let State { desk, broker } = &mut *self.state();
        let (samples, mut garbage) = (broker.samples(), Garbage::new(seed));
        (0..frames).for_each(|_| desk.broadcast(garbage.frame(&samples)));
    }
}

impl<B: Broker> Control for Venue<B> {
    fn hello(&self) -> Hello {
        let commands = [
            "accept",
            "tick",
            "partial",
            "frame",
            "disconnect",
            "mute",
            "garbage",
            "order",
            "list",
            "answer",
            "replace",
            "report",
        ];
        let broker = &self.state().broker;
        let mut hello = broker.hello(Hello::new(self.address(), &commands, &broker.values()));
        let has_none = hello.order.is_empty();
        hello.commands.retain(|name| !has_none || name != "order");
        hello
    }

    fn execute(&mut self, command: Command) -> Answer {
        let sent = |sent: Result<(), String>| sent.map_or_else(Answer::Error, |()| Answer::Done);
        match command {
            Command::Accept { sets } => self.state().desk.accounts.accept(sets),
            Command::Tick { packet } => return sent(self.send(&[packet], false)),
            Command::Partial { packet } => return sent(self.send(&[packet], true)),
            Command::Frame { packets } => return sent(self.send(&packets, false)),
            Command::Disconnect => self.state().desk.disconnect(),
            Command::Mute => self.state().desk.mute(),
            Command::Garbage { seed, frames } => self.garbage(seed, frames),
            Command::Order { order } => {
                let State { desk, broker } = &mut *self.state();
                let Some(message) = broker.write_order(&order) else {
                    return Answer::Unsupported("the broker has no order updates".to_owned());
                };
                desk.broadcast(message);
            }
            Command::List(edition) => self.state().desk.listing.change(edition),
            Command::Answer { field, url } => {
                let State { desk, broker } = &mut *self.state();
                return match broker.person(desk, &field, url.as_deref()) {
                    Some(text) => Answer::Said(text),
                    None => Answer::Unsupported(format!("nobody can answer what `{field}` asks for")),
                };
            }
            Command::Replace => {
                let State { desk, broker } = &mut *self.state();
                let Some(message) = broker.replaced() else {
                    return Answer::Unsupported("the broker only hangs up".to_owned());
                };
                for connection in desk.connections() {
                    desk.expel(connection, message.clone());
                }
            }
            Command::Report => return Answer::Report(self.report()),
            other => return Answer::Unsupported(format!("the venue has no `{}`", other.name())),
        }
        Answer::Done
    }
}

impl<B> Drop for Venue<B> {
    fn drop(&mut self) {
        self.shared.0.lock().desk.disconnect();
    }
}

/// The program of a venue: obeys the conformance suite on standard input, and ends with it.
///
/// # Errors
/// When it cannot listen, the input cannot be read, or the output not be written.
pub fn run<B: Broker>(broker: B, input: impl BufRead, output: impl Write) -> io::Result<()> {
    serve(&mut Venue::start(broker)?, input, output)
}
