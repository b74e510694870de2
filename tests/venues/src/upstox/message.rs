//! Packets in protocol buffers, and messages of several.

use prost::Message as _;
use tokio_tungstenite::tungstenite::Message;

use super::{
    instruments,
    proto::{
        Feed, FeedResponse, FeedUnion, FirstLevelWithGreeks, FullFeed, FullFeedUnion, IndexFullFeed, Ltpc,
        MarketFullFeed, MarketInfo, MarketLevel, MarketOhlc, Ohlc, OptionGreeks, Quote, Type,
    },
};
use crate::{
    broker::{Cause, News},
    model::{LEVELS, Level, Mode, PRICE_SCALE, Values, decimal},
    universe::{Instrument, Kind},
};

/// Levels of the larger books.
pub const DEEP: u8 = 30;

/// Stands for the mode that has one level, and greeks.
pub const GREEKS: Mode = Mode::Deep(1);

/// The names of the modes in requests, with the numbers that they have in answers.
pub(super) const MODES: [(&str, Mode, i32); 4] = [
    ("ltpc", Mode::Ltp, 0),
    ("full", Mode::Full, 1),
    ("option_greeks", GREEKS, 2),
    ("full_d30", Mode::Deep(DEEP), 3),
];

fn float(price: i64) -> f64 {
    decimal(price).parse().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "quantities are below 2^53")]
const fn count(quantity: i64) -> f64 {
    quantity as f64
}

/// Greeks of an option, and its implied volatility as a fraction: made up of its price, so that they change
/// with it.
pub fn greeks(instrument: &Instrument, ltp: i64) -> Option<(OptionGreeks, f64)> {
    let sign = match instrument.kind {
        Kind::Call => 1.0,
        Kind::Put => -1.0,
        _ => return None,
    };
    let step = count(ltp / (PRICE_SCALE / 100) % 997);
    let parts = |scale: f64| step / scale;
    let greeks = OptionGreeks {
        delta: sign * parts(1_000.0),
        theta: -parts(16.0),
        gamma: parts(1_000_000.0),
        vega: parts(32.0),
        rho: sign * parts(64.0),
    };
    Some((greeks, (1_000.0 + step) / 8_192.0))
}

/// An instrument's packet.
pub(super) fn response(
    instrument: &Instrument,
    mode: Mode,
    values: &Values,
    kind: Type,
) -> Result<FeedResponse, String> {
    let request_mode = MODES.iter().find(|known| known.1 == mode).map(|known| known.2);
    let request_mode = request_mode.ok_or_else(|| format!("the broker has no mode {mode:?}"))?;
    let ltpc = Some(Ltpc {
        ltp: float(values.ltp),
        ltt: values.last_trade_ts_ns / 1_000_000,
        ltq: values.last_quantity,
        cp: float(values.close),
    });
    let candle = |interval: &str| Ohlc {
        interval: interval.to_owned(),
        open: float(values.open),
        high: float(values.high),
        low: float(values.low),
        // What it is during the day.
        close: float(values.ltp),
        vol: values.volume,
        ts: values.exchange_ts_ns / 1_000_000,
    };
    let market_ohlc = Some(MarketOhlc { ohlc: vec![candle("1d"), candle("I1")] });
    let (option_greeks, iv) = match greeks(instrument, values.ltp) {
        Some((greeks, iv)) => (Some(greeks), iv),
        None => (None, 0.0),
    };
    let feed_union = match mode {
        Mode::Ltp => ltpc.map(FeedUnion::Ltpc),
        _ if instrument.kind == Kind::Index => {
            let index = IndexFullFeed { ltpc, market_ohlc };
            Some(FeedUnion::FullFeed(FullFeed { full_feed_union: Some(FullFeedUnion::Index(index)) }))
        }
        GREEKS => Some(FeedUnion::FirstLevelWithGreeks(FirstLevelWithGreeks {
            ltpc,
            first_depth: levels::<1>(values).first().copied(),
            option_greeks,
            vtt: values.volume,
            oi: count(values.oi),
            iv,
        })),
        _ => {
            let bid_ask_quote = if mode == Mode::Full {
                whole(values, LEVELS)?;
                levels::<LEVELS>(values)
            } else {
                whole(values, usize::from(DEEP))?;
                levels::<{ DEEP as usize }>(values)
            };
            let market = MarketFullFeed {
                ltpc,
                market_level: Some(MarketLevel { bid_ask_quote }),
                option_greeks,
                market_ohlc,
                atp: float(values.average_price),
                vtt: values.volume,
                oi: count(values.oi),
                iv,
                tbq: count(values.total_buy_quantity),
                tsq: count(values.total_sell_quantity),
            };
            Some(FeedUnion::FullFeed(FullFeed { full_feed_union: Some(FullFeedUnion::Market(market)) }))
        }
    };
    let key = instruments::name(instrument).ok_or("it does not trade there")?;
    Ok(FeedResponse {
        kind: kind.into(),
        feeds: [(key, Feed { feed_union, request_mode })].into(),
        current_ts: values.exchange_ts_ns / 1_000_000,
        market_info: None,
    })
}

fn whole(values: &Values, most: usize) -> Result<(), String> {
    let longest = values.bids.len().max(values.asks.len());
    if longest > most {
        Err(format!("a side has {longest} levels, the broker sends at most {most}"))
    } else {
        Ok(())
    }
}

fn levels<const N: usize>(values: &Values) -> Vec<Quote> {
    let quote = |(bid, ask): (Level, Level)| Quote {
        bid_q: bid.quantity,
        bid_p: float(bid.price),
        ask_q: ask.quantity,
        ask_p: float(ask.price),
    };
    let longest = values.bids.len().max(values.asks.len());
    let both = values.bids.padded::<N>().into_iter().zip(values.asks.padded::<N>());
    both.take(longest).map(quote).collect()
}

/// What a connection is told.
pub(super) fn write(news: &News<'_>) -> Result<Vec<Vec<u8>>, String> {
    let kind = if news.cause == Cause::State { Type::InitialFeed } else { Type::LiveFeed };
    let mut values = news.values.clone();
    if news.mode == Mode::Full {
        // Another connection may have a deeper book of it.
        values.bids = values.bids.iter().take(LEVELS).copied().collect();
        values.asks = values.asks.iter().take(LEVELS).copied().collect();
    }
    response(news.instrument, news.mode, &values, kind).map(|response| vec![response.encode_to_vec()])
}

/// Packets as messages: as few as can be if they are stacked, with one clock and each instrument once.
pub(super) fn messages(packets: &[Vec<u8>], is_stacked: bool) -> Vec<Message> {
    let mut responses: Vec<FeedResponse> = Vec::new();
    for packet in packets.iter().filter_map(|packet| FeedResponse::decode(&**packet).ok()) {
        let last = responses.last_mut().filter(|last| {
            let has_room = packet.feeds.keys().all(|key| !last.feeds.contains_key(key));
            is_stacked && has_room && (last.kind, last.current_ts) == (packet.kind, packet.current_ts)
        });
        match last {
            Some(last) => last.feeds.extend(packet.feeds),
            None => responses.push(packet),
        }
    }
    responses.iter().map(|response| Message::binary(response.encode_to_vec())).collect()
}

/// What segments of the market are doing.
pub(super) fn market_info(statuses: &[(&str, i32)], at_ms: i64) -> Message {
    let segment_status = statuses.iter().map(|(segment, status)| ((*segment).to_owned(), *status)).collect();
    let response = FeedResponse {
        kind: Type::MarketInfo.into(),
        current_ts: at_ms,
        market_info: Some(MarketInfo { segment_status }),
        ..FeedResponse::default()
    };
    Message::binary(response.encode_to_vec())
}
