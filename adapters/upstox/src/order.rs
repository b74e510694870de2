//! News of an order, in the words of OpenAlgo's clients.

use adapter_sdk::{
    OrderUpdate,
    read::{Members, Odd, OrderNames},
};

use crate::{key::Key, list::Instruments};

/// What the broker calls the members.
const NAMES: OrderNames = OrderNames {
    orderid: "order_id",
    symbol: "trading_symbol|tradingsymbol",
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
    rejection_reason: "status_message|status_message_raw",
};

/// What a message of the portfolio's socket is.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// News of an order.
    Order(Box<OrderUpdate>),
    /// Something else, which nobody asked for.
    Other,
    /// Nothing that makes sense.
    Nonsense,
}

/// Reads a message. Members that make no sense are noted in `odd`, and left out. Instruments are named as the
/// list has them; what it does not have keeps the broker's name.
pub fn read(text: &str, odd: &Odd, list: &Instruments) -> Said {
    let Some(members) = Members::read(text, odd) else { return Said::Nonsense };
    if members.text("update_type").is_some_and(|kind| kind != "order") {
        return Said::Other;
    }
    let Some(update) = NAMES.read(&members) else { return Said::Nonsense };
    let mut update = update.in_words_of_clients();
    let key = members.text("instrument_token").or_else(|| members.text("instrument_key"));
    let key = key.and_then(|key| Key::parse(&key));
    // Of shares it is for delivery, of derivatives to be carried on.
    if update.product == "D" {
        let is_cash = match key {
            Some(key) => key.segment.is_cash(),
            None => matches!(&*update.exchange, "NSE" | "BSE"),
        };
        if is_cash { "CNC" } else { "NRML" }.clone_into(&mut update.product);
    }
    if let Some((exchange, symbol)) = key.and_then(|key| list.name(key)) {
        (update.exchange, update.symbol) = (exchange.to_owned(), symbol.to_owned());
    }
    Said::Order(Box::new(update))
}

#[cfg(test)]
mod tests {
    use adapter_sdk::serde_json::{Map, Value, to_value};
    use proptest::prelude::*;

    use super::*;

    const LIST: &str = r#"[
        {"instrument_key":"NSE_FO|43885","instrument_type":"CE","trading_symbol":"NIFTY 24500 CE 24 DEC 30",
         "underlying_symbol":"NIFTY","expiry":1924367399000,"strike_price":24500.0},
        {"instrument_key":"NSE_EQ|INE062A01020","instrument_type":"EQ","trading_symbol":"SBIN"}]"#;

    const WHOLE: &str = r#"{"update_type":"order","user_id":"AB1234","exchange":"NFO","instrument_token":"NSE_FO|43885",
        "trading_symbol":"NIFTY 24500 CE 24 DEC 30","product":"D","order_type":"SL","average_price":0.0,"price":101.5,
        "trigger_price":100.0,"quantity":75,"disclosed_quantity":0,"pending_quantity":75,"transaction_type":"BUY",
        "exchange_order_id":"","validity":"DAY","status":"trigger pending","is_amo":false,"status_message":"none",
        "order_id":"240221010587839","filled_quantity":0,"order_timestamp":"2024-02-21 11:10:13"}"#;

    fn list() -> Instruments {
        Instruments::parse(LIST.as_bytes()).unwrap()
    }

    fn update(text: &str, odd: &Odd) -> Value {
        match read(text, odd, &list()) {
            Said::Order(update) => to_value(update).unwrap(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn orders_are_told_in_the_words_of_clients() {
        let wanted = OrderUpdate {
            orderid: "240221010587839".to_owned(),
            symbol: "NIFTY24DEC3024500CE".to_owned(),
            exchange: "NFO".to_owned(),
            action: "BUY".to_owned(),
            quantity: Some(75),
            price: Some(101.5),
            trigger_price: Some(100.0),
            pricetype: "SL".to_owned(),
            product: "NRML".to_owned(),
            order_status: "trigger pending".to_owned(),
            filled_quantity: Some(0),
            pending_quantity: Some(75),
            average_price: Some(0.0),
            rejection_reason: None,
        };
        assert_eq!(read(WHOLE, &Odd::new(), &list()), Said::Order(wanted.into()));
        let share =
            WHOLE.replace("NSE_FO|43885", "NSE_EQ|INE062A01020").replace("trigger pending", "rejected");
        let share = update(&share, &Odd::new());
        assert_eq!((&share["product"], &share["symbol"]), (&"CNC".into(), &"SBIN".into()));
        assert_eq!((&share["exchange"], &share["rejection_reason"]), (&"NSE".into(), &"none".into()));
        // What the list does not have keeps the broker's name.
        let unknown = update(&WHOLE.replace("43885", "1"), &Odd::new());
        assert_eq!(unknown["symbol"], "NIFTY 24500 CE 24 DEC 30");
        let nameless = update(&WHOLE.replace("instrument_token", "x"), &Odd::new());
        assert_eq!((&nameless["product"], &nameless["exchange"]), (&"NRML".into(), &"NFO".into()));
    }

    #[test]
    fn what_is_no_order_is_told_apart() {
        for (text, wanted) in [
            (r#"{"update_type":"position","instrument_token":"NSE_EQ|1"}"#, Said::Other),
            (r#"{"update_type":"gtt_order","order_id":"1"}"#, Said::Other),
            ("", Said::Nonsense),
            ("[]", Said::Nonsense),
            ("{}", Said::Nonsense),
            (r#"{"update_type":"order","order_id":{}}"#, Said::Nonsense),
        ] {
            assert_eq!(read(text, &Odd::new(), &list()), wanted, "{text}");
        }
    }

    /// Every member, one after the other, is each of these; the others go out as they are.
    #[test]
    fn an_odd_member_costs_itself_and_no_other() {
        let whole: Map<String, Value> = serde_json::from_str(WHOLE).unwrap();
        let expected = update(WHOLE, &Odd::new());
        for (name, ours) in [
            ("transaction_type", "action"),
            ("quantity", "quantity"),
            ("price", "price"),
            ("trigger_price", "trigger_price"),
            ("order_type", "pricetype"),
            ("product", "product"),
            ("status", "order_status"),
            ("filled_quantity", "filled_quantity"),
            ("pending_quantity", "pending_quantity"),
            ("average_price", "average_price"),
        ] {
            for value in ["null", "{}", "[1]", "true", "1e400"] {
                let mut data = whole.clone();
                data.insert(name.to_owned(), "PLACE".into());
                let text = Value::Object(data).to_string().replace("\"PLACE\"", value);
                let odd = Odd::new();
                let mut wanted = expected.clone();
                wanted.as_object_mut().unwrap().remove(ours);
                assert_eq!(update(&text, &odd), wanted, "{name} is {value}");
                let noted = if value == "null" { vec![] } else { vec![name] };
                assert_eq!(odd.names(), noted, "{name} is {value}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}") {
            let _any = read(&format!(r#"{{"order_id":1,"instrument_token":"{text}","quantity":{text}}}"#), &Odd::new(), &list());
        }
    }
}
