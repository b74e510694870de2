//! The way into a cage, and what this kernel has of one.
#![expect(unsafe_code, reason = "what the kernel has is asked by a call that no safe interface has")]

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    process::{DumpableBehavior, Resource, Rlimit, Signal, getrlimit, setrlimit},
    thread::{CapabilitySet, CapabilitySets},
};

use super::{Inside, calls, files};
use crate::config::{Cage, Confine};

/// The Landlock ABI that closes every hole that it can: files, files of devices, signals, abstract sockets.
const FULL_ABI: u32 = 6;

/// Whether children of children come to the host when their parents end.
static IS_REAPER: AtomicBool = AtomicBool::new(false);

/// What this kernel has of a cage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support {
    /// Version of Landlock, 0 without it.
    pub landlock: u32,
    /// Whether calls can be filtered.
    pub seccomp: bool,
}

impl Support {
    /// Asks the kernel.
    pub fn of_system() -> Self {
        // SAFETY: with this flag the call reads nothing; it tells the version.
        let version = unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, 1_u32)
        };
        let action = libc::SECCOMP_RET_ERRNO;
        // SAFETY: reads the number of an action, and tells whether the kernel knows it.
        let known =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
        Self {
            landlock: u32::try_from(version).unwrap_or(0),
            seccomp: known == 0 && calls::is_known_machine(),
        }
    }

    /// In a sentence, what holds.
    pub fn holds(self) -> String {
        let mut layers = Vec::new();
        if self.landlock > 0 {
            let what = if self.landlock >= FULL_ABI { "files and signals" } else { "files" };
            layers.push(format!("{what} (Landlock {})", self.landlock));
        }
        if self.seccomp {
            layers.push("system calls (seccomp)".to_owned());
        }
        layers.push("memory and descriptors of others (not dumpable)".to_owned());
        layers.join(", ")
    }

    /// What does not hold, one sentence each.
    pub fn lacks(self) -> Vec<String> {
        let mut lacks = Vec::new();
        if self.landlock == 0 {
            lacks.push(
                "the kernel has no Landlock (Linux 5.13 or newer, switched on): a library can read and write what the host's \
                 user can, the accounts and their key included"
                    .to_owned(),
            );
        } else if self.landlock < FULL_ABI && !self.seccomp {
            lacks.push(format!(
                "the kernel has Landlock {}, and {FULL_ABI} (Linux 6.12) is needed: a library can send signals to the host",
                self.landlock
            ));
        }
        if !self.seccomp {
            lacks.push(
                "system calls cannot be filtered (seccomp): a library can start processes, listen, and connect to the local \
                 sockets of other programs"
                    .to_owned(),
            );
        }
        lacks
    }
}

/// Keeps the host's memory and descriptors from other processes of its user, and lets it hear of processes
/// whose parents have ended. A debugger then needs the rights of root.
pub fn guard_host() {
    // Both are there since Linux 3.4, and what is not there cannot be used.
    _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok() {
        IS_REAPER.store(true, Ordering::Relaxed);
    }
}

/// Whether processes whose parents have ended come to this one.
pub(in super::super) fn is_reaper() -> bool {
    IS_REAPER.load(Ordering::Relaxed)
}

/// The first thing that a process does which will load a library: nobody reads its memory, it ends with the
/// host, and it has no descriptors but its streams. There may be no other thread, and nothing may be open.
pub(in super::super) fn begin() {
    // What fails here is as if the kernel did not have it; the pipes say when the host is gone too.
    _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // Whoever started the host may have left something open in it.
    // SAFETY: nothing of this process is open beyond its streams yet, so nobody loses a descriptor.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}

/// Locks this process in; gives what could not be done, one sentence each.
///
/// # Errors
/// When everything is required and something could not be done, or nothing can be done safely.
pub(in super::super) fn enter(cage: &Cage, inside: &Inside<'_>) -> Result<Vec<String>, String> {
    limit_files(cage).map_err(|error| format!("the length of its files cannot be limited: {error}"))?;
    if cage.confine == Confine::Off {
        return Ok(Vec::new());
    }
    if fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1) {
        return Err("there is a thread that would stay outside".to_owned());
    }
    let support = Support::of_system();
    let mut lacks = support.lacks();
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what} cannot be confined: {error}");
    _ = rustix::thread::set_no_new_privs(true);
    let are_signals_scoped = match files::restrict(cage, inside) {
        Ok(()) => support.landlock >= FULL_ABI,
        Err(error) => {
            lacks.push(failed("files", &error));
            false
        }
    };
    if let Err(error) = drop_capabilities() {
        lacks.push(failed("privileges", &error));
    }
    if support.seccomp
        && let Err(error) = calls::restrict(cage.allowed, are_signals_scoped)
    {
        lacks.push(failed("system calls", &error));
    }
    if cage.confine == Confine::Required && !lacks.is_empty() {
        return Err(lacks.join("; "));
    }
    Ok(lacks)
}

/// A host of root's has some; who has none may not be allowed the call.
fn drop_capabilities() -> rustix::io::Result<()> {
    let nothing = CapabilitySet::empty();
    let none = CapabilitySets { effective: nothing, permitted: nothing, inheritable: nothing };
    if rustix::thread::capabilities(None).is_ok_and(|present| present == none) {
        return Ok(());
    }
    rustix::thread::set_capabilities(None, none)
}

fn limit_files(cage: &Cage) -> std::io::Result<()> {
    let bytes = cage.file_bytes();
    // Never above what the system allows already: raising the hard limit needs rights.
    let bytes = getrlimit(Resource::Fsize).maximum.map_or(bytes, |maximum| bytes.min(maximum));
    Ok(setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), maximum: Some(bytes) })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_lacks_is_said() {
        let full = Support { landlock: 7, seccomp: true };
        assert!(
            full.lacks().is_empty()
                && full.holds().starts_with("files and signals (Landlock 7), system calls")
        );
        let old = Support { landlock: 0, seccomp: true };
        assert!(old.lacks().iter().any(|said| said.contains("no Landlock")), "{:?}", old.lacks());
        let odd = Support { landlock: 4, seccomp: false };
        assert_eq!((odd.lacks().len(), odd.holds().contains("signals")), (2, false));
    }
}
