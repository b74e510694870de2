//! Records of the HSM socket: values in the slots of a feed, and the snapshots and updates that carry them.
//! All integers are big-endian.

use super::names::{Feed, Segment, segment_of, ticker, token, topic};
use crate::{
    model::{ABSENT, LEVELS, Level, Side, Values, scaled},
    universe::Instrument,
};

/// In a snapshot: there is no such value. In an update: it is as before.
pub(super) const NOTHING: i32 = i32::MIN;

/// Values of a book.
pub(super) const DEPTH: usize = LEVELS * 6;

/// Begins a snapshot.
const SNAPSHOT: u8 = b'S';

/// Begins an update.
const UPDATE: u8 = b'U';

/// Begins an update of the last price alone.
const LITE: u8 = b'L';

/// Two bytes of a snapshot that mean nothing.
const MEANINGLESS: [u8; 2] = [0x12, 0x34];

/// The values of a feed, in the order of their slots.
pub(super) fn slots(feed: Feed, one: &Instrument, values: &Values) -> Result<Vec<i32>, String> {
    let segment = segment_of(one).ok_or("the broker has no market data of this exchange")?;
    match feed {
        Feed::Scrip => scrip(segment, one, values),
        Feed::Index => index(segment, values),
        Feed::Depth => depth(segment, values),
    }
}

fn price(segment: &Segment, price: i64) -> Result<i32, String> {
    if price == ABSENT {
        return Ok(NOTHING);
    }
    let units = scaled(price, segment.divisor())?;
    let fitting = i32::try_from(units).ok().filter(|units| *units != NOTHING);
    fitting.ok_or_else(|| format!("a price of {units} units does not fit into 32 bits"))
}

/// Numbers have 32 bits: those of the upper half look negative.
fn number(number: i64) -> Result<i32, String> {
    if number == ABSENT {
        return Ok(NOTHING);
    }
    let fitting = u32::try_from(number).ok().map(u32::cast_signed).filter(|number| *number != NOTHING);
    fitting.ok_or_else(|| format!("{number} does not fit into 32 bits, or would mean nothing"))
}

fn seconds(nanos: i64) -> Result<i32, String> {
    number(if nanos == ABSENT { nanos } else { nanos / 1_000_000_000 })
}

fn scrip(segment: &Segment, one: &Instrument, values: &Values) -> Result<Vec<i32>, String> {
    let price = |units| price(segment, units);
    // A book that nobody knows is not one that is empty.
    let has_book = !(values.bids.is_empty() && values.asks.is_empty());
    let best = |side: &Side| side.first().copied().unwrap_or_default();
    let absent = Level { price: ABSENT, quantity: ABSENT, orders: 0 };
    let (bid, ask) = if has_book { (best(&values.bids), best(&values.asks)) } else { (absent, absent) };
    // A share has no open interest.
    let has_oi = one.expiry.is_some() || values.oi != 0;
    Ok(vec![
        price(values.ltp)?,
        number(values.volume)?,
        seconds(values.last_trade_ts_ns)?,
        seconds(values.exchange_ts_ns)?,
        number(bid.quantity)?,
        number(ask.quantity)?,
        price(bid.price)?,
        price(ask.price)?,
        number(values.last_quantity)?,
        number(values.total_buy_quantity)?,
        number(values.total_sell_quantity)?,
        price(values.average_price)?,
        number(if has_oi { values.oi } else { ABSENT })?,
        price(values.low)?,
        price(values.high)?,
        // The year has seen nothing but today.
        price(values.high)?,
        price(values.low)?,
        price(values.lower_circuit)?,
        price(values.upper_circuit)?,
        price(values.open)?,
        price(values.close)?,
    ])
}

fn index(segment: &Segment, values: &Values) -> Result<Vec<i32>, String> {
    let price = |units| price(segment, units);
    Ok(vec![
        price(values.ltp)?,
        price(values.close)?,
        seconds(values.exchange_ts_ns)?,
        price(values.high)?,
        price(values.low)?,
        price(values.open)?,
    ])
}

fn depth(segment: &Segment, values: &Values) -> Result<Vec<i32>, String> {
    let most = usize::from(super::LEVELS);
    if values.bids.len().max(values.asks.len()) > most {
        return Err(format!("the broker has no book of more than {most} levels"));
    }
    let sides = [&values.bids, &values.asks].map(Side::padded::<LEVELS>);
    let levels = || sides.iter().flatten();
    let mut slots = Vec::with_capacity(DEPTH);
    for level in levels() {
        slots.push(price(segment, level.price)?);
    }
    for level in levels() {
        slots.push(number(level.quantity)?);
    }
    for level in levels() {
        slots.push(number(i64::from(level.orders))?);
    }
    Ok(slots)
}

/// Takes the sides of a book that have no levels out of slots: that is how somebody says that they did not
/// change.
pub(super) fn without_empty_sides(feed: Feed, slots: &mut [i32], values: &Values) {
    // The sides take turns: prices, quantities, orders; in a scrip the best quantities and prices.
    let (slots, width) = match feed {
        Feed::Depth => (slots.get_mut(..), LEVELS),
        Feed::Scrip => (slots.get_mut(4..8), 1),
        Feed::Index => return,
    };
    let sides = [&values.bids, &values.asks].into_iter().cycle();
    for (some, side) in slots.unwrap_or_default().chunks_mut(width).zip(sides) {
        if side.is_empty() {
            some.fill(NOTHING);
        }
    }
}

/// A snapshot: it gives a topic its number on the connection, and says all that there is to know.
pub(super) fn snapshot(id: u16, feed: Feed, one: &Instrument, slots: &[i32]) -> Result<Vec<u8>, String> {
    let segment = segment_of(one).ok_or("the broker has no market data of this exchange")?;
    let name = topic(feed, one).ok_or("the broker has no such topic")?;
    let mut bytes = vec![SNAPSHOT];
    bytes.extend(id.to_be_bytes());
    text(&mut bytes, &name)?;
    values(&mut bytes, slots)?;
    bytes.extend(MEANINGLESS);
    bytes.extend(segment.multiplier.to_be_bytes());
    bytes.push(segment.precision);
    // What these say is no key: the broker's own programs do not look at them.
    let symbol = ticker(one).unwrap_or_default();
    let symbol = symbol.split_once(':').map_or(symbol.as_str(), |(_, symbol)| symbol);
    for part in [segment.name, &token(one), symbol] {
        text(&mut bytes, part)?;
    }
    Ok(bytes)
}

/// An update of what is something.
pub(super) fn update(id: u16, slots: &[i32]) -> Result<Vec<u8>, String> {
    let mut bytes = vec![UPDATE];
    bytes.extend(id.to_be_bytes());
    values(&mut bytes, slots)?;
    Ok(bytes)
}

/// An update of the last price alone.
pub(super) fn lite(id: u16, ltp: i32) -> Vec<u8> {
    let mut bytes = vec![LITE];
    bytes.extend(id.to_be_bytes());
    bytes.extend(ltp.to_be_bytes());
    bytes
}

fn values(bytes: &mut Vec<u8>, slots: &[i32]) -> Result<(), String> {
    bytes.push(u8::try_from(slots.len()).map_err(|_| "too many values")?);
    bytes.extend(slots.iter().flat_map(|slot| slot.to_be_bytes()));
    Ok(())
}

fn text(bytes: &mut Vec<u8>, text: &str) -> Result<(), String> {
    bytes.push(u8::try_from(text.len()).map_err(|_| format!("`{text}` is too long"))?);
    bytes.extend(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::PRICE_SCALE,
        universe::{Date, Universe},
    };

    fn with(exchange: &str, symbol: &str, then: impl FnOnce(&Instrument)) {
        let universe = Universe::new(0, Date(20_783));
        then(&universe.all()[universe.place(exchange, symbol).unwrap()]);
    }

    #[test]
    fn prices_have_the_scale_of_their_segment() {
        let ltp = 85 * PRICE_SCALE + PRICE_SCALE / 400;
        let values = Values { ltp, ..Values::absent() };
        with("CDS", "USDINR24DEC30FUT", |one| {
            assert_eq!(slots(Feed::Scrip, one, &values).unwrap()[0], 850_025);
        });
        with("NSE", "SBIN", |one| assert!(slots(Feed::Scrip, one, &values).is_err()));
        with("NCO", "CRUDEOIL24DEC30FUT", |one| {
            let whole = Values { ltp: 5_900 * PRICE_SCALE, ..Values::absent() };
            assert_eq!(slots(Feed::Scrip, one, &whole).unwrap()[0], 590_000);
            let bytes = snapshot(1, Feed::Scrip, one, &[1]).unwrap();
            assert!(bytes.windows(5).any(|five| five == [0x12, 0x34, 0, 100, 0]));
        });
    }

    #[test]
    fn what_is_absent_is_not_zero_and_large_numbers_wrap() {
        with("NSE", "SBIN", |one| {
            let values = Values { ltp: PRICE_SCALE, volume: 0, ..Values::absent() };
            let found = slots(Feed::Scrip, one, &values).unwrap();
            let present: Vec<usize> = (0..21).filter(|slot| found[*slot] != NOTHING).collect();
            assert_eq!((found.len(), present), (21, vec![0, 1]));
            let large = Values { volume: 3_000_000_000, ..Values::absent() };
            assert_eq!(slots(Feed::Scrip, one, &large).unwrap()[1], -1_294_967_296);
            for wrong in [0x8000_0000, -1, 1 << 32] {
                let values = Values { volume: wrong, ..Values::absent() };
                assert!(slots(Feed::Scrip, one, &values).is_err(), "{wrong}");
            }
            assert_eq!(slots(Feed::Depth, one, &Values::absent()).unwrap(), vec![0; DEPTH]);
        });
    }

    #[test]
    fn an_index_has_a_topic_of_its_own_kind_alone() {
        with("NSE_INDEX", "NIFTY", |one| {
            let bytes = snapshot(0x0102, Feed::Index, one, &[1, NOTHING]).unwrap();
            assert_eq!(bytes[..4], [b'S', 1, 2, 18]);
            assert_eq!(&bytes[4..22], b"if|nse_cm|Nifty 50");
            assert_eq!(bytes[22..31], [2, 0, 0, 0, 1, 0x80, 0, 0, 0]);
            assert!(snapshot(1, Feed::Depth, one, &[]).is_err());
        });
    }
}
