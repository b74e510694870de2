//! Adapters that a test plays: what they are told is kept, and what they say is said when the test wants it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use adapter_abi::{
    ErrorCode, HealthSnapshot, OutcomeCode, StatusEvent, StatusKind, Subscription, SubscriptionOutcome,
};
use parking_lot::Mutex;
use tickhost_core::{
    intake::Intake,
    model::{Ltp, field},
};

use crate::adapters::{AdapterEvents, AdapterFailure, AdapterInstance, Assignment, connector::Connector};

/// One build of an adapter, and the instances that were made of it, in order.
#[derive(Clone)]
pub(in crate::feeds::feed) struct Build(Arc<Inner>);

struct Inner {
    itself: Weak<Self>,
    habits: Mutex<Habits>,
    instances: Mutex<Vec<Instance>>,
}

/// What instances do by themselves.
#[derive(Clone, Default)]
pub(in crate::feeds::feed) struct Habits {
    /// It waits to be told what becomes of its connection.
    pub(in crate::feeds::feed) is_slow: bool,
    /// It waits to be told what it answers to subscriptions.
    pub(in crate::feeds::feed) is_mute: bool,
    /// None can be made.
    pub(in crate::feeds::feed) is_broken: bool,
    /// What exists; everything without a list.
    pub(in crate::feeds::feed) listed: Option<BTreeSet<&'static str>>,
    /// Listed, and refused as soon as they are subscribed.
    pub(in crate::feeds::feed) cursed: BTreeSet<&'static str>,
}

/// Instances made so far, of any build.
static MADE: AtomicU64 = AtomicU64::new(0);

/// One instance.
#[derive(Clone)]
pub(in crate::feeds::feed) struct Instance {
    /// Tells it from all others; it says so as the time of its last turn.
    number: u64,
    /// Its connection.
    pub(in crate::feeds::feed) connection: usize,
    habits: Arc<Inner>,
    events: Arc<dyn AdapterEvents>,
    told: Arc<Mutex<Told>>,
}

/// What an instance was told.
#[derive(Clone, Debug, Default)]
pub(in crate::feeds::feed) struct Told {
    /// Requests with what they name, in order.
    pub(in crate::feeds::feed) asked: Vec<(u64, Vec<(u32, String)>)>,
    /// What it holds for subscribed.
    pub(in crate::feeds::feed) held: BTreeMap<u32, String>,
    /// What it was told to let go of, in order.
    pub(in crate::feeds::feed) unsubscribed: Vec<u32>,
    /// How often it was told of new credentials.
    pub(in crate::feeds::feed) renewed: usize,
    /// How often it was asked for another list.
    pub(in crate::feeds::feed) lists_asked: usize,
    /// How often it was told to end.
    pub(in crate::feeds::feed) shutdowns: usize,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Build")
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl Default for Build {
    fn default() -> Self {
        Self::with(Habits::default())
    }
}

impl Build {
    /// A build whose instances have these habits.
    pub(in crate::feeds::feed) fn with(habits: Habits) -> Self {
        Self(Arc::new_cyclic(|itself| Inner {
            itself: Weak::clone(itself),
            habits: Mutex::new(habits),
            instances: Mutex::default(),
        }))
    }

    /// What makes its instances: the same each time, so that another build can be told from it.
    pub(in crate::feeds::feed) fn connector(&self) -> Arc<dyn Connector> {
        Arc::clone(&self.0) as Arc<dyn Connector>
    }

    /// Changes the habits of its instances.
    pub(in crate::feeds::feed) fn set(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.0.habits.lock());
    }

    /// Instances made so far.
    pub(in crate::feeds::feed) fn made(&self) -> usize {
        self.0.instances.lock().len()
    }

    /// The instance that was made last for a connection.
    pub(in crate::feeds::feed) fn of(&self, connection: usize) -> Instance {
        let instances = self.0.instances.lock();
        let found = instances.iter().rev().find(|instance| instance.connection == connection);
        found.expect("an instance of the connection").clone()
    }

    /// One of all instances.
    pub(in crate::feeds::feed) fn any(&self, number: usize) -> Option<Instance> {
        let instances = self.0.instances.lock();
        instances.get(number % instances.len().max(1)).cloned()
    }

    /// The instance that the host knows as this one, if it is of this build.
    pub(in crate::feeds::feed) fn known_as(&self, known: &dyn AdapterInstance) -> Option<Instance> {
        let number = known.health().last_turn_ts_ns;
        self.0.instances.lock().iter().find(|instance| instance.number == number).cloned()
    }

    /// The instance of the only connection.
    pub(in crate::feeds::feed) fn last(&self) -> Instance {
        self.of(0)
    }
}

impl Connector for Inner {
    fn create(
        &self,
        assignment: &Assignment,
        _label: &str,
        events: Arc<dyn AdapterEvents>,
        _intake: &Arc<Intake>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure> {
        if self.habits.lock().is_broken {
            return Err(AdapterFailure { code: ErrorCode::CONFIG, message: "no such file".to_owned() });
        }
        let connection = assignment.connection.unwrap() as usize;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let habits = self.itself.upgrade().unwrap();
        let instance = Instance { number, connection, habits, events, told: Arc::default() };
        self.instances.lock().push(instance.clone());
        Ok(Box::new(instance))
    }
}

impl Instance {
    /// What it was told so far.
    pub(in crate::feeds::feed) fn told(&self) -> Told {
        self.told.lock().clone()
    }

    /// The names that it holds for subscribed, in order.
    pub(in crate::feeds::feed) fn holds(&self) -> Vec<String> {
        let mut names: Vec<String> = self.told.lock().held.values().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Its callbacks.
    pub(in crate::feeds::feed) fn events(&self) -> &Arc<dyn AdapterEvents> {
        &self.events
    }

    /// Says that this has become of its connection.
    pub(in crate::feeds::feed) fn status(&self, kind: StatusKind) {
        self.events.status(StatusEvent {
            kind,
            code: ErrorCode::NONE,
            request: 0,
            retry_in_ms: 0,
            message: "so it is".into(),
        });
    }

    /// Says of its own accord what has become of an instrument.
    pub(in crate::feeds::feed) fn reports(&self, instrument: u32, code: OutcomeCode) {
        self.events.outcomes(0, &[outcome(instrument, code)]);
    }

    /// Answers the last request that it has not answered.
    pub(in crate::feeds::feed) fn answers(&self, code: OutcomeCode) {
        let (request, named) = self.told.lock().asked.last().cloned().expect("a request");
        let outcomes: Vec<_> = named.iter().map(|(instrument, _)| outcome(*instrument, code)).collect();
        self.events.outcomes(request, &outcomes);
    }

    /// Publishes a price of this second.
    pub(in crate::feeds::feed) fn tick(&self, instrument: u32, price: i64, second: u64) {
        let fields = field::LTP | field::EXCHANGE_TS;
        let exchange_ts_ns = second * 1_000_000_000;
        self.events.ltp(&[Ltp { instrument, fields, exchange_ts_ns, ltp: price, ..Ltp::default() }]);
    }
}

fn outcome(instrument: u32, code: OutcomeCode) -> SubscriptionOutcome {
    let message = if code.is_taken() { "" } else { "not in the list" };
    SubscriptionOutcome { instrument, code, depth: 0, reserved: 0, message: message.into() }
}

impl AdapterInstance for Instance {
    fn connect(&self, _request: u64) -> Result<(), AdapterFailure> {
        if !self.habits.habits.lock().is_slow {
            self.status(StatusKind::CONNECTED);
        }
        Ok(())
    }

    fn subscribe(&self, request: u64, subscriptions: &[Subscription]) -> Result<(), AdapterFailure> {
        let named: Vec<(u32, String)> =
            subscriptions.iter().map(|wanted| (wanted.instrument, wanted.symbol.to_string())).collect();
        {
            let mut told = self.told.lock();
            told.held.extend(named.iter().cloned());
            told.asked.push((request, named.clone()));
        }
        let habits = self.habits.habits.lock().clone();
        if habits.is_mute {
            return Ok(());
        }
        let is_listed = |symbol: &str| habits.listed.as_ref().is_none_or(|listed| listed.contains(symbol));
        let outcomes: Vec<SubscriptionOutcome> = named
            .iter()
            .map(|(instrument, symbol)| {
                let is_known = is_listed(symbol);
                if !is_known {
                    self.told.lock().held.remove(instrument);
                }
                let code = if is_known { OutcomeCode::ACCEPTED } else { OutcomeCode::UNKNOWN_INSTRUMENT };
                outcome(*instrument, code)
            })
            .collect();
        self.events.outcomes(request, &outcomes);
        for (instrument, _) in named.iter().filter(|(_, symbol)| habits.cursed.contains(symbol.as_str())) {
            self.reports(*instrument, OutcomeCode::UNKNOWN_INSTRUMENT);
        }
        Ok(())
    }

    fn unsubscribe(&self, _request: u64, instruments: &[u32]) -> Result<(), AdapterFailure> {
        let mut told = self.told.lock();
        told.unsubscribed.extend(instruments);
        told.held.retain(|instrument, _| !instruments.contains(instrument));
        drop(told);
        Ok(())
    }

    fn credentials_changed(&self) {
        self.told.lock().renewed += 1;
    }

    fn renew_list(&self) {
        self.told.lock().lists_asked += 1;
    }

    fn health(&self) -> HealthSnapshot {
        HealthSnapshot { last_turn_ts_ns: self.number, ..HealthSnapshot::default() }
    }

    fn shutdown(&self, _deadline: Duration) {
        self.told.lock().shutdowns += 1;
    }
}
