//! Messages of the order socket. Pure.

use adapter_sdk::{
    OrderUpdate,
    read::{self, Members, Odd, OrderNames},
};

use crate::{
    list::Instruments,
    segment::{Key, Segment, Token},
};

/// The broker's code of its first message.
const GREETING: &str = "AB00";

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    /// An order has changed.
    Update(Box<OrderUpdate>),
    /// Nothing of interest, such as the greeting.
    Nothing,
    /// Something that makes no sense, or an order without its number.
    Undecodable,
}

/// Reads a message. The list gives OpenAlgo's names for the broker's. Members that make no sense are noted in
/// `odd`, and left out.
pub(crate) fn read(text: &str, list: &Instruments, odd: &Odd) -> Said {
    if text == "pong" {
        return Said::Nothing;
    }
    read::members(text, odd, |frame| said(frame, list)).unwrap_or(Said::Undecodable)
}

fn said(frame: &Members<'_>, list: &Instruments) -> Said {
    let code = frame.text("order-status").unwrap_or_default();
    // The greeting, whose order has no number.
    if code == GREETING {
        return Said::Nothing;
    }
    let order = frame.object("orderData").map(Order);
    let update = order.and_then(|order| order.update(&code, list));
    update.map_or(Said::Undecodable, |update| Said::Update(Box::new(update)))
}

/// What the broker calls the members.
const NAMES: OrderNames = OrderNames {
    orderid: "orderid",
    action: "transactiontype",
    quantity: "quantity",
    price: "price",
    trigger_price: "triggerprice",
    pricetype: "ordertype",
    product: "producttype",
    filled_quantity: "filledshares",
    pending_quantity: "unfilledshares",
    average_price: "averageprice",
    rejection_reason: "text",
    ..OrderNames::NONE
};

/// An order, most of whose numbers are texts.
struct Order<'a>(Members<'a>);

impl Order<'_> {
    /// None for what has no number of an order.
    fn update(&self, code: &str, list: &Instruments) -> Option<OrderUpdate> {
        let update = NAMES.read(&self.0)?;
        let (exchange, symbol) = self.instrument(list);
        let update = OrderUpdate { exchange, symbol, order_status: self.status(code), ..update };
        Some(update.in_words_of_clients())
    }

    fn text(&self, name: &'static str) -> String {
        self.0.text(name).unwrap_or_default()
    }

    /// Exchange and symbol in OpenAlgo's words, or in the broker's for what the list of instruments does not
    /// have.
    fn instrument(&self, list: &Instruments) -> (String, String) {
        let exchange = self.text("exchange");
        let named = || {
            let token = Token::new(&self.0.text("symboltoken")?)?;
            list.name(Key { segment: Segment::from_name(&exchange)?, token })
        };
        match named() {
            Some((exchange, symbol)) => (exchange.to_owned(), symbol.to_owned()),
            None => (exchange, self.text("tradingsymbol")),
        }
    }

    fn status(&self, code: &str) -> String {
        let known = match code {
            // A modified order is as open as before.
            "AB01" | "AB04" => "open",
            "AB02" | "AB07" => "cancelled",
            "AB03" => "rejected",
            "AB05" => "complete",
            "AB06" => "after market order received",
            "AB08" => "after market order modify received",
            "AB09" => "open pending",
            "AB10" => "trigger pending",
            "AB11" => "modify pending",
            _ => {
                let own = self.0.text("orderstatus").or_else(|| self.0.text("status"));
                return own.as_deref().unwrap_or(code).to_lowercase();
            }
        };
        known.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::serde_json::{self, Map, Value};

    use super::{read as read_with, *};

    fn list() -> Instruments {
        let list =
            r#"[{"token":"3045","symbol":"SBIN-EQ","name":"SBIN","instrumenttype":"","exch_seg":"NSE"}]"#;
        Instruments::parse(list.as_bytes()).unwrap()
    }

    fn read(text: &str) -> Said {
        read_with(text, &list(), &Odd::new())
    }

    fn update(text: &str) -> OrderUpdate {
        match read(text) {
            Said::Update(update) => *update,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_order_is_told_in_the_words_of_openalgo() {
        let told = update(
            r#"{"user-id":"A123456","status-code":"200","order-status":"AB03","error-message":"","orderData":{
                "variety":"NORMAL","ordertype":"STOPLOSS_LIMIT","producttype":"DELIVERY","price":551.5,"triggerprice":"550",
                "quantity":"10","tradingsymbol":"SBIN-EQ","transactiontype":"buy","exchange":"NSE","symboltoken":"3045",
                "averageprice":0.0,"filledshares":"0","unfilledshares":"10","orderid":"111","text":"no funds",
                "status":"rejected","orderstatus":"rejected"}}"#,
        );
        let expected = OrderUpdate {
            orderid: "111".to_owned(),
            symbol: "SBIN".to_owned(),
            exchange: "NSE".to_owned(),
            action: "BUY".to_owned(),
            quantity: Some(10),
            price: Some(551.5),
            trigger_price: Some(550.0),
            pricetype: "SL".to_owned(),
            product: "CNC".to_owned(),
            order_status: "rejected".to_owned(),
            filled_quantity: Some(0),
            pending_quantity: Some(10),
            average_price: Some(0.0),
            rejection_reason: Some("no funds".to_owned()),
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn every_code_has_its_status() {
        let status = |code: &str| {
            update(&format!(
                r#"{{"order-status":"{code}","orderData":{{"orderid":"1","orderstatus":"Theirs"}}}}"#
            ))
            .order_status
        };
        let told: Vec<String> = (1..=12).map(|number| status(&format!("AB{number:02}"))).collect();
        assert_eq!(
            told,
            [
                "open",
                "cancelled",
                "rejected",
                "open",
                "complete",
                "after market order received",
                "cancelled",
                "after market order modify received",
                "open pending",
                "trigger pending",
                "modify pending",
                "theirs",
            ]
        );
    }

    #[test]
    fn what_is_no_order_is_none() {
        let greeting = r#"{"user-id":"A","status-code":"200","order-status":"AB00","error-message":"",
            "orderData":{"orderid":"","quantity":"","price":0.0}}"#;
        assert_eq!(read(greeting), Said::Nothing);
        assert_eq!(read("pong"), Said::Nothing);
        assert_eq!(read(r#"{"order-status":"AB00","orderData":null}"#), Said::Nothing);
        for text in [
            "",
            "{}",
            "[]",
            r#"{"order-status":5}"#,
            r#"{"order-status":"AB01","orderData":7}"#,
            r#"{"order-status":"AB01","orderData":{"orderid":null,"quantity":"5"}}"#,
        ] {
            assert_eq!(read(text), Said::Undecodable, "{text}");
        }
    }

    /// Every member, one after the other, is each of these; the others go out as they are.
    #[test]
    fn an_odd_member_costs_itself_and_no_other() {
        let order = r#"{"ordertype":"LIMIT","producttype":"MIS","price":551.5,"triggerprice":"550","quantity":"10",
            "tradingsymbol":"SBIN-EQ","transactiontype":"BUY","exchange":"NSE","averageprice":1.5,"filledshares":"3",
            "unfilledshares":7,"orderid":240101000000001,"orderstatus":"theirs"}"#;
        let order: Map<String, Value> = serde_json::from_str(order).unwrap();
        let frame = |order: &Map<String, Value>| {
            serde_json::json!({"order-status": null, "orderData": order}).to_string()
        };
        let told = |text: &str, odd: &Odd| {
            let Said::Update(update) = read_with(text, &list(), odd) else { panic!("lost: {text}") };
            serde_json::to_value(*update).unwrap()
        };
        let expected = told(&frame(&order), &Odd::new());
        assert_eq!(expected["orderid"], "240101000000001");
        for (name, ours) in [
            ("ordertype", "pricetype"),
            ("producttype", "product"),
            ("price", "price"),
            ("triggerprice", "trigger_price"),
            ("quantity", "quantity"),
            ("tradingsymbol", "symbol"),
            ("transactiontype", "action"),
            ("exchange", "exchange"),
            ("averageprice", "average_price"),
            ("filledshares", "filled_quantity"),
            ("unfilledshares", "pending_quantity"),
            ("orderstatus", "order_status"),
        ] {
            let mut wanted = expected.clone();
            assert!(wanted.as_object_mut().unwrap().remove(ours).is_some(), "{ours}");
            for (value, is_odd) in [
                ("null", false),
                ("\"\"", false),
                ("{}", true),
                ("true", true),
                ("1e400", true),
                ("NaN", false),
            ] {
                let mut changed = order.clone();
                changed.insert(name.to_owned(), "PLACE".into());
                let (text, odd) = (frame(&changed).replace("\"PLACE\"", value), Odd::new());
                assert_eq!(told(&text, &odd), wanted, "{name} is {value}");
                assert_eq!(odd.names(), if is_odd { vec![name] } else { vec![] }, "{name} is {value}");
            }
        }
    }
}
