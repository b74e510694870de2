//! Both ends of the private endpoint on a real socket, and what a hostile process may try.

#![cfg(unix)]

use std::sync::atomic::{AtomicU64, Ordering};

use adapter_abi::{Depth, DepthLevel, LogLevel, Ltp, Quote, StatusEvent, SubscriptionOutcome, field};
use parking_lot::Mutex;
use tickhost_core::{
    intake::{Doorbell, Intake},
    model::FeedId,
};
use tokio::io::AsyncWriteExt as _;
use zeroize::Zeroizing;

use super::*;
use crate::{
    adapters::process::sender::{self, Endpoint, Taken},
    bus::zmtp::frame::push_command,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const SOON: Duration = Duration::from_secs(20);

#[derive(Debug, Default)]
struct Heard {
    ticks: Mutex<Vec<Ltp>>,
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

    fn order_update(&self, _: &str) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn status(&self, _: StatusEvent) {}

    fn outcomes(&self, _: u64, _: &[SubscriptionOutcome]) {}

    fn credentials(&self) -> Zeroizing<String> {
        Zeroizing::default()
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

/// Both ends on one runtime, the sender's intake filled by `publish` on another thread; gives what the host heard.
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
    let endpoint =
        Endpoint { address: listener.address().to_owned(), token: Zeroizing::new(TOKEN.to_owned()) };
    let taken = Arc::<Taken>::default();
    let child = {
        let taken = Arc::clone(&taken);
        std::thread::spawn(move || {
            runtime().block_on(async {
                let socket = sender::connect(&endpoint).await?;
                sender::run(socket, intake, doorbell, taken).await
            })
        })
    };
    let events = Arc::clone(&heard) as Arc<dyn AdapterEvents>;
    let received = host.block_on(async {
        tokio::time::timeout(SOON, run(listener, TOKEN, events, |bytes| taken.set(bytes))).await
    });
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

/// What becomes of a connection that says these bytes after a good greeting, READY and token.
async fn says(bytes: Vec<u8>) -> Result<(), ReceiveError> {
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path()).unwrap();
    let path = listener.address().trim_start_matches("ipc://").to_owned();
    let hostile = tokio::spawn(async move {
        let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
        let mut all = greeting().to_vec();
        push_ready(&mut all, b"PUSH");
        all.extend_from_slice(&[0, u8::try_from(TOKEN.len()).unwrap()]);
        all.extend_from_slice(TOKEN.as_bytes());
        all.extend_from_slice(&bytes);
        stream.write_all(&all).await.unwrap();
        // The other end closes; until then this one stays open.
        let mut rest = Vec::new();
        let _end = stream.read_to_end(&mut rest).await;
    });
    let events = Arc::<Heard>::default();
    let received = tokio::time::timeout(SOON, run(listener, TOKEN, events, |_| {})).await.expect("in time");
    hostile.abort();
    received
}

#[tokio::test]
async fn what_is_no_batch_ends_the_connection_and_costs_no_memory() {
    let mut command = Vec::new();
    push_command(&mut command, b"\x04PING\0\0");
    let hostile = [
        // 32 GiB in one frame, claimed in nine bytes.
        b"\x02\0\0\0\x08\0\0\0\0".to_vec(),
        b"\x02\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        // Parts, commands, reserved bits.
        b"\x01\x01a".to_vec(),
        command,
        b"\x80\x01a".to_vec(),
        // A frame that is no batch.
        b"\0\x03abc".to_vec(),
        // A batch that claims more records than it has.
        b"\0\x10\x01\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0".to_vec(),
    ];
    for bytes in hostile {
        let shown = format!("{bytes:?}");
        assert!(matches!(says(bytes).await, Err(ReceiveError::Nonsense)), "{shown}");
    }
}

#[tokio::test]
async fn somebody_who_does_not_know_the_token_is_turned_away_and_the_process_is_still_heard() {
    let listener = Listener::bind_loopback().unwrap();
    let address = listener.address().trim_start_matches("tcp://").to_owned();
    let good_endpoint =
        Endpoint { address: listener.address().to_owned(), token: Zeroizing::new(TOKEN.to_owned()) };
    let heard = Arc::<Heard>::default();
    let events = Arc::clone(&heard) as Arc<dyn AdapterEvents>;
    let taken = Arc::<Taken>::default();
    let acknowledged = Arc::clone(&taken);
    let receiving =
        tokio::spawn(async move { run(listener, TOKEN, events, |bytes| acknowledged.set(bytes)).await });
    let mut stranger = tokio::net::TcpStream::connect(&address).await.unwrap();
    let mut all = greeting().to_vec();
    push_ready(&mut all, b"PUSH");
    all.extend_from_slice(b"\0\x05wrong");
    stranger.write_all(&all).await.unwrap();
    let mut rest = Vec::new();
    let _end = stranger.read_to_end(&mut rest).await;
    let (intake, doorbell) = intake();
    intake.offer_ltp(&[tick(1, 1)]);
    intake.close();
    doorbell.ring();
    let socket = sender::connect(&good_endpoint).await.unwrap();
    let sent = tokio::time::timeout(SOON, sender::run(socket, intake, doorbell, taken)).await;
    sent.expect("in time").unwrap();
    tokio::time::timeout(SOON, receiving).await.expect("in time").unwrap().unwrap();
    assert_eq!(heard.ticks.lock().len(), 1);
}
