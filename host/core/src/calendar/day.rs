//! Trading days: what the values of "today" belong to.

use super::{Calendar, HORIZON_DAYS, Market, date::Date};

/// One day of trade of an exchange. It begins with the pre-open before its first session and lasts until the
/// next one begins, nights, weekends and holidays included: what is said in between is still of this day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradingDay {
    /// Its date in India, by which two of them are told apart.
    pub date: Date,
    /// All that belong to it.
    pub moments: Moments,
}

/// Moments from one until another, in nanoseconds since the Unix epoch. By default not one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    from_ns: u64,
    span_ns: u64,
}

impl Moments {
    /// Every moment that a clock shows: all but the last nanosecond that fits in the number.
    pub const ALL: Self = Self { from_ns: 0, span_ns: u64::MAX };

    /// Not one.
    pub const NONE: Self = Self { from_ns: 0, span_ns: 0 };

    const fn new(from_ns: u64, until_ns: u64) -> Self {
        Self { from_ns, span_ns: until_ns.saturating_sub(from_ns) }
    }

    /// Those that are among both.
    fn and(self, other: Self) -> Self {
        let until = |moments: Self| moments.from_ns.saturating_add(moments.span_ns);
        Self::new(self.from_ns.max(other.from_ns), until(self).min(until(other)))
    }

    /// Whether this moment is one of them. One comparison: it is asked for each tick.
    #[inline]
    pub const fn contains(self, at_ns: u64) -> bool {
        at_ns.wrapping_sub(self.from_ns) < self.span_ns
    }
}

impl Calendar {
    /// The trading day of an exchange to which a moment in nanoseconds since the Unix epoch belongs. None
    /// where trade never stops, as far as is known, or where none was within 40 days.
    pub fn trading_day(&self, exchange: &str, at_ns: u64) -> Option<TradingDay> {
        self.by_exchange.get(exchange).and_then(|place| self.markets.get(*place))?.trading_day(at_ns)
    }

    /// Moments around this one between which no trading day begins, of whatever exchange. None where a market
    /// has not had a day within 40 days, and may begin one.
    pub fn settled_around(&self, at_ns: u64) -> Moments {
        let mut with_days = self.markets.iter().filter(|market| !market.is_always_open);
        with_days
            .try_fold(Moments::ALL, |all, market| Some(all.and(market.trading_day(at_ns)?.moments)))
            .unwrap_or(Moments::NONE)
    }
}

impl Market {
    fn trading_day(&self, at_ns: u64) -> Option<TradingDay> {
        if self.is_always_open {
            return None;
        }
        let (today, _) = Date::in_india(at_ns);
        let (date, from_ns) = (0..=HORIZON_DAYS).map(|days| today.plus_days(-days)).find_map(|date| {
            let from_ns = self.begin_of(date)?;
            (from_ns <= at_ns).then_some((date, from_ns))
        })?;
        let until_ns =
            (1..=HORIZON_DAYS).find_map(|days| self.begin_of(date.plus_days(days))).unwrap_or(u64::MAX);
        Some(TradingDay { date, moments: Moments::new(from_ns, until_ns) })
    }

    /// When the trading day of this date begins, if it is one.
    fn begin_of(&self, date: Date) -> Option<u64> {
        let first = self.sessions_on(date).first()?;
        Some(date.at(first.from.minus_minutes(self.pre_open_minutes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(date: &str, time: &str) -> u64 {
        date.parse::<Date>().unwrap().at(time.parse().unwrap())
    }

    fn date_of(exchange: &str, date: &str, time: &str) -> Option<String> {
        let day = Calendar::built_in().trading_day(exchange, at(date, time))?;
        assert!(day.moments.contains(at(date, time)));
        Some(day.date.to_string())
    }

    #[test]
    fn a_trading_day_lasts_from_its_pre_open_to_the_next() {
        // A Friday before a usual weekend, and the Tuesday of a holiday.
        for (date, time, expected) in [
            ("2026-11-27", "08:59", "2026-11-26"),
            ("2026-11-27", "09:00", "2026-11-27"),
            ("2026-11-27", "15:31", "2026-11-27"),
            ("2026-11-28", "12:00", "2026-11-27"),
            ("2026-11-30", "08:59", "2026-11-27"),
            ("2026-11-30", "09:00", "2026-11-30"),
            ("2026-11-24", "12:00", "2026-11-23"),
            ("2026-11-25", "08:00", "2026-11-23"),
        ] {
            assert_eq!(date_of("NSE", date, time).as_deref(), Some(expected), "{date} {time}");
        }
        let Moments { from_ns, span_ns } =
            Calendar::built_in().trading_day("NSE", at("2026-11-27", "12:00")).unwrap().moments;
        assert_eq!((from_ns, from_ns + span_ns), (at("2026-11-27", "09:00"), at("2026-11-30", "09:00")));
    }

    #[test]
    fn moments_are_those_from_the_first_until_the_last() {
        let some = Moments::new(5, 9);
        assert_eq!([4, 5, 8, 9, u64::MAX].map(|at| some.contains(at)), [false, true, true, false, false]);
        assert!([0, 1, u64::MAX - 1].into_iter().all(|at| Moments::ALL.contains(at)));
        assert!(![0, 1, u64::MAX].into_iter().any(|at| Moments::NONE.contains(at)));
    }

    #[test]
    fn each_exchange_has_its_own_beginning_and_some_have_none() {
        assert_eq!(date_of("CDS", "2026-11-27", "08:59").as_deref(), Some("2026-11-26"));
        assert_eq!(date_of("CRYPTO", "2026-11-27", "08:59"), None);
        // Whatever a broker takes for a time.
        for at_ns in [0, 1, u64::MAX / 2, u64::MAX] {
            Calendar::built_in().trading_day("NSE", at_ns);
        }
    }

    #[test]
    fn no_day_of_any_exchange_begins_within_what_is_settled() {
        let calendar = Calendar::built_in();
        // A Wednesday without holidays.
        let noon = at("2026-11-25", "12:00");
        let settled = calendar.settled_around(noon);
        assert!(settled.contains(noon) && settled.contains(at("2026-11-25", "23:00")));
        for exchange in ["NSE", "MCX", "CDS"] {
            let day = calendar.trading_day(exchange, noon).unwrap().moments;
            for moment in [at("2026-11-25", "07:00"), at("2026-11-25", "09:30"), at("2026-11-26", "09:30")] {
                assert!(!settled.contains(moment) || day.contains(moment), "{exchange} {moment}");
            }
        }
        assert!(!settled.contains(at("2026-11-26", "09:30")) && !settled.contains(at("2026-11-24", "12:00")));
        let [early, late] = [Moments::new(10, 20), Moments::new(15, 30)];
        assert_eq!(
            (early.and(late), early.and(Moments::new(40, 50)).contains(40)),
            (Moments::new(15, 20), false)
        );
        assert_eq!(early.and(Moments::ALL), early);
    }
}
