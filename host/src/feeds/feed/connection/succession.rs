//! From one instance of a connection to the next.

use std::{sync::Arc, time::Instant};

use tickhost_core::handover::Handover;

use crate::feeds::feed::standby::Standby;

/// The instances of a connection beside the one that serves.
#[derive(Debug, Default)]
pub(in crate::feeds::feed) struct Succession {
    /// What is to take the instance's place.
    pub(in crate::feeds::feed) standby: Option<Standby>,
    /// What took it a moment ago.
    pub(in crate::feeds::feed) settling: Option<Settling>,
    /// Another build is to take the instance's place as soon as the broker has room for both.
    pub(in crate::feeds::feed) is_due: bool,
    /// Instances that still end, where the broker has no room beside them: the next one begins when they have
    /// gone.
    endings: usize,
    /// Instances that still end, and whose place was taken already.
    leaving: usize,
}

/// The search for the point at which the ticks of a new instance go on.
#[derive(Debug)]
pub(in crate::feeds::feed) struct Settling {
    /// When it is given up.
    pub(in crate::feeds::feed) until: Instant,
    pub(in crate::feeds::feed) handover: Arc<Handover>,
}

impl Succession {
    /// Whether another build is still to take over.
    pub(in crate::feeds::feed) const fn is_under_way(&self) -> bool {
        self.standby.is_some() || self.is_due
    }

    /// Sessions at the broker beside that of the instance that serves.
    pub(in crate::feeds::feed) fn sessions(&self) -> usize {
        usize::from(self.standby.is_some()) + self.endings + self.leaving
    }

    /// The instances that still end, and nothing else.
    pub(in crate::feeds::feed) fn what_ends(&self) -> Self {
        Self { endings: self.endings, leaving: self.leaving, ..Self::default() }
    }

    /// Whether the next instance has to wait for one that ends.
    pub(in crate::feeds::feed) const fn is_awaiting_end(&self) -> bool {
        self.endings > 0
    }

    /// An instance ends that has to be gone before the next one begins.
    pub(in crate::feeds::feed) const fn note_ending(&mut self) {
        self.endings += 1;
    }

    /// It has gone.
    pub(in crate::feeds::feed) const fn note_ended(&mut self) {
        self.endings = self.endings.saturating_sub(1);
    }

    /// An instance ends whose place was taken.
    pub(in crate::feeds::feed) const fn note_leaving(&mut self) {
        self.leaving += 1;
    }

    /// It has gone.
    pub(in crate::feeds::feed) const fn note_left(&mut self) {
        self.leaving = self.leaving.saturating_sub(1);
    }
}
