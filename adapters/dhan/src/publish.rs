//! What of a packet reaches the clients, and in which mode the live feed has to bring it. Pure.

use adapter_sdk::{Mode, TickSink};

use crate::{
    decode::{Apart, Decoded},
    segment::Segment,
};

/// The mode in which the live feed is to bring an instrument. An index has no book; of a deep one the values beside it
/// come as a quote.
pub(crate) fn upstream(mode: Mode, segment: Segment, has_deep_book: bool) -> Mode {
    if segment == Segment::Index || has_deep_book { mode.min(Mode::Quote) } else { mode }
}

/// Publishes a packet, and no more of it than is wanted: packets of an old mode go on coming for a while, or for ever.
///
/// A packet of the kind that the live feed is to bring is an image, together with what the broker says apart from it. One of
/// a lower kind knows less than what is shown, and is an update; so is open interest that comes alone. Clients of mode depth
/// see nothing but what is published for them, so they get values without a book of their own too, beside the book that is
/// known.
pub(crate) fn publish(
    decoded: &Decoded,
    apart: &Apart,
    mode: Mode,
    segment: Segment,
    has_deep_book: bool,
    sink: &mut TickSink,
) {
    match (mode, decoded) {
        (_, Decoded::Nothing | Decoded::Close(_)) | (Mode::Ltp, Decoded::Interest(_)) => {}
        (Mode::Ltp, Decoded::Ltp(tick) | Decoded::Quote(tick) | Decoded::Book(tick, _)) => {
            sink.ltp(&tick.image());
        }
        (Mode::Quote, Decoded::Ltp(tick)) => sink.ltp(tick),
        (Mode::Quote, Decoded::Interest(tick)) => sink.quote(tick),
        (Mode::Quote, Decoded::Quote(tick)) => sink.quote(&apart.quote(*tick)),
        (Mode::Quote, Decoded::Book(tick, _)) => sink.quote(&apart.full(*tick)),
        (Mode::Depth, Decoded::Book(tick, book)) if !has_deep_book => {
            sink.depth(&apart.full(*tick), book.buy(), book.sell());
        }
        (Mode::Depth, Decoded::Book(tick, _)) => sink.beside_book(&apart.full(*tick)),
        (Mode::Depth, Decoded::Quote(tick)) if upstream(mode, segment, has_deep_book) == Mode::Quote => {
            sink.beside_book(&apart.quote(*tick));
        }
        (Mode::Depth, Decoded::Quote(tick) | Decoded::Ltp(tick) | Decoded::Interest(tick)) => {
            sink.beside_book(tick);
        }
    }
}
