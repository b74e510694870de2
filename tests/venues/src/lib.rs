//! Servers that speak the protocols of brokers, as the brokers do, on loopback: log-in, lists of instruments,
//! and the market data WebSocket, with everything that goes wrong there. Nothing in here knows an adapter:
//! packets are written from the brokers' documents, by code that shares nothing with the adapters' decoders.
//!
//! ```
//! use venues::{Mode, Options, zerodha};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let options = Options { rate_hz: 0.0, ..Options::default() };
//! let venue = zerodha::Venue::start(options.accepting(&[("api_key", "key"), ("access_token", "token")])).await?;
//! println!("connect to ws://{}/?api_key=key&access_token=token", venue.address());
//! assert_eq!(venue.sent("NSE", "SBIN", Mode::Full), None);
//! # std::io::Result::Ok(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! In the order of the data: [`Universe`] → prices → a broker's packets → the connections of a [`Venue`].
#![forbid(unsafe_code)]

pub mod angel;
mod broker;
mod control;
pub mod dhan;
pub mod fyers;
mod garbage;
mod market;
mod model;
pub mod noren;
mod options;
mod state;
mod universe;
pub mod upstox;
mod venue;
pub mod xts;
pub mod zerodha;

pub use adapter_venue::Refusal;

pub use self::{
    broker::{Broker, Cause, News, Next, Role},
    control::run as control,
    model::{ABSENT, LEVELS, Level, MOST_LEVELS, Mode, PRICE_SCALE, Side, Values, decimal, price},
    options::Options,
    universe::{Date, EXCHANGES, FAR, Instrument, Kind, MOST, Universe},
    venue::Venue,
};
