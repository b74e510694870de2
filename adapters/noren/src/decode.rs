//! From messages to what is known of an instrument. Pure: the time is handed in.
//!
//! Messages have what has changed. A member that is missing is as it was, and one that nobody can read is as
//! if it were missing. Zero takes a value back, but for the opening, highest, lowest, average and closing
//! prices, which the brokers send as zero in some updates: they stay as they were.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use adapter_sdk::{
    Price, Tick,
    abi::field,
    ist,
    read::{self, Sign, count},
    sparse::{Known, Row, Side, State},
    symbol::digits,
};

use crate::wire::{Key, Kind, Message, kind};

/// Levels on each side of a book.
pub const LEVELS: usize = 5;

/// What is known of all instruments.
pub type Book = State<Key, LEVELS>;

/// What stands for the price of orders at the opening, which have none.
const AT_THE_OPENING: &str = "42949672.95";

/// Takes a message of an instrument, and gives what is known then. None when it is about no prices.
pub fn take<'a>(
    state: &'a mut Book,
    key: Key,
    message: &Message<'_>,
    now: SystemTime,
) -> Option<&'a mut Known<LEVELS>> {
    let Kind::Prices { is_image, .. } = kind(message) else { return None };
    let mut values = Values { tick: Tick::new(0), none: 0, sign: key.exchange.sign() };
    message.members().for_each(|(name, text)| values.take(name, text));
    values.set(last_trade(message, is_image, now), Tick::last_trade_ts_ns);
    // What one channel says is no reason to forget what the other has said.
    let known =
        if is_image { state.image_of_channel(key, values.tick) } else { state.update(key, values.tick) };
    known.clear(values.none);
    known.rows(message.members().filter_map(row));
    Some(known)
}

/// The values of a message.
struct Values {
    tick: Tick,
    /// Those that it takes back: bits of [`field`].
    none: u32,
    sign: Sign,
}

impl Values {
    fn take(&mut self, name: &str, text: &str) {
        match name {
            "lp" => self.price(text, field::LTP, Tick::ltp),
            "uc" => self.price(text, field::UPPER_CIRCUIT, Tick::upper_circuit),
            "lc" => self.price(text, field::LOWER_CIRCUIT, Tick::lower_circuit),
            // Zero in these is no news.
            "o" => self.price(text, 0, Tick::open),
            "h" => self.price(text, 0, Tick::high),
            "l" => self.price(text, 0, Tick::low),
            "c" => self.price(text, 0, Tick::close),
            "ap" => self.price(text, 0, Tick::average_price),
            "pc" => self.set(Price::parse(text), Tick::change_percent),
            "cv" => self.set(Price::parse(text), Tick::change),
            "v" => self.set(count(text), Tick::volume),
            "oi" => self.set(count(text), Tick::oi),
            "tbq" => self.set(count(text), Tick::total_buy_quantity),
            "tsq" => self.set(count(text), Tick::total_sell_quantity),
            "ltq" => match count(text) {
                Some(0) => self.none |= field::LAST_QUANTITY,
                known => self.set(known, Tick::last_quantity),
            },
            "ft" => match digits(text).map(read::seconds) {
                Some(None) => self.none |= field::EXCHANGE_TS,
                at => self.set(at.flatten(), Tick::exchange_ts_ns),
            },
            _ => {}
        }
    }

    fn set<T>(&mut self, value: Option<T>, set: impl Fn(Tick, T) -> Tick) {
        self.tick = self.tick.with(value, set);
    }

    fn price(&mut self, text: &str, bit: u32, set: impl Fn(Tick, Price) -> Tick) {
        match Price::parse(text) {
            Some(price) if price.as_nanos() == 0 => self.none |= bit,
            Some(price) => self.set(read::plausible(price, self.sign), set),
            None => {}
        }
    }
}

/// A cell of a book: `bp1` to `so5`.
fn row((name, text): (&str, &str)) -> Option<(Side, usize, Row)> {
    let [side, cell, level @ b'1'..=b'5'] = *name.as_bytes() else { return None };
    let side = match side {
        b'b' => Side::Buy,
        b's' => Side::Sell,
        _ => return None,
    };
    let none = Row::default();
    let row = match cell {
        // A level whose price makes no sense is none; one that nobody can read stays.
        b'p' => {
            let price = if text == AT_THE_OPENING { Price::from_nanos(0) } else { Price::parse(text)? };
            Row { price: Some(read::plausible(price, Sign::Either).unwrap_or_default()), ..none }
        }
        b'q' => Row { quantity: Some(count(text)?), ..none },
        b'o' => Row { orders: Some(u32::try_from(count(text)?).ok()?), ..none },
        _ => return None,
    };
    Some((side, usize::from(level - b'1'), row))
}

/// When the last trade was, which comes as a time of the day. Its day is that of an update, which is sent
/// when something happens. An image may tell of a trade of days ago: that is believed if something was traded
/// on the day of the broker's feed.
fn last_trade(message: &Message<'_>, is_image: bool, now: SystemTime) -> Option<u64> {
    let clock = read::clock(message.get("ltt")?)?;
    let fed_at = message.get("ft").and_then(digits).and_then(read::seconds);
    let has_traded = || message.get("v").and_then(count).is_some_and(|volume| volume > 0);
    let latest = match fed_at {
        _ if is_image && (fed_at.is_none() || !has_traded()) => return None,
        Some(nanos) => UNIX_EPOCH + Duration::from_nanos(nanos),
        None => now,
    };
    ist::on_the_day_of(latest, clock)
}

#[cfg(test)]
mod tests {
    use adapter_sdk::symbol::Exchange;

    use super::*;

    const KEY: Key = Key { exchange: Exchange::Nse, token: 22 };

    fn now() -> SystemTime {
        // 09:15:00 on 25 November 2026.
        UNIX_EPOCH + Duration::from_mins(29_926_305)
    }

    fn known(texts: &[&str]) -> (Tick, Vec<(i64, i64)>) {
        let mut state = Book::new();
        for text in texts {
            let message = Message::read(text).unwrap();
            take(&mut state, KEY, &message, now()).unwrap();
        }
        let known = state.get(&KEY).unwrap();
        let rows = known.book().buy().iter();
        (
            known.tick(0).update(),
            rows.map(|row| (row.price.as_nanos() / 1_000_000_000, row.quantity)).collect(),
        )
    }

    fn price(text: &str) -> Price {
        Price::parse(text).unwrap()
    }

    #[test]
    fn what_is_missing_or_unreadable_stays_and_zero_takes_back() {
        let image = r#"{"t":"tk","lp":"100.05","o":"99","h":"101","c":"98","ap":"99.5","v":"7","ltq":"5","ft":"1795578300"}"#;
        let whole = Tick::new(0)
            .ltp(price("100.05"))
            .open(price("99"))
            .high(price("101"))
            .close(price("98"))
            .average_price(price("99.5"));
        let counted = whole.volume(7).last_quantity(5).exchange_ts_ns(1_795_578_300_000_000_000);
        for update in [
            r#"{"t":"tf"}"#,
            r#"{"t":"tf","o":"0","h":"0.00","l":"0","c":"","ap":"0"}"#,
            r#"{"t":"tf","lp":"1e3","v":"many","ltq":"-1","ft":"soon","o":"-"}"#,
            r#"{"t":"tf","lp":"-1","v":"1.5","h":"42949672.95"}"#,
            r#"{"t":"tf","lp":"NA","v":"NA","ltq":"NaN","ft":"NA","o":"null","h":"1,401.00","ap":"Infinity","oi":"NA"}"#,
            r#"{"t":"tf","lp":null,"v":[7],"ltq":{"x":1},"ft":true,"h":"","c":"-","tbq":" 7","bp1":"NA","bq1":"NA"}"#,
            // Numbers are as good as texts.
            r#"{"t":"tf","lp":100.05,"v":7.0,"ltq":5,"o":99,"c":"98.00","ft":1795578300}"#,
        ] {
            assert_eq!(known(&[image, update]).0, counted, "{update}");
        }
        let (tick, _) = known(&[image, r#"{"t":"tf","lp":"0.00","v":"0","ltq":"0","ft":"0"}"#]);
        let rest = Tick::new(0).open(price("99")).high(price("101")).close(price("98"));
        assert_eq!(tick, rest.average_price(price("99.5")).volume(0));
    }

    #[test]
    fn rows_of_a_book_keep_their_places_and_none_is_made_up() {
        let image = r#"{"t":"dk","bp1":"100","bq1":"5","bp2":"99","bq2":"6","bp3":"98","bq3":"7"}"#;
        for (update, rows) in [
            (r#"{"t":"df","bq2":"8"}"#, &[(100, 5), (99, 8), (98, 7)][..]),
            (r#"{"t":"df","bp1":"0.00"}"#, &[(99, 6), (98, 7)]),
            (r#"{"t":"df","bp1":"42949672.95"}"#, &[(99, 6), (98, 7)]),
            (r#"{"t":"df","bq1":"0","bq2":"0","bq3":"0"}"#, &[]),
            (
                r#"{"t":"df","bp1":"NA","bq1":"1.5","bp2":null,"bq3":"NA","bp6":"1","bp0":"1","bz1":"1","xp1":"1"}"#,
                &[(100, 5), (99, 6), (98, 7)],
            ),
            (r#"{"t":"tk","lp":"1","bq1":"9"}"#, &[(100, 9), (99, 6), (98, 7)]),
        ] {
            assert_eq!(known(&[image, update]).1, rows, "{update}");
        }
    }

    #[test]
    fn a_time_of_the_day_is_of_that_day_or_left_out() {
        let nine = |second: u64| Some((1_795_578_300 + second) * 1_000_000_000);
        for (text, wanted) in [
            (r#"{"t":"tf","ltt":"09:15:00"}"#, nine(0)),
            (r#"{"t":"tf","ltt":"09:15:30"}"#, nine(30)),
            (r#"{"t":"tf","ltt":"15:29:00"}"#, None),
            (r#"{"t":"tf","ltt":"09:15"}"#, None),
            (r#"{"t":"tf","ltt":"24:00:00"}"#, None),
            (r#"{"t":"tf","ltt":"26/11/2026 09:15:00"}"#, None),
            (r#"{"t":"tk","ltt":"09:15:00","v":"1"}"#, None),
            (r#"{"t":"tk","ltt":"09:15:00","v":"1","ft":"1795578310"}"#, nine(0)),
            (r#"{"t":"tk","ltt":"09:15:00","v":"0","ft":"1795578310"}"#, None),
            (r#"{"t":"tk","ltt":"15:29:00","v":"1","ft":"1795578310"}"#, None),
        ] {
            let message = Message::read(text).unwrap();
            let is_image = matches!(kind(&message), Kind::Prices { is_image: true, .. });
            assert_eq!(last_trade(&message, is_image, now()), wanted, "{text}");
        }
    }

    #[test]
    fn commodities_can_cost_less_than_nothing() {
        let message = Message::read(r#"{"t":"tf","lp":"-12.5"}"#).unwrap();
        let mut state = Book::new();
        let key = Key { exchange: Exchange::Mcx, token: 1 };
        let known = take(&mut state, key, &message, now()).unwrap();
        assert_eq!(known.tick(0), Tick::new(0).ltp(price("-12.5")));
    }
}
