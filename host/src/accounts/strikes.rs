//! What wrong keys cost an address. Pure: time is handed in.
//!
//! Only the answer to a wrong key waits: who has a good one is not kept waiting for what its neighbours
//! behind the same address do.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use adapter_time::Backoff;
use rustc_hash::FxHashMap;

use crate::base::address::network_of;

/// Wrong keys of one connection, after the last of which it is closed.
const TRIES: u32 = 5;

/// Wrong keys of an address that cost nothing: somebody has a misspelt key in a program that tries again.
const FREE: f64 = 20.0;

/// Wrong keys of an address after which what it sends next is less urgent than what others send: soon, as
/// each costs the others time.
const SUSPECT: f64 = 4.0;

/// Wrong keys of an address after which each of its connections has one try.
const NOTORIOUS: f64 = 100.0;

/// One wrong key is forgotten in this time.
const FORGIVEN_IN: Duration = Duration::from_secs(3);

/// Waits of a connection for the answers to its wrong keys, from the second on. Whatever the wait, a client
/// must still be told within its grace.
const WAITS: Backoff = Backoff::new(Duration::from_millis(500), LONGEST_WAIT);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Addresses remembered.
const LIMIT: usize = 4_096;

/// An address, or the part of an IPv6 address that one customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place(IpAddr);

impl Place {
    fn of(address: IpAddr) -> Self {
        Self(network_of(address))
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    place: Place,
    has_erred: bool,
}

impl Caller {
    /// The host itself.
    pub const HOST: Self =
        Self { place: Place(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)), has_erred: false };

    /// A connection from this address; whether its last key was a wrong one.
    pub fn at(address: IpAddr, has_erred: bool) -> Self {
        Self { place: Place::of(address), has_erred }
    }
}

/// How much speaks against a key that nobody has looked at yet. The least is looked at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// Nothing.
    None,
    /// Others of this address have sent wrong keys.
    Place,
    /// The same connection has.
    Connection,
}

/// What a wrong key costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Penalty {
    /// Wait for the answer.
    pub wait: Duration,
    /// Wrong keys after the last of which a connection is closed.
    pub tries: u32,
}

impl Penalty {
    /// Wait of a connection for the answer to its `tries`th wrong key.
    pub fn wait_of(self, tries: u32) -> Duration {
        let own = match tries {
            0 | 1 => Duration::ZERO,
            more => WAITS.whole(more - 2),
        };
        own.max(self.wait).min(LONGEST_WAIT)
    }
}

/// Wrong keys by address.
#[derive(Debug, Default)]
pub(super) struct Strikes {
    counts: FxHashMap<Place, (f64, Instant)>,
}

impl Strikes {
    /// A wrong key came.
    pub(super) fn note(&mut self, caller: Caller, now: Instant) -> Penalty {
        if !self.counts.contains_key(&caller.place) && self.counts.len() >= LIMIT {
            self.forget_least(now);
        }
        let (count, at) = self.counts.entry(caller.place).or_insert((0.0, now));
        *count = left(*count, *at, now) + 1.0;
        *at = now;
        let beyond = *count - FREE;
        // A quarter of a second for each wrong key beyond the free ones.
        let wait = Duration::from_secs_f64((beyond * 0.25).clamp(0.0, LONGEST_WAIT.as_secs_f64()));
        Penalty { wait, tries: if *count >= NOTORIOUS { 1 } else { TRIES } }
    }

    /// What speaks against the next key from here.
    pub(super) fn doubt(&self, caller: Caller, now: Instant) -> Doubt {
        let is_suspect =
            self.counts.get(&caller.place).is_some_and(|(count, at)| left(*count, *at, now) > SUSPECT);
        match (is_suspect, caller.has_erred) {
            // Somebody has mistyped a key, and tries again.
            (false, _) => Doubt::None,
            (true, false) => Doubt::Place,
            (true, true) => Doubt::Connection,
        }
    }

    fn forget_least(&mut self, now: Instant) {
        // An eighth at once, and whoever has as few wrong keys, so that this is rare.
        let mut counts: Vec<f64> = self.counts.values().map(|(count, at)| left(*count, *at, now)).collect();
        let (_, least, _) = counts.select_nth_unstable_by(LIMIT / 8, f64::total_cmp);
        self.counts.retain(|_, (count, at)| left(*count, *at, now) > *least);
    }
}

/// What is left of a count.
fn left(count: f64, at: Instant, now: Instant) -> f64 {
    let forgiven = now.saturating_duration_since(at).as_secs_f64() / FORGIVEN_IN.as_secs_f64();
    // Nobody is remembered for long: what one burst cost is forgiven in five minutes.
    (count.min(NOTORIOUS) - forgiven).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(address: &str) -> Caller {
        Caller::at(address.parse().unwrap(), false)
    }

    #[test]
    fn the_first_wrong_key_costs_nothing_and_each_further_one_of_a_connection_more() {
        let penalty = Strikes::default().note(caller("192.0.2.1"), Instant::now());
        assert_eq!(penalty, Penalty { wait: Duration::ZERO, tries: TRIES });
        let waits: Vec<u128> = (1..=TRIES).map(|tries| penalty.wait_of(tries).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1_000, 2_000, 4_000]);
        assert_eq!(penalty.wait_of(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn a_flood_makes_its_own_address_wait_until_it_has_been_quiet() {
        let (mut strikes, start) = (Strikes::default(), Instant::now());
        let mut last = Duration::ZERO;
        for number in 1..=300 {
            let penalty = strikes.note(caller("192.0.2.1"), start);
            assert!(penalty.wait >= last && penalty.wait <= LONGEST_WAIT, "{number}: {penalty:?}");
            assert_eq!((penalty.wait > Duration::ZERO, penalty.tries == 1), (number > 20, number >= 100));
            let at_fault = Caller { has_erred: true, ..caller("192.0.2.1") };
            let doubts = [caller("192.0.2.1"), at_fault].map(|caller| strikes.doubt(caller, start));
            let (clean, erred) =
                if number > 4 { (Doubt::Place, Doubt::Connection) } else { (Doubt::None, Doubt::None) };
            assert_eq!(doubts, [clean, erred], "{number}");
            assert_eq!(strikes.doubt(caller("192.0.2.2"), start), Doubt::None);
            last = penalty.wait;
        }
        assert_eq!(last, LONGEST_WAIT);
        assert_eq!(strikes.note(caller("192.0.2.2"), start).wait, Duration::ZERO);
        let later = start + Duration::from_mins(5);
        assert_eq!(strikes.note(caller("192.0.2.1"), later).wait, Duration::ZERO);
    }

    #[test]
    fn one_customer_is_one_caller() {
        assert_eq!(caller("2001:db8:1:2::1"), caller("2001:db8:1:2:ffff::9"));
        assert_ne!(caller("2001:db8:1:2::1"), caller("2001:db8:1:3::1"));
        assert_eq!(caller("::ffff:192.0.2.1"), caller("192.0.2.1"));
    }

    #[test]
    fn addresses_are_bounded_and_a_notorious_one_is_not_forgotten_first() {
        let (mut strikes, start) = (Strikes::default(), Instant::now());
        for _ in 0..150 {
            strikes.note(caller("192.0.2.1"), start);
        }
        for number in 0..10_000_u32 {
            strikes.note(Caller::at(std::net::Ipv4Addr::from(0x0a00_0000 + number).into(), false), start);
        }
        assert!(strikes.counts.len() <= LIMIT);
        assert_eq!(strikes.note(caller("192.0.2.1"), start).tries, 1);
    }
}
