//! The path of a spot price, and what futures and options are worth along it.

use super::{mul_div, random::Random};
use crate::universe::{Kind, PRICE_SCALE, Right, Spot};

/// Parts per billion in 1.
const ONE: i64 = 1_000_000_000;

/// How far a spot price strays from the price it began at: 5 %, which keeps two such prices within a day's
/// limits.
const BAND_PPB: i64 = ONE / 20;

/// A step takes this part of the deviation back, so that the price stays near where it began for days on end.
const REVERSION: i64 = 1_024;

/// Yearly premium of futures over the spot price, in thousandths.
const CARRY_PERMILLE: i64 = 65;

/// A random walk around a price, drawn back to it.
#[derive(Clone, Debug)]
pub(super) struct Path {
    random: Random,
    price: i64,
    step_ppb: i64,
    volatility_permille: i64,
    previous_ppb: i64,
    deviation_ppb: i64,
}

impl Path {
    pub(super) fn new(seed: u64, spot: &Spot) -> Self {
        let mut random = Random::new(seed, &spot.name);
        let previous_ppb = in_band(random.bell(spot.step_ppb.saturating_mul(15)));
        let gap_ppb = random.bell(spot.step_ppb.saturating_mul(5));
        Self {
            random,
            price: spot.price,
            step_ppb: spot.step_ppb,
            volatility_permille: spot.volatility_permille,
            previous_ppb,
            deviation_ppb: in_band(previous_ppb + gap_ppb),
        }
    }

    pub(super) fn advance(&mut self) {
        let back = self.deviation_ppb / REVERSION;
        self.deviation_ppb = in_band(self.deviation_ppb - back + self.random.bell(self.step_ppb));
    }

    /// What an instrument on this spot price is worth now, scaled, not yet on its tick size.
    pub(super) fn price(&self, kind: Kind) -> i64 {
        self.price_at(kind, self.deviation_ppb)
    }

    /// What it was worth at the end of the day before.
    pub(super) fn previous_close(&self, kind: Kind) -> i64 {
        self.price_at(kind, self.previous_ppb)
    }

    /// How the price of an option follows from what it depends on; none for what is no option.
    pub(super) fn greeks(&self, kind: Kind) -> Option<Greeks> {
        let Kind::Option { right, strike, days } = kind else { return None };
        let (spot, volatility) = (self.spot_at(self.deviation_ppb), self.volatility_permille);
        let half_days = half_days(days);
        // One standard deviation of what the spot may still do, over which the corner of the curve at the
        // strike is as smooth as Black and Scholes have it.
        let step = width(spot, half_days, volatility).max(1);
        let price = |spot: i64| option_price(right, spot, strike, half_days, volatility);
        let (above, here, below) = (price(spot + step), price(spot), price(spot - step));
        let bend = above.saturating_sub(here).saturating_sub(here).saturating_add(below);
        let least = if right == Right::Call { 0 } else { -PRICE_SCALE };
        let later = option_price(right, spot, strike, (half_days - 2).max(0), volatility);
        let wilder = option_price(right, spot, strike, half_days, volatility + 10);
        Some(Greeks {
            // The curve decays more slowly than theirs, and would pass the bounds far from the strike.
            delta: mul_div(above - below, PRICE_SCALE, 2 * step).clamp(least, least + PRICE_SCALE),
            gamma: mul_div(mul_div(bend, PRICE_SCALE, step), PRICE_SCALE, step).max(0),
            theta: later - here,
            vega: wilder - here,
            implied_volatility: volatility.saturating_mul(PRICE_SCALE / 10),
        })
    }

    fn spot_at(&self, deviation_ppb: i64) -> i64 {
        mul_div(self.price, ONE + deviation_ppb, ONE)
    }

    fn price_at(&self, kind: Kind, deviation_ppb: i64) -> i64 {
        let spot = self.spot_at(deviation_ppb);
        match kind {
            Kind::Equity | Kind::Index | Kind::Crypto => spot,
            Kind::Future { days } => {
                spot.saturating_add(mul_div(spot, CARRY_PERMILLE * days.max(0), 365 * 1_000))
            }
            Kind::Option { right, strike, days } => {
                option_price(right, spot, strike, half_days(days), self.volatility_permille)
            }
        }
    }
}

/// How the price of an option follows from what it depends on. Scaled like prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeks {
    /// Its change for a change of the spot by 1.
    pub delta: i64,
    /// The change of `delta` for a change of the spot by 1.
    pub gamma: i64,
    /// Its change in a day.
    pub theta: i64,
    /// Its change for a change of the volatility by one percentage point.
    pub vega: i64,
    /// The volatility that it is priced with, in percent a year.
    pub implied_volatility: i64,
}

/// Half a day is left on the last day.
fn half_days(days: i64) -> i64 {
    days.max(0).saturating_mul(2).saturating_add(1)
}

/// One standard deviation of what the spot may do until then.
fn width(spot: i64, half_days: i64, volatility_permille: i64) -> i64 {
    let root_permille = half_days.saturating_mul(1_000_000 / (2 * 365)).isqrt();
    mul_div(spot, volatility_permille.saturating_mul(root_permille), 1_000_000)
}

fn option_price(right: Right, spot: i64, strike: i64, half_days: i64, volatility_permille: i64) -> i64 {
    let intrinsic = match right {
        Right::Call => spot - strike,
        Right::Put => strike - spot,
    };
    intrinsic.max(0).saturating_add(time_value(spot, strike, width(spot, half_days, volatility_permille)))
}

/// What an option is worth beyond its intrinsic value: most at the money, and more with time.
///
/// A rational curve near that of Black and Scholes; the exact one needs functions whose last digit depends on
/// the platform, and with it the sequence of ticks.
fn time_value(spot: i64, strike: i64, width: i64) -> i64 {
    let at_the_money = width / 5 * 2;
    let (square, away) = (i128::from(width).pow(2), i128::from(spot - strike).pow(2));
    let share = i64::try_from(square * i128::from(ONE) / (square + away).max(1)).unwrap_or(0);
    mul_div(mul_div(at_the_money, share, ONE), share, ONE)
}

fn in_band(deviation_ppb: i64) -> i64 {
    deviation_ppb.clamp(-BAND_PPB, BAND_PPB)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::universe::PRICE_SCALE;

    fn path(price: i64) -> Path {
        let spot = Spot {
            name: "NSE_INDEX:NIFTY".to_owned(),
            price: price * PRICE_SCALE,
            step_ppb: 60_000,
            volatility_permille: 130,
        };
        Path { deviation_ppb: 0, ..Path::new(1, &spot) }
    }

    fn option(right: Right, strike: i64, days: i64) -> Kind {
        Kind::Option { right, strike: strike * PRICE_SCALE, days }
    }

    #[test]
    fn an_option_is_worth_its_intrinsic_value_and_something_for_time() {
        let path = path(26_000);
        let call = |strike| path.price(option(Right::Call, strike, 10)) / PRICE_SCALE;
        let put = |strike| path.price(option(Right::Put, strike, 10)) / PRICE_SCALE;
        assert_eq!(call(26_000), put(26_000));
        assert!((150..400).contains(&call(26_000)), "{}", call(26_000));
        assert!((1_000..1_060).contains(&call(25_000)), "{}", call(25_000));
        assert!((1_000..1_060).contains(&put(27_000)), "{}", put(27_000));
        assert!((0..60).contains(&call(27_000)), "{}", call(27_000));
    }

    #[test]
    fn more_time_is_worth_more() {
        let path = path(26_000);
        let at = |days| path.price(option(Right::Call, 26_000, days));
        assert!(at(0) < at(7) && at(7) < at(30));
        assert!(path.price(Kind::Future { days: 30 }) > path.price(Kind::Index));
    }

    #[test]
    fn the_path_stays_in_its_band_and_does_not_stand_still() {
        let mut path = path(26_000);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..20_000 {
            path.advance();
            let price = path.price(Kind::Index);
            assert!((24_700 * PRICE_SCALE..=27_300 * PRICE_SCALE).contains(&price));
            seen.insert(price);
        }
        assert!(seen.len() > 10_000);
    }

    #[test]
    fn greeks_are_near_those_of_black_and_scholes() {
        let path = path(25_000);
        let of = |right, strike: i64, days| {
            let kind = Kind::Option { right, strike: strike * PRICE_SCALE, days };
            path.greeks(kind).expect("an option has greeks")
        };
        // Of the exact model at a spot of 25,000 and 13 % a year, with 30.5 days left and no interest: delta,
        // gamma, vega and theta of a call.
        for (strike, delta, gamma, vega, theta) in [
            (25_000, 0.507, 0.000_425, 28.8, -6.14),
            (25_940, 0.168, 0.000_267, 18.1, -3.86),
            (24_060, 0.851, 0.000_248, 16.8, -3.58),
        ] {
            let call = of(Right::Call, strike, 30);
            let near = |name, got: i64, expected: f64, share: f64| {
                let got = adapter_sdk::Price::from_nanos(got).as_f64();
                assert!(
                    (got - expected).abs() <= share * expected.abs(),
                    "{name} at {strike}: {got}, {expected}"
                );
            };
            near("delta", call.delta, delta, 0.2);
            near("gamma", call.gamma, gamma, 0.25);
            near("vega", call.vega, vega, 0.35);
            near("theta", call.theta, theta, 0.35);
            let put = of(Right::Put, strike, 30);
            assert!((call.delta - put.delta).abs_diff(PRICE_SCALE) < 10, "a call less a put is the spot");
            assert_eq!(
                (call.vega, call.theta, put.implied_volatility),
                (put.vega, put.theta, 13 * PRICE_SCALE)
            );
        }
        assert_eq!(path.greeks(Kind::Equity), None);
    }

    #[test]
    fn greeks_are_within_their_bounds_whatever_the_strike_and_the_time() {
        let path = path(25_000);
        for strike in (1..60_000).step_by(97) {
            for days in [-1, 0, 1, 7, 400] {
                for (right, sign) in [(Right::Call, 1), (Right::Put, -1)] {
                    let kind = Kind::Option { right, strike: strike * PRICE_SCALE, days };
                    let greeks = path.greeks(kind).expect("an option has greeks");
                    assert!(
                        (0..=PRICE_SCALE).contains(&(sign * greeks.delta)),
                        "{strike} {days}: {greeks:?}"
                    );
                    assert!(
                        greeks.gamma >= 0 && greeks.vega >= 0 && greeks.theta <= 0,
                        "{strike} {days}: {greeks:?}"
                    );
                }
            }
        }
    }
}
