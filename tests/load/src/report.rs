//! What a measurement looks like on the screen.

use crate::{
    measure::{Outcome, Server},
    shape::Shape,
};

const MIB: f64 = 1_048_576.0;

impl Outcome {
    /// Deliveries in a second of measured time.
    pub(crate) fn rate(&self) -> f64 {
        self.seen.delivered as f64 / self.seconds
    }

    /// Deliveries in a second of the server's processor time: the steady figure on a shared machine.
    pub(crate) fn per_cpu_second(&self) -> f64 {
        (self.seen.delivered as f64 + self.blind()) / self.cpu.max(0.01)
    }

    /// Deliveries to clients that do not look at them, from their bytes.
    pub(crate) fn blind(&self) -> f64 {
        let bytes_each = self.seen.bytes as f64 / self.seen.delivered.max(1) as f64;
        self.seen.blind_bytes as f64 / bytes_each.max(1.0)
    }

    /// Share of the expected deliveries that came, in percent.
    pub(crate) fn percent(&self) -> f64 {
        100.0 * self.seen.delivered as f64 / self.expected
    }

    /// Latency in microseconds below which this share of the deliveries lies.
    pub(crate) fn latency(&self, share: f64) -> u64 {
        self.seen.latency_us.value_at_quantile(share)
    }

    /// Bytes of the server for each client, before ticks flow.
    pub(crate) fn memory_per_client(&self, shape: &Shape) -> f64 {
        self.memory_connected.saturating_sub(self.memory_idle) as f64 / shape.clients as f64
    }
}

pub(crate) fn print_one(server: Server, shape: &Shape, outcome: &Outcome) {
    let Shape { clients, held, symbols, .. } = shape;
    println!(
        "{server:?}: {clients} x {held} of {symbols}, {} ticks/s to {:.1} holders each, mode {}, {} stopped, {} slow",
        shape.ticks_per_second(),
        shape.fan_out(),
        shape.mode,
        shape.stopped,
        shape.slow
    );
    println!(
        "  connected in        {:.2} s, {:.1} KiB a client",
        outcome.connect_seconds,
        outcome.memory_per_client(shape) / 1_024.0
    );
    println!(
        "  delivered           {:.0}/s, {:.2} % of what was due, {:.0} bytes each",
        outcome.rate(),
        outcome.percent(),
        outcome.seen.bytes as f64 / outcome.seen.delivered.max(1) as f64
    );
    if shape.blind > 0 {
        println!("  without looking     {:.0}/s, from their bytes", outcome.blind() / outcome.seconds);
    }
    println!(
        "  server              {:.0} % of a core, {:.0} deliveries a processor second",
        100.0 * outcome.cpu / outcome.seconds,
        outcome.per_cpu_second()
    );
    println!(
        "  latency us          p50 {}, p99 {}, p99.9 {}, max {}",
        outcome.latency(0.5),
        outcome.latency(0.99),
        outcome.latency(0.999),
        outcome.seen.latency_us.max()
    );
    println!(
        "  skipped             {}, backwards {}, not held {}",
        outcome.seen.skipped, outcome.seen.backwards, outcome.seen.foreign
    );
    let [reads, slow, stopped] = outcome.newest;
    println!(
        "  newest at the end   readers {}/{}, slow {}/{}, stopped {}/{}",
        reads.0, reads.1, slow.0, slow.1, stopped.0, stopped.1
    );
    println!(
        "  memory MiB          idle {:.1}, connected {:.1}, loaded {:.1}, after {:.1}",
        outcome.memory_idle as f64 / MIB,
        outcome.memory_connected as f64 / MIB,
        outcome.memory_loaded as f64 / MIB,
        outcome.memory_after as f64 / MIB
    );
    if let Some((taken, sent)) = outcome.taken {
        println!("  host                {taken} of {sent} ticks taken");
    }
    for (reason, count) in &outcome.closed {
        println!("  closed              {count} connections: {reason}");
    }
}
