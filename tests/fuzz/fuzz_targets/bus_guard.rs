//! Bytes of a publisher as they come from the network, before the guard of the bus has looked at them. The
//! first two say after how many the first piece ends.

#![no_main]

use fuzz::{begin_with, bounded};
use libfuzzer_sys::fuzz_target;
use tickhost::bus::fuzzing::inspect;

fn seed() -> Vec<u8> {
    let mut bytes = vec![70, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1];
    bytes.extend(b"NULL");
    bytes.resize(2 + 64, 0);
    bytes.extend(b"\x04\x27\x05READY\x0bSocket-Type\0\0\0\x03PUB\x08Identity\0\0\0\x01x");
    bytes.extend(b"\x01\x0cNSE_SBIN_LTP\0\x09{\"ltp\":1}");
    bytes.extend(b"\x01\x0cNSE_SBIN_LTP\x02\0\0\0\0\0\0\0\x09{\"ltp\":2}");
    bytes.extend(b"\x04\x09\x04PING\0\x0aab\x04\x05\x04NOPE\0\x02{}");
    bytes
}

fuzz_target!(init: begin_with("bus_guard", [seed()]), |input: &[u8]| bounded(input, || {
    let Some((cut, bytes)) = input.split_first_chunk() else { return };
    let (first, second) = bytes.split_at(usize::from(u16::from_le_bytes(*cut)).min(bytes.len()));
    let whole = inspect([bytes]);
    assert_eq!(inspect([first, second]), whole, "pieces make a difference");
    // What is passed on needs no guard: it passes again as it is.
    if let Some((forward, _)) = whole {
        assert_eq!(inspect([forward.as_slice()]).map(|(again, _)| again), Some(forward));
    }
}));
