//! Records of any bytes.
#![expect(unsafe_code, reason = "records are made of bytes, as a broken library would")]

use adapter_abi::{Depth, DepthLevel, HostHandle, Ltp, Quote, abi_stable::std_types::RSlice};
use rand::{Rng as _, RngExt as _};

/// Publishes a batch of each kind, some of it under numbers that are subscribed.
pub(crate) fn publish(host: &HostHandle, known: &[u32]) {
    let mut rng = rand::rng();
    let mut number = |any: u32| known.get(rng.random_range(0..=known.len())).copied().unwrap_or(any);
    let mut ltp = any_ltp();
    ltp.instrument = number(ltp.instrument);
    let mut quote = any_quote();
    quote.instrument = number(quote.instrument);
    let mut outside = any_depth();
    outside.quote.instrument = number(outside.quote.instrument);
    // Levels that begin in the slice and end beyond it, and a sum that does not fit its type.
    let mut beyond = outside;
    (beyond.first_level, beyond.buy_levels, beyond.sell_levels) = (3, 5, u16::MAX);
    let mut overflow = outside;
    (overflow.first_level, overflow.buy_levels) = (u32::MAX, u16::MAX);
    let levels = [any_level(), any_level(), any_level(), any_level()];
    host.publish_ltp(RSlice::from_slice(&[ltp]));
    host.publish_quote(RSlice::from_slice(&[quote]));
    host.publish_depth(RSlice::from_slice(&[outside, beyond, overflow]), RSlice::from_slice(&levels));
    host.publish_depth(RSlice::from_slice(&[outside]), RSlice::EMPTY);
    host.publish_ltp(RSlice::EMPTY);
}

macro_rules! any_bytes {
    ($($name:ident -> $record:ident;)+) => {
        $(
            fn $name() -> $record {
                let mut bytes = [0; size_of::<$record>()];
                rand::rng().fill_bytes(&mut bytes);
                // SAFETY: the record consists of integers without padding, so any bytes are one.
                unsafe { std::mem::transmute::<[u8; size_of::<$record>()], $record>(bytes) }
            }
        )+
    };
}

any_bytes! {
    any_ltp -> Ltp;
    any_quote -> Quote;
    any_depth -> Depth;
    any_level -> DepthLevel;
}
