//! What a message says of one instrument.

use adapter_sdk::read::protobuf::{Error, Fields, Value};

/// Most levels on a side of a book. What is beyond is left out.
pub const LEVELS: usize = 30;

/// Which message an instrument's entry has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Branch {
    /// None.
    #[default]
    Nothing,
    /// The last trade alone.
    Ltpc,
    /// Everything of something that is traded.
    Market,
    /// Everything of an index.
    Index,
    /// The last trade, the best level of the book, and greeks.
    FirstLevel,
}

/// The last trade, and the price at the end of the day before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ltpc {
    /// Its price.
    pub ltp: f64,
    /// When it was, in milliseconds since the Unix epoch.
    pub at: i64,
    /// Its quantity.
    pub quantity: i64,
    /// The price at the end of the day before.
    pub close: f64,
}

/// The day so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct Day {
    pub open: f64,
    pub high: f64,
    pub low: f64,
}

/// A level of a book, both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct Quote {
    pub bid_quantity: i64,
    pub bid: f64,
    pub ask_quantity: i64,
    pub ask: f64,
}

/// The greeks of an option.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct Greeks {
    pub delta: f64,
    pub theta: f64,
    pub gamma: f64,
    pub vega: f64,
    pub rho: f64,
}

/// What a message says of an instrument. It is read again and again, so that its rows need no memory of their
/// own.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the others are what they are called")]
pub struct Feed {
    pub branch: Branch,
    /// Which mode it answers: 0 ltpc, 1 full, 2 `option_greeks`, 3 `full_d30`.
    pub mode: u64,
    pub ltpc: Option<Ltpc>,
    /// Whether the rows are there.
    pub has_rows: bool,
    /// Levels of the book, best first.
    pub rows: Vec<Quote>,
    pub greeks: Option<Greeks>,
    /// The candle of the day, if there is one.
    pub day: Option<Day>,
    pub average_price: f64,
    pub volume: i64,
    pub oi: f64,
    /// Implied volatility as a fraction: 0.145 for 14.5 %.
    pub iv: f64,
    pub total_buy_quantity: f64,
    pub total_sell_quantity: f64,
}

impl Feed {
    fn clear(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        *self = Self { rows, mode: self.mode, ..Self::default() };
    }

    /// One of the messages of which there can be one begins: what another has said is gone.
    fn begin(&mut self, branch: Branch) {
        if self.branch != branch {
            self.clear();
            self.branch = branch;
        }
    }

    pub(super) fn read(&mut self, message: &[u8]) -> Result<(), Error> {
        self.clear();
        self.mode = 0;
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => {
                    self.begin(Branch::Ltpc);
                    self.ltpc.get_or_insert_default().read(value.bytes(number)?)?;
                }
                2 => self.full(value.bytes(number)?)?,
                3 => {
                    self.begin(Branch::FirstLevel);
                    self.first_level(value.bytes(number)?)?;
                }
                4 => self.mode = value.number(number)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn full(&mut self, message: &[u8]) -> Result<(), Error> {
        if !matches!(self.branch, Branch::Market | Branch::Index) {
            self.begin(Branch::Nothing);
        }
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => {
                    self.begin(Branch::Market);
                    self.market(value.bytes(number)?)?;
                }
                2 => {
                    self.begin(Branch::Index);
                    self.index(value.bytes(number)?)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn market(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.ltpc.get_or_insert_default().read(value.bytes(number)?)?,
                2 => self.levels(value.bytes(number)?)?,
                3 => self.greeks.get_or_insert_default().read(value.bytes(number)?)?,
                4 => self.candles(value.bytes(number)?)?,
                5 => self.average_price = double(value, number)?,
                6 => self.volume = value.number(number)?.cast_signed(),
                7 => self.oi = double(value, number)?,
                8 => self.iv = double(value, number)?,
                9 => self.total_buy_quantity = double(value, number)?,
                10 => self.total_sell_quantity = double(value, number)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn index(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.ltpc.get_or_insert_default().read(value.bytes(number)?)?,
                2 => self.candles(value.bytes(number)?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn first_level(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.ltpc.get_or_insert_default().read(value.bytes(number)?)?,
                2 => {
                    self.has_rows = true;
                    if self.rows.is_empty() {
                        self.rows.push(Quote::default());
                    }
                    if let Some(best) = self.rows.first_mut() {
                        best.read(value.bytes(number)?)?;
                    }
                }
                3 => self.greeks.get_or_insert_default().read(value.bytes(number)?)?,
                4 => self.volume = value.number(number)?.cast_signed(),
                5 => self.oi = double(value, number)?,
                6 => self.iv = double(value, number)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn levels(&mut self, message: &[u8]) -> Result<(), Error> {
        self.has_rows = true;
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                let mut level = Quote::default();
                level.read(value.bytes(number)?)?;
                if self.rows.len() < LEVELS {
                    self.rows.push(level);
                }
            }
        }
        Ok(())
    }

    /// Candles of a day, half an hour and a minute, of which the day's counts. Where there is none of a day,
    /// nothing is said of it.
    fn candles(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                let (interval, day) = candle(value.bytes(number)?)?;
                if interval == "1d" {
                    self.day = Some(day);
                }
            }
        }
        Ok(())
    }
}

impl Ltpc {
    fn read(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.ltp = double(value, number)?,
                2 => self.at = value.number(number)?.cast_signed(),
                3 => self.quantity = value.number(number)?.cast_signed(),
                4 => self.close = double(value, number)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Quote {
    fn read(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.bid_quantity = value.number(number)?.cast_signed(),
                2 => self.bid = double(value, number)?,
                3 => self.ask_quantity = value.number(number)?.cast_signed(),
                4 => self.ask = double(value, number)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl Greeks {
    fn read(&mut self, message: &[u8]) -> Result<(), Error> {
        let mut fields = Fields::of(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.delta = double(value, number)?,
                2 => self.theta = double(value, number)?,
                3 => self.gamma = double(value, number)?,
                4 => self.vega = double(value, number)?,
                5 => self.rho = double(value, number)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn candle(message: &[u8]) -> Result<(&str, Day), Error> {
    let (mut fields, mut interval, mut day) = (Fields::of(message), "", Day::default());
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => interval = value.text(number)?,
            2 => day.open = double(value, number)?,
            3 => day.high = double(value, number)?,
            4 => day.low = double(value, number)?,
            // The close of the day is the price of now; volume and time are elsewhere.
            5 => _ = double(value, number)?,
            6 | 7 => _ = value.number(number)?,
            _ => {}
        }
    }
    Ok((interval, day))
}

fn double(value: Value<'_>, field: u32) -> Result<f64, Error> {
    match value {
        Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
        _ => Err(Error::Kind(field)),
    }
}
