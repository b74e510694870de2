//! Text messages exactly as the broker writes them: `{"type": …, "data": …}`.

use std::borrow::Cow;

use adapter_sdk::{
    OrderUpdate,
    read::{self, Members, Odd, OrderNames},
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest notice that is kept, in bytes.
const MAX_NOTICE_BYTES: usize = 200;

/// A text message.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// News of an order, with the token of its instrument. One without its number is [`Text::Damaged`]; one
    /// without any member is [`Text::Other`].
    Order(Box<OrderUpdate>, Option<u32>),
    /// The broker finds fault with something; the connection stays.
    Error(String),
    /// A notice for people.
    Notice(String),
    /// Which list of instruments is the present one.
    Instruments {
        /// Changes when the list does.
        etag: String,
    },
    /// Anything else, which means nothing here.
    Other,
    /// A message of a kind that is known, with something else in it.
    Damaged,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta {
    etag: String,
}

const ORDER: OrderNames = OrderNames {
    orderid: "order_id",
    symbol: "tradingsymbol",
    exchange: "exchange",
    action: "transaction_type",
    quantity: "quantity",
    price: "price",
    trigger_price: "trigger_price",
    pricetype: "order_type",
    product: "product",
    order_status: "status",
    filled_quantity: "filled_quantity",
    pending_quantity: "pending_quantity",
    average_price: "average_price",
    rejection_reason: "status_message",
};

/// Reads a text message. Members of an order that make no sense are noted in `odd`, and left out.
pub fn read(text: &str, odd: &Odd) -> Text {
    if let Ok(envelope) = serde_json::from_str(text) {
        return open(envelope, odd);
    }
    // A bare NaN is no JSON, but no reason to lose an order either.
    let mended = read::mended(text).unwrap_or_default();
    serde_json::from_str(&mended).map_or(Text::Other, |envelope| open(envelope, odd))
}

fn open(Envelope { kind, data }: Envelope<'_>, odd: &Odd) -> Text {
    let data = data.map_or("null", RawValue::get);
    let notice = |make: fn(String) -> Text| {
        serde_json::from_str(data).map_or(Text::Damaged, |mut text: String| {
            text.truncate(text.floor_char_boundary(MAX_NOTICE_BYTES));
            make(text)
        })
    };
    match &*kind {
        "order" => match Members::read(data, odd) {
            // The broker sends empty ones that mean nothing.
            Some(members) if members.is_empty() => Text::Other,
            Some(members) => order(&members).unwrap_or(Text::Damaged),
            None => Text::Damaged,
        },
        "error" => notice(Text::Error),
        "message" => notice(Text::Notice),
        "instruments_meta" => {
            serde_json::from_str(data).map_or(Text::Damaged, |Meta { etag }| Text::Instruments { etag })
        }
        _ => Text::Other,
    }
}

/// An order in the words of OpenAlgo's clients, but under the name that its instrument has at the broker.
fn order(members: &Members<'_>) -> Option<Text> {
    // What the broker calls an update is a change of an order that is open: part of it was filled, or it was
    // modified.
    let update = ORDER.read(members)?.in_words_of_clients();
    let token = members.whole("instrument_token").and_then(|token| u32::try_from(token).ok());
    Some(Text::Order(Box::new(update), token))
}

/// A notice with what may be a secret hidden: a token is a long word of letters and digits.
pub fn masked(notice: &str) -> String {
    let is_long = |word: &str| word.bytes().filter(u8::is_ascii_alphanumeric).count() >= 12;
    let is_secret = |word: &str| is_long(word) && word.bytes().any(|byte| byte.is_ascii_digit());
    let words: Vec<&str> =
        notice.split_whitespace().map(|word| if is_secret(word) { "[hidden]" } else { word }).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{read as read_with, *};

    fn read(text: &str) -> Text {
        read_with(text, &Odd::new())
    }

    #[test]
    fn orders_are_told_in_the_words_of_clients() {
        let text = r#"{"type":"order","data":{"order_id":"1","status":"REJECTED","status_message":"Insufficient funds",
            "exchange":"NFO","tradingsymbol":"NIFTY26DECFUT","instrument_token":12517890,"order_type":"SL-M",
            "transaction_type":"SELL","product":"NRML","quantity":75,"price":0,"trigger_price":26000.5,
            "filled_quantity":0,"pending_quantity":0.0,"average_price":null}}"#;
        let Text::Order(update, token) = read(text) else { panic!("no order") };
        let wanted = OrderUpdate {
            orderid: "1".to_owned(),
            symbol: "NIFTY26DECFUT".to_owned(),
            exchange: "NFO".to_owned(),
            action: "SELL".to_owned(),
            quantity: Some(75),
            price: Some(0.0),
            trigger_price: Some(26_000.5),
            pricetype: "SL-M".to_owned(),
            product: "NRML".to_owned(),
            order_status: "rejected".to_owned(),
            filled_quantity: Some(0),
            pending_quantity: Some(0),
            average_price: None,
            rejection_reason: Some("Insufficient funds".to_owned()),
        };
        assert_eq!((*update, token), (wanted, Some(12_517_890)));
        for (theirs, ours) in [("TRIGGER PENDING", "trigger pending"), ("UPDATE", "open")] {
            let text = format!(r#"{{"type":"order","data":{{"order_id":"1","status":"{theirs}"}}}}"#);
            let Text::Order(update, None) = read(&text) else { panic!("no order") };
            assert_eq!(update.order_status, ours);
        }
    }

    /// Every member, one after the other, is each of these; the others go out as they are.
    #[test]
    fn an_odd_member_costs_itself_and_no_other() {
        let members = [
            ("status", "orderstatus"),
            ("status_message", ""),
            ("exchange", "exchange"),
            ("tradingsymbol", "symbol"),
            ("instrument_token", ""),
            ("order_type", "pricetype"),
            ("transaction_type", "action"),
            ("product", "product"),
            ("quantity", "quantity"),
            ("price", "price"),
            ("trigger_price", "trigger_price"),
            ("average_price", "average_price"),
            ("filled_quantity", "filled_quantity"),
            ("pending_quantity", "pending_quantity"),
        ];
        let whole = r#"{"order_id":"1","status":"OPEN","status_message":"m","exchange":"NSE","tradingsymbol":"SBIN",
            "instrument_token":779521,"order_type":"LIMIT","transaction_type":"BUY","product":"CNC","quantity":10,
            "price":50.5,"trigger_price":1.5,"average_price":2.5,"filled_quantity":3,"pending_quantity":7}"#;
        let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_str(whole).unwrap();
        let update = |text: &str, odd: &Odd| {
            let Text::Order(update, _) = read_with(text, odd) else { panic!("lost: {text}") };
            serde_json::to_value(update).unwrap()
        };
        let text = |data: &serde_json::Map<String, serde_json::Value>| {
            serde_json::json!({"type": "order", "data": data}).to_string()
        };
        let expected = update(&text(&whole), &Odd::new());
        for (name, ours) in members {
            let ours = if ours == "orderstatus" { "order_status" } else { ours };
            let mut without = whole.clone();
            without.remove(name);
            let mut wanted = expected.clone();
            wanted.as_object_mut().unwrap().remove(ours);
            assert_eq!(update(&text(&without), &Odd::new()), wanted, "without {name}");
            for (value, is_odd) in [
                ("null", false),
                ("{}", true),
                ("[1]", true),
                ("true", true),
                ("1e400", true),
                ("NaN", false),
            ] {
                let mut data = whole.clone();
                data.insert(name.to_owned(), "PLACE".into());
                let (text, odd) = (text(&data).replace("\"PLACE\"", value), Odd::new());
                assert_eq!(update(&text, &odd), wanted, "{name} is {value}");
                assert_eq!(odd.names(), if is_odd { vec![name] } else { vec![] }, "{name} is {value}");
            }
        }
    }

    #[test]
    fn what_is_no_message_means_nothing_and_what_is_damaged_says_so() {
        for text in ["", "{", "[]", "7", "null", r#"{"type":7}"#, r#"{"type":"order","data":{}}"#] {
            assert_eq!(read(text), Text::Other, "{text}");
        }
        for text in [
            r#"{"type":"order"}"#,
            r#"{"type":"order","data":null}"#,
            r#"{"type":"order","data":"{}"}"#,
            r#"{"type":"order","data":[]}"#,
            r#"{"type":"order","data":{"status":"OPEN"}}"#,
            r#"{"type":"order","data":{"order_id":null,"status":"OPEN"}}"#,
            r#"{"type":"order","data":{"order_id":{},"status":"OPEN"}}"#,
            r#"{"type":"error","data":{}}"#,
            r#"{"type":"instruments_meta","data":{}}"#,
        ] {
            assert_eq!(read(text), Text::Damaged, "{text}");
        }
        let long = format!(r#"{{"type":"message","data":"{}"}}"#, "é".repeat(5_000));
        assert_eq!(read(&long), Text::Notice("é".repeat(100)));
    }

    #[test]
    fn notices_lose_what_may_be_a_token() {
        assert_eq!(masked("Invalid access token"), "Invalid access token");
        assert_eq!(masked("token a1b2c3d4e5f6g7h8 is stale"), "token [hidden] is stale");
        assert_eq!(
            masked("Can't subscribe to more than 3000 instruments."),
            "Can't subscribe to more than 3000 instruments."
        );
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in ".{0,200}", kind in "order|error|message|instruments_meta|x") {
            let _any = read(&text);
            let _any = read(&format!(r#"{{"type":"{kind}","data":{text}}}"#));
            let _any = read(&format!(r#"{{"type":"order","data":{{"order_id":1,"quantity":{text}}}}}"#));
        }
    }
}
