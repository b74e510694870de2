//! What a packet of the broker brings, and how much of it a client gets.

use crate::{Level, Mode, Tick, TickSink};

/// What a packet of the broker brings of an instrument. Say what it is; [`TickSink::publish`] sends no more
/// than is wanted.
///
/// The tick is an image ([`Tick::image`]) if the packet has all that the broker knows in a packet of this
/// kind.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// A last price.
    Ltp(Tick),
    /// The values of a quote, of an instrument whose book comes together with them in mode DEPTH. While the
    /// broker follows a change to that mode, it knows less than what is shown.
    Quote(Tick),
    /// The values of a quote, of an instrument whose book comes in packets of its own, or that has none, such
    /// as an index.
    Values(Tick),
    /// Values with the whole book: bids and asks, best first.
    Depth(Tick, &'a [Level], &'a [Level]),
    /// A whole book and nothing else: the number to publish it under, bids and asks. Values come in
    /// [`Self::Values`].
    Book(u32, &'a [Level], &'a [Level]),
}

impl Packet<'_> {
    /// The same with no more than so many levels on each side. The broker sends books as deep as its channel
    /// has them, and everybody is promised the levels of the grant ([`Grant`](crate::Grant)) and no others:
    /// cut each book to those of the number that it is published under, such as `heard.wanted(instrument)`
    /// has them. Levels are not copied.
    ///
    /// ```
    /// use adapter_sdk::{Level, Packet, Price};
    ///
    /// let level = |paise| Level { price: Price::from_scaled(paise, 2).unwrap(), quantity: 1, orders: None };
    /// let bids = [level(10_005), level(10_000)];
    /// let Packet::Book(_, bids, asks) = Packet::Book(7, &bids, &[]).up_to(1) else { unreachable!() };
    /// assert_eq!((bids, asks), (&[level(10_005)][..], &[][..]));
    /// ```
    #[must_use]
    #[inline]
    pub fn up_to(self, levels: u16) -> Self {
        match self {
            Self::Depth(tick, buy, sell) => Self::Depth(tick, first(buy, levels), first(sell, levels)),
            Self::Book(instrument, buy, sell) => {
                Self::Book(instrument, first(buy, levels), first(sell, levels))
            }
            other => other,
        }
    }
}

fn first(side: &[Level], levels: u16) -> &[Level] {
    side.get(..usize::from(levels)).unwrap_or(side)
}

impl TickSink {
    /// Publishes a packet, and no more of it than is wanted: packets of the old mode go on coming for a while
    /// after a change, and what nobody asked for would be left standing when they end.
    ///
    /// | wanted | [`Ltp`](Packet::Ltp) | [`Quote`](Packet::Quote) | [`Values`](Packet::Values) | [`Depth`](Packet::Depth) | [`Book`](Packet::Book) |
    /// |---|---|---|---|---|---|
    /// | LTP | last price | last price | last price | last price | nothing |
    /// | QUOTE | last price, update | quote | quote | quote | nothing |
    /// | DEPTH | last price, update | quote, update | values beside the book | book and values | book, update |
    ///
    /// "Update" means that it is none but an update, whatever the tick says: a packet below the mode that is
    /// wanted knows less than what is shown.
    #[inline]
    pub fn publish(&mut self, wanted: Mode, packet: &Packet<'_>) {
        match (wanted, packet) {
            (
                Mode::Ltp,
                Packet::Ltp(tick) | Packet::Quote(tick) | Packet::Values(tick) | Packet::Depth(tick, ..),
            ) => self.ltp(tick),
            (Mode::Quote | Mode::Depth, Packet::Ltp(tick)) => self.ltp(&tick.update()),
            (Mode::Quote, Packet::Quote(tick) | Packet::Values(tick) | Packet::Depth(tick, ..)) => {
                self.quote(tick);
            }
            (Mode::Depth, Packet::Quote(tick)) => self.quote(&tick.update()),
            (Mode::Depth, Packet::Values(tick)) => self.beside_book(tick),
            (Mode::Depth, Packet::Depth(tick, buy, sell)) => self.depth(tick, buy, sell),
            (Mode::Depth, Packet::Book(instrument, buy, sell)) => {
                self.depth(&Tick::new(*instrument), buy, sell);
            }
            (Mode::Ltp | Mode::Quote, Packet::Book(..)) => {}
        }
    }
}
