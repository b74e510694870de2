//! A file that cannot be followed changes nothing but what the operator is told.

use std::fs;

use integration_tests::{Client, wait_until};

use super::place::{Entry, Place, text, ticks_go_on, wait_for_symbol};

/// Saves a text, and waits until the host says why it does not follow.
async fn is_refused(place: &Place, client: &mut Client, text: &str, words: &str) {
    fs::write(&place.file, text).unwrap();
    wait_until(&format!("the host complains: {words}"), || async {
        let status = place.host.status().await;
        let complaints = [&status["plugins_error"], &status["adapters"][0]["error"]];
        complaints.iter().any(|error| error.as_str().is_some_and(|error| error.contains(words)))
    })
    .await;
    let (code, said) = place.adapters(&[]);
    assert!(code == Some(1) && said.contains(words), "{code:?} {said}");
    assert_eq!(place.adapter("sim").await["state"], "loaded");
    ticks_go_on(client).await;
}

#[tokio::test]
async fn what_runs_stays_until_a_bad_file_is_mended() {
    let place = Place::start(&[Entry::sim_with("NEW0")]);
    let mut client = Client::login(place.host.websocket, &place.host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    let good = |symbol: &str| Entry::sim_with(symbol);
    let refused = |entry: Entry| text(&[entry]);
    let zeros = format!("sha256 = \"{}\"", "0".repeat(64));
    let cases = [
        ("[[adapter]\nname = \"sim\"\n".to_owned(), "plugins.toml"),
        (refused(good("BAD1").keys("colour = 1")), "colour"),
        (refused(Entry::new("sim", "adapter_sim", "rate_hz = -1.0")), "rate_hz"),
        (refused(good("BAD2").keys(&zeros)), "is not the library that plugins.toml pins"),
        (refused(good("BAD3").keys("isolation = \"nonsense\"")), "nonsense"),
    ];
    for (number, (text, words)) in cases.iter().enumerate() {
        is_refused(&place, &mut client, text, words).await;
        let symbol = format!("MENDED{number}");
        place.save(&[good(&symbol)]);
        wait_for_symbol(&mut client, &symbol).await;
        let status = place.host.status().await;
        assert!(status["plugins_error"].is_null() && status["adapters"][0]["error"].is_null(), "{status}");
    }
    assert_eq!(place.adapters(&[]).0, Some(0));
}
