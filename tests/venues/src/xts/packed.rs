//! What the socket says as packed messages, little-endian, every second of them deflated.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};

use super::{instruments, json::seconds};
use crate::{
    model::{LEVELS, Level, Mode, PRICE_SCALE, Values},
    universe::{Instrument, Kind},
};

/// What is written of a message.
struct Body {
    bytes: Vec<u8>,
    /// Quantities of 64 bits.
    is_wide: bool,
}

impl Body {
    /// The first forty bytes.
    fn new(code: u16, (segment, token): (u16, u32), sent_at: i64, is_wide: bool) -> Result<Self, String> {
        let mut body = Self { bytes: Vec::new(), is_wide };
        for short in [code, 4, 8] {
            body.put(&short.to_le_bytes());
        }
        body.put(&u64::from(token).to_le_bytes());
        body.put(&7_u64.to_le_bytes());
        body.put(&[0; 4]);
        body.put(&segment.to_le_bytes());
        body.put(&i32::try_from(token).map_err(|_| "its number is too large")?.to_le_bytes());
        body.put(&sent_at.to_le_bytes());
        Ok(body)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[expect(clippy::cast_precision_loss, reason = "prices of two decimals are exact enough")]
    fn price(&mut self, price: i64) {
        self.put(&(price as f64 / PRICE_SCALE as f64).to_le_bytes());
    }

    /// A quantity of 64 bits, or of as many as the layout of the maker's packages has.
    fn quantity(&mut self, quantity: i64) -> Result<(), String> {
        if self.is_wide {
            self.put(&quantity.to_le_bytes());
        } else {
            let narrow = u32::try_from(quantity).map_err(|_| format!("{quantity} has more than 32 bits"))?;
            self.put(&narrow.to_le_bytes());
        }
        Ok(())
    }

    fn level(&mut self, level: &Level) -> Result<(), String> {
        self.quantity(level.quantity)?;
        self.price(level.price);
        self.put(&level.orders.to_le_bytes());
        self.put(&[0; 2]);
        Ok(())
    }

    /// The packet, with its head.
    fn packet(self, code: u16, (segment, token): (u16, u32), is_deflated: bool) -> Result<Vec<u8>, String> {
        let short = |length: usize| u16::try_from(length).map_err(|_| "it is too long".to_owned());
        let mut packet = if self.is_wide { vec![4] } else { Vec::new() };
        packet.push(u8::from(is_deflated));
        for part in [&code.to_le_bytes()[..], &segment.to_le_bytes(), &token.to_le_bytes(), &[1, 0, 1, 0]] {
            packet.extend_from_slice(part);
        }
        packet.extend(short(self.bytes.len())?.to_le_bytes());
        if !is_deflated {
            packet.extend(self.bytes);
            return Ok(packet);
        }
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&self.bytes).map_err(|error| error.to_string())?;
        let deflated = encoder.finish().map_err(|error| error.to_string())?;
        if !self.is_wide {
            packet.extend(short(deflated.len())?.to_le_bytes());
        }
        packet.extend(deflated);
        Ok(packet)
    }
}

fn named(one: &Instrument) -> Result<(u16, u32), String> {
    instruments::name(one).ok_or_else(|| "it does not trade at this broker".to_owned())
}

/// Every second instrument is deflated.
fn is_deflated(name: (u16, u32)) -> bool {
    name.1 % 2 == 1
}

/// A touchline, or a book with one.
pub(super) fn packet(
    one: &Instrument,
    mode: Mode,
    values: &Values,
    is_wide: bool,
) -> Result<Vec<u8>, String> {
    let name = named(one)?;
    let code = match (mode, one.kind) {
        (Mode::Deep(_), _) => return Err("the broker has no deep books".to_owned()),
        (Mode::Full, Kind::Share | Kind::Future | Kind::Call | Kind::Put) => 1_502,
        _ => 1_501,
    };
    let mut body = Body::new(code, name, seconds(name.0, values.exchange_ts_ns), is_wide)?;
    if code == 1_502 {
        for side in [&values.bids, &values.asks] {
            let rows = side.whole::<LEVELS>()?;
            body.put(&5_i32.to_le_bytes());
            rows.iter().try_for_each(|row| body.level(row))?;
        }
    }
    for side in [&values.bids, &values.asks] {
        body.level(&side.first().copied().unwrap_or_default())?;
    }
    body.put(&seconds(name.0, values.exchange_ts_ns).to_le_bytes());
    body.price(values.ltp);
    for quantity in
        [values.last_quantity, values.total_buy_quantity, values.total_sell_quantity, values.volume]
    {
        body.quantity(quantity)?;
    }
    body.price(values.average_price);
    body.put(&seconds(name.0, values.last_trade_ts_ns).to_le_bytes());
    // The change in percent, and what was traded for in all.
    for price in [0, values.open, values.high, values.low, values.close, 0] {
        body.price(price);
    }
    body.put(&[0; 4]);
    body.put(&[1, 0, 1, 0]);
    body.packet(code, name, is_deflated(name))
}

/// Open interest, which has a message of its own.
pub(super) fn interest(one: &Instrument, values: &Values, is_wide: bool) -> Result<Vec<u8>, String> {
    let name = named(one)?;
    let mut body = Body::new(1_510, name, seconds(name.0, values.exchange_ts_ns), is_wide)?;
    body.put(&1_i16.to_le_bytes());
    let interest = i32::try_from(values.oi).map_err(|_| format!("{} has more than 32 bits", values.oi))?;
    body.put(&interest.to_le_bytes());
    body.put(&name.0.to_le_bytes());
    body.put(&[0; 8 + 1 + 4]);
    body.packet(1_510, name, is_deflated(name))
}
