//! Conversations of publishers, good and bad.

use proptest::prelude::*;

use super::{
    super::MAX_BODY_BYTES,
    frame::{COMMAND, LONG, MORE},
    *,
};

pub(crate) fn greeting() -> Vec<u8> {
    frame::greeting().to_vec()
}

pub(crate) fn ready(properties: &[(&str, &str)]) -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    for (name, value) in properties {
        body.push(u8::try_from(name.len()).unwrap());
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    let mut out = Vec::new();
    push_command(&mut out, &body);
    out
}

/// Everything that a publisher says before its first message where there is a secret.
pub(crate) fn plain_opening(name: &str, secret: &str) -> Vec<u8> {
    let mut out = frame::greeting_of(frame::Mechanism::Plain).to_vec();
    let mut hello = b"\x05HELLO".to_vec();
    for text in [name, secret] {
        hello.push(u8::try_from(text.len()).unwrap());
        hello.extend_from_slice(text.as_bytes());
    }
    push_command(&mut out, &hello);
    push_command(&mut out, b"\x08INITIATE\x0bSocket-Type\0\0\0\x03PUB");
    out
}

pub(crate) fn message(topic: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = vec![MORE, u8::try_from(topic.len()).unwrap()];
    out.extend_from_slice(topic);
    out.push(LONG);
    out.extend_from_slice(&(body.len() as u64).to_be_bytes());
    out.extend_from_slice(body);
    out
}

fn conversation() -> Vec<u8> {
    let mut bytes = greeting();
    bytes.extend(ready(&[("Socket-Type", "PUB"), ("Identity", "thief")]));
    bytes.extend(message(b"NSE_SBIN_LTP", br#"{"ltp":1}"#));
    bytes.extend(b"\x04\x09\x04PING\0\x0aab");
    bytes.extend(b"\x04\x05\x04NOPE");
    bytes.extend(message(b"NSE_TCS_LTP", br#"{"ltp":2}"#));
    bytes
}

fn inspect_all(inspector: &mut Inspector, bytes: &[u8]) -> Result<Inspected, Violation> {
    let mut out = Inspected::default();
    inspector.inspect(bytes, &mut out)?;
    Ok(out)
}

#[test]
fn a_publisher_passes_without_its_identity_and_its_pings_are_answered() {
    let mut inspector = Inspector::new(None);
    let out = inspect_all(&mut inspector, &conversation()).unwrap();
    assert!(inspector.is_ready());
    assert_eq!((out.messages, out.pings, out.dropped_commands), (2, 1, 1));
    let mut answer = ready(&[("Socket-Type", "SUB")]);
    answer.extend(b"\x04\x07\x04PONGab");
    assert_eq!(out.answer, answer);
    let text = String::from_utf8_lossy(&out.forward);
    assert!(text.contains("Socket-Type") && !text.contains("thief") && !text.contains("PING"));
}

#[test]
fn it_makes_no_difference_in_which_pieces_the_bytes_come() {
    let bytes = conversation();
    let whole = inspect_all(&mut Inspector::new(None), &bytes).unwrap();
    for cut in 0..bytes.len() {
        let mut inspector = Inspector::new(None);
        let mut out = Inspected::default();
        let taken = inspector.inspect(&bytes[..cut], &mut out).unwrap();
        inspector.inspect(&bytes[taken..], &mut out).unwrap();
        assert_eq!(out, whole, "cut at {cut}");
    }
}

#[test]
fn every_attack_is_named() {
    let ready_pub = ready(&[("Socket-Type", "PUB")]);
    let violation = |parts: &[&[u8]]| {
        let bytes: Vec<u8> = parts.concat();
        inspect_all(&mut Inspector::new(None), &bytes).err()
    };
    let greeting = greeting();
    let mut curve = greeting.clone();
    curve[12..17].copy_from_slice(b"CURVE");
    let mut null_but_longer = greeting.clone();
    null_but_longer[16] = b'X';
    let mut old = greeting.clone();
    old[10] = 2;
    assert_eq!(violation(&[b"GET / HTTP/1.1"]), Some(Violation::Greeting));
    assert_eq!(violation(&[&curve]), Some(Violation::Greeting));
    assert_eq!(violation(&[&null_but_longer]), Some(Violation::Greeting));
    assert_eq!(violation(&[&old]), Some(Violation::Greeting));
    for socket_type in ["SUB", "REQ", "DEALER", "", "PUBLISHER"] {
        let ready = ready(&[("Socket-Type", socket_type)]);
        assert_eq!(violation(&[&greeting, &ready]), Some(Violation::Handshake), "{socket_type}");
    }
    assert_eq!(violation(&[&greeting, b"\x04\x08\x05READY\xff\xff"]), Some(Violation::Handshake));
    assert_eq!(violation(&[&greeting, &message(b"NSE", b"{}")]), Some(Violation::Handshake));
    let start = [greeting, ready_pub].concat();
    // 32 GiB in one frame, claimed in nine bytes.
    assert_eq!(violation(&[&start, b"\x02\0\0\0\x08\0\0\0\0"]), Some(Violation::Frame));
    assert_eq!(violation(&[&start, b"\x02\xff\xff\xff\xff\xff\xff\xff\xff"]), Some(Violation::Frame));
    assert_eq!(
        violation(&[&start, &message(b"NSE_A_LTP", &vec![b'x'; MAX_BODY_BYTES + 1])]),
        Some(Violation::Frame)
    );
    assert_eq!(violation(&[&start, b"\x80\x01x"]), Some(Violation::Frame));
    assert_eq!(violation(&[&start, b"\x05\x01x"]), Some(Violation::Frame));
    assert_eq!(violation(&[&start, b"\x01\x01a\x01\x01b\x01\x01c"]), Some(Violation::Parts));
    let giant_command = [&[COMMAND | LONG, 0, 0, 0, 0, 0, 0, 0x10, 0][..], &[0; 4_096]].concat();
    assert_eq!(violation(&[&start, &giant_command]), Some(Violation::Frame));
}

#[test]
fn messages_of_one_part_or_with_a_long_topic_are_left_out_and_the_next_passes() {
    let mut inspector = Inspector::new(None);
    let start = [greeting(), ready(&[("Socket-Type", "XPUB")])].concat();
    inspect_all(&mut inspector, &start).unwrap();
    let mut long_topic = vec![MORE | LONG, 0, 0, 0, 0, 0, 0, 1, 1];
    long_topic.extend_from_slice(&[b'x'; 257]);
    long_topic.extend_from_slice(b"\0\x02{}");
    let bytes = [b"\0\x03one".to_vec(), long_topic, message(b"NSE_A_LTP", b"{}")].concat();
    let out = inspect_all(&mut inspector, &bytes).unwrap();
    assert_eq!((out.dropped_messages, out.messages), (2, 1));
    assert_eq!(out.forward, message(b"NSE_A_LTP", b"{}"));
}

#[test]
fn the_other_direction_is_cut_between_frames_and_begins_after_the_handshake() {
    let subscription = b"\0\x01\x01".to_vec();
    let bytes = [greeting(), ready(&[("Socket-Type", "SUB")]), subscription.clone()].concat();
    let before = bytes.len() - subscription.len();
    let mut splitter = Splitter::default();
    assert_eq!(splitter.whole(&bytes[..63]), Ok((0, 0)));
    assert_eq!(splitter.whole(&bytes[..70]), Ok((GREETING, 0)));
    assert_eq!(splitter.whole(&bytes[GREETING..]), Ok((before - GREETING, subscription.len())));
    assert_eq!(Splitter::default().whole(&bytes), Ok((before, subscription.len())));
}

#[test]
fn order_updates_beyond_what_is_allowed_are_left_out_and_ticks_pass() {
    let mut inspector = Inspector::new(None);
    inspect_all(&mut inspector, &[greeting(), ready(&[("Socket-Type", "PUB")])].concat()).unwrap();
    inspector.allow_orders(2);
    let order = message(b"U_bob_orders", b"{}");
    let tick = message(b"NSE_A_LTP", b"{}");
    let out = inspect_all(&mut inspector, &[&order[..], &order, &order, &tick, &order].concat()).unwrap();
    assert_eq!((out.messages, out.orders, out.dropped_orders), (3, 2, 2));
    assert_eq!(out.forward, [&order[..], &order, &tick].concat());
    inspector.allow_orders(1);
    assert_eq!(inspect_all(&mut inspector, &order).unwrap().orders, 1);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_hoard(bytes in proptest::collection::vec(any::<u8>(), 0..600), has_start: bool) {
        let start = if has_start { [greeting(), ready(&[("Socket-Type", "PUB")])].concat() } else { Vec::new() };
        let bytes = [start, bytes].concat();
        let mut inspector = Inspector::new(None);
        let mut out = Inspected::default();
        let _verdict = inspector.inspect(&bytes, &mut out);
        prop_assert!(inspector.message.len() <= bytes.len());
        let _cut = Splitter::default().whole(&bytes);
    }
}
