//! What waits for one client: ticks, which conflate, and control messages, which do not.
//!
//! Up to a limit every tick keeps its place, so a client that keeps up gets each of them. Beyond it a newer tick takes
//! the place of the waiting one of its key: a client that stopped reading costs at most the limit and one frame for each
//! key it holds, and finds the newest value of every key when it resumes, in the order in which the keys first changed.
//!
//! Bound: `frames` or `bytes` of ticks in order, then one tick for each key; `control_bytes` of control messages, beyond
//! which the session is closed. Producer: the shard that owns the session. Consumer: the session, on the same thread.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::model::{InstrumentId, Variant};

/// Which stream of frames a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The instrument, and with it the feed.
    pub instrument: InstrumentId,
    /// Mode, levels and label.
    pub variant: Variant,
}

/// Limits of one outbox.
#[derive(Clone, Copy, Debug)]
pub struct OutboxLimits {
    /// Ticks that keep their place.
    pub frames: usize,
    /// Bytes of ticks that keep their place.
    pub bytes: usize,
    /// Bytes of control messages.
    pub control_bytes: usize,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self { frames: 1_024, bytes: 256 * 1_024, control_bytes: 4 * 1_024 * 1_024 }
    }
}

/// What became of an offered tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It waits.
    Queued,
    /// It took the place of an older one of its key.
    Conflated,
}

/// The control queue is over its limit: the client does not read, and the session must close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlFull;

/// What waits for one client.
#[derive(Debug, Default)]
pub struct Outbox {
    limits: OutboxLimits,
    control: VecDeque<Utf8Bytes>,
    control_bytes: usize,
    ticks: VecDeque<(Key, Utf8Bytes)>,
    tick_bytes: usize,
    /// Number of the tick at the front, counted over the life of the outbox.
    front: u64,
    /// Number of the last waiting tick of each key. Kept only while the client is behind.
    last_of_key: FxHashMap<Key, u64>,
    is_behind: bool,
}

impl Outbox {
    /// An empty outbox.
    pub fn new(limits: OutboxLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.control.is_empty() && self.ticks.is_empty()
    }

    /// Ticks that wait.
    pub fn waiting_ticks(&self) -> usize {
        self.ticks.len()
    }

    /// Whether ticks conflate at the moment.
    pub const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Adds a tick, or replaces the waiting one of its key when the client is behind.
    pub fn offer(&mut self, key: Key, frame: Utf8Bytes) -> Offered {
        if !self.is_behind && (self.ticks.len() >= self.limits.frames || self.tick_bytes >= self.limits.bytes)
        {
            self.is_behind = true;
            self.last_of_key =
                (self.front..).zip(&self.ticks).map(|(number, (key, _))| (*key, number)).collect();
        }
        if self.is_behind {
            let next = self.front + self.ticks.len() as u64;
            let number = *self.last_of_key.entry(key).or_insert(next);
            let place = usize::try_from(number.wrapping_sub(self.front)).unwrap_or(usize::MAX);
            if let Some((_, waiting)) = self.ticks.get_mut(place) {
                self.tick_bytes = self.tick_bytes + frame.len() - waiting.len();
                *waiting = frame;
                return Offered::Conflated;
            }
            self.last_of_key.insert(key, next);
        }
        self.tick_bytes += frame.len();
        self.ticks.push_back((key, frame));
        Offered::Queued
    }

    /// Adds a control message.
    ///
    /// # Errors
    /// [`ControlFull`] when it would exceed the limit; nothing is added.
    pub fn push_control(&mut self, message: Utf8Bytes) -> Result<(), ControlFull> {
        let bytes = self.control_bytes + message.len();
        if bytes > self.limits.control_bytes {
            return Err(ControlFull);
        }
        self.control_bytes = bytes;
        self.control.push_back(message);
        Ok(())
    }

    /// The next control message.
    pub fn pop_control(&mut self) -> Option<Utf8Bytes> {
        let message = self.control.pop_front()?;
        self.control_bytes -= message.len();
        Some(message)
    }

    /// The next tick.
    pub fn pop_tick(&mut self) -> Option<Utf8Bytes> {
        let (_, frame) = self.ticks.pop_front()?;
        self.front += 1;
        self.tick_bytes -= frame.len();
        if self.ticks.is_empty() && self.is_behind {
            self.is_behind = false;
            // The map may be as large as everything the client holds; it is needed again only when it falls behind.
            self.last_of_key = FxHashMap::default();
        }
        Some(frame)
    }

    /// Removes the waiting ticks of keys that the client no longer holds; returns how many.
    pub fn discard(&mut self, is_gone: impl Fn(Key) -> bool) -> usize {
        let before = self.ticks.len();
        self.ticks.retain(|(key, _)| !is_gone(*key));
        let removed = before - self.ticks.len();
        if removed > 0 {
            self.tick_bytes = self.ticks.iter().map(|(_, frame)| frame.len()).sum();
            if self.is_behind {
                self.last_of_key =
                    (self.front..).zip(&self.ticks).map(|(number, (key, _))| (*key, number)).collect();
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests;
