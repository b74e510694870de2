//! A queue of ticks that falls back to one tick of each key when it is full.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{KEPT_BYTES, Offered};
use crate::{model::Key, protocol::Frame};

/// What may be replaced once the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fallback {
    /// Whatever waits: the last tick of a key gives its place to a newer one.
    #[default]
    All,
    /// Only what came after the queue was full: what waits in order stays in order.
    Overflow,
}

/// Room for ticks that a client keeps when it has caught up.
const KEPT_CAPACITY: usize = 64;

/// One tick that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) key: Key,
    pub(super) frame: Frame,
    /// Ticks of the key, just before this one, that are gone.
    pub(super) missed: u32,
}

/// Ticks in order, up to a limit.
#[derive(Debug, Default)]
pub(super) struct Lane {
    fallback: Fallback,
    max_frames: usize,
    max_bytes: usize,
    ticks: VecDeque<Waiting>,
    bytes: usize,
    /// Number of the tick at the front, counted over the life of the lane.
    front: u64,
    /// Number of the last tick of each key that may be replaced. Kept only while the client is behind.
    last_of_key: FxHashMap<Key, u64>,
    is_behind: bool,
}

impl Lane {
    pub(super) fn new(fallback: Fallback, max_frames: usize, max_bytes: usize) -> Self {
        Self { fallback, max_frames, max_bytes, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ticks.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ticks.len()
    }

    /// Bytes that wait, with what it takes to keep them.
    #[inline]
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes + self.ticks.len() * KEPT_BYTES
    }

    /// Ticks for which there is room without asking for more.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.ticks.capacity() + self.last_of_key.capacity()
    }

    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }

    #[inline]
    pub(super) fn offer(&mut self, key: Key, frame: Frame, missed: u32) -> Offered {
        if self.is_behind || self.ticks.len() >= self.max_frames || self.bytes >= self.max_bytes {
            return self.offer_behind(key, frame, missed);
        }
        self.bytes += frame.len();
        self.ticks.push_back(Waiting { key, frame, missed });
        Offered::Queued
    }

    #[inline(never)]
    fn offer_behind(&mut self, key: Key, frame: Frame, missed: u32) -> Offered {
        if !self.is_behind {
            self.is_behind = true;
            if self.fallback == Fallback::All {
                self.number_all();
            }
        }
        let next = self.front + self.ticks.len() as u64;
        let number = *self.last_of_key.entry(key).or_insert(next);
        let place = usize::try_from(number.wrapping_sub(self.front)).unwrap_or(usize::MAX);
        if let Some(waiting) = self.ticks.get_mut(place) {
            self.bytes = self.bytes + frame.len() - waiting.frame.len();
            let missed = waiting.missed.saturating_add(1).saturating_add(missed);
            *waiting = Waiting { key, frame, missed };
            return Offered::Conflated;
        }
        self.last_of_key.insert(key, next);
        self.bytes += frame.len();
        self.ticks.push_back(Waiting { key, frame, missed });
        Offered::Queued
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Waiting> {
        self.ticks.front_mut()
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Frame> {
        let Waiting { frame, .. } = self.ticks.pop_front()?;
        self.front += 1;
        self.bytes -= frame.len();
        if self.is_behind && self.ticks.is_empty() {
            self.catch_up();
        }
        Some(frame)
    }

    pub(super) fn discard(&mut self, is_gone: impl Fn(Key) -> bool) -> usize {
        let before = self.ticks.len();
        if self.is_behind && self.fallback == Fallback::Overflow {
            // What may be replaced is at the end, and stays there.
            let first = self.last_of_key.values().min().copied().unwrap_or(u64::MAX);
            let in_order = usize::try_from(first.saturating_sub(self.front)).unwrap_or(usize::MAX);
            let gone_in_order =
                self.ticks.iter().take(in_order).filter(|waiting| is_gone(waiting.key)).count();
            self.ticks.retain(|waiting| !is_gone(waiting.key));
            let kept_in_order = in_order.saturating_sub(gone_in_order);
            self.last_of_key = (self.front..)
                .zip(&self.ticks)
                .skip(kept_in_order)
                .map(|(number, waiting)| (waiting.key, number))
                .collect();
        } else {
            self.ticks.retain(|waiting| !is_gone(waiting.key));
            if self.is_behind && self.ticks.len() < before {
                self.number_all();
            }
        }
        let removed = before - self.ticks.len();
        if removed > 0 {
            self.bytes = self.ticks.iter().map(|waiting| waiting.frame.len()).sum();
        }
        if self.is_behind && self.ticks.is_empty() {
            self.catch_up();
        }
        removed
    }

    /// A client that has taken everything is not behind any more.
    #[cold]
    fn catch_up(&mut self) {
        self.is_behind = false;
        // The map may be as large as everything the client holds; it is needed again only when it falls
        // behind.
        self.last_of_key = FxHashMap::default();
        self.ticks.shrink_to(KEPT_CAPACITY);
    }

    fn number_all(&mut self) {
        self.last_of_key =
            (self.front..).zip(&self.ticks).map(|(number, waiting)| (waiting.key, number)).collect();
    }
}
