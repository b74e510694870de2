//! What waits for one client: ticks, which conflate, and control messages, which do not.
//!
//! Up to a limit every tick keeps its place, so a client that keeps up gets each of them. Beyond it a newer
//! tick takes the place of the waiting one of its key: a client that stopped reading costs at most the limit
//! and one frame for each key it holds, and finds the newest value of every key when it resumes, in the order
//! in which the keys first changed.
//!
//! Ticks of lossless subscriptions wait in a lane of their own, longer and never reordered. When that is full
//! too, what comes after conflates, and a notice of the gap precedes the tick that follows it.
//!
//! Bound: `frames` or `bytes` of ticks in order, then one tick for each key; the same again for lossless
//! ticks, by their own limits; `control_bytes` of control messages, beyond which the session is closed, and a
//! quarter of that for order updates, beyond which they are dropped. Producer: the shard that owns the
//! session. Consumer: the session, on the same thread.

mod lane;

use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;

use self::lane::{Fallback, Lane};
use crate::{
    model::{Key, Mode},
    protocol::Frame,
};

/// Bytes that a waiting frame takes beside its own: its place in a queue, and what the allocator adds.
const KEPT_BYTES: usize = 64;

/// Room for replies that a client keeps when it has read all of them.
const KEPT_REPLIES: usize = 16;

/// Limits of one outbox.
#[derive(Clone, Copy, Debug)]
pub struct OutboxLimits {
    /// Ticks that keep their place.
    pub frames: usize,
    /// Bytes of ticks that keep their place.
    pub bytes: usize,
    /// Bytes of control messages.
    pub control_bytes: usize,
    /// Lossless ticks that keep their place.
    pub lossless_frames: usize,
    /// Bytes of lossless ticks that keep their place.
    pub lossless_bytes: usize,
}

impl Default for OutboxLimits {
    fn default() -> Self {
        Self {
            frames: 1_024,
            bytes: 256 * 1_024,
            control_bytes: 4 * 1_024 * 1_024,
            lossless_frames: 65_536,
            lossless_bytes: 32 * 1_024 * 1_024,
        }
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

/// A frame that is due.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// A tick.
    Tick(Frame),
    /// So many ticks of this stream are missing before the next one.
    Gap {
        /// Its names.
        names: GapNames,
        /// Its mode.
        mode: Mode,
        /// How many.
        missed: u32,
    },
}

/// How a notice of a gap names the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapNames {
    /// Exchange, as the client wrote it.
    pub exchange: Arc<str>,
    /// Symbol, as the client wrote it, with its suffix.
    pub symbol: Arc<str>,
}

/// What waits for one client.
#[derive(Debug, Default)]
pub struct Outbox {
    limits: OutboxLimits,
    control: VecDeque<Frame>,
    control_bytes: usize,
    ticks: Lane,
    /// Made for the few clients that have lossless subscriptions.
    lossless: Option<Box<Lossless>>,
}

#[derive(Debug)]
struct Lossless {
    ticks: Lane,
    names: FxHashMap<Key, GapNames>,
    /// Whether the last tick was taken from here: neither lane may starve the other.
    had_turn: bool,
}

impl Outbox {
    /// An empty outbox.
    pub fn new(limits: OutboxLimits) -> Self {
        let ticks = Lane::new(Fallback::All, limits.frames, limits.bytes);
        Self { limits, ticks, ..Self::default() }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.control.is_empty() && self.waiting_ticks() == 0
    }

    /// Ticks that wait.
    pub fn waiting_ticks(&self) -> usize {
        self.ticks.len() + self.lossless.as_ref().map_or(0, |lossless| lossless.ticks.len())
    }

    /// Whether ticks conflate at the moment.
    pub fn is_behind(&self) -> bool {
        self.ticks.is_behind() || self.lossless.as_ref().is_some_and(|lossless| lossless.ticks.is_behind())
    }

    /// Gets ready for the ticks of a lossless subscription.
    pub fn expect_lossless(&mut self, key: Key, names: GapNames) {
        let limits = self.limits;
        let lossless = self.lossless.get_or_insert_with(|| {
            let ticks = Lane::new(Fallback::Overflow, limits.lossless_frames, limits.lossless_bytes);
            Box::new(Lossless { ticks, names: FxHashMap::default(), had_turn: false })
        });
        lossless.names.insert(key, names);
    }

    /// Adds a tick, or replaces the waiting one of its key when the client is behind. `missed` ticks of the
    /// key came before it that cannot be had.
    #[inline]
    pub fn offer(&mut self, key: Key, frame: Frame, missed: u32) -> Offered {
        if key.variant.is_lossless()
            && let Some(lossless) = &mut self.lossless
        {
            return lossless.ticks.offer(key, frame, missed);
        }
        self.ticks.offer(key, frame, 0)
    }

    /// Adds a control message.
    ///
    /// # Errors
    /// [`ControlFull`] when it would exceed the limit; nothing is added.
    pub fn push_control(&mut self, message: Frame) -> Result<(), ControlFull> {
        let bytes = self.control_bytes + message.len();
        if bytes > self.limits.control_bytes {
            return Err(ControlFull);
        }
        self.control_bytes = bytes;
        self.control.push_back(message);
        Ok(())
    }

    /// Another limit for control messages from now on; what waits stays.
    pub fn limit_control(&mut self, bytes: usize) {
        self.limits.control_bytes = bytes;
    }

    /// Bytes that wait, with what it takes to keep them. Frames of ticks are shared with others and count in
    /// full.
    #[inline]
    pub fn held_bytes(&self) -> usize {
        let lossless = self.lossless.as_ref().map_or(0, |lossless| lossless.ticks.held_bytes());
        self.control_bytes + self.control.len() * KEPT_BYTES + self.ticks.held_bytes() + lossless
    }

    /// Adds an order update. These may take a quarter of the room of control messages: whoever makes too many
    /// of them takes nothing else from the client.
    ///
    /// # Errors
    /// [`ControlFull`] when there is no room; nothing is added, and the session goes on.
    pub fn push_order(&mut self, message: Frame) -> Result<(), ControlFull> {
        if self.control_bytes + message.len() > self.limits.control_bytes / 4 {
            return Err(ControlFull);
        }
        self.push_control(message)
    }

    /// The next control message.
    pub fn pop_control(&mut self) -> Option<Frame> {
        let message = self.control.pop_front()?;
        self.control_bytes -= message.len();
        if self.control.is_empty() {
            // A burst must not keep its memory for ever.
            self.control.shrink_to(KEPT_REPLIES);
        }
        Some(message)
    }

    /// The next tick, or the notice that has to precede it.
    #[inline]
    pub fn pop_tick(&mut self) -> Option<Due> {
        if self.lossless.is_some() { self.pop_of_both() } else { self.ticks.pop().map(Due::Tick) }
    }

    fn pop_of_both(&mut self) -> Option<Due> {
        if let Some(lossless) = &mut self.lossless
            && let Some(waiting) = lossless.ticks.front_mut()
            && (!lossless.had_turn || self.ticks.is_empty())
        {
            let missed = std::mem::take(&mut waiting.missed);
            if missed > 0
                && let Some(names) = lossless.names.get(&waiting.key)
            {
                return Some(Due::Gap { names: names.clone(), mode: waiting.key.variant.mode(), missed });
            }
            lossless.had_turn = true;
            return lossless.ticks.pop().map(Due::Tick);
        }
        if let Some(lossless) = &mut self.lossless {
            lossless.had_turn = false;
        }
        self.ticks.pop().map(Due::Tick)
    }

    /// Removes the waiting ticks of keys that the client no longer holds; returns how many.
    pub fn discard(&mut self, is_gone: impl Fn(Key) -> bool) -> usize {
        let mut removed = self.ticks.discard(&is_gone);
        if let Some(lossless) = &mut self.lossless {
            removed += lossless.ticks.discard(&is_gone);
            lossless.names.retain(|key, _| !is_gone(*key));
            if lossless.names.is_empty() {
                self.lossless = None;
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests;
