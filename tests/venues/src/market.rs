//! How prices move: a walk in steps of the tick, from a seed.

use crate::{
    model::{LEVELS, Level, Values},
    universe::{Instrument, Kind},
};

/// A generator that needs no library: xorshift.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The same numbers for the same seed.
    pub(crate) const fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 up to, not including, `limit`.
    pub(crate) fn below(&mut self, limit: i64) -> i64 {
        let limit = u64::try_from(limit).unwrap_or(1).max(1);
        i64::try_from(self.next() % limit).unwrap_or(0)
    }
}

/// The state of an instrument when it opens.
pub(crate) fn open(instrument: &Instrument, random: &mut Random, now_ns: i64) -> Values {
    let start = instrument.start;
    let tick = instrument.tick;
    let mut values = Values {
        ltp: start,
        open: start,
        high: start,
        low: start,
        close: (start - tick * random.below(5)).max(tick),
        exchange_ts_ns: now_ns,
        ..Values::default()
    };
    if instrument.kind != Kind::Index {
        values.average_price = start;
        values.last_quantity = instrument.lot * (1 + random.below(9));
        values.volume = instrument.lot * (1_000 + random.below(100_000));
        values.last_trade_ts_ns = now_ns;
        values.lower_circuit = (start / 10 * 9 / tick).max(1) * tick;
        values.upper_circuit = (start / 10 * 11 / tick).max(2) * tick;
        if instrument.expiry.is_some() {
            values.oi = instrument.lot * (100 + random.below(10_000));
            values.oi_high = values.oi;
            values.oi_low = values.oi;
        }
        quote(&mut values, instrument, random);
    }
    values
}

/// One trade later. The last price always changes, so that a client can tell updates apart.
pub(crate) fn trade(values: &mut Values, instrument: &Instrument, random: &mut Random, now_ns: i64) {
    let tick = instrument.tick;
    let step = tick * (1 + random.below(3));
    let is_up = random.below(2) == 0;
    values.ltp = if is_up || values.ltp <= step { values.ltp + step } else { values.ltp - step };
    values.high = values.high.max(values.ltp);
    values.low = values.low.min(values.ltp);
    values.exchange_ts_ns = now_ns;
    if instrument.kind == Kind::Index {
        return;
    }
    values.last_trade_ts_ns = now_ns;
    values.last_quantity = instrument.lot * (1 + random.below(20));
    values.volume = (values.volume + values.last_quantity) % (i64::from(u32::MAX) - 1_000_000);
    let between = values.low.midpoint(values.high);
    values.average_price = (between / tick).max(1) * tick;
    if instrument.expiry.is_some() {
        values.oi += instrument.lot * (random.below(5) - 2);
        values.oi = values.oi.max(0);
        values.oi_high = values.oi_high.max(values.oi);
        values.oi_low = values.oi_low.min(values.oi);
    }
    quote(values, instrument, random);
}

/// A book around the last price.
fn quote(values: &mut Values, instrument: &Instrument, random: &mut Random) {
    let mut total = [0; 2];
    let mut side = |sign: i64, total: &mut i64| -> [Level; LEVELS] {
        std::array::from_fn(|place| {
            let away = i64::try_from(place).unwrap_or(0) + i64::from(sign > 0);
            let price = values.ltp + sign * away * instrument.tick;
            // A penny stock has no bids below its smallest price.
            if price <= 0 {
                return Level::default();
            }
            let quantity = instrument.lot * (1 + random.below(500));
            *total += quantity;
            Level { price, quantity, orders: u32::try_from(1 + random.below(40)).unwrap_or(1) }
        })
    };
    let [buy, sell] = &mut total;
    values.bids = side(-1, buy);
    values.asks = side(1, sell);
    let [buy, sell] = total;
    values.total_buy_quantity = buy * 3;
    values.total_sell_quantity = sell * 3;
}
