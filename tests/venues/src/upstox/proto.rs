//! The messages of the feed, as the broker's `MarketDataFeedV3.proto` has them.

use std::collections::BTreeMap;

use prost::{Enumeration, Message, Oneof};

/// One message of the socket.
#[derive(Clone, PartialEq, Message)]
pub struct FeedResponse {
    /// What it is.
    #[prost(enumeration = "Type", tag = "1")]
    pub kind: i32,
    /// Instruments by their keys.
    #[prost(btree_map = "string, message", tag = "2")]
    pub feeds: BTreeMap<String, Feed>,
    /// The broker's clock in milliseconds since the Unix epoch.
    #[prost(int64, tag = "3")]
    pub current_ts: i64,
    /// What the segments of the market are doing.
    #[prost(message, optional, tag = "4")]
    pub market_info: Option<MarketInfo>,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Type {
    InitialFeed = 0,
    LiveFeed = 1,
    MarketInfo = 2,
}

/// What it says of an instrument.
#[derive(Clone, PartialEq, Message)]
pub struct Feed {
    /// One of three messages.
    #[prost(oneof = "FeedUnion", tags = "1, 2, 3")]
    pub feed_union: Option<FeedUnion>,
    /// The mode that it answers.
    #[prost(int32, tag = "4")]
    pub request_mode: i32,
}

/// The message of a mode.
#[derive(Clone, PartialEq, Oneof)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum FeedUnion {
    #[prost(message, tag = "1")]
    Ltpc(Ltpc),
    #[prost(message, tag = "2")]
    FullFeed(FullFeed),
    #[prost(message, tag = "3")]
    FirstLevelWithGreeks(FirstLevelWithGreeks),
}

/// The last trade.
#[derive(Clone, Copy, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct Ltpc {
    #[prost(double, tag = "1")]
    pub ltp: f64,
    #[prost(int64, tag = "2")]
    pub ltt: i64,
    #[prost(int64, tag = "3")]
    pub ltq: i64,
    #[prost(double, tag = "4")]
    pub cp: f64,
}

/// Everything.
#[derive(Clone, PartialEq, Message)]
pub struct FullFeed {
    /// One of two messages.
    #[prost(oneof = "FullFeedUnion", tags = "1, 2")]
    pub full_feed_union: Option<FullFeedUnion>,
}

/// Everything of something that is traded, or of an index.
#[derive(Clone, PartialEq, Oneof)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum FullFeedUnion {
    #[prost(message, tag = "1")]
    Market(MarketFullFeed),
    #[prost(message, tag = "2")]
    Index(IndexFullFeed),
}

/// Everything of something that is traded.
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct MarketFullFeed {
    #[prost(message, optional, tag = "1")]
    pub ltpc: Option<Ltpc>,
    #[prost(message, optional, tag = "2")]
    pub market_level: Option<MarketLevel>,
    #[prost(message, optional, tag = "3")]
    pub option_greeks: Option<OptionGreeks>,
    #[prost(message, optional, tag = "4")]
    pub market_ohlc: Option<MarketOhlc>,
    #[prost(double, tag = "5")]
    pub atp: f64,
    #[prost(int64, tag = "6")]
    pub vtt: i64,
    #[prost(double, tag = "7")]
    pub oi: f64,
    #[prost(double, tag = "8")]
    pub iv: f64,
    #[prost(double, tag = "9")]
    pub tbq: f64,
    #[prost(double, tag = "10")]
    pub tsq: f64,
}

/// Everything of an index.
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct IndexFullFeed {
    #[prost(message, optional, tag = "1")]
    pub ltpc: Option<Ltpc>,
    #[prost(message, optional, tag = "2")]
    pub market_ohlc: Option<MarketOhlc>,
}

/// The book.
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct MarketLevel {
    #[prost(message, repeated, tag = "1")]
    pub bid_ask_quote: Vec<Quote>,
}

/// A level of it.
#[derive(Clone, Copy, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct Quote {
    #[prost(int64, tag = "1")]
    pub bid_q: i64,
    #[prost(double, tag = "2")]
    pub bid_p: f64,
    #[prost(int64, tag = "3")]
    pub ask_q: i64,
    #[prost(double, tag = "4")]
    pub ask_p: f64,
}

/// Greeks.
#[derive(Clone, Copy, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct OptionGreeks {
    #[prost(double, tag = "1")]
    pub delta: f64,
    #[prost(double, tag = "2")]
    pub theta: f64,
    #[prost(double, tag = "3")]
    pub gamma: f64,
    #[prost(double, tag = "4")]
    pub vega: f64,
    #[prost(double, tag = "5")]
    pub rho: f64,
}

/// Candles.
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct MarketOhlc {
    #[prost(message, repeated, tag = "1")]
    pub ohlc: Vec<Ohlc>,
}

/// A candle.
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct Ohlc {
    #[prost(string, tag = "1")]
    pub interval: String,
    #[prost(double, tag = "2")]
    pub open: f64,
    #[prost(double, tag = "3")]
    pub high: f64,
    #[prost(double, tag = "4")]
    pub low: f64,
    #[prost(double, tag = "5")]
    pub close: f64,
    #[prost(int64, tag = "6")]
    pub vol: i64,
    #[prost(int64, tag = "7")]
    pub ts: i64,
}

/// The best level, with greeks.
#[derive(Clone, Copy, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct FirstLevelWithGreeks {
    #[prost(message, optional, tag = "1")]
    pub ltpc: Option<Ltpc>,
    #[prost(message, optional, tag = "2")]
    pub first_depth: Option<Quote>,
    #[prost(message, optional, tag = "3")]
    pub option_greeks: Option<OptionGreeks>,
    #[prost(int64, tag = "4")]
    pub vtt: i64,
    #[prost(double, tag = "5")]
    pub oi: f64,
    #[prost(double, tag = "6")]
    pub iv: f64,
}

/// What the segments of the market are doing.
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "they are what they are called there")]
pub struct MarketInfo {
    #[prost(btree_map = "string, int32", tag = "1")]
    pub segment_status: BTreeMap<String, i32>,
}
