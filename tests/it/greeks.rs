//! Greeks and implied volatility the whole way: from an adapter, in a process of its own or within the host,
//! and from a publisher on the bus, to a client's frames.

use std::time::{SystemTime, UNIX_EPOCH};

use adapter_sim::universe::{Date, Instrument, Kind, Universe};
use integration_tests::{Client, Host, HostBuilder, PLUGINS, SOON, bus::Publisher};
use serde_json::{Value, json};

/// An option of the synthetic exchange, of those that it lists today.
fn option() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let universe = Universe::new(Date::in_india(u64::try_from(now.as_nanos()).unwrap()));
    let is_one =
        |listed: &&Instrument| listed.exchange == "NFO" && matches!(listed.kind, Kind::Option { .. });
    universe.instruments().iter().find(is_one).expect("there are options").symbol.clone()
}

fn is_tick_of(symbol: &str, mode: u64) -> impl Fn(&Value) -> bool {
    move |frame| frame["type"] == "market_data" && frame["symbol"] == symbol && frame["mode"] == mode
}

#[tokio::test]
async fn greeks_of_an_adapter_reach_those_who_see_more_than_a_last_price() {
    for isolation in ["process", "in-process"] {
        let plugins = PLUGINS
            .replace("\n[adapter.config]", &format!("isolation = \"{isolation}\"\n\n[adapter.config]"));
        let host = HostBuilder::new().plugins(&plugins).start();
        let mut client = Client::login(host.websocket, &host.key()).await;
        let (option, name) = (option(), |symbol: &str| format!("NFO:{symbol}"));
        for mode in ["LTP", "Quote", "Depth"] {
            assert_eq!(client.subscribe(&[&name(&option)], mode).await["status"], "success");
        }
        for mode in [2, 3] {
            let is_there = is_tick_of(&option, mode);
            let tick = client.find(|frame| is_there(frame) && frame["data"].get("greeks").is_some()).await;
            let (greeks, data) = (&tick["data"]["greeks"], &tick["data"]);
            assert!(greeks["delta"].as_f64().is_some_and(|delta| delta.abs() <= 1.0), "{tick}");
            for name in ["gamma", "theta", "vega"] {
                assert!(greeks[name].is_f64(), "{name} of {tick}");
            }
            assert!(greeks.get("rho").is_none(), "its model has none: {tick}");
            assert!(
                data["implied_volatility"].as_f64().is_some_and(|percent| (1.0..100.0).contains(&percent)),
                "{tick}"
            );
        }
        let is_ltp = is_tick_of(&option, 1);
        for _ in 0..3 {
            let tick = client.find(&is_ltp).await;
            assert!(
                tick["data"].get("greeks").is_none() && tick["data"].get("implied_volatility").is_none(),
                "{tick}"
            );
        }
    }
}

#[tokio::test]
async fn greeks_of_a_publisher_replace_all_and_are_in_the_snapshot_of_a_newcomer() {
    let host = Host::start();
    let key = host.add_user("bob", "bus");
    let mut client = Client::login(host.websocket, &key).await;
    client.subscribe(&["NFO:OPT"], "Quote").await;
    let mut publisher = Publisher::connect(host.bus).await;
    let send = async |publisher: &mut Publisher, body: Value| publisher.send("NFO_OPT_QUOTE", &body).await;
    // A publisher may be heard some time after it connected.
    let is_heard = async {
        while client.next_within(std::time::Duration::from_millis(50)).await.is_none() {
            send(&mut publisher, json!({"ltp": 1.0})).await;
        }
    };
    tokio::time::timeout(SOON, is_heard).await.expect("the publisher is heard");

    send(
        &mut publisher,
        json!({"ltp": 142.35, "greeks": {"delta": 0.5234, "rho": "3.01"}, "implied_volatility": 14.5}),
    )
    .await;
    let tick = client.find(|frame| frame["data"].get("greeks").is_some()).await;
    let data = &tick["data"];
    assert_eq!((&data["ltp"], &data["greeks"]), (&json!(142.35), &json!({"delta": 0.5234, "rho": 3.01})));
    assert_eq!(data["implied_volatility"], 14.5);
    send(&mut publisher, json!({"greeks": {"theta": -11.84}})).await;
    let tick = client.find(|frame| frame["data"]["greeks"].get("theta").is_some()).await;
    let data = &tick["data"];
    assert_eq!((&data["ltp"], &data["greeks"]), (&json!(142.35), &json!({"theta": -11.84})));
    assert!(data.get("implied_volatility").is_none(), "{tick}");

    let mut newcomer = Client::login(host.websocket, &key).await;
    newcomer.subscribe(&["NFO:OPT"], "Quote").await;
    let snapshot = newcomer.find(|frame| frame["snapshot"] == true).await;
    assert_eq!(snapshot["data"]["greeks"], json!({"theta": -11.84}));

    send(&mut publisher, json!({"ltp": 142.4, "greeks": {}})).await;
    client.find(|frame| frame["data"]["ltp"] == 142.4 && frame["data"].get("greeks").is_none()).await;
}
