//! A connection that is up: subscriptions in batches, records to ticks, symbols that the broker is asked for, a list of
//! instruments that changes meanwhile, and a second socket beside it.

mod demand;
mod publish;

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Duration};

use adapter_sdk::{
    AdapterError, Connection, Refusal, Subscription, TickSink,
    instruments::Renewal,
    net::{Http, Message, WebSocket},
    plan::Plan,
    tracing::{debug, warn},
};
use tokio::time::{Instant, sleep_until};

use self::publish::Publisher;
use crate::{
    auth::{self, Keys},
    config::Settings,
    convert::{self, Converted},
    directory::{Directory, Listed},
    hsm::{self, Opened},
    instruments::Instruments,
    request,
    requests::Requests,
    state::Topics,
    tbt::socket::{Event as FiftyEvent, Fifty},
    topic::Topic,
    wire::{Data, Frame, Request},
};

/// How long refusals are put down to the plan's limit after the broker has spoken of it.
const FULL_FOR: Duration = Duration::from_mins(1);

/// The broker's code for that.
const SYMBOL_LIMIT: i32 = 51_001;

/// Heartbeats between two pings of the broker's own protocol, which it does not answer, as it does those of WebSocket. With
/// the usual heartbeat they have the pause of its own package, ten seconds.
const PING_EVERY: f64 = 2.5;

type Work = Pin<Box<dyn Future<Output = Result<Converted, AdapterError>>>>;

/// A connection that is up.
pub struct Session {
    socket: WebSocket,
    settings: Settings,
    http: Http,
    keys: Keys,
    directory: Directory,
    renewal: Renewal<Instruments>,
    /// Everything that is wanted, by number: what a name means may change with the list.
    wanted: BTreeMap<u32, Wanted>,
    plan: Plan<Topic>,
    topics: Topics,
    requests: Requests,
    publisher: Publisher,
    /// Instruments whose numbers the broker is to be asked for.
    unasked: Vec<u32>,
    asking: Option<(Vec<Listed>, Work)>,
    /// Until when the broker is not asked, since it did not answer.
    asks_not_before: Instant,
    fifty: Option<Fifty>,
    acknowledge_every: u32,
    /// Frames of data since the last one that was acknowledged.
    unacknowledged: u32,
    lite_values: u8,
    ping_at: Instant,
    batch_at: Instant,
    /// When the token of the day ends. Nobody knows what the broker sends after that.
    ends_at: Option<Instant>,
    full_until: Option<Instant>,
    has_complained: bool,
}

/// An instrument that the host wants.
#[derive(Clone, Debug)]
struct Wanted {
    subscription: Subscription,
    /// What the list says that it is.
    listed: Option<Listed>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("wanted", &self.wanted.len()).finish_non_exhaustive()
    }
}

/// What came first.
enum Event {
    Message(Message),
    List(Arc<Instruments>),
    Converted(Result<Converted, AdapterError>),
    Fifty(FiftyEvent),
    Time,
}

impl Session {
    pub(crate) fn new(
        opened: Opened,
        settings: Settings,
        http: Http,
        keys: Keys,
        directory: Directory,
        renewal: Renewal<Instruments>,
    ) -> Self {
        let now = Instant::now();
        let authorization = keys.authorization().filter(|_| settings.depth_50);
        if settings.depth_50 && authorization.is_none() {
            warn!("Books of fifty levels need the app's ID: set api_key of the account");
        }
        Self {
            socket: opened.socket,
            fifty: authorization.map(|both| Fifty::new(settings.clone(), http.clone(), both)),
            requests: Requests::new(settings.snapshot_limit),
            settings,
            http,
            directory,
            renewal,
            wanted: BTreeMap::new(),
            plan: Plan::new(),
            topics: Topics::new(),
            publisher: Publisher::default(),
            unasked: Vec::new(),
            asking: None,
            asks_not_before: now,
            acknowledge_every: opened.acknowledge_every,
            unacknowledged: 0,
            lite_values: opened.layout.lite_values,
            ping_at: now,
            batch_at: now,
            ends_at: keys.lasts().map(|lasts| now + lasts),
            full_until: None,
            has_complained: false,
            keys,
        }
    }

    /// Does what is due, and says when to come back.
    fn advance(&mut self, sink: &mut TickSink) -> Result<Instant, AdapterError> {
        let now = Instant::now();
        if self.ends_at.is_some_and(|at| at <= now) {
            return Err(auth::ended());
        }
        if self.ping_at <= now {
            self.socket.queue_binary(request::PING.as_slice());
            self.ping_at = now + self.settings.heartbeat.mul_f64(PING_EVERY);
        }
        while let Some((batch, is_deaf)) = self.requests.ignored(now) {
            if is_deaf && batch.topics.iter().all(|pair| self.is_silent(pair)) {
                return Err(AdapterError::network("the broker does not answer requests any more"));
            }
            batch.topics.into_iter().for_each(|pair| self.check_silent(pair, sink));
        }
        for pair in self.requests.due(now) {
            self.check_silent(pair, sink);
        }
        let overdue = self.fifty.as_mut().map(|fifty| fifty.overdue(now)).unwrap_or_default();
        self.fall_back(&overdue, sink);
        self.ask(now, sink);
        if self.batch_at <= now && self.has_batch() {
            self.send_batch(now);
        }
        let batch_at = self.has_batch().then_some(self.batch_at);
        let fifty_at = self.fifty.as_ref().and_then(Fifty::wake_at);
        let others = [batch_at, fifty_at, self.requests.wake_at(), self.ends_at];
        Ok(others.into_iter().flatten().fold(self.ping_at, Instant::min))
    }

    /// Begins to ask the broker for the numbers of symbols, or does without when it did not answer a moment ago.
    fn ask(&mut self, now: Instant, sink: &mut TickSink) {
        if self.asking.is_some() || self.unasked.is_empty() {
            return;
        }
        if now < self.asks_not_before {
            let all = std::mem::take(&mut self.unasked);
            all.into_iter().for_each(|instrument| self.place(instrument, true, sink));
            return;
        }
        let count = self.unasked.len().min(convert::MAX_SYMBOLS);
        let next: Vec<u32> = self.unasked.drain(..count).collect();
        let mut asked: Vec<Listed> = Vec::with_capacity(next.len());
        for instrument in next {
            let listed = self.wanted.get(&instrument).and_then(|wanted| wanted.listed.clone());
            asked.extend(listed.filter(|listed| !asked.contains(listed)));
        }
        if asked.is_empty() {
            return;
        }
        let tickers = asked.iter().map(|listed| listed.ticker.clone()).collect();
        let work = convert::ask(
            self.http.clone(),
            self.settings.symbol_token_url.clone(),
            self.keys.clone(),
            tickers,
        );
        self.asking = Some((asked, Box::pin(work)));
    }

    fn take_converted(&mut self, converted: Result<Converted, AdapterError>, sink: &mut TickSink) {
        let Some((asked, _)) = self.asking.take() else { return };
        let is_urgent = match converted {
            Ok(converted) => {
                self.directory.learn(&asked, &converted);
                false
            }
            Err(error) => {
                warn!(%error, symbols = asked.len(), "The broker does not say the numbers of symbols; its list does");
                self.asks_not_before = Instant::now() + convert::PAUSE;
                true
            }
        };
        let waiting: Vec<u32> = self
            .wanted
            .iter()
            .filter(|(number, wanted)| {
                self.plan.key(**number).is_none()
                    && wanted.listed.as_ref().is_some_and(|listed| asked.contains(listed))
            })
            .map(|(number, _)| *number)
            .collect();
        waiting.into_iter().for_each(|instrument| self.place(instrument, is_urgent, sink));
    }

    fn take_frame(&mut self, message: &[u8], sink: &mut TickSink) -> Result<(), AdapterError> {
        match Frame::parse(message, self.lite_values) {
            Ok(Frame::Data(data)) => self.take_data(data, message.len(), sink),
            Ok(Frame::Answer { request: Request::Subscribe, is_accepted }) => {
                let now = Instant::now();
                let is_full = self.full_until.is_some_and(|until| now < until);
                let settled = self.requests.answered(is_accepted, is_full, now);
                if !is_accepted {
                    warn!(is_full, "The broker refused a request to subscribe");
                }
                self.take_settled(settled, sink);
            }
            Ok(Frame::Answer { request, is_accepted }) => {
                if !is_accepted {
                    warn!(?request, "The broker refused a request");
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
            Err(error) => self.complain(&error, message.len(), sink),
        }
        Ok(())
    }

    fn take_data(&mut self, data: Data<'_>, bytes: usize, sink: &mut TickSink) {
        self.unacknowledged += 1;
        if self.acknowledge_every > 0 && self.unacknowledged >= self.acknowledge_every {
            self.unacknowledged = 0;
            self.socket.queue_binary(request::acknowledge(data.number));
        }
        let Self { plan, topics, publisher, fifty, .. } = self;
        let mut damage = None;
        for record in data.records {
            match record {
                Ok(record) => publisher.take(&record, topics, plan, fifty.as_ref(), sink),
                Err(error) => damage = Some(error),
            }
        }
        publisher.flush(topics, plan, fifty.as_ref(), sink);
        if let Some(error) = damage {
            self.complain(&error, bytes, sink);
        }
    }

    fn complain(&mut self, error: &dyn std::fmt::Display, bytes: usize, sink: &mut TickSink) {
        sink.undecodable();
        if !std::mem::replace(&mut self.has_complained, true) {
            warn!(%error, bytes, "A message that makes no sense; more of them are only counted");
        }
    }

    fn take_fifty(&mut self, event: FiftyEvent, sink: &mut TickSink) {
        let Some(fifty) = &mut self.fifty else { return };
        match event {
            FiftyEvent::Message(Message::Binary(bytes)) => {
                let mut changed = std::mem::take(&mut self.publisher.changed);
                changed.clear();
                let is_fine = fifty.take(&bytes, &mut changed);
                for topic in &changed {
                    self.take_book(topic, sink);
                }
                self.publisher.changed = changed;
                if !is_fine {
                    self.complain(&"a book of fifty levels", bytes.len(), sink);
                }
            }
            // Answers to heartbeats, and notices that say nothing of a book.
            FiftyEvent::Message(Message::Text(_)) => {}
            FiftyEvent::Lost => {
                let topics = fifty.topics();
                self.fall_back(&topics, sink);
            }
        }
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], sink: &mut TickSink) -> Result<(), AdapterError> {
        for one in wanted {
            let listed = self.wanted.get(&one.instrument).and_then(|known| known.listed.clone());
            self.wanted.insert(one.instrument, Wanted { subscription: one.clone(), listed });
            self.place(one.instrument, false, sink);
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        for instrument in instruments {
            self.wanted.remove(instrument);
            self.leave(*instrument);
        }
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        loop {
            let wake_at = self.advance(sink)?;
            let Self { socket, renewal, asking, fifty, .. } = self;
            let converted = async {
                match asking {
                    Some((_, work)) => work.as_mut().await,
                    None => std::future::pending().await,
                }
            };
            let books = async {
                match fifty {
                    Some(fifty) => fifty.next().await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                list = renewal.next() => Event::List(list?),
                converted = converted => Event::Converted(converted),
                // Both sockets get their turn, however busy one of them is.
                event = async {
                    tokio::select! {
                        message = socket.next() => message.map(Event::Message),
                        event = books => Ok(Event::Fifty(event)),
                    }
                } => event?,
                () = sleep_until(wake_at) => Event::Time,
            };
            match event {
                Event::Message(Message::Binary(bytes)) => {
                    self.take_frame(&bytes, sink)?;
                    return Ok(());
                }
                Event::Message(Message::Text(_)) => debug!("A text where the broker sends none"),
                Event::List(list) => self.take_list(list, sink),
                Event::Converted(converted) => self.take_converted(converted, sink),
                Event::Fifty(event) => {
                    let is_packet = matches!(event, FiftyEvent::Message(Message::Binary(_)));
                    self.take_fifty(event, sink);
                    if is_packet {
                        return Ok(());
                    }
                }
                Event::Time => {}
            }
        }
    }

    async fn close(self) {
        self.socket.close().await;
    }
}

/// Why an instrument is not served although it exists.
fn refusal(is_full: bool) -> Refusal {
    if is_full {
        Refusal::Capacity("The broker's plan allows no more symbols".to_owned())
    } else {
        Refusal::Refused("The broker does not send this instrument".to_owned())
    }
}
