//! What an instrument is called at the broker: the number of its segment, and its symbol, such as `1|SBIN`.

/// Exchange codes with the broker's segments.
const SEGMENTS: [(&str, u8); 9] = [
    ("NSE", 1),
    ("NFO", 2),
    ("CDS", 3),
    ("BSE", 6),
    ("BFO", 7),
    ("MCX", 11),
    ("NSE_INDEX", 21),
    ("BSE_INDEX", 26),
    ("CRYPTO", 31),
];

/// Instruments that the broker calls otherwise.
const RENAMED: [(&str, &str, &str); 3] = [
    ("NSE_INDEX", "NIFTY", "NIFTY 50"),
    ("NSE_INDEX", "BANKNIFTY", "NIFTY BANK"),
    ("NSE_INDEX", "INDIAVIX", "INDIA VIX"),
];

/// Longest symbol, in bytes.
const SYMBOL_BYTES: usize = 64;

/// The key of an instrument, or a sentence that says why it has none.
pub(crate) fn key_of(exchange: &str, symbol: &str) -> Result<String, String> {
    let Some((_, segment)) = SEGMENTS.iter().find(|(code, _)| *code == exchange) else {
        return Err(format!("This broker has no exchange {exchange}"));
    };
    // A bar would make one instrument's key look like another's.
    let is_fine = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b'|';
    if symbol.is_empty() || symbol.len() > SYMBOL_BYTES || !symbol.bytes().all(is_fine) {
        return Err(format!("Symbol {symbol} not found"));
    }
    let renamed = RENAMED.iter().find(|(code, ours, _)| *code == exchange && *ours == symbol);
    let theirs = renamed.map_or(symbol, |(_, _, theirs)| *theirs);
    Ok(format!("{segment}|{theirs}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_every_character_of_a_symbol() {
        let key = |exchange, symbol| key_of(exchange, symbol).unwrap();
        assert_eq!(key("NSE", "BAJAJ-AUTO"), "1|BAJAJ-AUTO");
        assert_eq!(key("CRYPTO", "BTC_INR"), "31|BTC_INR");
        assert_eq!(key("NSE_INDEX", "NIFTY"), "21|NIFTY 50");
        assert_eq!(key("NSE", "NIFTY"), "1|NIFTY");
    }

    #[test]
    fn what_cannot_be_an_instrument_is_refused() {
        assert_eq!(key_of("NYSE", "X").unwrap_err(), "This broker has no exchange NYSE");
        for symbol in ["", "A|B", "A\nB", &"X".repeat(65)] {
            assert!(key_of("NSE", symbol).is_err(), "{symbol}");
        }
    }
}
