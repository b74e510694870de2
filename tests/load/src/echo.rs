//! What no server between two cores can go below: a tick's way without any server, one byte there and back.
//!
//! A core that sleeps takes a while to wake, most of all in a virtual machine. A server that is woken by a
//! publisher on another core and wakes a client there pays for it twice.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use anyhow::bail;
use hdrhistogram::Histogram;

use crate::{
    clock::{now_us, sleep_until},
    process,
};

/// Sends a few bytes to a thread on the server's cores and back, `per_second` times a second, and prints how
/// long that took from the moment at which it was due.
pub(crate) fn run(
    server_cores: &[usize],
    load_cores: &[usize],
    per_second: u64,
    seconds: f64,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server_cores = server_cores.to_vec();
    let server = std::thread::spawn(move || -> anyhow::Result<()> {
        process::bind(&server_cores)?;
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut bytes = [0; 64];
        loop {
            match stream.read(&mut bytes)? {
                0 => return Ok(()),
                read => stream.write_all(bytes.get(..read).unwrap_or_default())?,
            }
        }
    });
    process::bind(load_cores)?;
    process::sleep_precisely()?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let (mut late, mut there_and_back) =
        (Histogram::<u64>::new_with_bounds(1, 60_000_000, 3)?, Histogram::new_with_bounds(1, 60_000_000, 3)?);
    let start = now_us();
    let every = 1_000_000 / per_second.clamp(1, 1_000_000);
    for n in 1.. {
        let due = start + n * every;
        if due > start + (seconds * 1e6) as u64 {
            break;
        }
        sleep_until(due);
        late.saturating_record(now_us().saturating_sub(due).max(1));
        stream.write_all(&[1; 8])?;
        stream.read_exact(&mut [0; 8])?;
        there_and_back.saturating_record(now_us().saturating_sub(due).max(1));
    }
    drop(stream);
    let Ok(ended) = server.join() else { bail!("the echo panicked") };
    ended?;
    for (what, histogram) in [("timer", &late), ("there and back", &there_and_back)] {
        println!(
            "{what:16} p50 {} us, p99 {} us, after it was due",
            histogram.value_at_quantile(0.5),
            histogram.value_at_quantile(0.99)
        );
    }
    Ok(())
}
