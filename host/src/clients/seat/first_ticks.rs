//! First ticks that a client waits for.

use rustc_hash::FxHashSet;
use tickhost_core::model::Key;

/// Keys of which the shard is to say when their first tick comes. Belongs to one thread, like everything of a
/// session.
#[derive(Debug, Default)]
pub(super) struct FirstTicks {
    keys: FxHashSet<Key>,
    seen: Vec<Key>,
}

impl FirstTicks {
    pub(super) fn watch(&mut self, key: Key) {
        self.keys.insert(key);
    }

    pub(super) fn unwatch(&mut self, key: Key) {
        self.keys.remove(&key);
    }

    /// A tick of this key has come, perhaps the first.
    pub(super) fn note(&mut self, key: Key) {
        if self.keys.remove(&key) {
            self.seen.push(key);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn has_seen(&self) -> bool {
        !self.seen.is_empty()
    }

    pub(super) fn take_seen(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.seen)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use tickhost_core::model::{DepthClass, InstrumentId, Mode, Variant};

    use super::*;

    fn key(instrument: u32) -> Key {
        Key {
            instrument: InstrumentId(instrument),
            variant: Variant::new(Mode::Ltp, DepthClass::Five, false),
        }
    }

    #[test]
    fn only_the_first_live_tick_of_a_key_is_noted() {
        let mut first_ticks = FirstTicks::default();
        first_ticks.note(key(1));
        assert!(first_ticks.is_idle() && !first_ticks.has_seen());
        first_ticks.watch(key(1));
        first_ticks.watch(key(2));
        first_ticks.note(key(1));
        first_ticks.note(key(1));
        first_ticks.unwatch(key(2));
        assert!(first_ticks.is_idle());
        assert_eq!((first_ticks.take_seen(), first_ticks.has_seen()), (vec![key(1)], false));
    }
}
