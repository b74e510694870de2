//! Times.

/// Seconds from the Unix epoch to 2000-01-01. What is before is a word for "none" in some epoch: 0 in that of
/// Unix, and in that of India's exchanges, which begins with 1980.
const FIRST: u64 = 946_684_800;

/// The same to 2100-01-01: the highest number of 32 bits is after it.
const END: u64 = 4_102_444_800;

/// The highest number of 31 bits, which is a second of 2038 and means "none".
const WORD: u64 = i32::MAX as u64;

const NANOS: u64 = 1_000_000_000;

/// Nanoseconds since the Unix epoch, UTC, of a time in seconds. None for what is not from 2000 to 2099.
#[inline]
pub const fn seconds(at: i64) -> Option<u64> {
    let at = at.cast_unsigned();
    // What is below zero is beyond the end now.
    if at < FIRST || at >= END || at == WORD { None } else { Some(at * NANOS) }
}

/// The same of one in milliseconds.
#[inline]
pub const fn millis(at: i64) -> Option<u64> {
    let at = at.cast_unsigned();
    if at < FIRST * 1_000 || at >= END * 1_000 { None } else { Some(at * (NANOS / 1_000)) }
}

/// The same of one in microseconds.
#[inline]
pub const fn micros(at: i64) -> Option<u64> {
    let at = at.cast_unsigned();
    if at < FIRST * 1_000_000 || at >= END * 1_000_000 { None } else { Some(at * (NANOS / 1_000_000)) }
}

/// The same of one whose unit is not documented: seconds, milliseconds, microseconds and nanoseconds of these
/// years have no number in common.
pub const fn of_any_unit(at: u64) -> Option<u64> {
    let mut factor = NANOS;
    loop {
        let per_second = NANOS / factor;
        if at >= FIRST * per_second && at < END * per_second {
            return if per_second == 1 && at == WORD { None } else { Some(at * factor) };
        }
        if factor == 1 {
            return None;
        }
        factor /= 1_000;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 1_790_676_600;

    #[test]
    fn times_are_those_of_this_century() {
        assert_eq!(seconds(AT.cast_signed()), Some(AT * NANOS));
        assert_eq!(millis(AT.cast_signed() * 1_000 + 7), Some(AT * NANOS + 7_000_000));
        assert_eq!(micros(AT.cast_signed() * 1_000_000 + 7), Some(AT * NANOS + 7_000));
        assert_eq!((micros(AT.cast_signed() * 1_000), micros(-1), micros(i64::MAX)), (None, None, None));
        assert_eq!((seconds(946_684_799), seconds(946_684_800)), (None, Some(946_684_800 * NANOS)));
        assert_eq!((seconds(4_102_444_799), seconds(4_102_444_800)), (Some(4_102_444_799 * NANOS), None));
        let words = [
            0,
            -1,
            1,
            19_800,
            315_532_800,
            315_513_000,
            0x7fff_ffff,
            0x8000_0000_u32.into(),
            u32::MAX.into(),
        ];
        for word in words.into_iter().chain([i32::MIN.into(), i64::MIN, i64::MAX]) {
            // One of them is a second of 2038 as an unsigned number, which is a time.
            if word != 0x8000_0000 {
                assert_eq!(seconds(word), None, "{word}");
            }
            assert_eq!(millis(word), None, "{word}");
        }
        assert_eq!(millis(315_532_800_000), None);
    }

    #[test]
    fn the_unit_is_told_by_the_size() {
        for at in [AT, AT * 1_000, AT * 1_000_000, AT * NANOS] {
            assert_eq!(of_any_unit(at), Some(AT * NANOS));
        }
        for none in [0, 1, 315_532_800, 315_532_800_000, u64::from(u32::MAX), 0x7fff_ffff, u64::MAX] {
            assert_eq!(of_any_unit(none), None, "{none}");
        }
    }
}
