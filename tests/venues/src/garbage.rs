//! Frames that make no sense, the same ones for the same seed.

use tokio_tungstenite::tungstenite::Message;

use crate::{broker::Broker, market::Random, state::Core};

/// Longest frame of random bytes.
const BYTES: i64 = 600;

/// A frame of random bytes, or a packet of an account's connections that is cut or changed, or a text.
pub(crate) fn frame<B: Broker>(core: &Core, random: &mut Random, account: &str) -> Message {
    let kind = random.below(8);
    if kind < 2 {
        return Message::binary(bytes(random));
    }
    if kind == 2 {
        return Message::text(String::from_utf8_lossy(&bytes(random)).into_owned());
    }
    let packets = (0..=random.below(3)).map(|_| core.sample::<B>(random, account)).collect();
    let message = B::messages(account, packets, true).pop();
    let is_text = message.as_ref().is_some_and(Message::is_text);
    let mut broken = message.map(|message| message.into_data().to_vec()).unwrap_or_default();
    let place = usize::try_from(random.below(i64::try_from(broken.len()).unwrap_or(0))).unwrap_or(0);
    if kind < 5 {
        broken.truncate(place);
    } else if let Some(byte) = broken.get_mut(place.min(3)) {
        // The beginning of a packet is what says how to read the rest.
        *byte ^= random.next().to_le_bytes()[0] | 1;
    }
    if is_text {
        Message::text(String::from_utf8_lossy(&broken).into_owned())
    } else {
        Message::binary(broken)
    }
}

fn bytes(random: &mut Random) -> Vec<u8> {
    let length = random.below(BYTES);
    (0..length).map(|_| random.next().to_le_bytes()[3]).collect()
}
