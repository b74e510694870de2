//! Payloads through the decoder, compared with the ticks that they must become.

use adapter_sdk::{Level, Price, Tick};

use adapter_template::{
    decode::{self, DecodeError, Decoded},
    wire::{Message, Packet},
};

const fn paise(value: i64) -> Price {
    Price::from_nanos(value * 10_000_000)
}

fn level(price: i64, quantity: i64, orders: u32) -> Level {
    Level { price: paise(price), quantity, orders: Some(orders) }
}

#[test]
fn a_frame_becomes_what_it_says_and_nothing_more() {
    let Ok(Message::Ticks { ticks }) = decode::message(include_str!("../testdata/frame.json")) else {
        panic!("no frame of ticks")
    };
    let decoded: Vec<Decoded> =
        ticks.iter().map(|packet| decode::packet(packet, 70_000 + packet.h).unwrap()).collect();
    let quote = Tick::new(70_002)
        .ltp(paise(2_597_391))
        .exchange_ts_ns(1_764_570_600_123_000_000)
        .open(paise(2_590_000))
        .high(paise(2_600_005))
        .low(paise(2_588_040))
        .close(paise(2_585_025))
        .volume(0);
    let book =
        Tick::new(70_003).ltp(paise(160_000)).last_trade_ts_ns(1_764_570_600_000_000_000).last_quantity(75);
    let (buy, sell) = (vec![level(159_995, 150, 2), level(159_990, 75, 1)], vec![level(160_005, 300, 4)]);
    assert_eq!(
        decoded,
        [
            Decoded::Ltp(Tick::new(70_001).ltp(paise(62_505))),
            Decoded::Quote(quote),
            Decoded::Book(book, buy, sell),
            Decoded::Quote(Tick::new(70_002).oi(7)),
        ]
    );
}

#[test]
fn what_makes_no_sense_is_an_error() {
    for text in ["", "{}", "[]", r#"{"type":7}"#, r#"{"type":"ticks","ticks":[{"p":"62505"}]}"#] {
        assert_eq!(decode::message(text), Err(DecodeError::NoMessage), "{text}");
    }
    assert_eq!(decode::message(r#"{"type":"auction"}"#), Ok(Message::Unknown));
    for none in [0, -1, i64::MAX, i32::MIN.into()] {
        let far = Packet { p: Some(none), t: Some(0), ..Packet::default() };
        assert_eq!(decode::packet(&far, 1), Ok(Decoded::Ltp(Tick::new(1))), "{none}");
    }
    let half = Packet { b: Some(vec![(1, 2, 3)]), ..Packet::default() };
    assert_eq!(decode::packet(&half, 1), Err(DecodeError::HalfABook));
}
