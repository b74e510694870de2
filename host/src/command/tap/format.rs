//! Values as text. Absent ones are a dash, never a zero.

use serde_json::Value;

use super::connection::Tick;

/// India's offset from UTC, in milliseconds; it has no summer time.
const IST_OFFSET_MS: u64 = (5 * 60 + 30) * 60 * 1_000;

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// Stands for what is not known.
pub(super) const ABSENT: &str = "-";

/// Longest text taken from the network into one cell or message.
const MAX_CHARS: usize = 200;

/// Text without what would move the cursor, change colours or hide something in a terminal, of bounded
/// length.
pub(super) fn printable(text: &str) -> String {
    shown(text).take(MAX_CHARS).collect()
}

/// A whole message, for programs: as [`printable`], and on one line as JSON has no need of line ends. Its
/// length is bounded by that of messages.
pub(super) fn printable_json(message: &str) -> String {
    shown(message).collect()
}

fn shown(text: &str) -> impl Iterator<Item = char> {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{feff}')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    text.chars().filter(move |c| !is_hidden(*c))
}

/// A price: two digits after the point, or four when it has more.
pub(super) fn price(value: f64) -> String {
    // No price is as large; written out it could fill the screen.
    if value.abs() >= 1e15 {
        return format!("{value:e}");
    }
    let has_more = ((value * 100.0).round() - value * 100.0).abs() > 1e-4;
    if has_more { format!("{value:.4}") } else { format!("{value:.2}") }
}

/// A number of a tick as a price.
pub(super) fn price_of(data: &Value, name: &str) -> Option<String> {
    data.get(name).and_then(Value::as_f64).map(price)
}

/// A number of a tick as a quantity, written as it came.
pub(super) fn quantity_of(data: &Value, name: &str) -> Option<String> {
    data.get(name).and_then(Value::as_number).map(ToString::to_string)
}

/// A change of the price, with its sign.
pub(super) fn change_of(data: &Value, name: &str) -> Option<String> {
    let change = data.get(name).and_then(Value::as_f64)?;
    Some(format!("{}{}", sign(change), price(change)))
}

/// A change in percent, with its sign.
pub(super) fn percent_of(data: &Value, name: &str) -> Option<String> {
    let change = data.get(name).and_then(Value::as_f64)?;
    // The same for tiny changes of either sign.
    let rounded = (change * 100.0).round() / 100.0 + 0.0;
    Some(if rounded.abs() >= 1e6 {
        format!("{rounded:+e}")
    } else {
        format!("{}{rounded:.2}", sign(rounded))
    })
}

fn sign(change: f64) -> &'static str {
    if change > 0.0 { "+" } else { "" }
}

/// Time of day in India.
pub(super) fn time_of(data: &Value) -> Option<String> {
    let ms = data.get("timestamp").and_then(Value::as_u64)?.checked_add(IST_OFFSET_MS)? % DAY_MS;
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    Some(format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60))
}

/// One tick on one line.
pub(super) fn line(tick: &Tick) -> String {
    let data = &tick.data;
    let change = change_of(data, "change").zip(percent_of(data, "change_percent"));
    let parts = [
        ("ltp", Some(price_of(data, "ltp").unwrap_or_else(|| ABSENT.to_owned()))),
        ("chg", change.map(|(change, percent)| format!("{change} ({percent}%)"))),
        ("bid", price_of(data, "bid_price")),
        ("ask", price_of(data, "ask_price")),
        ("vol", quantity_of(data, "volume")),
        ("oi", quantity_of(data, "oi")),
        ("depth", levels(data)),
    ];
    let name = std::iter::once(format!("{:23}", tick.name));
    let values = parts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    name.chain(values).chain(time_of(data)).collect::<Vec<_>>().join("  ")
}

fn levels(data: &Value) -> Option<String> {
    let depth = data.get("depth")?;
    let side = |name: &str| depth.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    Some(format!("{} x {}", side("buy"), side("sell")))
}
