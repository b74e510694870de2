//! The list of instruments as it is served, and how it differs from the one at first.

use std::{borrow::Cow, collections::BTreeSet};

use adapter_conformance::{Edition, Name};

use super::Core;
use crate::{broker::Broker, universe::Universe};

/// What differs.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    /// Two that have each other's number.
    swapped: Option<(usize, usize)>,
    /// Those that it does not have.
    without: BTreeSet<usize>,
    /// The exchange of which it has nothing.
    lacks: Option<String>,
}

impl Core {
    /// Serves another list from now on. Connections stay, and packets name instruments by its numbers.
    ///
    /// # Errors
    /// When an instrument does not exist, or those to be swapped are not two of one exchange.
    pub(crate) fn list<B: Broker>(&mut self, edition: &Edition) -> Result<(), String> {
        let place = |name: &Name| {
            let Name { exchange, symbol } = name;
            self.universe.place(exchange, symbol).ok_or_else(|| format!("there is no {exchange}:{symbol}"))
        };
        let swapped = match edition.swap.as_slice() {
            [] => None,
            [one, other] if one.exchange == other.exchange => Some((place(one)?, place(other)?)),
            _ => return Err("two instruments of one exchange can have each other's number".to_owned()),
        };
        let without = edition.without.iter().map(place).collect::<Result<_, _>>()?;
        let before = std::mem::take(&mut self.listing);
        for (one, other) in before.swapped.into_iter().chain(swapped) {
            self.universe.swap_numbers(one, other);
            self.peers.iter_mut().for_each(|peer| B::renumbered(peer, one, other));
        }
        self.listing = Listing { swapped, without, lacks: edition.lacks.clone() };
        self.edition += 1;
        self.index::<B>();
        Ok(())
    }

    /// What the list has at the moment.
    pub fn listed(&self) -> Cow<'_, Universe> {
        let Listing { without, lacks, .. } = &self.listing;
        if without.is_empty() && lacks.is_none() {
            return Cow::Borrowed(&self.universe);
        }
        let has = |place: usize, exchange: &str| {
            !without.contains(&place) && lacks.as_deref().is_none_or(|lacks| lacks != exchange)
        };
        Cow::Owned(self.universe.only(has))
    }
}
