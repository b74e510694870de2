//! Batches of ticks as bytes: what stands in one frame of the connection for ticks.
//!
//! A frame is a head of 16 bytes (kind, three zero bytes, records, levels, ticks that were merged into
//! these), then the records with every member little-endian in the order of its declaration, then the levels
//! of books.

use adapter_abi::{Depth, DepthLevel, Greeks, Ltp, Quote};
use rustc_hash::FxHashSet;
use tickhost_core::{
    intake::{Batch, Merged, depth_levels},
    model::Mode,
};

use super::link::MAX_FRAME_BYTES;

const HEAD: usize = 16;
const LTP_BYTES: usize = size_of::<Ltp>();
const QUOTE_BYTES: usize = size_of::<Quote>();
const DEPTH_BYTES: usize = size_of::<Depth>();
const LEVEL_BYTES: usize = size_of::<DepthLevel>();
const GREEKS_BYTES: usize = size_of::<Greeks>();

/// What the records of a frame are: its first byte. Those of ticks are the numbers of their modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ltp = 1,
    Quote = 2,
    Depth = 3,
    Greeks = 4,
}

impl Kind {
    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Ltp),
            2 => Some(Self::Quote),
            3 => Some(Self::Depth),
            4 => Some(Self::Greeks),
            _ => None,
        }
    }

    /// Bytes of a record.
    const fn size(self) -> usize {
        match self {
            Self::Ltp => LTP_BYTES,
            Self::Quote => QUOTE_BYTES,
            Self::Depth => DEPTH_BYTES,
            Self::Greeks => GREEKS_BYTES,
        }
    }
}

/// A frame that is no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The records of one frame. Only those of `kind` count; the others are empty.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) ltp: Vec<Ltp>,
    pub(super) quote: Vec<Quote>,
    pub(super) depth: Vec<Depth>,
    pub(super) levels: Vec<DepthLevel>,
    pub(super) greeks: Vec<Greeks>,
    /// Ticks that the sender merged into these.
    pub(super) missed: u32,
}

// A record with the members of the macro and no others; that none is forgotten is what the struct expression
// checks.
macro_rules! records {
    ($($write:ident, $read:ident, $record:ident { $($member:ident: $type:ty),+ $(,)? })+) => {
        $(
            fn $write(out: &mut Vec<u8>, record: &$record) {
                let $record { $($member),+ } = record;
                $(out.extend_from_slice(&$member.to_le_bytes());)+
            }

            fn $read(bytes: &mut Bytes<'_>) -> Option<$record> {
                Some($record { $($member: <$type>::from_le_bytes(bytes.take()?)),+ })
            }
        )+
    };
}

records! {
    write_ltp, read_ltp, Ltp {
        instrument: u32, fields: u32, seq: u64, received_ts_ns: u64, exchange_ts_ns: u64, last_trade_ts_ns: u64,
        ltp: i64, volume: i64, last_quantity: i64,
    }
    write_quote, read_quote, Quote {
        instrument: u32, fields: u32, seq: u64, received_ts_ns: u64, exchange_ts_ns: u64, last_trade_ts_ns: u64,
        ltp: i64, volume: i64, last_quantity: i64, open: i64, high: i64, low: i64, close: i64, average_price: i64,
        total_buy_quantity: i64, total_sell_quantity: i64, change: i64, change_percent: i64, oi: i64,
        bid_price: i64, ask_price: i64, bid_size: i64, ask_size: i64, upper_circuit: i64, lower_circuit: i64,
        prev_close: i64, oi_high: i64, oi_low: i64,
    }
    write_greeks, read_greeks, Greeks {
        instrument: u32, fields: u32, seq: u64, received_ts_ns: u64, exchange_ts_ns: u64,
        delta: i64, gamma: i64, theta: i64, vega: i64, rho: i64, implied_volatility: i64,
    }
    write_level, read_level, DepthLevel { price: i64, quantity: i64, orders: u32, reserved: u32 }
}

fn write_depth(out: &mut Vec<u8>, book: &Depth, first_level: u32) {
    write_quote(out, &book.quote);
    out.extend_from_slice(&first_level.to_le_bytes());
    out.extend_from_slice(&book.buy_levels.to_le_bytes());
    out.extend_from_slice(&book.sell_levels.to_le_bytes());
}

fn read_depth(bytes: &mut Bytes<'_>) -> Option<Depth> {
    Some(Depth {
        quote: read_quote(bytes)?,
        first_level: u32::from_le_bytes(bytes.take()?),
        buy_levels: u16::from_le_bytes(bytes.take()?),
        sell_levels: u16::from_le_bytes(bytes.take()?),
    })
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }
}

/// Writes a batch as frames, in order, none longer than [`MAX_FRAME_BYTES`].
pub(super) fn encode(batch: &Batch, mut send: impl FnMut(Vec<u8>)) {
    match batch {
        Batch::Ltp(ticks) => {
            for part in ticks.chunks((MAX_FRAME_BYTES - HEAD) / LTP_BYTES) {
                let mut frame = frame(Kind::Ltp, part.len(), 0, 0, part.len() * LTP_BYTES);
                part.iter().for_each(|tick| write_ltp(&mut frame, tick));
                send(frame);
            }
        }
        Batch::Quote(quotes) => {
            for part in quotes.chunks((MAX_FRAME_BYTES - HEAD) / QUOTE_BYTES) {
                let mut frame = frame(Kind::Quote, part.len(), 0, 0, part.len() * QUOTE_BYTES);
                part.iter().for_each(|quote| write_quote(&mut frame, quote));
                send(frame);
            }
        }
        Batch::Depth(books, levels) => {
            let mut part = Books::default();
            for book in books {
                // What the intake took lies within its levels.
                let Some((buy, sell)) = depth_levels(book, levels) else { continue };
                part.add(&book.quote, buy, sell, 0, &mut send);
            }
            part.flush(&mut send);
        }
        Batch::Greeks(records) => {
            for part in records.chunks((MAX_FRAME_BYTES - HEAD) / GREEKS_BYTES) {
                let mut frame = frame(Kind::Greeks, part.len(), 0, 0, part.len() * GREEKS_BYTES);
                part.iter().for_each(|greeks| write_greeks(&mut frame, greeks));
                send(frame);
            }
        }
        Batch::Merged(entries) => in_runs(entries, &mut send),
    }
}

/// What the overflow held, in runs in which every instrument stands once, so that their kinds need not keep
/// their order.
fn in_runs(mut entries: &[Merged], send: &mut impl FnMut(Vec<u8>)) {
    while !entries.is_empty() {
        let mut seen = FxHashSet::default();
        let once = entries.iter().take_while(|merged| seen.insert(merged.instrument)).count();
        let (run, rest) = entries.split_at(once);
        merged(run, send);
        entries = rest;
    }
}

fn merged(entries: &[Merged], send: &mut impl FnMut(Vec<u8>)) {
    let of = |mode| entries.iter().filter(move |merged| merged.mode == Some(mode));
    let missed = |part: &[&Merged]| part.iter().map(|merged| missed(merged)).fold(0, u32::saturating_add);
    let ltp: Vec<&Merged> = of(Mode::Ltp).collect();
    for part in ltp.chunks((MAX_FRAME_BYTES - HEAD) / LTP_BYTES) {
        let mut frame = frame(Kind::Ltp, part.len(), 0, missed(part), part.len() * LTP_BYTES);
        part.iter().for_each(|merged| write_ltp(&mut frame, &Ltp::from(&merged.entry.record(Mode::Ltp))));
        send(frame);
    }
    let quote: Vec<&Merged> = of(Mode::Quote).collect();
    for part in quote.chunks((MAX_FRAME_BYTES - HEAD) / QUOTE_BYTES) {
        let mut frame = frame(Kind::Quote, part.len(), 0, missed(part), part.len() * QUOTE_BYTES);
        part.iter().for_each(|merged| write_quote(&mut frame, &merged.entry.record(Mode::Quote)));
        send(frame);
    }
    let mut books = Books::default();
    for merged in of(Mode::Depth) {
        let (record, view) = (merged.entry.record(Mode::Depth), merged.entry.view());
        books.add(&record, view.buy, view.sell, missed(&[merged]), send);
    }
    books.flush(send);
    // Behind the ticks of their instruments, which are those of the same run.
    let greeks: Vec<(&Merged, Greeks)> =
        entries.iter().filter_map(|merged| Some((merged, merged.entry.greeks_record()?))).collect();
    for part in greeks.chunks((MAX_FRAME_BYTES - HEAD) / GREEKS_BYTES) {
        let alone = part.iter().filter(|(merged, _)| merged.mode.is_none());
        let missed = alone.map(|(merged, _)| merged.missed).fold(0, u32::saturating_add);
        let mut frame = frame(Kind::Greeks, part.len(), 0, missed, part.len() * GREEKS_BYTES);
        part.iter().for_each(|(_, greeks)| write_greeks(&mut frame, greeks));
        send(frame);
    }
}

/// How many ticks are not sent because they were merged into this one: greeks beside it are sent apart.
fn missed(merged: &Merged) -> u32 {
    merged.missed.saturating_sub(merged.entry.greeks_record().is_some().into())
}

/// Books of one frame, gathered until the next would not fit.
#[derive(Default)]
struct Books {
    records: Vec<u8>,
    levels: Vec<u8>,
    count: usize,
    level_count: usize,
    missed: u32,
}

impl Books {
    fn add(
        &mut self,
        quote: &Quote,
        buy: &[DepthLevel],
        sell: &[DepthLevel],
        missed: u32,
        send: &mut impl FnMut(Vec<u8>),
    ) {
        let more = DEPTH_BYTES + (buy.len() + sell.len()) * LEVEL_BYTES;
        if HEAD + self.records.len() + self.levels.len() + more > MAX_FRAME_BYTES {
            self.flush(send);
        }
        let count = |side: &[DepthLevel]| u16::try_from(side.len()).unwrap_or(u16::MAX);
        let book = Depth { quote: *quote, first_level: 0, buy_levels: count(buy), sell_levels: count(sell) };
        write_depth(&mut self.records, &book, u32::try_from(self.level_count).unwrap_or(u32::MAX));
        buy.iter().chain(sell).for_each(|level| write_level(&mut self.levels, level));
        self.count += 1;
        self.level_count += buy.len() + sell.len();
        self.missed = self.missed.saturating_add(missed);
    }

    fn flush(&mut self, send: &mut impl FnMut(Vec<u8>)) {
        let Self { records, levels, count, level_count, missed } = std::mem::take(self);
        if count == 0 {
            return;
        }
        let mut frame = frame(Kind::Depth, count, level_count, missed, records.len() + levels.len());
        frame.extend_from_slice(&records);
        frame.extend_from_slice(&levels);
        send(frame);
    }
}

fn frame(kind: Kind, records: usize, levels: usize, missed: u32, body: usize) -> Vec<u8> {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
    let mut frame = Vec::with_capacity(HEAD + body);
    frame.extend_from_slice(&[kind as u8, 0, 0, 0]);
    frame.extend_from_slice(&number(records));
    frame.extend_from_slice(&number(levels));
    frame.extend_from_slice(&missed.to_le_bytes());
    frame
}

impl Decoded {
    /// Reads a frame into this place, whose memory is used again. Gives the kind of its records.
    ///
    /// # Errors
    /// [`Malformed`], when the counts in its head are not those of its body.
    pub(super) fn read(&mut self, frame: &[u8]) -> Result<Kind, Malformed> {
        self.ltp.clear();
        self.quote.clear();
        self.depth.clear();
        self.levels.clear();
        self.greeks.clear();
        let mut bytes = Bytes(frame);
        let [kind, zeros @ ..] = bytes.take::<4>().ok_or(Malformed)?;
        let mut number = || bytes.take().map(u32::from_le_bytes).ok_or(Malformed);
        let (records, levels, missed) = (number()?, number()?, number()?);
        let kind = Kind::from_number(kind).filter(|_| zeros == [0; 3]).ok_or(Malformed)?;
        self.missed = missed;
        let needed = u64::from(records) * kind.size() as u64 + u64::from(levels) * LEVEL_BYTES as u64;
        if needed != bytes.0.len() as u64 || kind != Kind::Depth && levels != 0 {
            return Err(Malformed);
        }
        let count = 0..records;
        match kind {
            Kind::Ltp => self.ltp.extend(count.map_while(|_| read_ltp(&mut bytes))),
            Kind::Quote => self.quote.extend(count.map_while(|_| read_quote(&mut bytes))),
            Kind::Depth => {
                self.depth.extend(count.map_while(|_| read_depth(&mut bytes)));
                self.levels.extend((0..levels).map_while(|_| read_level(&mut bytes)));
            }
            Kind::Greeks => self.greeks.extend(count.map_while(|_| read_greeks(&mut bytes))),
        }
        Ok(kind)
    }
}

/// A frame of each kind, in which every byte of every member is another one.
#[cfg(test)]
pub(super) fn samples() -> [Vec<u8>; 4] {
    let counted: Vec<u8> = (0..=u8::MAX).cycle().take(DEPTH_BYTES + LEVEL_BYTES).collect();
    let mut bytes = Bytes(&counted);
    let book = Depth { first_level: 0, buy_levels: 1, sell_levels: 0, ..read_depth(&mut bytes).unwrap() };
    let levels = [read_level(&mut Bytes(&counted)).unwrap()];
    let ltp = read_ltp(&mut Bytes(&counted)).unwrap();
    let greeks = read_greeks(&mut Bytes(&counted)).unwrap();
    let batches = [
        Batch::Ltp([ltp].into()),
        Batch::Quote([book.quote].into()),
        Batch::Depth([book].into(), levels.into()),
        Batch::Greeks([greeks].into()),
    ];
    batches.map(|batch| {
        let mut only = Vec::new();
        encode(&batch, |frame| only = frame);
        only
    })
}

#[cfg(test)]
mod tests;
