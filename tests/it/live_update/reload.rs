//! `tickhost adapters reload`: what it does, what it says, and its exit codes.

use std::fs;

use integration_tests::{Client, Host, HostBuilder};
use serde_json::{Value, json};

use super::place::{Entry, Place, ticks_go_on};

#[tokio::test]
async fn a_reload_starts_another_generation_though_nothing_changed() {
    let place = Place::start(&[Entry::sim_with("NEW0")]);
    let mut client = Client::login(place.host.websocket, &place.host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    let (code, said) = place.adapters(&["reload", "sim"]);
    assert!(code == Some(0) && said.contains("Loaded sim"), "{code:?} {said}");
    assert_eq!(place.adapter("sim").await["generation"], 2);
    integration_tests::wait_until("the new instance took over", || async { place.swaps().await == 1 }).await;
    ticks_go_on(&mut client).await;

    for name in ["nobody", "../sim", ""] {
        let (code, said) = place.adapters(&["reload", name]);
        assert!(code == Some(1) && said.contains("there is no adapter"), "{name}: {code:?} {said}");
        assert!(said.contains("plugins.toml"), "{said}");
    }
    fs::write(&place.file, "[[adapter]\n").unwrap();
    for name in ["sim", "nobody"] {
        let (code, said) = place.adapters(&["reload", name]);
        assert!(code == Some(1) && said.contains("plugins.toml:1: "), "{name}: {code:?} {said}");
        assert!(said.contains("Nothing was changed"), "{said}");
    }
    fs::write(&place.file, super::place::text(&[Entry::new("sim", "adapter_sim", "rate_hz = -1.0")]))
        .unwrap();
    let (code, said) = place.adapters(&["reload", "sim"]);
    assert!(code == Some(1) && said.contains("rate_hz") && said.contains("Nothing was changed"), "{said}");
    ticks_go_on(&mut client).await;
}

#[tokio::test]
async fn an_adapter_is_listed_all_the_time_while_it_is_loaded_again() {
    let place = Place::start(&[Entry::sim_with("NEW0")]);
    let mut command = place.host.command(&["adapters", "reload", "sim"]);
    let reloading = tokio::task::spawn_blocking(move || command.output().unwrap());
    while !reloading.is_finished() {
        let adapter = place.adapter("sim").await;
        assert_eq!(adapter["state"], "loaded", "{adapter}");
    }
    assert!(reloading.await.unwrap().status.success());
    assert_eq!(place.adapter("sim").await["generation"], 2);
}

#[tokio::test]
async fn without_a_host_a_reload_says_how_to_start_one() {
    let builder = HostBuilder::new();
    let output = builder.run(&["adapters", "reload", "sim"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("no host runs with the data folder") && said.contains("tickhost run"), "{said}");
}

/// `control.json` of a host.
fn control(host: &Host) -> (std::path::PathBuf, Value) {
    let path = host.data_dir().join("run/control.json");
    let content = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    (path, content)
}

#[tokio::test]
async fn a_host_that_was_started_by_others_is_not_touched() {
    let (mine, other) = (Host::start(), Host::start());
    let (path, own) = control(&mine);
    // What a host leaves that was killed, when another one got its port: nobody listens at its socket.
    fs::remove_file(path.with_file_name("control.sock")).unwrap();
    let stale = json!({"admin": other.admin, "pid": own["pid"], "token": own["token"]});
    fs::write(&path, stale.to_string()).unwrap();
    let output = mine.run(&["adapters", "reload", "sim"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for needle in ["another host", path.to_str().unwrap(), "TICKHOST_DATA_DIR"] {
        assert!(said.contains(needle), "nothing about {needle} in: {said}");
    }
    assert!(!said.contains(own["token"].as_str().unwrap()), "{said}");
    assert_eq!(other.status().await["adapters"][0]["generation"], 1);
    // What one leaves when nobody got its port.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fs::write(&path, json!({"admin": gone, "pid": own["pid"], "token": own["token"]}).to_string()).unwrap();
    let output = mine.run(&["adapters", "reload", "sim"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("no host runs with the data folder"), "{said}");
    fs::write(&path, stale.to_string()).unwrap();
    // Nor is the other one's truth shown as that of this one.
    let listed = mine.run(&["adapters"], "");
    let said = String::from_utf8_lossy(&listed.stdout);
    assert!(!said.contains(&other.admin.to_string()), "{said}");

    fs::write(&path, "{").unwrap();
    let output = mine.run(&["adapters", "reload", "sim"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(path.to_str().unwrap()), "{said}");
}
