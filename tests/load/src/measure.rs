//! One measurement: a server on its cores, the clients and the publisher on the others, and what came of it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use anyhow::{Context as _, bail};
use integration_tests::{Host, HostBuilder, PLUGINS};

use crate::{
    clients::{Clients, Seen},
    clock::{epoch_us, now_us},
    process,
    publisher::{self, Kind, Style},
    shape::{Behaviour, Schedule, Shape},
};

/// The synthetic exchange falls silent so long after the end of the measurement, or sooner if connecting took
/// time.
const SIM_SPARE_US: u64 = 4_000_000;

/// From the last client's answer to the first tick.
const PREPARATION_US: u64 = 1_000_000;

/// How to measure.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) server_cores: Vec<usize>,
    pub(crate) load_cores: Vec<usize>,
    pub(crate) warm_up_us: u64,
    pub(crate) measured_us: u64,
    pub(crate) throttle_ms: u32,
    pub(crate) burst: u64,
    pub(crate) floor_interval_us: u64,
    pub(crate) style: Style,
    /// Where the synthetic exchange runs.
    pub(crate) isolation: &'static str,
}

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Server {
    /// Tickhost, fed through its bus
    Host,
    /// Frames that were encoded before, one send for each client and millisecond
    Floor,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seen: Seen,
    /// Deliveries that reading clients were due in the measured time.
    pub(crate) expected: f64,
    pub(crate) seconds: f64,
    /// Processor seconds of the server in the measured time.
    pub(crate) cpu: f64,
    pub(crate) connect_seconds: f64,
    pub(crate) memory_idle: u64,
    pub(crate) memory_connected: u64,
    pub(crate) memory_loaded: u64,
    pub(crate) memory_after: u64,
    /// Pairs with the newest value at the end, of all: readers, slow and stopped ones.
    pub(crate) newest: [(usize, usize); 3],
    pub(crate) closed: std::collections::BTreeMap<String, usize>,
    /// Ticks that the host took, of those that were sent; none of the floor.
    pub(crate) taken: Option<(u64, u64)>,
}

/// Measures once.
pub(crate) fn run(server: Server, shape: &Shape, setup: &Setup) -> anyhow::Result<Outcome> {
    process::bind(&setup.server_cores)?;
    let mut running = Running::start(server, shape, setup)?;
    process::bind(&setup.load_cores)?;
    let memory_idle = process::memory_bytes(running.pid());
    let (mut clients, connect_seconds) = Clients::connect(running.address(), running.key(), shape)?;
    let memory_connected = process::memory_bytes(running.pid());
    let schedule = Schedule {
        start_us: now_us() + PREPARATION_US,
        ticks_per_second: shape.ticks_per_second(),
        symbols: shape.symbols,
        burst: setup.burst,
    };
    running.begin(schedule, setup)?;
    let from = schedule.start_us + setup.warm_up_us;
    let until = from + setup.measured_us;
    // The synthetic exchange stamps with the time of day.
    let is_sim = server == Server::Host && setup.style.kind == Kind::Sim;
    clients.measure(from, until, if is_sim { epoch_us() } else { 0 });
    clients.read_until(from, shape)?;
    let (cpu_before, began) = (process::cpu_seconds_with_children(running.pid()), now_us());
    clients.read_until(until, shape)?;
    let (cpu, ended) = (process::cpu_seconds_with_children(running.pid()) - cpu_before, now_us());
    let memory_loaded = process::memory_bytes(running.pid());
    let pid = running.pid();
    let (sent, taken) = running.end(&mut clients, shape)?;
    // Without a count of the publisher, the newest that anybody has must be all that the host took.
    let last = sent.map_or_else(|| clients.newest_of_each(shape), |sent| schedule.last_of_each(sent));
    let sent = sent.unwrap_or_else(|| last.iter().sum());
    let newest_of = |symbol: usize| last.get(symbol).copied().unwrap_or(0);
    let newest = [Behaviour::Reads, Behaviour::Slow, Behaviour::Stopped]
        .map(|behaviour| clients.newest(shape, newest_of, behaviour));
    let closed = clients.closed();
    let seen = clients.seen;
    Ok(Outcome {
        seen,
        expected: shape.ticks_per_second() as f64 * shape.reading_fan_out() * setup.measured_us as f64 / 1e6,
        seconds: (ended - began) as f64 / 1e6,
        cpu,
        connect_seconds,
        memory_idle,
        memory_connected,
        memory_loaded,
        memory_after: process::memory_bytes(pid),
        newest,
        closed,
        taken: taken.map(|taken| (taken, sent)),
    })
}

/// A server under measurement.
enum Running {
    Host {
        host: Box<Host>,
        key: String,
        publisher: Option<(JoinHandle<anyhow::Result<u64>>, Arc<AtomicBool>)>,
    },
    Floor {
        child: Child,
        stdin: Option<ChildStdin>,
        stdout: BufReader<ChildStdout>,
        address: SocketAddr,
    },
}

impl Running {
    fn start(server: Server, shape: &Shape, setup: &Setup) -> anyhow::Result<Self> {
        match server {
            Server::Host => {
                let is_sim = setup.style.kind == Kind::Sim;
                let host = HostBuilder::new()
                    .plugins(&if is_sim { sim_plugins(shape, setup) } else { PLUGINS.to_owned() })
                    .env("TICKHOST_THROTTLE_MS", setup.throttle_ms)
                    .env("TICKHOST_SHARDS", setup.server_cores.len())
                    .env("TICKHOST_LOG", "warn,tickhost=info")
                    .env("TICKHOST_MAX_CONNECTIONS_PER_KEY", 10_000)
                    .env("TICKHOST_MAX_CONNECTIONS_PER_ADDRESS", 10_000)
                    // Readers that stop are kept longer than a measurement takes.
                    .env("WS_PING_INTERVAL", 120)
                    .env("TICKHOST_WRITE_TIMEOUT_SECONDS", 600)
                    .start();
                let key = host.add_user("load", if is_sim { "sim" } else { "bus" });
                Ok(Self::Host { host: Box::new(host), key, publisher: None })
            }
            Server::Floor => {
                let mut child = Command::new(std::env::current_exe()?)
                    .arg("serve-floor")
                    .args(["--clients", &shape.clients.to_string(), "--held", &shape.held.to_string()])
                    .args(["--symbols", &shape.symbols.to_string(), "--rate", &shape.rate.to_string()])
                    .args(["--blind", &shape.blind.to_string()])
                    .args(["--mode", &shape.mode.to_string()])
                    .args(["--burst", &setup.burst.to_string()])
                    .args(["--interval-us", &setup.floor_interval_us.to_string()])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .context("cannot start the floor")?;
                let mut line = String::new();
                let mut stdout = BufReader::new(child.stdout.take().context("no output of the floor")?);
                stdout.read_line(&mut line)?;
                let address = line.trim().parse().context("the floor's address")?;
                let stdin = child.stdin.take();
                Ok(Self::Floor { child, stdin, stdout, address })
            }
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Host { host, .. } => host.pid(),
            Self::Floor { child, .. } => child.id(),
        }
    }

    const fn address(&self) -> SocketAddr {
        match self {
            Self::Host { host, .. } => host.websocket,
            Self::Floor { address, .. } => *address,
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::Host { key, .. } => key,
            Self::Floor { .. } => "",
        }
    }

    fn begin(&mut self, schedule: Schedule, setup: &Setup) -> anyhow::Result<()> {
        match self {
            Self::Host { .. } if setup.style.kind == Kind::Sim => {}
            Self::Host { host, publisher, .. } => {
                let (bus, style, stop) = (host.bus, setup.style.clone(), Arc::new(AtomicBool::new(false)));
                let stopped = Arc::clone(&stop);
                let thread = std::thread::Builder::new()
                    .name("publisher".to_owned())
                    .spawn(move || publisher::run(bus, &style, schedule, &stopped))?;
                *publisher = Some((thread, stop));
            }
            Self::Floor { stdin, .. } => {
                let stdin = stdin.as_mut().context("the floor has ended")?;
                writeln!(stdin, "{}", schedule.start_us)?;
                stdin.flush()?;
            }
        }
        Ok(())
    }

    /// Stops the ticks, or waits until they stop, lets everybody read what is left, and stops the server.
    /// Returns the ticks sent, if that is known, and those that the host took.
    fn end(&mut self, clients: &mut Clients, shape: &Shape) -> anyhow::Result<(Option<u64>, Option<u64>)> {
        match self {
            Self::Host { host, publisher, .. } => {
                let sent = match publisher.take() {
                    None => None,
                    Some((thread, stop)) => {
                        stop.store(true, Ordering::Relaxed);
                        while !thread.is_finished() {
                            clients.read_until(now_us() + 5_000, shape)?;
                        }
                        let Ok(sent) = thread.join() else { bail!("the publisher panicked") };
                        Some(sent?)
                    }
                };
                clients.drain(shape)?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let taken = runtime.block_on(host.metric("tickhost_feed_received_total"));
                Ok((sent, Some(taken as u64)))
            }
            Self::Floor { child, stdin, stdout, .. } => {
                drop(stdin.take());
                clients.drain(shape)?;
                let mut line = String::new();
                stdout.read_line(&mut line)?;
                child.kill()?;
                child.wait()?;
                Ok((Some(line.trim().parse().context("the floor's count")?), None))
            }
        }
    }
}

/// The synthetic exchange with the symbols of a shape, each at the same mean rate, until the measurement has
/// ended.
fn sim_plugins(shape: &Shape, setup: &Setup) -> String {
    let rate_hz = shape.ticks_per_second() as f64 / shape.symbols as f64;
    let mute_after_ms =
        (PREPARATION_US + setup.warm_up_us + setup.measured_us + SIM_SPARE_US).div_ceil(1_000);
    let instruments: Vec<String> = (0..shape.symbols)
        .map(|symbol| format!("{{ exchange = \"NSE\", symbol = \"S{symbol}\", price = 500 }}"))
        .collect();
    format!(
        "[[adapter]]\nname = \"sim\"\nlibrary = \"adapter_sim\"\nisolation = \"{}\"\n\n[adapter.config]\nseed = 1\nstamps = true\n\
         rate_hz = {rate_hz:.4}\nfaults = {{ mute_after_ms = {mute_after_ms} }}\ninstruments_extra = [{}]\n",
        setup.isolation,
        instruments.join(", ")
    )
}
