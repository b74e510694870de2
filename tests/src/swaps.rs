//! A host with one adapter at an exchange that numbers its ticks, and the two ways to replace it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    Host, HostBuilder, SOON, binary,
    host::assert_ok,
    numbered::{Readers, Totals},
    venue::Venue,
    wait_until,
};
use clap::Args;

/// Frames that each client has before anything is measured, and after each swap.
const FRAMES_BETWEEN: u64 = 500;

/// Longest time for a swap: a new instance has 15 s to get ready.
const SWAPPED_WITHIN: Duration = Duration::from_secs(30);

/// Time for what is under way to arrive, once the exchange is silent, and for memory to be given back.
const REST: Duration = Duration::from_secs(1);

/// Name of the adapter, its broker and its user.
const NAME: &str = "sequence";

/// What flows while adapters are replaced.
#[derive(Clone, Copy, Debug, Args)]
pub struct Load {
    /// Clients, each with all symbols
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=250))]
    pub clients: u16,
    /// Symbols
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub symbols: u16,
    /// Ticks of each symbol in a second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub rate: u64,
    /// Times of ticks in whole seconds, as many brokers send them
    #[arg(long)]
    pub coarse_times: bool,
}

/// A running host under load.
#[derive(Debug)]
pub struct Bench {
    host: Host,
    venue: Venue,
    readers: Readers,
    /// What they had seen before anything was measured.
    before: Totals,
    /// The library that the host watches, and what it was made of.
    library: PathBuf,
    original: Vec<u8>,
}

impl Bench {
    /// Starts a host with this library, and waits until every client has ticks.
    pub async fn start(library: &str, isolation: &str, load: &Load) -> Self {
        let venue = Venue::start(load.symbols.into(), load.rate, load.coarse_times).await;
        let builder = HostBuilder::new()
            .env("TICKHOST_THROTTLE_MS", 0)
            .env("TICKHOST_LOG", "error,tickhost=info,adapter=off");
        let original = fs::read(binary::library(library)).expect("the library is built");
        let folder = builder.dir().join("brokers");
        fs::create_dir(&folder).expect("a folder for the library");
        let library = folder.join(format!("sequence{}", std::env::consts::DLL_SUFFIX));
        fs::write(&library, &original).expect("the library is copied");
        let text = format!(
            "[bus]\nbrokers = []\n\n[[adapter]]\nname = \"{NAME}\"\nlibrary = '{}'\nisolation = \"{isolation}\"\n\
             [adapter.config]\nvenue = \"{}\"\n",
            library.display(),
            venue.address,
        );
        let host = builder.plugins(&text).start();
        let key = host.add_user(NAME, NAME);
        let symbols: Vec<String> = venue.symbols().iter().map(|symbol| format!("NSE:{symbol}")).collect();
        let readers = Readers::start(&host, &key, load.clients.into(), |_| symbols.clone()).await;
        assert!(readers.hear(FRAMES_BETWEEN).await, "no ticks come");
        let before = readers.totals();
        Self { host, venue, readers, before, library, original }
    }

    /// Resident memory of the host in bytes, when it had a rest.
    pub async fn memory(&self) -> u64 {
        tokio::time::sleep(REST).await;
        self.host.memory_bytes()
    }

    /// Replaces the adapter by one that takes over when it is ready; gives how long it took, none when it
    /// failed.
    pub async fn swap(&mut self, number: u32) -> Option<Duration> {
        let before = self.swaps().await;
        let began = Instant::now();
        if number.is_multiple_of(2) {
            self.put_another_build(number);
        } else {
            self.reload();
        }
        while began.elapsed() < SWAPPED_WITHIN {
            let (swapped, failed) = self.swaps().await;
            if swapped > before.0 {
                let took = began.elapsed();
                assert!(self.readers.hear(FRAMES_BETWEEN).await, "ticks ended with swap {number}");
                return Some(took);
            }
            if failed > before.1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// Replaces the adapter by one that begins when it has ended; gives the longest gap that a client saw.
    pub async fn break_and_make(&mut self, number: u32) -> Duration {
        self.readers.forget();
        let before = self.venue.accepted();
        if number.is_multiple_of(2) {
            self.put_another_build(number);
        } else {
            self.reload();
        }
        wait_until("the new instance connects", || async { self.venue.accepted() > before }).await;
        assert!(self.readers.hear(FRAMES_BETWEEN).await, "ticks ended with swap {number}");
        self.readers.longest_gap()
    }

    /// Ends the ticks; gives what the clients saw, the ticks included that were lost last.
    pub async fn end(&self) -> Totals {
        let last = self.venue.fall_silent();
        assert_eq!(self.venue.too_slow(), 0, "an adapter did not read its ticks in time");
        let missing = || {
            let symbols = self.venue.symbols().iter().zip(&last);
            symbols.map(|(symbol, last)| self.readers.missing_at_end(symbol, *last)).sum::<u64>()
        };
        let deadline = Instant::now() + SOON;
        while missing() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // What would come twice has time to come.
        tokio::time::sleep(REST).await;
        let totals = self.readers.totals().since(self.before);
        Totals { lost: totals.lost + missing(), ..totals }
    }

    /// Ticks that were merged on their way because something was behind.
    pub async fn conflated(&self) -> f64 {
        let mut sum = 0.0;
        for name in [
            "tickhost_feed_conflated_link_total",
            "tickhost_feed_conflated_intake_total",
            "tickhost_feed_conflated_outbox_total",
            "tickhost_server_conflated_mailbox_total",
        ] {
            sum += self.host.metric(name).await;
        }
        sum
    }

    /// Ticks of new instances that the old ones had published already.
    pub async fn held_back(&self) -> f64 {
        self.host.metric("tickhost_feed_swaps_repeated_total").await
    }

    /// Swaps so far, and those that failed.
    async fn swaps(&self) -> (f64, f64) {
        (
            self.host.metric("tickhost_feed_swaps_total").await,
            self.host.metric("tickhost_feed_swaps_failed_total").await,
        )
    }

    /// Puts a file that is no library in the place of the library, and waits until the host has said so.
    pub async fn put_garbage(&self) {
        let fresh = self.library.with_extension("fresh");
        fs::write(&fresh, "no library").expect("the file is written");
        fs::rename(&fresh, &self.library).expect("it takes the place of the old one");
        wait_until("the host says what is wrong with it", || async {
            self.host.status().await["adapters"][0]["error"].is_string()
        })
        .await;
    }

    /// Another build: the same library with its number behind it, moved over the old one at once.
    fn put_another_build(&self, number: u32) {
        let fresh = self.library.with_extension("fresh");
        let build = [self.original.as_slice(), format!("build {number}").as_bytes()].concat();
        fs::write(&fresh, build).expect("the new build is written");
        fs::rename(&fresh, &self.library).expect("it takes the place of the old one");
    }

    fn reload(&self) {
        assert_ok(&self.host.run(&["adapters", "reload", NAME], ""));
    }
}
