//! Angel One's binary packets: little-endian, one in a message, told apart by their first byte.

use crate::{
    model::{LEVELS, Level, Mode, Values, scaled},
    universe::{Instrument, Kind, angel_index},
};

/// Exchange types: exchange, number, units of a price of 1.
const SEGMENTS: [(&str, u8, i64); 9] = [
    ("NSE", 1, 100),
    ("NSE_INDEX", 1, 100),
    ("NFO", 2, 100),
    ("BSE", 3, 100),
    ("BSE_INDEX", 3, 100),
    ("BFO", 4, 100),
    ("MCX", 5, 100),
    ("MCX_INDEX", 5, 100),
    ("CDS", 13, 10_000_000),
];

/// Exchange type and units of a price; none when the broker has no market data of it.
pub(super) fn segment(instrument: &Instrument) -> Option<(u8, i64)> {
    let (_, number, divisor) = SEGMENTS.iter().find(|(exchange, ..)| *exchange == instrument.exchange)?;
    Some((*number, *divisor))
}

/// The broker's number of an instrument, which other exchange types use again.
pub(super) fn number(instrument: &Instrument) -> u32 {
    let index = (instrument.kind == Kind::Index).then(|| angel_index(&instrument.name)).flatten();
    index.map_or(instrument.number, |(_, number)| number)
}

/// Exchange type and number in one.
pub(super) const fn key(segment: u8, number: u32) -> u64 {
    (segment as u64) << 32 | number as u64
}

/// What the document calls a dummy.
const DUMMY: u64 = 0x7ff8_dead_beef_0001;

/// A packet.
pub(super) fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
    let (segment, divisor) = segment(instrument).ok_or("the broker has no market data of this exchange")?;
    let is_index = instrument.kind == Kind::Index;
    let mut bytes = vec![
        match mode {
            Mode::Ltp => 1,
            Mode::Quote => 2,
            Mode::Full => 3,
            Mode::Deep(_) => return Err("the broker has withdrawn its deep books".to_owned()),
        },
        segment,
    ];
    let token = number(instrument).to_string();
    bytes.extend(token.as_bytes());
    bytes.push(0);
    // What follows the zero means nothing, and is not always zero.
    bytes.resize(27, b'#');
    let milliseconds = values.exchange_ts_ns / 1_000_000;
    let price = |price: i64| scaled(price, divisor);
    let mut whole = |numbers: &[i64]| numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    // Indices have no sequence.
    whole(&[if is_index { 0 } else { milliseconds }, milliseconds, price(values.ltp)?]);
    if mode == Mode::Ltp {
        return Ok(bytes);
    }
    whole(&[values.last_quantity, price(values.average_price)?, values.volume]);
    for total in [values.total_buy_quantity, values.total_sell_quantity] {
        #[expect(clippy::cast_precision_loss, reason = "the broker writes these as floating point")]
        bytes.extend((total as f64).to_le_bytes());
    }
    let mut whole = |numbers: &[i64]| numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    whole(&[price(values.open)?, price(values.high)?, price(values.low)?, price(values.close)?]);
    if mode == Mode::Quote {
        return Ok(bytes);
    }
    whole(&[values.last_trade_ts_ns / 1_000_000_000, values.oi]);
    bytes.extend(DUMMY.to_le_bytes());
    // Those of an index are all zero, the side included.
    let (buy, sell) = if is_index { (0, 0) } else { (1_u16, 0) };
    for (flag, side) in [(buy, &values.bids), (sell, &values.asks)] {
        for Level { price: at, quantity, orders } in side.whole::<LEVELS>()? {
            let orders = u16::try_from(orders).map_err(|_| format!("{orders} orders do not fit"))?;
            bytes.extend(flag.to_le_bytes());
            bytes.extend(quantity.to_le_bytes());
            bytes.extend(price(at)?.to_le_bytes());
            bytes.extend(orders.to_le_bytes());
        }
    }
    let limits = [values.upper_circuit, values.lower_circuit, values.high, values.low];
    for limit in limits {
        bytes.extend(price(limit)?.to_le_bytes());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::PRICE_SCALE,
        universe::{Date, Universe},
    };

    #[test]
    fn lengths_and_scales_are_angels() {
        let universe = Universe::new(0, Date(20_783));
        let one = |exchange, symbol| &universe.all()[universe.place(exchange, symbol).unwrap()];
        let values = Values { ltp: 85 * PRICE_SCALE + PRICE_SCALE / 400, ..Values::default() };
        let currency = encode(one("CDS", "USDINR24DEC30FUT"), Mode::Ltp, &values).unwrap();
        assert_eq!((currency.len(), currency[1]), (51, 13));
        assert_eq!(currency[43..51], 850_025_000_i64.to_le_bytes());
        let whole = Values { ltp: 190_735 * PRICE_SCALE / 100, ..Values::default() };
        let share = one("NSE", "INFY");
        assert_eq!(encode(share, Mode::Quote, &whole).unwrap().len(), 123);
        let full = encode(share, Mode::Full, &whole).unwrap();
        assert_eq!(full.len(), 379);
        assert_eq!((full[0], &full[2..7], full[147], full[247]), (3, &b"1594\0"[..], 1, 0));
        assert_eq!(full[43..51], 190_735_i64.to_le_bytes());
        let index = encode(one("NSE_INDEX", "NIFTY"), Mode::Full, &whole).unwrap();
        assert_eq!((&index[2..11], index[147]), (&b"99926000\0"[..], 0));
        assert!(encode(one("NCO", "CRUDEOIL24DEC30FUT"), Mode::Ltp, &whole).is_err());
    }
}
