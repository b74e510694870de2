//! Greeks on their way to a host: in order with the ticks of their instrument, in few batches.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    clippy::tests_outside_test_module,
    reason = "an integration test"
)]

use adapter_sdk::{
    Adapter, AdapterError, Connection, Context, Credentials, Greeks, Manifest, Mode, Price, Subscription,
    Tick, TickSink,
    abi::{StatusKind, greek},
    testing::{Bench, Published},
};

struct Options;

/// Publishes one packet when it is asked for an instrument: the one that this has the name of.
#[derive(Default)]
struct Packet {
    due: Option<String>,
}

impl Adapter for Options {
    type Config = serde_json::Value;
    type Connection = Packet;

    fn manifest() -> Manifest {
        Manifest::new("options", "1.0.0")
    }

    fn try_new(_: serde_json::Value, _: Context) -> Result<Self, AdapterError> {
        Ok(Self)
    }

    async fn connect(&self, _: &Credentials) -> Result<Packet, AdapterError> {
        Ok(Packet::default())
    }
}

impl Connection for Packet {
    async fn subscribe(&mut self, wanted: &[Subscription], _: &mut TickSink) -> Result<(), AdapterError> {
        self.due = wanted.first().map(|wanted| wanted.symbol.clone());
        Ok(())
    }

    async fn unsubscribe(&mut self, _: &[u32]) -> Result<(), AdapterError> {
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        let Some(name) = self.due.take() else { return std::future::pending().await };
        if name == "CROWD" {
            for instrument in 1..=3_000 {
                sink.ltp(&Tick::new(instrument).ltp(Price::from_nanos(1)));
                sink.greeks(&Greeks::new(instrument).implied_volatility(Price::from_nanos(1)));
            }
            return Ok(());
        }
        for instrument in 1..=100 {
            sink.quote(&Tick::new(instrument).ltp(Price::from_nanos(instrument.into())));
            sink.greeks(&Greeks::new(instrument).delta(Price::from_nanos(5)).exchange_ts_ns(9));
        }
        sink.quote(&Tick::new(7).ltp(Price::from_nanos(8)));
        sink.greeks(&Greeks::new(7));
        sink.depth(&Tick::new(8), &[], &[]);
        Ok(())
    }
}

#[test]
fn greeks_keep_their_place_among_the_ticks_of_their_instrument_and_share_batches() {
    let bench = Bench::start::<Options>("{}").unwrap();
    bench.wait_for_status(StatusKind::CONNECTED);
    bench.subscribe(1, "NFO", "FEW", Mode::Quote);
    assert_eq!(bench.wait_for_greeks(7, 2).last().unwrap().fields, 0, "none any more");
    bench.wait_for_ticks(8, 2);
    let heard = bench.heard();
    assert_eq!(heard.batches, [100, 100, 1, 1, 1], "one batch of each kind, but where the order says more");
    assert!(matches!(heard.ticks.last(), Some(Published::Depth(..))));
    let of_7: Vec<usize> =
        heard.ticks.iter().enumerate().filter(|(_, tick)| tick.instrument() == 7).map(|(at, _)| at).collect();
    let before: Vec<usize> =
        heard.greeks.iter().filter(|(_, greeks)| greeks.instrument == 7).map(|(before, _)| *before).collect();
    assert_eq!((of_7.as_slice(), before.as_slice()), ([6, 100].as_slice(), [100, 101].as_slice()));
    let (_, first) = heard.greeks.first().unwrap();
    assert_eq!((first.instrument, first.fields, first.delta), (1, greek::DELTA | greek::EXCHANGE_TS, 5));
    assert_eq!(first.exchange_ts_ns, 9);
    assert_ne!(first.received_ts_ns, 0, "the SDK notes the arrival");
}

#[test]
fn greeks_of_more_instruments_than_a_batch_has_all_arrive() {
    let bench = Bench::start::<Options>("{}").unwrap();
    bench.wait_for_status(StatusKind::CONNECTED);
    bench.subscribe(1, "NFO", "CROWD", Mode::Quote);
    bench.wait_for_greeks(3_000, 1);
    let heard = bench.heard();
    let numbers: Vec<u32> = heard.greeks.iter().map(|(_, greeks)| greeks.instrument).collect();
    assert_eq!(numbers, (1..=3_000).collect::<Vec<u32>>());
    assert!(heard.batches.iter().all(|&records| records <= 256), "{:?}", heard.batches);
    assert_eq!(bench.health().published, 6_000);
}
