//! What a host shows of an instrument after some records. The suite reads them as the host does, one after
//! the other, so that it makes no difference in how many an adapter says something: a broker that sends
//! prices and books in messages of their own is as good as one that sends both in one.

use std::collections::BTreeMap;

use adapter_abi::{DepthLevel, ORDERS_ABSENT, field};

use crate::{
    host::{Kind, Record},
    stage::price,
    value::{Unit, VALUES, decimal, present},
    venue::{Packet, Row},
    verdict::{Check, ensure},
};

/// Bids and asks, best first.
type Book = (Vec<DepthLevel>, Vec<DepthLevel>);

/// The values and the book of one instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Picture {
    values: BTreeMap<&'static str, i64>,
    book: Option<Book>,
    /// Whether one of the records was an image.
    has_image: bool,
}

impl Picture {
    /// What is shown after these records of an instrument, if nothing was before.
    pub(crate) fn of<'r>(records: impl IntoIterator<Item = &'r Record>, number: u32) -> Self {
        let mut picture = Self::default();
        let mine = records.into_iter().filter(|record| record.quote.instrument == number);
        mine.for_each(|record| picture.take(record));
        picture
    }

    /// An image replaces, within its kind of record; an update leaves what it does not have.
    fn take(&mut self, record: &Record) {
        if record.quote.fields & field::IMAGE != 0 {
            self.has_image = true;
            let of_ltp = present(field::IN_LTP);
            self.values.retain(|name, _| record.kind == Kind::Ltp && !of_ltp.contains(name));
        }
        for value in VALUES {
            match value.of(&record.quote) {
                // That is how a record says that nobody knows a count.
                Some(..0) if value.unit == Unit::Count => _ = self.values.remove(value.name),
                Some(number) => _ = self.values.insert(value.name, number),
                None => {}
            }
        }
        let has_levels = !record.bids.is_empty() || !record.asks.is_empty();
        if record.kind == Kind::Depth && (has_levels || record.quote.fields & field::BOOK != 0) {
            self.book = Some((record.bids.clone(), record.asks.clone()));
        }
    }

    /// A value, if it is shown.
    pub(crate) fn value(&self, name: &str) -> Option<i64> {
        self.values.get(name).copied()
    }

    /// All values that are shown.
    pub(crate) const fn values(&self) -> &BTreeMap<&'static str, i64> {
        &self.values
    }

    /// Bids and asks, if anything was said of them, be it that there are none.
    pub(crate) fn book(&self) -> Option<(&[DepthLevel], &[DepthLevel])> {
        self.book.as_ref().map(|(bids, asks)| (bids.as_slice(), asks.as_slice()))
    }

    /// Whether the book is that of a packet; none is as good as an empty one.
    pub(crate) fn has_book_of(&self, sent: &Packet) -> bool {
        let (bids, asks) = self.book().unwrap_or_default();
        same("bids", &sent.bids, bids).is_ok() && same("asks", &sent.asks, asks).is_ok()
    }

    /// Whether anything was said to be all that there is.
    pub(crate) const fn has_image(&self) -> bool {
        self.has_image
    }
}

/// Whether the levels that arrived are those that were sent.
pub(crate) fn same(side: &str, sent: &[Row], got: &[DepthLevel]) -> Check {
    ensure(sent.len() == got.len(), || format!("{} {side} were sent, {} arrived", sent.len(), got.len()))?;
    for (place, ((at, quantity, orders), level)) in sent.iter().zip(got).enumerate() {
        let is_same = price(at)? == level.price
            && *quantity == level.quantity
            && (level.orders == ORDERS_ABSENT || level.orders == *orders);
        ensure(is_same, || {
            let (shown, size, count) = (decimal(level.price), level.quantity, level.orders);
            format!(
                "level {} of the {side} was sent as {at} x {quantity} ({orders} orders), and arrived as {shown} x {size} \
                 ({count} orders)",
                place + 1
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use adapter_abi::Quote;

    use super::*;

    fn record(kind: Kind, fields: u32, quote: Quote) -> Record {
        Record { kind, quote: Quote { fields, instrument: 7, ..quote }, bids: Vec::new(), asks: Vec::new() }
    }

    #[test]
    fn images_replace_within_their_kind_and_updates_leave_the_rest() {
        let base = Quote { ltp: 1, volume: 2, high: 3, ..Quote::default() };
        let full = record(Kind::Quote, field::LTP | field::VOLUME | field::HIGH | field::IMAGE, base);
        let shown = |records: &[Record]| Picture::of(records, 7).values().keys().copied().collect::<Vec<_>>();
        assert_eq!(shown(&[full.clone(), record(Kind::Quote, field::LTP, base)]), ["high", "ltp", "volume"]);
        let image = |kind| record(kind, field::LTP | field::IMAGE, base);
        assert_eq!(shown(&[full.clone(), image(Kind::Ltp)]), ["high", "ltp"]);
        assert_eq!(shown(&[full.clone(), image(Kind::Quote)]), ["ltp"]);
        let unknown = record(Kind::Quote, field::VOLUME, Quote { volume: -1, ..base });
        assert_eq!(shown(&[full.clone(), unknown]), ["high", "ltp"]);
        assert_eq!(Picture::of([&full], 8), Picture::default());
    }

    #[test]
    fn a_book_stays_beside_values_and_ends_when_it_is_said_to_be_empty() {
        let level = DepthLevel { price: 5, ..DepthLevel::default() };
        let book = Record { bids: vec![level], ..record(Kind::Depth, field::BOOK, Quote::default()) };
        let beside = record(Kind::Depth, field::LTP | field::IMAGE, Quote { ltp: 9, ..Quote::default() });
        let apart = Picture::of([&book, &beside], 7);
        assert_eq!((apart.book(), apart.value("ltp")), (Some((&[level][..], &[][..])), Some(9)));
        let empty = record(Kind::Depth, field::BOOK, Quote::default());
        assert_eq!(Picture::of([&book, &empty], 7).book(), Some((&[][..], &[][..])));
        assert_eq!(Picture::of([&beside], 7).book(), None);
    }
}
