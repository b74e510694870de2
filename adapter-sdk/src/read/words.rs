//! The words of brokers for what orders are.

use crate::OrderUpdate;

/// What brokers call a thing, and what OpenAlgo's clients do.
type Words = [(&'static str, &'static str)];

const ACTIONS: &Words = &[("B", "BUY"), ("S", "SELL")];

const PRICE_TYPES: &Words = &[
    ("MKT", "MARKET"),
    ("LMT", "LIMIT"),
    ("L", "LIMIT"),
    ("SL-LMT", "SL"),
    ("STOPLOSS_LIMIT", "SL"),
    ("SL-MKT", "SL-M"),
    ("STOPLOSS_MARKET", "SL-M"),
];

const PRODUCTS: &Words = &[
    ("C", "CNC"),
    ("DELIVERY", "CNC"),
    ("M", "NRML"),
    ("CARRYFORWARD", "NRML"),
    ("MARGIN", "NRML"),
    ("I", "MIS"),
    ("INTRADAY", "MIS"),
];

/// What is changed, in whole or in part, is as open as before.
const STATUSES: &Words = &[
    ("executed", "complete"),
    ("canceled", "cancelled"),
    ("new", "open"),
    ("replaced", "open"),
    ("update", "open"),
];

impl OrderUpdate {
    /// The same in the words of OpenAlgo's clients, where it is in others that brokers of India commonly
    /// have: `B`, `LMT`, `CARRYFORWARD`, `TRIGGER_PENDING`. Words that are not known stay, a status in small
    /// letters; a reason stays where the order was rejected. What is particular to a broker, such as a number
    /// for a status, is to be replaced before.
    ///
    /// ```
    /// use adapter_sdk::OrderUpdate;
    ///
    /// let theirs = OrderUpdate { action: "B".to_owned(), order_status: "TRIGGER_PENDING".to_owned(), ..OrderUpdate::default() };
    /// let ours = theirs.in_words_of_clients();
    /// assert_eq!((ours.action.as_str(), ours.order_status.as_str()), ("BUY", "trigger pending"));
    /// ```
    #[must_use]
    pub fn in_words_of_clients(mut self) -> Self {
        self.action.make_ascii_uppercase();
        self.order_status = self.order_status.to_lowercase().replace('_', " ");
        for (word, words) in [
            (&mut self.action, ACTIONS),
            (&mut self.pricetype, PRICE_TYPES),
            (&mut self.product, PRODUCTS),
            (&mut self.order_status, STATUSES),
        ] {
            if let Some((_, ours)) = words.iter().find(|(theirs, _)| theirs == word) {
                (*ours).clone_into(word);
            }
        }
        self.rejection_reason.take_if(|_| self.order_status != "rejected");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_table_becomes_a_word_of_clients_and_others_stay() {
        let update = |action: &str, pricetype: &str, product: &str, status: &str| {
            let words = [action, pricetype, product, status].map(str::to_owned);
            let [action, pricetype, product, order_status] = words;
            let update = OrderUpdate { action, pricetype, product, order_status, ..OrderUpdate::default() };
            let update = update.in_words_of_clients();
            [update.action, update.pricetype, update.product, update.order_status]
        };
        assert_eq!(update("b", "SL-LMT", "M", "Replaced"), ["BUY", "SL", "NRML", "open"]);
        assert_eq!(
            update("sell", "STOPLOSS_MARKET", "INTRADAY", "CANCELED"),
            ["SELL", "SL-M", "MIS", "cancelled"]
        );
        assert_eq!(update("Buy", "BO", "MTF", "Modify_Pending"), ["BUY", "BO", "MTF", "modify pending"]);
        // What is one of theirs already is that of nothing else.
        for (_, ours) in [ACTIONS, PRICE_TYPES, PRODUCTS, STATUSES].concat() {
            let twice = update(ours, ours, ours, ours);
            assert!(twice.iter().all(|word| word.eq_ignore_ascii_case(ours)), "{ours}");
        }
    }

    #[test]
    fn a_reason_is_one_of_a_rejection() {
        let reason = |status: &str| {
            let (order_status, rejection_reason) = (status.to_owned(), Some("no funds".to_owned()));
            let update = OrderUpdate { order_status, rejection_reason, ..OrderUpdate::default() };
            update.in_words_of_clients().rejection_reason
        };
        assert_eq!(
            (reason("REJECTED").as_deref(), reason("OPEN"), reason("")),
            (Some("no funds"), None, None)
        );
    }
}
