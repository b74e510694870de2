//! Greeks of an option, in an object of their own, and its implied volatility beside it.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess};
use tickhost_core::model::{Greeks, greek};

use super::{
    NameSeed, Record,
    number::{Container, Fault, Lenient, NumberSeed},
};

/// A value among the greeks: its bit, and where it goes.
type Greek = (u32, fn(&mut Greeks) -> &mut i64);

impl Record {
    fn put_greek(&mut self, (bit, place): Greek, value: Result<Option<i64>, Fault>) {
        if let Some(value) = self.faults.sort(value) {
            *place(&mut self.greeks) = value;
            self.greeks.fields |= bit;
            self.has_greeks = true;
        }
    }

    /// A volatility that is not above zero is one that nobody knows.
    pub(super) fn put_volatility(&mut self, value: Result<Option<i64>, Fault>) {
        let known = value.map(|value| value.filter(|value| *value > 0));
        self.put_greek((greek::IMPLIED_VOLATILITY, |greeks| &mut greeks.implied_volatility), known);
    }
}

/// Reads `{"delta": …, "gamma": …, "theta": …, "vega": …, "rho": …}`, any of which may be missing. An object
/// without any says that there are none; what is no object says nothing.
pub(super) struct GreeksSeed<'r>(pub(super) &'r mut Record);

impl<'de> DeserializeSeed<'de> for GreeksSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Lenient(self))
    }
}

impl<'de> Container<'de> for GreeksSeed<'_> {
    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let named = |name: &str| -> Option<Greek> {
            Some(match name {
                "delta" => (greek::DELTA, |greeks| &mut greeks.delta),
                "gamma" => (greek::GAMMA, |greeks| &mut greeks.gamma),
                "theta" => (greek::THETA, |greeks| &mut greeks.theta),
                "vega" => (greek::VEGA, |greeks| &mut greeks.vega),
                "rho" => (greek::RHO, |greeks| &mut greeks.rho),
                _ => return None,
            })
        };
        self.0.has_greeks = true;
        while let Some(greek) = map.next_key_seed(NameSeed(named))? {
            match greek {
                Some(greek) => {
                    let value = map.next_value_seed(NumberSeed)?.price();
                    self.0.put_greek(greek, value);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn other(self, is_null: bool) {
        if !is_null {
            self.0.faults.unreadable += 1;
        }
    }
}
