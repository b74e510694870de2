//! What an instrument's packet says, in units that no broker uses, so that each encoder has to convert.

use std::{
    ops::Deref,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Units of a price of 1.0.
pub const PRICE_SCALE: i64 = 1_000_000_000;

/// What a value is that is not there. Brokers whose packets have a fixed layout write zero for it.
pub const ABSENT: i64 = i64::MIN;

/// Levels on a side of the book that comes with an instrument's packets.
pub const LEVELS: usize = 5;

/// Most levels on a side of a book that a broker has a feed of its own for.
pub const MOST_LEVELS: usize = 200;

/// How much a packet says. The brokers have names of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// The last price.
    Ltp,
    /// The day so far.
    Quote,
    /// All, with the book.
    Full,
    /// A book of so many levels and nothing else, at brokers that have a feed of its own for it.
    Deep(u8),
}

impl Mode {
    /// Its name in the reports of the control protocol, for which a book is a book.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ltp => "ltp",
            Self::Quote => "quote",
            Self::Full | Self::Deep(_) => "depth",
        }
    }

    /// The mode with a name of the control protocol, or of a deep book: `depth20`.
    pub fn named(name: &str) -> Option<Self> {
        let usual = [Self::Ltp, Self::Quote, Self::Full].into_iter().find(|mode| mode.name() == name);
        usual.or_else(|| {
            let levels: u8 = name.strip_prefix("depth")?.parse().ok()?;
            (1..=MOST_LEVELS).contains(&usize::from(levels)).then_some(Self::Deep(levels))
        })
    }

    /// How many levels its books have on a side; none without a book.
    pub(crate) fn levels(self) -> usize {
        match self {
            Self::Ltp | Self::Quote => 0,
            Self::Full => LEVELS,
            Self::Deep(levels) => usize::from(levels),
        }
    }
}

/// A level of a book. All zero when there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Scaled by [`PRICE_SCALE`].
    pub price: i64,
    /// In the exchange's units.
    pub quantity: i64,
    /// Number of orders.
    pub orders: u32,
}

/// A side of a book, best level first, without the empty ones at its end. Its levels are shared, so that a
/// copy costs the same for five and for two hundred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side(Arc<[Level]>);

impl Side {
    /// The best `N` levels; empty ones follow where there are fewer.
    pub fn padded<const N: usize>(&self) -> [Level; N] {
        std::array::from_fn(|place| self.get(place).copied().unwrap_or_default())
    }

    /// All levels, as [`Self::padded`].
    ///
    /// # Errors
    /// When there are more than `N`.
    pub(crate) fn whole<const N: usize>(&self) -> Result<[Level; N], String> {
        if self.len() > N {
            return Err(format!("a side has {} levels, the broker sends at most {N}", self.len()));
        }
        Ok(self.padded())
    }
}

impl Deref for Side {
    type Target = [Level];

    fn deref(&self) -> &[Level] {
        &self.0
    }
}

impl FromIterator<Level> for Side {
    fn from_iter<T: IntoIterator<Item = Level>>(levels: T) -> Self {
        let mut levels: Vec<Level> = levels.into_iter().collect();
        while levels.last() == Some(&Level::default()) {
            levels.pop();
        }
        Self(levels.into())
    }
}

/// Everything that a broker may say of an instrument. Prices are scaled by [`PRICE_SCALE`], times are
/// nanoseconds since the Unix epoch; zero is what the brokers write for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it, and are those of the control protocol")]
pub struct Values {
    pub ltp: i64,
    pub last_quantity: i64,
    pub average_price: i64,
    pub volume: i64,
    pub total_buy_quantity: i64,
    pub total_sell_quantity: i64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    /// Of the day before.
    pub close: i64,
    pub last_trade_ts_ns: i64,
    pub exchange_ts_ns: i64,
    pub oi: i64,
    pub oi_high: i64,
    pub oi_low: i64,
    pub upper_circuit: i64,
    pub lower_circuit: i64,
    pub bids: Side,
    pub asks: Side,
}

impl Values {
    /// The value with a name of the control protocol, with whether it is a price.
    pub fn named(&mut self, name: &str) -> Option<(&mut i64, bool)> {
        Some(match name {
            "ltp" => (&mut self.ltp, true),
            "last_quantity" => (&mut self.last_quantity, false),
            "average_price" => (&mut self.average_price, true),
            "volume" => (&mut self.volume, false),
            "total_buy_quantity" => (&mut self.total_buy_quantity, false),
            "total_sell_quantity" => (&mut self.total_sell_quantity, false),
            "open" => (&mut self.open, true),
            "high" => (&mut self.high, true),
            "low" => (&mut self.low, true),
            "close" => (&mut self.close, true),
            "last_trade_ts_ns" => (&mut self.last_trade_ts_ns, false),
            "exchange_ts_ns" => (&mut self.exchange_ts_ns, false),
            "oi" => (&mut self.oi, false),
            "oi_high" => (&mut self.oi_high, false),
            "oi_low" => (&mut self.oi_low, false),
            "upper_circuit" => (&mut self.upper_circuit, true),
            "lower_circuit" => (&mut self.lower_circuit, true),
            _ => return None,
        })
    }
}

impl Values {
    /// Values of which none is there.
    pub fn absent() -> Self {
        let mut values = Self::default();
        for name in NAMES {
            if let Some((value, _)) = values.named(name) {
                *value = ABSENT;
            }
        }
        values
    }

    /// These values, and the old ones where they are not there.
    #[must_use]
    pub fn over(&self, old: &Self) -> Self {
        let (mut new, mut old) = (self.clone(), old.clone());
        for name in NAMES {
            if let (Some((value, _)), Some((before, _))) = (new.named(name), old.named(name))
                && *value == ABSENT
            {
                *value = *before;
            }
        }
        for (side, before) in [(&mut new.bids, old.bids), (&mut new.asks, old.asks)] {
            if side.is_empty() {
                *side = before;
            }
        }
        new
    }
}

impl Values {
    /// All of them by name, with prices as decimals; books as rows of price, quantity and orders, without the
    /// empty ones.
    pub fn to_json(mut self) -> serde_json::Value {
        let mut object = serde_json::Map::new();
        for name in NAMES {
            if let Some((value, is_price)) = self.named(name).filter(|(value, _)| **value != ABSENT) {
                let text = if is_price { decimal(*value) } else { value.to_string() };
                object.insert(name.to_owned(), text.into());
            }
        }
        for (name, side) in [("bids", &self.bids), ("asks", &self.asks)] {
            let rows = side.iter().filter(|level| **level != Level::default());
            let rows =
                rows.map(|level| serde_json::json!([decimal(level.price), level.quantity, level.orders]));
            object.insert(name.to_owned(), rows.collect::<Vec<_>>().into());
        }
        object.into()
    }
}

/// Names of all values but the books.
const NAMES: [&str; 17] = [
    "ltp",
    "last_quantity",
    "average_price",
    "volume",
    "total_buy_quantity",
    "total_sell_quantity",
    "open",
    "high",
    "low",
    "close",
    "last_trade_ts_ns",
    "exchange_ts_ns",
    "oi",
    "oi_high",
    "oi_low",
    "upper_circuit",
    "lower_circuit",
];

/// An exact decimal scaled by [`PRICE_SCALE`]; none when it has more than nine places or does not fit.
pub fn price(decimal: &str) -> Option<i64> {
    let (sign, digits) = decimal.strip_prefix('-').map_or((1, decimal), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 9 || !is_number(whole) || !is_number(part) {
        return None;
    }
    format!("{whole}{part:0<9}").parse::<i64>().ok()?.checked_mul(sign)
}

/// The shortest decimal of a price.
pub fn decimal(price: i64) -> String {
    let sign = if price < 0 { "-" } else { "" };
    let size = price.unsigned_abs();
    let text = format!("{sign}{}.{:09}", size / 1_000_000_000, size % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A price as the integer that a broker writes with `divisor` units to one.
///
/// # Errors
/// When the broker cannot write it exactly.
pub(crate) fn scaled(price: i64, divisor: i64) -> Result<i64, String> {
    let unit = PRICE_SCALE / divisor;
    if price % unit == 0 {
        Ok(price / unit)
    } else {
        Err(format!("{} has more decimals than this broker can write", decimal(price)))
    }
}

/// Nanoseconds since the Unix epoch, now.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
