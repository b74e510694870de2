//! Packets of the feeds for deep books: a side each, with another header than the live feed has, and prices
//! as doubles.

use super::packet;
use crate::{
    model::{Level, Mode, PRICE_SCALE, Side, Values, scaled},
    universe::Instrument,
};

/// Response codes.
const BIDS: u8 = 41;
const ASKS: u8 = 51;
const DISCONNECT: u8 = 50;

/// Bytes of a row.
const ROW: usize = 16;

/// Bytes of a header.
const HEADER: usize = 12;

/// Rows of a packet that counts them.
const COUNTED: u8 = 200;

/// Both sides, bids first.
pub(super) fn packets(instrument: &Instrument, levels: u8, values: &Values) -> Result<Vec<Vec<u8>>, String> {
    // Nobody reads the sequence of the small ones.
    let sequence = u32::try_from(values.exchange_ts_ns / 1_000_000 % i64::from(u32::MAX)).unwrap_or(0);
    // Whether the rows of the large ones are padded is not known: here only the asks are.
    let (bids, asks) = (rows(&values.bids, levels), rows(&values.asks, levels));
    let is_counted = levels == COUNTED;
    let padded = |rows: &[Level]| if is_counted { rows.len() } else { usize::from(levels) };
    Ok(vec![
        side(instrument, BIDS, (!is_counted).then_some(sequence), &bids, padded(&bids))?,
        side(instrument, ASKS, (!is_counted).then_some(sequence), &asks, usize::from(levels))?,
    ])
}

fn rows(side: &Side, levels: u8) -> Vec<Level> {
    side.iter().take(usize::from(levels)).copied().collect()
}

/// A side. Without a sequence it has the number of its rows.
fn side(
    instrument: &Instrument,
    code: u8,
    sequence: Option<u32>,
    rows: &[Level],
    padded: usize,
) -> Result<Vec<u8>, String> {
    let (segment, divisor) =
        packet::segment(instrument).ok_or("the broker has no market data of this exchange")?;
    let number = packet::security_id(instrument).ok_or("the broker does not have this index")?;
    let length = HEADER + padded * ROW;
    let short = u16::try_from(length).map_err(|_| format!("{length} bytes do not fit"))?;
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(short.to_le_bytes());
    bytes.extend([code, segment]);
    bytes.extend(number.to_le_bytes());
    let counted = sequence.unwrap_or_else(|| u32::try_from(rows.len()).unwrap_or(0));
    bytes.extend(counted.to_le_bytes());
    for Level { price, quantity, orders } in rows {
        // Whether the broker could write it; its doubles are of the decimal.
        scaled(*price, divisor)?;
        #[expect(clippy::cast_precision_loss, reason = "below 2^53 in the broker's units")]
        let double = (price / (PRICE_SCALE / divisor)) as f64 / divisor as f64;
        let quantity =
            u32::try_from(*quantity).map_err(|_| format!("{quantity} does not fit into 32 bits"))?;
        bytes.extend(double.to_le_bytes());
        bytes.extend(quantity.to_le_bytes());
        bytes.extend(orders.to_le_bytes());
    }
    bytes.resize(length, 0);
    Ok(bytes)
}

/// What tells a client why the connection ends, with the reason in both places where clients look for it.
pub(super) fn disconnect(reason: u16) -> Vec<u8> {
    let mut bytes = vec![14, 0, DISCONNECT, 0, 0, 0, 0, 0];
    bytes.extend(u32::from(reason).to_le_bytes());
    bytes.extend(reason.to_le_bytes());
    bytes
}

/// A side as a packet by itself.
pub(super) fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
    let levels = u8::try_from(mode.levels()).unwrap_or(0);
    packets(instrument, levels, values)?.pop().ok_or_else(|| "there is no packet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::universe::{Date, Universe};

    #[test]
    fn lengths_and_places_are_dhans() {
        let universe = Universe::new(0, Date(20_783));
        let future = &universe.all()[universe.place("NFO", "NIFTY24DEC30FUT").unwrap()];
        let number = future.number.to_le_bytes();
        let level = |price| Level { price: price * PRICE_SCALE / 20, quantity: 75, orders: 3 };
        let bids: Side = (0..30).map(|step| level(490_001 - step)).collect();
        let asks: Side = [level(490_002)].into_iter().collect();
        let values = Values { bids, asks, ..Values::default() };
        let row =
            |price: f64| [&price.to_le_bytes()[..], &75_u32.to_le_bytes(), &3_u32.to_le_bytes()].concat();

        let two = packets(future, 20, &values).unwrap();
        assert_eq!(two.iter().map(Vec::len).collect::<Vec<_>>(), [332, 332]);
        assert_eq!(two[0][..8], [&[0x4c, 1, 41, 2][..], &number].concat());
        assert_eq!(two[0][12..28], row(24_500.05));
        assert_eq!(two[0][316..], row(24_499.1));
        assert_eq!((two[1][2], &two[1][12..28]), (51, &row(24_500.1)[..]));
        assert!(two[1][28..].iter().all(|byte| *byte == 0));

        let two = packets(future, 200, &values).unwrap();
        assert_eq!(two.iter().map(Vec::len).collect::<Vec<_>>(), [12 + 30 * 16, 3_212]);
        assert_eq!((&two[0][8..12], &two[1][8..12]), (&[30, 0, 0, 0][..], &[1, 0, 0, 0][..]));
        assert_eq!(two[0][476..], row(24_498.6));

        assert_eq!(disconnect(807), [14, 0, 50, 0, 0, 0, 0, 0, 0x27, 3, 0, 0, 0x27, 3]);
    }
}
