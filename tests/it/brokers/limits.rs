//! What the adapters know of their brokers' limits is what the host keeps to.

use integration_tests::{HostBuilder, host::assert_ok, library};
use serde_json::{Value, json};

#[test]
fn each_adapter_knows_the_limits_of_its_broker_whatever_the_settings_say() {
    let brokers = [
        ("zerodha", 3_000, 3),
        ("angel", 1_000, 3),
        ("dhan", 1_000, 3),
        ("fyers", 2_000, 2),
        ("upstox", 1_500, 1),
    ];
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

/// Each broker of a library with its instruments on a connection, of which an account has one.
fn each_has_its_own_limits(family: &str, brokers: &[(&str, u32)]) {
    let names: Vec<String> = brokers.iter().map(|(name, _)| format!("'{name}'")).collect();
    let library = library(&format!("adapter_{family}"));
    let plugins = format!(
        "[[adapter]]\nname = '{family}'\nlibrary = '{}'\nbrokers = [{}]\n",
        library.display(),
        names.join(", ")
    );
    let listed = HostBuilder::new().plugins(&plugins).run(&["adapters", "--json"], "");
    assert_ok(&listed);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    for (place, (name, symbols)) in brokers.iter().enumerate() {
        let broker = &listed[0]["by_broker"][place];
        let limits = (&broker["name"], &broker["symbols_per_connection"], &broker["connections"]);
        assert_eq!(limits, (&json!(name), &json!(symbols), &json!(1)), "{broker}");
    }
}

#[test]
fn each_broker_of_a_family_has_its_own_limits_and_abilities() {
    let noren = [
        ("shoonya", 5_000),
        ("flattrade", 5_000),
        ("zebu", 5_000),
        ("tradesmart", 5_000),
        ("definedge", 500),
        ("aliceblue", 1_000),
    ];
    each_has_its_own_limits("noren", &noren);
    let xts = ["compositedge", "fivepaisaxts", "ibulls", "iifl", "jainamxts", "rmoney", "wisdom"];
    each_has_its_own_limits("xts", &xts.map(|name| (name, 1_000)));
}

#[test]
fn deep_books_are_as_many_as_the_settings_of_the_account_allow() {
    let listed = |config: [&str; 4], brokers: &str| {
        let entry = |(name, config): (&str, &str)| {
            let library = library(&format!("adapter_{name}"));
            format!(
                "[[adapter]]\nname = '{name}'\nlibrary = '{}'\n{brokers}[adapter.config]\n{config}\n",
                library.display()
            )
        };
        let plugins: String =
            ["dhan", "fyers", "upstox", "zerodha"].into_iter().zip(config).map(entry).collect();
        let settings = HostBuilder::new().env("TICKHOST_MAX_DEEP_BOOKS_PER_CONNECTION", 30);
        let listed = settings.plugins(&plugins).run(&["adapters", "--json"], "");
        assert_ok(&listed);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        let books = |place: usize| listed[place]["by_broker"][0]["deep_books"]["per_connection"].clone();
        [0, 1, 2, 3].map(books)
    };
    assert_eq!(listed(["", "", "", ""], ""), [0, 0, 0, 30]);
    let entitled =
        ["depth = 200\ndepth20_sockets = 1\ndepth200_sockets = 3", "depth_50 = true", "depth_30 = true", ""];
    assert_eq!(listed(entitled, ""), [53, 5, 50, 30]);
    assert_eq!(listed(entitled, "deep_books_per_connection = 7\n"), [7, 7, 7, 7]);
}
