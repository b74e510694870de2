//! Books of fifty levels: what is known of each symbol that is subscribed. Pure, and bounded by what was
//! asked for.

use adapter_sdk::{
    Level, Tick,
    ist::day_number,
    read::{self, Sign},
};

use super::wire::{MarketFeed, MarketLevel, SocketMessage, TbtError};

/// Levels on each side.
pub const LEVELS: usize = 50;

/// Decimal places of a price, whatever the instrument.
const DECIMALS: u32 = 2;

/// What is shown of a book.
pub type Levels = adapter_sdk::Book<LEVELS>;

/// A row of a book, as the broker has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// In hundredths.
    pub price: i64,
    /// Quantity.
    pub quantity: u32,
    /// Orders.
    pub orders: u32,
}

/// The book of a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Book {
    /// The broker's symbol.
    pub ticker: String,
    /// Rows of bids, the best first; empty ones are all zeros.
    pub bids: [Row; LEVELS],
    /// Rows of asks, the best first; empty ones are all zeros.
    pub asks: [Row; LEVELS],
    /// Quantity of all bids.
    pub total_buy: Option<u64>,
    /// Quantity of all asks.
    pub total_sell: Option<u64>,
    /// The exchange's time, as the broker writes it.
    pub feed_time: Option<u64>,
    /// When the broker sent the last change, as it writes it.
    pub send_time: Option<u64>,
    /// Number of the last change.
    pub sequence: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its snapshot has not come: what is in it is true, and most of it is missing.
    Waiting,
    Whole,
    /// A change is missing: nobody knows what the book is, before its next snapshot.
    Broken,
}

/// What a feed came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// The book is another one now. It need not be a whole one.
    Changed(&'a Book),
    /// A change is missing: the symbol must be subscribed again. Said once.
    Gap(&'a Book),
}

impl Book {
    fn new(ticker: &str) -> Self {
        Self {
            ticker: ticker.to_owned(),
            bids: [Row::default(); LEVELS],
            asks: [Row::default(); LEVELS],
            total_buy: None,
            total_sell: None,
            feed_time: None,
            send_time: None,
            sequence: 0,
            state: State::Waiting,
        }
    }

    /// Whether it is what the exchange has. Until its snapshot comes, and after a change that is missing, it
    /// is not.
    pub fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Levels of both sides, at most so many on each, without rows that have no price.
    pub fn levels(&self, most: usize) -> Levels {
        let level = |row: &Row| {
            // It has shares of NSE and their derivatives.
            let price = read::scaled(row.price, DECIMALS, Sign::Positive)?;
            Some(Level { price, quantity: read::quantity(row.quantity.into())?, orders: Some(row.orders) })
        };
        let mut levels = Levels::new();
        self.bids.iter().filter_map(level).take(most).for_each(|level| levels.push_buy(level));
        self.asks.iter().filter_map(level).take(most).for_each(|level| levels.push_sell(level));
        levels
    }

    /// A tick with the time and the totals of the book.
    pub(crate) fn over(&self, tick: Tick) -> Tick {
        let total = |quantity: Option<u64>| read::quantity(i64::try_from(quantity?).ok()?);
        tick.with(self.feed_time.and_then(read::of_any_unit), Tick::exchange_ts_ns)
            .with(total(self.total_buy), Tick::total_buy_quantity)
            .with(total(self.total_sell), Tick::total_sell_quantity)
    }

    /// Whether a change is of another day than the book: changes of today do not belong into a book of
    /// yesterday.
    fn is_over(&self, feed: &MarketFeed<'_>) -> bool {
        let day = |at: Option<u64>| read::of_any_unit(at?).map(day_number);
        day(self.feed_time)
            .is_some_and(|before| feed.feed_time.is_some() && day(feed.feed_time) != Some(before))
    }

    fn take(
        &mut self,
        feed: &MarketFeed<'_>,
        is_snapshot: bool,
        is_next: bool,
    ) -> Result<Option<News<'_>>, TbtError> {
        let mut has_gap = false;
        let is_missing = !is_next && feed.sequence != self.sequence.wrapping_add(1);
        if is_snapshot {
            *self = Self { state: State::Whole, ticker: std::mem::take(&mut self.ticker), ..Self::new("") };
        } else if self.state == State::Whole && (is_missing || self.is_over(feed)) {
            self.state = State::Broken;
            has_gap = true;
        }
        self.sequence = feed.sequence;
        self.feed_time = feed.feed_time.or(self.feed_time);
        self.send_time = feed.send_time.or(self.send_time);
        if !feed.has_depth {
            return Ok(has_gap.then_some(News::Gap(self)));
        }
        self.total_buy = feed.total_buy.or(self.total_buy);
        self.total_sell = feed.total_sell.or(self.total_sell);
        for level in feed.levels() {
            let (is_bid, level) = level?;
            let rows = if is_bid { &mut self.bids } else { &mut self.asks };
            // A row that says of no place, or of one that does not exist, is none.
            let place = level.row.and_then(|row| usize::try_from(row).ok());
            if let Some(row) = place.and_then(|place| rows.get_mut(place)) {
                row.update(&level);
            }
        }
        Ok(Some(if has_gap { News::Gap(self) } else { News::Changed(self) }))
    }
}

impl Row {
    fn update(&mut self, level: &MarketLevel) {
        self.price = level.price.unwrap_or(self.price);
        self.quantity = level.quantity.unwrap_or(self.quantity);
        self.orders = level.orders.unwrap_or(self.orders);
    }
}

/// Books of one connection.
///
/// Whether the broker numbers the changes of each symbol or those of the connection is not documented. So a
/// change is missing when its number fits neither.
#[derive(Debug, Default)]
pub struct Books {
    wanted: Vec<Book>,
    /// The highest number of the last message that had one.
    last: u64,
    /// Messages since then.
    since: u64,
}

impl Books {
    /// None is wanted.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a symbol's changes from its next snapshot on.
    pub fn want(&mut self, ticker: &str) {
        self.drop(ticker);
        self.wanted.push(Book::new(ticker));
    }

    /// Takes them no more.
    pub fn drop(&mut self, ticker: &str) {
        self.wanted.retain(|book| book.ticker != ticker);
    }

    /// The book of a symbol that is wanted.
    pub fn get(&self, ticker: &str) -> Option<&Book> {
        self.wanted.iter().find(|book| book.ticker == ticker)
    }

    /// Takes a message, and tells what is new. Symbols that nobody wants are skipped.
    ///
    /// # Errors
    /// When the message makes no sense; nothing of it is taken then.
    pub fn apply(
        &mut self,
        message: &SocketMessage<'_>,
        mut tell: impl FnMut(News<'_>),
    ) -> Result<(), TbtError> {
        self.since = self.since.saturating_add(1);
        if message.is_error {
            return Ok(());
        }
        let (last, since) = (self.last, self.since);
        for feed in message.feeds() {
            let is_next = feed.sequence.checked_sub(last).is_some_and(|step| (1..=since).contains(&step));
            (self.last, self.since) = (feed.sequence, 0);
            let Some(book) = self.wanted.iter_mut().find(|book| book.ticker == feed.ticker) else { continue };
            if let Some(news) = book.take(&feed, message.is_snapshot, is_next)? {
                tell(news);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
