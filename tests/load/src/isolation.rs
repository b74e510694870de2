//! An adapter in the host's own process against one in a process of its own, in the same shapes, in one run.

use crate::{
    How,
    measure::{self, Outcome, Server},
    publisher::Kind,
    shape::Shape,
    table::median,
};

/// Both ways, the host's own process first.
const WAYS: [&str; 2] = ["in-process", "process"];

fn shapes() -> [(&'static str, Shape); 4] {
    let shape = |clients, held, symbols, rate| Shape {
        clients,
        held,
        symbols,
        rate,
        stopped: 0,
        slow: 0,
        blind: 0,
        mode: 1,
    };
    [
        ("1 x 50, 1k ticks/s", shape(1, 50, 50, 1_000)),
        ("10 x 50, 5k ticks/s", shape(10, 50, 50, 50_000)),
        ("1 x 1000, 100k ticks/s", shape(1, 1_000, 1_000, 100_000)),
        ("200 x 100, 10k ticks/s", shape(200, 100, 1_000, 200_000)),
    ]
}

/// Measures and prints.
pub(crate) fn run(how: &How, rounds: usize) -> anyhow::Result<()> {
    println!(
        "Medians of {rounds} rounds of {} s; processor time is that of the host and of its children.",
        how.seconds
    );
    println!();
    println!("| shape | isolation | of what was due | processor us per tick | p50 us | p99 us |");
    println!("|---|---|---|---|---|---|");
    for (name, shape) in shapes() {
        let mut outcomes = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (isolation, outcomes) in WAYS.into_iter().zip(&mut outcomes) {
                let mut setup = how.setup(shape.mode);
                setup.style.kind = Kind::Sim;
                setup.isolation = isolation;
                outcomes.push(measure::run(Server::Host, &shape, &setup)?);
            }
        }
        let ticks = shape.ticks_per_second() as f64;
        for (isolation, outcomes) in WAYS.into_iter().zip(&outcomes) {
            println!(
                "| {name} | {isolation} | {:.2} % | {:.1} | {:.0} | {:.0} |",
                median(outcomes, Outcome::percent),
                median(outcomes, |outcome| outcome.cpu * 1e6 / (ticks * outcome.seconds)),
                median(outcomes, |outcome| outcome.latency(0.5) as f64),
                median(outcomes, |outcome| outcome.latency(0.99) as f64),
            );
        }
    }
    Ok(())
}
