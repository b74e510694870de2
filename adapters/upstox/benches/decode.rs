//! What decoding costs: a message of a hundred instruments to ticks, for each mode; and the same message read
//! by `prost`, which makes structures of it and no ticks yet.

use std::hint::black_box;

use adapter_upstox::{
    decode::State,
    key::Key,
    wire::{Feed, Response},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prost::Message as _;
use venues::upstox::proto::{
    FeedResponse, FeedUnion, FirstLevelWithGreeks, FullFeed, FullFeedUnion, Ltpc, MarketFullFeed,
    MarketLevel, MarketOhlc, Ohlc, OptionGreeks, Quote,
};

const INSTRUMENTS: u32 = 100;

const LTPC: Ltpc = Ltpc { ltp: 1_400.1, ltt: 1_795_578_301_123, ltq: 75, cp: 1_392.85 };

const GREEKS: OptionGreeks =
    OptionGreeks { delta: 0.4952, theta: -9.8843, gamma: 0.0007, vega: 13.4231, rho: 5.6123 };

fn message(union: &FeedUnion, mode: i32) -> Vec<u8> {
    let feed = |number: u32| {
        let feed = venues::upstox::proto::Feed { feed_union: Some(union.clone()), request_mode: mode };
        (format!("NSE_FO|{}", 40_000 + number), feed)
    };
    let feeds = (0..INSTRUMENTS).map(feed).collect();
    FeedResponse { kind: 1, feeds, current_ts: 1_795_578_301_456, market_info: None }.encode_to_vec()
}

fn full(levels: u32) -> FeedUnion {
    let quote = |level: u32| {
        let (step, quantity) = (f64::from(level) * 0.05, 75 * i64::from(level + 1));
        Quote { bid_q: quantity, bid_p: 1_400.05 - step, ask_q: quantity + 75, ask_p: 1_400.1 + step }
    };
    let candle = |interval: &str| Ohlc {
        interval: interval.to_owned(),
        open: 1_395.0,
        high: 1_402.35,
        low: 1_391.1,
        close: 1_400.1,
        vol: 1_250_034,
        ts: 1_795_561_200_000,
    };
    let market = MarketFullFeed {
        ltpc: Some(LTPC),
        market_level: Some(MarketLevel { bid_ask_quote: (0..levels).map(quote).collect() }),
        option_greeks: Some(GREEKS),
        market_ohlc: Some(MarketOhlc { ohlc: vec![candle("1d"), candle("I1")] }),
        atp: 1_399.87,
        vtt: 1_250_034,
        oi: 14_231_250.0,
        iv: 0.1318,
        tbq: 215_450.0,
        tsq: 300_125.0,
    };
    FeedUnion::FullFeed(FullFeed { full_feed_union: Some(FullFeedUnion::Market(market)) })
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(INSTRUMENTS.into()));
    let first = FirstLevelWithGreeks {
        ltpc: Some(LTPC),
        first_depth: Some(Quote { bid_q: 75, bid_p: 1_400.05, ask_q: 150, ask_p: 1_400.1 }),
        option_greeks: Some(GREEKS),
        vtt: 1_250_034,
        oi: 14_231_250.0,
        iv: 0.1318,
    };
    for (name, message) in [
        ("ltpc", message(&FeedUnion::Ltpc(LTPC), 0)),
        ("option_greeks", message(&FeedUnion::FirstLevelWithGreeks(first), 2)),
        ("full", message(&full(5), 1)),
        ("full_d30", message(&full(30), 3)),
    ] {
        let (mut state, mut feed) = (State::default(), Feed::default());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let Ok(response) = Response::read(black_box(&message)) else { return };
                response.feeds(&mut feed, |taken| {
                    if let Ok((key, feed)) = taken
                        && let Some(key) = Key::parse(key)
                    {
                        black_box(state.take(key, feed, response.at));
                    }
                });
            });
        });
        group.bench_function(format!("{name}, prost alone"), |bencher| {
            bencher.iter(|| black_box(FeedResponse::decode(black_box(&*message))));
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
