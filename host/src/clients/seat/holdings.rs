//! What one client holds: which frames of which symbols, under the names that it used. The one record of it:
//! the session writes it, and the shard asks it whom a broker's word on an instrument concerns.

use std::{rc::Rc, sync::Arc};

use rustc_hash::FxHashMap;
use tickhost_core::{
    model::{DepthClass, InstrumentId, Key, MaxRate, Mode, Variant},
    protocol::request::RequestId,
};

use crate::accounts::key_share::{KeyShare, KeyTotal};

/// A symbol as the client names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SymbolName {
    pub(crate) exchange: Arc<str>,
    pub(crate) symbol: Arc<str>,
    /// Levels in the symbol's suffix, as in `RELIANCE:50`.
    pub(crate) suffix: Option<DepthClass>,
}

impl SymbolName {
    pub(crate) fn new(exchange: &str, symbol: &str, suffix: Option<DepthClass>) -> Self {
        Self { exchange: exchange.into(), symbol: symbol.into(), suffix }
    }

    /// The symbol with its suffix.
    pub(crate) fn full_symbol(&self) -> String {
        match self.suffix {
            Some(depth) => format!("{}:{}", self.symbol, depth.levels()),
            None => self.symbol.to_string(),
        }
    }
}

/// One subscription of a client: asked for, granted, or on its way to another feed.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) name: SymbolName,
    pub(crate) variant: Variant,
    /// Most updates that the client wants, if it said so.
    pub(crate) rate: Option<MaxRate>,
    /// The request that it came from.
    pub(crate) request: Rc<RequestId>,
}

impl Holding {
    /// Its key, when it is granted as this instrument.
    pub(crate) const fn key(&self, instrument: InstrumentId) -> Key {
        Key { instrument, variant: self.variant }
    }
}

/// Subscriptions of one client.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    names: FxHashMap<SymbolName, Modes>,
    /// Subscriptions of each instrument, under all of its names.
    instruments: FxHashMap<InstrumentId, u32>,
    count: usize,
    /// Places that are taken for what is being asked for.
    reserved: usize,
    /// Both, in what all clients of the key hold.
    of_key: KeyShare,
}

/// What is held of one symbol, by mode.
type Modes = [Option<Held>; 3];

/// A key that is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    key: Key,
    /// Failures that its feed had told of before it was granted.
    failures: u64,
}

impl Holdings {
    /// Subscriptions: each mode of a symbol counts.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// Whether the client holds this instrument in any mode.
    pub(crate) fn has(&self, instrument: InstrumentId) -> bool {
        self.instruments.contains_key(&instrument)
    }

    /// The client has shown a key, of which all clients hold so much.
    pub(crate) fn belong_to(&mut self, total: KeyTotal) {
        self.of_key = KeyShare::new(total, self.count + self.reserved);
    }

    /// Takes places for as many more as the limits leave, on this client and on all of its key, until
    /// [`Self::settle`].
    pub(crate) fn reserve(&mut self, wanted: usize, limit: usize, limit_of_key: usize) -> usize {
        self.reserved = self.of_key.reserve(wanted.min(limit.saturating_sub(self.count)), limit_of_key);
        self.reserved
    }

    /// What places were taken for is held by now, or never will be.
    pub(crate) fn settle(&mut self) {
        self.reserved = 0;
        self.share();
    }

    fn share(&mut self) {
        self.of_key.set(self.count + self.reserved);
    }

    /// Notes a subscription; returns the key that it replaces, if the client held the symbol in this mode
    /// with other levels, or the same key if it held just that. The feed had told of so many failures before
    /// it was granted.
    pub(crate) fn note(&mut self, name: SymbolName, key: Key, failures: u64) -> Option<Key> {
        let held = self.names.entry(name).or_default().get_mut(place(key.variant.mode()))?;
        // Of two grants of one key the later is given back: what ended the first one ends this.
        let failures = held.filter(|held| held.key == key).map_or(failures, |held| held.failures);
        let before = held.replace(Held { key, failures }).map(|held| held.key);
        *self.instruments.entry(key.instrument).or_default() += 1;
        if let Some(before) = before {
            self.forget(before.instrument);
        } else {
            self.count += 1;
            self.reserved = self.reserved.saturating_sub(1);
            self.share();
        }
        before
    }

    /// Gives up one mode of a symbol, or all of them.
    pub(crate) fn remove(&mut self, name: &SymbolName, mode: Option<Mode>) -> Vec<Key> {
        self.remove_if(name, |held| mode.is_none_or(|mode| mode == held.key.variant.mode()))
    }

    /// Gives up one mode, or all, under every name of this instrument, as far as it was granted before the
    /// failure of this number; returns the names with their keys.
    pub(crate) fn remove_failed(
        &mut self,
        instrument: InstrumentId,
        mode: Option<Mode>,
        number: u64,
    ) -> Vec<(SymbolName, Vec<Key>)> {
        let is_gone = |Held { key, failures }: Held| {
            key.instrument == instrument
                && failures < number
                && mode.is_none_or(|mode| mode == key.variant.mode())
        };
        let names = self.names.iter().filter(|(_, modes)| modes.iter().flatten().any(|held| is_gone(*held)));
        let names: Vec<SymbolName> = names.map(|(name, _)| name.clone()).collect();
        names.into_iter().map(|name| (name.clone(), self.remove_if(&name, is_gone))).collect()
    }

    fn remove_if(&mut self, name: &SymbolName, is_gone: impl Fn(Held) -> bool) -> Vec<Key> {
        let Some(modes) = self.names.get_mut(name) else { return Vec::new() };
        let removed: Vec<Key> =
            modes.iter_mut().filter_map(|held| Some(held.take_if(|held| is_gone(*held))?.key)).collect();
        if modes.iter().all(Option::is_none) {
            self.names.remove(name);
        }
        for key in &removed {
            self.forget(key.instrument);
        }
        self.count -= removed.len();
        self.share();
        removed
    }

    /// The keys of this instrument under every name.
    pub(crate) fn keys_of(&self, instrument: InstrumentId) -> Vec<(SymbolName, Key)> {
        let keys = self.names.iter().flat_map(|(name, modes)| {
            let keys = modes.iter().flatten().map(|held| held.key);
            let of_instrument = keys.filter(|key| key.instrument == instrument);
            of_instrument.map(|key| (name.clone(), key))
        });
        let mut keys: Vec<(SymbolName, Key)> = keys.collect();
        keys.sort_by(|(one, one_key), (other, other_key)| {
            let order = |name: &SymbolName, key: &Key| (name.suffix, key.variant.mode());
            order(one, one_key).cmp(&order(other, other_key))
        });
        keys
    }

    /// Gives up everything; returns the names with their keys, ordered by name.
    pub(crate) fn remove_all(&mut self) -> Vec<(SymbolName, Vec<Key>)> {
        self.count = 0;
        self.share();
        // With the room that they took.
        self.instruments = FxHashMap::default();
        let names = std::mem::take(&mut self.names).into_iter();
        let mut all: Vec<(SymbolName, Vec<Key>)> = names
            .map(|(name, modes)| (name, modes.into_iter().flatten().map(|held| held.key).collect()))
            .collect();
        all.sort_by(|(a, _), (b, _)| {
            (&a.exchange, &a.symbol, a.suffix).cmp(&(&b.exchange, &b.symbol, b.suffix))
        });
        all
    }

    /// One subscription of this instrument less.
    fn forget(&mut self, instrument: InstrumentId) {
        let Some(count) = self.instruments.get_mut(&instrument) else { return };
        *count -= 1;
        if *count == 0 {
            self.instruments.remove(&instrument);
        }
    }
}

const fn place(mode: Mode) -> usize {
    mode as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Holdings {
        fn insert(&mut self, name: SymbolName, key: Key) -> Option<Key> {
            self.note(name, key, 0)
        }

        fn remove_instrument(
            &mut self,
            instrument: InstrumentId,
            mode: Option<Mode>,
        ) -> Vec<(SymbolName, Vec<Key>)> {
            self.remove_failed(instrument, mode, 1)
        }
    }

    fn name(symbol: &str) -> SymbolName {
        SymbolName { exchange: "NSE".into(), symbol: symbol.into(), suffix: None }
    }

    const SBIN: InstrumentId = InstrumentId(7);

    fn variant(name: &SymbolName, mode: Mode, depth: DepthClass) -> Variant {
        Variant::new(mode, name.suffix.unwrap_or(depth), name.suffix.is_some())
    }

    fn key(instrument: InstrumentId, name: &SymbolName, mode: Mode, depth: DepthClass) -> Key {
        Key { instrument, variant: variant(name, mode, depth) }
    }

    #[test]
    fn a_number_that_changed_under_a_symbol_is_given_back_as_it_was_held() {
        let mut holdings = Holdings::default();
        let sbin = name("SBIN");
        let old = key(SBIN, &sbin, Mode::Ltp, DepthClass::Five);
        let other = key(InstrumentId(8), &sbin, Mode::Quote, DepthClass::Five);
        assert_eq!((holdings.insert(sbin.clone(), old), holdings.insert(sbin.clone(), other)), (None, None));
        assert!(holdings.has(SBIN) && holdings.has(InstrumentId(8)));
        let new = Key { instrument: InstrumentId(8), ..old };
        assert_eq!((holdings.insert(sbin.clone(), new), holdings.len()), (Some(old), 2));
        assert!(!holdings.has(SBIN), "nothing of it is held any more");
        assert_eq!(holdings.remove_instrument(SBIN, None), []);
        assert_eq!(holdings.remove(&sbin, None), [new, other]);
        assert!(!holdings.has(InstrumentId(8)) && holdings.names.is_empty());
    }

    #[test]
    fn modes_of_a_symbol_are_held_apart() {
        let mut holdings = Holdings::default();
        let sbin = name("SBIN");
        for mode in Mode::ALL {
            assert_eq!(holdings.insert(sbin.clone(), key(SBIN, &sbin, mode, DepthClass::Five)), None);
        }
        assert_eq!(holdings.len(), 3);
        assert_eq!(holdings.remove(&sbin, Some(Mode::Quote)).len(), 1);
        assert_eq!(holdings.remove(&sbin, Some(Mode::Quote)).len(), 0);
        assert_eq!(holdings.remove(&sbin, None).len(), 2);
        assert_eq!(holdings.len(), 0);
        assert!(holdings.names.is_empty());
    }

    #[test]
    fn a_failure_ends_what_was_granted_before_it() {
        let mut holdings = Holdings::default();
        let sbin = name("SBIN");
        let ltp = key(SBIN, &sbin, Mode::Ltp, DepthClass::Five);
        let depth = key(SBIN, &sbin, Mode::Depth, DepthClass::Five);
        holdings.note(sbin.clone(), ltp, 0);
        holdings.note(sbin.clone(), depth, 2);
        assert_eq!(holdings.remove_failed(SBIN, Some(Mode::Depth), 2), []);
        assert_eq!(holdings.remove_failed(SBIN, None, 1), [(sbin.clone(), vec![ltp])]);
        // It is granted once more, which is given back.
        assert_eq!(holdings.note(sbin.clone(), depth, 3), Some(depth));
        assert_eq!(holdings.remove_failed(SBIN, Some(Mode::Depth), 3), [(sbin, vec![depth])]);
        assert_eq!(holdings.len(), 0);
    }

    #[test]
    fn other_levels_replace_those_held() {
        let mut holdings = Holdings::default();
        let sbin = name("SBIN");
        holdings.insert(sbin.clone(), key(SBIN, &sbin, Mode::Depth, DepthClass::Five));
        let replaced =
            holdings.insert(sbin.clone(), key(SBIN, &sbin, Mode::Depth, DepthClass::Fifty)).unwrap();
        assert_eq!(replaced.variant.depth(), DepthClass::Five);
        assert_eq!(holdings.len(), 1);
    }

    #[test]
    fn everything_is_given_back_at_once() {
        let mut holdings = Holdings::default();
        let (sbin, tcs) = (name("SBIN"), name("TCS"));
        holdings.insert(tcs.clone(), key(InstrumentId(8), &tcs, Mode::Ltp, DepthClass::Five));
        holdings.insert(sbin.clone(), key(SBIN, &sbin, Mode::Ltp, DepthClass::Five));
        let suffixed = SymbolName { suffix: Some(DepthClass::Fifty), ..sbin };
        holdings.insert(suffixed.clone(), key(SBIN, &suffixed, Mode::Depth, DepthClass::Five));
        let keys = holdings.keys_of(SBIN);
        assert_eq!(
            keys.iter().map(|(name, _)| name.suffix).collect::<Vec<_>>(),
            [None, Some(DepthClass::Fifty)]
        );
        assert_eq!((holdings.keys_of(InstrumentId(9)).len(), holdings.len()), (0, 3));
        assert_eq!(holdings.remove_instrument(SBIN, None).len(), 2);
        assert_eq!(
            holdings.remove_all(),
            [(
                tcs.clone(),
                vec![Key {
                    instrument: InstrumentId(8),
                    variant: variant(&tcs, Mode::Ltp, DepthClass::Five)
                }]
            )]
        );
        assert_eq!(holdings.len(), 0);
    }

    #[test]
    fn clients_of_a_key_hold_no_more_together_than_it_may() {
        let total = KeyTotal::default();
        let [mut one, mut other] = [Holdings::default(), Holdings::default()];
        one.belong_to(total.clone());
        other.belong_to(total.clone());
        assert_eq!((one.reserve(2, 5, 3), other.reserve(2, 5, 3), total.get()), (2, 1, 3));
        let (sbin, tcs) = (name("SBIN"), name("TCS"));
        let ltp = variant(&sbin, Mode::Ltp, DepthClass::Five);
        one.insert(sbin.clone(), Key { instrument: SBIN, variant: ltp });
        assert_eq!(total.get(), 3, "it had its place");
        // What ends meanwhile takes no place away from what is asked for.
        one.remove(&sbin, None);
        assert_eq!(total.get(), 2);
        one.insert(tcs, Key { instrument: InstrumentId(8), variant: ltp });
        one.settle();
        other.settle();
        assert_eq!((total.get(), one.reserve(9, 2, 100)), (1, 1), "the limit of the client itself holds too");
        drop(one);
        assert_eq!(total.get(), 0);
    }
}
