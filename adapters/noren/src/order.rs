//! News of an order, in the words of OpenAlgo's clients.

use adapter_sdk::{
    OrderUpdate,
    read::{Members, Odd, OrderNames},
    symbol,
};

/// What they call the members. The number of an order is spelt in two ways.
const NAMES: OrderNames = OrderNames {
    orderid: "norenordno|norenoordno",
    symbol: "tsym",
    exchange: "exch",
    action: "trantype",
    quantity: "qty",
    price: "prc",
    trigger_price: "trgprc",
    pricetype: "prctyp",
    product: "prd|pcode",
    order_status: "status",
    filled_quantity: "fillshares",
    average_price: "avgprc",
    rejection_reason: "rejreason",
    ..OrderNames::NONE
};

/// Reads news of an order; None when it has no number of an order. Members that make no sense are noted in
/// `odd`, and left out. `is_listed` says whether the broker's list has an instrument of a name, to which the
/// broker's own is translated.
pub fn read(text: &str, odd: &Odd, is_listed: impl Fn(&str, &str) -> bool) -> Option<OrderUpdate> {
    let mut update = NAMES.read(&Members::read(text, odd)?)?.in_words_of_clients();
    if let Some(name) = symbol::of_trading_symbol(&update.exchange, &update.symbol)
        && is_listed(&update.exchange, &name)
    {
        update.symbol = name;
    }
    Some(update)
}

#[cfg(test)]
mod tests {
    use adapter_sdk::serde_json::{Map, Value, to_value};
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = r#"{"t":"om","norenordno":"26113007450306","exch":"NFO","tsym":"NIFTY01DEC26C24000","qty":"75",
        "prc":"101.5","trgprc":"100.00","trantype":"B","prctyp":"SL-LMT","prd":"M","status":"TRIGGER_PENDING","fillshares":"0",
        "avgprc":"0.00","rejreason":"none","exchordid":"1"}"#;

    fn update(text: &str, odd: &Odd) -> Value {
        to_value(read(text, odd, |_, _| true).unwrap()).unwrap()
    }

    #[test]
    fn orders_are_told_in_the_words_of_clients() {
        let wanted = OrderUpdate {
            orderid: "26113007450306".to_owned(),
            symbol: "NIFTY01DEC2624000CE".to_owned(),
            exchange: "NFO".to_owned(),
            action: "BUY".to_owned(),
            quantity: Some(75),
            price: Some(101.5),
            trigger_price: Some(100.0),
            pricetype: "SL".to_owned(),
            product: "NRML".to_owned(),
            order_status: "trigger pending".to_owned(),
            filled_quantity: Some(0),
            pending_quantity: None,
            average_price: Some(0.0),
            rejection_reason: None,
        };
        assert_eq!(read(WHOLE, &Odd::new(), |_, _| true), Some(wanted));
        // What the list does not have keeps the broker's name.
        assert_eq!(read(WHOLE, &Odd::new(), |_, _| false).unwrap().symbol, "NIFTY01DEC26C24000");
        let rejected = WHOLE.replace("TRIGGER_PENDING", "Rejected").replace("norenordno", "norenoordno");
        assert_eq!(update(&rejected, &Odd::new())["rejection_reason"], "none");
        for text in ["", "[]", "{}", r#"{"norenordno":{}}"#, r#"{"norenordno":null,"status":"OPEN"}"#] {
            assert!(read(text, &Odd::new(), |_, _| true).is_none(), "{text}");
        }
    }

    /// Every member, one after the other, is each of these; the others go out as they are.
    #[test]
    fn an_odd_member_costs_itself_and_no_other() {
        let whole: Map<String, Value> = serde_json::from_str(WHOLE).unwrap();
        let expected = update(WHOLE, &Odd::new());
        for (name, ours) in [
            ("exch", "exchange"),
            ("tsym", "symbol"),
            ("qty", "quantity"),
            ("prc", "price"),
            ("trgprc", "trigger_price"),
            ("trantype", "action"),
            ("prctyp", "pricetype"),
            ("prd", "product"),
            ("status", "order_status"),
            ("fillshares", "filled_quantity"),
            ("avgprc", "average_price"),
        ] {
            for value in ["null", "{}", "[1]", "true", "1e400"] {
                let mut data = whole.clone();
                data.insert(name.to_owned(), "PLACE".into());
                let text = Value::Object(data).to_string().replace("\"PLACE\"", value);
                let odd = Odd::new();
                let mut wanted = expected.clone();
                wanted.as_object_mut().unwrap().remove(ours);
                if name == "exch" {
                    // Without it nobody knows how to read the name.
                    wanted["symbol"] = update(&text, &odd)["symbol"].clone();
                }
                assert_eq!(update(&text, &odd), wanted, "{name} is {value}");
                assert_eq!(
                    odd.names(),
                    if value == "null" { vec![] } else { vec![name] },
                    "{name} is {value}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}") {
            let _any = read(&format!(r#"{{"norenordno":1,"tsym":"{text}","qty":{text}}}"#), &Odd::new(), |_, _| true);
        }
    }
}
