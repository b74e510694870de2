//! What the requests of one client may cost. Pure: time is handed in.
//!
//! An [`Allowance`] for each kind: for messages, with what they weigh, for the subscriptions that they begin
//! or end, and for control frames. A client that has spent one is read slowly, so that nothing that it sends
//! is lost; one that goes on for long is closed.

use std::time::{Duration, Instant};

use tickhost_core::{allowance::Allowance, protocol::request::Request};

use super::SessionSettings;

/// How long a client may go on sending more messages than its rate before it is closed. A client that
/// subscribes to 5,000 symbols one by one needs 40 s of it.
const MESSAGES_TOLERANCE: Duration = Duration::from_mins(2);

/// The same for entries. A client that changes all of its 5,000 subscriptions at once needs nothing of it.
const ENTRIES_TOLERANCE: Duration = Duration::from_secs(10);

/// Pings, and pongs that nobody asked for, each second and at once, and how long a client may go on sending
/// more. Libraries send one in several seconds.
const CONTROL_RATE: (u32, u32) = (50, 500);
const CONTROL_TOLERANCE: Duration = Duration::from_secs(5);

/// Bytes of a message that cost as much as a message.
const BYTES_PER_MESSAGE: usize = 1_024;

/// Messages of a client without a key, each second and at once. It has one thing to say.
const STRANGERS_RATE: (u32, u32) = (5, 20);

/// What a client may still send.
#[derive(Debug)]
pub(super) struct Budget {
    messages: Bucket,
    entries: Bucket,
    control: Bucket,
}

/// The client has been sending too much for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overdrawn;

impl Budget {
    /// That of a client without a key.
    pub(super) fn of_stranger(settings: &SessionSettings, now: Instant) -> Self {
        let (rate, burst) = STRANGERS_RATE;
        let rate = (rate.min(settings.messages_per_second), burst.min(settings.message_burst));
        let messages = Bucket::new(rate, MESSAGES_TOLERANCE, now);
        Self { messages, ..Self::new(settings, now) }
    }

    /// That of a client with a key.
    pub(super) fn new(settings: &SessionSettings, now: Instant) -> Self {
        let SessionSettings { messages_per_second, message_burst, entries_per_second, entry_burst, .. } =
            *settings;
        Self {
            messages: Bucket::new((messages_per_second, message_burst), MESSAGES_TOLERANCE, now),
            entries: Bucket::new((entries_per_second, entry_burst), ENTRIES_TOLERANCE, now),
            control: Bucket::new(CONTROL_RATE, CONTROL_TOLERANCE, now),
        }
    }

    /// A control frame came.
    pub(super) fn spend_control(&mut self, now: Instant) -> Result<(), Overdrawn> {
        self.control.spend(1, now)
    }

    /// A message of so many bytes came.
    pub(super) fn spend_message(&mut self, bytes: usize, now: Instant) -> Result<(), Overdrawn> {
        self.messages.spend(1 + bytes / BYTES_PER_MESSAGE, now)
    }

    /// A request begins or ends so many subscriptions.
    pub(super) fn spend_entries(&mut self, count: usize, now: Instant) -> Result<(), Overdrawn> {
        if count > 0 { self.entries.spend(count, now) } else { Ok(()) }
    }

    pub(super) fn refill(&mut self, now: Instant) {
        self.messages.refill(now);
        self.entries.refill(now);
        self.control.refill(now);
    }

    /// Whether the client has to wait.
    pub(super) fn is_exhausted(&self) -> bool {
        self.messages.is_exhausted() || self.entries.is_exhausted() || self.control.is_exhausted()
    }

    /// When the client, if it has to wait, is read again.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        self.messages.ready_at.max(self.entries.ready_at).max(self.control.ready_at)
    }
}

/// Subscriptions that a request begins or ends, as far as it says so; what it leaves open is not known here.
pub(super) fn entries_of(request: &Request) -> usize {
    match request {
        Request::Subscribe { entries, .. } => entries.len(),
        Request::Unsubscribe { entries, .. } => entries.len(),
        _ => 0,
    }
}

/// What may be spent of one kind, which one spending may overdraw, and for how long the client has been
/// spending all of it.
#[derive(Debug)]
struct Bucket {
    allowance: Allowance,
    tolerance: Duration,
    /// When the client, if it has to wait, may go on.
    ready_at: Option<Instant>,
    exhausted_since: Option<Instant>,
}

impl Bucket {
    fn new((per_second, burst): (u32, u32), tolerance: Duration, now: Instant) -> Self {
        let mut allowance = Allowance::new(per_second, burst);
        // Its time begins here.
        let ready_at = allowance.wait_for(1, now).map(|pause| now + pause);
        Self { allowance, tolerance, ready_at, exhausted_since: None }
    }

    fn spend(&mut self, count: usize, now: Instant) -> Result<(), Overdrawn> {
        self.refill(now);
        self.allowance.spend(u32::try_from(count).unwrap_or(u32::MAX), now);
        self.update(now);
        if self.is_exhausted() {
            self.exhausted_since.get_or_insert(now);
        }
        let is_over = |since: Instant| now.saturating_duration_since(since) >= self.tolerance;
        if self.exhausted_since.is_some_and(is_over) { Err(Overdrawn) } else { Ok(()) }
    }

    fn refill(&mut self, now: Instant) {
        self.update(now);
        // Quiet for long enough to be forgiven.
        if self.allowance.is_half_full(now) {
            self.exhausted_since = None;
        }
    }

    fn update(&mut self, now: Instant) {
        self.ready_at = self.allowance.wait_for(1, now).map(|pause| now + pause);
    }

    const fn is_exhausted(&self) -> bool {
        self.ready_at.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: (u32, u32) = (10, 5);

    fn budget(start: Instant) -> Budget {
        Budget {
            messages: Bucket::new(TEST, MESSAGES_TOLERANCE, start),
            entries: Bucket::new((1_000, 20_000), ENTRIES_TOLERANCE, start),
            control: Bucket::new(CONTROL_RATE, CONTROL_TOLERANCE, start),
        }
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_talkative_client_is_read_slowly_and_closed_when_it_goes_on() {
        let start = Instant::now();
        let mut budget = budget(start);
        (0..5).for_each(|_| budget.spend_message(40, start).unwrap());
        assert!(budget.is_exhausted());
        assert_eq!(budget.ready_at(), Some(start + Duration::from_millis(100)));
        // One message for each token: it is never quiet for long.
        let mut now = start + Duration::from_millis(100);
        while budget.spend_message(40, now).is_ok() {
            now = budget.ready_at().unwrap_or(now + Duration::from_millis(100));
            assert!(now < start + seconds(121), "it is never closed");
        }
        assert!(now >= start + MESSAGES_TOLERANCE, "{:?}", now - start);
    }

    #[test]
    fn whoever_is_quiet_for_a_while_is_forgiven() {
        let start = Instant::now();
        let mut budget = budget(start);
        (0..50).for_each(|_| budget.spend_message(40, start).unwrap());
        assert_eq!(budget.spend_message(40, start + seconds(300)), Ok(()));
        // Waiting alone closes nobody, however long the debt was.
        budget.spend_entries(40_000, start).unwrap();
        budget.refill(start + seconds(35));
        assert!(!budget.is_exhausted());
    }

    #[test]
    fn long_messages_cost_more_than_short_ones() {
        let start = Instant::now();
        let mut budget = budget(start);
        budget.spend_message(1_023, start).unwrap();
        assert_eq!(budget.messages.allowance.left(start), 4);
        budget.spend_message(64 * 1_024, start).unwrap();
        assert_eq!(budget.ready_at(), Some(start + Duration::from_millis(6_200)));
    }

    #[test]
    fn who_subscribes_and_ends_much_in_turn_is_slowed_and_then_closed() {
        let start = Instant::now();
        let mut budget = budget(start);
        let (mut now, mut requests) = (start, 0);
        while budget.spend_entries(3_000, now).is_ok() {
            now = budget.ready_at().unwrap_or(now);
            requests += 1;
            assert!(requests < 1_000, "it is never closed");
        }
        assert!(now >= start + ENTRIES_TOLERANCE && now < start + 2 * ENTRIES_TOLERANCE, "{:?}", now - start);
        assert!(requests <= 12, "{requests} requests of 3,000 entries");
    }

    #[test]
    fn a_flood_of_control_frames_ends_soon_and_heartbeats_do_not() {
        let start = Instant::now();
        let mut budget = budget(start);
        (0..3_600).for_each(|second| budget.spend_control(start + seconds(second)).unwrap());
        assert!(!budget.is_exhausted());
        let start = start + seconds(3_600);
        let (mut now, mut count) = (start, 0);
        while budget.spend_control(now).is_ok() {
            now = budget.ready_at().unwrap_or(now);
            count += 1;
            assert!(count < 10_000, "it is never closed");
        }
        assert!(now >= start + CONTROL_TOLERANCE && now < start + 2 * CONTROL_TOLERANCE, "{:?}", now - start);
    }

    #[test]
    fn an_honest_client_meets_no_limit_on_entries() {
        let start = Instant::now();
        let mut budget = budget(start);
        // All that it may hold at the start, then everything ended and subscribed again, then a list of 500
        // changed every two seconds.
        for count in [5_000, 5_000, 5_000] {
            budget.spend_entries(count, start).unwrap();
            assert!(!budget.is_exhausted());
        }
        for step in 1..1_000 {
            budget.spend_entries(1_000, start + seconds(2 * step)).unwrap();
            assert!(!budget.is_exhausted(), "at step {step}");
        }
    }
}
