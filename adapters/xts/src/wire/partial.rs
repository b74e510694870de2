//! Messages that say what has changed: `key:value,key:value,…`, of which the first pair names the instrument.
//!
//! ```text
//! t:1_22,ltp:1400.1,ltq:5,bi:0|75|1400.05|2|3|150||
//! ```
//!
//! `bi` and `ai` are rows of the book, four parts each: level, size, price, orders, of which those that have
//! not changed are empty.

use adapter_sdk::{read::Number, symbol::digits};

use super::{About, Code, LEVELS, News, Value, exchange_of, key, number, row};

/// Reads a message under a code. None when it makes no sense.
pub fn read(text: &str, code: Code) -> Option<News<'_>> {
    let mut pairs = text.split(',').map(|pair| pair.split_once(':'));
    let (_, name) = pairs.next()?.filter(|(name, _)| *name == "t")?;
    let (segment, name) = name.split_once('_')?;
    let segment = digits(segment)?;
    let about = match digits(name).and_then(|number| key(segment, number)) {
        Some(key) => About::Instrument(key),
        None if code == Code::Index && !name.is_empty() => About::Index(exchange_of(segment)?, name),
        None => return None,
    };
    let mut news = News::new(code, about, false);
    for (name, value) in pairs.flatten() {
        match (name, code) {
            ("bi" | "ai", Code::Touchline | Code::Depth) => take_rows(&mut news, name == "ai", value),
            _ => {
                if let Some(known) = named(name, code) {
                    news.take(known, &number(value));
                }
            }
        }
    }
    Some(news.settled())
}

/// The value of a name, which depends on what the message is about.
fn named(name: &str, code: Code) -> Option<Value> {
    Some(match (name, code) {
        // 110 and 111 are the limits within which orders are taken, and no prices of anything.
        ("110", Code::Bands) => Value::UpperCircuit,
        ("111", Code::Bands) => Value::LowerCircuit,
        ("o", Code::OpenInterest) => Value::OpenInterest,
        (_, Code::Bands | Code::OpenInterest) => return None,
        ("ltp", _) => Value::Ltp,
        ("ltq", _) => Value::LastQuantity,
        ("v", _) => Value::Volume,
        ("ap", _) => Value::Average,
        ("o", _) => Value::Open,
        ("h", _) => Value::High,
        ("l", _) => Value::Low,
        // That of an index may be the value itself.
        ("c", Code::Touchline | Code::Depth | Code::Ltp) => Value::Close,
        ("tb", _) => Value::TotalBuy,
        ("ts", _) => Value::TotalSell,
        ("pc", _) => Value::ChangePercent,
        ("ltt", _) => Value::TradedAt,
        ("lut", _) => Value::UpdatedAt,
        _ => return None,
    })
}

fn take_rows(news: &mut News<'_>, is_ask: bool, text: &str) {
    let [bids, asks] = &mut news.rows;
    let rows = if is_ask { asks } else { bids };
    let mut parts = text.split('|');
    while let Some(level) = parts.next() {
        let mut part = || parts.next().map_or_else(Number::default, number);
        let (size, price, orders) = (part(), part(), part());
        let Some(place) = digits::<usize>(level).filter(|level| *level < LEVELS) else { continue };
        if let Some(known) = rows.get_mut(place) {
            *known = row(&price, &size, &orders);
        }
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{Price, Tick, abi::field, sparse::Row, symbol::Exchange};
    use proptest::prelude::*;

    use super::*;

    fn price(text: &str) -> Price {
        Price::parse(text).unwrap()
    }

    #[test]
    fn limits_are_no_prices_and_open_interest_is_no_opening() {
        let bands = read("t:1_22,110:120.5,111:80.5,87:70,88:130,105:100,ltp:99", Code::Bands).unwrap();
        assert_eq!(bands.tick, Tick::new(0).upper_circuit(price("120.5")).lower_circuit(price("80.5")));
        let touchline = read("t:1_22,110:120.5,111:80,o:7", Code::Touchline).unwrap();
        assert_eq!(touchline.tick, Tick::new(0).open(price("7")));
        assert_eq!(read("t:2_22,o:7", Code::OpenInterest).unwrap().tick, Tick::new(0).oi(7));
    }

    #[test]
    fn what_is_empty_or_unreadable_stays_and_zero_takes_back() {
        let news =
            read("t:1_22,ltp:0,ltq:0,v:0,o:0.00,h:x,l:,c:1e400,pc:0.5,ltt:0,lut:-1,zz:1,,:", Code::Depth);
        let news = news.unwrap();
        assert_eq!(news.tick, Tick::new(0).volume(0).change_percent(price("0.5")));
        let none =
            field::LTP | field::LAST_QUANTITY | field::OPEN | field::CHANGE_PERCENT | field::LAST_TRADE_TS;
        assert_eq!(news.none, none);
        let exact = read("t:1_22,ap:123.456789012345,v:7.0", Code::Depth).unwrap();
        assert_eq!(exact.tick, Tick::new(0).average_price(price("123.456789012")).volume(7));
        for odd in
            ["", "garbage", "t:", "t:1", "t:1_", "t:1_x,ltp:7", "t:9_22", "ltp:7,t:1_22", "t:1_4294967296"]
        {
            assert!(read(odd, Code::Depth).is_none(), "{odd}");
        }
        let index = read("t:1_NIFTY_50,ltp:7,c:6", Code::Index).unwrap();
        assert_eq!(index.about, About::Index(Exchange::Nse, "NIFTY_50"));
        assert_eq!(index.tick, Tick::new(0).ltp(price("7")));
    }

    #[test]
    fn rows_name_their_levels() {
        let news = read("t:1_22,bi:0|5|100.5|2|3||99||7|1|1|1|4|x|0||,ai:1|6", Code::Depth).unwrap();
        let [bids, asks] = news.rows;
        assert_eq!(bids[0], Row { price: Some(price("100.5")), quantity: Some(5), orders: Some(2) });
        assert_eq!(bids[3], Row { price: Some(price("99")), ..Row::default() });
        assert_eq!(bids[4], Row { price: Some(Price::default()), ..Row::default() });
        assert_eq!((bids[1], asks[1].quantity), (Row::default(), Some(6)));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,60}") {
            let _any = read(&text, Code::Depth);
            for name in ["ltp", "ltt", "bi", "ai", "v", "pc", "110"] {
                let _any = read(&format!("t:1_22,{name}:{text}"), Code::Depth);
            }
        }
    }
}
