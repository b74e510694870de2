//! Sessions, shards and a router in one thread, driven by hand: no socket, no task, and the time is that of
//! the test.

use std::{
    cell::RefCell,
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::FxHashSet;
use serde_json::Value;
use tickhost_core::{
    calendar::Calendars,
    intake::Intake,
    mailbox::Mailbox,
    metrics::ServerCounters,
    model::{InstrumentId, Key, Ltp, PRICE_SCALE, field},
    outbox::OutboxLimits,
    protocol::{codes::CloseReason, encode::EncodeOptions},
    router::{Command, Names, Router, RouterHandle},
};
use tokio_tungstenite::tungstenite::Message;

use super::{
    Beginning, Effects, Event, LosslessPolicy, Session, SessionPolicy, SessionSettings,
    ask::{Answer, Ask},
    gate::Gate,
};
use crate::{
    accounts::key_share::KeyTotal,
    base::clock::Moment,
    clients::{
        admissions::{Admissions, ConnectionLimits},
        memory::WaitingMemory,
        shard::{Shard, ShardHandle},
    },
    config::Origins,
    feeds::{
        feed::{Feed, Grant, Want, stub::FeedStub},
        hub::Login,
    },
};

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_000);

/// Settings in which nothing is in the way.
pub(super) fn settings() -> SessionSettings {
    SessionSettings {
        auth_grace: Duration::from_secs(15),
        ping_interval: Duration::from_secs(20),
        ping_timeout: Duration::from_secs(20),
        write_timeout: Duration::from_mins(1),
        nudge_after: Duration::from_millis(300),
        max_frame_bytes: 1 << 20,
        max_frame_bytes_before_auth: 1 << 14,
        messages_per_second: 100,
        message_burst: 1_000,
        entries_per_second: 1_000,
        entry_burst: 20_000,
        max_subscriptions: 5_000,
        max_subscriptions_per_key: 10_000,
        subscribe_timeout: Duration::from_secs(4),
        silent_after: Duration::from_secs(10),
        outbox: OutboxLimits::default(),
    }
}

/// The instrument of the symbol with this number, `S7` for one.
pub(super) const fn instrument(number: u32) -> InstrumentId {
    InstrumentId::new(number, 1)
}

/// A subscribe to the symbols with these numbers.
pub(super) fn subscribe(numbers: impl IntoIterator<Item = u32>) -> String {
    let symbols: Vec<String> = numbers.into_iter().map(entry).collect();
    format!(r#"{{"action":"subscribe","mode":"LTP","symbols":[{}]}}"#, symbols.join(","))
}

/// An unsubscribe of them.
pub(super) fn unsubscribe(numbers: impl IntoIterator<Item = u32>) -> String {
    let symbols: Vec<String> = numbers.into_iter().map(entry).collect();
    format!(r#"{{"action":"unsubscribe","symbols":[{}]}}"#, symbols.join(","))
}

fn entry(number: u32) -> String {
    format!(r#"{{"exchange":"NSE","symbol":"S{number}"}}"#)
}

/// A host without sockets.
pub(super) struct Rig {
    pub(super) shards: Vec<Rc<Shard>>,
    pub(super) feed: FeedStub,
    /// What all clients of the key hold.
    pub(super) total: KeyTotal,
    pub(super) counters: Arc<ServerCounters>,
    pub(super) now: Moment,
    /// Failures that the feed has told of before it grants.
    pub(super) failures: u64,
    handles: Vec<Arc<ShardHandle>>,
    router: Router,
    router_handle: RouterHandle,
    /// Instruments that the router knows.
    active: RefCell<FxHashSet<InstrumentId>>,
    intake: Arc<Intake>,
    admissions: Arc<Admissions>,
    memory: Arc<WaitingMemory>,
}

impl Rig {
    pub(super) fn new(shards: usize) -> Self {
        let counters = Arc::<ServerCounters>::default();
        let handles: Vec<Arc<ShardHandle>> = (0..shards).map(|_| ShardHandle::new()).collect();
        let mailboxes: Vec<Arc<Mailbox>> = handles.iter().map(|handle| Arc::clone(&handle.mailbox)).collect();
        let router_handle = RouterHandle::new();
        let options = EncodeOptions::default();
        let router = Router::new(&mailboxes, options, Arc::clone(&counters), Calendars::default());
        let feed = FeedStub::new(1);
        let of_feed = Arc::clone(feed.feed().counters());
        let id = feed.feed().id();
        router_handle.send(Command::OpenFeed {
            feed: id,
            interval: Duration::ZERO,
            counters: Arc::clone(&of_feed),
            repeats_modes: false,
            has_hours: false,
        });
        let shard = |(number, handle): (usize, &Arc<ShardHandle>)| {
            let (router, counters) = (router_handle.clone(), Arc::clone(&counters));
            Rc::new(Shard::new(number, Arc::clone(handle), router, counters))
        };
        let limits =
            ConnectionLimits { total: 100, per_address: 100, strangers: 100, strangers_per_address: 100 };
        Self {
            shards: handles.iter().enumerate().map(shard).collect(),
            feed,
            total: KeyTotal::default(),
            failures: 0,
            now: Moment { at: Instant::now(), unix_ns: 1_900_000_000_000_000_000 },
            router,
            intake: Intake::new(id, of_feed, Arc::clone(&router_handle.doorbell)),
            router_handle,
            active: RefCell::default(),
            handles,
            admissions: Admissions::new(limits, Arc::clone(&counters)),
            memory: WaitingMemory::new(usize::MAX, Arc::clone(&counters)),
            counters,
        }
    }

    /// A client without a key.
    pub(super) fn connect(&self, shard: usize, settings: SessionSettings) -> Client {
        let policy =
            SessionPolicy { settings, lossless: LosslessPolicy::Everybody, origins: Origins::default() };
        let beginning = Beginning {
            peer: PEER,
            since: self.now.at,
            gate: Gate::new(settings.max_frame_bytes_before_auth, 0),
            admission: self.admissions.admit(PEER.ip(), self.now.at).unwrap(),
            policy: Arc::new(policy),
            counters: Arc::clone(&self.counters),
        };
        let session = Session::begin(self.now, &self.shards[shard], &self.memory, beginning);
        Client { session, unread: VecDeque::new(), ask: None, pings: 0 }
    }

    /// A client whose key was found good. `wishes` are further members of its log-in.
    pub(super) fn log_in(&self, shard: usize, settings: SessionSettings, wishes: &str) -> Client {
        let mut client = self.connect(shard, settings);
        client.say(self.now, &format!(r#"{{"action":"authenticate","api_key":"k"{wishes}}}"#));
        assert!(matches!(client.ask, Some(Ask::Login { .. })));
        client.answer(self.now, Answer::Login(Ok(Box::new(self.login(&self.feed)))));
        client.read();
        client
    }

    fn login(&self, feed: &FeedStub) -> Login {
        Login::of_test("alice", feed.join("alice"), self.total.clone())
    }

    /// Grants all that a client has asked for, as the feed does.
    pub(super) fn grant(&self, client: &mut Client) {
        let (feed, wants) = client.asked();
        let grants = wants.iter().map(|want| {
            let number = want.symbol.strip_prefix('S').unwrap().parse().unwrap();
            let names =
                Names { exchange: "NSE".into(), symbol: Arc::clone(&want.symbol), broker: "sim".into() };
            let instrument = instrument(number);
            if self.active.borrow_mut().insert(instrument) {
                self.router_handle.send(Command::Activate { feed: feed.id(), instrument, names });
            }
            Ok(Grant { instrument, levels: None, is_pending: false, failures: self.failures })
        });
        let answer = Answer::Granted(grants.collect());
        client.answer(self.now, answer);
    }

    /// Subscribes a client to symbols, and lets it take all of its turns.
    pub(super) fn subscribe(&self, client: &mut Client, numbers: impl IntoIterator<Item = u32>) {
        client.say(self.now, &subscribe(numbers));
        self.grant(client);
        client.take_turns(self.now);
    }

    /// A tick comes from the broker.
    pub(super) fn publish(&self, number: u32, price: i64) {
        let tick = Ltp {
            instrument: instrument(number).0,
            fields: field::LTP,
            ltp: price * PRICE_SCALE,
            ..Ltp::default()
        };
        self.intake.offer_ltp(&[tick]);
    }

    /// Router and shards do what there is to do.
    pub(super) fn turn(&mut self) {
        self.router.set_time_of_day(self.now.unix_ns);
        self.router.turn(&self.router_handle, 0);
        for (shard, handle) in self.shards.iter().zip(&self.handles) {
            let mut updates = Vec::new();
            handle.mailbox.take(&mut updates);
            let mut updates = updates.into_iter();
            while shard.deliver(0, &mut updates) {}
            shard.advance(0, 0);
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.unix_ns += u64::try_from(time.as_nanos()).unwrap();
    }

    /// Numbers of the symbols that were given back to the feed since the last call, in order.
    pub(super) fn released(&self) -> Vec<u32> {
        let mut released: Vec<u32> = self.feed.released().into_iter().map(number_of).collect();
        released.sort_unstable();
        released
    }
}

fn number_of(key: Key) -> u32 {
    key.instrument.0 & ((1 << 20) - 1)
}

/// A client, and what its task would hold.
pub(super) struct Client {
    pub(super) session: Session,
    /// Messages in the socket that the session has not read yet.
    unread: VecDeque<Message>,
    /// What it has asked for.
    pub(super) ask: Option<Ask>,
    pub(super) pings: usize,
}

impl Client {
    /// Sends a message, which is read when the session reads.
    pub(super) fn say(&mut self, now: Moment, text: &str) {
        self.unread.push_back(Message::text(text));
        self.read_on(now);
    }

    fn read_on(&mut self, now: Moment) {
        while self.session.may_read()
            && let Some(message) = self.unread.pop_front()
        {
            self.step(now, Event::Message(message)).unwrap();
        }
    }

    pub(super) fn step(&mut self, now: Moment, event: Event) -> Result<(), CloseReason> {
        let Effects { ask, ping } = self.session.step(now, event, false)?;
        if ask.is_some() {
            assert!(self.ask.is_none(), "one question at a time");
            self.ask = ask;
        }
        self.pings += usize::from(ping);
        Ok(())
    }

    pub(super) fn answer(&mut self, now: Moment, answer: Answer) {
        self.ask = None;
        self.step(now, Event::Answered(answer)).unwrap();
        self.read_on(now);
    }

    /// Which feed was asked for what.
    pub(super) fn asked(&self) -> (Feed, Vec<Want>) {
        match &self.ask {
            Some(Ask::Subscribe { feed, wants, .. } | Ask::Move { feed, wants }) => {
                (feed.clone(), wants.clone())
            }
            other => panic!("it asks for {other:?}"),
        }
    }

    /// Takes all turns that a large request still needs.
    pub(super) fn take_turns(&mut self, now: Moment) {
        while matches!(self.ask, Some(Ask::Turn)) {
            self.answer(now, Answer::Turn);
        }
    }

    /// Does what the notices in its seat call for.
    pub(super) fn notice(&mut self, now: Moment) -> Result<(), CloseReason> {
        if self.session.seat.has_notice() { self.step(now, Event::Noticed) } else { Ok(()) }
    }

    /// The frames that wait for the client, in the order in which they are written.
    pub(super) fn read(&self) -> Vec<Value> {
        let frames = std::iter::from_fn(|| self.session.seat.next_frame());
        frames.map(|frame| serde_json::from_str(&frame).unwrap()).collect()
    }

    /// Prices among [`Self::read`].
    pub(super) fn prices(&self) -> Vec<f64> {
        self.read().iter().filter_map(|frame| frame["data"]["ltp"].as_f64()).collect()
    }

    /// Ends as the task of a session does.
    pub(super) fn leave(mut self, now: Moment) {
        drop(self.ask.take());
        self.session.leave();
        while self.session.take_turn(now) {}
        self.session.shard.leave(&self.session.seat);
    }
}
