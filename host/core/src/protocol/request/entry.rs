//! Single instruments inside a request: their names, depth suffixes, and lists of them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{Fields, Text};
use super::{MAX_ENTRIES, invalid_parameters};
use crate::model::{DepthClass, Mode};
use crate::protocol::reply::ErrorReply;

/// Exchanges that an entry of the form `EXCHANGE:SYMBOL` may begin with. A symbol may itself contain a colon,
/// so anything else before one belongs to the symbol.
pub const KNOWN_EXCHANGES: [&str; 14] = [
    "NSE",
    "NFO",
    "CDS",
    "BSE",
    "BFO",
    "BCD",
    "MCX",
    "NCDEX",
    "NCO",
    "NSE_INDEX",
    "BSE_INDEX",
    "MCX_INDEX",
    "GLOBAL_INDEX",
    "CRYPTO",
];

/// The exchange of an entry that names none.
const DEFAULT_EXCHANGE: &str = "NSE";

const MAX_SYMBOL_BYTES: usize = 128;
const MAX_EXCHANGE_BYTES: usize = 32;

/// An instrument to subscribe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Exchange as the client wrote it, 1 to 32 bytes without control characters.
    pub exchange: String,
    /// Symbol as the venue knows it, without the depth suffix, 1 to 128 bytes without control characters.
    pub symbol: String,
    /// Depth levels that the client wrote behind the symbol, as in `RELIANCE:50`.
    pub suffix: Option<DepthClass>,
}

impl Entry {
    /// The symbol as the client wrote it, which is how replies and frames name it.
    pub fn written_symbol(&self) -> Cow<'_, str> {
        with_suffix(&self.symbol, self.suffix)
    }

    /// The depth this entry asks for: that of its suffix, else that of the request.
    pub fn depth(&self, requested: DepthClass) -> DepthClass {
        self.suffix.unwrap_or(requested)
    }
}

/// An instrument to unsubscribe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnsubscribeEntry {
    /// Exchange as the client wrote it.
    pub exchange: String,
    /// Symbol without the depth suffix.
    pub symbol: String,
    /// Depth levels that the client wrote behind the symbol.
    pub suffix: Option<DepthClass>,
    /// The mode to end; `None` ends all that the client holds on the symbol.
    pub mode: Option<Mode>,
}

impl UnsubscribeEntry {
    /// The symbol as the client wrote it.
    pub fn written_symbol(&self) -> Cow<'_, str> {
        with_suffix(&self.symbol, self.suffix)
    }
}

/// An entry that cannot be served; it fails alone, in the acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEntry {
    /// Symbol as the client wrote it, cut to what a valid one may have; empty when there was none.
    pub symbol: String,
    /// Exchange as the client wrote it, cut likewise.
    pub exchange: String,
    /// What is wrong with the entry.
    pub message: Cow<'static, str>,
}

/// Symbol with its suffix, as clients write it.
pub(in crate::protocol) fn with_suffix(symbol: &str, suffix: Option<DepthClass>) -> Cow<'_, str> {
    match suffix {
        Some(depth) => Cow::Owned(format!("{symbol}:{}", depth.levels())),
        None => Cow::Borrowed(symbol),
    }
}

/// Names of an instrument that passed every check.
pub(super) struct Named<'a> {
    exchange: Cow<'a, str>,
    written: Cow<'a, str>,
}

impl<'a> Named<'a> {
    /// Reads `symbol` and `exchange` of an object; `None` when one of them is missing.
    pub(super) fn of_fields(fields: &Fields<'a>) -> Option<Result<Self, RefusedEntry>> {
        match (Text::of(fields.symbol), Text::of(fields.exchange)) {
            (Text::Absent, _) | (_, Text::Absent) => None,
            (Text::Is(written), Text::Is(exchange)) => Some(Self { exchange, written }.check()),
            (Text::Is(written), Text::Other) => Some(Err(refused(&written, "", "exchange must be a string"))),
            (Text::Other, Text::Is(exchange)) => Some(Err(refused("", &exchange, "symbol must be a string"))),
            (Text::Other, Text::Other) => Some(Err(refused("", "", "symbol and exchange must be strings"))),
        }
    }

    /// Reads `NSE:SBIN`, `SBIN`, `RELIANCE:50`; `None` when there is no symbol in it.
    fn of_text(text: Cow<'a, str>) -> Option<Result<Self, RefusedEntry>> {
        let (exchange, written) = match text.split_once(':') {
            Some((left, right)) if KNOWN_EXCHANGES.contains(&left) => {
                (Cow::Owned(left.to_owned()), Cow::Owned(right.to_owned()))
            }
            _ => (Cow::Borrowed(DEFAULT_EXCHANGE), text),
        };
        (!written.is_empty()).then(|| Self { exchange, written }.check())
    }

    fn check(self) -> Result<Self, RefusedEntry> {
        let wrong = |text: &str, max| text.len() > max || text.chars().any(char::is_control);
        if wrong(&self.written, MAX_SYMBOL_BYTES) {
            return Err(self.refuse("symbol must have at most 128 bytes and no control characters"));
        }
        if wrong(&self.exchange, MAX_EXCHANGE_BYTES) {
            return Err(self.refuse("exchange must have at most 32 bytes and no control characters"));
        }
        Ok(self)
    }

    pub(super) fn refuse(&self, message: impl Into<Cow<'static, str>>) -> RefusedEntry {
        refused(&self.written, &self.exchange, message)
    }

    pub(super) fn with_mode(self, mode: Option<Mode>) -> UnsubscribeEntry {
        let Entry { exchange, symbol, suffix } = self.into();
        UnsubscribeEntry { exchange, symbol, suffix, mode }
    }
}

impl From<Named<'_>> for Entry {
    fn from(named: Named<'_>) -> Self {
        let (symbol, suffix) = split_suffix(&named.written);
        Self { exchange: named.exchange.into_owned(), symbol: symbol.to_owned(), suffix }
    }
}

fn split_suffix(written: &str) -> (&str, Option<DepthClass>) {
    let Some((symbol, levels)) = written.rsplit_once(':').filter(|(symbol, _)| !symbol.is_empty()) else {
        return (written, None);
    };
    let suffix = match levels {
        "5" => DepthClass::Five,
        "20" => DepthClass::Twenty,
        "30" => DepthClass::Thirty,
        "50" => DepthClass::Fifty,
        "200" => DepthClass::TwoHundred,
        _ => return (written, None),
    };
    (symbol, Some(suffix))
}

fn refused(written: &str, exchange: &str, message: impl Into<Cow<'static, str>>) -> RefusedEntry {
    let cut = |text: &str, max| -> String {
        text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= max).map(|(_, c)| c).collect()
    };
    RefusedEntry {
        symbol: cut(written, MAX_SYMBOL_BYTES),
        exchange: cut(exchange, MAX_EXCHANGE_BYTES),
        message: message.into(),
    }
}

/// Reads a list of entries one by one, so that one bad element spoils nothing but itself.
pub(super) struct Listed<'l, T, F> {
    make: F,
    entries: &'l mut Vec<Result<T, RefusedEntry>>,
    is_too_long: &'l mut bool,
}

impl<T, F> Listed<'_, T, F> {
    /// Makes entries of a JSON list; `make` gets the names and the raw `mode` of each.
    pub(super) fn read<'a>(list: &'a RawValue, make: F) -> Result<Vec<Result<T, RefusedEntry>>, ErrorReply>
    where
        F: FnMut(Named<'a>, Option<&'a RawValue>) -> Result<T, RefusedEntry>,
    {
        let mut entries = Vec::new();
        let mut is_too_long = false;
        let visitor = Listed { make, entries: &mut entries, is_too_long: &mut is_too_long };
        serde_json::Deserializer::from_str(list.get())
            .deserialize_seq(visitor)
            .map_err(|_| invalid_parameters("symbols must be a list"))?;
        if is_too_long {
            return Err(invalid_parameters(format!(
                "symbols must have at most {MAX_ENTRIES} entries; send several messages"
            )));
        }
        Ok(entries)
    }
}

impl<'de, T, F> Visitor<'de> for Listed<'_, T, F>
where
    F: FnMut(Named<'de>, Option<&'de RawValue>) -> Result<T, RefusedEntry>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        for _ in 0..MAX_ENTRIES {
            let Some(element) = list.next_element::<&'de RawValue>()? else {
                return Ok(());
            };
            if let Some(entry) = read_element(element, &mut self.make) {
                self.entries.push(entry);
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            *self.is_too_long = true;
        }
        Ok(())
    }
}

fn read_element<'a, T>(
    element: &'a RawValue,
    make: &mut impl FnMut(Named<'a>, Option<&'a RawValue>) -> Result<T, RefusedEntry>,
) -> Option<Result<T, RefusedEntry>> {
    let unreadable = || refused("", "", "an entry must be an object with symbol and exchange, or a string");
    if element.get().starts_with('{') {
        let Ok(fields) = serde_json::from_str::<Fields<'a>>(element.get()) else {
            return Some(Err(unreadable()));
        };
        return Named::of_fields(&fields).map(|named| named.and_then(|named| make(named, fields.mode)));
    }
    match Text::of(Some(element)) {
        Text::Is(text) => Named::of_text(text).map(|named| named.and_then(|named| make(named, None))),
        Text::Absent if element.get() == "\"\"" => None,
        Text::Absent | Text::Other => Some(Err(unreadable())),
    }
}
