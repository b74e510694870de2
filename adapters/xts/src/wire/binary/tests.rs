use std::io::Write as _;

use adapter_sdk::{Tick, symbol::Exchange};
use flate2::{Compression, write::DeflateEncoder};
use proptest::prelude::*;

use super::*;
use crate::wire::Key;

/// A body with these bytes at their places.
fn body(length: usize, parts: &[(usize, &[u8])]) -> Vec<u8> {
    let mut body = vec![0; length];
    for (place, bytes) in parts {
        body[*place..place + bytes.len()].copy_from_slice(bytes);
    }
    body
}

/// A touchline of instrument 22 of NSE, in the layout of the maker's packages.
fn touchline() -> Vec<u8> {
    body(
        180,
        &[
            (0, &1_501_u16.to_le_bytes()),
            (2, &4_u16.to_le_bytes()),
            (26, &1_u16.to_le_bytes()),
            (28, &22_i32.to_le_bytes()),
            (40, &75_i32.to_le_bytes()),
            (44, &100.5_f64.to_le_bytes()),
            (84, &101.5_f64.to_le_bytes()),
            (104, &9_u32.to_le_bytes()),
            (132, &99.0_f64.to_le_bytes()),
        ],
    )
}

/// The same in the wider one, by the places that were observed.
fn wide() -> Vec<u8> {
    body(
        188,
        &[
            (0, &1_501_u16.to_le_bytes()),
            (2, &4_u16.to_le_bytes()),
            (26, &1_u16.to_le_bytes()),
            (28, &22_i32.to_le_bytes()),
            (40, &75_i64.to_le_bytes()),
            (48, &100.5_f64.to_le_bytes()),
            (92, &101.5_f64.to_le_bytes()),
            (124, &9_i64.to_le_bytes()),
            (156, &99.0_f64.to_le_bytes()),
        ],
    )
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap().to_le_bytes()
}

fn deflated(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A packet: whether it is packed, of the wider layout, and what its head says of the size.
fn packet(body: &[u8], is_packed: bool, is_wide: bool, size: usize) -> Vec<u8> {
    let mut packet = if is_wide { vec![4] } else { vec![] };
    packet.push(u8::from(is_packed));
    packet.extend(1_501_u16.to_le_bytes());
    packet.extend(1_i16.to_le_bytes());
    packet.extend(22_i32.to_le_bytes());
    packet.extend([0; 4]);
    packet.extend(short(size));
    if !is_packed {
        packet.extend(body);
        return packet;
    }
    let packed = deflated(body);
    if !is_wide {
        packet.extend(short(packed.len()));
    }
    packet.extend(packed);
    packet
}

fn all(frame: &[u8]) -> Vec<Result<News<'static>, Fault>> {
    let mut all = Vec::new();
    read(frame, &mut Unpacker::default(), |news| all.push(news));
    all
}

#[test]
fn both_layouts_say_the_same_plain_and_packed_and_behind_each_other() {
    let (narrow, wide) = (touchline(), wide());
    let frames = [
        packet(&narrow, false, false, 180),
        packet(&narrow, true, false, 180),
        packet(&wide, false, true, 188),
        packet(&wide, true, true, 188),
    ];
    let price = |text: &str| Price::parse(text).unwrap();
    let wanted =
        Tick::new(0).ltp(price("101.5")).volume(9).open(price("99")).change_percent(Price::default());
    let found = all(&frames.concat());
    assert_eq!(found.len(), 4);
    for news in found {
        let news = news.unwrap();
        assert_eq!(news.about, About::Instrument(Key { exchange: Exchange::Nse, token: 22 }));
        let counts = news.tick.total_buy_quantity(0).total_sell_quantity(0);
        assert_eq!(counts, wanted.total_buy_quantity(0).total_sell_quantity(0));
        assert_eq!(news.rows[0][0].price, Some(price("100.5")));
        assert_eq!(news.rows[0][0].quantity, Some(75));
    }
}

#[test]
fn what_is_wrong_costs_its_packet_and_the_rest_only_where_no_end_is_known() {
    let good = packet(&touchline(), true, false, 180);
    let after = |bad: Vec<u8>| {
        let found = all(&[bad, good.clone()].concat());
        (found[0].err(), found.iter().skip(1).filter(|news| news.is_ok()).count())
    };
    let with = |place: usize, value: u16| {
        let mut body = touchline();
        body[place..place + 2].copy_from_slice(&value.to_le_bytes());
        packet(&body, false, false, 180)
    };
    assert_eq!(after(with(2, 3)), (Some(Fault::Version), 1));
    assert_eq!(after(with(0, 1_502)), (Some(Fault::Contradiction), 1));
    assert_eq!(after(with(26, 2)), (Some(Fault::Contradiction), 1));
    assert_eq!(after(with(28, 23)), (Some(Fault::Contradiction), 1));
    // More and less than the head says.
    assert_eq!(after(packet(&touchline(), true, false, 179)), (Some(Fault::Packed), 1));
    assert_eq!(after(packet(&touchline(), true, false, 181)), (Some(Fault::Packed), 1));
    assert_eq!(after(packet(&vec![0; 60_000], true, false, 180)), (Some(Fault::Packed), 1));
    // Too short for what it is.
    assert_eq!(after(packet(&touchline()[..100], false, false, 100)), (Some(Fault::CutOff), 1));
    assert_eq!(after(vec![2]), (Some(Fault::Layout), 0));
    assert_eq!(after(packet(&vec![0; 60_000], true, true, 180)), (Some(Fault::Packed), 0));
    for end in 1..good.len() {
        assert_eq!(all(&good[..end]).len(), 1);
        assert!(all(&good[..end])[0].is_err(), "{end}");
    }
}

#[test]
fn a_frame_is_read_without_an_allocation() {
    let frame = [packet(&touchline(), true, false, 180), packet(&wide(), true, true, 188)].concat();
    let mut unpacker = Unpacker::default();
    read(&frame, &mut unpacker, |_| {});
    let used = allocation_counter::measure(|| {
        let mut count = 0;
        read(&frame, &mut unpacker, |news| count += usize::from(news.is_ok()));
        assert_eq!(count, 2);
    });
    assert_eq!(used.count_total, 0);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), place in 0_usize..200, byte: u8) {
        let _any = all(&bytes);
        for mut packet in [packet(&touchline(), false, false, 180), packet(&wide(), true, true, 188)] {
            if let Some(known) = packet.get_mut(place) {
                *known = byte;
            }
            let _any = all(&[packet, bytes.clone()].concat());
        }
    }
}
