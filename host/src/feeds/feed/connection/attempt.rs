//! How long it takes to connect: from the beginning of an attempt to what the adapter says of it.

use std::sync::Arc;

use tickhost_core::model::FeedId;
use tracing::Span;

use crate::{
    base::span::{self, operation},
    feeds::feed::FeedSpec,
};

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
    pub(super) fn begin(&mut self) {
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
    pub(super) fn abandon(&mut self) {
        self.span = None;
    }

    /// Ends, if it is under way.
    pub(super) fn end(&mut self, result: Result<(), &'static str>) {
        if let Some(span) = self.span.take() {
            span::end(&span, result);
        }
    }
}
