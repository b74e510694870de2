//! What a venue tells of its connections for market data: of the newest, and of the deep books beside it.

use std::collections::BTreeMap;

use adapter_conformance::Subscribed;

use super::{Core, Peer};
use crate::{broker::Role, model::Mode};

impl Core {
    /// Notes how many instruments a subscribe message had. The report is about the newest connection for
    /// market data; those on older ones are not in it.
    pub fn note_subscribe(&mut self, connection: u64, instruments: usize) {
        if self.is_newest(connection) {
            self.report.subscribes.push(u64::try_from(instruments).unwrap_or(u64::MAX));
        }
    }

    fn is_newest(&self, connection: u64) -> bool {
        self.newest().is_some_and(|peer| peer.number == connection)
    }

    /// Notes who has subscribed what, after a change.
    pub(crate) fn renew_report(&mut self) {
        let Some(newest) = self.newest() else { return };
        let books = self.peers.iter().filter(|peer| peer.role == Role::Books);
        let mut highest: BTreeMap<usize, Mode> = BTreeMap::new();
        for (place, mode) in books.chain([newest]).flat_map(|peer| &peer.subscribed) {
            let known = highest.entry(*place).or_insert(*mode);
            *known = (*known).max(*mode);
        }
        let subscribed = highest.into_iter().filter_map(|(place, mode)| {
            let instrument = self.universe.all().get(place)?;
            Some(Subscribed {
                exchange: instrument.exchange.to_owned(),
                symbol: instrument.symbol.clone(),
                mode: mode.name().to_owned(),
            })
        });
        self.report.subscribed = subscribed.collect();
    }

    /// The newest connection for market data.
    fn newest(&self) -> Option<&Peer> {
        self.peers.iter().rfind(|peer| peer.role == Role::Market)
    }
}
