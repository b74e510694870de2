//! What a broker no longer sends is gone: from the values that clients have, and from the snapshots of new
//! ones.

use integration_tests::{
    chain::{Chain, Profile},
    wait_until,
};
use serde_json::{Value, json};
use venues::{Level, Mode, Side, Values, angel::Smart, dhan::Dhan, fyers::Fyers, price, zerodha::Kite};

/// A whole packet of a trading day that is over.
fn of_yesterday(mut values: Values) -> Values {
    let set = [
        ("ltp", "25900.5"),
        ("open", "25800"),
        ("high", "26200"),
        ("low", "25700"),
        ("close", "25850"),
        ("average_price", "26050"),
    ];
    for (name, decimal) in set {
        *values.named(name).unwrap().0 = price(decimal).unwrap();
    }
    (values.volume, values.last_quantity) = (1_000, 5);
    let side = |decimal: &str| -> Side {
        [Level { price: price(decimal).unwrap(), quantity: 10, orders: 1 }].into_iter().collect()
    };
    (values.bids, values.asks) = (side("25900"), side("25901"));
    values
}

/// What brokers send in the pre-open: a price, and nothing else yet.
fn of_the_pre_open<B: Profile>(times: &Values) -> Values {
    // Dhan's packets have one time, that of the last trade, and there was none.
    let has_time = B::LIBRARY != Dhan::LIBRARY;
    let exchange_ts_ns = if has_time { times.exchange_ts_ns.max(0) + 1_000_000_000 } else { 0 };
    Values { ltp: price("26110.5").unwrap(), exchange_ts_ns, ..Values::default() }
}

async fn nothing_of_yesterday_stays<B: Profile>() {
    for mode in [Mode::Quote, Mode::Full] {
        let chain = Chain::<B>::start(500).await;
        let names = chain.instruments(1);
        let (exchange, symbol) = (names[0].0.as_str(), names[0].1.as_str());
        let (mut watcher, _) = chain.watch(&names, mode).await;
        let full = of_yesterday(chain.venue.sent(exchange, symbol, mode).unwrap());
        chain.venue.send(&[(exchange, symbol, mode, full.clone())]).unwrap();
        let with = |ltp: f64| move |message: &Value| message["data"]["ltp"] == ltp;
        let frame = watcher.client.find(with(25_900.5)).await;
        assert_eq!(frame["data"]["high"], 26_200.0, "{frame}");

        let opened = chain.venue.report().opened;
        chain.venue.disconnect();
        wait_until("the feed is back", || async {
            let report = chain.venue.report();
            report.opened > opened && !report.subscribed.is_empty()
        })
        .await;
        chain.venue.send(&[(exchange, symbol, mode, of_the_pre_open::<B>(&full))]).unwrap();
        let frame = watcher.client.find(with(26_110.5)).await;
        let (mut newcomer, _) = chain.watch(&names, mode).await;
        let snapshot = newcomer.latest(exchange, symbol).unwrap().clone();
        for data in [&frame["data"], &snapshot] {
            assert_eq!(data["ltp"], 26_110.5, "{data}");
            for name in ["open", "high", "low", "average_price", "last_trade_quantity", "ltt"] {
                assert!(data.get(name).is_none(), "{name} in {data}");
            }
            assert!(data.get("volume").is_none_or(|volume| *volume == 0), "{data}");
            if mode == Mode::Full {
                assert_eq!(data["depth"], json!({"buy": [], "sell": []}), "{data}");
            }
        }
        // And everything is there again as soon as the broker says it.
        chain.venue.trade();
        for watcher in [&mut watcher, &mut newcomer] {
            assert_eq!(chain.compare(watcher).await.mismatches, [""; 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_yesterday_stays_at_angel() {
    nothing_of_yesterday_stays::<Smart>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_yesterday_stays_at_dhan() {
    nothing_of_yesterday_stays::<Dhan>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_yesterday_stays_at_fyers() {
    nothing_of_yesterday_stays::<Fyers>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_yesterday_stays_at_zerodha() {
    nothing_of_yesterday_stays::<Kite>().await;
}
