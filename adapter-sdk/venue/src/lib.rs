//! What fake venues have in common, so that one is the broker's protocol and little more.
//!
//! A fake venue plays a broker on this machine, for the tests of its adapter and for the conformance suite.
//! What it has to do is the same at every broker: listen, answer over HTTP and take sockets on one address,
//! keep accounts, tokens and their end, know who has subscribed what, obey the suite, and misbehave on
//! purpose. [`Venue`] does that around a [`Broker`], which says what a message means and how a packet is
//! written. [`Server`] is the part of it that knows nothing of brokers, for venues with more of their own.
//!
//! ```
//! use adapter_conformance::{Name, Packet};
//! use adapter_venue::{Broker, Desk, Guest, Handshake, Message, Next, Reply, Venue, query_of, reply};
//!
//! /// A broker that takes `subscribe EXCHANGE SYMBOL`, and sends `SYMBOL PRICE`.
//! struct Acme;
//!
//! impl Broker for Acme {
//!     const TOKENS: &'static [&'static str] = &["access_token"];
//!
//!     fn values(&self) -> Vec<&'static str> {
//!         vec!["ltp"]
//!     }
//!
//!     fn admit(&mut self, desk: &mut Desk, handshake: &Handshake) -> Result<Guest, Reply> {
//!         let given = query_of(handshake);
//!         let token = given.get("token").map(String::as_str).unwrap_or_default();
//!         if desk.accounts.is_token("access_token", token) {
//!             Ok(Guest::Known("the account".to_owned()))
//!         } else {
//!             Err(reply(403, "text/plain", "Bad token"))
//!         }
//!     }
//!
//!     fn hear(&mut self, desk: &mut Desk, connection: u64, message: &Message) -> Next {
//!         let Message::Text(text) = message else { return Next::HangUp };
//!         if let [_, exchange, symbol] = text.split(' ').collect::<Vec<_>>()[..] {
//!             let name = Name { exchange: exchange.to_owned(), symbol: symbol.to_owned() };
//!             desk.subscribe(connection, &[(name, "ltp")]);
//!         }
//!         Next::Go
//!     }
//!
//!     fn write(&mut self, desk: &Desk, connection: u64, packets: &[Packet], _: bool) -> Result<Vec<Message>, String> {
//!         let known = packets.iter().filter(|packet| {
//!             let name = Name { exchange: packet.exchange.clone(), symbol: packet.symbol.clone() };
//!             desk.mode_on(connection, &name).is_some()
//!         });
//!         Ok(known.map(|packet| Message::text(format!("{} {}", packet.symbol, packet.values["ltp"]))).collect())
//!     }
//! }
//!
//! let venue = Venue::start(Acme)?;
//! println!("connect to ws://{}/?token=…", venue.address());
//! assert_eq!(venue.report().opened, 0);
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod desk;
mod faults;
mod garbage;
mod http;
mod line;
mod message;
mod server;
mod venue;

pub use self::{
    desk::{Accounts, Desk, Listing, Serve},
    faults::{Faults, Refusal},
    garbage::Garbage,
    http::{Handshake, Reply, Request, header, json, query, query_of, reply},
    line::Line,
    message::Message,
    server::{Admission, Next, Pulse, Server, Service},
    venue::{Broker, Guest, State, Venue, run},
};
