//! From the suite's packets to the broker's: paise, milliseconds.

use adapter_conformance::{Packet, Row};
use serde_json::{Map, Value, json};

/// How a value is written.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    Paise,
    Whole,
    Milliseconds,
}

/// The suite's values with the broker's members.
pub(crate) const VALUES: [(&str, (&str, Unit)); 13] = [
    ("ltp", ("p", Unit::Paise)),
    ("volume", ("v", Unit::Whole)),
    ("last_quantity", ("lq", Unit::Whole)),
    ("last_trade_ts_ns", ("lt", Unit::Milliseconds)),
    ("exchange_ts_ns", ("t", Unit::Milliseconds)),
    ("open", ("o", Unit::Paise)),
    ("high", ("hi", Unit::Paise)),
    ("low", ("lo", Unit::Paise)),
    ("close", ("c", Unit::Paise)),
    ("average_price", ("ap", Unit::Paise)),
    ("oi", ("oi", Unit::Whole)),
    ("total_buy_quantity", ("tb", Unit::Whole)),
    ("total_sell_quantity", ("ts", Unit::Whole)),
];

/// Messages of every kind that the broker has, some of which make no sense: to be cut and changed.
pub(crate) const SAMPLES: [&str; 6] = [
    r#"{"type":"ticks","ticks":[{"h":0,"p":62505,"v":1500000,"t":1764570600000,"b":[[62500,10,2]],"s":[[62510,5,1]]}]}"#,
    r#"{"type":"ticks","ticks":[{"h":1,"p":-1,"o":9223372036854775807,"hi":1e999,"lo":null}]}"#,
    r#"{"type":"ticks","ticks":[{"h":4294967295,"b":[[1,2,3]]},{"h":0,"t":18446744073709551615}]}"#,
    r#"{"type":"subscribed","handles":[[9999,0],[1001,4294967295]]}"#,
    r#"{"type":"refused","token":9999,"reason":""}"#,
    r#"{"type":"heartbeat","extra":[[[[[[[[[[]]]]]]]]]]}"#,
];

/// A packet as the broker writes it.
pub(crate) fn wire(packet: &Packet, handle: u32) -> Result<Value, String> {
    let mut members = Map::from_iter([("h".to_owned(), handle.into())]);
    for (name, text) in &packet.values {
        let (_, (member, unit)) = VALUES
            .iter()
            .find(|(known, _)| known == name)
            .ok_or_else(|| format!("there is no value {name}"))?;
        members.insert((*member).to_owned(), number(text, *unit)?.into());
    }
    if packet.kind == "depth" {
        members.insert("b".to_owned(), side(&packet.bids)?);
        members.insert("s".to_owned(), side(&packet.asks)?);
    }
    Ok(Value::Object(members))
}

/// The broker fills up the sides of its books with zeros, to five rows at least.
fn side(rows: &[Row]) -> Result<Value, String> {
    let mut rows = rows
        .iter()
        .map(|(price, quantity, orders)| Ok(json!([number(price, Unit::Paise)?, quantity, orders])))
        .collect::<Result<Vec<Value>, String>>()?;
    let padded = rows.len().max(5);
    rows.resize(padded, json!([0, 0, 0]));
    Ok(Value::Array(rows))
}

fn number(text: &str, unit: Unit) -> Result<i64, String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = match unit {
        Unit::Paise => format!("{whole}{part:0<2}"),
        Unit::Whole => whole.to_owned(),
        Unit::Milliseconds => whole.strip_suffix("000000").unwrap_or_default().to_owned(),
    };
    digits.parse().map_err(|_| format!("`{text}` cannot be written by this broker"))
}
