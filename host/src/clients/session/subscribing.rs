//! Subscribe requests, from what the client asks to what it holds.

use std::{borrow::Cow, rc::Rc, sync::Arc, time::Duration};

use tickhost_core::{
    model::{Delivery, DepthClass, MaxRate, Mode, Variant},
    protocol::{
        codes::ErrorCode,
        reply::{self, ErrorReply, Failure, Granted, Subscribed},
        request::{Entry, RefusedEntry, RequestId},
    },
};

use super::{
    Session,
    ask::{ANSWER_MARGIN, Ask, Awaited},
    login::Identity,
    turns::Rest,
};
use crate::{
    base::clock::Moment,
    clients::seat::{Holding, SymbolName},
    feeds::feed::{Feed, Grant, Refusal, Want},
};

/// A subscribe request on its way.
#[derive(Debug)]
pub(super) struct Subscribing {
    entries: Vec<Result<Entry, RefusedEntry>>,
    mode: Mode,
    depth: DepthClass,
    delivery: Delivery,
    request_id: Rc<RequestId>,
    /// What the feed is asked for: of the entries that can be served, those first for which there is room.
    holdings: Vec<Holding>,
}

impl Subscribing {
    pub(super) fn new(
        entries: Vec<Result<Entry, RefusedEntry>>,
        mode: Mode,
        depth: DepthClass,
        delivery: Delivery,
        request_id: RequestId,
    ) -> Self {
        Self { entries, mode, depth, delivery, request_id: Rc::new(request_id), holdings: Vec::new() }
    }

    fn holding(&self, entry: &Entry) -> Holding {
        Holding {
            name: SymbolName::new(&entry.exchange, &entry.symbol, entry.suffix),
            variant: self.variant(entry),
            rate: self.delivery.rate(),
            request: Rc::clone(&self.request_id),
        }
    }

    /// The frames that an entry asks for.
    fn variant(&self, entry: &Entry) -> Variant {
        let variant = Variant::new(self.mode, entry.depth(self.depth), entry.suffix.is_some());
        if self.delivery == Delivery::EveryTick { variant.lossless() } else { variant }
    }
}

impl Holding {
    /// What a feed is asked for.
    pub(super) fn want(&self) -> Want {
        Want {
            exchange: Arc::clone(&self.name.exchange),
            symbol: Arc::clone(&self.name.symbol),
            variant: self.variant,
        }
    }
}

impl Session {
    pub(super) fn subscribe(&mut self, mut asked: Subscribing) {
        let Some(feed) = self.identity.feed().cloned() else {
            self.refuse(&self.no_feed());
            return;
        };
        if asked.delivery == Delivery::EveryTick && !self.may_be_lossless() {
            self.refuse(&ErrorReply::new(
                ErrorCode::InvalidParameters,
                "lossless is not allowed for this API key: subscribe without it, or ask the operator of the host \
                 to name the key in TICKHOST_LOSSLESS_FOR",
            ));
            return;
        }
        let (limit, limit_of_key) = self.limits();
        let wanted = asked.entries.iter().flatten().count();
        let allowed = self.seat.holdings().reserve(wanted, limit, limit_of_key);
        asked.holdings =
            asked.entries.iter().flatten().take(allowed).map(|entry| asked.holding(entry)).collect();
        let ask = Ask::Subscribe {
            feed,
            wants: asked.holdings.iter().map(Holding::want).collect(),
            mode: asked.mode,
            requested: asked.entries.len(),
            limit: self.policy.settings.subscribe_timeout + ANSWER_MARGIN,
        };
        self.ask(ask, Awaited::Subscribe(asked));
    }

    pub(super) fn finish_subscribe(
        &mut self,
        now: Moment,
        mut asked: Subscribing,
        answers: Vec<Result<Grant, Refusal>>,
    ) {
        let broker = self.identity.broker();
        let mut answers = std::mem::take(&mut asked.holdings).into_iter().zip(answers);
        let mut granted: Vec<(Holding, Grant)> = Vec::new();
        let delivery = self.applied(asked.delivery);
        let entries: Vec<Subscribed<'_>> = asked
            .entries
            .iter()
            .map(|entry| match entry {
                Ok(entry) => {
                    let outcome = match answers.next() {
                        Some((holding, Ok(grant))) => {
                            granted.push((holding, grant));
                            let requested = entry.depth(asked.depth);
                            let levels =
                                grant.levels.map_or(requested, |levels| DepthClass::at_least(levels.into()));
                            Ok(Granted { mode: asked.mode, depth: levels, delivery })
                        }
                        Some((_, Err(refusal))) => {
                            Err(Failure { code: refusal.code, message: Cow::Owned(refusal.message) })
                        }
                        None => Err(self.too_many_subscriptions()),
                    };
                    Subscribed { symbol: entry.written_symbol(), exchange: &entry.exchange, outcome }
                }
                Err(refused) => refused.into(),
            })
            .collect();
        // The acknowledgement first, then the snapshots that attaching brings.
        self.send(reply::subscribe_ack(&entries, &broker, &asked.request_id));
        self.begin_turns(now, Rest::Hold(granted.into_iter()));
    }

    /// Subscriptions that this client may hold, and those that all clients of its key may hold together.
    fn limits(&self) -> (usize, usize) {
        let settings = &self.policy.settings;
        (settings.max_subscriptions, settings.max_subscriptions_per_key)
    }

    fn may_be_lossless(&self) -> bool {
        let Identity::LoggedIn(login) = &self.identity else { return false };
        self.policy.lossless.allows(&login.key, &login.user)
    }

    /// What the client gets of what it asked for: never more updates than the feed has.
    fn applied(&self, asked: Delivery) -> Delivery {
        let throttle = self.identity.feed().map_or(Duration::ZERO, Feed::throttle);
        match (asked, MaxRate::of_interval(throttle)) {
            (Delivery::AtMost(rate), Some(of_host)) => Delivery::AtMost(rate.min(of_host)),
            _ => asked,
        }
    }

    fn too_many_subscriptions(&self) -> Failure<'static> {
        let (limit, limit_of_key) = self.limits();
        Failure {
            code: ErrorCode::SubscriptionLimitReached,
            message: Cow::Owned(format!(
                "Subscription limit reached: one client may hold {limit}, and all clients of one key \
                 {limit_of_key}; unsubscribe some"
            )),
        }
    }
}
