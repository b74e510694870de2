//! What must hold of any message, whoever made it up: the property tests and the fuzzer ask the same.

use adapter_dhan::{
    clock::Clock,
    decode::{self, Decoded},
    wire::{
        WireError,
        depth::{self, Tier},
        live,
    },
};

/// Everything that a message gives, as text, after checks of what must hold of any.
pub(crate) fn read(tier: Option<Tier>, message: &[u8]) -> Vec<Result<String, WireError>> {
    let mut found = Vec::new();
    let mut clock = Clock::new();
    clock.set(1_795_599_000);
    match tier {
        None => {
            for packet in live::Packets::new(message) {
                found.push(packet.map(|packet| {
                    assert!(message.windows(4).any(|bytes| bytes == packet.key.id.to_le_bytes()));
                    let decoded = decode::tick(&packet, 1, &mut clock);
                    if let Decoded::Book(_, book) = &decoded {
                        for side in [book.buy(), book.sell()] {
                            assert!(side.len() <= live::LEVELS);
                            assert!(side.iter().all(|level| level.quantity >= 0));
                            assert!(side.iter().all(|level| level.price.as_nanos() != 0));
                        }
                    }
                    format!("{packet:?}{decoded:?}")
                }));
            }
            assert!(found.len() <= message.len() / 8 + 1);
        }
        Some(tier) => {
            let mut levels = Vec::new();
            for packet in depth::Packets::new(tier, message) {
                levels.clear();
                if let Ok(depth::Packet::Side(key, _, rows)) = packet.clone() {
                    assert!(message.windows(4).any(|bytes| bytes == key.id.to_le_bytes()));
                    assert!(rows.clone().count() <= tier.levels().into());
                    _ = decode::side(rows, &mut levels);
                    assert!(levels.len() <= tier.levels().into());
                    assert!(levels.iter().all(|level| level.quantity >= 0 && level.price.as_nanos() > 0));
                }
                found.push(packet.map(|packet| format!("{packet:?}{levels:?}")));
            }
            assert!(found.len() <= message.len() / 12 + 1);
        }
    }
    let cut = found.iter().position(|packet| *packet == Err(WireError::Truncated));
    assert!(cut.is_none_or(|cut| cut + 1 == found.len()));
    found
}
