//! Which connection carries an instrument, and what waits for a place.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tickhost_core::{
    model::InstrumentId,
    pool::{MaxCapacityReached, Pool, PoolLimits},
};

use crate::feeds::feed::connection::Connection;

/// The places of a feed's connections.
#[derive(Debug)]
pub(super) struct Placement {
    pool: Pool,
    /// Instruments without a connection, in the order in which they get a place. Bounded by what is
    /// subscribed.
    parked: VecDeque<InstrumentId>,
    /// How long a connection may be down before its instruments move to others.
    rebalance_after: Duration,
}

impl Placement {
    /// Nothing is placed.
    pub(super) fn new(limits: PoolLimits, rebalance_after: Duration) -> Self {
        Self { pool: Pool::new(limits), parked: VecDeque::new(), rebalance_after }
    }

    /// The limits of the account.
    pub(super) const fn limits(&self) -> PoolLimits {
        self.pool.limits()
    }

    /// Other limits of the account. What is beyond them stays placed: see [`Self::overfull`].
    pub(super) fn set_limits(&mut self, limits: PoolLimits) {
        self.pool.set_limits(limits);
    }

    /// Connections that carry more than they may, the last first, and how much more.
    pub(super) fn overfull(&self) -> Vec<(usize, usize)> {
        let PoolLimits { symbols_per_connection, connections, .. } = self.pool.limits();
        let beyond = |(number, used): (usize, &usize)| {
            let allowed = if number < connections { symbols_per_connection } else { 0 };
            (number, used.saturating_sub(allowed))
        };
        self.pool.used().iter().enumerate().map(beyond).filter(|(_, beyond)| *beyond > 0).rev().collect()
    }

    /// A place for one more instrument, wanted with so many levels: on a connection that is up or will be
    /// soon, as long as there is one.
    ///
    /// # Errors
    /// When there is no place at all.
    pub(super) fn place(
        &mut self,
        (instrument, levels): (InstrumentId, u16),
        connections: &[Connection],
        now: Instant,
    ) -> Result<usize, MaxCapacityReached> {
        let (is_any_usable, after) = (is_any_usable(connections), self.rebalance_after);
        let is_down = |connection: &Connection| connection.is_left() || is_down_for(connection, after, now);
        self.pool.place(instrument, levels, |number| {
            !is_any_usable || connections.get(number).is_none_or(|connection| !is_down(connection))
        })
    }

    /// Gives the places of an instrument on this connection back.
    pub(super) fn release(&mut self, number: usize, instrument: InstrumentId) {
        self.pool.release(number, instrument);
    }

    /// The levels to ask a connection for, of an instrument that is wanted with so many; see
    /// [`Pool::levels`].
    pub(super) fn levels(&mut self, number: usize, instrument: InstrumentId, wanted: u16) -> u16 {
        self.pool.levels(number, instrument, wanted)
    }

    /// A connection gives a book of so many levels.
    pub(super) fn note_granted(&mut self, number: usize, instrument: InstrumentId, levels: u16) {
        self.pool.granted(number, instrument, levels);
    }

    /// Forgets the connections from this number on, which carry nothing any more.
    pub(super) fn close_beyond(&mut self, number: usize) {
        self.pool.close_beyond(number);
    }

    /// Connections whose instruments are to move to others, as far as there is room.
    pub(super) fn to_leave(&self, connections: &[Connection], now: Instant) -> Vec<usize> {
        if !is_any_usable(connections) {
            return Vec::new();
        }
        let is_to_be_left = |connection: &Connection| {
            may_be_left(connection) && is_down_for(connection, self.rebalance_after, now)
        };
        let numbered = connections.iter().enumerate();
        numbered.filter(|(_, connection)| is_to_be_left(connection)).map(|(number, _)| number).collect()
    }

    /// Places on connections that are up.
    pub(super) fn room(&self, connections: &[Connection]) -> usize {
        let limit = self.pool.limits().symbols_per_connection;
        let with_places = connections.iter().zip(self.pool.used());
        with_places
            .filter(|(connection, _)| connection.is_usable())
            .map(|(_, used)| limit.saturating_sub(*used))
            .sum()
    }

    /// When there is something to do although nothing happens.
    pub(super) fn due(&self, connections: &[Connection]) -> Option<Instant> {
        let is_any_usable = is_any_usable(connections);
        let moments = connections.iter().filter_map(|connection| {
            let is_candidate = is_any_usable && may_be_left(connection) && !connection.is_left();
            let leave_at = connection.down_since().filter(|_| is_candidate);
            leave_at.map(|since| since + self.rebalance_after).or_else(|| connection.steady_at())
        });
        moments.min()
    }

    /// These wait for places, behind those that wait already.
    pub(super) fn park(&mut self, instruments: impl IntoIterator<Item = InstrumentId>) {
        self.parked.extend(instruments);
    }

    /// What waits for a place, in order; of some of it nobody may know any more.
    pub(super) const fn parked(&self) -> &VecDeque<InstrumentId> {
        &self.parked
    }

    /// The first in line does not wait any more.
    pub(super) fn unpark_first(&mut self) {
        self.parked.pop_front();
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> &[usize] {
        self.pool.used()
    }
}

fn is_any_usable(connections: &[Connection]) -> bool {
    connections.iter().any(Connection::is_usable)
}

/// One that is being replaced is not left: what takes its place may be up.
fn may_be_left(connection: &Connection) -> bool {
    connection.instruments() > 0 && connection.standby().is_none()
}

fn is_down_for(connection: &Connection, time: Duration, now: Instant) -> bool {
    connection.down_since().is_some_and(|since| now.saturating_duration_since(since) >= time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::clock::Moment, feeds::feed::connection::Link};

    /// An instrument without a deep book.
    const ONE: (InstrumentId, u16) = (InstrumentId(1), 5);
    const AFTER: Duration = Duration::from_secs(20);

    fn placement(symbols_per_connection: usize, connections: usize) -> Placement {
        Placement::new(PoolLimits::new(symbols_per_connection, connections), AFTER)
    }

    /// Connections with these links since `now`, each with one instrument.
    fn connections(links: &[Link], now: Moment) -> Vec<Connection> {
        let connection = |link: &Link| {
            let mut connection = Connection::default();
            connection.set_link(*link, now);
            connection.carry(&"NSE".into(), now);
            connection
        };
        links.iter().map(connection).collect()
    }

    #[test]
    fn what_is_beyond_limits_that_shrink_is_counted_from_the_last_connection() {
        let mut placement = placement(2, 3);
        (0..5).for_each(|_| assert!(placement.place(ONE, &[], Instant::now()).is_ok()));
        assert_eq!(placement.overfull(), []);
        placement.set_limits(PoolLimits::new(1, 2));
        assert_eq!(placement.overfull(), [(2, 1), (1, 1), (0, 1)]);
        placement.set_limits(PoolLimits::new(2, 1));
        assert_eq!(placement.overfull(), [(2, 1), (1, 2)]);
    }

    #[test]
    fn a_connection_is_left_when_it_was_down_for_long_and_another_is_up() {
        let start = Moment::now();
        let placement = placement(9, 3);
        let (early, late) = (start.at + AFTER / 2, start.at + AFTER);
        let down = connections(&[Link::Connecting, Link::Failed], start);
        assert_eq!((placement.to_leave(&down, late), placement.due(&down)), (Vec::new(), None));
        let mut mixed = connections(&[Link::Connecting, Link::Up, Link::Failed], start);
        assert_eq!(placement.to_leave(&mixed, early), Vec::<usize>::new());
        assert_eq!(placement.due(&mixed), Some(late), "then, though nothing happens");
        assert_eq!(placement.to_leave(&mixed, late), [0, 2]);
        // One that carries nothing is missed by nobody.
        mixed[0].drop_one("NSE");
        assert_eq!(placement.to_leave(&mixed, late), [2]);
        mixed[2].leave();
        assert_eq!(placement.due(&mixed), None, "it is looked at when something happens");
        assert_eq!(placement.to_leave(&mixed, late), [2], "more of it may move then");
    }

    #[test]
    fn one_that_is_up_again_and_was_left_carries_nothing_new_until_it_is_steady() {
        let start = Moment::now();
        let mut placement = placement(1, 2);
        let mut connections = connections(&[Link::Up, Link::Up], start);
        assert_eq!(placement.room(&connections), 0, "of connections that the pool does not know");
        assert_eq!(placement.place(ONE, &connections, start.at), Ok(0));
        placement.release(0, ONE.0);
        assert_eq!(placement.room(&connections), 1);
        connections[0].leave();
        assert_eq!(placement.room(&connections), 0);
        assert_eq!(placement.place(ONE, &connections, start.at), Ok(1), "a new one rather");
        let steady_at = placement.due(&connections).unwrap();
        connections[0].note_steady(steady_at);
        assert_eq!(placement.place(ONE, &connections, steady_at), Ok(0));
    }

    #[test]
    fn what_is_parked_keeps_its_order() {
        let mut placement = placement(1, 1);
        placement.park([InstrumentId(3), InstrumentId(1)]);
        placement.park([InstrumentId(2)]);
        placement.unpark_first();
        assert_eq!(placement.parked().iter().map(|one| one.0).collect::<Vec<_>>(), [1, 2]);
    }
}
