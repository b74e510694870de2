//! Whether a connection is silent when it should be heard, and what is done about that.
//!
//! A connection that is up and carries instruments is *audible* while at least one of their exchanges trades.
//! Silence of one that is audible, longer than its pace explains (`pace`) or than the settings allow, is
//! answered by a reconnect at once; when that does not help, by another instance after pauses that double up
//! to half an hour. Nights, weekends and holidays cause none, and a reconnect that silence caused is no sign
//! of life: only a tick is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_time::Backoff;

use crate::{
    calendar::{Calendar, Hours, MarketPhase},
    feed_state::FeedState,
    metrics::Counter,
};

/// Longest pause between two answers to one silence. It never gives up for good.
const LONGEST_PAUSE: Duration = Duration::from_mins(30);

/// What one connection of a feed says of itself.
#[derive(Clone, Debug, Default)]
pub struct ConnectionStatus {
    /// Its number, from 0.
    pub number: usize,
    /// State, silence not considered.
    pub state: FeedState,
    /// When it was entered, in nanoseconds since the Unix epoch; 0 when it never was.
    pub since_ns: u64,
    /// Instruments that it carries.
    pub instruments: usize,
    /// When the first of them came to it, in nanoseconds since the Unix epoch.
    pub listening_since_ns: u64,
    /// Their exchanges.
    pub exchanges: Arc<[Arc<str>]>,
    /// When its present instance published last, in nanoseconds since the Unix epoch; none without one.
    pub last_tick_ns: Option<Arc<Counter>>,
    /// Longest silence that means nothing, from how often it is heard; none while that is not known.
    pub patience: Option<Duration>,
    /// When the present silence was answered first, in nanoseconds since the Unix epoch; 0 when there is
    /// none.
    pub suspect_since_ns: u64,
    /// Attempts to connect since the last that succeeded; the one that is under way counts.
    pub attempts: u32,
    /// The last thing that went wrong, for people.
    pub last_error: Option<Arc<str>>,
    /// When the next attempt is made after a failure.
    pub retry_at: Option<Instant>,
}

/// How a connection is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It is not up.
    Down,
    /// It may be silent as long as it likes: it carries nothing, or its exchanges do not trade.
    Excused,
    /// It was heard, and may go on being silent for so long.
    Heard {
        /// Time until its silence is too long.
        stale_in: Duration,
    },
    /// It is silent for too long, since then.
    Silent {
        /// When it was heard last, in nanoseconds since the Unix epoch.
        since_ns: u64,
    },
}

/// By what a feed is judged.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// When it may not be silent.
    pub hours: Hours,
    /// When exchanges trade.
    pub calendar: &'a Calendar,
    /// Silence that is too long where the pace of a connection is not known.
    pub stale_after: Duration,
}

impl Rules<'_> {
    /// Judges a connection at `now_ns`. `last_tick_ns` is that of its last tick.
    pub fn hearing(self, connection: &ConnectionStatus, last_tick_ns: u64, now_ns: u64) -> Hearing {
        if connection.state != FeedState::Live {
            return Hearing::Down;
        }
        let exchanges = connection.exchanges.iter().map(|exchange| &**exchange);
        let audible_since_ns = match self.hours {
            Hours::Always => Some(0),
            Hours::Exchange => self.calendar.audible_since(exchanges, now_ns),
        };
        let Some(audible_since_ns) = audible_since_ns.filter(|_| connection.instruments > 0) else {
            return Hearing::Excused;
        };
        let is_suspect = connection.suspect_since_ns > last_tick_ns;
        let connected_ns = if is_suspect { 0 } else { connection.since_ns };
        let last_sign_ns =
            last_tick_ns.max(connected_ns).max(connection.listening_since_ns).max(audible_since_ns);
        let silence = Duration::from_nanos(now_ns.saturating_sub(last_sign_ns));
        let patience = connection.patience.unwrap_or(self.stale_after);
        if silence > patience {
            Hearing::Silent { since_ns: last_sign_ns }
        } else {
            Hearing::Heard { stale_in: patience.saturating_sub(silence) }
        }
    }

    /// Exchanges of a connection that trade at `now_ns`.
    pub fn open_exchanges(self, connection: &ConnectionStatus, now_ns: u64) -> usize {
        let is_open = |exchange: &&Arc<str>| match self.hours {
            Hours::Always => true,
            Hours::Exchange => self.calendar.audible_since([&***exchange], now_ns).is_some(),
        };
        connection.exchanges.iter().filter(is_open).count()
    }

    /// What the exchanges of these connections do; none when their hours do not matter, or nothing is
    /// subscribed.
    pub fn market(self, connections: &[ConnectionStatus], now_ns: u64) -> Option<MarketPhase> {
        let carrying = connections.iter().filter(|connection| connection.instruments > 0);
        let exchanges =
            carrying.flat_map(|connection| connection.exchanges.iter().map(|exchange| &**exchange));
        match self.hours {
            Hours::Always => None,
            Hours::Exchange => self.calendar.phase_of_all(exchanges, now_ns),
        }
    }
}

/// By what the silence of single subscriptions of a feed is judged, at one moment.
#[derive(Clone, Debug)]
pub struct Audience {
    hours: Hours,
    calendar: Arc<Calendar>,
}

impl Audience {
    /// Judged by these hours.
    pub const fn new(hours: Hours, calendar: Arc<Calendar>) -> Self {
        Self { hours, calendar }
    }

    /// Whether an exchange has traded for at least this time at `now_ns`, in nanoseconds since the Unix
    /// epoch.
    pub fn is_audible_for(&self, exchange: &str, time: Duration, now_ns: u64) -> bool {
        let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        match self.hours {
            Hours::Always => true,
            Hours::Exchange => self
                .calendar
                .audible_since([exchange], now_ns)
                .is_some_and(|since_ns| now_ns.saturating_sub(since_ns) >= time_ns),
        }
    }
}

/// What is done about a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The instance is told to connect again.
    Reconnect,
    /// Another instance takes its place.
    Replace,
}

/// The answers to the silence of one connection.
#[derive(Debug, Default)]
pub struct Answers {
    count: u32,
    /// When the next one may be given.
    next_at: Option<Instant>,
    /// When the first one was given, in nanoseconds since the Unix epoch; 0 when there was none.
    pub since_ns: u64,
}

impl Answers {
    /// Takes how the connection is heard at a moment, once as wall-clock time in nanoseconds since the Unix
    /// epoch; gives what is to be done.
    pub fn handle(
        &mut self,
        hearing: Hearing,
        last_tick_ns: u64,
        stale_after: Duration,
        (now, now_ns): (Instant, u64),
    ) -> Option<Answer> {
        match hearing {
            Hearing::Down => None,
            Hearing::Excused => {
                *self = Self::default();
                None
            }
            Hearing::Heard { .. } => {
                if last_tick_ns > self.since_ns {
                    *self = Self::default();
                }
                None
            }
            Hearing::Silent { .. } if self.next_at.is_some_and(|next_at| now < next_at) => None,
            Hearing::Silent { .. } => {
                let answer = if self.count == 0 { Answer::Reconnect } else { Answer::Replace };
                if self.count == 0 {
                    self.since_ns = now_ns;
                }
                self.count = self.count.saturating_add(1);
                self.next_at = Some(now + pause(self.count, stale_after));
                Some(answer)
            }
        }
    }
}

/// Between an answer and the next: longer than the silence that it takes to notice that it did not help.
fn pause(count: u32, stale_after: Duration) -> Duration {
    Backoff::new(stale_after, LONGEST_PAUSE.max(stale_after)).whole(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::date::Date;

    const SECOND_NS: u64 = 1_000_000_000;
    const STALE_AFTER: Duration = Duration::from_secs(15);

    fn connection(since: u64, listening_since: u64) -> ConnectionStatus {
        ConnectionStatus {
            state: FeedState::Live,
            since_ns: since * SECOND_NS,
            instruments: 1,
            listening_since_ns: listening_since * SECOND_NS,
            exchanges: [Arc::from("NSE")].into(),
            ..ConnectionStatus::default()
        }
    }

    fn rules(hours: Hours, calendar: &Calendar) -> Rules<'_> {
        Rules { hours, calendar, stale_after: STALE_AFTER }
    }

    #[test]
    fn silence_counts_from_the_last_tick_the_connect_or_the_subscription_whichever_came_last() {
        let calendar = Calendar::built_in();
        for (since, last_tick, listening) in [(10, 40, 5), (40, 10, 5), (40, 0, 20), (10, 20, 40)] {
            let connection = connection(since, listening);
            let at = |seconds: u64| {
                rules(Hours::Always, &calendar).hearing(
                    &connection,
                    last_tick * SECOND_NS,
                    seconds * SECOND_NS,
                )
            };
            assert_eq!(at(50), Hearing::Heard { stale_in: Duration::from_secs(5) });
            assert_eq!(at(55), Hearing::Heard { stale_in: Duration::ZERO });
            assert_eq!(at(60), Hearing::Silent { since_ns: 40 * SECOND_NS });
        }
    }

    #[test]
    fn what_is_down_or_carries_nothing_is_not_judged() {
        let calendar = Calendar::built_in();
        let at = |connection: &ConnectionStatus| {
            rules(Hours::Always, &calendar).hearing(connection, 0, 1_000 * SECOND_NS)
        };
        let up = connection(1, 1);
        assert_eq!(at(&ConnectionStatus { instruments: 0, ..up.clone() }), Hearing::Excused);
        assert_eq!(at(&ConnectionStatus { state: FeedState::Connecting, ..up }), Hearing::Down);
    }

    #[test]
    fn a_reconnect_that_silence_caused_is_no_sign_of_life_and_a_tick_is() {
        let calendar = Calendar::built_in();
        let suspect = ConnectionStatus { suspect_since_ns: 60 * SECOND_NS, ..connection(61, 5) };
        let at = |last_tick: u64, seconds: u64| {
            rules(Hours::Always, &calendar).hearing(&suspect, last_tick * SECOND_NS, seconds * SECOND_NS)
        };
        assert_eq!(at(40, 62), Hearing::Silent { since_ns: 40 * SECOND_NS });
        assert_eq!(at(62, 62), Hearing::Heard { stale_in: STALE_AFTER });
    }

    #[test]
    fn only_the_hours_of_the_exchange_count() {
        let calendar = Calendar::built_in();
        let at = |date: &str, time: &str| date.parse::<Date>().unwrap().at(time.parse().unwrap());
        let connection = ConnectionStatus { listening_since_ns: 1, ..connection(0, 0) };
        let last_tick_ns = at("2026-11-25", "15:29");
        let judged =
            |hours, date, time| rules(hours, &calendar).hearing(&connection, last_tick_ns, at(date, time));
        let by_exchange = |date, time| judged(Hours::Exchange, date, time);
        for (date, time) in [
            ("2026-11-25", "23:00"),
            ("2026-11-26", "09:10"),
            ("2026-11-26", "09:15"),
            ("2026-11-28", "12:00"),
        ] {
            assert_eq!(by_exchange(date, time), Hearing::Excused, "{date} {time}");
        }
        // The night does not count: there is as much time as after a connect.
        assert_eq!(by_exchange("2026-11-26", "09:16"), Hearing::Heard { stale_in: STALE_AFTER });
        assert_eq!(
            by_exchange("2026-11-26", "09:17"),
            Hearing::Silent { since_ns: at("2026-11-26", "09:16") }
        );
        assert_eq!(judged(Hours::Always, "2026-11-25", "23:00"), Hearing::Silent { since_ns: last_tick_ns });
    }

    #[test]
    fn a_silence_is_answered_at_once_then_later_and_later_until_a_tick_comes() {
        let start = Instant::now();
        let mut answers = Answers::default();
        let silent = Hearing::Silent { since_ns: 1 };
        let mut given = Vec::new();
        for second in 0..4_000_u64 {
            let moment = (start + Duration::from_secs(second), (1_000 + second) * SECOND_NS);
            // While the reconnect is made nothing is judged, and that is no reason to start over.
            let hearing = if second % 7 == 3 { Hearing::Down } else { silent };
            given.extend(answers.handle(hearing, 1, STALE_AFTER, moment).map(|answer| (second, answer)));
        }
        let seconds: Vec<u64> = given.iter().map(|(second, _)| *second).collect();
        assert_eq!((given[0], given[1].1), ((0, Answer::Reconnect), Answer::Replace));
        let pauses: Vec<u64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (pause, wanted) in pauses.iter().zip([30, 60, 120, 240, 480, 960, 1_800]) {
            assert!((wanted..=wanted + 1).contains(pause), "{pauses:?}");
        }
        assert_eq!(answers.since_ns, 1_000 * SECOND_NS);
        let later = (start + Duration::from_secs(4_001), 5_001 * SECOND_NS);
        let heard = Hearing::Heard { stale_in: STALE_AFTER };
        assert_eq!(answers.handle(heard, 5_000 * SECOND_NS, STALE_AFTER, later), None);
        assert_eq!(
            answers.handle(silent, 1, STALE_AFTER, later),
            Some(Answer::Reconnect),
            "a silence of its own"
        );
    }

    #[test]
    fn a_connection_may_be_silent_as_long_as_its_own_pace_explains() {
        let calendar = Calendar::built_in();
        for (patience, stale_in) in [(5, 3), (100, 98)] {
            let patient =
                ConnectionStatus { patience: Some(Duration::from_secs(patience)), ..connection(1, 1) };
            let at = |seconds: u64| rules(Hours::Always, &calendar).hearing(&patient, 0, seconds * SECOND_NS);
            assert_eq!(at(3), Hearing::Heard { stale_in: Duration::from_secs(stale_in) });
            assert_eq!(at(2 + patience), Hearing::Silent { since_ns: SECOND_NS });
        }
    }

    #[test]
    fn only_exchanges_that_trade_are_open_and_only_connections_that_carry_something_count() {
        let calendar = Calendar::built_in();
        // The evening: of these only MCX trades.
        let now_ns = "2026-11-25".parse::<Date>().unwrap().at("20:00".parse().unwrap());
        let of = |exchanges: &[&str], instruments| ConnectionStatus {
            exchanges: exchanges.iter().map(|exchange| Arc::from(*exchange)).collect(),
            instruments,
            ..connection(1, 1)
        };
        let both = of(&["NSE", "MCX"], 2);
        assert_eq!(rules(Hours::Exchange, &calendar).open_exchanges(&both, now_ns), 1);
        assert_eq!(rules(Hours::Always, &calendar).open_exchanges(&both, now_ns), 2);
        let market =
            |hours, mcx| rules(hours, &calendar).market(&[of(&["NSE"], 1), of(&["MCX"], mcx)], now_ns);
        assert_eq!(market(Hours::Exchange, 1), Some(MarketPhase::Open));
        assert!(matches!(market(Hours::Exchange, 0), Some(MarketPhase::Closed { .. })));
        assert_eq!(market(Hours::Always, 1), None);
    }

    #[test]
    fn a_subscription_is_judged_once_its_exchange_has_traded_long_enough() {
        let calendar = Arc::new(Calendar::built_in());
        let at = |time: &str| "2026-11-25".parse::<Date>().unwrap().at(time.parse().unwrap());
        let audible = |hours, minutes, time| {
            let audience = Audience::new(hours, Arc::clone(&calendar));
            audience.is_audible_for("NSE", Duration::from_mins(minutes), at(time))
        };
        // Trade begins at 09:15, and its grace is over a minute later.
        for (time, expected) in
            [("09:15", false), ("09:25", false), ("09:26", true), ("15:29", true), ("15:30", false)]
        {
            assert_eq!(audible(Hours::Exchange, 10, time), expected, "{time}");
        }
        assert!(audible(Hours::Always, 10, "03:00"));
    }
}
