//! What the adapters know of their brokers' limits is what the host keeps to.

use integration_tests::{HostBuilder, host::assert_ok, library};
use serde_json::{Value, json};

#[test]
fn each_adapter_knows_the_limits_of_its_broker_whatever_the_settings_say() {
    let brokers = [("zerodha", 3_000, 3), ("angel", 1_000, 3), ("dhan", 1_000, 3), ("fyers", 2_000, 2)];
    let entry = |(name, ..): (&str, u32, u32)| {
        let library = library(&format!("adapter_{name}"));
        format!("[[adapter]]\nname = '{name}'\nlibrary = '{}'\n", library.display())
    };
    let plugins: String = brokers.map(entry).concat();
    let settings = [("MAX_SYMBOLS_PER_WEBSOCKET", 7), ("MAX_WEBSOCKET_CONNECTIONS", 9)];
    let builder =
        settings.into_iter().fold(HostBuilder::new(), |builder, (name, value)| builder.env(name, value));
    let listed = builder.plugins(&plugins).run(&["adapters", "--json"], "");
    assert_ok(&listed);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    for (place, (name, symbols, connections)) in brokers.into_iter().enumerate() {
        let broker = &listed[place]["by_broker"][0];
        assert_eq!(broker["name"], name);
        let limits = (&broker["symbols_per_connection"], &broker["connections"]);
        assert_eq!(limits, (&json!(symbols), &json!(connections)), "{name}");
    }
}

#[test]
fn each_broker_of_a_family_has_its_own_limits_and_abilities() {
    let brokers = [
        ("shoonya", 5_000),
        ("flattrade", 5_000),
        ("zebu", 5_000),
        ("tradesmart", 5_000),
        ("definedge", 500),
        ("aliceblue", 1_000),
    ];
    let names = brokers.map(|(name, _)| format!("'{name}'")).join(", ");
    let library = library("adapter_noren");
    let plugins =
        format!("[[adapter]]\nname = 'noren'\nlibrary = '{}'\nbrokers = [{names}]\n", library.display());
    let listed = HostBuilder::new().plugins(&plugins).run(&["adapters", "--json"], "");
    assert_ok(&listed);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    for (place, (name, symbols)) in brokers.into_iter().enumerate() {
        let broker = &listed[0]["by_broker"][place];
        let limits = (&broker["name"], &broker["symbols_per_connection"], &broker["connections"]);
        assert_eq!(limits, (&json!(name), &json!(symbols), &json!(1)), "{broker}");
    }
}
