//! What the machine has, or what the container that the host runs in may have of it.

use std::{fs, path::Path};

/// Bytes of memory that this process may have; none where that cannot be told.
pub(super) fn memory_bytes() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(Path::new(path)).ok();
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let of_container = limits.into_iter().filter_map(|path| read(path)?.trim().parse().ok());
    let of_machine = read("/proc/meminfo").as_deref().and_then(total_of);
    of_container.chain(of_machine).min()
}

/// The total in `/proc/meminfo`, which counts in KiB.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_in_bytes() {
        let meminfo = "MemTotal:       24683520 kB\nMemFree:        19554000 kB\n";
        assert_eq!(total_of(meminfo), Some(24_683_520 * 1_024));
        assert_eq!(total_of("MemFree: 7 kB\n"), None);
        assert_eq!(total_of("MemTotal: many kB\n"), None);
    }
}
