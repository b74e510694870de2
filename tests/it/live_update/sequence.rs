//! Every number of every symbol arrives once and in order, while one build after the other takes over.

use std::collections::BTreeMap;

use integration_tests::{Client, wait_until};
use serde_json::Value;
use tokio::sync::watch;

use super::{
    place::{Entry, ISOLATIONS, Place, rebuilt, replace},
    venue::Venue,
};

const LIBRARY: &str = "adapter_faulty";
const SYMBOLS: usize = 20;
const RATE_HZ: u32 = 50;
const SWAPS: u64 = 5;

/// Numbers by symbol, as they came.
type Seen = BTreeMap<String, Vec<u64>>;

/// The number in a tick; `None` of what only repeats.
fn number(tick: &Value) -> Option<u64> {
    if tick.get("snapshot").is_some() {
        return None;
    }
    // The fault kit's price is one more than the number, and both are far below what a float holds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number above zero")]
    tick["data"]["ltp"].as_f64().map(|price| price as u64 - 1)
}

/// Reads until the numbers that it is told of have come.
async fn read(mut client: Client, mut until: watch::Receiver<Option<BTreeMap<String, u64>>>) -> Seen {
    let mut seen = Seen::new();
    loop {
        let tick = client.tick().await;
        let Some(number) = number(&tick) else { continue };
        seen.entry(tick["symbol"].as_str().unwrap().to_owned()).or_default().push(number);
        let until = until.borrow_and_update();
        let has_all = until.as_ref().is_some_and(|until| {
            until.iter().all(|(symbol, last)| {
                seen.get(symbol).and_then(|numbers| numbers.last()).is_some_and(|number| number >= last)
            })
        });
        if has_all {
            return seen;
        }
    }
}

/// An adapter of the venue whose symbols are spread over so many connections.
fn entry(venue: &Venue, isolation: &str, connections: u64) -> Entry {
    let share = SYMBOLS.div_ceil(usize::try_from(connections).unwrap());
    let keys = format!(
        "isolation = \"{isolation}\"\nbrokers = [\"sim\"]\nconnections = {connections}\nsymbols_per_connection = {share}"
    );
    Entry::new("acme", LIBRARY, &format!("venue = \"{}\"", venue.address)).keys(&keys)
}

/// `swap` changes something for the so-many-th time.
async fn no_number_is_lost_or_repeated(
    isolation: &str,
    connections: u64,
    swap: impl Fn(&Place, &Venue, u64),
) {
    let symbols: Vec<String> = (0..SYMBOLS).map(|number| format!("S{number}")).collect();
    let venue = Venue::start(&symbols, RATE_HZ).await;
    let place = Place::start(&[entry(&venue, isolation, connections)]);
    let mut client = Client::login(place.host.websocket, &place.host.key()).await;
    let names: Vec<String> = symbols.iter().map(|symbol| format!("NSE:{symbol}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(client.subscribe(&names, "LTP").await["status"], "success");
    let (tell_end, end) = watch::channel(None);
    let reader = tokio::spawn(read(client, end));
    for number in 1..=SWAPS {
        swap(&place, &venue, number);
        wait_until(&format!("swap {number}"), || async { place.swaps().await == number * connections }).await;
    }
    let connected = usize::try_from(connections).unwrap();
    wait_until("the last old instances have gone", || async { venue.connections().1 == connected }).await;
    tell_end.send_replace(Some(venue.numbers()));
    let seen = reader.await.unwrap();

    assert_eq!(seen.len(), SYMBOLS);
    for (symbol, numbers) in seen {
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        let expected: Vec<u64> = (first..=last).collect();
        let odd: Vec<&[u64]> = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).collect();
        assert_eq!(numbers, expected, "{isolation}: {symbol} has {odd:?}");
    }
    let (accepted, _, most) = venue.connections();
    assert_eq!(accepted, (SWAPS + 1) * connections, "each instance connects once");
    assert!(most > usize::try_from(connections).unwrap(), "a new instance comes before the old one goes");
    let feed = place.feed().await;
    let lost = ["dropped_invalid", "conflated_intake", "conflated_link", "swaps_failed"];
    assert!(lost.iter().all(|counter| feed["counters"][counter] == 0), "{feed}");
}

fn rename(place: &Place, _venue: &Venue, number: u64) {
    replace(&place.library(LIBRARY), &rebuilt(LIBRARY, number));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_is_lost_or_repeated_between_processes() {
    no_number_is_lost_or_repeated("process", 2, rename).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_is_lost_or_repeated_within_the_host() {
    no_number_is_lost_or_repeated("in-process", 1, rename).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_is_lost_or_repeated_from_a_process_to_the_host_and_back() {
    no_number_is_lost_or_repeated("process", 1, |place, venue, number| {
        let isolation = ISOLATIONS[usize::from(number % 2 == 1)];
        place.save(&[entry(venue, isolation, 1)]);
    })
    .await;
}
