//! First ticks that a client waits for.

use rustc_hash::FxHashSet;
use tickhost_core::model::Key;

/// Keys of which the shard is to say when their first tick comes. Belongs to one thread, like everything of a session.
#[derive(Debug, Default)]
pub(super) struct Listening {
    keys: FxHashSet<Key>,
    heard: Vec<Key>,
}

impl Listening {
    pub(super) fn listen(&mut self, key: Key) {
        self.keys.insert(key);
    }

    pub(super) fn stop(&mut self, key: Key) {
        self.keys.remove(&key);
    }

    /// A tick of this key has come, perhaps the first.
    pub(super) fn note(&mut self, key: Key) {
        if self.keys.remove(&key) {
            self.heard.push(key);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn has_heard(&self) -> bool {
        !self.heard.is_empty()
    }

    pub(super) fn take_heard(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.heard)
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
        let mut listening = Listening::default();
        listening.note(key(1));
        assert!(listening.is_idle() && !listening.has_heard());
        listening.listen(key(1));
        listening.listen(key(2));
        listening.note(key(1));
        listening.note(key(1));
        listening.stop(key(2));
        assert!(listening.is_idle());
        assert_eq!((listening.take_heard(), listening.has_heard()), (vec![key(1)], false));
    }
}
