//! What of a packet reaches the clients, and in which mode the live feed has to bring it. Pure.

use adapter_sdk::{Mode, Packet, TickSink};

use crate::{
    decode::{Apart, Decoded},
    segment::Segment,
};

/// The mode in which the live feed is to bring an instrument. An index has no book; of a deep one the values
/// beside it come as a quote.
pub(crate) fn upstream(mode: Mode, segment: Segment, has_deep_book: bool) -> Mode {
    if segment == Segment::Index || has_deep_book { mode.min(Mode::Quote) } else { mode }
}

/// Publishes a packet, and no more of it than is wanted: packets of an old mode go on coming for a while, or
/// for ever.
///
/// A packet of the kind that the live feed is to bring is an image, together with what the broker says apart
/// from it. One of a lower kind knows less than what is shown, and is an update; so is open interest that
/// comes alone. Clients of mode depth see nothing but what is published for them, so they get values without
/// a book of their own too, beside the book that is known.
pub(crate) fn publish(
    decoded: &Decoded,
    apart: &Apart,
    mode: Mode,
    segment: Segment,
    has_deep_book: bool,
    sink: &mut TickSink,
) {
    let packet = match decoded {
        Decoded::Nothing | Decoded::Close(_) => return,
        Decoded::Interest(_) if mode == Mode::Ltp => return,
        Decoded::Ltp(tick) if mode != Mode::Depth => Packet::Ltp(tick.image()),
        Decoded::Quote(tick) if upstream(mode, segment, has_deep_book) <= Mode::Quote => {
            Packet::Values(apart.quote(*tick))
        }
        Decoded::Ltp(tick) | Decoded::Interest(tick) | Decoded::Quote(tick) => Packet::Values(*tick),
        Decoded::Book(tick, _) if has_deep_book => Packet::Values(apart.full(*tick)),
        Decoded::Book(tick, book) => Packet::Depth(apart.full(*tick), book.buy(), book.sell()),
    };
    sink.publish(mode, &packet);
}
