//! Ticks to frames: the hot path. Appends to a buffer that the caller keeps; nothing here allocates while
//! that buffer has [`Label::max_frame_bytes`] to spare.
//!
//! The frame is a superset of every shape that clients read: names and mode outside for those that route on
//! them, the values inside `data` for the SDKs, and copies of the main values outside for the flat readers. A
//! key that occurs twice in a frame has the same value in both places, but for `timestamp`, as some clients
//! take the first they find.
//!
//! Decisions that the shape leaves open:
//! - Prices always have a decimal point (`620.0`): every client reads a double, and one written as `620`
//!   would reach Python users as an int. Counts, sizes and times never have one: two SDKs drop a frame over
//!   it.
//! - A depth level whose number of orders is unknown says `"orders":0`. Brokers that do not count have always
//!   been relayed so, typed clients may require the key, and a level that holds a quantity cannot really have
//!   no order.
//! - Quantities are written in full even beyond 32 bits, which two clients cannot read: a wrong number would
//!   be worse.

mod number;

use number::{push_ist_time, push_price};

use crate::model::{
    DepthClass, DepthLevel, Greeks, MAX_DEPTH_LEVELS, Mode, ORDERS_ABSENT, TickView, Variant, field, greek,
};
use crate::protocol::request::with_suffix;

/// The parts of a frame that are the same for every tick of an instrument, escaped once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// `{"type":"market_data","symbol":…,"exchange":…,"mode":`
    head: Box<[u8]>,
    /// `,"broker":…,"topic":…`
    origin: Box<[u8]>,
    /// `,"data":{"symbol":…,"exchange":…`
    data: Box<[u8]>,
}

impl Label {
    /// The label of an instrument of a feed. `symbol` is without the depth suffix, which is appended when
    /// there is one: frames name the symbol as the client wrote it.
    pub fn new(symbol: &str, exchange: &str, broker: &str, suffix: Option<DepthClass>) -> Self {
        let symbol = with_suffix(symbol, suffix);
        let part = |pieces: &[(&str, &str)]| {
            let mut out = Vec::new();
            for (raw, text) in pieces {
                out.extend_from_slice(raw.as_bytes());
                push_json_string(&mut out, text);
            }
            out
        };
        let mut head =
            part(&[("{\"type\":\"market_data\",\"symbol\":", &symbol), (",\"exchange\":", exchange)]);
        head.extend_from_slice(b",\"mode\":");
        let topic = format!("{symbol}.{exchange}");
        Self {
            head: head.into(),
            origin: part(&[(",\"broker\":", broker), (",\"topic\":", &topic)]).into(),
            data: part(&[(",\"data\":{\"symbol\":", &symbol), (",\"exchange\":", exchange)]).into(),
        }
    }

    /// No frame of this label and variant is longer, whatever the values.
    pub fn max_frame_bytes(&self, variant: Variant) -> usize {
        let values = match variant.mode() {
            Mode::Ltp => 320,
            Mode::Quote => 1_280 + MAX_GREEKS_BYTES,
            // Three copies of both sides: outside, inside, and as `bids` and `asks`.
            Mode::Depth => {
                1_408 + MAX_GREEKS_BYTES + 3 * 2 * usize::from(variant.depth().levels()) * MAX_LEVEL_BYTES
            }
        };
        self.head.len() + self.origin.len() + self.data.len() + values
    }
}

/// `{"price":-9223372036.854775808,"quantity":-9223372036854775808,"orders":4294967294},`
const MAX_LEVEL_BYTES: usize = 84;

/// `,"greeks":{"delta":…,"gamma":…,"theta":…,"vega":…,"rho":…},"implied_volatility":…`, each number up to
/// `-9223372036.854775808`.
const MAX_GREEKS_BYTES: usize = 80 + 6 * 21;

/// What to leave out of frames, for hosts whose clients do not need it. The default leaves nothing out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Copies of the main values beside `data`, and the time as text.
    pub flat_fields: bool,
    /// `data.bids` and `data.asks`, second names for the sides of `data.depth`.
    pub bids_asks: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { flat_fields: true, bids_asks: true }
    }
}

/// Appends the frame of one tick to `out`. Returns false, and leaves `out` alone, when the values hold
/// nothing that a client of the mode can use: without a last price in mode LTP, without any value in mode
/// QUOTE, without a book in mode DEPTH. A book that is known to be empty is one ([`field::BOOK`]).
///
/// `label` must have been made with the suffix of `variant`. Levels beyond those of `variant` are cut.
/// `snapshot` marks a frame that repeats the last known values to a new subscriber.
pub fn market_data(
    out: &mut Vec<u8>,
    label: &Label,
    variant: Variant,
    tick: TickView<'_>,
    options: EncodeOptions,
    snapshot: bool,
) -> bool {
    let mode = variant.mode();
    let book = Book::new(tick, if mode == Mode::Depth { variant.depth() } else { DepthClass::Five });
    let fields = tick.quote.fields;
    let has_content = match mode {
        Mode::Ltp => fields & field::LTP != 0,
        Mode::Quote => fields & IN_QUOTE_FRAME != 0 || has_greeks(tick),
        Mode::Depth => fields & field::BOOK != 0 || !book.is_empty(),
    };
    if !has_content {
        return false;
    }
    let timestamp_ns =
        if fields & field::EXCHANGE_TS != 0 { tick.quote.exchange_ts_ns } else { tick.quote.received_ts_ns };

    out.extend_from_slice(&label.head);
    push_integer(out, mode.number());
    out.extend_from_slice(&label.origin);
    if snapshot {
        out.extend_from_slice(b",\"snapshot\":true");
    }
    if options.flat_fields {
        push_flat(out, mode, tick, book, timestamp_ns);
    }
    push_data(out, label, mode, tick, book, timestamp_ns, options);
    out.push(b'}');
    true
}

/// The values of which one is enough to make a quote: the time of the tick alone is none.
const IN_QUOTE_FRAME: u32 = field::IN_QUOTE & !field::EXCHANGE_TS;

fn push_flat(out: &mut Vec<u8>, mode: Mode, tick: TickView<'_>, book: Book<'_>, timestamp_ns: u64) {
    let values = Values { out, fields: tick.quote.fields };
    let quote = tick.quote;
    let mut values = values.price(field::LTP, ",\"ltp\":", quote.ltp);
    if mode >= Mode::Quote {
        values = values
            .price(field::OPEN, ",\"open\":", quote.open)
            .price(field::HIGH, ",\"high\":", quote.high)
            .price(field::LOW, ",\"low\":", quote.low)
            .price(field::CLOSE, ",\"close\":", quote.close)
            .integer(field::VOLUME, ",\"volume\":", quote.volume);
    }
    let out = values.out;
    if mode == Mode::Depth {
        book.push(out, ",\"depth\":{\"buy\":", ",\"sell\":");
        out.push(b'}');
    }
    out.extend_from_slice(b",\"timestamp\":\"");
    push_ist_time(out, timestamp_ns / NS_PER_MS);
    out.push(b'"');
}

fn push_data(
    out: &mut Vec<u8>,
    label: &Label,
    mode: Mode,
    tick: TickView<'_>,
    book: Book<'_>,
    timestamp_ns: u64,
    options: EncodeOptions,
) {
    let quote = tick.quote;
    out.extend_from_slice(&label.data);
    let mut values = Values { out, fields: quote.fields }.price(field::LTP, ",\"ltp\":", quote.ltp).time(
        field::LAST_TRADE_TS,
        ",\"ltt\":",
        quote.last_trade_ts_ns,
    );
    values.out.extend_from_slice(b",\"timestamp\":");
    push_integer(values.out, timestamp_ns / NS_PER_MS);
    if mode >= Mode::Quote {
        values = values
            .price(field::OPEN, ",\"open\":", quote.open)
            .price(field::HIGH, ",\"high\":", quote.high)
            .price(field::LOW, ",\"low\":", quote.low)
            .price(field::CLOSE, ",\"close\":", quote.close);
    }
    // In mode LTP too: charts build candles from these two.
    values = values.integer(field::VOLUME, ",\"volume\":", quote.volume).integer(
        field::LAST_QUANTITY,
        ",\"last_trade_quantity\":",
        quote.last_quantity,
    );
    // The other name in use. Clients that know both take the first that is there.
    values = values.integer(field::LAST_QUANTITY, ",\"last_quantity\":", quote.last_quantity);
    if mode >= Mode::Quote {
        values = values
            .price(field::AVERAGE_PRICE, ",\"average_price\":", quote.average_price)
            .price(field::AVERAGE_PRICE, ",\"avg_trade_price\":", quote.average_price)
            .integer(field::TOTAL_BUY_QUANTITY, ",\"total_buy_quantity\":", quote.total_buy_quantity)
            .integer(field::TOTAL_SELL_QUANTITY, ",\"total_sell_quantity\":", quote.total_sell_quantity)
            .price(field::CHANGE, ",\"change\":", quote.change)
            .price(field::CHANGE_PERCENT, ",\"change_percent\":", quote.change_percent)
            .integer(field::OI, ",\"oi\":", quote.oi)
            .price(field::BID_PRICE, ",\"bid_price\":", quote.bid_price)
            .price(field::ASK_PRICE, ",\"ask_price\":", quote.ask_price)
            .integer(field::BID_SIZE, ",\"bid_size\":", quote.bid_size)
            .integer(field::ASK_SIZE, ",\"ask_size\":", quote.ask_size)
            .price(field::UPPER_CIRCUIT, ",\"upper_circuit\":", quote.upper_circuit)
            .price(field::LOWER_CIRCUIT, ",\"lower_circuit\":", quote.lower_circuit)
            .price(field::PREV_CLOSE, ",\"prev_close\":", quote.prev_close)
            .integer(field::OI_HIGH, ",\"oi_high\":", quote.oi_high)
            .integer(field::OI_LOW, ",\"oi_low\":", quote.oi_low);
        if let Some(greeks) = tick.greeks {
            push_greeks(values.out, greeks);
        }
    }
    let out = values.out;
    if mode == Mode::Depth {
        book.push(out, ",\"depth\":{\"buy\":", ",\"sell\":");
        out.push(b'}');
        if options.bids_asks {
            book.push(out, ",\"bids\":", ",\"asks\":");
        }
    }
    out.push(b'}');
}

fn has_greeks(tick: TickView<'_>) -> bool {
    tick.greeks.is_some_and(|greeks| greeks.fields & greek::IN_GREEKS != 0)
}

/// Appends the greeks that are known as an object, and implied volatility, which is none of them, beside it.
fn push_greeks(out: &mut Vec<u8>, greeks: &Greeks) {
    let fields = greeks.fields;
    if fields & greek::IN_GREEKS & !greek::IMPLIED_VOLATILITY != 0 {
        out.extend_from_slice(b",\"greeks\":");
        let mut separator = b'{';
        for (bit, key, value) in [
            (greek::DELTA, "\"delta\":", greeks.delta),
            (greek::GAMMA, "\"gamma\":", greeks.gamma),
            (greek::THETA, "\"theta\":", greeks.theta),
            (greek::VEGA, "\"vega\":", greeks.vega),
            (greek::RHO, "\"rho\":", greeks.rho),
        ] {
            if fields & bit != 0 {
                out.push(separator);
                separator = b',';
                out.extend_from_slice(key.as_bytes());
                push_price(out, value);
            }
        }
        out.push(b'}');
    }
    Values { out, fields }.price(
        greek::IMPLIED_VOLATILITY,
        ",\"implied_volatility\":",
        greeks.implied_volatility,
    );
}

/// Appends those values whose bit is set.
struct Values<'o> {
    out: &'o mut Vec<u8>,
    fields: u32,
}

impl Values<'_> {
    fn price(self, bit: u32, key: &str, scaled: i64) -> Self {
        if self.fields & bit != 0 {
            self.out.extend_from_slice(key.as_bytes());
            push_price(self.out, scaled);
        }
        self
    }

    fn integer(self, bit: u32, key: &str, value: i64) -> Self {
        if self.fields & bit != 0 {
            self.out.extend_from_slice(key.as_bytes());
            push_integer(self.out, value);
        }
        self
    }

    fn time(self, bit: u32, key: &str, ns: u64) -> Self {
        if self.fields & bit != 0 {
            self.out.extend_from_slice(key.as_bytes());
            push_integer(self.out, ns / NS_PER_MS);
        }
        self
    }
}

const NS_PER_MS: u64 = 1_000_000;

/// The levels that a frame shows.
#[derive(Clone, Copy)]
struct Book<'a> {
    buy: &'a [DepthLevel],
    sell: &'a [DepthLevel],
}

impl<'a> Book<'a> {
    fn new(tick: TickView<'a>, depth: DepthClass) -> Self {
        let levels = usize::from(depth.levels().min(MAX_DEPTH_LEVELS));
        let cut = |side: &'a [DepthLevel]| side.get(..levels).unwrap_or(side);
        Self { buy: cut(tick.buy), sell: cut(tick.sell) }
    }

    fn is_empty(self) -> bool {
        self.buy.is_empty() && self.sell.is_empty()
    }

    fn push(self, out: &mut Vec<u8>, buy_key: &str, sell_key: &str) {
        for (key, side) in [(buy_key, self.buy), (sell_key, self.sell)] {
            out.extend_from_slice(key.as_bytes());
            let mut separator = b'[';
            for level in side {
                out.push(separator);
                separator = b',';
                out.extend_from_slice(b"{\"price\":");
                push_price(out, level.price);
                out.extend_from_slice(b",\"quantity\":");
                push_integer(out, level.quantity);
                out.extend_from_slice(b",\"orders\":");
                push_integer(out, if level.orders == ORDERS_ABSENT { 0 } else { level.orders });
                out.push(b'}');
            }
            out.extend_from_slice(if side.is_empty() { b"[]" } else { b"]" });
        }
    }
}

fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a text as a JSON string with its quotes.
pub(super) fn push_json_string(out: &mut Vec<u8>, text: &str) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => {
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
