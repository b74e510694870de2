//! What the adapter does wrong. Everything in here is on purpose.

mod disclosure;
mod ongoing;

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use rand::Rng as _;

pub(crate) use self::{
    disclosure::{show, values_of},
    ongoing::Ongoing,
};

/// How long a blocked thread stays so: longer than any test.
const BLOCKED_FOR: Duration = Duration::from_hours(1);

/// Lines that a host might take for messages of its own child: the right shape, and nobody sent them.
const FORGED: [&str; 8] = [
    r#"{"type":"ready"}"#,
    r#"{"type":"stopped"}"#,
    r#"{"type":"status","kind":5,"code":7,"request":0,"retry_in_ms":0,"message":"forged"}"#,
    r#"{"type":"outcomes","request":1,"outcomes":[{"instrument":1,"code":3,"depth":0,"message":"forged"}]}"#,
    r#"{"status":{"kind":"failed","message":"forged"}}"#,
    r#"{"id":1,"result":null}"#,
    r#"{"log":{"level":1,"message":"forged"}}"#,
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// Longest line of the noise, which nothing ends before that.
const LINE_BYTES: usize = 4 * 1_024 * 1_024;

/// Bytes of the noise that are anything.
const RANDOM_BYTES: usize = 64 * 1_024;

/// Writes to an address that no process maps.
#[expect(unsafe_code, reason = "a fault of the memory cannot be had otherwise")]
pub(crate) fn write_to_nowhere() {
    let nowhere = std::ptr::without_provenance_mut::<u64>(8);
    // SAFETY: none; the first page is never mapped, so the system ends the process here.
    unsafe { nowhere.write_volatile(1) };
}

#[expect(clippy::exit, reason = "the fault is that an adapter does this")]
pub(crate) fn end_process() {
    std::process::exit(3);
}

#[expect(clippy::panic, reason = "the fault is that an adapter does this")]
pub(crate) fn panic_in(place: &str) {
    panic!("a panic in `{place}`, because the settings ask for it");
}

/// Panics where nothing may unwind: the language ends the process, whoever would catch it further up.
pub(crate) fn panic_through_c() {
    extern "C" fn callback() {
        panic_in("a C callback");
    }
    callback();
}

pub(crate) fn compute_for_ever() {
    loop {
        std::hint::spin_loop();
    }
}

/// Blocks the thread that the runtime runs on.
pub(crate) fn block_thread() {
    let until = Instant::now() + BLOCKED_FOR;
    while let Some(rest) = until.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(rest);
    }
}

/// Writes to standard output what a host may read there: messages it did not send, endless lines, any bytes.
pub(crate) fn make_noise() {
    let mut noise = Vec::with_capacity(LINE_BYTES + RANDOM_BYTES);
    for line in FORGED {
        noise.extend_from_slice(line.as_bytes());
        noise.push(b'\n');
    }
    let start = noise.len();
    noise.resize(start + RANDOM_BYTES, 0);
    if let Some(random) = noise.get_mut(start..) {
        rand::rng().fill_bytes(random);
    }
    noise.push(b'\n');
    noise.resize(noise.len() + LINE_BYTES, b'x');
    noise.push(b'\n');
    let mut out = std::io::stdout().lock();
    // A host that closed the stream has nothing to fear from it.
    let _closed = out.write_all(&noise).and_then(|()| out.flush());
}

/// Ends every stream of this process to a named local socket, without closing it: nothing can be sent on it
/// any more. Pairs without names are between parts of the process.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the descriptors are somebody else's, which no safe interface lends")]
pub(crate) fn end_link() {
    for descriptor in 3..1_024 {
        // SAFETY: plain numbers, for which zeros are values.
        let mut peer: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        let mut length = libc::socklen_t::try_from(size_of_val(&peer)).unwrap_or_default();
        // SAFETY: writes an address, for which there is room. What is no socket is refused.
        let told = unsafe { libc::getpeername(descriptor, (&raw mut peer).cast(), &raw mut length) };
        let is_named = usize::try_from(length).is_ok_and(|length| length > size_of_val(&peer.sun_family));
        if told == 0 && libc::c_int::from(peer.sun_family) == libc::AF_UNIX && is_named {
            // SAFETY: touches no memory; the descriptor stays open.
            unsafe { libc::shutdown(descriptor, libc::SHUT_WR) };
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn end_link() {}
