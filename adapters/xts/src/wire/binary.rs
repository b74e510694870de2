//! Packed messages, little-endian, several behind each other in one frame, some of them deflated.
//!
//! Two layouts are known: that of the maker's packages, and a wider one that begins with its version and has
//! quantities of 64 bits, which nobody has documented. Which one a packet has its first byte says; no place
//! is guessed by what stands there.

use adapter_sdk::{
    packed,
    read::{Bytes, CutOff},
    sparse::Row,
};
use flate2::{Decompress, FlushDecompress, Status};

use super::{About, Code, LEVELS, News, Value, key};
use adapter_sdk::{Price, read, read::Sign};

/// The version of a body that both layouts have, and the first byte of the wider one.
const VERSION: u16 = 4;

/// Longest body: its size has 16 bits.
const LONGEST: usize = 1 << 16;

/// Why a packet was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The rest of the frame is lost too.
    #[error("it ends before its packet does")]
    CutOff,
    /// The same.
    #[error("it begins with a byte of no known layout")]
    Layout,
    /// Older ones have their values in other places, about which sources differ.
    #[error("its version is not known")]
    Version,
    /// The body cannot be unpacked to the size that it says.
    #[error("it cannot be unpacked")]
    Packed,
    /// The body is of something else than its head says.
    #[error("its head and its body disagree")]
    Contradiction,
}

impl Fault {
    /// What is counted of its kind.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::CutOff => "cut off packet",
            Self::Layout => "packet of another layout",
            Self::Version => "packet of an older version",
            Self::Packed => "packed packet",
            Self::Contradiction => "contradictory packet",
        }
    }
}

impl From<CutOff> for Fault {
    fn from(_: CutOff) -> Self {
        Self::CutOff
    }
}

packed! {
    /// What a packet is, behind its first bytes.
    struct Head {
        code: u16,
        segment: i16,
        instrument: i32,
        book: i16,
        market: i16,
        size: u16,
    }

    /// What a body begins with.
    struct Prefix {
        code: u16,
        version: u16,
        application: u16,
        token: u64,
        sequence: u64,
        skipped: [u8; 4],
        segment: u16,
        instrument: i32,
        sent_at: u64,
    }

    struct Level {
        size: i32,
        price: f64,
        orders: i32,
        flag: u16,
    }

    struct WideLevel {
        size: i64,
        price: f64,
        orders: i32,
        flag: u16,
    }

    struct Quantities {
        last: i32,
        buy: u32,
        sell: u32,
        volume: u32,
    }

    struct WideQuantities {
        last: i64,
        buy: i64,
        sell: i64,
        volume: i64,
    }

    struct Prices {
        average: f64,
        traded_at: u64,
        change: f64,
        open: f64,
        high: f64,
        low: f64,
        close: f64,
    }
}

/// How wide quantities are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Narrow,
    Wide,
}

/// What unpacks bodies. Its memory is used again.
pub struct Unpacker {
    inflate: Decompress,
    body: Vec<u8>,
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl Default for Unpacker {
    fn default() -> Self {
        // Without the head of zlib.
        Self { inflate: Decompress::new(false), body: vec![0; LONGEST] }
    }
}

impl Unpacker {
    /// Unpacks a body of so many bytes, and says how many it took.
    fn unpack(&mut self, packed: &[u8], size: usize) -> Result<(&[u8], usize), Fault> {
        self.inflate.reset(false);
        let body = self.body.get_mut(..size).ok_or(Fault::Packed)?;
        let status = self.inflate.decompress(packed, body, FlushDecompress::Finish);
        let has_all = usize::try_from(self.inflate.total_out()) == Ok(size);
        match status {
            Ok(Status::StreamEnd) if has_all => {
                Ok((body, usize::try_from(self.inflate.total_in()).unwrap_or(usize::MAX)))
            }
            _ => Err(Fault::Packed),
        }
    }
}

/// Takes a frame apart, packet by packet: what each says, or why it was left out. Packets of other codes are
/// passed over.
pub fn read(frame: &[u8], unpacker: &mut Unpacker, mut each: impl FnMut(Result<News<'static>, Fault>)) {
    let mut rest = Bytes::of(frame);
    while !rest.rest().is_empty() {
        match packet(&mut rest, unpacker) {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(news))) => each(Ok(news)),
            Ok(Err(fault)) => each(Err(fault)),
            // Nobody knows where the next one would begin.
            Err(fault) => return each(Err(fault)),
        }
    }
}

type Read = Result<Option<News<'static>>, Fault>;

/// One packet. An error when its end is not known.
fn packet(rest: &mut Bytes<'_>, unpacker: &mut Unpacker) -> Result<Read, Fault> {
    let mut first = rest.u8()?;
    let layout = if u16::from(first) == VERSION { Layout::Wide } else { Layout::Narrow };
    if layout == Layout::Wide {
        first = rest.u8()?;
    }
    let is_packed = match first {
        0 => false,
        1 => true,
        _ => return Err(Fault::Layout),
    };
    let head: Head = rest.packed()?;
    let size = usize::from(head.size);
    if !is_packed {
        let body = rest.take(size)?;
        return Ok(news(&head, body, layout));
    }
    if layout == Layout::Narrow {
        let [low, high] = rest.array()?;
        let packed = rest.take(usize::from(u16::from_le_bytes([low, high])))?;
        return Ok(unpacker.unpack(packed, size).and_then(|(body, _)| news(&head, body, layout)));
    }
    // Only what unpacks it knows where it ends.
    let (body, taken) = unpacker.unpack(rest.rest(), size)?;
    rest.take(taken)?;
    Ok(news(&head, body, layout))
}

fn news(head: &Head, body: &[u8], layout: Layout) -> Read {
    let mut body = Bytes::of(body);
    let prefix: Prefix = body.packed()?;
    if prefix.version < VERSION {
        return Err(Fault::Version);
    }
    let is_same = prefix.code == head.code
        && i64::from(prefix.segment) == i64::from(head.segment)
        && prefix.instrument == head.instrument;
    if !is_same {
        return Err(Fault::Contradiction);
    }
    let Some(code) = Code::of(head.code.into()) else { return Ok(None) };
    let Some(key) = key(head.segment.into(), head.instrument.into()) else { return Ok(None) };
    let mut news = News::new(code, About::Instrument(key), true);
    match code {
        Code::Touchline => touchline(&mut body, layout, &mut news, true)?,
        Code::Depth => {
            for side in 0..2 {
                let rows = levels(&mut body, layout)?;
                news.rows.iter_mut().skip(side).take(1).for_each(|known| *known = rows);
            }
            touchline(&mut body, layout, &mut news, false)?;
        }
        Code::OpenInterest => {
            let _market = body.array::<2>()?;
            let count = i32::from_le_bytes(body.array()?);
            news.count(Value::OpenInterest, read::quantity(count.into()));
        }
        // Their layout is not documented.
        Code::Bands | Code::Index | Code::Ltp => return Ok(None),
    }
    Ok(Some(news.settled()))
}

/// A side of the book, behind its number of levels, of which those below the fifth are left out.
fn levels(body: &mut Bytes<'_>, layout: Layout) -> Result<[Row; LEVELS], Fault> {
    let count = i32::from_le_bytes(body.array()?);
    let mut rows = [Row::default(); LEVELS];
    for place in 0..usize::try_from(count).map_err(|_| Fault::CutOff)? {
        let row = level(body, layout)?;
        if let Some(known) = rows.get_mut(place) {
            *known = row;
        }
    }
    Ok(rows)
}

fn level(body: &mut Bytes<'_>, layout: Layout) -> Result<Row, Fault> {
    let (size, price, orders) = match layout {
        Layout::Narrow => {
            let level: Level = body.packed()?;
            (level.size.into(), level.price, level.orders)
        }
        Layout::Wide => {
            let level: WideLevel = body.packed()?;
            (level.size, level.price, level.orders)
        }
    };
    Ok(Row {
        price: Some(read::float(price, Sign::Either).unwrap_or(Price::from_nanos(0))),
        quantity: read::quantity(size),
        orders: u32::try_from(orders).ok(),
    })
}

/// The values, between the best bid and ask and what nobody needs.
fn touchline(body: &mut Bytes<'_>, layout: Layout, news: &mut News<'_>, has_rows: bool) -> Result<(), Fault> {
    for rows in &mut news.rows {
        let best = level(body, layout)?;
        if has_rows && let Some(first) = rows.first_mut() {
            *first = best;
        }
    }
    let updated_at = u64::from_le_bytes(body.array()?);
    let last = f64::from_le_bytes(body.array()?);
    let quantities = match layout {
        Layout::Narrow => {
            let Quantities { last, buy, sell, volume } = body.packed()?;
            WideQuantities { last: last.into(), buy: buy.into(), sell: sell.into(), volume: volume.into() }
        }
        Layout::Wide => body.packed()?,
    };
    let prices: Prices = body.packed()?;
    for (value, float) in [
        (Value::Ltp, last),
        (Value::Average, prices.average),
        (Value::ChangePercent, prices.change),
        (Value::Open, prices.open),
        (Value::High, prices.high),
        (Value::Low, prices.low),
        (Value::Close, prices.close),
    ] {
        news.take_float(value, float);
    }
    for (value, count) in [
        (Value::LastQuantity, quantities.last),
        (Value::Volume, quantities.volume),
        (Value::TotalBuy, quantities.buy),
        (Value::TotalSell, quantities.sell),
    ] {
        news.count(value, read::quantity(count));
    }
    news.at(Value::UpdatedAt, i64::try_from(updated_at).ok());
    news.at(Value::TradedAt, i64::try_from(prices.traded_at).ok());
    Ok(())
}

#[cfg(test)]
mod tests;
