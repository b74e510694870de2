//! Numbered cases that every Tickhost adapter has to pass, each of which exists because somebody was hurt.
//!
//! The suite drives an adapter through the boundary that the host uses ([`adapter_abi`]), so it works for a
//! library that was loaded as well as for one that is linked into a test. What it has to know of the broker
//! stands in a [`Profile`]; the broker itself is played by a fake venue, a program that its author writes and
//! the suite controls ([`Control`]). It is no load test, and it says nothing of how the real broker behaves.
//!
//! ```
//! use adapter_conformance::{CASES, Profile};
//!
//! let text = r#"
//!     instruments = [
//!         { exchange = "NSE", symbol = "SBIN" },
//!         { exchange = "NSE", symbol = "TCS" },
//!         { exchange = "NSE", symbol = "INFY" },
//!     ]
//! "#;
//! let profile = Profile::parse(text, std::path::Path::new("."))?;
//! assert_eq!(profile.limits.reconnects, 1_000);
//! assert_eq!(CASES[0].slug, "never-relabels");
//! # Ok::<(), String>(())
//! ```
//!
//! In the order of the data: [`Profile`] → [`Suite`] → the cases ([`CASES`]) → [`Report`].
#![forbid(unsafe_code)]

mod cases;
mod host;
mod isolate;
mod nested;
mod picture;
mod profile;
mod rehearsal;
mod report;
mod running;
mod side_by_side;
mod stage;
mod subject;
mod suite;
mod value;
mod venue;
mod verdict;

pub use self::{
    cases::{CASES, Case},
    isolate::{hand_over, run_isolated, run_limited},
    nested::as_by_hand,
    profile::{
        BrandProfile, Bulk, CredentialSet, CredentialSets, Instrument, Limits, LogIn, Profile, ProfileError,
    },
    rehearsal::Rehearsal,
    report::Report,
    side_by_side::run_side_by_side,
    subject::brands,
    suite::{Suite, try_venue},
    venue::{
        Answer, Command, Control, Edition, Hello, Name, PROTOCOL, Packet, Report as VenueReport, Row,
        Subscribed, serve,
    },
    verdict::{CaseResult, Verdict},
};
