//! Attempts to connect: how many, and how long each takes, from its beginning to what the adapter says of it.

use std::sync::Arc;

use tickhost_core::model::FeedId;
use tracing::Span;

use crate::{
    base::span::{self, operation},
    feeds::feed::FeedSpec,
};

/// Attempts of a connection.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Since the last that succeeded; the one that is under way counts.
    count: u32,
    /// The first attempt of this instance was counted when it began.
    is_first: bool,
    under_way: Attempt,
}

impl Attempts {
    /// An instance is being made, which connects by itself.
    pub(super) fn start(&mut self, attempt: Attempt) {
        self.under_way = attempt;
    }

    /// An instance begins.
    pub(super) const fn begin(&mut self) {
        self.count = self.count.saturating_add(1);
        self.is_first = true;
    }

    /// An instance could not even be made: that is an attempt too.
    pub(super) const fn note_unmade(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// The instance connects.
    pub(super) fn note_connecting(&mut self) {
        self.under_way.begin();
        let is_counted = std::mem::take(&mut self.is_first);
        self.count = self.count.saturating_add(u32::from(!is_counted));
    }

    /// The instance is connected.
    pub(super) fn note_connected(&mut self) {
        self.end(Ok(()));
        (self.count, self.is_first) = (0, false);
    }

    /// The attempt that is under way has ended, if one is.
    pub(super) fn end(&mut self, result: Result<(), &'static str>) {
        self.under_way.end(result);
    }

    /// The attempt ends without a result, if one is under way: the instance is taken away.
    pub(super) fn abandon(&mut self) {
        self.under_way.abandon();
    }

    /// Attempts since the last that succeeded; the one that is under way counts.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }
}

/// The attempt that is under way, if one is. Dropping it ends it without a result.
#[derive(Debug, Default)]
pub(in crate::feeds::feed) struct Attempt {
    names: Option<Names>,
    span: Option<Span>,
}

#[derive(Debug)]
struct Names {
    adapter: Arc<str>,
    broker: Arc<str>,
    feed: FeedId,
    connection: usize,
}

impl Attempt {
    /// Begins with the start of an instance.
    pub(in crate::feeds::feed) fn new(spec: &FeedSpec, feed: FeedId, connection: usize) -> Self {
        let names =
            Names { adapter: Arc::clone(&spec.adapter), broker: Arc::clone(&spec.broker), feed, connection };
        let mut attempt = Self { names: Some(names), span: None };
        attempt.begin();
        attempt
    }

    /// Begins, unless it has: the instance connects by itself.
    fn begin(&mut self) {
        let Some(Names { adapter, broker, feed, connection }) = &self.names else { return };
        self.span.get_or_insert_with(|| {
            operation!(
                "feed.connect",
                "client",
                tickhost.adapter = %adapter,
                tickhost.broker = %broker,
                tickhost.feed = feed.0,
                tickhost.connection = connection
            )
        });
    }

    /// Ends without a result, if it is under way: the instance is taken away.
    fn abandon(&mut self) {
        self.span = None;
    }

    /// Ends, if it is under way.
    fn end(&mut self, result: Result<(), &'static str>) {
        if let Some(span) = self.span.take() {
            span::end(&span, result);
        }
    }
}
