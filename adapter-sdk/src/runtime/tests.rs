//! Months of an instance's life, on a clock that does not wait.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex},
};

use super::*;
use crate::{Backoff, Context, Mode};
use adapter_abi::{
    Depth, DepthLevel, Host, Host_TO, LogLevel, Ltp, PublishOutcome, Quote, SubscriptionOutcome,
    abi_stable::{
        sabi_trait::TD_Opaque,
        std_types::{RArc, RStr, RString},
    },
};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Every morning at this time the broker ends all connections, and yesterday's tokens are dead.
const FLUSH: Duration = Duration::from_hours(6);

/// On trading days somebody has logged in by then.
const LOG_IN: Duration = Duration::from_mins(8 * 60 + 45);

#[derive(Default)]
struct HostSide {
    token: Mutex<String>,
    statuses: Mutex<Vec<StatusKind>>,
    lists: Mutex<Vec<(Instant, String)>>,
}

#[derive(Clone)]
struct FakeHost(Arc<HostSide>);

impl Host for FakeHost {
    fn publish_ltp(&self, _batch: RSlice<'_, Ltp>) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn publish_quote(&self, _batch: RSlice<'_, Quote>) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn publish_depth(&self, _batch: RSlice<'_, Depth>, _levels: RSlice<'_, DepthLevel>) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn publish_order_update(&self, _update: RStr<'_>) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn status(&self, event: StatusEvent) {
        self.0.statuses.lock().unwrap().push(event.kind);
    }

    fn instrument_list(&self, state_json: RStr<'_>) {
        self.0.lists.lock().unwrap().push((Instant::now(), state_json.to_string()));
    }

    fn subscription_outcomes(&self, _request: u64, _outcomes: RSlice<'_, SubscriptionOutcome>) {}

    fn credentials(&self) -> RString {
        format!(r#"{{"token":"{}"}}"#, self.0.token.lock().unwrap()).into()
    }

    fn max_log_level(&self) -> LogLevel {
        LogLevel::WARN
    }

    fn log(&self, _level: LogLevel, _target: RStr<'_>, _message: RStr<'_>, _fields: RStr<'_>) {}
}

/// What the broker saw.
#[derive(Default)]
struct Seen {
    accepted: Vec<Instant>,
    /// Attempts with a dead token.
    refused: Vec<Instant>,
    subscribed: Vec<usize>,
    /// Attempts that found nobody.
    unanswered: Vec<Instant>,
    /// When connections were lost.
    lost: Vec<Instant>,
}

struct Broker {
    start: Instant,
    seen: Rc<RefCell<Seen>>,
    /// Until then nobody answers.
    down_until: Option<Instant>,
    /// How long connections last, in turns; until the next flush when there is none.
    lasting: Vec<Duration>,
}

impl Broker {
    /// The day whose tokens are good now: that of the last flush.
    fn day(&self) -> u64 {
        (self.start.elapsed() + DAY.saturating_sub(FLUSH)).as_secs() / DAY.as_secs()
    }

    fn next_flush(&self) -> Instant {
        self.start + FLUSH + DAY * u32::try_from(self.day()).unwrap()
    }
}

struct Session {
    ends_at: Instant,
    seen: Rc<RefCell<Seen>>,
}

impl Adapter for Broker {
    type Config = serde_json::Value;
    type Connection = Session;

    fn manifest() -> Manifest {
        Manifest::new("broker", "1.0.0")
    }

    fn try_new(_config: Self::Config, _context: Context) -> Result<Self, AdapterError> {
        Err(AdapterError::config("made by the test"))
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        tokio::time::sleep(Duration::from_millis(80)).await;
        let now = Instant::now();
        if self.down_until.is_some_and(|until| now < until) {
            self.seen.borrow_mut().unanswered.push(now);
            return Err(AdapterError::network("nobody answers"));
        }
        if credentials.require("token")? == self.day().to_string() {
            let turn = self.seen.borrow().accepted.len();
            self.seen.borrow_mut().accepted.push(now);
            let lasting = self.lasting.get(turn % self.lasting.len().max(1));
            let ends_at = lasting.map_or_else(|| self.next_flush(), |lasting| now + *lasting);
            Ok(Session { ends_at, seen: Rc::clone(&self.seen) })
        } else {
            self.seen.borrow_mut().refused.push(now);
            Err(AdapterError::auth("the token is of another day"))
        }
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], _sink: &mut TickSink) -> Result<(), AdapterError> {
        self.seen.borrow_mut().subscribed.push(wanted.len());
        Ok(())
    }

    async fn unsubscribe(&mut self, _instruments: &[u32]) -> Result<(), AdapterError> {
        Ok(())
    }

    async fn next(&mut self, _sink: &mut TickSink) -> Result<(), AdapterError> {
        tokio::time::sleep_until(self.ends_at).await;
        self.seen.borrow_mut().lost.push(Instant::now());
        Err(AdapterError::network("the broker closed the connection"))
    }
}

/// Of an instance that is never told to stop.
fn never_stopped() -> Stop {
    let (stop, stopped) = watch::channel(None);
    Box::leak(Box::new(stop));
    stopped
}

/// An instance that has begun, with three instruments.
async fn begin(
    down_for: Option<Duration>,
    lasting: &[Duration],
) -> (impl Future<Output = Result<(), AdapterError>>, Arc<HostSide>, Rc<RefCell<Seen>>, mpsc::Sender<Command>)
{
    let (life, host, seen, commands, _lists) = begin_with_lists(down_for, lasting).await;
    (life, host, seen, commands)
}

/// The same, with the way to say of lists.
async fn begin_with_lists(
    down_for: Option<Duration>,
    lasting: &[Duration],
) -> (
    impl Future<Output = Result<(), AdapterError>>,
    Arc<HostSide>,
    Rc<RefCell<Seen>>,
    mpsc::Sender<Command>,
    ListReporter,
) {
    let (host, seen) = (Arc::<HostSide>::default(), Rc::<RefCell<Seen>>::default());
    let start = Instant::now();
    let down_until = down_for.map(|down| start + down);
    let broker = Broker { start, seen: Rc::clone(&seen), down_until, lasting: lasting.to_vec() };
    let handle = Handle(Arc::new(Host_TO::from_ptr(RArc::new(FakeHost(Arc::clone(&host))), TD_Opaque)));
    let health = Arc::<Health>::default();
    let lists = ListReporter::new(handle.clone(), Arc::default());
    let (commands, inbox) = mpsc::channel(16);
    let life = Life {
        adapter: broker,
        pauses: Pauses::new(Backoff::default()),
        host: handle.clone(),
        commands: inbox,
        sink: TickSink::new(handle, Arc::clone(&health)),
        health,
        lists: Lists::new(lists.clone()),
        desired: Desired::default(),
        refused: None,
        request: 0,
        stop: never_stopped(),
    };
    commands.send(Command::Connect(1)).await.unwrap();
    let wanted = (1..=3).map(|instrument| Subscription {
        instrument,
        exchange: "NSE".to_owned(),
        symbol: format!("S{instrument}"),
        mode: Mode::Ltp,
        depth: 0,
    });
    commands.send(Command::Subscribe(2, wanted.collect())).await.unwrap();
    (life.live(), host, seen, commands, lists)
}

#[tokio::test(start_paused = true)]
async fn thirty_nights_of_dead_tokens_and_a_long_weekend_cost_two_attempts_each() {
    let start = Instant::now();
    let (life, host, seen, commands) = begin(None, &[]).await;
    *host.token.lock().unwrap() = "0".to_owned();
    // Nobody logs in on the eleventh, twelfth and thirteenth day: a weekend with a holiday.
    let logs_in = |day: u32| !(11..=13).contains(&day);
    let people = async {
        let mut recovered = 0;
        for day in 1..=33 {
            tokio::time::sleep_until(start + DAY * (day - 1) + LOG_IN).await;
            if day > 1 && !logs_in(day) {
                continue;
            }
            let token = (u64::from(day) - 1 + u64::from(start + DAY * (day - 1) + LOG_IN >= start + FLUSH))
                .to_string();
            let before = seen.borrow().accepted.len();
            *host.token.lock().unwrap() = token;
            commands.send(Command::CredentialsChanged).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
            recovered += usize::from(seen.borrow().accepted.len() == before + 1);
        }
        recovered
    };
    let recovered = tokio::select! {
        ended = life => panic!("the instance ended: {ended:?}"),
        recovered = people => recovered,
    };
    assert_eq!(recovered, 30, "every morning with a new token");
    let seen = seen.borrow();
    assert!(seen.subscribed.iter().all(|count| *count == 3), "everything, in one request, each time");
    let mut nights = 0;
    let mut attempts = seen.refused.iter().peekable();
    while let Some(first) = attempts.next() {
        nights += 1;
        let mut of_this_night = 1;
        while attempts.next_if(|next| next.duration_since(*first) < 20 * HOUR).is_some() {
            of_this_night += 1;
        }
        assert!(of_this_night <= 2, "night {nights} has {of_this_night} attempts");
    }
    // The weekend is one night of dead tokens, and costs no more than another.
    assert_eq!(nights, 30);
    println!(
        "{recovered} of 30 recovered, {} attempts with a dead token in {nights} nights",
        seen.refused.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_for_a_weekend_is_asked_once_a_minute_and_found_when_it_returns() {
    let away = Duration::from_hours(72);
    let start = Instant::now();
    let (life, host, seen, _commands) = begin(Some(away), &[]).await;
    *host.token.lock().unwrap() = "3".to_owned();
    tokio::select! {
        ended = life => panic!("the instance ended: {ended:?}"),
        () = tokio::time::sleep(away + Duration::from_mins(2)) => {}
    }
    let seen = seen.borrow();
    let per_hour = seen.unanswered.len() / 72;
    assert!((60..=130).contains(&per_hour), "{per_hour} attempts an hour");
    let shortest = seen.unanswered.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(shortest >= Backoff::default().first / 2, "{shortest:?}");
    assert_eq!(seen.accepted.len(), 1);
    assert!(seen.accepted[0] - (start + away) <= Backoff::default().longest + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_losses_leave_everything_subscribed_and_no_attempt_comes_too_soon() {
    const LOSSES: usize = 1_000;
    // Some last long enough for the next pause to be the first again, most do not.
    let lasting = [0, 1, 0, 30, 61, 2, 59, 0, 0, 0, 0, 0, 0, 0, 0, 120].map(Duration::from_secs);
    let (life, host, seen, _commands) = begin(None, &lasting).await;
    // A broker without nights: the token is that of whatever day it is.
    let day = Arc::clone(&host);
    let start = Instant::now();
    let keeps_the_token_fresh = async {
        loop {
            let days = (start.elapsed() + DAY.saturating_sub(FLUSH)).as_secs() / DAY.as_secs();
            *day.token.lock().unwrap() = days.to_string();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let enough = async {
        while seen.borrow().lost.len() < LOSSES {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        ended = life => panic!("the instance ended: {ended:?}"),
        () = keeps_the_token_fresh => {}
        () = enough => {}
    }
    let seen = seen.borrow();
    assert!(seen.subscribed.len() >= LOSSES && seen.subscribed.iter().all(|count| *count == 3));
    let backoff = Backoff::default();
    let pauses = seen.lost.iter().zip(seen.accepted.iter().skip(1)).map(|(lost, accepted)| *accepted - *lost);
    let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
    for pause in pauses {
        shortest = shortest.min(pause);
        longest = longest.max(pause);
    }
    assert!(shortest >= backoff.first / 2, "{shortest:?}");
    assert!(longest <= backoff.longest + Duration::from_secs(1), "{longest:?}");
    println!("{LOSSES} losses: pauses from {shortest:?} to {longest:?}");
}

/// A broker whose list and whose mind change.
struct Moody {
    /// Numbers that the list has.
    listed: Rc<RefCell<Vec<u32>>>,
    /// Numbers that the broker refuses at the next packet.
    refusing: Rc<RefCell<Vec<u32>>>,
    /// What each request named.
    asked: Rc<RefCell<Vec<Vec<u32>>>>,
    /// Connections end at these moments.
    ends: Rc<RefCell<Vec<Instant>>>,
}

struct Mood {
    refusing: Rc<RefCell<Vec<u32>>>,
    asked: Rc<RefCell<Vec<Vec<u32>>>>,
    ends_at: Instant,
}

impl Adapter for Moody {
    type Config = serde_json::Value;
    type Connection = Mood;

    fn manifest() -> Manifest {
        Manifest::new("moody", "1.0.0")
    }

    fn try_new(_config: Self::Config, _context: Context) -> Result<Self, AdapterError> {
        Err(AdapterError::config("made by the test"))
    }

    fn resolve(&self, subscription: &Subscription) -> Result<crate::Grant, crate::Refusal> {
        if self.listed.borrow().contains(&subscription.instrument) {
            Ok(crate::Grant::as_asked(subscription))
        } else {
            Err(crate::Refusal::UnknownInstrument("not in the list".to_owned()))
        }
    }

    async fn connect(&self, _credentials: &Credentials) -> Result<Mood, AdapterError> {
        let ends_at = self.ends.borrow_mut().pop().unwrap_or(Instant::now() + DAY);
        Ok(Mood { refusing: Rc::clone(&self.refusing), asked: Rc::clone(&self.asked), ends_at })
    }
}

impl Connection for Mood {
    async fn subscribe(&mut self, wanted: &[Subscription], _sink: &mut TickSink) -> Result<(), AdapterError> {
        self.asked.borrow_mut().push(wanted.iter().map(|wanted| wanted.instrument).collect());
        Ok(())
    }

    async fn unsubscribe(&mut self, _instruments: &[u32]) -> Result<(), AdapterError> {
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for instrument in self.refusing.borrow_mut().drain(..) {
            let why = "gone from the list".to_owned();
            sink.outcome(instrument, Err(crate::Refusal::UnknownInstrument(why)));
        }
        // What was said above must not be lost when a command comes meanwhile.
        tokio::time::sleep(Duration::from_millis(500)).await;
        if Instant::now() >= self.ends_at {
            return Err(AdapterError::network("the broker closed the connection"));
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_broker_refused_later_does_not_come_again_after_a_reconnect_unless_it_was_asked_for() {
    let start = Instant::now();
    let (listed, refusing) = (Rc::new(RefCell::new(vec![1, 2, 3, 4])), Rc::<RefCell<Vec<u32>>>::default());
    let (asked, ends) = (Rc::<RefCell<Vec<Vec<u32>>>>::default(), Rc::<RefCell<Vec<Instant>>>::default());
    // The last one first.
    ends.borrow_mut().extend([start + Duration::from_secs(200), start + Duration::from_secs(100)]);
    let moody =
        Moody { listed: Rc::clone(&listed), refusing: Rc::clone(&refusing), asked: Rc::clone(&asked), ends };
    let host = Arc::<HostSide>::default();
    let handle = Handle(Arc::new(Host_TO::from_ptr(RArc::new(FakeHost(Arc::clone(&host))), TD_Opaque)));
    let health = Arc::<Health>::default();
    let lists = ListReporter::new(handle.clone(), Arc::default());
    let (commands, inbox) = mpsc::channel(16);
    let life = Life {
        adapter: moody,
        pauses: Pauses::new(Backoff::default()),
        host: handle.clone(),
        commands: inbox,
        sink: TickSink::new(handle, Arc::clone(&health)),
        health,
        lists: Lists::new(lists.clone()),
        desired: Desired::default(),
        refused: None,
        request: 0,
        stop: never_stopped(),
    };
    let wanted = |instruments: &[u32]| -> Vec<Subscription> {
        let wanted = instruments.iter().map(|instrument| Subscription {
            instrument: *instrument,
            exchange: "NFO".to_owned(),
            symbol: format!("S{instrument}"),
            mode: Mode::Ltp,
            depth: 0,
        });
        wanted.collect()
    };
    let story = async {
        commands.send(Command::Connect(1)).await.unwrap();
        commands.send(Command::Subscribe(2, wanted(&[1, 2, 3, 4]))).await.unwrap();
        tokio::time::sleep_until(start + Duration::from_secs(10)).await;
        // The list loses all but the first; the adapter says so of those that are live.
        *listed.borrow_mut() = vec![1];
        refusing.borrow_mut().extend([2, 3, 4]);
        tokio::time::sleep_until(start + Duration::from_millis(20_500)).await;
        // It has two again, which the host asks for, and four, which nobody does.
        *listed.borrow_mut() = vec![1, 2, 4];
        commands.send(Command::Subscribe(3, wanted(&[2, 3]))).await.unwrap();
        tokio::time::sleep_until(start + Duration::from_secs(150)).await;
        // In the middle of the wait for a packet in which it was refused.
        refusing.borrow_mut().push(2);
        while !refusing.borrow().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        commands.send(Command::Subscribe(4, wanted(&[2]))).await.unwrap();
        tokio::time::sleep_until(start + Duration::from_mins(5)).await;
    };
    tokio::select! {
        ended = life.live() => panic!("the instance ended: {ended:?}"),
        () = story => {}
    }
    let wanted: [&[u32]; 5] = [&[1, 2, 3, 4], &[2], &[1, 2], &[2], &[1, 2]];
    assert_eq!(*asked.borrow(), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_comes_into_force_is_said_again_when_the_adapter_surely_answers_by_it() {
    let (life, host, _seen, _commands, lists) = begin_with_lists(None, &[]).await;
    *host.token.lock().unwrap() = "0".to_owned();
    let start = Instant::now();
    let state = |instruments| crate::ListState { instruments, is_whole: true, ..crate::ListState::default() };
    let story = async {
        lists.say(&state(1));
        lists.changed();
        // While it connects, or waits for packets, and twice in a moment.
        for (second, instruments) in [(10, 2), (11, 3)] {
            tokio::time::sleep_until(start + Duration::from_millis(second * 1_000 - 500 * (second - 10)))
                .await;
            lists.say(&state(instruments));
            lists.changed();
        }
        tokio::time::sleep_until(start + Duration::from_mins(1)).await;
    };
    tokio::select! {
        ended = life => panic!("the instance ended: {ended:?}"),
        () = story => {}
    }
    let said: Vec<(u128, u64)> = host
        .lists
        .lock()
        .unwrap()
        .iter()
        .map(|(at, json)| {
            let json: serde_json::Value = serde_json::from_str(json).unwrap();
            ((*at - start).as_millis() / 100, json["instruments"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(said, [(0, 1), (10, 1), (100, 2), (105, 3), (110, 3), (120, 3)]);
}
