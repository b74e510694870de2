//! Processes that outlive this one, and other things of the kernel that do.
#![expect(unsafe_code, reason = "attacks are system calls that no safe interface has")]

use std::process::Command;

use super::{Outcome, said};

/// What is started ends by itself after this time.
const SECONDS: &str = "30.0517";

pub(super) fn start_program() -> Outcome {
    Command::new("true").status().map(|_| "a program".to_owned()).map_err(|error| error.to_string())
}

/// A child in a session of its own.
pub(super) fn leave_a_child() -> Outcome {
    let child = Command::new("setsid").args(["sleep", SECONDS]).spawn();
    child.map(|_| "a child".to_owned()).map_err(|error| error.to_string())
}

/// A child whose parent has ended.
pub(super) fn leave_a_grandchild() -> Outcome {
    let script = format!("setsid sleep {SECONDS} & exit 0");
    let child = Command::new("sh").args(["-c", &script]).status();
    child.map(|_| "a grandchild".to_owned()).map_err(|error| error.to_string())
}

/// Frees this process from the fate of the one that started it.
pub(super) fn outlive() -> Outcome {
    // SAFETY: the call takes numbers.
    said(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0) }.into())?;
    Ok("it ends when it likes".to_owned())
}

pub(super) fn new_namespace() -> Outcome {
    // SAFETY: the call takes a number. What succeeds changes this process alone.
    said(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) }.into())?;
    Ok("namespaces".to_owned())
}

/// The queue through which calls are made that a filter does not see.
pub(super) fn queue_of_calls() -> Outcome {
    let mut parameters = [0_u8; 256];
    // SAFETY: the kernel writes a structure of 120 bytes.
    said(unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) })?;
    Ok("a queue".to_owned())
}

/// Memory that no limit of the process counts, and that outlives it.
pub(super) fn shared_memory() -> Outcome {
    // SAFETY: the calls take numbers; the segment is marked for removal at once.
    unsafe {
        let id = libc::shmget(libc::IPC_PRIVATE, 4_096, 0o600);
        said(id.into())?;
        libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut());
    }
    Ok("shared memory".to_owned())
}

/// Memory that is shared with children that there are not: the limit of data does not count it.
pub(super) fn uncounted_memory() -> Outcome {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, which nobody uses.
    let area = unsafe { libc::mmap(std::ptr::null_mut(), 4_096, protection, flags, -1, 0) };
    said(if area == libc::MAP_FAILED { -1 } else { 0 })?;
    Ok("memory".to_owned())
}

/// The means to hear of changes of files, of which a user has few.
pub(super) fn watch_files() -> Outcome {
    // SAFETY: the call takes a number.
    said(unsafe { libc::inotify_init1(libc::IN_CLOEXEC) }.into())?;
    Ok("a watch".to_owned())
}

pub(super) fn keyring() -> Outcome {
    const GET_KEYRING_ID: i32 = 0;
    const USER_KEYRING: i32 = -4;
    // SAFETY: the call takes numbers.
    said(unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, USER_KEYRING, 1) })?;
    Ok("the user's keys".to_owned())
}
