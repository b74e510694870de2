//! What waits for a client, as its session takes it out.

use tickhost_core::{
    model::Key,
    outbox::{Due, GapNames, Outbox},
    protocol::{Frame, reply, text},
};

use super::Seat;

impl Seat {
    /// The next message to send, control before ticks.
    pub(crate) fn next_frame(&self) -> Option<Frame> {
        let mut outbox = self.0.outbox.borrow_mut();
        if let Some(message) = outbox.pop_control() {
            return Some(message);
        }
        if self.0.missed_orders.get() > 0 {
            return Some(text(reply::orders_missed(self.0.missed_orders.take())));
        }
        match outbox.pop_tick()? {
            Due::Tick(frame) => {
                self.0.meter.written();
                Some(frame)
            }
            Due::Gap { names, mode, missed } => {
                self.0.missed.set(self.0.missed.get() + u64::from(missed));
                let notice = reply::gap(&names.symbol, &names.exchange, mode, missed);
                Some(text(notice))
            }
        }
    }

    /// So many bytes are there of a request that is not whole.
    pub(crate) fn note_partial(&self, bytes: usize) {
        self.0.partial.set(bytes);
        self.note_bytes();
    }

    /// Notes what the session holds.
    pub(super) fn note_bytes(&self) {
        self.0.share.note(self.0.outbox.borrow().held_bytes() + self.0.partial.get());
    }

    /// Replies may take so many bytes from now on.
    pub(crate) fn limit_control(&self, bytes: usize) {
        self.0.outbox.borrow_mut().limit_control(bytes);
    }

    /// Throws away everything that waits. Nothing is sent any more.
    pub(crate) fn discard_all(&self) {
        *self.0.outbox.borrow_mut() = Outbox::default();
        self.note_partial(0);
    }

    /// Adds the ticks that [`Self::next_frame`] gave since the last call to the counters of the feed.
    pub(crate) fn account_written(&self) {
        self.0.meter.account_written();
        self.note_bytes();
    }

    /// The kernel has everything that [`Self::next_frame`] gave. `unix_ns` reads the time of day, which most
    /// calls do not need.
    pub(crate) fn flushed(&self, unix_ns: impl FnOnce() -> u64) {
        self.0.meter.flushed(self.0.outbox.borrow().waiting_ticks() == 0, unix_ns);
    }

    /// Ticks that notices of gaps spoke of since the last call.
    pub(crate) fn take_missed(&self) -> u64 {
        self.0.missed.take()
    }

    /// Gets ready for the ticks of a lossless subscription.
    pub(crate) fn expect_lossless(&self, key: Key, names: GapNames) {
        self.0.outbox.borrow_mut().expect_lossless(key, names);
    }

    /// Throws away waiting ticks of keys that the client gave up; returns how many.
    pub(crate) fn discard(&self, is_gone: impl Fn(Key) -> bool) -> usize {
        self.0.outbox.borrow_mut().discard(is_gone)
    }
}
