//! One fault in one mode.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use integration_tests::{
    Client, Host, HostBuilder,
    host::assert_ok,
    numbered::{Readers, Totals},
    wait_until,
};
use serde_json::json;

use super::catalogue::{Fault, How};

/// Clients of the adapter that is well.
pub(crate) const CLIENTS: usize = 100;

/// Ticks of that adapter.
pub(crate) const TICKS_PER_SECOND: usize = INSTRUMENTS * RATE_HZ;

/// Clients of the adapter that has the fault.
pub(crate) const VICTIMS: usize = 10;

/// Instruments of the adapter that is well, one for each of its clients.
const INSTRUMENTS: usize = 100;
const RATE_HZ: usize = 100;

/// Faults of one feed: one less than what makes a host leave an adapter alone.
const SERIES: u32 = 4;

/// Frames that each client has before anything is measured.
const WARM_UP_FRAMES: u64 = 200;

/// Frames of the faulty adapter between two faults.
const FRAMES_BETWEEN: u64 = 5;

/// How long a fault is looked at after which no new connection follows.
const LOOKED_AT: Duration = Duration::from_millis(300);

/// Longest time until the fault has begun.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);

/// Longest time until it is over.
const BACK_WITHIN: Duration = Duration::from_secs(30);

/// Rest before memory is looked at.
const REST: Duration = Duration::from_secs(1);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How often it happened.
    pub(crate) repeats: u32,
    /// What the clients of the other adapter saw.
    pub(crate) others: Totals,
    /// Clients of the faulty adapter that lost their connection.
    pub(crate) victims_gone: u64,
    /// Times that ticks did not come back.
    pub(crate) not_back: u32,
    /// From the fault to the first tick after it.
    pub(crate) back_us: Histogram<u64>,
    /// Resident memory of the host in bytes.
    pub(crate) memory_before: u64,
    pub(crate) memory_after: u64,
}

fn plugins(fault: &Fault, isolation: &str, trigger: &Path) -> String {
    let Fault { name, more, .. } = fault;
    let folder = trigger.parent().unwrap_or(trigger).display();
    let trigger = trigger.display();
    format!(
        "[bus]\nbrokers = []\n\n[[adapter]]\nname = \"steady\"\nlibrary = \"adapter_faulty\"\n\
         isolation = \"{isolation}\"\nthrottle_ms = 0\n[adapter.config]\nrate_hz = {RATE_HZ}.0\n\n\
         [[adapter]]\nname = \"victim\"\nlibrary = \"adapter_faulty\"\nisolation = \"{isolation}\"\n\
         writable = ['{folder}']\n{more}\n[adapter.config]\nrate_hz = 50.0\nfault = \"{name}\"\ntrigger = '{trigger}'\n"
    )
}

/// Measures one fault.
pub(crate) async fn measure(fault: &Fault, isolation: &str, repeats: u32, limit: Duration) -> Outcome {
    let builder = HostBuilder::new()
        // A feed ends with its last client.
        .env("TICKHOST_FEED_LINGER_SECONDS", 0)
        .env("TICKHOST_LOG", "error,tickhost=info,adapter=off");
    let trigger = builder.dir().join("now");
    let text = plugins(fault, isolation, &trigger);
    let host = builder.plugins(&text).start();
    let steady_key = host.add_user("steady", "steady");
    let bench = Bench { fault, key: host.add_user("victim", "victim"), host, trigger };
    let steady = Readers::start(&bench.host, &steady_key, CLIENTS, |number| {
        vec![format!("NSE:S{}", number % INSTRUMENTS)]
    })
    .await;
    assert!(steady.hear(WARM_UP_FRAMES).await, "the other adapter does not tick");
    let before = steady.totals();
    let mut outcome = Outcome {
        repeats: 0,
        others: Totals::default(),
        victims_gone: 0,
        not_back: 0,
        back_us: Histogram::new(3).expect("a histogram"),
        memory_before: 0,
        memory_after: 0,
    };
    // Once without the fault, so that what the first feed of an adapter costs is not counted as a leak.
    let victims = bench.log_in().await;
    bench.log_out(victims).await;
    tokio::time::sleep(REST).await;
    outcome.memory_before = bench.host.memory_bytes();
    let end = Instant::now() + limit;
    while outcome.repeats < repeats && Instant::now() < end {
        bench.series(SERIES.min(repeats - outcome.repeats), end, &mut outcome).await;
    }
    tokio::time::sleep(REST).await;
    outcome.memory_after = bench.host.memory_bytes();
    outcome.others = steady.totals().since(before);
    outcome
}

struct Bench<'a> {
    fault: &'a Fault,
    host: Host,
    key: String,
    trigger: PathBuf,
}

impl Bench<'_> {
    async fn log_in(&self) -> Readers {
        let victims = Readers::start(&self.host, &self.key, VICTIMS, |_| vec!["NSE:SBIN".to_owned()]).await;
        assert!(victims.hear(FRAMES_BETWEEN).await, "the faulty adapter does not tick when it is well");
        victims
    }

    /// Gives the clients that had lost their connection before.
    async fn log_out(&self, victims: Readers) -> u64 {
        let gone = victims.leave();
        wait_until("the feed ends", || async {
            let status = self.host.status().await;
            let feeds = status["feeds"].as_array().expect("a list");
            feeds.iter().all(|feed| feed["adapter"] != "victim")
        })
        .await;
        gone
    }

    /// Lets the fault happen to one feed so many times.
    async fn series(&self, repeats: u32, end: Instant, outcome: &mut Outcome) {
        let victims = self.log_in().await;
        let mut talker = Client::login(self.host.websocket, &self.key).await;
        for _ in 0..repeats {
            victims.forget();
            let began = self.bring_about(&mut talker, outcome.repeats).await;
            outcome.repeats += 1;
            let Some(back) = self.is_back(&victims).await else {
                outcome.not_back += 1;
                break;
            };
            if self.fault.starts_over {
                let took = back.saturating_duration_since(began).as_micros();
                outcome.back_us.record(u64::try_from(took).unwrap_or(u64::MAX)).expect("a value in range");
            }
            if !victims.hear(FRAMES_BETWEEN).await {
                outcome.not_back += 1;
                break;
            }
            if Instant::now() >= end {
                break;
            }
        }
        drop(talker);
        outcome.victims_gone += self.log_out(victims).await;
    }

    /// Makes the fault happen; gives the moment at which it began.
    async fn bring_about(&self, talker: &mut Client, number: u32) -> Instant {
        if self.fault.how == How::Refusal {
            let symbols = [format!("NSE:SECRET{number}")];
            talker.send(&json!({"action": "subscribe", "symbols": symbols, "mode": "LTP"})).await;
            // News of the symbol that was refused before may come first.
            talker.find(|message| message["type"] == "subscribe").await;
        }
        std::fs::write(&self.trigger, "").expect("the trigger is written");
        match self.fault.how {
            How::WhileFile => return Instant::now(),
            How::File | How::Refusal => {}
            How::Subscription => {
                // What is held already is not asked for again.
                for action in ["unsubscribe", "subscribe"] {
                    let request = json!({"action": action, "symbols": ["NSE:PANIC"], "mode": "LTP"});
                    talker.send(&request).await;
                }
            }
            How::Credentials => {
                let credentials = json!({"access_token": format!("token number {number}")}).to_string();
                assert_ok(&self.host.run(&["account", "set", "victim", "victim"], &credentials));
            }
        }
        let deadline = Instant::now() + BEGINS_WITHIN;
        while self.trigger.exists() {
            assert!(Instant::now() < deadline, "{} does not happen", self.fault.name);
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        Instant::now()
    }

    /// Waits until the fault is over; none when it is not in time.
    async fn is_back(&self, victims: &Readers) -> Option<Instant> {
        if !self.fault.starts_over {
            tokio::time::sleep(LOOKED_AT).await;
            if self.fault.how == How::WhileFile {
                std::fs::remove_file(&self.trigger).expect("the trigger is there");
            }
            return Some(Instant::now());
        }
        let deadline = Instant::now() + BACK_WITHIN;
        while Instant::now() < deadline {
            if let Some(back) = victims.all_began_again() {
                return Some(back);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        None
    }
}
