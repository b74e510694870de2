//! The table of the documents: host beside floor in the same shapes, medians of several rounds, in one run.

use crate::{
    How,
    measure::{self, Outcome, Server, Setup},
    publisher::Kind,
    shape::Shape,
};

/// A row of the table.
struct Row {
    name: &'static str,
    shape: Shape,
    /// What is done differently from what the command line says.
    tune: fn(&mut Setup),
}

fn rows() -> Vec<Row> {
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
    let row = |name, shape, tune| Row { name, shape, tune };
    let usual = shape(200, 100, 1_000, 200_000);
    let in_mode = |mode, rate| Shape { rate, mode, ..usual.clone() };
    vec![
        row("200 x 100, 200k/s", usual.clone(), |_| {}),
        row("200 x 100, 200k/s, QUOTE", in_mode(2, 200_000), |_| {}),
        row("200 x 100, 100k/s, DEPTH", in_mode(3, 100_000), |_| {}),
        row("200 x 100, 1.5M/s", in_mode(1, 1_500_000), |_| {}),
        row("200 x 100, 1.5M/s, adapter", in_mode(1, 1_500_000), |setup| setup.style.kind = Kind::Sim),
        row("200 x 100, 1.5M/s, adapter within", in_mode(1, 1_500_000), |setup| {
            setup.style.kind = Kind::Sim;
            setup.isolation = "in-process";
        }),
        row("2000 x 1, 200k/s", shape(2_000, 1, 1, 200_000), |_| {}),
        row("10 x 50, 50k/s", shape(10, 50, 50, 50_000), |_| {}),
        row("10 x 50, 50k/s, exact", shape(10, 50, 50, 50_000), exact),
        row("10 x 50, 50k/s, exact, in fives", shape(10, 50, 50, 50_000), |setup| {
            exact(setup);
            setup.burst = 5;
        }),
        row("5000 x 1, 1k/s, exact", shape(5_000, 1, 5_000, 1_000), exact),
    ]
}

/// The publisher looks at its schedule whenever a tick is due, not every millisecond, and the floor does too.
fn exact(setup: &mut Setup) {
    setup.style.granularity_us = 1;
    setup.floor_interval_us = 1;
}

/// Measures and prints.
pub(crate) fn run(how: &How, rounds: usize, only: &str) -> anyhow::Result<()> {
    println!(
        "Medians of {rounds} rounds of {} s; ratio: deliveries per processor second, host to floor.",
        how.seconds
    );
    println!();
    println!(
        "| shape | server | delivered/s | of what was due | per CPU second | p50 us | p99 us | KiB per client | ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for Row { name, shape, tune } in rows().into_iter().filter(|row| row.name.contains(only)) {
        let mut setup = how.setup(shape.mode);
        tune(&mut setup);
        let mut outcomes = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (server, outcomes) in [Server::Floor, Server::Host].into_iter().zip(&mut outcomes) {
                outcomes.push(measure::run(server, &shape, &setup)?);
            }
        }
        let [floor, host] = outcomes;
        let ratio = median(&host, Outcome::per_cpu_second) / median(&floor, Outcome::per_cpu_second);
        for (server, outcomes, ratio) in
            [("floor", &floor, String::new()), ("host", &host, format!("{ratio:.2}"))]
        {
            println!(
                "| {name} | {server} | {:.0} | {:.2} % | {:.0} | {:.0} | {:.0} | {:.1} | {ratio} |",
                median(outcomes, Outcome::rate),
                median(outcomes, Outcome::percent),
                median(outcomes, Outcome::per_cpu_second),
                median(outcomes, |outcome| outcome.latency(0.5) as f64),
                median(outcomes, |outcome| outcome.latency(0.99) as f64),
                median(outcomes, |outcome| outcome.memory_per_client(&shape) / 1_024.0),
            );
        }
    }
    Ok(())
}

pub(crate) fn median(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> f64 {
    let mut values: Vec<f64> = outcomes.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
