//! The adapter of a broker whose messages are words.

use std::{cell::RefCell, collections::BTreeSet, path::PathBuf, rc::Rc, sync::Arc, time::Duration};

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Context, Credentials, Grant, Level, Manifest, Mode, Packet, Price,
    Refusal, Subscription, Tick, TickSink,
    abi::ErrorCode,
    instruments::{Access, Catalog, ListSource, Master, Names, Outdated, Sheet},
    ist::Day,
    net::{Message, Network, NetworkConfig, RateLimit, WebSocketRequest},
    plan::Change,
    session::{Awaited, Batches, Listed, Live, Protocol, Questions, Replan, Session, Welcome},
};
use tokio::{sync::oneshot, time::Instant};

pub(crate) struct Lines;

impl Sheet<3> for Lines {
    type Key = u32;

    const COLUMNS: [&'static str; 3] = ["exchange", "symbol", "token"];

    fn begin(_today: Day) -> Self {
        Self
    }

    fn row(&mut self, cells: [Option<&str>; 3], names: &mut Names<u32>) -> Option<()> {
        let [exchange, symbol, token] = cells;
        names.add(exchange?, symbol?, token?.parse().ok()?);
        Some(())
    }
}

#[derive(Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    ws_url: String,
    list_url: String,
    cache_dir: PathBuf,
    #[serde(default = "one_hundred")]
    most: usize,
    #[serde(default)]
    every_ms: u64,
    #[serde(default)]
    welcome_ms: Option<u64>,
    /// What no answer to the log-in means, and a connection that is closed when it is not older than this.
    #[serde(default)]
    unanswered: bool,
    #[serde(default)]
    young_ms: Option<u64>,
    /// Letters that are added to each request.
    #[serde(default)]
    padding: usize,
    #[serde(default)]
    subscribes_again: bool,
    /// Whether keys are asked for, and how long an answer may take.
    #[serde(default)]
    answer_ms: Option<u64>,
    /// Most instruments in a request for their keys, if those are asked for so.
    #[serde(default)]
    questions: Option<usize>,
    /// Most requests without an answer, if they have one.
    #[serde(default)]
    room: Option<usize>,
    /// How long the first packet of a key may take, which is asked for twice more; for ever if not set.
    #[serde(default)]
    first_within_ms: Option<u64>,
}

fn one_hundred() -> usize {
    100
}

pub(crate) struct Acme {
    config: Config,
    network: Network,
    master: Arc<Master<Catalog<Lines, 3>>>,
}

impl Adapter for Acme {
    type Config = Config;
    type Connection = Session<Words>;

    fn manifest() -> Manifest {
        let backoff = Backoff {
            first: Duration::from_millis(5),
            longest: Duration::from_millis(20),
            ..Backoff::default()
        };
        Manifest::new("acme", "1.0.0").backoff(backoff)
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        let network = Network::new(NetworkConfig::default())?;
        let source = ListSource {
            adapter: "acme",
            cache_dir: Some(config.cache_dir.clone()),
            urls: vec![config.list_url.clone()],
            segments: &[],
            max_bytes: 1 << 20,
            timeout: Duration::from_secs(5),
            renewed_at: (0, 0),
            outdated: Outdated::Refuse,
        };
        let http = network.http(RateLimit::per_second(1_000.0));
        let master = Arc::new(Master::new(http, source, context.lists()));
        Ok(Self { config, network, master })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        self.master.look_up(wanted, |list| list.find(&wanted.exchange, &wanted.symbol))?;
        Ok(Grant::with_depth_up_to(wanted, 5))
    }

    async fn prepare(&self, _: &Credentials) -> Result<(), AdapterError> {
        self.master.prepare(&Access::Public).await
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Self::Connection, AdapterError> {
        let listed = Listed::of(&self.master, Access::Public)?;
        let socket = self.network.websocket(WebSocketRequest::new(&self.config.ws_url)).await?;
        let words = Words {
            token: credentials.get("token").map(str::to_owned),
            padding: self.config.padding,
            subscribes_again: self.config.subscribes_again,
            released: Vec::new(),
            beside: Vec::new(),
            alarm: None,
            asks: self.config.answer_ms.is_some(),
            asked: BTreeSet::new(),
            known: BTreeSet::new(),
            room: self.config.room,
            awaited: self.config.first_within_ms.map(|limit| Awaited::new(Duration::from_millis(limit), 2)),
            questions: self.config.questions.map(Book::new),
        };
        let mut batches = Batches::of(self.config.most).every(Duration::from_millis(self.config.every_ms));
        if let Some(limit) = self.config.answer_ms {
            batches = batches.answer_within(Duration::from_millis(limit));
        }
        if let Some(limit) = self.config.welcome_ms {
            batches = batches.welcome_within(Duration::from_millis(limit));
        }
        if self.config.unanswered {
            batches = batches.unanswered_means("silence is a refusal");
        }
        if let Some(age) = self.config.young_ms {
            batches = batches.closed_within_means(Duration::from_millis(age), "somebody else is there");
        }
        Session::open(words, socket, listed, batches).await
    }
}

pub(crate) struct Words {
    token: Option<String>,
    padding: usize,
    subscribes_again: bool,
    released: Vec<String>,
    /// What is to be published when the socket is quiet.
    beside: Vec<(u32, Tick)>,
    alarm: Option<Instant>,
    asks: bool,
    /// Instruments that the broker was asked for.
    asked: BTreeSet<u32>,
    /// Those for which it has answered.
    known: BTreeSet<u32>,
    room: Option<usize>,
    awaited: Option<Awaited<u32>>,
    questions: Option<Book>,
}

/// Questions whose answers the test says on the socket.
struct Book {
    questions: Questions<u32, bool>,
    open: Rc<RefCell<Vec<(String, oneshot::Sender<bool>)>>>,
    answer: Option<oneshot::Sender<bool>>,
}

impl Book {
    fn new(most: usize) -> Self {
        let open = Rc::<RefCell<Vec<(String, oneshot::Sender<bool>)>>>::default();
        let asked = Rc::clone(&open);
        let request = move |numbers: &[u32]| {
            let (sender, answer) = oneshot::channel();
            asked.borrow_mut().push((format!("keys {numbers:?}"), sender));
            async move {
                let is_good = answer.await.unwrap_or_default();
                is_good.then_some(true).ok_or_else(|| AdapterError::network("no answer"))
            }
        };
        Self { questions: Questions::new(most, Duration::from_mins(10), request), open, answer: None }
    }
}

impl Protocol for Words {
    type Key = u32;
    type Asked = Mode;
    type List = Catalog<Lines, 3>;

    fn find(&self, list: &Self::List, wanted: &Subscription) -> Result<u32, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn must_ask(&mut self, _list: &Self::List, wanted: &Subscription) -> bool {
        let asks = self.asks || self.questions.as_ref().is_some_and(|book| book.questions.is_open());
        asks && !self.known.contains(&wanted.instrument)
    }

    fn has_room(&self) -> bool {
        self.room != Some(0)
    }

    fn hello(&mut self) -> Vec<Message> {
        self.token.iter().map(|token| format!("login {token}").into()).collect()
    }

    fn welcome(&mut self, message: &Message) -> Result<Welcome, AdapterError> {
        let Message::Text(text) = message else { return Ok(Welcome::Continue(Vec::new())) };
        match text.as_str() {
            "challenge" => Ok(Welcome::Continue(vec!["response".into()])),
            "ok" => Ok(Welcome::Accepted(vec!["ready".into()])),
            _ => Err(AdapterError::auth("the broker refused the token")),
        }
    }

    fn ask(&mut self, wanted: &mut Subscription, _key: &u32, _sink: &mut TickSink) -> Mode {
        if wanted.exchange.ends_with("_INDEX") { wanted.mode.min(Mode::Quote) } else { wanted.mode }
    }

    fn release(&mut self, instrument: u32, last_of: Option<&u32>) {
        self.released.push(format!("released {instrument} {last_of:?}"));
    }

    fn list_changed(&mut self, _list: &Self::List, _is_repair: bool) -> Replan {
        self.asked.clear();
        self.known.clear();
        if let Some(book) = &mut self.questions {
            book.questions.forget();
        }
        if self.subscribes_again { Replan::Everything } else { Replan::Moved }
    }

    fn requests(&mut self, changes: &[Change<u32>]) -> Vec<Message> {
        self.room = self.room.map(|room| room - 1);
        if let Some(awaited) = &mut self.awaited {
            awaited.subscribed(changes);
        }
        let words = changes.iter().map(|change| match change.now {
            Some(mode) => format!("+{}{mode:?}", change.key),
            None => format!("-{}", change.key),
        });
        let mut message = words.collect::<Vec<_>>().join(" ");
        message.extend(std::iter::repeat_n(' ', self.padding));
        vec![message.into()]
    }

    fn receive(
        &mut self,
        message: Message,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let Message::Text(text) = message else { return Ok(()) };
        let (what, number) = text.split_once(' ').unwrap_or((text.as_str(), "0"));
        let key = number.parse().unwrap_or(0);
        let tick = |instrument| Tick::new(instrument).ltp(Price::from_nanos(7)).oi(9).image();
        let levels = [Level { price: Price::from_nanos(7), quantity: 1, orders: None }];
        match what {
            "hold" => live.hold_for_list(),
            "renew" => live.renew_list(),
            "again" => live.repeat_all(),
            "answer" => {
                self.known.insert(key);
                live.answered(key);
            }
            "keys" => {
                let answer = self.questions.as_mut().and_then(|book| book.answer.take());
                _ = answer.unwrap().send(key == 1);
            }
            "done" => self.room = self.room.map(|room| room + 1),
            "close" => return Err(AdapterError::network("the broker ends it")),
            "refuse" => {
                let count = live.refuse(&key, &Refusal::Capacity("full".to_owned()), sink);
                live.send(format!("refused {count}"));
            }
            "beside" => {
                let numbers = live.feed(&key).map(|feed| feed.instruments().to_vec()).unwrap_or_default();
                self.beside.extend(numbers.iter().map(|(instrument, _)| (*instrument, tick(*instrument))));
            }
            "alarm" => self.alarm = Some(Instant::now() + Duration::from_millis(number.parse().unwrap_or(0))),
            "ltp" | "quote" | "values" | "depth" | "book" => {
                let Some(heard) = live.heard(&key) else { return Ok(()) };
                for (instrument, _) in heard.instruments() {
                    let Some(wanted) = heard.wanted(*instrument) else { continue };
                    let tick = tick(*instrument);
                    let packet = match what {
                        "ltp" => Packet::Ltp(tick),
                        "quote" => Packet::Quote(tick),
                        "values" => Packet::Values(tick),
                        "depth" => Packet::Depth(tick, &levels, &[]),
                        _ => Packet::Book(*instrument, &levels, &[]),
                    };
                    sink.publish(wanted.mode, &packet);
                }
            }
            _ => live.undecodable("word", &"no word that is known", text.len(), sink),
        }
        Ok(())
    }

    async fn wait(&mut self) {
        match &mut self.questions {
            Some(book) if self.beside.is_empty() => book.questions.wait().await,
            None if self.beside.is_empty() => std::future::pending().await,
            _ => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        let awaited = self.awaited.as_ref().and_then(Awaited::wake_at);
        [self.alarm, awaited].into_iter().flatten().min()
    }

    fn advance(
        &mut self,
        now: Instant,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        self.beside.drain(..).for_each(|(_, tick)| sink.ltp(&tick));
        if let Some(awaited) = &mut self.awaited {
            awaited.repeat_silent(now, live);
        }
        if let Some(Book { questions, open, answer }) = &mut self.questions {
            if let Some((numbers, true)) = questions.answer(now) {
                self.known.extend(numbers);
            }
            let known = &self.known;
            questions.ask(now, live, |wanted| {
                Some(wanted.instrument).filter(|instrument| !known.contains(instrument))
            });
            for (word, sender) in open.borrow_mut().drain(..) {
                live.send(word);
                *answer = Some(sender);
            }
        }
        let waiting: Vec<u32> = live.waiting().map(|wanted| wanted.instrument).collect();
        for instrument in waiting {
            if self.asks && self.asked.insert(instrument) {
                live.send(format!("ask {instrument}"));
            }
        }
        self.released.drain(..).for_each(|word| live.send(word));
        if self.alarm.take_if(|at| *at <= now).is_some() {
            live.send("alarm");
            let instruments = live.feed(&1).map(|feed| feed.instruments().to_vec()).unwrap_or_default();
            instruments.iter().for_each(|(instrument, _)| {
                sink.ltp(&Tick::new(*instrument).ltp(Price::from_nanos(7)));
            });
        }
        Ok(())
    }

    fn lost(&mut self, error: AdapterError) -> AdapterError {
        if error.code() == ErrorCode::NETWORK {
            AdapterError::network(format!("{error}, says acme"))
        } else {
            error
        }
    }

    fn goodbye(&mut self) -> Vec<Message> {
        vec!["bye".into()]
    }
}
