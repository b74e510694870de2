//! Order updates by a table of the broker's names.

use super::Members;
use crate::OrderUpdate;

/// What a broker calls the members of an [`OrderUpdate`]. A member that goes by several names has all of
/// them, with bars between: the first that says something counts. One that the broker does not send has none,
/// which is the default.
///
/// ```
/// use adapter_sdk::read::{Members, Odd, OrderNames};
///
/// const ORDER: OrderNames = OrderNames {
///     orderid: "norenordno|norenoordno",
///     quantity: "qty",
///     ..OrderNames::NONE
/// };
///
/// let odd = Odd::new();
/// let members = Members::read(r#"{"norenoordno": 26113007450306, "qty": "75"}"#, &odd).unwrap();
/// let update = ORDER.read(&members).unwrap();
/// assert_eq!((update.orderid.as_str(), update.quantity, update.price), ("26113007450306", Some(75), None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the name of the member of an order update that is called so")]
pub struct OrderNames {
    pub orderid: &'static str,
    pub symbol: &'static str,
    pub exchange: &'static str,
    pub action: &'static str,
    pub quantity: &'static str,
    pub price: &'static str,
    pub trigger_price: &'static str,
    pub pricetype: &'static str,
    pub product: &'static str,
    pub order_status: &'static str,
    pub filled_quantity: &'static str,
    pub pending_quantity: &'static str,
    pub average_price: &'static str,
    pub rejection_reason: &'static str,
}

impl OrderNames {
    /// No names.
    pub const NONE: Self = Self {
        orderid: "",
        symbol: "",
        exchange: "",
        action: "",
        quantity: "",
        price: "",
        trigger_price: "",
        pricetype: "",
        product: "",
        order_status: "",
        filled_quantity: "",
        pending_quantity: "",
        average_price: "",
        rejection_reason: "",
    };

    /// Reads an order update in the broker's words. None when it has no number of an order. The words are
    /// still the broker's: translate them where clients know others, and drop the reason where nothing was
    /// rejected.
    pub fn read(&self, members: &Members<'_>) -> Option<OrderUpdate> {
        let text = |names| first(names, |name| members.text(name));
        let word = |names| text(names).unwrap_or_default();
        let whole = |names| first(names, |name| members.whole(name));
        let number = |names| first(names, |name| members.number(name));
        Some(OrderUpdate {
            orderid: text(self.orderid)?,
            symbol: word(self.symbol),
            exchange: word(self.exchange),
            action: word(self.action),
            quantity: whole(self.quantity),
            price: number(self.price),
            trigger_price: number(self.trigger_price),
            pricetype: word(self.pricetype),
            product: word(self.product),
            order_status: word(self.order_status),
            filled_quantity: whole(self.filled_quantity),
            pending_quantity: whole(self.pending_quantity),
            average_price: number(self.average_price),
            rejection_reason: text(self.rejection_reason),
        })
    }
}

fn first<T>(names: &'static str, read: impl Fn(&'static str) -> Option<T>) -> Option<T> {
    names.split('|').filter(|name| !name.is_empty()).find_map(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::Odd;

    /// A name for each member, and a second one for some.
    const NAMES: OrderNames = OrderNames {
        orderid: "a|aa",
        symbol: "b",
        exchange: "c",
        action: "d",
        quantity: "e|ee",
        price: "f",
        trigger_price: "g",
        pricetype: "h",
        product: "i",
        order_status: "j",
        filled_quantity: "k",
        pending_quantity: "l",
        average_price: "m",
        rejection_reason: "n",
    };

    fn read(names: &OrderNames, json: &str) -> Option<OrderUpdate> {
        names.read(&Members::read(json, &Odd::new()).unwrap())
    }

    #[test]
    fn every_member_is_read_by_its_name() {
        let json = r#"{"a":1,"b":"B","c":"C","d":"D","e":2,"f":3.5,"g":4.5,"h":"H","i":"I","j":"J","k":5,"l":6,"m":7.5,"n":"N"}"#;
        let wanted = OrderUpdate {
            orderid: "1".to_owned(),
            symbol: "B".to_owned(),
            exchange: "C".to_owned(),
            action: "D".to_owned(),
            quantity: Some(2),
            price: Some(3.5),
            trigger_price: Some(4.5),
            pricetype: "H".to_owned(),
            product: "I".to_owned(),
            order_status: "J".to_owned(),
            filled_quantity: Some(5),
            pending_quantity: Some(6),
            average_price: Some(7.5),
            rejection_reason: Some("N".to_owned()),
        };
        assert_eq!(read(&NAMES, json), Some(wanted));
    }

    #[test]
    fn the_first_name_that_says_something_counts_and_an_order_has_a_number() {
        let orders = r#"{"a":"","aa":"9","e":null,"ee":"8"}"#;
        let update = read(&NAMES, orders).unwrap();
        assert_eq!((update.orderid.as_str(), update.quantity), ("9", Some(8)));
        assert_eq!(read(&NAMES, r#"{"b":"SBIN"}"#), None);
        // What has no name is not read from a member that has none either.
        assert_eq!(read(&OrderNames::NONE, r#"{"":"9"}"#), None);
    }
}
