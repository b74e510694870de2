//! The table of the documents: host beside floor in the same shapes, medians of several rounds, in one run.

use crate::{
    How,
    measure::{self, Outcome, Server},
    shape::Shape,
};

/// A row: its name and shape.
fn rows() -> Vec<(&'static str, Shape)> {
    let shape = |clients, held, symbols, rate, mode| Shape { clients, held, symbols, rate, stopped: 0, slow: 0, mode };
    vec![
        ("10 x 50, 50k/s", shape(10, 50, 50, 50_000, 1)),
        ("200 x 100, 200k/s", shape(200, 100, 1_000, 200_000, 1)),
        ("2000 x 1, 200k/s", shape(2_000, 1, 1, 200_000, 1)),
        ("200 x 100, 200k/s, QUOTE", shape(200, 100, 1_000, 200_000, 2)),
        ("200 x 100, 100k/s, DEPTH", shape(200, 100, 1_000, 100_000, 3)),
        ("200 x 100, 1.5M/s", shape(200, 100, 1_000, 1_500_000, 1)),
    ]
}

/// Measures and prints.
pub(crate) fn run(how: &How, rounds: usize, only: &str) -> anyhow::Result<()> {
    println!("Medians of {rounds} rounds of {} s; ratio: deliveries per processor second, host to floor.", how.seconds);
    println!();
    println!("| shape | server | delivered/s | of what was due | per CPU second | p50 us | p99 us | KiB per client | ratio |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, shape) in rows().into_iter().filter(|(name, _)| name.contains(only)) {
        let mut outcomes = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (server, outcomes) in [Server::Floor, Server::Host].into_iter().zip(&mut outcomes) {
                outcomes.push(measure::run(server, &shape, &how.setup(shape.mode))?);
            }
        }
        let [floor, host] = outcomes;
        let ratio = median(&host, Outcome::per_cpu_second) / median(&floor, Outcome::per_cpu_second);
        for (server, outcomes, ratio) in [("floor", &floor, String::new()), ("host", &host, format!("{ratio:.2}"))] {
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

fn median(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> f64 {
    let mut values: Vec<f64> = outcomes.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
