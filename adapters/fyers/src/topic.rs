//! What the broker calls an instrument: its number in the lists, and the topic under which its packets come.

use std::fmt;

use adapter_sdk::read::Sign;

/// Longest name within a topic, in bytes. Numbers have up to ten digits, names of indices up to thirty
/// letters.
const MAX_NAME_BYTES: usize = 45;

/// Digits of a fytoken before the exchange's own number: exchange, segment, and expiry.
const HEAD_DIGITS: usize = 10;

/// Digits of the longest fytoken that is understood.
const MAX_DIGITS: usize = 19;

/// A market of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// Shares and indices of NSE.
    NseCash,
    /// Futures and options of NSE.
    NseDerivatives,
    /// Currencies of NSE.
    NseCurrency,
    /// Commodities of NSE.
    NseCommodity,
    /// Commodities of MCX.
    Mcx,
    /// Shares and indices of BSE.
    BseCash,
    /// Futures and options of BSE.
    BseDerivatives,
    /// Currencies of BSE.
    BseCurrency,
}

/// First digits of a fytoken, name within a topic, and OpenAlgo's exchange.
const SEGMENTS: [(Segment, &str, &str, &str); 8] = [
    (Segment::NseCash, "1010", "nse_cm", "NSE"),
    (Segment::NseDerivatives, "1011", "nse_fo", "NFO"),
    (Segment::NseCurrency, "1012", "cde_fo", "CDS"),
    (Segment::NseCommodity, "1020", "nse_com", "NCO"),
    (Segment::Mcx, "1120", "mcx_fo", "MCX"),
    (Segment::BseCash, "1210", "bse_cm", "BSE"),
    (Segment::BseDerivatives, "1211", "bse_fo", "BFO"),
    (Segment::BseCurrency, "1212", "bcs_fo", "BCD"),
];

impl Segment {
    fn row(self) -> Option<&'static (Self, &'static str, &'static str, &'static str)> {
        SEGMENTS.iter().find(|(segment, ..)| *segment == self)
    }

    /// Its name within a topic.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, _, name, _)| name)
    }

    /// OpenAlgo's code of its exchange, for what is no index.
    pub fn exchange(self) -> &'static str {
        self.row().map_or("", |(.., exchange)| exchange)
    }

    /// The segment of what is no index, by OpenAlgo's code of its exchange.
    pub fn of_exchange(wanted: &str) -> Option<Self> {
        SEGMENTS.iter().find(|(.., exchange)| *exchange == wanted).map(|(segment, ..)| *segment)
    }

    /// Whether shares are traded there, which have no open interest of their own.
    pub const fn is_cash(self) -> bool {
        matches!(self, Self::NseCash | Self::BseCash)
    }

    /// Whether its prices may be below zero.
    pub const fn sign(self) -> Sign {
        match self {
            Self::Mcx | Self::NseCommodity => Sign::Either,
            _ => Sign::Positive,
        }
    }

    /// Whether the socket of fifty levels has its instruments.
    pub const fn has_fifty_levels(self) -> bool {
        matches!(self, Self::NseCash | Self::NseDerivatives)
    }

    fn from_name(wanted: &[u8]) -> Option<Self> {
        SEGMENTS.iter().find(|(_, _, name, _)| name.as_bytes() == wanted).map(|(segment, ..)| *segment)
    }
}

/// The broker's number of an instrument: exchange, segment, expiry as `YYMMDD`, and the exchange's own
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fytoken(u64);

impl Fytoken {
    /// Reads digits. None for what is no number of a segment that is known.
    pub fn parse(text: &str) -> Option<Self> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let fits = (HEAD_DIGITS + 1..=MAX_DIGITS).contains(&text.len());
        let head = text.get(..4)?;
        let is_known = SEGMENTS.iter().any(|(_, digits, ..)| *digits == head);
        (is_number && fits && is_known).then(|| text.parse().ok()).flatten().map(Self)
    }

    /// Its segment.
    pub fn segment(self) -> Option<Segment> {
        let text = self.to_string();
        let head = text.get(..4)?;
        SEGMENTS.iter().find(|(_, digits, ..)| *digits == head).map(|(segment, ..)| *segment)
    }

    /// Whether another number is of the same segment and expiry.
    pub fn is_akin(self, other: Self) -> bool {
        let (one, other) = (self.to_string(), other.to_string());
        one.get(..HEAD_DIGITS) == other.get(..HEAD_DIGITS)
    }

    /// The topic of what is no index.
    pub fn topic(self) -> Option<Topic> {
        Topic::new(self.segment()?, false, self.to_string().get(HEAD_DIGITS..)?)
    }
}

impl adapter_sdk::instruments::Key for Fytoken {
    type Parts = u64;

    fn parts(self) -> u64 {
        self.0
    }

    fn of_parts(number: u64) -> Option<Self> {
        Some(Self(number))
    }
}

impl fmt::Display for Fytoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a topic brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// `sf`: prices and quantities of what is traded.
    Scrip,
    /// `if`: values of an index.
    Index,
    /// `dp`: a book of five levels.
    Depth,
}

impl Feed {
    const fn name(self) -> &'static str {
        match self {
            Self::Scrip => "sf",
            Self::Index => "if",
            Self::Depth => "dp",
        }
    }
}

/// An instrument as topics name it: segment, and number or name. Its quotes and its book have the same one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic {
    segment: Segment,
    is_index: bool,
    length: u8,
    name: [u8; MAX_NAME_BYTES],
}

impl Topic {
    /// A topic. None when the name is empty, longer than 45 bytes, or has anything but letters that can be
    /// printed.
    pub fn new(segment: Segment, is_index: bool, name: &str) -> Option<Self> {
        Self::from_bytes(segment, is_index, name.as_bytes())
    }

    fn from_bytes(segment: Segment, is_index: bool, name: &[u8]) -> Option<Self> {
        let is_plain = |byte: &u8| (byte.is_ascii_graphic() || *byte == b' ') && *byte != b'|';
        if name.is_empty() || !name.iter().all(is_plain) {
            return None;
        }
        let mut topic =
            Self { segment, is_index, length: u8::try_from(name.len()).ok()?, name: [0; MAX_NAME_BYTES] };
        topic.name.get_mut(..name.len())?.copy_from_slice(name);
        Some(topic)
    }

    /// Reads a topic's name as it stands in packets, such as `sf|nse_cm|3045`.
    pub fn parse(name: &[u8]) -> Option<(Feed, Self)> {
        let mut parts = name.splitn(3, |byte| *byte == b'|');
        let feed = match parts.next()? {
            b"sf" => Feed::Scrip,
            b"if" => Feed::Index,
            b"dp" => Feed::Depth,
            _ => return None,
        };
        let segment = Segment::from_name(parts.next()?)?;
        Some((feed, Self::from_bytes(segment, feed == Feed::Index, parts.next()?)?))
    }

    /// The feed of its prices.
    pub const fn prices(&self) -> Feed {
        if self.is_index { Feed::Index } else { Feed::Scrip }
    }

    /// Segment.
    pub const fn segment(&self) -> Segment {
        self.segment
    }

    /// Whether it is an index, which has no book and no volume.
    pub const fn is_index(&self) -> bool {
        self.is_index
    }

    /// Number or name.
    pub fn name(&self) -> &str {
        let name = self.name.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(name).unwrap_or_default()
    }

    /// The whole name of one of its topics, at most 64 bytes.
    pub fn of(&self, feed: Feed) -> String {
        format!("{}|{}|{}", feed.name(), self.segment.name(), self.name())
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.of(self.prices()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fytoken_tells_its_topic() {
        for (fytoken, topic) in [
            ("10100000003045", "sf|nse_cm|3045"),
            ("101126092968407", "sf|nse_fo|68407"),
            ("10122609291234", "sf|cde_fo|1234"),
            ("1020260929123456", "sf|nse_com|123456"),
            ("1120260919463007", "sf|mcx_fo|463007"),
            ("1210000000500325", "sf|bse_cm|500325"),
            ("1211260925861201", "sf|bse_fo|861201"),
            ("12122609251", "sf|bcs_fo|1"),
        ] {
            let parsed = Fytoken::parse(fytoken).unwrap();
            assert_eq!(parsed.to_string(), fytoken);
            assert_eq!(parsed.topic().unwrap().of(Feed::Scrip), topic);
            assert_eq!(Topic::parse(topic.as_bytes()), parsed.topic().map(|topic| (Feed::Scrip, topic)));
        }
    }

    #[test]
    fn what_is_no_fytoken_is_none() {
        for text in ["", "1010000000", "13100000003045", "1010000000304x", "+10100000003045", "é010000000304"]
        {
            assert_eq!(Fytoken::parse(text), None, "{text}");
        }
        assert_eq!(Fytoken::parse("10100000001234567890"), None);
    }

    #[test]
    fn names_of_topics_are_read_as_they_are_written() {
        let (feed, topic) = Topic::parse(b"if|nse_cm|Nifty Mid Liq 15").unwrap();
        assert_eq!((feed, topic.is_index(), topic.name()), (Feed::Index, true, "Nifty Mid Liq 15"));
        assert_eq!(topic.of(topic.prices()), "if|nse_cm|Nifty Mid Liq 15");
        let (_, book) = Topic::parse(b"dp|nse_cm|3045").unwrap();
        assert_eq!(Some(book), Fytoken::parse("10100000003045").unwrap().topic());
        for name in [
            "",
            "sf",
            "sf|nse_cm",
            "sf|nse_cm|",
            "xx|nse_cm|1",
            "sf|nyse|1",
            "sf|nse_cm|a|b",
            "if|nse_cm|\u{1}",
        ] {
            assert_eq!(Topic::parse(name.as_bytes()), None, "{name}");
        }
        assert!(Topic::new(Segment::NseCash, true, &"N".repeat(45)).is_some());
        assert!(Topic::new(Segment::NseCash, true, &"N".repeat(46)).is_none());
    }
}
