//! Packets of the live feed: little-endian, each with its length, prices as single precision.

use crate::{
    model::{LEVELS, Level, Mode, Values, scaled},
    universe::{Instrument, Kind},
};

/// Segments: exchange of the clients, name in requests, number in packets, units of a price of 1.
const SEGMENTS: [(&str, &str, u8, i64); 9] = [
    ("NSE_INDEX", "IDX_I", 0, 100),
    ("BSE_INDEX", "IDX_I", 0, 100),
    ("NSE", "NSE_EQ", 1, 100),
    ("NFO", "NSE_FNO", 2, 100),
    ("CDS", "NSE_CURRENCY", 3, 10_000),
    ("BSE", "BSE_EQ", 4, 100),
    ("MCX", "MCX_COMM", 5, 100),
    ("BCD", "BSE_CURRENCY", 7, 10_000),
    ("BFO", "BSE_FNO", 8, 100),
];

/// What the broker calls an index and its number: exchange and symbol of the clients, name, number.
const INDICES: [(&str, &str, &str, u32); 9] = [
    ("NSE_INDEX", "NIFTY", "NIFTY", 13),
    ("NSE_INDEX", "BANKNIFTY", "BANKNIFTY", 25),
    ("NSE_INDEX", "FINNIFTY", "FINNIFTY", 27),
    ("NSE_INDEX", "MIDCPNIFTY", "MIDCPNIFTY", 442),
    ("NSE_INDEX", "INDIAVIX", "INDIA VIX", 21),
    ("NSE_INDEX", "NIFTYNXT50", "NIFTY NEXT 50", 38),
    ("BSE_INDEX", "SENSEX", "SENSEX", 51),
    ("BSE_INDEX", "BANKEX", "BANKEX", 69),
    ("BSE_INDEX", "SENSEX50", "SNSX50", 83),
];

/// Response codes.
const INDEX: u8 = 1;
const TICKER: u8 = 2;
const QUOTE: u8 = 4;
const OI: u8 = 5;
const PREV_CLOSE: u8 = 6;
const MARKET_STATUS: u8 = 7;
const FULL: u8 = 8;
const DISCONNECT: u8 = 50;

/// What the broker's clocks are ahead of UTC by, in seconds: it writes the wall clock of India as if it were
/// UTC.
const INDIA: i64 = adapter_time::ist::OFFSET_SECONDS;

/// Number of a segment by its name in requests.
pub(super) fn segment_named(name: &str) -> Option<u8> {
    SEGMENTS.iter().find(|segment| segment.1 == name).map(|segment| segment.2)
}

/// Number of an instrument's segment, and units of a price; none when the broker has no market data of it.
pub(super) fn segment(instrument: &Instrument) -> Option<(u8, i64)> {
    let (.., number, divisor) = SEGMENTS.iter().find(|segment| segment.0 == instrument.exchange)?;
    Some((*number, *divisor))
}

/// Name and number of an index.
pub(super) fn index(instrument: &Instrument) -> Option<(&'static str, u32)> {
    let is_it = |one: &&(&str, &str, &str, u32)| one.0 == instrument.exchange && one.1 == instrument.symbol;
    INDICES.iter().find(is_it).map(|found| (found.2, found.3))
}

/// The broker's number of an instrument, which other segments use again; none of an index that it does not
/// have.
pub(super) fn security_id(instrument: &Instrument) -> Option<u32> {
    match instrument.kind {
        Kind::Index => index(instrument).map(|(_, number)| number),
        _ => Some(instrument.number),
    }
}

/// Segment and number in one.
pub(super) const fn key(segment: u8, number: u32) -> u64 {
    (segment as u64) << 32 | number as u64
}

/// Writes a packet field by field.
struct Writer {
    bytes: Vec<u8>,
    divisor: i64,
}

impl Writer {
    fn new(code: u8, length: u16, instrument: &Instrument) -> Result<Self, String> {
        let (segment, divisor) =
            segment(instrument).ok_or("the broker has no market data of this exchange")?;
        let number = security_id(instrument).ok_or("the broker does not have this index")?;
        let mut bytes = Vec::with_capacity(usize::from(length));
        bytes.extend(header(code, length, segment, number));
        Ok(Self { bytes, divisor })
    }

    fn whole(&mut self, number: i64) -> Result<(), String> {
        let number = u32::try_from(number).map_err(|_| format!("{number} does not fit into 32 bits"))?;
        self.bytes.extend(number.to_le_bytes());
        Ok(())
    }

    fn short(&mut self, number: i64) -> Result<(), String> {
        let number = u16::try_from(number).map_err(|_| format!("{number} does not fit into 16 bits"))?;
        self.bytes.extend(number.to_le_bytes());
        Ok(())
    }

    /// A price in single precision, out of which it can be told again.
    fn price(&mut self, price: i64) -> Result<(), String> {
        let units = scaled(price, self.divisor)?;
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "checked below")]
        let (double, single) = {
            let double = units as f64;
            (double, (double / self.divisor as f64) as f32)
        };
        #[expect(clippy::cast_precision_loss, reason = "a power of ten")]
        let told = (f64::from(single) * self.divisor as f64).round();
        // Two doubles that were rounded to whole numbers.
        if (told - double).abs() >= 0.5 {
            return Err(format!("{} has more digits than single precision", crate::model::decimal(price)));
        }
        self.bytes.extend(single.to_le_bytes());
        Ok(())
    }

    fn prices(&mut self, prices: &[i64]) -> Result<(), String> {
        prices.iter().try_for_each(|price| self.price(*price))
    }

    /// When it traded last. Of an index, which does not trade, when it was computed.
    fn traded(&mut self, values: &Values) -> Result<(), String> {
        let nanos =
            if values.last_trade_ts_ns == 0 { values.exchange_ts_ns } else { values.last_trade_ts_ns };
        self.whole(if nanos == 0 { 0 } else { nanos / 1_000_000_000 + INDIA })
    }
}

fn header(code: u8, length: u16, segment: u8, number: u32) -> Vec<u8> {
    let mut bytes = vec![code];
    bytes.extend(length.to_le_bytes());
    bytes.push(segment);
    bytes.extend(number.to_le_bytes());
    bytes
}

/// The packet of a mode; that of a deep book is not of this feed.
pub(super) fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
    let (code, length) = match mode {
        Mode::Ltp => (TICKER, 16),
        Mode::Quote => (QUOTE, 50),
        Mode::Full => (FULL, 162),
        Mode::Deep(_) => return Err("deep books have feeds of their own".to_owned()),
    };
    let mut out = Writer::new(code, length, instrument)?;
    out.price(values.ltp)?;
    if mode == Mode::Ltp {
        out.traded(values)?;
        return Ok(out.bytes);
    }
    out.short(values.last_quantity)?;
    out.traded(values)?;
    out.price(values.average_price)?;
    for number in [values.volume, values.total_sell_quantity, values.total_buy_quantity] {
        out.whole(number)?;
    }
    if mode == Mode::Full {
        out.whole(values.oi)?;
        // Other segments have neither.
        let is_fno = instrument.exchange == "NFO";
        out.whole(if is_fno { values.oi_high } else { 0 })?;
        out.whole(if is_fno { values.oi_low } else { 0 })?;
    }
    // The close of the day, which comes after it.
    out.prices(&[values.open, 0, values.high, values.low])?;
    if mode == Mode::Full {
        let sides = values.bids.padded::<LEVELS>().into_iter().zip(values.asks.padded::<LEVELS>());
        for (bid, ask) in sides {
            level(&mut out, bid, ask)?;
        }
    }
    Ok(out.bytes)
}

fn level(out: &mut Writer, bid: Level, ask: Level) -> Result<(), String> {
    out.whole(bid.quantity)?;
    out.whole(ask.quantity)?;
    out.short(bid.orders.into())?;
    out.short(ask.orders.into())?;
    out.prices(&[bid.price, ask.price])
}

/// All packets of a mode. The close of the day before comes once after a subscription, and the open interest
/// of a quote in a packet of its own.
pub(super) fn packets(
    instrument: &Instrument,
    mode: Mode,
    values: &Values,
    is_state: bool,
) -> Result<Vec<Vec<u8>>, String> {
    let mut packets = Vec::with_capacity(3);
    if is_state && values.close != 0 {
        packets.push(prev_close(instrument, values)?);
    }
    packets.push(encode(instrument, mode, values)?);
    if mode == Mode::Quote && values.oi != 0 {
        let mut out = Writer::new(OI, 12, instrument)?;
        out.whole(values.oi)?;
        packets.push(out.bytes);
    }
    Ok(packets)
}

fn prev_close(instrument: &Instrument, values: &Values) -> Result<Vec<u8>, String> {
    let mut out = Writer::new(PREV_CLOSE, 16, instrument)?;
    out.price(values.close)?;
    // The open interest of the day before. The venue's days have none, and its lowest is a number as good as
    // any.
    out.whole(values.oi_low)?;
    Ok(out.bytes)
}

/// What tells a client why the connection ends.
pub(super) fn disconnect(reason: u16) -> Vec<u8> {
    let mut bytes = header(DISCONNECT, 10, 0, 0);
    bytes.extend(reason.to_le_bytes());
    bytes
}

/// What tells of a market that opens or closes; which of the two, nobody knows.
pub(super) fn market_status(segment: u8) -> Vec<u8> {
    header(MARKET_STATUS, 8, segment, 0)
}

/// A packet that clients are to pass over by its length: that of an index, say, whose layout is not
/// published.
pub(super) fn unknown(code: u8, length: u16) -> Vec<u8> {
    let mut bytes = header(code, length.max(8), 0, if code == INDEX { 13 } else { 0 });
    bytes.resize(usize::from(length.max(8)), b'#');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::PRICE_SCALE,
        universe::{Date, Universe},
    };

    fn universe() -> Universe {
        Universe::new(0, Date(20_783))
    }

    fn one<'a>(universe: &'a Universe, exchange: &str, symbol: &str) -> &'a Instrument {
        &universe.all()[universe.place(exchange, symbol).unwrap()]
    }

    #[test]
    fn lengths_and_places_are_dhans() {
        let universe = universe();
        let values = Values {
            ltp: 190_735 * PRICE_SCALE / 100,
            last_trade_ts_ns: 1_790_000_000_500_000_000,
            total_buy_quantity: 7,
            total_sell_quantity: 9,
            open: PRICE_SCALE,
            high: 3 * PRICE_SCALE,
            low: 4 * PRICE_SCALE,
            close: 5 * PRICE_SCALE,
            oi: 11,
            oi_high: 12,
            oi_low: 10,
            ..Values::default()
        };
        let share = one(&universe, "NSE", "INFY");
        let ticker = encode(share, Mode::Ltp, &values).unwrap();
        assert_eq!(ticker[..8], [2, 16, 0, 1, 0x3a, 6, 0, 0]);
        assert_eq!(ticker[8..12], 1907.35_f32.to_le_bytes());
        assert_eq!(ticker[12..], 1_790_019_800_u32.to_le_bytes());
        let quote = encode(share, Mode::Quote, &values).unwrap();
        assert_eq!((quote.len(), &quote[26..34]), (50, &[9, 0, 0, 0, 7, 0, 0, 0][..]));
        let day = [1.0_f32, 0.0, 3.0, 4.0].map(f32::to_le_bytes);
        assert_eq!(&quote[34..], day.as_flattened());
        let future = one(&universe, "NFO", "NIFTY24DEC30FUT");
        let full = encode(future, Mode::Full, &values).unwrap();
        assert_eq!((full.len(), full[0], full[3], &full[46..62]), (162, 8, 2, day.as_flattened()));
        assert_eq!(full[34..46], [11, 0, 0, 0, 12, 0, 0, 0, 10, 0, 0, 0]);
        let codes = |one, mode, is_state| {
            let all = packets(one, mode, &values, is_state).unwrap();
            all.iter().map(|packet| packet[0]).collect::<Vec<_>>()
        };
        assert_eq!(codes(future, Mode::Quote, true), [PREV_CLOSE, QUOTE, OI]);
        assert_eq!(codes(future, Mode::Quote, false), [QUOTE, OI]);
        assert_eq!(codes(future, Mode::Full, true), [PREV_CLOSE, FULL]);
        assert_eq!(codes(future, Mode::Ltp, true), [PREV_CLOSE, TICKER]);
        let index = one(&universe, "BSE_INDEX", "SENSEX");
        assert_eq!(encode(index, Mode::Ltp, &values).unwrap()[..8], [2, 16, 0, 0, 51, 0, 0, 0]);
        assert!(encode(one(&universe, "NCO", "CRUDEOIL24DEC30FUT"), Mode::Ltp, &values).is_err());
        assert!(encode(one(&universe, "MCX_INDEX", "MCXBULLDEX"), Mode::Ltp, &values).is_err());
    }

    #[test]
    fn a_price_that_single_precision_cannot_tell_is_an_error() {
        let universe = universe();
        let written = |exchange, symbol, price: &str| {
            let values = Values { ltp: crate::model::price(price).unwrap(), ..Values::default() };
            encode(one(&universe, exchange, symbol), Mode::Ltp, &values).is_ok()
        };
        assert!(written("NSE", "MRF", "130000.05"));
        assert!(!written("NSE", "MRF", "8500000.25"));
        assert!(!written("NSE", "INFY", "0.001"));
        assert!(written("CDS", "USDINR24DEC30FUT", "83.0025"));
        assert!(!written("CDS", "USDINR24DEC30FUT", "83.00251"));
    }
}
