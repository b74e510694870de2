//! Ways to stop another process, and to take its share of the machine from it.
#![expect(unsafe_code, reason = "attacks are system calls that no safe interface has")]

use std::{io::Write as _, os::fd::AsRawFd as _};

use super::{Outcome, said};

/// Stops it, and lets it go on.
pub(super) fn stop(pid: i32) -> Outcome {
    // SAFETY: signals to another process touch nothing of this one.
    said(unsafe { libc::kill(pid, libc::SIGSTOP) }.into())?;
    // SAFETY: as above.
    said(unsafe { libc::kill(pid, libc::SIGCONT) }.into())?;
    Ok("it was stopped".to_owned())
}

/// By a descriptor of the process.
pub(super) fn stop_by_descriptor(pid: i32) -> Outcome {
    // SAFETY: the call takes numbers.
    let process = said(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    for signal in [libc::SIGSTOP, libc::SIGCONT] {
        // SAFETY: no description of the signal is given.
        said(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process, signal, 0, 0) })?;
    }
    Ok("it was stopped".to_owned())
}

/// By making it the owner of a socket that becomes readable. The signal is one that does nothing to who
/// ignores it.
pub(super) fn stop_by_socket(pid: i32) -> Outcome {
    let (mut near, far) = std::os::unix::net::UnixStream::pair().map_err(|error| error.to_string())?;
    let far = far.as_raw_fd();
    // SAFETY: these commands of `fcntl` take numbers.
    unsafe {
        said(libc::fcntl(far, libc::F_SETOWN, pid).into())?;
        said(libc::fcntl(far, 10 /* F_SETSIG */, libc::SIGURG).into())?;
        said(libc::fcntl(far, libc::F_SETFL, libc::O_ASYNC).into())?;
    }
    near.write_all(b"!").map_err(|error| error.to_string())?;
    Ok("it may have been sent a signal".to_owned())
}

/// By joining its group.
pub(super) fn stop_by_group(pid: i32) -> Outcome {
    // SAFETY: the calls take numbers; signal 0 is none.
    unsafe {
        let group = libc::getpgid(pid);
        said(libc::setpgid(0, group).into())?;
        said(libc::kill(0, 0).into())?;
    }
    Ok("it is in the host's group".to_owned())
}

/// By the numbers of another kind of call, which a filter may not know.
pub(super) fn stop_by_old_call(pid: i32) -> Outcome {
    for signal in [libc::SIGSTOP, libc::SIGCONT] {
        // SAFETY: as `kill`; the bit asks for the calls of the x32 ABI.
        said(unsafe { libc::syscall(0x4000_0000 | libc::SYS_kill, pid, signal) })?;
    }
    Ok("it was stopped".to_owned())
}

/// Reads its limits, for which the right to change them is needed.
pub(super) fn limit(pid: i32) -> Outcome {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let none = std::ptr::null();
    // SAFETY: the kernel writes the old limit to `limit`, and reads none.
    said(unsafe { libc::prlimit(pid, libc::RLIMIT_CPU, none, &raw mut limit) }.into())?;
    Ok("its limits".to_owned())
}

/// Makes it give way to everybody else.
pub(super) fn slow(pid: i32) -> Outcome {
    // SAFETY: reads and writes a whole structure, which is large enough for any machine.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        let length = size_of::<libc::cpu_set_t>();
        said(libc::sched_getaffinity(pid, length, &raw mut cores).into())?;
        said(libc::sched_setaffinity(pid, length, &raw const cores).into())?;
    }
    Ok("where it runs".to_owned())
}
