//! Reads what brokers write: a number that means "none" is none, a time that cannot be is no time, and an odd
//! member of an order message costs itself and nothing else.
//!
//! Each broker has words of its own for "none", and none of them writes them all down: zero, -1, the ends of
//! the integers, what a running minimum or maximum begins with. So there is one rule for all of them here, of
//! what a price, a quantity and a time can be at all.

mod bytes;
mod flat;
mod members;
mod number;
mod orders;
mod packed;
mod price;
pub mod protobuf;
mod text;
mod time;
mod words;

pub use self::{
    bytes::{Bytes, CutOff},
    flat::Flat,
    members::{Members, Odd, members, mended},
    number::Number,
    orders::OrderNames,
    packed::Packed,
    price::{Sign, float, is_word, plausible, quantity, scaled, whole},
    text::{clock, count},
    time::{micros, millis, of_any_unit, seconds},
};
