//! When exchanges trade, so that silence is a fault in their hours and none outside of them.
//!
//! [`Calendar`] is what a file says: sessions, weekends, holidays and special sessions of each market, by
//! exchange code. [`Calendars`] holds the present one. The answer to everything is a [`Phase`]; nothing here
//! reads a clock.
//!
//! An exchange that no market names trades around the clock as far as the host knows: better a needless
//! reconnect than a dead feed that nobody notices.

pub mod date;
mod day;
mod file;
mod hours;
mod present;

use std::{collections::BTreeMap, time::Duration};

use rustc_hash::FxHashMap;

use self::date::{Date, TimeOfDay};
pub use self::{
    day::{Moments, TradingDay},
    hours::Hours,
    present::Calendars,
};

/// Days that are looked at for the next session: longer than any row of holidays.
const HORIZON_DAYS: i64 = 40;

/// Bytes that a calendar file may have.
pub const MAX_FILE_BYTES: usize = 256 * 1_024;

/// When exchanges trade.
#[derive(Clone, Debug)]
pub struct Calendar {
    markets: Vec<Market>,
    by_exchange: FxHashMap<Box<str>, usize>,
    /// Time after an opening in which silence is none.
    grace: Duration,
    /// First and last date for which the holidays are listed.
    covers: (Date, Date),
}

/// Why a calendar cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is no TOML of the expected form.
    #[error("{0}")]
    Syntax(String),
    /// It says something that cannot be.
    #[error("market {market}: {message}")]
    Market {
        /// Name of the market.
        market: String,
        /// What is wrong, and what is allowed.
        message: String,
    },
}

/// Exchanges with the same hours.
#[derive(Clone, Debug)]
struct Market {
    is_always_open: bool,
    /// By day of the week, from Monday.
    weekdays: [bool; 7],
    pre_open_minutes: u32,
    sessions: Vec<Session>,
    seasons: Vec<Season>,
    /// Sessions of single dates instead of the usual ones; none on holidays.
    dates: BTreeMap<Date, Vec<Session>>,
}

/// From when to when, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Session {
    from: TimeOfDay,
    to: TimeOfDay,
}

/// Other hours for a part of the year.
#[derive(Clone, Debug)]
struct Season {
    from: Date,
    to: Date,
    sessions: Vec<Session>,
}

/// What an exchange does at one moment. Times are in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It trades, since then; 0 when it always does.
    Open {
        /// Start of the session.
        since_ns: u64,
    },
    /// Orders are collected before the first session. Ticks may come, and may not.
    PreOpen {
        /// Start of the session.
        opens_ns: u64,
    },
    /// It does not trade.
    Closed {
        /// Start of the next session; none when there is none within 40 days.
        opens_ns: Option<u64>,
    },
}

/// What all exchanges of a feed do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketPhase {
    /// At least one trades.
    Open,
    /// None trades, and at least one is about to.
    PreOpen {
        /// The earliest start of a session, in nanoseconds since the Unix epoch.
        opens_ns: u64,
    },
    /// None trades.
    Closed {
        /// As above, of the next session.
        opens_ns: Option<u64>,
    },
}

impl MarketPhase {
    /// The spelling in frames and status pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::PreOpen { .. } => "pre_open",
            Self::Closed { .. } => "closed",
        }
    }

    /// Start of the next session while none is on.
    pub const fn opens_ns(self) -> Option<u64> {
        match self {
            Self::Open => None,
            Self::PreOpen { opens_ns } => Some(opens_ns),
            Self::Closed { opens_ns } => opens_ns,
        }
    }
}

impl Calendar {
    /// The calendar that the program brings along. It must be checked against the circulars of the exchanges
    /// each year.
    ///
    /// # Panics
    /// Never: a test parses the file.
    #[expect(clippy::expect_used, reason = "the text is part of the program, and a test parses it")]
    pub fn built_in() -> Self {
        Self::parse(include_str!("../../data/calendar.toml")).expect("the built-in calendar is valid")
    }

    /// Reads the text of a calendar file.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        file::parse(text)
    }

    /// First and last date whose holidays it lists.
    pub const fn covers(&self) -> (Date, Date) {
        self.covers
    }

    /// What an exchange does at `now_ns`, in nanoseconds since the Unix epoch.
    pub fn phase(&self, exchange: &str, now_ns: u64) -> Phase {
        let market = self.by_exchange.get(exchange).and_then(|place| self.markets.get(*place));
        market.map_or(Phase::Open { since_ns: 0 }, |market| market.phase(now_ns))
    }

    /// What these exchanges do together; none when there are none.
    pub fn phase_of_all<'a>(
        &self,
        exchanges: impl IntoIterator<Item = &'a str>,
        now_ns: u64,
    ) -> Option<MarketPhase> {
        exchanges.into_iter().map(|exchange| self.phase(exchange, now_ns)).fold(None, |all, phase| {
            let earliest =
                |other: u64| all.and_then(MarketPhase::opens_ns).map_or(other, |known| known.min(other));
            Some(match (all, phase) {
                (Some(MarketPhase::Open), _) | (_, Phase::Open { .. }) => MarketPhase::Open,
                (_, Phase::PreOpen { opens_ns }) => MarketPhase::PreOpen { opens_ns: earliest(opens_ns) },
                (Some(pre_open @ MarketPhase::PreOpen { .. }), Phase::Closed { .. }) => pre_open,
                (_, Phase::Closed { opens_ns }) => MarketPhase::Closed {
                    opens_ns: opens_ns.map(earliest).or(all.and_then(MarketPhase::opens_ns)),
                },
            })
        })
    }

    /// Since when these exchanges should be heard, in nanoseconds since the Unix epoch: the end of the grace
    /// after the first opening among those that trade now. None when none trades, or the grace is not over.
    pub fn audible_since<'a>(
        &self,
        exchanges: impl IntoIterator<Item = &'a str>,
        now_ns: u64,
    ) -> Option<u64> {
        let grace_ns = u64::try_from(self.grace.as_nanos()).unwrap_or(u64::MAX);
        let opened = exchanges.into_iter().filter_map(|exchange| match self.phase(exchange, now_ns) {
            Phase::Open { since_ns: 0 } => Some(0),
            Phase::Open { since_ns } => Some(since_ns.saturating_add(grace_ns)),
            Phase::PreOpen { .. } | Phase::Closed { .. } => None,
        });
        opened.min().filter(|audible| *audible <= now_ns)
    }
}

impl Market {
    fn phase(&self, now_ns: u64) -> Phase {
        if self.is_always_open {
            return Phase::Open { since_ns: 0 };
        }
        let (today, time) = Date::in_india(now_ns);
        let sessions = self.sessions_on(today);
        if let Some(session) = sessions.iter().find(|session| session.from <= time && time < session.to) {
            return Phase::Open { since_ns: today.at(session.from) };
        }
        if let Some(first) = sessions.first()
            && time < first.from
            && first.from.minus_minutes(self.pre_open_minutes) <= time
        {
            return Phase::PreOpen { opens_ns: today.at(first.from) };
        }
        let later_today = sessions.iter().find(|session| time < session.from);
        let opens_ns = later_today.map(|session| today.at(session.from)).or_else(|| {
            (1..=HORIZON_DAYS)
                .map(|days| today.plus_days(days))
                .find_map(|date| self.sessions_on(date).first().map(|session| date.at(session.from)))
        });
        Phase::Closed { opens_ns }
    }

    /// Sessions of a date: what is said of the date itself, else those of its season, if it is a day of
    /// trade.
    fn sessions_on(&self, date: Date) -> &[Session] {
        if let Some(sessions) = self.dates.get(&date) {
            return sessions;
        }
        if !self.weekdays.get(date.weekday()).copied().unwrap_or(false) {
            return &[];
        }
        let season = self.seasons.iter().find(|season| season.from <= date && date <= season.to);
        season.map_or(&self.sessions, |season| &season.sessions)
    }
}

#[cfg(test)]
mod tests;
