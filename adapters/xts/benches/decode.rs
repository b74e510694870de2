//! What decoding costs: a message to what is known of its instrument, for each form of message.

use std::{hint::black_box, io::Write as _};

use adapter_xts::{
    decode::{self, Books},
    engine::{Packet, said},
    wire::{About, binary, read_event},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compression, write::DeflateEncoder};

const MESSAGES: u32 = 100;

/// Values as a text has them.
const TOUCHLINE: &str = r#""LastTradedPrice":22605.05,"LastTradedQunatity":75,"TotalBuyQuantity":215450,"TotalSellQuantity":300125,"TotalTradedQuantity":1250034,"AverageTradedPrice":22599.87,"LastTradedTime":1480045501,"LastUpdateTime":1480045502,"PercentChange":0.52,"Open":22550.0,"High":22640.15,"Low":22510.3,"Close":22488.1,"TotalValueTraded":28250000.5"#;

/// An event of JSON for each instrument, as a text within a text.
fn full(code: u32) -> Vec<String> {
    let row = |place: u32| {
        format!(
            r#"{{"Size":{},"Price":226{place:02}.05,"TotalOrders":12,"BuyBackMarketMaker":0}}"#,
            75 * (place + 1)
        )
    };
    let rows = (0..5).map(row).collect::<Vec<_>>().join(",");
    let message = |token: u32| {
        let values = match code {
            1_502 => format!(
                r#""Bids":[{rows}],"Asks":[{rows}],"Touchline":{{"BidInfo":{},"AskInfo":{},{TOUCHLINE}}}"#,
                row(0),
                row(1)
            ),
            1_501 => format!(r#""BidInfo":{},"AskInfo":{},{TOUCHLINE}"#, row(0), row(1)),
            _ => {
                r#""LastTradedPrice":22605.05,"LastTradedQunatity":75,"LastUpdateTime":1480045502"#.to_owned()
            }
        };
        let json = format!(
            r#"{{"MessageCode":{code},"MessageVersion":4,"ApplicationType":0,"TokenID":0,"ExchangeSegment":2,"ExchangeInstrumentID":{token},"ExchangeTimeStamp":1480045502,{values}}}"#
        );
        format!("42[\"{code}-json-full\",{}]", serde_json::Value::from(json))
    };
    (40_001..=40_000 + MESSAGES).map(message).collect()
}

fn partial() -> Vec<String> {
    let message = |token| {
        format!(
            r#"42["1502-json-partial","t:2_{token},ltp:22605.05,ltq:75,v:1250034,ap:22599.87,lut:1480045502,ltt:1480045501,bi:0|150|22605.00|3|2|75|22604.05|1,ai:1|225|22606.00|"]"#
        )
    };
    (40_001..=40_000 + MESSAGES).map(message).collect()
}

/// A packet with a book of five levels.
fn packed(token: u32, is_packed: bool) -> Vec<u8> {
    let mut body = Vec::new();
    let token = i32::try_from(token).unwrap_or_default();
    for short in [1_502_u16, 4, 8] {
        body.extend(short.to_le_bytes());
    }
    body.extend([0; 20]);
    body.extend(2_u16.to_le_bytes());
    body.extend(token.to_le_bytes());
    body.extend(1_480_045_502_u64.to_le_bytes());
    let level = |body: &mut Vec<u8>, place: i32| {
        body.extend((75 * (place + 1)).to_le_bytes());
        body.extend((22_605.05 + f64::from(place)).to_le_bytes());
        body.extend(12_i32.to_le_bytes());
        body.extend([0; 2]);
    };
    for _ in 0..2 {
        body.extend(5_i32.to_le_bytes());
        (0..5).for_each(|place| level(&mut body, place));
    }
    (0..2).for_each(|place| level(&mut body, place));
    body.extend(1_480_045_502_u64.to_le_bytes());
    body.extend(22_605.05_f64.to_le_bytes());
    for count in [75_u32, 215_450, 300_125, 1_250_034] {
        body.extend(count.to_le_bytes());
    }
    body.extend(22_599.87_f64.to_le_bytes());
    body.extend(1_480_045_501_u64.to_le_bytes());
    for price in [0.52_f64, 22_550.0, 22_640.15, 22_510.3, 22_488.1, 28_250_000.5] {
        body.extend(price.to_le_bytes());
    }
    body.extend([0; 8]);
    let mut packet = vec![u8::from(is_packed)];
    packet.extend(1_502_u16.to_le_bytes());
    packet.extend(2_i16.to_le_bytes());
    packet.extend(token.to_le_bytes());
    packet.extend([1, 0, 1, 0]);
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
    packet.extend(length(&body));
    if is_packed {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        // Writing to memory cannot fail.
        body = encoder.write_all(&body).and_then(|()| encoder.finish()).unwrap_or_default();
        packet.extend(length(&body));
    }
    packet.extend(body);
    packet
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(MESSAGES.into()));
    let texts = [
        ("ltp", full(1_512)),
        ("touchline", full(1_501)),
        ("depth", full(1_502)),
        ("depth partial", partial()),
    ];
    for (name, messages) in texts {
        let (mut books, mut scratch) = (Books::new(), String::new());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for text in black_box(&messages) {
                    let Packet::Event(name, argument) = Packet::read(text) else { continue };
                    let Some(text) = said(argument, &mut scratch) else { continue };
                    let Ok(Some(news)) = read_event(name, text) else { continue };
                    let About::Instrument(key) = news.about else { continue };
                    let known = decode::take(&mut books, key, &news);
                    black_box((known.tick(key.token), known.book()));
                }
            });
        });
    }
    for (name, is_packed) in [("depth binary", false), ("depth binary packed", true)] {
        let frames: Vec<Vec<u8>> =
            (40_001..=40_000 + MESSAGES).map(|token| packed(token, is_packed)).collect();
        let (mut books, mut unpacker) = (Books::new(), binary::Unpacker::default());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for frame in black_box(&frames) {
                    binary::read(frame, &mut unpacker, |news| {
                        let Ok(news) = news else { return };
                        let About::Instrument(key) = news.about else { return };
                        let known = decode::take(&mut books, key, &news);
                        black_box((known.tick(key.token), known.book()));
                    });
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
