//! Other processes' memory and descriptors.
#![expect(unsafe_code, reason = "attacks are system calls that no safe interface has")]

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use super::{Outcome, said};

/// Most of a process that is looked at.
const MOST_BYTES: u64 = 256 * 1_024 * 1_024;

/// Bytes of any mapping that can be written.
pub(super) fn read_any(pid: i32) -> Outcome {
    let memory = File::open(format!("/proc/{pid}/mem")).map_err(|error| error.to_string())?;
    let (start, _) = writable(pid)?.into_iter().next().ok_or("it has no memory")?;
    let mut bytes = [0; 64];
    memory.read_at(&mut bytes, start).map_err(|error| error.to_string())?;
    Ok("memory".to_owned())
}

/// The other user's credential.
pub(super) fn find_credential(pid: i32) -> Outcome {
    // Not as one text, or this library's own file would be where it is found.
    let wanted = ["sibling", "secret", "5f1c"].join("-").into_bytes();
    let memory = File::open(format!("/proc/{pid}/mem")).map_err(|error| error.to_string())?;
    let mut read = 0;
    for (start, end) in writable(pid)? {
        let length = (end - start).min(MOST_BYTES - read);
        read += length;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if memory.read_exact_at(&mut bytes, start).is_ok()
            && bytes.windows(wanted.len()).any(|window| window == wanted)
        {
            return Ok("the credential".to_owned());
        }
    }
    Err("it is not in its memory".to_owned())
}

fn writable(pid: i32) -> Result<Vec<(u64, u64)>, String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|error| error.to_string())?;
    let areas = maps.lines().filter(|line| line.contains(" rw-p "));
    let ends = areas.filter_map(|line| line.split(' ').next()?.split_once('-'));
    let numbers = ends.filter_map(|(start, end)| {
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
    });
    Ok(numbers.collect())
}

/// By the call that needs no file. An address where nothing is says that it was looked at.
pub(super) fn read_by_call(pid: i32) -> Outcome {
    let mut bytes = [0_u8; 8];
    let own = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let theirs = libc::iovec { iov_base: std::ptr::without_provenance_mut(0x1_0000), iov_len: 8 };
    // SAFETY: the kernel writes to `bytes` alone, which is as long as it is told.
    let read = unsafe { libc::process_vm_readv(pid, &raw const own, 1, &raw const theirs, 1, 0) };
    let error = std::io::Error::last_os_error();
    if read >= 0 || error.raw_os_error() == Some(libc::EFAULT) {
        Ok("memory".to_owned())
    } else {
        Err(error.to_string())
    }
}

/// Attaches to it, and lets it go.
pub(super) fn trace(pid: i32) -> Outcome {
    let null = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: to seize a process touches no memory of this one.
    said(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, null, null) })?;
    // SAFETY: as above; it may fail, and then the end of this thread lets it go.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, pid, null, null) };
    Ok("it was attached to".to_owned())
}

/// Any of its descriptors.
pub(super) fn take_descriptor(pid: i32) -> Outcome {
    // SAFETY: the call takes numbers.
    let process = said(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: the call takes numbers.
    let taken = said(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, 0, 0) });
    taken.map(|_| "a descriptor".to_owned())
}
