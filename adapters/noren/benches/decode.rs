//! What decoding costs: a message to what is known of its instrument, for each kind of message. An update has
//! what has changed, as in a busy market; an image has everything.

use std::{
    fmt::Write as _,
    hint::black_box,
    time::{Duration, UNIX_EPOCH},
};

use adapter_noren::{
    decode::{self, Book},
    wire::{self, Message},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const MESSAGES: u32 = 100;

const TOUCHLINE: &str = r#","lp":"1400.10","pc":"0.52","ft":"1795578301","v":"1250034","ltq":"5","ltt":"09:15:01","bp1":"1400.05","sp1":"1400.10","bq1":"75","sq1":"150""#;

/// The messages of a kind, each of another instrument, with these members.
fn messages(kind: &str, members: &str) -> Vec<String> {
    let message = |token| format!(r#"{{"t":"{kind}","e":"NFO","tk":"{token}"{members}}}"#);
    (40_001..=40_000 + MESSAGES).map(message).collect()
}

fn whole(levels: usize) -> String {
    let mut members = r#","ts":"NIFTY29DEC26F","pp":"2","ti":"0.05","ls":"75","ap":"1399.87","o":"1395.00","h":"1402.35","l":"1391.10","c":"1392.85","tbq":"215450","tsq":"300125","oi":"14231250","poi":"14200125","uc":"1532.15","lc":"1253.60""#.to_owned() + TOUCHLINE;
    for level in 1..=levels {
        for (side, cents) in [('b', 140_005 - level * 5), ('s', 140_005 + level * 5)] {
            let price = format!("{}.{:02}", cents / 100, cents % 100);
            // Writing to a text cannot fail.
            _ = write!(
                members,
                r#","{side}p{level}":"{price}","{side}q{level}":"{level}75","{side}o{level}":"{level}""#
            );
        }
    }
    members
}

fn decode(criterion: &mut Criterion) {
    let now = UNIX_EPOCH + Duration::from_secs(1_795_578_302);
    let row = r#","ft":"1795578301","bp2":"1399.95","bq2":"225","bo2":"3","sq3":"75""#;
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(MESSAGES.into()));
    for (name, messages) in [
        ("touchline", messages("tf", TOUCHLINE)),
        ("touchline image", messages("tk", &whole(0))),
        ("depth", messages("df", row)),
        ("depth image", messages("dk", &whole(5))),
    ] {
        let mut state = Book::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for text in black_box(&messages) {
                    let Some(message) = Message::read(text) else { continue };
                    let Some(key) = wire::key(&message) else { continue };
                    if let Some(known) = decode::take(&mut state, key, &message, now) {
                        black_box((known.tick(key.token), known.book()));
                    }
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
