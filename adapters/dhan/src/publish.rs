//! What of a packet reaches the clients, and in which mode the live feed has to bring it. Pure.

use adapter_sdk::{Mode, Tick, TickSink};

use crate::{decode::Decoded, segment::Segment};

/// The mode in which the live feed is to bring an instrument. An index has no book; of a deep one the values beside it
/// come as a quote.
pub(crate) fn upstream(mode: Mode, segment: Segment, has_deep_book: bool) -> Mode {
    if segment == Segment::Index || has_deep_book { mode.min(Mode::Quote) } else { mode }
}

/// Publishes a packet, and no more of it than is wanted: packets of an old mode go on coming for a while, or for ever.
/// In mode depth everything goes out as a book, if only one without levels, which leaves those that are known: clients
/// of that mode see nothing else. `whole` adds to a quote what came apart from it.
pub(crate) fn publish(
    decoded: &Decoded,
    whole: impl Fn(&Tick) -> Tick,
    mode: Mode,
    has_deep_book: bool,
    sink: &mut TickSink,
) {
    match (mode, decoded) {
        (_, Decoded::Nothing | Decoded::Close(_)) | (Mode::Ltp, Decoded::Interest(_)) => {}
        (Mode::Ltp, Decoded::Quote(tick) | Decoded::Book(tick, _))
        | (Mode::Ltp | Mode::Quote, Decoded::Ltp(tick)) => sink.ltp(tick),
        (Mode::Quote, Decoded::Interest(tick)) => sink.quote(tick),
        (Mode::Quote, Decoded::Quote(tick) | Decoded::Book(tick, _)) => sink.quote(&whole(tick)),
        (Mode::Depth, Decoded::Book(tick, book)) if !has_deep_book => {
            sink.depth(&whole(tick), book.buy(), book.sell());
        }
        (Mode::Depth, Decoded::Quote(tick) | Decoded::Book(tick, _)) => sink.depth(&whole(tick), &[], &[]),
        (Mode::Depth, Decoded::Ltp(tick) | Decoded::Interest(tick)) => sink.depth(tick, &[], &[]),
    }
}
