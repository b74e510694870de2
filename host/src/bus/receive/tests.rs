//! Messages by their text: what reaches the sink, and what is counted.

use std::{collections::BTreeMap, fmt::Write as _};

use tickhost_core::{
    book::UNKNOWN_COUNT,
    model::{Quote, field},
};

use super::*;

/// Writes down each tick, with what is present in it.
#[derive(Default)]
struct Notebook(Vec<String>);

impl BusSink for Notebook {
    fn tick(&mut self, exchange: &str, symbol: &str, mode: Mode, tick: TickView<'_>) -> BusVerdict {
        let mut said = format!("{exchange}:{symbol} {mode}");
        let names: [(u32, &str, fn(&Quote) -> i64); 7] = [
            (field::LTP, "ltp", |quote| quote.ltp / 1_000_000),
            (field::HIGH, "high", |quote| quote.high / 1_000_000),
            (field::VOLUME, "volume", |quote| quote.volume),
            (field::LAST_QUANTITY, "size", |quote| quote.last_quantity),
            (field::OI, "oi", |quote| quote.oi),
            (field::BID_SIZE, "bid_size", |quote| quote.bid_size),
            (field::TOTAL_SELL_QUANTITY, "sellers", |quote| quote.total_sell_quantity),
        ];
        for (bit, name, value) in names {
            if tick.quote.fields & bit != 0 {
                _ = match value(tick.quote) {
                    UNKNOWN_COUNT => write!(said, " {name}=?"),
                    value => write!(said, " {name}={value}"),
                };
            }
        }
        if tick.quote.fields & field::BOOK != 0 {
            let side = |levels: &[tickhost_core::model::DepthLevel]| -> Vec<i64> {
                levels.iter().map(|level| level.quantity).collect()
            };
            _ = write!(said, " {:?}/{:?}", side(tick.buy), side(tick.sell));
        }
        self.0.push(said);
        BusVerdict::Accepted
    }

    fn order_update(&mut self, _: &str, _: &OrderUpdate<'_>) -> OrderVerdict {
        OrderVerdict::UnknownUser
    }

    fn cache_invalidate(&mut self, _: CacheScope, _: &str) -> Invalidated {
        Invalidated::Unknown
    }

    fn flush(&mut self) {}
}

/// What a message of this topic brings to the sink, and what was counted as malformed.
fn heard(topic: &str, body: &str) -> (Vec<String>, BTreeMap<&'static str, u64>) {
    let counters = Arc::<BusCounters>::default();
    let settings = BusSettings::new(([127, 0, 0, 1], 0).into(), PathBuf::new());
    let mut reader = BusReader::new(settings, Arc::clone(&counters));
    let mut sink = Notebook::default();
    reader.read(topic.as_bytes(), body.as_bytes(), &mut sink);
    let counted = counters.snapshot().into_iter();
    let malformed = counted.filter(|(area, _, count)| *area == "malformed" && *count > 0);
    (sink.0, malformed.map(|(_, reason, count)| (reason, count)).collect())
}

fn expect(topic: &str, body: &str, ticks: &[&str], malformed: &[(&'static str, u64)]) {
    let (said, counted) = heard(topic, body);
    assert_eq!(said, ticks, "{body}");
    assert_eq!(counted, malformed.iter().copied().collect(), "{body}");
}

#[test]
fn a_value_that_no_json_has_costs_itself_alone() {
    for word in ["NaN", "Infinity", "-Infinity", "-NaN", "nan", "inf", "-inf"] {
        expect(
            "NSE_SBIN_QUOTE",
            &format!(r#"{{"ltp":102.5,"oi":{word},"volume":7}}"#),
            &["NSE:SBIN Quote ltp=102500 volume=7"],
            &[("not_finite", 1)],
        );
        expect(
            "NSE_SBIN_QUOTE",
            &format!(r#"{{"greek": [ {word} ,{{"x":{word}}}],"high":{word},"ltp":102.5}}"#),
            &["NSE:SBIN Quote ltp=102500"],
            &[("not_finite", 3)],
        );
    }
    // Within a text it is a text.
    expect(
        "NSE_SBIN_LTP",
        r#"{"note":"a \" NaN, Infinity","ltp":1,"oi":NaN}"#,
        &["NSE:SBIN LTP ltp=1000"],
        &[("not_finite", 1)],
    );
    expect("NSE_SBIN_LTP", r#"{"ltp":1,"oi":"NaN"}"#, &["NSE:SBIN LTP ltp=1000"], &[("not_finite", 1)]);
}

#[test]
fn a_number_beyond_any_range_costs_itself_alone() {
    for number in ["1e999", "-1e999", "1e19", "123456789012345678901234567890", "18446744073709551615"] {
        expect(
            "NSE_SBIN_LTP",
            &format!(r#"{{"oi":{number},"ltp":102.5}}"#),
            &["NSE:SBIN LTP ltp=102500"],
            &[("number", 1)],
        );
    }
    let long = "9".repeat(400);
    expect(
        "NSE_SBIN_LTP",
        &format!(r#"{{"high":{long},"ltp":102.5}}"#),
        &["NSE:SBIN LTP ltp=102500"],
        &[("number", 1)],
    );
}

#[test]
fn a_batch_loses_what_cannot_be_read_and_nothing_twice() {
    expect(
        "NSE_X_LTP",
        r#"[{"exchange":"NSE","symbol":"A","ltp":1},7,{"exchange":"NSE","symbol":"B","ltp":2,"oi":NaN},
            null,NaN,[{}],{"exchange":"NSE","symbol":"C","ltp":-Infinity},{"exchange":"NSE","symbol":"D","ltp":4,"mode":{}},
            {"exchange":"NSE","symbol":"E","ltp":5,"mode":2.0}]"#,
        &["NSE:A LTP ltp=1000", "NSE:B LTP ltp=2000", "NSE:D LTP ltp=4000", "NSE:E Quote ltp=5000"],
        &[("element", 5), ("not_finite", 3), ("number", 1)],
    );
}

#[test]
fn what_is_broken_beyond_its_values_is_refused() {
    for body in [
        r#"{"ltp":102.5,"oi":NaN"#,
        r#"{"ltp":102.5,"oi":Na"#,
        r#"{"ltp":102.5,"oi":Nan rupees}"#,
        r#"{"ltp":102.5,NaN:1}"#,
        r#"{"ltp":102.5,"oi":undefined}"#,
        r#"{"ltp":102.5,"oi":"NaN}"#,
        r#"{"ltp":102.5 NaN}"#,
        "NaN",
        "[NaN",
    ] {
        let (said, counted) = heard("NSE_SBIN_LTP", body);
        assert_eq!((said, counted.get("json")), (vec![], Some(&1)), "{body}");
        assert_eq!(counted.get("not_finite"), None, "{body}");
    }
}

#[test]
fn a_count_with_a_fraction_is_left_out_and_never_rounded() {
    for count in ["0.35015176", "1.9", "\"0.5\"", "5.5", "1e-9", "\"9007199254740993.5\"", "1e-308"] {
        for (name, ours) in [
            ("volume", "volume"),
            ("ltq", "size"),
            ("oi", "oi"),
            ("bid_qty", "bid_size"),
            ("totalsellqty", "sellers"),
        ] {
            // What was known before is gone too.
            expect(
                "CRYPTO_BTC_USD_QUOTE",
                &format!(r#"{{"ltp":102.5,"{name}":{count}}}"#),
                &[&format!("CRYPTO:BTC_USD Quote ltp=102500 {ours}=?")],
                &[("fraction", 1)],
            );
        }
    }
    for count in ["5", "5.0", "\"5\"", "5e0", "0.5e1", "\"5.0\"", "50e-1", "\" 5.000 \""] {
        expect(
            "CRYPTO_BTC_USD_QUOTE",
            &format!(r#"{{"ltp":102.5,"volume":{count}}}"#),
            &["CRYPTO:BTC_USD Quote ltp=102500 volume=5"],
            &[],
        );
    }
    // Too large for a double to tell whether it is whole.
    expect(
        "NSE_X_LTP",
        r#"{"ltp":1,"volume":9007199254740993.0}"#,
        &["NSE:X LTP ltp=1000"],
        &[("number", 1)],
    );
    expect(
        "NSE_X_LTP",
        r#"{"ltp":1,"volume":"9007199254740993.0"}"#,
        &["NSE:X LTP ltp=1000 volume=9007199254740993"],
        &[],
    );
    // Negative counts stand for unknown, whole or not.
    expect("NSE_X_LTP", r#"{"ltp":1,"volume":-1,"oi":-0.5}"#, &["NSE:X LTP ltp=1000"], &[]);
}

#[test]
fn a_book_that_cannot_be_shown_whole_is_gone_and_its_prices_stay() {
    for (level, reasons) in [
        (r#"{"price":99,"quantity":1.9}"#, &[("book", 1), ("fraction", 1)][..]),
        (r#"{"price":99,"quantity":NaN}"#, &[("book", 1), ("not_finite", 1)]),
        (r#"{"price":Infinity,"quantity":1}"#, &[("book", 1), ("not_finite", 1)]),
        (r#"{"price":99,"quantity":"many"}"#, &[("book", 1), ("number", 1)]),
        (r#"{"price":99,"quantity":null}"#, &[("book", 1)]),
        (r#"{"price":99}"#, &[("book", 1)]),
        (r#"{"price":99,"quantity":-5}"#, &[("book", 1)]),
        ("7", &[("book", 1)]),
        (r#"{"price":null,"quantity":null},{"price":98,"quantity":5}"#, &[("book", 1)]),
    ] {
        expect(
            "NSE_X_DEPTH",
            &format!(r#"{{"ltp":1,"depth":{{"buy":[{{"price":100,"quantity":3}},{level}],"sell":[]}}}}"#),
            &["NSE:X Depth ltp=1000 []/[]"],
            reasons,
        );
    }
    // The number of orders is no part of what makes a level.
    for (orders, reason) in
        [("1.5", "fraction"), ("NaN", "not_finite"), ("\"x\"", "number"), ("1e18", "number")]
    {
        expect(
            "NSE_X_DEPTH",
            &format!(r#"{{"ltp":1,"bids":[{{"price":100,"quantity":3,"orders":{orders}}}],"asks":[]}}"#),
            &["NSE:X Depth ltp=1000 [3]/[]"],
            &[(reason, 1)],
        );
    }
    // Levels that publishers fill their lists up with.
    expect(
        "NSE_X_DEPTH",
        r#"{"bids":[{"price":100,"quantity":3},{"price":NaN,"quantity":NaN},null],"asks":[{"price":0,"quantity":0}]}"#,
        &["NSE:X Depth [3]/[]"],
        &[("not_finite", 2)],
    );
}

#[test]
fn an_empty_book_is_news_and_a_message_without_one_is_none() {
    for body in [
        r#"{"ltp":1,"depth":{"buy":[],"sell":[]}}"#,
        r#"{"ltp":1,"bids":[],"asks":[]}"#,
        r#"{"ltp":1,"depth":{"buy":[{"price":0,"quantity":0}],"sell":[{"price":0.0,"quantity":0}]}}"#,
    ] {
        expect("NSE_X_DEPTH", body, &["NSE:X Depth ltp=1000 []/[]"], &[]);
    }
    for body in [r#"{"ltp":1}"#, r#"{"ltp":1,"depth":null}"#, r#"{"ltp":1,"depth":{"buy":null}}"#] {
        expect("NSE_X_DEPTH", body, &["NSE:X Depth ltp=1000"], &[]);
    }
}
