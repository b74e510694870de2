//! A library is replaced in every way in which people replace files, good ones and bad ones, while ticks
//! flow.

use std::{fs, io::Write as _};

use integration_tests::{Client, wait_until};

use super::place::{Entry, ISOLATIONS, Place, put_library, rebuilt, replace, ticks_go_on};

const LIBRARY: &str = "adapter_faulty";

fn entry(isolation: &str) -> Entry {
    Entry::new("acme", LIBRARY, "rate_hz = 50.0")
        .keys(&format!("isolation = \"{isolation}\"\nbrokers = [\"sim\"]"))
}

async fn start(isolation: &str) -> (Place, Client) {
    let place = Place::start(&[entry(isolation)]);
    let mut client = Client::login(place.host.websocket, &place.host.key()).await;
    client.subscribe(&["NSE:SBIN", "NSE:TCS"], "LTP").await;
    ticks_go_on(&mut client).await;
    (place, client)
}

/// Waits until a build serves, and that the client has ticks of it.
async fn takes_over(place: &Place, client: &mut Client, generation: u64) {
    place.wait_for_generation("acme", generation).await;
    wait_until("the new instance took over", || async { place.swaps().await == generation - 1 }).await;
    ticks_go_on(client).await;
    let adapter = place.adapter("acme").await;
    assert!(adapter["error"].is_null() && adapter["state"] == "loaded", "{adapter}");
}

/// Waits until what is at the library's place is refused, while the same build as before serves.
async fn stays(place: &Place, client: &mut Client, words: &str) {
    let before = place.adapter("acme").await;
    place.wait_for_error("acme", words).await;
    let adapter = place.adapter("acme").await;
    assert_eq!((&adapter["sha256"], &adapter["generation"]), (&before["sha256"], &before["generation"]));
    assert!(adapter["error"].as_str().unwrap().contains("the one that runs stays"), "{adapter}");
    ticks_go_on(client).await;
}

#[tokio::test]
async fn a_build_that_is_renamed_into_place_takes_over_wherever_it_runs() {
    for isolation in ISOLATIONS {
        let (place, mut client) = start(isolation).await;
        let first = place.adapter("acme").await["sha256"].clone();
        replace(&place.library(LIBRARY), &rebuilt(LIBRARY, 1));
        takes_over(&place, &mut client, 2).await;
        let second = place.adapter("acme").await;
        assert_eq!(second["isolation"], isolation);
        assert_ne!(second["sha256"], first);
        let (code, said) = place.adapters(&[]);
        assert!(code == Some(0) && said.contains(isolation), "{code:?} {said}");
    }
}

#[tokio::test]
async fn a_build_that_is_copied_over_the_loaded_one_takes_over_when_it_is_whole() {
    let (place, mut client) = start("in-process").await;
    let library = place.library(LIBRARY);
    fs::write(&library, rebuilt(LIBRARY, 1)).unwrap();
    takes_over(&place, &mut client, 2).await;
    // A copy that pauses for so long that the half of it looks finished.
    let whole = rebuilt(LIBRARY, 2);
    let (half, rest) = whole.split_at(whole.len() / 2);
    let mut file = fs::File::create(&library).unwrap();
    file.write_all(half).unwrap();
    stays(&place, &mut client, "truncated").await;
    file.write_all(rest).unwrap();
    drop(file);
    takes_over(&place, &mut client, 3).await;
}

#[tokio::test]
async fn what_is_no_library_or_gone_changes_nothing_until_one_is_back() {
    let (place, mut client) = start("process").await;
    let library = place.library(LIBRARY);
    let whole = rebuilt(LIBRARY, 1);
    fs::OpenOptions::new().write(true).open(&library).unwrap().set_len(100_000).unwrap();
    stays(&place, &mut client, "truncated").await;
    replace(&library, b"The library was moved, see the wiki.\n");
    stays(&place, &mut client, "is no library for this machine").await;
    fs::remove_file(&library).unwrap();
    stays(&place, &mut client, "not found").await;
    replace(&library, &whole);
    takes_over(&place, &mut client, 2).await;
    fs::remove_dir_all(&place.brokers).unwrap();
    stays(&place, &mut client, "not found").await;
    fs::create_dir(&place.brokers).unwrap();
    put_library(&place.brokers, LIBRARY);
    takes_over(&place, &mut client, 3).await;
    // The directory that was made again is watched like the first.
    replace(&library, &rebuilt(LIBRARY, 4));
    takes_over(&place, &mut client, 4).await;
}
