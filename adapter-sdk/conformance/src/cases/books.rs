//! Whether a book is as deep as was promised, and the right way up.

use adapter_abi::DepthLevel;

use crate::{
    host::{Kind, Record},
    picture::{Picture, same},
    running::{Running, Wanted},
    stage::{SOON, Stage, packet},
    venue::{Row, Venue},
    verdict::{Check, Stop, ensure, fail},
};

/// Levels that a client may ask for.
const ASKED: [u16; 5] = [5, 20, 30, 50, 200];

/// Books more than a connection has places for.
const BEYOND: usize = 2;

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
            if granted < most {
                deeper_book(stage, &running, venue, one, granted)?;
            }
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
            books.try_for_each(|book| upright(&book.bids, &book.asks))?;
        }
        running.unsubscribe(&[one.number])?;
        if let Some(venue) = stage.venue() {
            venue.until("the end of a subscription", SOON, |report| {
                report.mode_of(one.instrument).is_none()
            })?;
        }
    }
    no_more_than_counted(stage, &running)?;
    running.settle()
}

/// Of the deep books that a broker counts apart no more may be promised than it has. What finds no place is
/// served all the same, with the levels that every book has.
fn no_more_than_counted(stage: &Stage<'_>, running: &Running) -> Check {
    let address = stage.venue().map_or("", Venue::address);
    let Some((places, above)) = stage.subject.deep_books(&stage.config_json(address, None)) else {
        return Ok(());
    };
    let Some(bulk) = &stage.profile.bulk else { return Ok(()) };
    let instruments = bulk.instruments(places + BEYOND);
    let deepest = ASKED.into_iter().max().unwrap_or_default();
    let wanted: Vec<Wanted<'_>> = (ASKED.len()..)
        .zip(&instruments)
        .map(|(place, one)| Wanted { depth: deepest, ..Wanted::at(place, one, Kind::Depth) })
        .collect();
    let outcomes = running.subscribe(&wanted)?;
    for (one, outcome) in wanted.iter().zip(&outcomes) {
        ensure(outcome.code.is_taken(), || {
            format!(
                "a book of {} was refused where deep ones are full: {}",
                one.instrument.name(),
                outcome.message
            )
        })?;
    }
    let deep = outcomes.iter().filter(|outcome| outcome.depth > above).count();
    ensure(deep <= places, || {
        format!("it has {places} books of more than {above} levels on a connection, and granted {deep}")
    })
}

/// The venue sends a book of as many levels as were granted; every one of them must arrive as it is.
fn full_book(stage: &Stage<'_>, running: &Running, venue: &Venue, one: Wanted<'_>, granted: u16) -> Check {
    let ltp = stage.price(0, 300 + usize::from(granted));
    let (bids, asks) = rows(stage, granted);
    let mut sent = packet(one, [("ltp", ltp.as_str())]);
    (sent.bids, sent.asks) = (bids, asks);
    let shown = running.send(venue, one, &sent)?;
    let (bids, asks) = shown.book().unwrap_or_default();
    same("bids", &sent.bids, bids)?;
    same("asks", &sent.asks, asks)?;
    upright(bids, asks)
}

/// The venue sends a book of as many levels as the broker has, whose channel knows no fewer; those beyond the
/// grant must not arrive.
fn deeper_book(stage: &Stage<'_>, running: &Running, venue: &Venue, one: Wanted<'_>, granted: u16) -> Check {
    let ltp = stage.price(0, 600 + usize::from(granted));
    let (bids, asks) = rows(stage, stage.profile.limits.depth);
    let mut sent = packet(one, [("ltp", ltp.as_str())]);
    (sent.bids, sent.asks) = (bids, asks);
    let mark = running.mark();
    match venue.tick(&sent) {
        // A channel that has no place for more levels than were asked for.
        Err(Stop::Skipped(_)) => return Ok(()),
        sent => sent?,
    }
    [&mut sent.bids, &mut sent.asks].into_iter().for_each(|side| side.truncate(granted.into()));
    let (best, number) = (sent.bids.clone(), one.number);
    let has_best = |shown: &Picture| {
        let (bids, _) = shown.book().unwrap_or_default();
        same("bids", &best, bids.get(..best.len()).unwrap_or(bids)).is_ok()
    };
    let shown = running.wait_picture(mark, number, "a book that is deeper than the grant", has_best)?;
    let (bids, asks) = shown.book().unwrap_or_default();
    let deepest = bids.len().max(asks.len());
    ensure(deepest <= usize::from(granted), || {
        format!("it granted {granted} levels, and a deeper book arrived with {deepest}: it is not cut")
    })?;
    same("asks", &sent.asks, asks)
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

/// Best levels first on both sides, and no row that is nothing but padding.
fn upright(bids: &[DepthLevel], asks: &[DepthLevel]) -> Check {
    let falls = |side: &[DepthLevel]| side.windows(2).all(|pair| matches!(pair, [a, b] if a.price > b.price));
    let rises = |side: &[DepthLevel]| side.windows(2).all(|pair| matches!(pair, [a, b] if a.price < b.price));
    ensure(falls(bids) && rises(asks), || {
        "a side of the book does not begin with its best level".to_owned()
    })?;
    let mut levels = bids.iter().chain(asks);
    ensure(levels.all(|level| level.price != 0), || "a book has rows without a price".to_owned())
}
