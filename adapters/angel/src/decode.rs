//! From the broker's packets to ticks. Pure: no clock, no connection, no allocation, and no input that makes
//! it panic.

use adapter_sdk::{Level, Price, Tick, read};

use crate::{
    segment::Segment,
    wire::{Body, Packet, Quote, Row, Snap, Trade},
};

/// Most levels on a side of any packet.
const MAX_LEVELS: usize = 20;

/// A packet, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A last price.
    Ltp(Tick),
    /// A quote.
    Quote(Tick),
    /// A book with the values beside it: the whole of what the broker sends of an instrument.
    Book(Tick, Book),
    /// A book alone, without values but the time.
    Deep(Tick, Book),
    /// An index in the mode of books, which it has not.
    Bookless(Tick),
}

/// Both sides of a book, best levels first.
pub type Book = adapter_sdk::Book<MAX_LEVELS>;

/// Makes a tick of a packet, under the number that its instrument is subscribed with.
///
/// The packets have no way to say that a value is missing but zero and the numbers that [`adapter_sdk::read`]
/// takes for "none". A price, a time, or a last quantity of zero is absent; a volume, a total or an open
/// interest of zero is zero, before the opening too. Indices have nothing but prices and the time: the rest
/// of their packets is filled with zeros. Prices of commodities may be below zero, as they once were for oil;
/// quantities may not, and are then absent.
pub fn tick(packet: &Packet, instrument: u32, is_index: bool) -> Decoded {
    let segment = packet.key.segment;
    let tick = Tick::new(instrument);
    match &packet.body {
        Body::Ltp(trade) => Decoded::Ltp(with_trade(tick, trade, segment)),
        Body::Quote(trade, quote) => {
            Decoded::Quote(with_quote(with_trade(tick, trade, segment), quote, segment, is_index))
        }
        Body::Snap(trade, quote, snap) => {
            let tick = with_quote(with_trade(tick, trade, segment), quote, segment, is_index);
            if is_index {
                return Decoded::Bookless(tick);
            }
            let (tick, book) = with_snap(tick, snap, segment);
            Decoded::Book(tick, book)
        }
        Body::Depth(depth) => {
            let tick = tick.with(read::millis(depth.exchange_time_ms), Tick::exchange_ts_ns);
            let mut book = Book::default();
            let of = |row: &Row| {
                level(row.price.into(), row.quantity.into(), u32::try_from(row.orders).ok(), segment)
            };
            depth.buy.iter().filter_map(of).for_each(|level| book.push_buy(level));
            depth.sell.iter().filter_map(of).for_each(|level| book.push_sell(level));
            Decoded::Deep(tick, book)
        }
    }
}

fn with_trade(tick: Tick, trade: &Trade, segment: Segment) -> Tick {
    tick.with(price(trade.last_price, segment), Tick::ltp)
        .with(read::millis(trade.exchange_time_ms), Tick::exchange_ts_ns)
}

fn with_quote(tick: Tick, quote: &Quote, segment: Segment, is_index: bool) -> Tick {
    let tick = tick
        .with(price(quote.open, segment), Tick::open)
        .with(price(quote.high, segment), Tick::high)
        .with(price(quote.low, segment), Tick::low)
        .with(price(quote.close, segment), Tick::close);
    if is_index {
        return tick;
    }
    let last_quantity = read::quantity(quote.last_quantity).filter(|quantity| *quantity > 0);
    tick.with(price(quote.average_price, segment), Tick::average_price)
        .with(last_quantity, Tick::last_quantity)
        .with(read::quantity(quote.volume), Tick::volume)
        .with(read::whole(quote.total_buy_quantity), Tick::total_buy_quantity)
        .with(read::whole(quote.total_sell_quantity), Tick::total_sell_quantity)
}

fn with_snap(tick: Tick, snap: &Snap, segment: Segment) -> (Tick, Book) {
    // Seconds on the live feed, but no document promises it.
    let last_trade = u64::try_from(snap.last_trade_time).ok().and_then(read::of_any_unit);
    // Shares have none of their own, although some come with that of their future.
    let oi = read::quantity(snap.oi).filter(|oi| *oi > 0 || !segment.is_cash());
    let tick = tick
        .with(last_trade, Tick::last_trade_ts_ns)
        .with(oi, Tick::oi)
        .with(price(snap.upper_circuit, segment), Tick::upper_circuit)
        .with(price(snap.lower_circuit, segment), Tick::lower_circuit);
    let mut book = Book::default();
    for record in &snap.best_five {
        if let Some(level) = level(record.price, record.quantity, Some(record.orders.into()), segment) {
            // The Python SDK takes everything but 0 for a buy, too.
            if record.flag == 0 {
                book.push_sell(level);
            } else {
                book.push_buy(level);
            }
        }
    }
    (tick, book)
}

/// A level, unless it has no price: it is one of the zeros that sides are filled up with then, or one of the
/// orders at any price of the session before the opening.
fn level(raw: i64, quantity: i64, orders: Option<u32>, segment: Segment) -> Option<Level> {
    Some(Level { price: price(raw, segment)?, quantity: read::quantity(quantity)?, orders })
}

#[inline]
fn price(raw: i64, segment: Segment) -> Option<Price> {
    read::scaled(raw, segment.decimals(), segment.sign())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        segment::{Key, Token},
        wire::Record,
    };

    #[test]
    fn quantities_that_are_none_are_absent() {
        for (total, wanted) in [
            (0.0, Some(0)),
            (186_243_127.0, Some(186_243_127)),
            (f64::NAN, None),
            (-1.0, None),
            (1e17, None),
            (1.5, None),
        ] {
            let (tick, _) = snap(Quote { total_buy_quantity: total, ..PRE_OPEN }, &NO_SNAP);
            let rest = Tick::new(7)
                .ltp(Price::from_nanos(26_110_000_000_000))
                .total_sell_quantity(0)
                .volume(0)
                .oi(0);
            let rest = rest.close(Price::from_nanos(25_900_000_000_000));
            assert_eq!(tick, rest.with(wanted, Tick::total_buy_quantity), "{total}");
        }
    }

    #[test]
    fn prices_may_be_below_zero_and_zero_is_none() {
        assert_eq!(price(-3_763, Segment::Mcx), Some(Price::from_nanos(-37_630_000_000)));
        assert_eq!(price(-3_763, Segment::NseCash), None);
        for word in [0, -1, i64::MAX, i64::MIN, 0x88ca_6c00, 0x8000_0000, (-2_000_000_000_i32).into()] {
            assert_eq!((price(word, Segment::Mcx), price(word, Segment::Currency)), (None, None), "{word}");
        }
        assert_eq!(price(847_525_000, Segment::Currency), Some(Price::from_nanos(84_752_500_000)));
    }

    const TRADE: Trade = Trade { sequence: 0, exchange_time_ms: 0, last_price: 2_611_000 };

    const PRE_OPEN: Quote = Quote {
        last_quantity: 0,
        average_price: 0,
        volume: 0,
        total_buy_quantity: 0.0,
        total_sell_quantity: 0.0,
        open: 0,
        high: 0,
        low: 0,
        close: 2_590_000,
    };

    const NO_SNAP: Snap = Snap {
        last_trade_time: 0,
        oi: 0,
        oi_change: 0,
        best_five: [Record { flag: 0, quantity: 0, price: 0, orders: 0 }; 10],
        upper_circuit: 0,
        lower_circuit: 0,
        year_high: 0,
        year_low: 0,
    };

    fn snap(quote: Quote, snap: &Snap) -> (Tick, Book) {
        let key = Key { segment: Segment::NseDerivatives, token: Token::new("1").unwrap() };
        match tick(&Packet { key, body: Body::Snap(TRADE, quote, *snap) }, 7, false) {
            Decoded::Book(tick, book) => (tick, book),
            other => panic!("{other:?}"),
        }
    }

    fn before_the_opening() -> Tick {
        let tick = Tick::new(7).ltp(Price::from_nanos(26_110_000_000_000));
        tick.close(Price::from_nanos(25_900_000_000_000)).total_buy_quantity(0).total_sell_quantity(0)
    }

    #[test]
    fn before_the_opening_zeros_are_no_prices_and_no_book() {
        assert_eq!(snap(PRE_OPEN, &NO_SNAP), (before_the_opening().volume(0).oi(0), Book::default()));
    }

    #[test]
    fn numbers_below_zero_are_no_quantities() {
        let quote = Quote { volume: -1, last_quantity: i64::MIN, total_buy_quantity: f64::MAX, ..PRE_OPEN };
        let (tick, _) = snap(quote, &Snap { oi: -5, ..NO_SNAP });
        let wanted = Tick::new(7).ltp(Price::from_nanos(26_110_000_000_000));
        assert_eq!(tick, wanted.close(Price::from_nanos(25_900_000_000_000)).total_sell_quantity(0));
    }

    #[test]
    fn the_last_trade_s_time_may_be_in_seconds_or_milliseconds() {
        const AT: i64 = 1_790_676_600;
        for (raw, nanos) in [
            (AT, Some(1_790_676_600_000_000_000)),
            (AT * 1_000 + 1, Some(1_790_676_600_001_000_000)),
            (315_532_800, None),
            (315_532_800_000, None),
            (-1, None),
            (i64::MAX, None),
        ] {
            let (tick, _) = snap(PRE_OPEN, &Snap { last_trade_time: raw, ..NO_SNAP });
            let wanted = before_the_opening().volume(0).oi(0);
            assert_eq!(tick, nanos.map_or(wanted, |at| wanted.last_trade_ts_ns(at)), "{raw}");
        }
    }

    #[test]
    fn every_flag_but_zero_is_a_buy_and_a_level_has_a_price() {
        let mut records = NO_SNAP.best_five;
        let rows = [(0, 1, 105), (1, 2, 104), (2, 3, 103), (u16::MAX, 4, 102), (1, 500, 0), (0, -1, 106)];
        for (record, (flag, quantity, price)) in records.iter_mut().zip(rows) {
            *record = Record { flag, quantity, price, orders: 9 };
        }
        let (_, book) = snap(PRE_OPEN, &Snap { best_five: records, ..NO_SNAP });
        let quantities = |side: &[Level]| side.iter().map(|level| level.quantity).collect::<Vec<_>>();
        assert_eq!((quantities(book.buy()), quantities(book.sell())), (vec![2, 3, 4], vec![1]));
    }
}
