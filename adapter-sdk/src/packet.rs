//! What a packet of the broker brings, and how much of it a client gets.

use crate::{Level, Mode, Tick, TickSink};

/// What a packet of the broker brings of an instrument. Say what it is; [`TickSink::publish`] sends no more than is wanted.
///
/// The tick is an image ([`Tick::image`]) if the packet has all that the broker knows in a packet of this kind.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// A last price.
    Ltp(Tick),
    /// The values of a quote, of an instrument whose book comes together with them in mode DEPTH. While the broker follows a
    /// change to that mode, it knows less than what is shown.
    Quote(Tick),
    /// The values of a quote, of an instrument whose book comes in packets of its own, or that has none, such as an index.
    Values(Tick),
    /// Values with the whole book: bids and asks, best first.
    Depth(Tick, &'a [Level], &'a [Level]),
    /// A whole book and nothing else: the number to publish it under, bids and asks. Values come in [`Self::Values`].
    Book(u32, &'a [Level], &'a [Level]),
}

impl TickSink {
    /// Publishes a packet, and no more of it than is wanted: packets of the old mode go on coming for a while after a change, and
    /// what nobody asked for would be left standing when they end.
    ///
    /// | wanted | [`Ltp`](Packet::Ltp) | [`Quote`](Packet::Quote) | [`Values`](Packet::Values) | [`Depth`](Packet::Depth) | [`Book`](Packet::Book) |
    /// |---|---|---|---|---|---|
    /// | LTP | last price | last price | last price | last price | nothing |
    /// | QUOTE | last price, update | quote | quote | quote | nothing |
    /// | DEPTH | last price, update | quote, update | values beside the book | book and values | book, update |
    ///
    /// "Update" means that it is none but an update, whatever the tick says: a packet below the mode that is wanted knows less
    /// than what is shown.
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
