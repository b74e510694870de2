//! Processes whose parents have ended. The kernel gives them to the host, which ends them: nothing that a
//! library starts outlives its process, in whatever session or group it is.

use std::{
    collections::BTreeSet,
    fs, io,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::cage;

/// Processes that the host itself has started and waits for.
static KNOWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Longest time for what is killed to be gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks.
const POLL: Duration = Duration::from_millis(5);

/// Starts a process, and notes that it is the host's own. Nobody looks for orphans meanwhile.
pub(super) fn known<C>(
    start: impl FnOnce() -> io::Result<C>,
    number: impl FnOnce(&C) -> Option<u32>,
) -> io::Result<C> {
    let mut known = KNOWN.lock();
    let child = start()?;
    known.extend(number(&child));
    Ok(child)
}

/// Processes that the host has started and that have not ended.
pub(super) fn running() -> usize {
    KNOWN.lock().len()
}

/// Notes that such a process has ended and was waited for.
pub(super) fn has_ended(number: u32) {
    KNOWN.lock().remove(&number);
}

/// Ends every process that came to the host because its parent has ended, and gives their number. Does
/// nothing in a process to which none comes. Blocks, for [`PATIENCE`] at most.
pub(super) fn end_all() -> usize {
    if !cage::is_reaper() {
        return 0;
    }
    let until = Instant::now() + PATIENCE;
    let mut ended = BTreeSet::new();
    loop {
        let orphans = orphans();
        // Those of the ones that are killed now come to the host in their turn.
        for number in &orphans {
            let Some(process) = i32::try_from(*number).ok().and_then(Pid::from_raw) else { continue };
            _ = kill_process(process, Signal::KILL);
            _ = waitpid(Some(process), WaitOptions::NOHANG);
            ended.insert(*number);
        }
        if orphans.is_empty() || Instant::now() >= until {
            return ended.len();
        }
        std::thread::park_timeout(POLL);
    }
}

/// Children of this process that it has not started.
fn orphans() -> Vec<u32> {
    let known = KNOWN.lock();
    let own = std::process::id();
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|number| !known.contains(number) && parent_of(*number) == Some(own)).collect()
}

fn parent_of(number: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // The name in parentheses may hold anything; after it come the state and the parent.
    stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()
}
