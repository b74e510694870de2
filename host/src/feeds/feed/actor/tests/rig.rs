//! A feed whose time, adapters and host are in the hands of the test.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use parking_lot::Mutex;
use tickhost_core::{
    calendar::{Calendars, Hours},
    inbox::Inbox,
    intake::{Batch, Intake},
    model::{DepthClass, FeedId, InstrumentId, Key, Mode, Variant},
    pool::PoolLimits,
    protocol::Frame,
    router::RouterHandle,
};

use super::{
    super::{Actor, Effect, HostHandles, Life, LoginAttempt, Step},
    fake::{Build, Habits},
};
use crate::{
    accounts::{Account, UserName},
    base::clock::Moment,
    feeds::{
        bulletin::{Bulletin, Recipient},
        feed::{
            Command, Feed, FeedSettings, FeedSpec, Grant, Membership, OrderSink, Refusal, Serving, Want,
            events::InstanceEvent, login_policy::LoginOutcome, shared_credentials::Fields,
        },
    },
};

/// Longest wait for an adapter's word.
pub(super) const SUBSCRIBE_TIMEOUT: Duration = Duration::from_millis(100);

/// How long a connection may be down before its instruments move.
pub(super) const REBALANCE_AFTER: Duration = Duration::from_secs(20);

/// How long the feed stays up without clients.
pub(super) const LINGER: Duration = Duration::from_secs(30);

/// Silence that makes the feed stale, until its pace is known.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(15);

/// Steps at one moment after which nothing is left to do, or the feed's task would spin.
const STEPS_AT_ONE_MOMENT: usize = 8;

#[derive(Debug)]
struct NoOrders;

impl OrderSink for NoOrders {
    fn order(&self, _user: &UserName, _broker: &str, _update_json: &str) -> bool {
        false
    }
}

/// Keeps what is said to the sessions.
#[derive(Debug, Default)]
struct Said(Mutex<Vec<Bulletin>>);

impl Recipient for Said {
    fn tell(&self, bulletin: Bulletin) {
        self.0.lock().push(bulletin);
    }

    fn offer_order(&self, _user: &UserName, _frame: &Frame) -> bool {
        false
    }
}

/// A subscribe that may not have been answered yet. Dropping it gives it up.
pub(super) struct Asked(Pin<Box<dyn Future<Output = Vec<Result<Grant, Refusal>>>>>);

impl Asked {
    /// The answer, if it has come.
    pub(super) fn answer(&mut self) -> Option<Vec<Result<Grant, Refusal>>> {
        match self.0.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }
}

/// What the broker and its adapter allow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) places: usize,
    pub(super) connections: usize,
    pub(super) sessions: usize,
}

impl Limits {
    /// One connection with many places, and room for a second session beside it.
    pub(super) const ROOMY: Self = Self { places: 100, connections: 1, sessions: 2 };

    pub(super) fn serving(self, build: &Build) -> Serving {
        Serving {
            connector: build.connector(),
            limits: PoolLimits::new(self.places, self.connections),
            throttle: Duration::ZERO,
            sessions: self.sessions,
            hours: Hours::Always,
            logs_in: true,
        }
    }
}

/// The bench.
pub(super) struct Bench {
    pub(super) actor: Actor,
    pub(super) feed: Feed,
    pub(super) now: Moment,
    pub(super) limits: Limits,
    /// When the next step is due.
    wake: Option<std::time::Instant>,
    events: Arc<Inbox<InstanceEvent>>,
    said: Arc<Said>,
    /// Instances that are told to shut down and have not gone.
    ending: Vec<Option<InstanceEvent>>,
    /// Reads of the credentials that are under way.
    pub(super) reads: usize,
    /// Log-ins that are under way.
    pub(super) logins: Vec<LoginAttempt>,
    pub(super) life: Life,
    member: Option<Membership>,
}

impl Bench {
    /// A feed of this build, which has begun with the credentials `old`.
    pub(super) fn start(build: &Build, limits: Limits) -> Self {
        let events = Arc::<Inbox<InstanceEvent>>::default();
        let said = Arc::<Said>::default();
        let settings = FeedSettings {
            subscribe_timeout: SUBSCRIBE_TIMEOUT,
            rebalance_after: REBALANCE_AFTER,
            linger: LINGER,
            shutdown: Duration::from_secs(1),
            stale_after: STALE_AFTER,
        };
        let router = RouterHandle::new();
        let account = Account { id: "1".into(), user: "alice".into(), broker: "acme".into() };
        let spec = FeedSpec {
            broker: "acme".into(),
            adapter: "acme".into(),
            account: Some(account),
            repeats_modes: false,
        };
        let serving = limits.serving(build);
        let intake = Intake::new(FeedId(1), Arc::default(), Arc::clone(&router.doorbell));
        let calendars = Calendars::default();
        let counters = Arc::clone(intake.counters());
        let feed = Feed::new(FeedId(1), spec, &serving, counters, intake, STALE_AFTER, calendars.clone());
        let host = HostHandles {
            router,
            recipients: vec![Arc::clone(&said) as Arc<dyn Recipient>],
            instruments: Arc::default(),
            orders: Arc::new(NoOrders),
            settings,
            calendars,
            keeps_logins: true,
            events: Arc::clone(&events),
        };
        let mut bench = Self {
            actor: Actor::new(feed.clone(), host, serving),
            member: Some(Membership::new(&feed, &"alice".into())),
            feed,
            now: Moment::now(),
            limits,
            wake: None,
            events,
            said,
            ending: Vec::new(),
            reads: 0,
            logins: Vec::new(),
            life: Life::Serving,
        };
        let step = bench.actor.begin(Some(fields("old")), bench.now);
        bench.take(step);
        bench.step();
        bench
    }

    fn take(&mut self, step: Step) {
        self.wake = step.wake_at;
        self.life = step.life;
        for effect in step.effects {
            match effect {
                Effect::ReadCredentials => self.reads += 1,
                Effect::LogIn(attempt) => self.logins.push(attempt),
                Effect::ShutDown { then, .. } => self.ending.push(then),
            }
        }
    }

    /// Lets the actor take what has happened, until nothing is left to do at this moment.
    pub(super) fn step(&mut self) {
        for steps in 0..STEPS_AT_ONE_MOMENT {
            let (mut commands, mut events) = (Vec::new(), Vec::new());
            self.feed.0.commands.take(&mut commands);
            self.events.take(&mut events);
            let is_due = self.life == Life::Serving && self.wake.is_some_and(|at| at <= self.now.at);
            let has_news = !commands.is_empty() || !events.is_empty();
            if self.life == Life::Stopped || steps > 0 && !has_news && !is_due {
                return;
            }
            let step = self.actor.step(self.now, commands, events);
            self.take(step);
        }
        panic!("the actor goes on and on at one moment: {:?}", self.wake.map(|at| at - self.now.at));
    }

    /// Lets so much time pass, with a step whenever the actor wants one, and none else: what it has no
    /// deadline for is late.
    pub(super) fn pass(&mut self, time: Duration) {
        self.step();
        let end = self.now + time;
        while let Some(wake) = self.wake.filter(|at| *at <= end.at && self.life == Life::Serving) {
            self.now = self.now + wake.saturating_duration_since(self.now.at);
            self.step();
        }
        self.now = end;
    }

    /// How long the actor sleeps if nothing happens; none when for ever.
    pub(super) fn sleeps(&self) -> Option<Duration> {
        self.wake.map(|at| at.saturating_duration_since(self.now.at))
    }

    /// Sends a command and lets it be taken.
    pub(super) fn command(&mut self, command: Command) {
        self.feed.0.commands.push(command);
        self.step();
    }

    /// Asks for instruments, as one request.
    pub(super) fn ask(&mut self, symbols: &[&str]) -> Asked {
        let feed = self.feed.clone();
        let wants = symbols.iter().map(|symbol| want(symbol)).collect();
        let mut asked = Asked(Box::pin(async move { feed.subscribe(wants).await }));
        assert!(asked.answer().is_none(), "it has not been sent");
        self.step();
        asked
    }

    /// Asks for an instrument that is answered at once.
    pub(super) fn subscribe(&mut self, symbol: &str) -> Result<Grant, Refusal> {
        self.ask(&[symbol]).answer().expect("an answer").remove(0)
    }

    /// Asks for an instrument that is granted at once.
    pub(super) fn subscribed(&mut self, symbol: &str) -> InstrumentId {
        self.subscribe(symbol).expect("a grant").instrument
    }

    /// Gives an instrument back.
    pub(super) fn release(&mut self, instrument: InstrumentId) {
        self.command(Command::Release(vec![Key { instrument, variant: variant() }]));
    }

    /// Another build, or other limits, serve from now on.
    pub(super) fn serve(&mut self, build: &Build) {
        let serving = self.limits.serving(build);
        self.command(Command::Serve(Ok(serving)));
    }

    /// Instances that have been told to end are gone.
    pub(super) fn let_go(&mut self) {
        self.events.extend(self.ending.drain(..).flatten());
        self.step();
    }

    /// Instances that have been told to end and are not gone.
    pub(super) fn ending(&self) -> usize {
        self.ending.len()
    }

    /// The oldest read of the credentials that is under way finds these, or nothing.
    pub(super) fn read(&mut self, found: Option<&str>) {
        self.reads = self.reads.checked_sub(1).expect("a read under way");
        self.command(Command::CredentialsRead(found.map(fields)));
    }

    /// The oldest log-in that is under way ends so.
    pub(super) fn log_in(&mut self, outcome: LoginOutcome) {
        let LoginAttempt { fields, .. } = self.logins.remove(0);
        self.command(Command::LoggedIn { outcome, fields });
    }

    /// The last client leaves.
    pub(super) fn desert(&mut self) {
        self.member = None;
        self.step();
    }

    /// Somebody comes back.
    pub(super) fn join(&mut self) {
        self.member = Some(Membership::new(&self.feed, &"alice".into()));
        self.step();
    }

    /// What the clients were told since the last call, news of the feed excepted.
    pub(super) fn told(&self) -> Vec<String> {
        let said = std::mem::take(&mut *self.said.0.lock());
        let said = said.into_iter().filter_map(|bulletin| match bulletin {
            Bulletin::Lost { instrument, message } => Some(format!("lost {}: {message}", instrument.0)),
            Bulletin::Failed { instrument, message, .. } => {
                Some(format!("failed {}: {message}", instrument.0))
            }
            Bulletin::Waiting { instruments, message } => {
                let mut numbers: Vec<u32> = instruments.iter().map(|instrument| instrument.0).collect();
                numbers.sort_unstable();
                Some(format!("waiting {numbers:?}: {message}"))
            }
            _ => None,
        });
        said.collect()
    }

    /// What whoever comes now is told of the feed.
    pub(super) fn announced(&self) -> String {
        self.feed.announced(self.now).1.to_string()
    }

    /// The ticks that went to the router since the last call, as (instrument, price).
    pub(super) fn ticks(&self) -> Vec<(u32, i64)> {
        let mut batches = Vec::new();
        self.feed.0.intake.take(&mut batches);
        let ticks = batches.iter().flat_map(|batch| match batch {
            Batch::Ltp(ticks) => ticks.iter().map(|tick| (tick.instrument, tick.ltp)).collect::<Vec<_>>(),
            other => panic!("not ltp: {other:?}"),
        });
        ticks.collect()
    }
}

pub(super) fn fields(text: &str) -> Fields {
    Fields(format!(r#"{{"access_token":"{text}"}}"#).into())
}

pub(super) const fn variant() -> Variant {
    Variant::new(Mode::Ltp, DepthClass::Five, false)
}

fn want(symbol: &str) -> Want {
    Want { exchange: "NFO".into(), symbol: symbol.into(), variant: variant() }
}

/// A build that waits to be told what becomes of its connections.
pub(super) fn slow() -> Build {
    Build::with(Habits { is_slow: true, ..Habits::default() })
}
