//! Greeks and implied volatility, beside the values of an instrument.
//!
//! A record of them replaces all, and no other record says anything of them. Their time says of which trading
//! day they are, and nothing of the clock of the values: a model computes them whenever it likes.

use super::{Changed, Entry, changed::GREEKS, stamp};
use crate::model::{Greeks, greek};

impl Entry {
    /// The greeks that are known, if there are any.
    #[inline]
    pub fn greeks(&self) -> Option<&Greeks> {
        self.greeks.as_deref().filter(|greeks| greeks.fields & greek::IN_GREEKS != 0)
    }

    /// The greeks as one record that has the effect of all that were merged into this; none when there were
    /// none.
    pub fn greeks_record(&self) -> Option<Greeks> {
        let nothing = || Greeks {
            instrument: self.quote.instrument,
            received_ts_ns: self.quote.received_ts_ns,
            ..Greeks::default()
        };
        self.says_greeks.then(|| self.greeks.as_deref().copied().unwrap_or_else(nothing))
    }

    /// Takes greeks. They never come late: those of an earlier day are refused before, and within a day the
    /// last are the newest.
    pub fn merge_greeks(&mut self, from: &Greeks) -> Changed {
        stamp(&mut self.quote, from.instrument, from.seq, from.received_ts_ns);
        self.says_greeks = true;
        let known = self.greeks.get_or_insert_default();
        let is_another = values(known) != values(from);
        **known = *from;
        Changed(if is_another { GREEKS } else { 0 })
    }

    /// Forgets all greeks.
    pub(super) fn clear_greeks(&mut self) -> Changed {
        self.says_greeks = true;
        let Some(known) = &mut self.greeks else { return Changed::default() };
        let had_any = known.fields & greek::IN_GREEKS != 0;
        known.fields &= !greek::IN_GREEKS;
        Changed(if had_any { GREEKS } else { 0 })
    }
}

/// The values that are present.
fn values(greeks: &Greeks) -> [Option<i64>; 6] {
    [
        (greek::DELTA, greeks.delta),
        (greek::GAMMA, greeks.gamma),
        (greek::THETA, greeks.theta),
        (greek::VEGA, greeks.vega),
        (greek::RHO, greeks.rho),
        (greek::IMPLIED_VOLATILITY, greeks.implied_volatility),
    ]
    .map(|(bit, value)| (greeks.fields & bit != 0).then_some(value))
}
