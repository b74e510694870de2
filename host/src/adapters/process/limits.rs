//! What an adapter's process may use. It sets the limits on itself before it loads the library; a library
//! cannot raise them again.

use crate::config::ResourceLimits;

/// Sets them on this process. `others` is what the host knows of the threads of its user, of which this
/// process may not see all.
///
/// # Errors
/// What the system says against it.
#[cfg(unix)]
#[cfg_attr(not(target_os = "linux"), expect(unused_variables, reason = "threads are not limited there"))]
pub(super) fn apply(limits: ResourceLimits, others: u64) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let set = |resource, value: u64| {
        // Never above what the system allows already: raising the hard limit needs rights.
        let maximum = getrlimit(resource).maximum;
        let value = maximum.map_or(value, |maximum| value.min(maximum));
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
    };
    // A core file of an adapter would hold credentials.
    set(Resource::Core, 0)?;
    set(Resource::Nofile, limits.descriptors.into())?;
    #[cfg(target_os = "linux")]
    {
        set(Resource::Data, u64::from(limits.memory_mb) * 1_024 * 1_024)?;
        let present = threads_of_this_user().max(others);
        set(Resource::Nproc, present.saturating_add(GROWTH).saturating_add(limits.threads.into()))?;
    }
    Ok(())
}

/// Sets them on this process, as far as that is possible here: not at all.
#[cfg(not(unix))]
pub(super) fn apply(_limits: ResourceLimits, _others: u64) -> std::io::Result<()> {
    Ok(())
}

/// What the user's other processes may start later without taking the threads of this one: the kernel counts
/// all of them against the limit of each process.
#[cfg(target_os = "linux")]
const GROWTH: u64 = 512;

/// What a process of an adapter has beside the threads of its library, and the usual number of those.
const USUAL_THREADS: u64 = 80;

/// Threads that this host and so many processes of adapters may have: of processes that are not dumpable, a
/// process of the same user may see nothing (`ProtectProc=invisible` of systemd).
pub(super) fn threads_of_host(adapters: usize) -> u64 {
    let own = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let own = number_after(&own, "Threads:").unwrap_or(0);
    own.saturating_add(u64::try_from(adapters).unwrap_or(u64::MAX).saturating_mul(USUAL_THREADS))
}

/// Threads of the user that this process belongs to, as far as it can see them.
#[cfg(target_os = "linux")]
fn threads_of_this_user() -> u64 {
    use std::fs;

    let user = u64::from(rustix::process::getuid().as_raw());
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    processes
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()))
        .filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok())
        // The folder of a process that is not dumpable seems to be root's.
        .filter(|status| number_after(status, "Uid:") == Some(user))
        .filter_map(|status| number_after(&status, "Threads:"))
        .sum()
}

fn number_after(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Resident memory in bytes and open descriptors of this process; 0 where they cannot be told.
pub(super) fn usage() -> (u64, u64) {
    if !cfg!(target_os = "linux") {
        return (0, 0);
    }
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    let descriptors = match std::fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries.count() as u64,
        // To count them takes one more; when there is none left, all are in use.
        Err(error) if is_out_of_descriptors(&error) => most_descriptors(),
        Err(_) => 0,
    };
    #[cfg(unix)]
    let page = rustix::param::page_size() as u64;
    #[cfg(not(unix))]
    let page = 0;
    (pages * page, descriptors)
}

#[cfg(unix)]
fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error())
}

#[cfg(not(unix))]
fn is_out_of_descriptors(_error: &std::io::Error) -> bool {
    false
}

#[cfg(unix)]
fn most_descriptors() -> u64 {
    use rustix::process::{Resource, getrlimit};

    getrlimit(Resource::Nofile).current.unwrap_or(0)
}

#[cfg(not(unix))]
fn most_descriptors() -> u64 {
    0
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_uses() {
        let (resident, descriptors) = usage();
        assert!(resident > 1_024 * 1_024 && descriptors >= 3, "{resident} {descriptors}");
        assert!(threads_of_this_user() >= 1);
        assert!(threads_of_host(2) > 2 * USUAL_THREADS);
    }

    #[test]
    fn processes_that_are_not_dumpable_are_counted_too() {
        let status = "Name:\tx\nUid:\t1000\t1000\t1000\t1000\nThreads:\t7\n";
        assert_eq!((number_after(status, "Uid:"), number_after(status, "Threads:")), (Some(1_000), Some(7)));
        let before = threads_of_this_user();
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap();
        let hidden = threads_of_this_user();
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable).unwrap();
        // Other tests start and end threads meanwhile; this process has at least two, beside all others of
        // the user.
        assert!(before >= 2 && hidden >= 2, "{before} {hidden}");
    }
}
