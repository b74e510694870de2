//! What clients send; the first byte says whether their key was verified.

#![no_main]

use std::{fs, path::Path};

use fuzz::{begin_with, bounded};
use libfuzzer_sys::fuzz_target;
use tickhost_core::protocol::request;

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../host/testdata/protocol");
    let files = fs::read_dir(folder).expect("the samples are there");
    let samples = files.map(|file| fs::read(file.expect("a file").path()).expect("a sample can be read"));
    samples
        .map(|sample| serde_json::from_slice::<serde_json::Value>(&sample).expect("a sample is JSON"))
        .filter(|sample| sample["name"].as_str().is_some_and(|name| name.starts_with("request_")))
        .map(|sample| format!("1{}", sample["message"]).into_bytes())
        .collect()
}

fuzz_target!(init: begin_with("client_request", seeds()), |input: &[u8]| bounded(input, || {
    let Some((kind, message)) = input.split_first() else { return };
    let is_known = kind % 2 == 1;
    match request::parse(message, is_known) {
        // Nothing but what is meant for everybody goes through without a key.
        Ok(request) if !is_known => assert!(
            matches!(
                request,
                request::Request::Authenticate { .. }
                    | request::Request::SupportedBrokers
                    | request::Request::Ping { .. }
                    | request::Request::Pong
            ),
            "{request:?}"
        ),
        Ok(_) => {}
        // The answer is JSON, whatever of the message it repeats.
        Err(reply) => {
            let answer: serde_json::Value = serde_json::from_slice(&reply.to_bytes()).expect("an answer is JSON");
            assert_eq!(answer["status"], "error");
        }
    }
}));
