//! Messages of the order socket.

use adapter_sdk::{
    OrderUpdate,
    instruments::Table,
    serde_json::{self, Map, Value},
};
use serde::Deserialize;

use crate::segment::{Key, Segment, Token};

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    /// An order has changed.
    Update(Box<OrderUpdate>),
    /// Nothing of interest, such as the greeting.
    Nothing,
    /// Something that makes no sense.
    Undecodable,
}

#[derive(Deserialize)]
struct Frame {
    #[serde(rename = "order-status")]
    code: String,
    #[serde(rename = "orderData")]
    order: Option<Map<String, Value>>,
}

/// Reads a message. The table gives OpenAlgo's names for the broker's.
pub(crate) fn read(text: &str, table: Option<&Table<Key>>) -> Said {
    if text == "pong" {
        return Said::Nothing;
    }
    let Ok(Frame { code, order }) = serde_json::from_str(text) else { return Said::Undecodable };
    let order = Order(order.unwrap_or_default());
    // The greeting, AB00, has an order without a number.
    let Some(number) = order.text("orderid") else { return Said::Nothing };
    let (exchange, symbol) = order.instrument(table);
    let order_status = order.status(&code);
    let rejection_reason = order.text("text").filter(|_| order_status == "rejected");
    Said::Update(Box::new(OrderUpdate {
        orderid: number.to_owned(),
        symbol,
        exchange,
        action: order.text("transactiontype").unwrap_or_default().to_uppercase(),
        quantity: order.whole("quantity").unwrap_or_default(),
        price: order.number("price"),
        trigger_price: order.number("triggerprice"),
        pricetype: match order.text("ordertype").unwrap_or_default() {
            "STOPLOSS_LIMIT" => "SL",
            "STOPLOSS_MARKET" => "SL-M",
            same => same,
        }
        .to_owned(),
        product: match order.text("producttype").unwrap_or_default() {
            "DELIVERY" => "CNC",
            "INTRADAY" => "MIS",
            "CARRYFORWARD" | "MARGIN" => "NRML",
            same => same,
        }
        .to_owned(),
        rejection_reason: rejection_reason.map(ToOwned::to_owned),
        order_status,
        filled_quantity: order.whole("filledshares"),
        pending_quantity: order.whole("unfilledshares"),
        average_price: order.number("averageprice"),
    }))
}

/// An order, most of whose numbers are texts.
struct Order(Map<String, Value>);

impl Order {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Option<f64> {
        let value = self.0.get(name)?;
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        number.is_finite().then_some(number)
    }

    fn whole(&self, name: &str) -> Option<i64> {
        let value = self.0.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// Exchange and symbol in OpenAlgo's words, or in the broker's for what the list of instruments does not have.
    fn instrument(&self, table: Option<&Table<Key>>) -> (String, String) {
        let exchange = self.text("exchange").unwrap_or_default();
        let named = || {
            let key =
                Key { segment: Segment::from_list(exchange)?, token: Token::new(self.text("symboltoken")?)? };
            table?.name(key)
        };
        let (exchange, symbol) =
            named().unwrap_or((exchange, self.text("tradingsymbol").unwrap_or_default()));
        (exchange.to_owned(), symbol.to_owned())
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
            _ => self.text("orderstatus").or_else(|| self.text("status")).unwrap_or(code),
        };
        known.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::instruments::TableBuilder;

    use super::*;

    fn update(text: &str) -> OrderUpdate {
        let mut builder = TableBuilder::new();
        let token = Token::new("3045").unwrap();
        builder.add("NSE", "SBIN", Key { segment: Segment::NseCash, token });
        match read(text, Some(&builder.build())) {
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
            quantity: 10,
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
        assert_eq!(read(greeting, None), Said::Nothing);
        assert_eq!(read("pong", None), Said::Nothing);
        for text in ["", "{}", "[]", r#"{"order-status":5}"#, r#"{"order-status":"AB01","orderData":7}"#] {
            assert_eq!(read(text, None), Said::Undecodable, "{text}");
        }
    }
}
