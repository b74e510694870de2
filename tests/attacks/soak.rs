//! All attacks in turn against one host, for hours.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use integration_tests::{openalgo::Stored, process::adapters_of};
use serde_json::json;

use crate::{
    ATTACKS,
    healthy::{Healthy, Phase},
    memory::resident,
    raw::Raw,
    target::{self, Target},
};

/// Healthy clients that stay, and that come and go.
const STAYING: usize = 100;
const CHANGING: usize = 100;

/// Attacks for so long, and prints a line for each attack and a last one.
pub(crate) async fn run(lasting: Duration) {
    let target = Target::start(Stored::REAL);
    let healthy = Healthy::start(&target, STAYING).await;
    healthy.enter(Phase::Rest);
    let (is_over, changes, kills) =
        (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), AtomicU64::new(0));
    let changing: Vec<_> = (0..CHANGING)
        .map(|number| {
            let (address, key) = (target.host.websocket, target::bus_key());
            tokio::spawn(come_and_go(address, key, number as u64, Arc::clone(&is_over), Arc::clone(&changes)))
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(20)).await;
    println!(
        "| minute | attack | memory MiB | descriptors | threads | adapters killed | clients that came and went | healthy |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let began = Instant::now();
    for attack in ATTACKS.iter().cycle() {
        if began.elapsed() > lasting {
            break;
        }
        healthy.enter(Phase::Attack);
        let seen = (attack.run)(&target, Instant::now() + Duration::from_secs(10)).await;
        healthy.enter(Phase::Rest);
        for adapter in adapters_of(target.host.pid()) {
            kill(adapter.pid);
            kills.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        let count = |what: &str| {
            std::fs::read_dir(format!("/proc/{}/{what}", target.host.pid())).map_or(0, Iterator::count)
        };
        println!(
            "| {:.0} | {}: {seen} | {:.0} | {} | {} | {} | {} | {} |",
            began.elapsed().as_secs_f64() / 60.0,
            attack.name,
            resident(target.host.pid()) as f64 / f64::from(1 << 20),
            count("fd"),
            count("task"),
            kills.load(Ordering::Relaxed),
            changes.load(Ordering::Relaxed),
            healthy.found(),
        );
    }
    is_over.store(true, Ordering::Relaxed);
    for task in changing {
        _ = task.await;
    }
    println!("{}", healthy.stop().await);
}

/// A client that subscribes, reads for some seconds, and goes.
async fn come_and_go(
    address: std::net::SocketAddr,
    key: String,
    number: u64,
    is_over: Arc<AtomicBool>,
    changes: Arc<AtomicU64>,
) {
    for turn in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        let stay = Duration::from_millis(1_000 + (number * 7_919 + turn * 104_729) % 9_000);
        if let Some(mut raw) = Raw::login(address, &key).await {
            raw.send(
                &json!({"action": "subscribe", "symbols": ["NSE:H1", "NSE:H2", "NSE:H3"], "mode": "QUOTE"}),
            )
            .await;
            if raw.ended_within(stay).await.is_none() {
                changes.fetch_add(1, Ordering::Relaxed);
            }
        } else {
            tokio::time::sleep(stay).await;
        }
    }
}

fn kill(pid: u32) {
    let Ok(pid) = i32::try_from(pid) else { return };
    #[expect(unsafe_code, reason = "the standard library cannot send signals")]
    // SAFETY: a signal to a process that was an adapter of the host a moment ago.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
    }
}
