//! What one client holds: which frames of which symbols, under the names that it used.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use tickhost_core::model::{DepthClass, InstrumentId, Key, Mode, Variant};

use crate::accounts::key_share::{KeyShare, KeyTotal};

/// A symbol as the client names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) exchange: Arc<str>,
    pub(super) symbol: Arc<str>,
    /// Levels in the symbol's suffix, as in `RELIANCE:50`.
    pub(super) suffix: Option<DepthClass>,
}

impl Name {
    /// The symbol with its suffix.
    pub(super) fn full_symbol(&self) -> String {
        match self.suffix {
            Some(depth) => format!("{}:{}", self.symbol, depth.levels()),
            None => self.symbol.to_string(),
        }
    }
}

/// Subscriptions of one client.
#[derive(Debug, Default)]
pub(super) struct Held {
    names: FxHashMap<Name, Holding>,
    count: usize,
    /// Places that are taken for what is being asked for.
    reserved: usize,
    /// Both, in what all clients of the key hold.
    of_key: KeyShare,
}

#[derive(Debug)]
struct Holding {
    instrument: InstrumentId,
    variants: [Option<Variant>; 3],
}

impl Held {
    /// Subscriptions: each mode of a symbol counts.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The client has shown a key, of which all clients hold so much.
    pub(super) fn belong_to(&mut self, total: KeyTotal) {
        self.of_key = KeyShare::new(total, self.count + self.reserved);
    }

    /// Takes places for as many more as the limits leave, on this client and on all of its key, until [`Self::settle`].
    pub(super) fn reserve(&mut self, wanted: usize, limit: usize, limit_of_key: usize) -> usize {
        self.reserved = self.of_key.reserve(wanted.min(limit.saturating_sub(self.count)), limit_of_key);
        self.reserved
    }

    /// What places were taken for is held by now, or never will be.
    pub(super) fn settle(&mut self) {
        self.reserved = 0;
        self.share();
    }

    fn share(&mut self) {
        self.of_key.set(self.count + self.reserved);
    }

    /// Notes a subscription; returns the key that it replaces, if the client held the symbol in this mode with other
    /// levels, or the same key if it held just that.
    pub(super) fn insert(&mut self, name: Name, instrument: InstrumentId, variant: Variant) -> Option<Key> {
        let holding = self.names.entry(name).or_insert(Holding { instrument, variants: [None; 3] });
        holding.instrument = instrument;
        let place = holding.variants.get_mut(place(variant.mode()))?;
        let before = place.replace(variant);
        if before.is_none() {
            self.count += 1;
            self.reserved = self.reserved.saturating_sub(1);
            self.share();
        }
        before.map(|variant| Key { instrument, variant })
    }

    /// Gives up one mode of a symbol, or all of them.
    pub(super) fn remove(&mut self, name: &Name, mode: Option<Mode>) -> Vec<Key> {
        let Some(holding) = self.names.get_mut(name) else { return Vec::new() };
        let instrument = holding.instrument;
        let modes = Mode::ALL.into_iter().filter(|held| mode.is_none_or(|mode| mode == *held));
        let removed: Vec<Key> = modes
            .filter_map(|mode| holding.variants.get_mut(place(mode))?.take())
            .map(|variant| Key { instrument, variant })
            .collect();
        if holding.variants.iter().all(Option::is_none) {
            self.names.remove(name);
        }
        self.count -= removed.len();
        self.share();
        removed
    }

    /// The keys of this instrument under every name.
    pub(super) fn keys_of(&self, instrument: InstrumentId) -> Vec<(Name, Key)> {
        let names = self.names.iter().filter(|(_, holding)| holding.instrument == instrument);
        let keys = names.flat_map(|(name, holding)| {
            let variants = holding.variants.iter().flatten();
            variants.map(move |variant| (name.clone(), Key { instrument, variant: *variant }))
        });
        let mut keys: Vec<(Name, Key)> = keys.collect();
        keys.sort_by(|(one, one_key), (other, other_key)| {
            let order = |name: &Name, key: &Key| (name.suffix, key.variant.mode());
            order(one, one_key).cmp(&order(other, other_key))
        });
        keys
    }

    /// Gives up one mode, or all, under every name of this instrument; returns the names with their keys.
    pub(super) fn remove_instrument(
        &mut self,
        instrument: InstrumentId,
        mode: Option<Mode>,
    ) -> Vec<(Name, Vec<Key>)> {
        let names: Vec<Name> = self
            .names
            .iter()
            .filter(|(_, holding)| holding.instrument == instrument)
            .map(|(name, _)| name.clone())
            .collect();
        names
            .into_iter()
            .map(|name| {
                let keys = self.remove(&name, mode);
                (name, keys)
            })
            .collect()
    }

    /// Gives up everything; returns the names with their keys, ordered by name.
    pub(super) fn remove_all(&mut self) -> Vec<(Name, Vec<Key>)> {
        self.count = 0;
        self.share();
        // With the room that they took.
        let mut all: Vec<(Name, Vec<Key>)> = std::mem::take(&mut self.names)
            .into_iter()
            .map(|(name, holding)| {
                let instrument = holding.instrument;
                let variants = holding.variants.into_iter().flatten();
                (name, variants.map(|variant| Key { instrument, variant }).collect())
            })
            .collect();
        all.sort_by(|(a, _), (b, _)| {
            (&a.exchange, &a.symbol, a.suffix).cmp(&(&b.exchange, &b.symbol, b.suffix))
        });
        all
    }
}

const fn place(mode: Mode) -> usize {
    mode as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(symbol: &str) -> Name {
        Name { exchange: "NSE".into(), symbol: symbol.into(), suffix: None }
    }

    const SBIN: InstrumentId = InstrumentId(7);

    fn variant(name: &Name, mode: Mode, depth: DepthClass) -> Variant {
        Variant::new(mode, name.suffix.unwrap_or(depth), name.suffix.is_some())
    }

    #[test]
    fn modes_of_a_symbol_are_held_apart() {
        let mut held = Held::default();
        let sbin = name("SBIN");
        for mode in Mode::ALL {
            assert_eq!(held.insert(sbin.clone(), SBIN, variant(&sbin, mode, DepthClass::Five)), None);
        }
        assert_eq!(held.len(), 3);
        assert_eq!(held.remove(&sbin, Some(Mode::Quote)).len(), 1);
        assert_eq!(held.remove(&sbin, Some(Mode::Quote)).len(), 0);
        assert_eq!(held.remove(&sbin, None).len(), 2);
        assert_eq!(held.len(), 0);
        assert!(held.names.is_empty());
    }

    #[test]
    fn other_levels_replace_those_held() {
        let mut held = Held::default();
        let sbin = name("SBIN");
        held.insert(sbin.clone(), SBIN, variant(&sbin, Mode::Depth, DepthClass::Five));
        let replaced =
            held.insert(sbin.clone(), SBIN, variant(&sbin, Mode::Depth, DepthClass::Fifty)).unwrap();
        assert_eq!(replaced.variant.depth(), DepthClass::Five);
        assert_eq!(held.len(), 1);
    }

    #[test]
    fn everything_is_given_back_at_once() {
        let mut held = Held::default();
        let (sbin, tcs) = (name("SBIN"), name("TCS"));
        held.insert(tcs.clone(), InstrumentId(8), variant(&tcs, Mode::Ltp, DepthClass::Five));
        held.insert(sbin.clone(), SBIN, variant(&sbin, Mode::Ltp, DepthClass::Five));
        let suffixed = Name { suffix: Some(DepthClass::Fifty), ..sbin };
        held.insert(suffixed.clone(), SBIN, variant(&suffixed, Mode::Depth, DepthClass::Five));
        let keys = held.keys_of(SBIN);
        assert_eq!(
            keys.iter().map(|(name, _)| name.suffix).collect::<Vec<_>>(),
            [None, Some(DepthClass::Fifty)]
        );
        assert_eq!((held.keys_of(InstrumentId(9)).len(), held.len()), (0, 3));
        assert_eq!(held.remove_instrument(SBIN, None).len(), 2);
        assert_eq!(
            held.remove_all(),
            [(
                tcs.clone(),
                vec![Key {
                    instrument: InstrumentId(8),
                    variant: variant(&tcs, Mode::Ltp, DepthClass::Five)
                }]
            )]
        );
        assert_eq!(held.len(), 0);
    }

    #[test]
    fn clients_of_a_key_hold_no_more_together_than_it_may() {
        let total = KeyTotal::default();
        let [mut one, mut other] = [Held::default(), Held::default()];
        one.belong_to(total.clone());
        other.belong_to(total.clone());
        assert_eq!((one.reserve(2, 5, 3), other.reserve(2, 5, 3), total.get()), (2, 1, 3));
        let (sbin, tcs) = (name("SBIN"), name("TCS"));
        let ltp = variant(&sbin, Mode::Ltp, DepthClass::Five);
        one.insert(sbin.clone(), SBIN, ltp);
        assert_eq!(total.get(), 3, "it had its place");
        // What ends meanwhile takes no place away from what is asked for.
        one.remove(&sbin, None);
        assert_eq!(total.get(), 2);
        one.insert(tcs, InstrumentId(8), ltp);
        one.settle();
        other.settle();
        assert_eq!((total.get(), one.reserve(9, 2, 100)), (1, 1), "the limit of the client itself holds too");
        drop(one);
        assert_eq!(total.get(), 0);
    }
}
