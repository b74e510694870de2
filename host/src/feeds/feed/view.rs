//! What is true of a feed at one moment, silence considered, and how that is said to clients and operators.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tickhost_core::{
    calendar::{MarketPhase, date::Date},
    feed_state::FeedState,
    protocol::reply::{self, Counts, FeedFacts},
    silence::{Audience, Hearing, Rules},
};

use super::Feed;
use crate::base::clock::age_ms;

/// Longest text of a broker or an adapter that goes to clients, in bytes: whoever wrote it bounds nothing.
const MAX_ERROR_BYTES: usize = 512;

/// A feed at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedView {
    /// Its state.
    pub state: FeedState,
    /// When it was entered, in nanoseconds since the Unix epoch; 0 when nobody knows. [`FeedState::Stale`]
    /// counts from the last sign of life, or from the subscription of the first instrument, and
    /// [`FeedState::Live`] from the connect, whatever silence there was since.
    pub since_ns: u64,
    /// When the last tick came, in nanoseconds since the Unix epoch; 0 before the first.
    pub last_tick_ns: u64,
    /// The last thing that went wrong, for people, at most 512 bytes; none when that is over.
    pub last_error: Option<Arc<str>>,
    /// When the next attempt is made after a failure.
    pub retry_at: Option<Instant>,
    /// Attempts to connect since the last that succeeded.
    pub attempts: u32,
    /// Until a live feed is stale if nothing comes; none for others, and when nothing has to come.
    pub stale_in: Option<Duration>,
    /// Connections that are silent when they should be heard.
    pub silent: usize,
    /// Connections that carry instruments.
    pub carrying: usize,
    /// What the subscribed exchanges do; none when their hours do not matter, or nothing is subscribed.
    pub market: Option<MarketPhase>,
}

impl Feed {
    /// What is true of the feed at `now_ns`, in nanoseconds since the Unix epoch.
    pub fn view(&self, now_ns: u64) -> FeedView {
        let last_tick_ns = self.0.counters.last_tick_ns.get();
        let calendar = self.0.calendars.present();
        let status = self.0.status.lock();
        let rules = Rules { hours: status.hours, calendar: &calendar, stale_after: self.0.stale_after };
        let mut view = FeedView {
            state: status.state,
            since_ns: status.since_ns,
            last_tick_ns,
            last_error: status.last_error.as_ref().map(bounded),
            retry_at: status.retry_at,
            attempts: status.attempts,
            carrying: status.connections.iter().filter(|connection| connection.instruments > 0).count(),
            market: rules.market(&status.connections, now_ns),
            ..FeedView::default()
        };
        if status.state == FeedState::Live {
            let is_only_one = status.connections.len() == 1;
            let heard = status.connections.iter().map(|connection| {
                let own = connection.last_tick_ns.as_ref().map_or(0, |last| last.get());
                // Also what came before this instance, and from the bus, which has none.
                let last = if is_only_one { own.max(last_tick_ns) } else { own };
                rules.hearing(connection, last, now_ns)
            });
            view.consider_silence(heard);
        }
        view
    }
}

impl Feed {
    /// Its instruments.
    pub fn counts(&self) -> Counts {
        let status = self.0.status.lock();
        let (subscribed, active) = (status.instruments as u64, self.0.counters.active.get());
        // They are counted on different threads, one of which may be a moment ahead.
        Counts { subscribed, active: active.min(subscribed), pending: status.pending as u64 }
    }

    /// By what the silence of single subscriptions is judged; none while the broker is not connected.
    pub fn audience(&self) -> Option<Audience> {
        let status = self.0.status.lock();
        let audience = || Audience::new(status.hours, self.0.calendars.present());
        (status.state == FeedState::Live).then(audience)
    }
}

impl FeedView {
    fn consider_silence(&mut self, heard: impl Iterator<Item = Hearing>) {
        for hearing in heard {
            match hearing {
                Hearing::Silent { since_ns } => {
                    self.since_ns = if self.silent == 0 { since_ns } else { self.since_ns.min(since_ns) };
                    self.silent += 1;
                    self.state = FeedState::Stale;
                }
                Hearing::Heard { stale_in } => {
                    self.stale_in = Some(self.stale_in.map_or(stale_in, |known| known.min(stale_in)));
                }
                Hearing::Down | Hearing::Excused => {}
            }
        }
    }

    /// Whether it tells clients something that they have not `heard`. That times pass they know, and that an
    /// attempt which was announced is being made.
    pub(super) fn is_news_after(&self, heard: &Self) -> bool {
        // Before anything is subscribed no exchange matters, and of one that trades nothing is to be said.
        let market = |view: &Self| view.market.map_or("open", MarketPhase::label);
        (self.state, &self.last_error, market(self)) != (heard.state, &heard.last_error, market(heard))
            || self.retry_at.is_some() && self.retry_at != heard.retry_at
    }

    /// Whether the broker is connected; a feed that is only silent is.
    pub const fn is_connected(&self) -> bool {
        matches!(self.state, FeedState::Live | FeedState::Stale)
    }

    /// As frames say it at this moment, which is `now_ns` since the Unix epoch.
    pub fn facts<'a>(&self, broker: &'a str, now_ns: u64, now: Instant) -> FeedFacts<'a> {
        let retry_in = self.retry_at.map(|at| at.saturating_duration_since(now));
        FeedFacts {
            broker,
            state: self.state.label(),
            state_age_ms: age_ms(self.since_ns, now_ns),
            last_tick_age_ms: age_ms(self.last_tick_ns, now_ns),
            retry_in_ms: retry_in.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
            attempts: (self.attempts > 0).then_some(self.attempts),
            market: self.market.map(MarketPhase::label),
            opens_in_ms: self
                .market
                .and_then(MarketPhase::opens_ns)
                .map(|at| at.saturating_sub(now_ns) / 1_000_000),
        }
    }

    /// The news frame of this moment.
    pub(super) fn frame(&self, broker: &str, now_ns: u64, now: Instant) -> bytes::Bytes {
        reply::feed_status(&self.facts(broker, now_ns, now), &self.message(now_ns))
    }

    /// The state in a sentence for people.
    pub fn message(&self, now_ns: u64) -> String {
        let sentence = match self.state {
            FeedState::Starting => "not connected to the broker yet",
            FeedState::Connecting if self.last_error.is_none() => "connecting to the broker",
            FeedState::Connecting => "connecting to the broker again",
            FeedState::Live => return self.live_message(),
            FeedState::Stale => {
                let silence = Duration::from_nanos(now_ns.saturating_sub(self.since_ns)).as_secs();
                let (silent, carrying) = (self.silent, self.carrying);
                return if silent < carrying {
                    format!(
                        "connected to the broker, but {silent} of {carrying} connections silent for {silence} s"
                    )
                } else {
                    format!("connected to the broker, but silent for {silence} s")
                };
            }
            FeedState::AuthFailed => "the broker refused the credentials, new ones are needed",
            FeedState::Down => "the adapter failed and will be started again",
            FeedState::Closed => "ended",
        };
        match &self.last_error {
            Some(error) => format!("{sentence}: {error}"),
            None => sentence.to_owned(),
        }
    }
}

impl FeedView {
    fn live_message(&self) -> String {
        let closed = match self.market {
            None | Some(MarketPhase::Open) => "",
            Some(MarketPhase::PreOpen { .. }) => "; its exchanges are in pre-open",
            Some(MarketPhase::Closed { .. }) => "; its exchanges are closed",
        };
        let next = self.market.and_then(MarketPhase::opens_ns).map(|opens_ns| {
            let (date, time) = Date::in_india(opens_ns);
            format!(", next session {date} {time} in India")
        });
        let error = self.last_error.as_ref().map(|error| format!(": {error}"));
        format!("connected to the broker{closed}{}{}", next.unwrap_or_default(), error.unwrap_or_default())
    }
}

fn bounded(error: &Arc<str>) -> Arc<str> {
    match error.get(..error.floor_char_boundary(MAX_ERROR_BYTES)) {
        Some(beginning) if beginning.len() < error.len() => beginning.into(),
        _ => Arc::clone(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;
    fn live() -> FeedView {
        FeedView { state: FeedState::Live, since_ns: SECOND_NS, carrying: 3, ..FeedView::default() }
    }

    #[test]
    fn one_silent_connection_makes_the_feed_stale_and_is_told_from_all_of_them() {
        let heard = |seconds| Hearing::Heard { stale_in: Duration::from_secs(seconds) };
        let silent = |since| Hearing::Silent { since_ns: since * SECOND_NS };
        let mut view = live();
        view.consider_silence([heard(9), Hearing::Excused, heard(5)].into_iter());
        assert_eq!((view.state, view.stale_in), (FeedState::Live, Some(Duration::from_secs(5))));
        assert_eq!(view.message(60 * SECOND_NS), "connected to the broker");
        let mut view = live();
        view.consider_silence([heard(9), silent(40), heard(5)].into_iter());
        assert_eq!((view.state, view.since_ns), (FeedState::Stale, 40 * SECOND_NS));
        assert_eq!(
            view.message(60 * SECOND_NS),
            "connected to the broker, but 1 of 3 connections silent for 20 s"
        );
        let mut view = live();
        view.consider_silence([silent(40), silent(30), silent(50)].into_iter());
        assert_eq!(view.message(60 * SECOND_NS), "connected to the broker, but silent for 30 s");
        assert!(view.is_connected());
    }

    #[test]
    fn closed_exchanges_are_said_with_their_next_session() {
        let opens_ns = "2026-11-30".parse::<Date>().unwrap().at("09:15".parse().unwrap());
        let closed = FeedView { market: Some(MarketPhase::Closed { opens_ns: Some(opens_ns) }), ..live() };
        assert_eq!(
            closed.message(0),
            "connected to the broker; its exchanges are closed, next session 2026-11-30 09:15 in India"
        );
        let facts = closed.facts("acme", opens_ns - 2 * SECOND_NS, Instant::now());
        assert_eq!((facts.market, facts.opens_in_ms), (Some("closed"), Some(2_000)));
        assert!(closed.is_news_after(&live()));
        let open = FeedView { market: Some(MarketPhase::Open), ..live() };
        assert!(!open.is_news_after(&live()), "that something was subscribed is no news");
        assert!(open.is_news_after(&closed));
        assert_eq!(open.facts("acme", 0, Instant::now()).market, Some("open"));
    }

    #[test]
    fn facts_are_of_the_moment_and_what_is_not_known_is_absent() {
        let now = Instant::now();
        let retry_at = Some(now + Duration::from_millis(2_500));
        let down = FeedView { state: FeedState::Down, since_ns: SECOND_NS, retry_at, ..FeedView::default() };
        let at = |seconds| down.facts("sim", (1 + seconds) * SECOND_NS, now + Duration::from_secs(seconds));
        assert_eq!((at(1).state, at(1).state_age_ms, at(1).retry_in_ms), ("down", Some(1_000), Some(1_500)));
        assert_eq!((at(9).state_age_ms, at(9).retry_in_ms), (Some(9_000), Some(0)));
        assert_eq!(at(1).last_tick_age_ms, None);
        assert_eq!(FeedView::default().facts("sim", SECOND_NS, now).state_age_ms, None);
    }

    #[test]
    fn the_reason_stands_in_the_message_and_an_endless_one_is_cut() {
        let said = |state, error: Option<&str>| {
            let last_error = error.map(Arc::from).as_ref().map(bounded);
            FeedView { state, last_error, ..FeedView::default() }.message(0)
        };
        assert_eq!(said(FeedState::Connecting, None), "connecting to the broker");
        assert_eq!(said(FeedState::Connecting, Some("reset")), "connecting to the broker again: reset");
        assert_eq!(
            said(FeedState::Down, Some("crashed")),
            "the adapter failed and will be started again: crashed"
        );
        let endless = "é".repeat(1_000_000);
        assert!(said(FeedState::AuthFailed, Some(&endless)).len() < MAX_ERROR_BYTES + 100);
    }
}
