//! Messages of publishers on the bus: a topic, a line feed, a body.

#![no_main]

use std::{path::PathBuf, sync::Arc};

use fuzz::{begin_with, bounded};
use libfuzzer_sys::fuzz_target;
use tickhost::bus::{BusCounters, BusReader, BusSettings, BusSink, BusVerdict, CacheScope, OrderVerdict, Invalidated};
use tickhost_core::{
    book::UNKNOWN_COUNT,
    model::{MAX_DEPTH_LEVELS, Mode, TickView, field, greek},
    protocol::order::OrderUpdate,
};

const SEEDS: [&str; 13] = [
    "NSE_SBIN_LTP\n{\"ltp\":625.5}",
    "NSE_INDEX_NIFTY_QUOTE\n{\"symbol\":\"NIFTY\",\"ltp\":1,\"volume\":1500000,\"atp\":\"621.4\",\"oi\":null,\"timestamp\":1705294800}",
    "NSE_SBIN_DEPTH\n{\"ltp\":625.5,\"depth\":{\"buy\":[{\"price\":625.45,\"quantity\":120,\"orders\":3}],\"sell\":[{\"price\":625.55,\"qty\":80}]}}",
    "NSE_SBIN_DEPTH\n{\"bids\":[{\"price\":\"1.5\",\"quantity\":-1}],\"asks\":[]}",
    "NSE_SBIN_LTP\n[{\"symbol\":\"SBIN\",\"exchange\":\"NSE\",\"ltp\":625.5},{\"symbol\":\"INFY\",\"exchange\":\"NSE\",\"mode\":2,\"ltp\":1e3}]",
    "NSE_SBIN_LTP\n[{\"symbol\":\"SBIN\",\"exchange\":\"NSE\",\"ltp\":1},7,{\"symbol\":\"X\",\"exchange\":\"NSE\",\"ltp\":2,\"oi\":NaN,\"high\":-Infinity}]",
    "CRYPTO_BTC_USD_DEPTH\n{\"volume\":0.35015176,\"oi\":1e999,\"bids\":[{\"price\":1,\"quantity\":1.9},null],\"timestamp\":\"2024-01-15T10:30:00+05:30\"}",
    "UPSTOX_bob_orders\n{\"type\":\"order_update\",\"user_id\":\"bob\"}",
    "CACHE_INVALIDATE_ALL_bob\n{\"user_id\":\"bob\",\"cache_type\":\"FEED\"}",
    "zerodha_NSE_SBIN_LTP\n{}",
    "NFO_NIFTY28NOV2624500CE_QUOTE\n{\"ltp\":142.35,\"greeks\":{\"delta\":0.5234,\"gamma\":\"0.0012\",\"theta\":-11.84,\"vega\":null,\"rho\":1e300},\"implied_volatility\":14.5}",
    "NFO_NIFTY28NOV2624500CE_QUOTE\n[{\"symbol\":\"X\",\"exchange\":\"NFO\",\"greeks\":{}},{\"symbol\":\"Y\",\"exchange\":\"NFO\",\"greeks\":[1],\"implied_volatility\":-1}]",
    "NSE_SOL_INR_3\n{\"ltt\":\"1e400\",\"change\":-0.0}",
];

struct Checked;

impl BusSink for Checked {
    fn tick(&mut self, exchange: &str, symbol: &str, _: Mode, tick: TickView<'_>) -> BusVerdict {
        assert!(!exchange.is_empty() && !symbol.is_empty());
        let quote = tick.quote;
        assert_eq!(quote.fields & !(field::IN_QUOTE | field::BOOK), 0);
        for (bit, count) in [
            (field::VOLUME, quote.volume),
            (field::OI, quote.oi),
            (field::BID_SIZE, quote.bid_size),
            (field::TOTAL_BUY_QUANTITY, quote.total_buy_quantity),
        ] {
            assert!(quote.fields & bit == 0 || count >= 0 || count == UNKNOWN_COUNT);
        }
        if let Some(greeks) = tick.greeks {
            assert_eq!(greeks.fields & !(greek::IN_GREEKS | greek::EXCHANGE_TS), 0);
            assert!(greeks.fields & greek::IMPLIED_VOLATILITY == 0 || greeks.implied_volatility > 0);
        }
        for side in [tick.buy, tick.sell] {
            assert!(side.len() <= usize::from(MAX_DEPTH_LEVELS));
            assert!(side.iter().all(|level| level.quantity >= 0));
        }
        BusVerdict::Accepted
    }

    fn order_update(&mut self, user_id: &str, update: &OrderUpdate<'_>) -> OrderVerdict {
        assert!(!user_id.is_empty());
        let frame = update.frame("alice", "sim");
        let members: Vec<(String, serde_json::Value)> = {
            let object: serde_json::Map<_, _> =
                serde_json::from_slice(&frame).expect("what is passed on is JSON");
            object.into_iter().collect()
        };
        // Whoever publishes it speaks for one user, and sends nothing but order updates.
        for (name, expected) in [("type", "order_update"), ("user_id", "alice"), ("broker", "sim")] {
            let said = members.iter().filter(|(member, _)| member.eq_ignore_ascii_case(name));
            assert!(said.map(|(_, value)| value).eq([expected]), "{name}");
        }
        OrderVerdict::Forwarded
    }

    fn cache_invalidate(&mut self, _: CacheScope, _: &str) -> Invalidated {
        Invalidated::Unknown
    }

    fn flush(&mut self) {}
}

fuzz_target!(init: begin_with("bus_message", SEEDS.map(|seed| seed.as_bytes().to_vec())), |input: &[u8]| bounded(input, || {
    let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (topic, body) = input.split_at(at);
    let settings = BusSettings::new(([127, 0, 0, 1], 0).into(), PathBuf::new());
    let mut reader = BusReader::new(settings, Arc::new(BusCounters::default()));
    reader.read(topic, body.get(1..).unwrap_or_default(), &mut Checked);
}));
