//! Places among the connections of the client port.
//!
//! A connection is a *stranger* until its first key was found good, and a *member* afterwards. Members have
//! the limits that the operator set, and whoever comes when they are reached is refused. Strangers never keep
//! anybody out: when there is no room, the oldest of the address that has most of them goes, and those beyond
//! their quota have [`HASTE`] to become members. Who waits for the check of a first key is no stranger in
//! this sense, and goes only when those who wait fill the host.
//!
//! One lock, held for a few instructions; nothing in here waits.

mod guests;
mod signal;

use std::{net::IpAddr, sync::Arc, time::Duration, time::Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tickhost_core::{metrics::ServerCounters, protocol::codes::CloseReason};

use self::guests::Guests;
pub use self::signal::Signal;
use crate::base::{address::network_of, descriptors};

/// Time that strangers beyond their quota have to show a key. Long enough for every client of a slow machine
/// in a burst.
pub const HASTE: Duration = Duration::from_secs(5);

/// Connections over the limit whose upgrade is answered, to be told so with a close code, at one time.
const REFUSALS_AT_ONCE: usize = 64;

/// Connections beyond those that are told so with an HTTP status, at one time; the rest is dropped without a
/// word.
const TURNED_AWAY_AT_ONCE: usize = 256;

/// Connections that are told why they have to go, at one time; the rest is dropped without a word.
const PARTINGS_AT_ONCE: usize = 64;

/// Strangers that were told to go and are not gone yet. They take some milliseconds; when there are more, the
/// host is too busy for newcomers.
const LEAVING_AT_ONCE: usize = 1_024;

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Members in total.
    pub total: usize,
    /// Members from one address.
    pub per_address: usize,
    /// Strangers in total that may take their time. So many have room even when all places of members are
    /// taken.
    pub strangers: usize,
    /// Strangers from one address that may take their time.
    pub strangers_per_address: usize,
}

// Those who are on their way out have descriptors set apart for them.
const _: () = assert!(
    LEAVING_AT_ONCE + REFUSALS_AT_ONCE + TURNED_AWAY_AT_ONCE + PARTINGS_AT_ONCE
        <= descriptors::LEAVING_CLIENTS
);

/// Places that are taken.
#[derive(Debug)]
pub struct Admissions {
    taken: Mutex<Taken>,
    counters: Arc<ServerCounters>,
}

#[derive(Debug)]
struct Taken {
    limits: ConnectionLimits,
    members: usize,
    members_of: FxHashMap<IpAddr, usize>,
    strangers: Guests,
    /// Whose first key is being checked.
    checking: Guests,
    leaving: usize,
    refusals: usize,
    turned_away: usize,
    partings: usize,
    next: u64,
}

/// A place among the connections, given back when dropped.
#[derive(Debug)]
pub struct Admission {
    admissions: Arc<Admissions>,
    place: Place,
}

/// Among which connections a place is.
#[derive(Debug)]
enum Place {
    /// Those that are served.
    Served(Served),
    /// Those that are told with a close code that they are refused.
    Refused,
    /// Those that are told so with a status.
    TurnedAway,
    /// Those that had another place, and are told that they have to go.
    Parting,
}

#[derive(Debug)]
struct Served {
    address: IpAddr,
    number: u64,
    since: Instant,
    signal: Arc<Signal>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Stranger,
    Checking,
    Member,
}

impl Admissions {
    /// Nobody is connected. Strangers that had to go are counted.
    pub fn new(limits: ConnectionLimits, counters: Arc<ServerCounters>) -> Arc<Self> {
        let taken = Taken {
            limits,
            members: 0,
            members_of: FxHashMap::default(),
            strangers: Guests::default(),
            checking: Guests::default(),
            leaving: 0,
            refusals: 0,
            turned_away: 0,
            partings: 0,
            next: 0,
        };
        Arc::new(Self { taken: Mutex::new(taken), counters })
    }

    /// Other limits from now on. Who is connected stays, even if that is more than they allow.
    pub fn limit(&self, limits: ConnectionLimits) {
        self.taken.lock().limits = limits;
    }

    /// Takes the place of a stranger that has come at `now`, if need be that of another one, which is
    /// signalled to go.
    ///
    /// # Errors
    /// Which limit was reached.
    pub fn admit(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Admission, CloseReason> {
        let address = network_of(address);
        let mut taken = self.taken.lock();
        taken.may_be_member(address)?;
        if taken.leaving >= LEAVING_AT_ONCE {
            return Err(CloseReason::TooManyConnections);
        }
        if taken.open() >= taken.limits.total.saturating_add(taken.limits.strangers.max(1)) {
            if !taken.make_room() {
                return Err(CloseReason::TooManyConnections);
            }
            self.counters.displaced.add(1);
        }
        let signal = Arc::<Signal>::default();
        let number = taken.next;
        taken.next += 1;
        taken.strangers.enter(address, number, now, Arc::clone(&signal));
        drop(taken);
        let served = Served { address, number, since: now, signal, stage: Stage::Stranger };
        Ok(Admission { admissions: Arc::clone(self), place: Place::Served(served) })
    }

    /// Lets strangers beyond their quota go that have had [`HASTE`] by `now`.
    pub fn tidy(&self, now: Instant) {
        let mut taken = self.taken.lock();
        let ConnectionLimits { strangers, strangers_per_address, .. } = taken.limits;
        let late = |since: Instant| now.saturating_duration_since(since) >= HASTE;
        let mut gone = 0;
        while taken
            .strangers
            .oldest_of_largest()
            .is_some_and(|(count, oldest)| count > strangers_per_address && late(oldest))
        {
            taken.displace(Stage::Stranger, CloseReason::TooManyFromAddress);
            gone += 1;
        }
        while taken.strangers.len() > strangers
            && taken.strangers.oldest_of_largest().is_some_and(|(_, oldest)| late(oldest))
        {
            taken.displace(Stage::Stranger, CloseReason::TooManyConnections);
            gone += 1;
        }
        drop(taken);
        self.counters.displaced.add(gone);
    }

    /// Takes one of the few places of those who are told why they are refused.
    pub fn refuse(self: &Arc<Self>) -> Option<Admission> {
        let mut taken = self.taken.lock();
        if taken.refusals >= REFUSALS_AT_ONCE {
            return None;
        }
        taken.refusals += 1;
        Some(Admission { admissions: Arc::clone(self), place: Place::Refused })
    }

    /// Takes one of the places of those who are told so for less.
    pub fn turn_away(self: &Arc<Self>) -> Option<Admission> {
        let mut taken = self.taken.lock();
        if taken.turned_away >= TURNED_AWAY_AT_ONCE {
            return None;
        }
        taken.turned_away += 1;
        Some(Admission { admissions: Arc::clone(self), place: Place::TurnedAway })
    }

    /// The limits in force.
    pub fn limits(&self) -> ConnectionLimits {
        self.taken.lock().limits
    }

    /// Connections at the moment.
    pub fn open(&self) -> usize {
        self.taken.lock().open()
    }

    /// Of them, those that have shown no good key yet.
    pub fn without_key(&self) -> usize {
        let taken = self.taken.lock();
        taken.open() - taken.members
    }
}

impl Taken {
    fn open(&self) -> usize {
        self.members + self.strangers.len() + self.checking.len()
    }

    fn may_be_member(&self, address: IpAddr) -> Result<(), CloseReason> {
        if self.members >= self.limits.total {
            return Err(CloseReason::TooManyConnections);
        }
        if self.members_of.get(&address).copied().unwrap_or(0) >= self.limits.per_address {
            return Err(CloseReason::TooManyFromAddress);
        }
        Ok(())
    }

    /// Lets the oldest go of the address that has most. Those who wait for a check go when they leave
    /// strangers less room than their quota.
    fn make_room(&mut self) -> bool {
        let is_crowded = self.strangers.len() < self.limits.strangers && self.checking.len() > 0;
        let stages =
            if is_crowded { [Stage::Checking, Stage::Stranger] } else { [Stage::Stranger, Stage::Checking] };
        stages.into_iter().any(|stage| self.displace(stage, CloseReason::TooManyConnections))
    }

    fn displace(&mut self, stage: Stage, reason: CloseReason) -> bool {
        let guests = if stage == Stage::Checking { &mut self.checking } else { &mut self.strangers };
        let Some(signal) = guests.displace() else { return false };
        self.leaving += 1;
        signal.raise(reason);
        true
    }

    /// Takes a connection out of the list in which it is. False when it was displaced.
    fn leave(&mut self, served: &Served) -> bool {
        match served.stage {
            Stage::Stranger => self.strangers.leave(served.address, served.number),
            Stage::Checking => self.checking.leave(served.address, served.number),
            Stage::Member => {
                self.members = self.members.saturating_sub(1);
                if let Some(count) = self.members_of.get_mut(&served.address) {
                    *count -= 1;
                    if *count == 0 {
                        self.members_of.remove(&served.address);
                    }
                }
                true
            }
        }
    }
}

impl Admission {
    /// What tells the connection to go; none for one that is going.
    pub fn signal(&self) -> Option<Arc<Signal>> {
        match &self.place {
            Place::Served(served) => Some(Arc::clone(&served.signal)),
            Place::Refused | Place::TurnedAway | Place::Parting => None,
        }
    }

    /// A stranger has shown a key, which is being checked.
    pub fn begin_check(&mut self) {
        self.change(Stage::Stranger, Stage::Checking);
    }

    /// The key was not found good: a stranger as before, and as old.
    pub fn end_check(&mut self) {
        self.change(Stage::Checking, Stage::Stranger);
    }

    /// The key was found good.
    ///
    /// # Errors
    /// Which limit of members was reached meanwhile; nothing changes then.
    pub fn join(&mut self) -> Result<(), CloseReason> {
        let Place::Served(served) = &mut self.place else { return Ok(()) };
        if served.stage == Stage::Member {
            return Ok(());
        }
        let mut taken = self.admissions.taken.lock();
        taken.may_be_member(served.address)?;
        if !taken.leave(served) {
            // It was told to go, and will see it next.
            return Ok(());
        }
        taken.members += 1;
        *taken.members_of.entry(served.address).or_default() += 1;
        served.stage = Stage::Member;
        Ok(())
    }

    /// Whether a connection that has to go may be told so: takes one of the few places for that, and gives
    /// back its own.
    pub fn part(&mut self) -> bool {
        {
            let mut taken = self.admissions.taken.lock();
            if taken.partings >= PARTINGS_AT_ONCE {
                return false;
            }
            taken.partings += 1;
        }
        *self = Self { admissions: Arc::clone(&self.admissions), place: Place::Parting };
        true
    }

    fn change(&mut self, from: Stage, to: Stage) {
        let Place::Served(served) = &mut self.place else { return };
        if served.stage != from {
            return;
        }
        let mut taken = self.admissions.taken.lock();
        if taken.leave(served) {
            let guests = if to == Stage::Checking { &mut taken.checking } else { &mut taken.strangers };
            guests.enter(served.address, served.number, served.since, Arc::clone(&served.signal));
            served.stage = to;
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut taken = self.admissions.taken.lock();
        match &self.place {
            Place::Served(served) => {
                if !taken.leave(served) {
                    taken.leaving = taken.leaving.saturating_sub(1);
                }
            }
            Place::Refused => taken.refusals = taken.refusals.saturating_sub(1),
            Place::TurnedAway => taken.turned_away = taken.turned_away.saturating_sub(1),
            Place::Parting => taken.partings = taken.partings.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests;
