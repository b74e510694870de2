//! Tells a connection from another thread that it has to go.

use std::{
    sync::OnceLock,
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use tickhost_core::protocol::codes::CloseReason;

/// Says once that a connection has to go, and why. One task waits for it at a time.
#[derive(Debug, Default)]
pub struct Signal {
    reason: OnceLock<CloseReason>,
    waker: AtomicWaker,
}

impl Signal {
    /// Tells it to go. The first reason counts; says whether this is it.
    pub fn raise(&self, reason: CloseReason) -> bool {
        let is_first = self.reason.set(reason).is_ok();
        self.waker.wake();
        is_first
    }

    /// Why it has to go, if it has to.
    pub fn raised(&self) -> Option<CloseReason> {
        self.reason.get().copied()
    }

    /// As [`Self::raised`]; wakes the task when it has to go later.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<CloseReason> {
        self.waker.register(cx.waker());
        self.raised().map_or(Poll::Pending, Poll::Ready)
    }

    /// Waits until it has to go.
    ///
    /// # Cancel Safety
    /// Nothing is lost.
    pub async fn wait(&self) -> CloseReason {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }
}
