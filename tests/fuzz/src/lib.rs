//! What the targets have in common: inputs to begin with, and inputs that are several frames.

use std::{fmt::Debug, fs, path::Path};

use serde_json::Value;

/// Bytes that any input may cost: tables that are made once, and what a frame of the longest kind becomes.
const FREE_BYTES: u64 = 8 * 1_024 * 1_024;

/// Bytes that a byte of input may become: the shortest element of a list takes a whole row of a table.
const BYTES_PER_BYTE: u64 = 1_000;

/// Runs a target, and holds its memory to the length of its input: a length that a message claims is not to
/// be believed.
pub fn bounded(input: &[u8], target: impl FnOnce()) {
    let used = allocation_counter::measure(target).bytes_max;
    let most = FREE_BYTES + BYTES_PER_BYTE * input.len() as u64;
    assert!(used <= most, "{used} bytes of memory for {} bytes of input", input.len());
}

/// Writes inputs to begin with to `target/fuzz/corpus/<target>`, beside those that the fuzzer has found
/// before.
pub fn begin_with(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz/corpus").join(target);
    fs::create_dir_all(&folder).expect("the folder for inputs can be made");
    for (number, seed) in seeds.into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:04}")), seed).expect("an input can be written");
    }
}

/// Of any list: a name that a number has leads back to the number, or the price of one instrument would be
/// shown for another.
pub fn lead_back<'a, K: Copy + Debug + PartialEq>(
    names: impl Iterator<Item = (&'a str, &'a str)>,
    key: impl Fn(&str, &str) -> Option<K>,
    name: impl Fn(K) -> Option<(&'a str, &'a str)>,
) {
    for (exchange, symbol) in names {
        let number = key(exchange, symbol).expect("what is listed has a number");
        if let Some((exchange, symbol)) = name(number) {
            assert_eq!(key(exchange, symbol), Some(number), "{exchange}:{symbol}");
        }
    }
}

/// The vectors of an adapter, one JSON object a line.
pub fn vectors(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("vectors are JSON")).collect()
}

/// The bytes of a frame as a vector has them.
pub fn bytes(frame: &Value) -> Vec<u8> {
    hex::decode(frame.as_str().expect("a frame is text")).expect("a frame is in hexadecimal")
}

/// One input of several frames: each behind its length in two bytes.
pub fn joined(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut input = Vec::new();
    for frame in frames {
        let length = u16::try_from(frame.len()).unwrap_or(u16::MAX);
        input.extend(length.to_le_bytes());
        input.extend(frame.iter().take(length.into()));
    }
    input
}

/// The frames of an input; what is cut off at its end is the last one.
pub fn split(mut input: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk() {
        let (frame, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        frames.push(frame.to_vec());
        input = rest;
    }
    frames
}
