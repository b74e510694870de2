//! Text messages exactly as the broker writes them: `{"type": …, "data": …}`.

use std::borrow::Cow;

use adapter_sdk::OrderUpdate;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest notice that is kept, in bytes.
const MAX_NOTICE_BYTES: usize = 200;

/// A text message.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// News of an order. Without any number of one it means nothing, and is [`Text::Other`].
    Order(Box<Postback>),
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

/// What the broker says of an order. Prices are in rupees.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "each is the member of the same name in the broker's documents")]
pub struct Postback {
    pub order_id: String,
    pub status: String,
    pub status_message: Option<String>,
    pub exchange: String,
    pub tradingsymbol: String,
    pub instrument_token: u32,
    pub order_type: Option<String>,
    pub transaction_type: String,
    pub product: Option<String>,
    pub quantity: f64,
    pub price: Option<f64>,
    pub trigger_price: Option<f64>,
    pub average_price: Option<f64>,
    pub filled_quantity: Option<f64>,
    pub pending_quantity: Option<f64>,
}

/// Reads a text message.
pub fn read(text: &str) -> Text {
    let Ok(Envelope { kind, data }) = serde_json::from_str(text) else { return Text::Other };
    let data = data.map_or("null", RawValue::get);
    let notice = |make: fn(String) -> Text| {
        serde_json::from_str(data).map_or(Text::Damaged, |mut text: String| {
            text.truncate(text.floor_char_boundary(MAX_NOTICE_BYTES));
            make(text)
        })
    };
    match &*kind {
        "order" => match serde_json::from_str::<Postback>(data) {
            Ok(postback) if postback.order_id.is_empty() => Text::Other,
            Ok(postback) => Text::Order(Box::new(postback)),
            Err(_) => Text::Damaged,
        },
        "error" => notice(Text::Error),
        "message" => notice(Text::Notice),
        "instruments_meta" => {
            serde_json::from_str(data).map_or(Text::Damaged, |Meta { etag }| Text::Instruments { etag })
        }
        _ => Text::Other,
    }
}

impl Postback {
    /// The order in the words of OpenAlgo's clients, under the name that its instrument has there.
    pub fn update(&self, exchange: &str, symbol: &str) -> OrderUpdate {
        let is_rejected = self.status == "REJECTED";
        OrderUpdate {
            orderid: self.order_id.clone(),
            symbol: symbol.to_owned(),
            exchange: exchange.to_owned(),
            action: self.transaction_type.clone(),
            quantity: whole(self.quantity),
            price: self.price,
            trigger_price: self.trigger_price,
            pricetype: self.order_type.clone().unwrap_or_default(),
            product: self.product.clone().unwrap_or_default(),
            order_status: match self.status.as_str() {
                // What the broker calls an update is a change of an order that is open: part of it was filled, or it
                // was modified.
                "UPDATE" => "open".to_owned(),
                status => status.to_lowercase(),
            },
            filled_quantity: self.filled_quantity.map(whole),
            pending_quantity: self.pending_quantity.map(whole),
            average_price: self.average_price,
            rejection_reason: self.status_message.clone().filter(|_| is_rejected),
        }
    }
}

/// Quantities are whole, whether JSON writes them with a fraction or not.
#[expect(clippy::cast_possible_truncation, reason = "what is beyond the range becomes its end")]
fn whole(number: f64) -> i64 {
    number.round() as i64
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

    use super::*;

    #[test]
    fn orders_are_told_in_the_words_of_clients() {
        let text = r#"{"type":"order","data":{"order_id":"1","status":"REJECTED","status_message":"Insufficient funds",
            "exchange":"NFO","tradingsymbol":"NIFTY26DECFUT","instrument_token":12517890,"order_type":"SL-M",
            "transaction_type":"SELL","product":"NRML","quantity":75,"price":0,"trigger_price":26000.5,
            "filled_quantity":0,"pending_quantity":0.0,"average_price":null}}"#;
        let Text::Order(postback) = read(text) else { panic!("no order") };
        let update = postback.update("NFO", "NIFTY29DEC26FUT");
        let wanted = OrderUpdate {
            orderid: "1".to_owned(),
            symbol: "NIFTY29DEC26FUT".to_owned(),
            exchange: "NFO".to_owned(),
            action: "SELL".to_owned(),
            quantity: 75,
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
        assert_eq!(update, wanted);
        let status = |status: &str| Postback { status: status.to_owned(), ..Postback::default() };
        assert_eq!(status("TRIGGER PENDING").update("", "").order_status, "trigger pending");
        assert_eq!(status("UPDATE").update("", "").order_status, "open");
    }

    #[test]
    fn what_is_no_message_means_nothing_and_what_is_damaged_says_so() {
        for text in ["", "{", "[]", "7", "null", r#"{"type":7}"#, r#"{"type":"order","data":{}}"#] {
            assert_eq!(read(text), Text::Other, "{text}");
        }
        for text in [
            r#"{"type":"order"}"#,
            r#"{"type":"order","data":{"order_id":7}}"#,
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
        }
    }
}
