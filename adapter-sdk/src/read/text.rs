//! Numbers and times of brokers that write all of them as texts. Prices:
//! [`Price::parse`](crate::Price::parse).

use super::quantity;
use crate::symbol::digits;

/// A quantity, see [`quantity`](super::quantity): digits, with a fraction of zeros or none. None for anything
/// else; it is never rounded.
///
/// ```
/// use adapter_sdk::read::count;
///
/// assert_eq!([count("75"), count("75.00"), count("75.5"), count("-1")], [Some(75), Some(75), None, None]);
/// ```
pub fn count(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_whole = !whole.is_empty() && fraction.bytes().all(|byte| byte == b'0');
    digits(whole).filter(|_| is_whole).and_then(quantity)
}

/// A time of the day as `HH:MM:SS`: hour, minute, second.
///
/// ```
/// assert_eq!(adapter_sdk::read::clock("09:15:00"), Some((9, 15, 0)));
/// ```
pub fn clock(text: &str) -> Option<(u8, u8, u8)> {
    let mut parts = text.splitn(3, ':').map(digits);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    (hour < 24 && minute < 60 && second < 60).then_some((hour, minute, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_count_or_time_is_none() {
        for text in ["", ".", ".0", "1.5", "-1", "+1", "1e3", "1,000", " 1", "9223372036854775807", "x"] {
            assert_eq!(count(text), None, "{text}");
        }
        assert_eq!((count("0"), count("1.")), (Some(0), Some(1)));
        for text in
            ["", "09:15", "24:00:00", "00:60:00", "00:00:60", "26/11/2026 09:15:00", "a:b:c", "1:2:3:4"]
        {
            assert_eq!(clock(text), None, "{text}");
        }
        assert_eq!(clock("23:59:59"), Some((23, 59, 59)));
    }
}
