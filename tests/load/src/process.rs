//! What a process costs, seen from outside, and where it may run.

use std::num::NonZeroU64;

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_setaffinity, set_current_timer_slack};

/// Clock ticks in a second, in which Linux counts processor time for everybody.
const TICKS_PER_SECOND: f64 = 100.0;

/// Binds this thread, and what it starts from now on, to some cores.
pub(crate) fn bind(cores: &[usize]) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).with_context(|| format!("cannot bind to the cores {cores:?}"))
}

/// Lets this thread's sleeps end when they should, and not up to 50 us later.
pub(crate) fn sleep_precisely() -> anyhow::Result<()> {
    Ok(set_current_timer_slack(NonZeroU64::new(1))?)
}

/// Processor seconds of a process and of its children so far.
pub(crate) fn cpu_seconds_with_children(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children: f64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .map(cpu_seconds)
        .sum();
    cpu_seconds(pid) + children
}

/// Processor seconds of a process so far, those of its threads included.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the program may contain anything, but ends at the last parenthesis.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = |place: usize| fields.split(' ').nth(place).and_then(|ticks| ticks.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS_PER_SECOND
}

/// Resident bytes of a process.
pub(crate) fn memory_bytes(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
