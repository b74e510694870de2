//! The task of one feed: waits, reads clocks, and carries out what the feed's actor decides. It decides
//! nothing itself.

use std::sync::Arc;

use adapter_abi::ErrorCode;
use secrecy::ExposeSecret as _;
use tickhost_core::{
    calendar::{Calendars, Hours},
    inbox::Inbox,
    instruments::Instruments,
    intake::Intake,
    metrics::FeedCounters,
    model::FeedId,
    router::{self, RouterHandle},
};
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

use super::{
    Command, Feed, FeedSettings, FeedSpec, OrderSink, Serving,
    actor::{Actor, Effect, HostHandles, Life, LoginAttempt},
    events::InstanceEvent,
    login_policy::{DEADLINE, LoginOutcome},
    shared_credentials::Fields,
};
use crate::{
    accounts::Accounts,
    adapters::{AdapterFailure, LoginStep},
    base::{
        blocking::{self, off_thread},
        clock::Moment,
        log_rate::outside_line,
        span::{self, operation},
    },
    feeds::bulletin::Recipient,
};

/// What a feed's task needs of the host.
#[derive(Clone, Debug)]
pub struct FeedContext {
    /// Where ticks are gated.
    pub router: RouterHandle,
    /// Where the clients are.
    pub recipients: Vec<Arc<dyn Recipient>>,
    /// Where numbers come from.
    pub instruments: Arc<Instruments>,
    /// Where credentials come from.
    pub accounts: Accounts,
    /// Where order updates go.
    pub orders: Arc<dyn OrderSink>,
    /// Times.
    pub settings: FeedSettings,
    /// When exchanges trade.
    pub calendars: Calendars,
}

/// Makes a feed, and the task that runs it until it ends by itself. `may_end` is asked when the last client
/// has been gone for the linger time; it takes the feed out of the registry if nobody came back.
pub fn start(
    id: FeedId,
    spec: FeedSpec,
    serving: Serving,
    context: FeedContext,
    may_end: impl Fn(&Feed) -> bool + Send + 'static,
) -> (Feed, impl Future<Output = ()> + Send) {
    let counters = Arc::<FeedCounters>::default();
    let intake = Intake::new(id, Arc::clone(&counters), Arc::clone(&context.router.doorbell));
    context.router.send(router::Command::OpenFeed {
        feed: id,
        interval: serving.throttle,
        counters: Arc::clone(&counters),
        repeats_modes: spec.repeats_modes,
        has_hours: serving.hours == Hours::Exchange,
    });
    let FeedContext { router, recipients, instruments, accounts, orders, settings, calendars } = context;
    let (stale_after, keeps_logins) = (settings.stale_after, accounts.keeps_logins());
    let feed = Feed::new(id, spec, &serving, counters, intake, stale_after, calendars.clone());
    let events = Arc::<Inbox<InstanceEvent>>::default();
    let host = HostHandles {
        router,
        recipients,
        instruments,
        orders,
        settings,
        calendars,
        keeps_logins,
        events: Arc::clone(&events),
    };
    let actor = Actor::new(feed.clone(), host, serving);
    let task = Task { feed: feed.clone(), accounts, settings, events };
    (feed, task.run(actor, may_end))
}

struct Task {
    feed: Feed,
    accounts: Accounts,
    settings: FeedSettings,
    events: Arc<Inbox<InstanceEvent>>,
}

impl Task {
    async fn run(self, mut actor: Actor, may_end: impl Fn(&Feed) -> bool) {
        let credentials = read_credentials(&self.accounts, &self.feed).await;
        let mut step = actor.begin(credentials, Moment::now());
        let (mut commands, mut events) = (Vec::new(), Vec::new());
        loop {
            self.carry_out(step.effects);
            match step.life {
                Life::Serving => {}
                Life::Deserted if !may_end(&self.feed) => {}
                Life::Deserted | Life::Stopped => break,
            }
            tokio::select! {
                () = self.feed.0.commands.filled() => {}
                () = self.events.filled() => {}
                () = async {
                    match step.wake_at {
                        Some(wake_at) => tokio::time::sleep_until(wake_at.into()).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
            self.feed.0.commands.take(&mut commands);
            self.events.take(&mut events);
            step = actor.step(Moment::now(), commands.drain(..), events.drain(..));
        }
        for ending in self.carry_out(actor.close()) {
            if ending.await.is_err() {
                tracing::error!(adapter = %self.feed.spec().adapter, "An adapter panicked while it shut down");
            }
        }
        actor.end();
        // Whoever asked in the last moment is answered by the drop of the reply's sender.
        self.feed.0.commands.take(&mut commands);
    }

    /// Begins what the actor wants done, in the background: each answer comes back as a command or an event.
    /// Returns the instances that end.
    fn carry_out(&self, effects: Vec<Effect>) -> Vec<JoinHandle<()>> {
        let mut endings = Vec::new();
        for effect in effects {
            match effect {
                Effect::ReadCredentials => {
                    let (accounts, feed) = (self.accounts.clone(), self.feed.clone());
                    tokio::spawn(async move {
                        let read = read_credentials(&accounts, &feed).await;
                        feed.0.commands.push(Command::CredentialsRead(read));
                    });
                }
                Effect::LogIn(attempt) => self.log_in(attempt),
                Effect::ShutDown { instance, then } => {
                    let deadline = self.settings.shutdown;
                    let ending = blocking::begin(move |_| instance.shutdown(deadline));
                    let Some(event) = then else {
                        endings.push(ending);
                        continue;
                    };
                    let inbox = Arc::clone(&self.events);
                    tokio::spawn(async move {
                        // How it ended was logged; that it has is what counts.
                        _ = ending.await;
                        inbox.push(event);
                    });
                }
            }
        }
        endings
    }

    /// Takes one step of a log-in, and stores what it gives.
    fn log_in(&self, attempt: LoginAttempt) {
        let LoginAttempt { account, connector, fields } = attempt;
        let (accounts, feed) = (self.accounts.clone(), self.feed.clone());
        let spec = feed.spec();
        let span = operation!(
            "feed.login",
            "client",
            tickhost.adapter = %spec.adapter,
            tickhost.broker = %spec.broker,
            tickhost.feed = feed.id().0
        );
        let assignment = spec.assignment();
        let work = async move {
            let asked = fields.clone();
            let step =
                off_thread(move |_| connector.log_in(&assignment, asked.0.expose_secret(), DEADLINE)).await;
            let outcome = match step {
                Ok(Ok(LoginStep::Done(fresh))) => match accounts.store_login(&account, fresh).await {
                    Ok(()) => LoginOutcome::Stored,
                    Err(error) => LoginOutcome::Failed(AdapterFailure {
                        code: ErrorCode::OTHER,
                        message: error.to_string(),
                    }),
                },
                Ok(Ok(LoginStep::Ask(question))) => LoginOutcome::NeedsPerson(question.field),
                Ok(Err(failure)) => LoginOutcome::Failed(failure),
                Err(_) => LoginOutcome::Failed(AdapterFailure {
                    code: ErrorCode::PANICKED,
                    message: "the adapter panicked".to_owned(),
                }),
            };
            span::end(&Span::current(), outcome.result());
            feed.0.commands.push(Command::LoggedIn { outcome, fields });
        };
        tokio::spawn(work.instrument(span));
    }
}

/// Reads the credentials of the feed's account; none when they cannot be read now, and when it has no
/// account.
async fn read_credentials(accounts: &Accounts, feed: &Feed) -> Option<Fields> {
    let spec = feed.spec();
    match accounts.credentials(spec.account.as_ref()?).await {
        Ok(credentials) => Some(Fields(credentials.to_json())),
        Err(error) => {
            let adapter = &*spec.adapter;
            outside_line!(error, adapter, %error, "Could not read the account's credentials; trying again");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use tickhost_core::{
        model::{DepthClass, Mode, Variant},
        pool::PoolLimits,
        protocol::Frame,
    };

    use super::*;
    use crate::{
        accounts::{Account, UserName},
        feeds::{
            bulletin::Bulletin,
            feed::{Membership, Want, actor::tests::fake::Build},
        },
    };

    /// Longest wait for something to happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[derive(Debug)]
    struct Nobody;

    impl OrderSink for Nobody {
        fn order(&self, _user: &UserName, _broker: &str, _update_json: &str) -> bool {
            false
        }
    }

    impl Recipient for Nobody {
        fn tell(&self, _bulletin: Bulletin) {}

        fn offer_order(&self, _user: &UserName, _frame: &Frame) -> bool {
            false
        }
    }

    async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < end, "{what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn what_the_actor_wants_done_is_done_and_the_feed_ends_when_its_instances_have() {
        let folder = tempfile::tempdir().unwrap();
        let context = FeedContext {
            router: RouterHandle::new(),
            recipients: vec![Arc::new(Nobody)],
            instruments: Arc::default(),
            accounts: Accounts::open_embedded(folder.path()).unwrap(),
            orders: Arc::new(Nobody),
            settings: FeedSettings {
                subscribe_timeout: PATIENCE,
                rebalance_after: PATIENCE,
                linger: Duration::ZERO,
                shutdown: PATIENCE,
                stale_after: PATIENCE,
            },
            calendars: Calendars::default(),
        };
        let account = Account { id: "1".into(), user: "alice".into(), broker: "acme".into() };
        let spec = FeedSpec {
            broker: "acme".into(),
            adapter: "acme".into(),
            account: Some(account),
            repeats_modes: false,
        };
        let (old, new) = (Build::default(), Build::default());
        let serving = |build: &Build| Serving {
            connector: build.connector(),
            limits: PoolLimits::new(9, 1),
            throttle: Duration::ZERO,
            sessions: 1,
            hours: Hours::Always,
            logs_in: false,
        };
        let (feed, task) = start(FeedId(1), spec, serving(&old), context, |_| true);
        let member = Membership::new(&feed, &"alice".into());
        let task = tokio::spawn(task);
        let variant = Variant::new(Mode::Ltp, DepthClass::Five, false);
        let want = Want { exchange: "NSE".into(), symbol: "ONE".into(), variant };
        assert!(feed.subscribe(vec![want]).await.remove(0).is_ok());
        // Where there is no room for both the next one begins when the shutdown of the other has been
        // reported.
        feed.serve(Ok(serving(&new)));
        until("the next build serves", || new.made() == 1 && new.last().holds() == ["ONE"]).await;
        assert_eq!(old.last().told().shutdowns, 1);
        drop(member);
        tokio::time::timeout(PATIENCE, task).await.expect("it ends").unwrap();
        assert_eq!(new.last().told().shutdowns, 1);
        assert_eq!(feed.status().state, tickhost_core::feed_state::FeedState::Closed);
    }
}
