//! Both ends of the private endpoint on a real socket, and what a hostile process may try.

#![cfg(unix)]

use std::sync::atomic::{AtomicU64, Ordering};

use adapter_abi::{
    Depth, DepthLevel, Greeks, LogLevel, Ltp, Quote, StatusEvent, SubscriptionOutcome, field, greek,
};
use parking_lot::Mutex;
use secrecy::SecretString;
use tickhost_core::{
    intake::{Batch, Doorbell, Intake},
    model::FeedId,
};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::adapters::process::{
    batch,
    sender::{self, Endpoint},
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const SOON: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct Heard {
    ticks: Mutex<Vec<Ltp>>,
    greeks: Mutex<Vec<Greeks>>,
    replaced: AtomicU64,
    /// While it is locked, the host is busy elsewhere.
    gate: Mutex<()>,
}

impl AdapterEvents for Heard {
    fn ltp(&self, batch: &[Ltp]) -> PublishOutcome {
        let _busy = self.gate.lock();
        self.ticks.lock().extend_from_slice(batch);
        PublishOutcome::default()
    }

    fn quote(&self, _: &[Quote]) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn depth(&self, _: &[Depth], _: &[DepthLevel]) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn greeks(&self, batch: &[Greeks]) -> PublishOutcome {
        let _busy = self.gate.lock();
        self.greeks.lock().extend_from_slice(batch);
        PublishOutcome::default()
    }

    fn order_update(&self, _: &str) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn status(&self, _: StatusEvent) {}

    fn outcomes(&self, _: u64, _: &[SubscriptionOutcome]) {}

    fn credentials(&self) -> SecretString {
        SecretString::default()
    }

    fn log_level(&self) -> LogLevel {
        LogLevel::ERROR
    }

    fn log(&self, _: LogLevel, _: &str, _: &str, _: &str) {}

    fn replaced(&self, count: u32) {
        self.replaced.fetch_add(count.into(), Ordering::Relaxed);
    }

    fn invalid(&self, _: u64) {}

    fn lost(&self, _: u64) {}
}

fn tick(instrument: u32, number: u64) -> Ltp {
    Ltp { instrument, fields: field::LTP, seq: number, ..Ltp::default() }
}

fn intake() -> (Arc<Intake>, Arc<Doorbell>) {
    let doorbell = Doorbell::new();
    (Intake::new(FeedId(0), Arc::default(), Arc::clone(&doorbell)), doorbell)
}

/// Both ends on one runtime, the sender's intake filled by `publish` on another thread; gives what the host
/// heard.
fn carry(loopback: bool, publish: impl FnOnce(&Arc<Intake>, &Heard) + Send + 'static) -> (Arc<Heard>, u64) {
    let directory = tempfile::tempdir().unwrap();
    let heard = Arc::<Heard>::default();
    let (intake, doorbell) = intake();
    let counters = Arc::clone(intake.counters());
    let publisher = {
        let (heard, intake, doorbell) = (Arc::clone(&heard), Arc::clone(&intake), Arc::clone(&doorbell));
        std::thread::spawn(move || {
            publish(&intake, &heard);
            intake.close();
            doorbell.ring();
        })
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let host = runtime();
    let listener = host
        .block_on(async {
            if loopback { Listener::bind_loopback() } else { Listener::bind(directory.path()) }
        })
        .unwrap();
    let endpoint = Endpoint { address: listener.address().clone(), token: SecretString::from(TOKEN) };
    let child = std::thread::spawn(move || {
        runtime().block_on(async { sender::connect(&endpoint).await?.run(intake, doorbell).await })
    });
    let events = Arc::clone(&heard) as Arc<dyn AdapterEvents>;
    let received = host.block_on(async { tokio::time::timeout(SOON, run(listener, TOKEN, events)).await });
    received.expect("in time").expect("no error");
    child.join().unwrap().unwrap();
    publisher.join().unwrap();
    (heard, counters.conflated_intake.get())
}

#[test]
fn every_tick_arrives_in_order_while_the_host_keeps_up() {
    for loopback in [false, true] {
        let (heard, merged) = carry(loopback, |intake, _| {
            for number in 0..3_000 {
                intake.offer_ltp(&[tick(1, number), tick(2, number)]);
            }
        });
        let ticks = heard.ticks.lock();
        for instrument in [1, 2] {
            let numbers: Vec<u64> =
                ticks.iter().filter(|tick| tick.instrument == instrument).map(|tick| tick.seq).collect();
            assert_eq!(numbers, (0..3_000).collect::<Vec<_>>());
        }
        assert_eq!((merged, heard.replaced.load(Ordering::Relaxed)), (0, 0));
    }
}

#[test]
fn a_host_that_is_behind_gets_the_newest_of_each_and_hears_how_many_it_missed() {
    const ROUNDS: u64 = 4_000;
    let (heard, merged) = carry(false, |intake, heard| {
        let _busy = heard.gate.lock();
        for round in 1..=ROUNDS {
            let batch: Vec<Ltp> = (0..200).map(|instrument| tick(instrument, round)).collect();
            intake.offer_ltp(&batch);
        }
    });
    let ticks = heard.ticks.lock();
    for instrument in 0..200 {
        let newest = ticks.iter().rfind(|tick| tick.instrument == instrument).map(|tick| tick.seq);
        assert_eq!(newest, Some(ROUNDS));
    }
    let replaced = heard.replaced.load(Ordering::Relaxed);
    assert!(replaced > 0);
    assert_eq!(replaced, merged);
    assert_eq!(ticks.len() as u64 + replaced, ROUNDS * 200, "every tick is accounted for");
}

#[test]
fn greeks_arrive_merged_or_not_and_every_one_is_accounted_for() {
    const ROUNDS: i64 = 6_000;
    let greeks =
        |instrument: u32, delta: i64| Greeks { instrument, fields: greek::DELTA, delta, ..Greeks::default() };
    let (heard, _) = carry(false, move |intake, heard| {
        let _busy = heard.gate.lock();
        for round in 1..=ROUNDS {
            intake.offer_ltp(
                &(0..50).map(|instrument| tick(instrument, round.cast_unsigned())).collect::<Vec<_>>(),
            );
            intake.offer_greeks(&(0..50).map(|instrument| greeks(instrument, round)).collect::<Vec<_>>());
        }
    });
    let (ticks, read) = (heard.ticks.lock(), heard.greeks.lock());
    for instrument in 0..50 {
        let newest = read.iter().rfind(|greeks| greeks.instrument == instrument).map(|greeks| greeks.delta);
        assert_eq!(newest, Some(ROUNDS));
    }
    let replaced = heard.replaced.load(Ordering::Relaxed);
    assert!(replaced > 0);
    assert_eq!((ticks.len() + read.len()) as u64 + replaced, ROUNDS.cast_unsigned() * 100);
}

/// A frame, with its length.
fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_le_bytes(), body].concat()
}

/// A frame with ticks.
fn ticks(ticks: &[Ltp]) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch::encode(&Batch::Ltp(ticks.into()), |body| bytes.extend(frame(&body)));
    bytes
}

/// What becomes of a connection that says these bytes after the token and then closes or, if it `stays`, does
/// nothing more; and what was heard.
async fn says(pieces: &[&[u8]], stays: bool) -> (Result<(), ReceiveError>, Arc<Heard>) {
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path()).unwrap();
    let Address::Unix(path) = listener.address().clone() else { panic!("a socket in the folder") };
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let (closed, host_closed) = tokio::sync::oneshot::channel::<()>();
    let hostile = tokio::spawn(async move {
        let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
        stream.write_all(&frame(TOKEN.as_bytes())).await.unwrap();
        for piece in pieces {
            // The other end may have closed, and each piece is read alone, as far as that can be had.
            _ = stream.write_all(&piece).await;
            tokio::task::yield_now().await;
        }
        if stays {
            _ = host_closed.await;
        }
    });
    let heard = Arc::<Heard>::default();
    let events = Arc::clone(&heard) as Arc<dyn AdapterEvents>;
    let received = tokio::time::timeout(SOON, run(listener, TOKEN, events)).await.expect("in time");
    drop(closed);
    hostile.await.unwrap();
    (received, heard)
}

#[tokio::test]
async fn what_is_no_batch_ends_the_connection_and_costs_no_memory() {
    let hostile: [&[u8]; 7] = [
        // 4 GiB in one frame, claimed in four bytes.
        b"\xff\xff\xff\xff",
        // A byte more than may be.
        &(u32::try_from(MAX_FRAME_BYTES).unwrap() + 1).to_le_bytes(),
        // Nothing.
        b"\0\0\0\0",
        // Another protocol.
        b"GET / HTTP/1.1\r\n",
        // A frame that is no batch.
        b"\x03\0\0\0abc",
        // A batch that claims more records than it has.
        b"\x10\0\0\0\x01\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0",
        // A batch of no kind that there is.
        b"\x10\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ];
    for bytes in hostile {
        let good = ticks(&[tick(1, 1)]);
        let (received, heard) = says(&[&good, bytes], true).await;
        assert!(matches!(received, Err(ReceiveError::Nonsense)), "{bytes:?}: {received:?}");
        assert_eq!(heard.ticks.lock().len(), 1, "what came before it was whole");
    }
}

#[tokio::test]
async fn a_frame_in_pieces_is_one_and_an_end_within_it_is_told() {
    let whole = ticks(&[tick(1, 1), tick(2, 2)]);
    for cut in [1, 3, 4, 5, 19, 20, 21, whole.len() - 1] {
        let (first, second) = whole.split_at(cut);
        let (received, heard) = says(&[first, second, &whole], false).await;
        assert!(received.is_ok(), "{cut}: {received:?}");
        assert_eq!(heard.ticks.lock().len(), 4, "{cut}");
        let (received, heard) = says(&[&whole, first], false).await;
        assert!(matches!(received, Err(ReceiveError::Cut)), "{cut}: {received:?}");
        assert_eq!(heard.ticks.lock().len(), 2, "{cut}");
    }
}

#[test]
fn a_frame_that_only_begins_takes_the_memory_of_one_frame() {
    let mut taking = Ticks::default();
    let longest = u32::try_from(MAX_FRAME_BYTES).unwrap().to_le_bytes();
    let mut bytes = BytesMut::from(&longest[..]);
    assert_eq!(taking.take(&mut bytes, &Heard::default()).unwrap(), 0);
    assert!(!taking.is_whole(&bytes));
    assert!(bytes.capacity() <= 2 * MAX_FRAME_BYTES, "{}", bytes.capacity());
}

#[tokio::test]
async fn somebody_who_does_not_know_the_token_is_turned_away_and_the_process_is_still_heard() {
    let listener = Listener::bind_loopback().unwrap();
    let Address::Tcp(address) = *listener.address() else { panic!("a port") };
    let good_endpoint = Endpoint { address: listener.address().clone(), token: SecretString::from(TOKEN) };
    let heard = Arc::<Heard>::default();
    let events = Arc::clone(&heard) as Arc<dyn AdapterEvents>;
    let receiving = tokio::spawn(async move { run(listener, TOKEN, events).await });
    // Who says nothing, and more of them than would be waited for one after the other.
    let mut silent = Vec::new();
    for _ in 0..MAX_STRANGERS - 2 {
        silent.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let wrong = "x".repeat(TOKEN.len());
    for said in [frame(b"wrong"), frame(wrong.as_bytes()), frame(&[b'x'; TOKEN.len() + 1]), frame(b"")] {
        let mut stranger = tokio::net::TcpStream::connect(address).await.unwrap();
        stranger.write_all(&said).await.unwrap();
        let mut rest = Vec::new();
        let end = tokio::time::timeout(SOON, stranger.read_to_end(&mut rest)).await;
        // Closed, or reset with bytes that nobody read.
        assert_eq!(end.expect("in time").unwrap_or(0), 0);
    }
    let (intake, doorbell) = intake();
    intake.offer_ltp(&[tick(1, 1)]);
    intake.close();
    doorbell.ring();
    let begun = std::time::Instant::now();
    let connection = sender::connect(&good_endpoint).await.unwrap();
    let sent = tokio::time::timeout(SOON, connection.run(intake, doorbell)).await;
    sent.expect("in time").unwrap();
    assert!(begun.elapsed() < TOKEN_TIMEOUT, "nobody waited for the silent ones");
    tokio::time::timeout(SOON, receiving).await.expect("in time").unwrap().unwrap();
    assert_eq!(heard.ticks.lock().len(), 1);
    drop(silent);
}

#[tokio::test]
async fn a_process_that_ends_well_hears_that_everything_arrived_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path()).unwrap();
    let endpoint = Endpoint { address: listener.address().clone(), token: SecretString::from(TOKEN) };
    let (intake, doorbell) = intake();
    intake.offer_ltp(&[tick(1, 1)]);
    intake.close();
    doorbell.ring();
    let sending = tokio::spawn(async move { sender::connect(&endpoint).await?.run(intake, doorbell).await });
    // The host is busy elsewhere: it has the connection, and reads nothing.
    let (mut stream, bytes) = accept(&listener, TOKEN).await.unwrap();
    let mut bytes = bytes.to_vec();
    let mut length = [0; size_of::<u32>()];
    stream.read_exact(&mut length).await.unwrap();
    tokio::task::yield_now().await;
    assert!(!sending.is_finished(), "it waits for the host to have all of it");
    stream.read_to_end(&mut bytes).await.unwrap();
    assert!(!sending.is_finished(), "it waits for the host to say so");
    drop(stream);
    tokio::time::timeout(SOON, sending).await.expect("in time").unwrap().unwrap();
}

#[tokio::test]
async fn a_host_that_goes_away_is_an_error_and_no_wait() {
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path()).unwrap();
    let endpoint = Endpoint { address: listener.address().clone(), token: SecretString::from(TOKEN) };
    let (intake, doorbell) = intake();
    let offered = Arc::clone(&intake);
    let sending = tokio::spawn(async move { sender::connect(&endpoint).await?.run(offered, doorbell).await });
    drop(accept(&listener, TOKEN).await.unwrap());
    intake.offer_ltp(&[tick(1, 1)]);
    let sent = tokio::time::timeout(SOON, sending).await.expect("in time").unwrap();
    assert!(sent.is_err());
}
