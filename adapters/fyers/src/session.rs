//! A connection that is up: the data socket's frames, the symbols that the broker is asked for, and a second
//! socket beside it.

mod demand;
mod publish;

use std::{sync::Arc, time::Duration};

use adapter_sdk::{
    AdapterError, Mode, Refusal, Subscription, TickSink,
    net::Message,
    plan::Change,
    session::{Live, Protocol, Replan, Welcome},
    tracing::{debug, warn},
};
use tokio::time::Instant;

use self::publish::Publisher;
use crate::{
    auth::{self, Keys},
    config::Settings,
    description::Layout,
    directory::Directory,
    hsm,
    instruments::Instruments,
    request::{self, Channel},
    requests::Requests,
    tbt::socket::Fifty,
    topic::Topic,
    wire::{Data, Frame, LITE_VALUES, Request},
};

/// How long refusals are put down to the plan's limit after the broker has spoken of it.
const FULL_FOR: Duration = Duration::from_mins(1);

/// The broker's code for that.
const SYMBOL_LIMIT: i32 = 51_001;

/// Heartbeats between two pings of the broker's own protocol, which it does not answer, as it does those of
/// WebSocket. With the usual heartbeat they have the pause of its own package, ten seconds.
const PING_EVERY: f64 = 2.5;

/// Fyers' side of a connection.
#[derive(Debug)]
pub struct FyersFeed {
    settings: Arc<Settings>,
    keys: Keys,
    directory: Directory,
    requests: Requests,
    publisher: Publisher,
    /// Topics of which what is known is to be published once more, to whom a second name has brought there:
    /// the broker says nothing before it changes.
    repeated: Vec<Topic>,
    /// What the broker said when it let this side in: every so many frames of data one is to be acknowledged,
    /// 0 for never; and how records are to be read.
    welcome: Option<(u32, Layout)>,
    /// Frames of data since the last one that was acknowledged.
    unacknowledged: u32,
    ping_at: Instant,
    /// When a part of a request that was refused may be sent again.
    again_at: Instant,
    /// When the token of the day ends. Nobody knows what the broker sends after that.
    ends_at: Option<Instant>,
    full_until: Option<Instant>,
}

impl FyersFeed {
    pub(crate) fn new(
        settings: Arc<Settings>,
        keys: Keys,
        directory: Directory,
        fifty: Option<Fifty>,
    ) -> Self {
        let now = Instant::now();
        Self {
            directory,
            requests: Requests::new(settings.snapshot_limit),
            publisher: Publisher::new(fifty),
            repeated: Vec::new(),
            welcome: None,
            unacknowledged: 0,
            ping_at: now,
            again_at: now,
            ends_at: keys.lasts().map(|lasts| now + lasts),
            full_until: None,
            settings,
            keys,
        }
    }

    fn take_frame(
        &mut self,
        message: &[u8],
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let lite_values = self.welcome.map_or(LITE_VALUES, |(_, layout)| layout.lite_values);
        match Frame::parse(message, lite_values) {
            Ok(Frame::Data(data)) => self.take_data(data, message.len(), live, sink),
            Ok(Frame::Answer { request, is_accepted }) => {
                if !is_accepted {
                    warn!(?request, "The broker refused a request");
                }
                if request == Request::Subscribe {
                    let refused = self.requests.answered(is_accepted, self.is_full(), Instant::now());
                    refused.into_iter().for_each(|pair| self.check_silent(pair, live, sink));
                }
            }
            Ok(Frame::Custom { code, request, .. }) => {
                // The words are left out: nobody knows whether they repeat a key.
                warn!(code, ?request, "The broker finds fault");
                if request == Some(Request::Authenticate) {
                    return Err(hsm::faulted(code));
                }
                if code == SYMBOL_LIMIT {
                    self.full_until = Some(Instant::now() + FULL_FOR);
                }
                if request == Some(Request::Subscribe) {
                    self.requests.complained(Instant::now());
                }
            }
            Ok(Frame::Verdict(verdict)) if !verdict.is_accepted => {
                return Err(AdapterError::auth("the broker took the log-in back"));
            }
            Ok(Frame::Verdict(_) | Frame::Other) => debug!("A frame that nobody needs"),
            Err(error) => live.undecodable("frame", &error, message.len(), sink),
        }
        Ok(())
    }

    fn take_data(&mut self, data: Data<'_>, bytes: usize, live: &mut Live<Self>, sink: &mut TickSink) {
        self.unacknowledged += 1;
        let every = self.welcome.map_or(0, |(every, _)| every);
        if every > 0 && self.unacknowledged >= every {
            self.unacknowledged = 0;
            live.send(request::acknowledge(data.number));
        }
        for record in data.records {
            match record {
                Ok(record) => self.publisher.take(&record, live, sink),
                Err(error) => live.undecodable("record", &error, bytes, sink),
            }
        }
        self.publisher.flush(live, sink);
    }

    fn is_full(&self) -> bool {
        self.full_until.is_some_and(|until| Instant::now() < until)
    }
}

impl Protocol for FyersFeed {
    type Key = Topic;
    type Asked = Mode;
    type List = Instruments;

    fn find(&self, list: &Instruments, wanted: &Subscription) -> Result<Topic, Refusal> {
        self.directory.find(list, wanted)
    }

    fn must_ask(&mut self, list: &Instruments, wanted: &Subscription) -> bool {
        self.directory.must_ask(list, wanted)
    }

    fn ask(&mut self, wanted: &mut Subscription, topic: &Topic, sink: &mut TickSink) -> Mode {
        let ticker = self.directory.placed(wanted.instrument, *topic);
        self.publisher.settle(wanted, *topic, ticker, sink);
        wanted.mode
    }

    fn requests(&mut self, changes: &[Change<Topic>]) -> Vec<Message> {
        self.follow(changes, Instant::now())
    }

    fn has_room(&self) -> bool {
        self.requests.has_room() && !self.requests.has_more()
    }

    fn hello(&mut self) -> Vec<Message> {
        vec![request::authenticate(self.keys.hsm_key(), hsm::CLIENT).into()]
    }

    fn welcome(&mut self, message: &Message) -> Result<Welcome, AdapterError> {
        self.welcome = hsm::verdict(message)?;
        // Each channel has its mode before there is anything on it.
        let modes = [Channel::Full, Channel::Lite].map(|channel| request::mode(channel).into()).into();
        Ok(if self.welcome.is_some() { Welcome::Accepted(modes) } else { Welcome::Continue(Vec::new()) })
    }

    fn receive(
        &mut self,
        message: Message,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let Message::Binary(bytes) = message else {
            debug!("A text where the broker sends none");
            return Ok(());
        };
        self.take_frame(&bytes, live, sink)
    }

    fn release(&mut self, instrument: u32, _last_of: Option<&Topic>) {
        self.directory.release(instrument);
        self.publisher.release(instrument);
    }

    fn list_changed(&mut self, list: &Instruments, _is_repair: bool) -> Replan {
        let moved = self.directory.begin_list(list);
        if moved.is_empty() {
            return Replan::Moved;
        }
        // What is known of a topic must not be shown as that of another instrument.
        moved.into_iter().for_each(|instrument| self.release(instrument, None));
        Replan::Everything
    }

    async fn wait(&mut self) {
        let Self { directory, publisher, .. } = self;
        let fifty = async {
            match &mut publisher.fifty {
                Some(fifty) => fifty.wait().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = directory.wait() => {}
            () = fifty => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let again_at = self.requests.has_more().then_some(self.again_at);
        let fifty_at = self.publisher.fifty.as_ref().and_then(Fifty::wake_at);
        let at_once = (!self.repeated.is_empty()).then(Instant::now);
        let others = [again_at, self.requests.wake_at(), fifty_at, self.ends_at, at_once];
        Some(others.into_iter().flatten().fold(self.ping_at, Instant::min))
    }

    fn advance(
        &mut self,
        now: Instant,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        if self.ends_at.is_some_and(|at| at <= now) {
            return Err(auth::ended());
        }
        if self.ping_at <= now {
            live.send(request::PING.to_vec());
            self.ping_at = now + self.settings.heartbeat().mul_f64(PING_EVERY);
        }
        self.settle_requests(now, live, sink)?;
        self.directory.advance(now, live);
        for topic in std::mem::take(&mut self.repeated) {
            self.publisher.repeat(&topic, live, sink);
        }
        self.publisher.follow_fifty(now, live, sink);
        Ok(())
    }

    fn lost(&mut self, error: AdapterError) -> AdapterError {
        if self.welcome.is_some() { error } else { hsm::unanswered(&error) }
    }
}
