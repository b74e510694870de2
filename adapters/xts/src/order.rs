//! News of an order, in the words of OpenAlgo's clients.

use adapter_sdk::{
    OrderUpdate,
    read::{Members, Odd, OrderNames},
};

use crate::{list::exchange_named, wire::Key};

/// What the brokers call the members.
const NAMES: OrderNames = OrderNames {
    orderid: "AppOrderID",
    symbol: "TradingSymbol",
    exchange: "ExchangeSegment",
    action: "OrderSide",
    quantity: "OrderQuantity",
    price: "OrderPrice",
    trigger_price: "OrderStopPrice",
    pricetype: "OrderType",
    product: "ProductType",
    order_status: "OrderStatus",
    filled_quantity: "CumulativeQuantity",
    pending_quantity: "LeavesQuantity",
    average_price: "OrderAverageTradedPrice",
    rejection_reason: "CancelRejectReason",
};

/// Their words for what clients have others for.
const WORDS: [(&str, &str); 10] = [
    ("Market", "MARKET"),
    ("Limit", "LIMIT"),
    ("StopLimit", "SL"),
    ("StopMarket", "SL-M"),
    ("Filled", "complete"),
    ("PartiallyFilled", "open"),
    ("PendingNew", "open"),
    ("PendingReplace", "open"),
    ("PendingCancel", "open"),
    ("Canceled", "cancelled"),
];

/// Reads news of an order; None when it has no number of an order. Members that make no sense are noted in
/// `odd`, and left out. `name` gives what clients call an instrument.
pub fn read(text: &str, odd: &Odd, name: impl Fn(Key) -> Option<(String, String)>) -> Option<OrderUpdate> {
    let members = Members::read(text, odd)?;
    let mut update = NAMES.read(&members)?;
    for word in [&mut update.pricetype, &mut update.order_status] {
        if let Some((_, ours)) = WORDS.iter().find(|(theirs, _)| theirs == word) {
            (*ours).clone_into(word);
        }
    }
    let mut update = update.in_words_of_clients();
    if let Some(exchange) = exchange_named(&update.exchange) {
        let token = members.whole("ExchangeInstrumentID").and_then(|number| u32::try_from(number).ok());
        let named = token.and_then(|token| name(Key { exchange, token }));
        let (exchange, symbol) =
            named.unwrap_or_else(|| (exchange.code().to_owned(), std::mem::take(&mut update.symbol)));
        (update.exchange, update.symbol) = (exchange, symbol);
    }
    Some(update)
}

#[cfg(test)]
mod tests {
    use adapter_sdk::serde_json::{Value, to_value};

    use super::*;

    const WHOLE: &str = r#"{"AppOrderID":1110040096,"ExchangeSegment":"NSEFO","ExchangeInstrumentID":35002,"TradingSymbol":"NIFTY 01DEC2026 CE 26000",
        "OrderSide":"BUY","OrderType":"StopLimit","ProductType":"NRML","OrderStatus":"Filled","OrderQuantity":75,"OrderPrice":101.5,
        "OrderStopPrice":100,"CumulativeQuantity":75,"LeavesQuantity":0,"OrderAverageTradedPrice":"101.45","CancelRejectReason":""}"#;

    #[test]
    fn orders_are_told_in_the_words_of_clients() {
        let named =
            |key: Key| (key.token == 35_002).then(|| ("NFO".to_owned(), "NIFTY01DEC2626000CE".to_owned()));
        let update = read(WHOLE, &Odd::new(), named).unwrap();
        let wanted = OrderUpdate {
            orderid: "1110040096".to_owned(),
            symbol: "NIFTY01DEC2626000CE".to_owned(),
            exchange: "NFO".to_owned(),
            action: "BUY".to_owned(),
            quantity: Some(75),
            price: Some(101.5),
            trigger_price: Some(100.0),
            pricetype: "SL".to_owned(),
            product: "NRML".to_owned(),
            order_status: "complete".to_owned(),
            filled_quantity: Some(75),
            pending_quantity: Some(0),
            average_price: Some(101.45),
            rejection_reason: None,
        };
        assert_eq!(update, wanted);
        // What the list does not have keeps the broker's name.
        let unknown = read(WHOLE, &Odd::new(), |_| None).unwrap();
        assert_eq!((unknown.exchange.as_str(), unknown.symbol.as_str()), ("NFO", "NIFTY 01DEC2026 CE 26000"));
        for text in ["", "[]", "{}", r#"{"AppOrderID":{}}"#] {
            assert!(read(text, &Odd::new(), |_| None).is_none(), "{text}");
        }
    }

    #[test]
    fn an_odd_member_costs_itself_and_no_other() {
        let whole: serde_json::Map<String, Value> = serde_json::from_str(WHOLE).unwrap();
        for name in whole.keys().filter(|name| *name != "AppOrderID") {
            for value in ["null", "{}", "[1]", "true", "1e400"] {
                let mut data = whole.clone();
                data.insert(name.clone(), "PLACE".into());
                let text = Value::Object(data).to_string().replace("\"PLACE\"", value);
                let update = to_value(read(&text, &Odd::new(), |_| None).unwrap()).unwrap();
                assert_eq!(update["orderid"], "1110040096", "{name} is {value}");
            }
        }
    }
}
