//! seccomp: system calls that no adapter needs, and by which a hostile one would reach others.
//!
//! What is not named is allowed: an allow-list would break honest libraries with every new version of a C
//! library. Calls that did not exist when this was written do not exist for the library.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use crate::config::Allowed;

/// The first number that no call known here has. Numbers are the same for every machine from 424 on; those of
/// x32, another way to make calls on x86-64, are far above.
const FIRST_UNKNOWN: u32 = 470;

/// Calls that are refused whatever their arguments.
const REFUSED: &[libc::c_long] = &[
    // Other processes' memory, descriptors and places.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // File systems and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_fanotify_init,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // Keys, programs in the kernel, and the kernel itself.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_bpf,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
    // Memory that no limit of the process counts, some of which outlives it.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    // Of these a user has few, and the host needs one.
    libc::SYS_inotify_init1,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_inotify_init,
];

/// Calls that are as if the kernel did not have them: a C library or a runtime then uses older ones, which
/// can be looked into.
const MISSING: [libc::c_long; 5] = [
    libc::SYS_clone3,
    libc::SYS_openat2,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Calls that start a process or become another program.
const PROCESSES: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_setpgid,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// Asks for a file without a name.
const O_TMPFILE: u64 = 0o20_000_000;

/// Asks for memory that is shared and belongs to no file: `MAP_SHARED | MAP_ANONYMOUS`.
const SHARED_MEMORY: u64 = 0x21;

/// Commands of `fcntl` that make the kernel send signals: `F_SETOWN`, `F_SETSIG`, `F_SETOWN_EX`.
const SIGNALS_OF_FILES: [u64; 3] = [8, 10, 15];

/// Commands of `ioctl`: the same two, and those that type into a terminal: `FIOSETOWN`, `SIOCSPGRP`,
/// `TIOCSTI`, `TIOCLINUX`.
const COMMANDS_OF_DEVICES: [u64; 4] = [0x8901, 0x8902, 0x5412, 0x541c];

/// Commands of `prctl` that undo what the process began with, or let others trace it: `PR_SET_PDEATHSIG`,
/// `PR_SET_DUMPABLE`, `PR_SET_CHILD_SUBREAPER`, `PR_SET_PTRACER`.
const COMMANDS_OF_PROCESS: [u64; 4] = [1, 4, 36, 0x5961_6d61];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Whether the numbers of this machine's calls are known.
pub(super) const fn is_known_machine() -> bool {
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64"))
}

/// Filters the calls of this thread, and of those that it starts, from now on. Where Landlock keeps signals
/// from others, a process that may have children may send them some.
pub(super) fn restrict(allowed: Allowed, are_signals_scoped: bool) -> Result<(), seccompiler::Error> {
    // The one that knows more is installed last, as this one refuses nothing that is needed for it.
    seccompiler::apply_filter(&missing()?)?;
    seccompiler::apply_filter(&refused(allowed, are_signals_scoped)?)
}

const fn machine() -> TargetArch {
    if cfg!(target_arch = "aarch64") { TargetArch::aarch64 } else { TargetArch::x86_64 }
}

fn compile(rules: Rules, errno: i32) -> Result<BpfProgram, BackendError> {
    let action = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, action, machine())?.try_into()
}

fn missing() -> Result<BpfProgram, BackendError> {
    let rules = MISSING.iter().map(|call| (*call, Vec::new())).collect();
    let mut program = compile(rules, libc::ENOSYS)?;
    // In front: load the number of the call; if it is too high, there is no such call.
    let instruction = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let is_missing = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
    program.splice(
        0..0,
        [
            instruction(0x20, 0, 0, 0),
            instruction(0x35, 0, 1, FIRST_UNKNOWN),
            instruction(0x06, 0, 0, is_missing),
        ],
    );
    Ok(program)
}

fn refused(allowed: Allowed, are_signals_scoped: bool) -> Result<BpfProgram, BackendError> {
    let own = u64::from(std::process::id());
    let mut rules: Rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let when = |rules: &mut Rules, call, conditions| -> Result<(), BackendError> {
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
        Ok(())
    };
    let any_of = |rules: &mut Rules, call, argument, values: &[u64]| -> Result<(), BackendError> {
        values.iter().try_for_each(|value| when(rules, call, vec![is(argument, *value)?]))
    };
    if allowed.processes {
        for flag in NAMESPACES {
            when(&mut rules, libc::SYS_clone, vec![has(0, flag, flag)?])?;
        }
    } else {
        rules.extend(PROCESSES.iter().map(|call| (*call, Vec::new())));
        let thread = libc::CLONE_THREAD.unsigned_abs().into();
        when(&mut rules, libc::SYS_clone, vec![has(0, thread, 0)?])?;
    }
    // A process that has children needs signals; only Landlock knows which are its own.
    if !(allowed.processes && are_signals_scoped) {
        rules.extend([libc::SYS_tkill, libc::SYS_pidfd_send_signal].map(|call| (call, Vec::new())));
        let calls =
            [libc::SYS_kill, libc::SYS_tgkill, libc::SYS_rt_sigqueueinfo, libc::SYS_rt_tgsigqueueinfo];
        for call in calls {
            when(&mut rules, call, vec![is_not(0, own)?])?;
        }
    }
    // Limits and places of others.
    for call in [
        libc::SYS_prlimit64,
        libc::SYS_sched_setaffinity,
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
    ] {
        when(&mut rules, call, vec![is_not(0, 0)?, is_not(0, own)?])?;
    }
    for (call, process) in [(libc::SYS_setpriority, 0), (libc::SYS_ioprio_set, 1)] {
        when(&mut rules, call, vec![is_not(0, process)?])?;
        when(&mut rules, call, vec![is_not(1, 0)?, is_not(1, own)?])?;
    }
    any_of(&mut rules, libc::SYS_fcntl, 1, &SIGNALS_OF_FILES)?;
    any_of(&mut rules, libc::SYS_ioctl, 1, &COMMANDS_OF_DEVICES)?;
    any_of(&mut rules, libc::SYS_prctl, 0, &COMMANDS_OF_PROCESS)?;
    when(&mut rules, libc::SYS_openat, vec![has(2, O_TMPFILE, O_TMPFILE)?])?;
    #[cfg(target_arch = "x86_64")]
    when(&mut rules, libc::SYS_open, vec![has(1, O_TMPFILE, O_TMPFILE)?])?;
    when(&mut rules, libc::SYS_mmap, vec![has(3, SHARED_MEMORY, SHARED_MEMORY)?])?;
    if !allowed.listen {
        rules.insert(libc::SYS_listen, Vec::new());
    }
    let mut families = vec![libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    if allowed.unix_sockets {
        families.push(libc::AF_UNIX);
    }
    let others = families.iter().map(|family| is_not(0, family.unsigned_abs().into()));
    when(&mut rules, libc::SYS_socket, others.collect::<Result<_, _>>()?)?;
    compile(rules, libc::EPERM)
}

/// Flags that make namespaces: of mounts, groups of resources, host names, IPC, users, processes, the
/// network.
const NAMESPACES: [u64; 7] =
    [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// An argument, of which the kernel looks at 32 bits, has this value.
fn is(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

fn is_not(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, value)
}

/// Of an argument, the bits of `mask` are these.
fn has(argument: u8, mask: u64, bits: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cage_has_filters_that_the_kernel_takes() {
        // The most that the kernel takes is 4,096 instructions.
        for bits in 0..8_u8 {
            let allowed =
                Allowed { processes: bits & 1 != 0, unix_sockets: bits & 2 != 0, listen: bits & 4 != 0 };
            let program = refused(allowed, true).unwrap();
            assert!((100..4_096).contains(&program.len()), "{}", program.len());
        }
        assert!(missing().unwrap().len() < 100);
    }
}
