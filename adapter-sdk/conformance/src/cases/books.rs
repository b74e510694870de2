//! Whether a book is as deep as was promised, and the right way up.

use adapter_abi::{DepthLevel, ORDERS_ABSENT};

use crate::{
    host::{Kind, Record},
    running::{Running, Wanted},
    stage::{SOON, Stage, ltp_of, packet, price},
    value::decimal,
    venue::{Row, Venue},
    verdict::{Check, ensure, fail},
};

/// Levels that a client may ask for.
const ASKED: [u16; 5] = [5, 20, 30, 50, 200];

/// Records that are looked at without a venue.
const RECORDS: usize = 20;

pub(super) fn granted_depth(stage: &Stage<'_>) -> Check {
    stage.needs_kind(Kind::Depth)?;
    if let Some(venue) = stage.venue() {
        venue.needs(&["tick"])?;
    }
    let most = stage.profile.limits.depth;
    let running = stage.connected()?;
    for (place, asked) in ASKED.into_iter().enumerate() {
        let one = Wanted { depth: asked, ..Wanted::at(place, stage.profile.instrument(0), Kind::Depth) };
        let outcomes = running.subscribe(&[one])?;
        let Some(outcome) = outcomes.first().filter(|outcome| outcome.code.is_taken()) else {
            return fail(format!("{asked} levels of {} were refused", one.instrument.name()));
        };
        let granted = outcome.depth;
        ensure(granted > 0 && granted <= asked && granted <= most, || {
            format!("asked for {asked} levels of at most {most}, it granted {granted}")
        })?;
        stage.wait_at_venue(&[one])?;
        if let Some(venue) = stage.venue() {
            full_book(stage, &running, venue, one, granted)?;
        } else {
            running.wait("books", SOON, |heard| {
                let of = heard.records.iter().filter(|record| record.quote.instrument == one.number);
                (of.count() >= RECORDS).then_some(())
            })?;
            let books: Vec<Record> = running.records_after(0);
            let mut books = books.iter().filter(|record| record.quote.instrument == one.number);
            let deepest = books.clone().map(|book| book.bids.len().max(book.asks.len())).max().unwrap_or(0);
            ensure(deepest == usize::from(granted), || {
                format!("it granted {granted} levels, but the deepest of {RECORDS} books has {deepest}")
            })?;
            books.try_for_each(upright)?;
        }
        running.unsubscribe(&[one.number])?;
        if let Some(venue) = stage.venue() {
            venue.until("the end of a subscription", SOON, |report| {
                report.mode_of(one.instrument).is_none()
            })?;
        }
    }
    running.settle()
}

/// The venue sends a book of as many levels as were granted; every one of them must arrive as it is.
fn full_book(stage: &Stage<'_>, running: &Running, venue: &Venue, one: Wanted<'_>, granted: u16) -> Check {
    let ltp = stage.price(0, 300 + usize::from(granted));
    let (bids, asks) = rows(stage, granted);
    let mut sent = packet(one, [("ltp", ltp.as_str())]);
    (sent.bids, sent.asks) = (bids, asks);
    let mark = running.mark();
    venue.tick(&sent)?;
    let expected = price(&ltp)?;
    let book = running.record_after(mark, one.number, "a book", |record| {
        record.kind == Kind::Depth && ltp_of(record) == Some(expected)
    })?;
    same("bids", &sent.bids, &book.bids)?;
    same("asks", &sent.asks, &book.asks)?;
    upright(&book)
}

fn rows(stage: &Stage<'_>, count: u16) -> (Vec<Row>, Vec<Row>) {
    let count = usize::from(count);
    let row = |step: usize| {
        let size = i64::try_from(step).unwrap_or(0) + 1;
        (stage.price(0, step), size, u32::try_from(step % 7).unwrap_or(0) + 1)
    };
    (
        (0..count).map(|level| row(count - level)).collect(),
        (0..count).map(|level| row(count + 1 + level)).collect(),
    )
}

/// Whether the levels that arrived are those that were sent.
pub(super) fn same(side: &str, sent: &[Row], got: &[DepthLevel]) -> Check {
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

/// Best levels first on both sides, and no row that is nothing but padding.
fn upright(book: &Record) -> Check {
    let falls = |side: &[DepthLevel]| side.windows(2).all(|pair| matches!(pair, [a, b] if a.price > b.price));
    let rises = |side: &[DepthLevel]| side.windows(2).all(|pair| matches!(pair, [a, b] if a.price < b.price));
    ensure(falls(&book.bids) && rises(&book.asks), || {
        "a side of the book does not begin with its best level".to_owned()
    })?;
    let mut levels = book.bids.iter().chain(&book.asks);
    ensure(levels.all(|level| level.price != 0), || "a book has rows without a price".to_owned())
}
