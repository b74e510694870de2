//! What a client asks, and what it is answered.

use std::{
    borrow::Cow,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tickhost_core::{
    metrics::Action,
    model::{Delivery, DepthClass, InstrumentId, Key, MaxRate, Mode, Variant},
    protocol::{
        codes::{CloseReason, ErrorCode},
        reply::{self, ErrorReply, Failure, Granted, Subscribed, Unsubscribed},
        request::{Entry, RefusedEntry, Request, RequestId, UnsubscribeEntry, Wishes},
        text,
    },
};
use tracing::Instrument as _;

use super::{
    Session,
    held::Name,
    login::Identity,
    turns::{Granting, Rest},
};
use crate::{
    base::{
        clock,
        log_rate::outside_line,
        span::{self, operation},
    },
    feeds::{
        feed::{Feed, Grant, Membership, Refusal, Want},
        hub::{Login, LoginError},
    },
};

/// A request that is being answered.
pub(super) type Pending = Pin<Box<dyn Future<Output = Done>>>;

/// Beyond the feed's own limit on the wait for an answer: only a fault of the host lasts that long.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// What came of a request.
pub(super) enum Done {
    /// And what the client wants to hear unasked.
    LoggedIn(Result<Box<Login>, LoginError>, Wishes),
    /// The wait for the answer to a wrong key is over.
    WrongKey,
    /// And there is no further try.
    TriesSpent,
    Subscribed(Subscribing, Vec<Result<Grant, Refusal>>),
    /// The others had their turn, and the rest of a large request is next.
    Yielded,
    Rejoined(Result<Membership, String>),
    Moved(Vec<Moving>, Vec<Result<Grant, Refusal>>),
}

/// A subscription that goes to another feed.
pub(super) struct Moving {
    name: Name,
    variant: Variant,
    rate: Option<MaxRate>,
    request: Option<Rc<RequestId>>,
}

/// A subscribe request on its way.
pub(super) struct Subscribing {
    entries: Vec<Result<Entry, RefusedEntry>>,
    mode: Mode,
    depth: DepthClass,
    delivery: Delivery,
    request_id: RequestId,
}

impl Session {
    /// Answers a request, or begins to.
    pub(super) fn handle(&mut self, request: Request) {
        self.context.counters.requests.count(Action::from(&request));
        match request {
            Request::Authenticate { api_key, wishes } => {
                self.pending = Some(self.authenticate(api_key, wishes));
            }
            Request::Subscribe { entries, mode, depth, delivery, request_id } => {
                self.subscribe(Subscribing { entries, mode, depth, delivery, request_id });
            }
            Request::Unsubscribe { entries, request_id } => self.unsubscribe(&entries, &request_id),
            Request::UnsubscribeAll { request_id } => self.unsubscribe_all(&request_id),
            Request::SubscribeOrders { request_id } => {
                self.me.set_wants_orders(true);
                self.send(reply::subscribe_orders_ack(&request_id));
            }
            Request::UnsubscribeOrders { request_id } => {
                self.me.set_wants_orders(false);
                self.send(reply::unsubscribe_orders_ack(&request_id));
            }
            Request::BrokerInfo => self.broker_info(),
            Request::SupportedBrokers => {
                self.send(reply::supported_brokers(&self.context.hub.supported_brokers()));
            }
            Request::Ping { timestamp, ping_id } => {
                self.send(reply::pong(clock::unix_millis(), timestamp.as_deref(), ping_id.as_deref()));
            }
            Request::Pong => {}
        }
    }

    /// Ends what [`Self::handle`] began.
    pub(super) fn finish(&mut self, done: Done) -> Result<(), CloseReason> {
        match done {
            Done::LoggedIn(outcome, wishes) => self.finish_login(outcome, wishes)?,
            Done::WrongKey => self.refuse_key(),
            Done::TriesSpent => {
                self.context.hub.note_tries_spent();
                return Err(CloseReason::AuthTimeout);
            }
            Done::Subscribed(asked, answers) => self.finish_subscribe(asked, answers),
            Done::Yielded => self.take_turn(),
            Done::Rejoined(outcome) => self.finish_rejoin(outcome),
            Done::Moved(wanted, answers) => self.finish_move(wanted, answers),
        }
        if self.pending.is_none() && std::mem::take(&mut self.moves_after_pending) {
            self.follow_account();
        }
        Ok(())
    }

    // ---- subscribe ----

    fn subscribe(&mut self, asked: Subscribing) {
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
        let allowed = self.held.reserve(wanted, limit, limit_of_key);
        let wants: Vec<Want> = asked
            .entries
            .iter()
            .flatten()
            .take(allowed)
            .map(|entry| Want {
                exchange: entry.exchange.as_str().into(),
                symbol: entry.symbol.as_str().into(),
                variant: asked.variant(entry),
            })
            .collect();
        let limit = self.policy.settings.subscribe_timeout + ANSWER_MARGIN;
        let span = operation!(
            "session.subscribe",
            "server",
            tickhost.session_id = self.me.id().0,
            tickhost.mode = asked.mode.label(),
            tickhost.requested = asked.entries.len(),
            tickhost.granted = tracing::field::Empty
        );
        self.pending = Some(Box::pin(async move {
            let count = wants.len();
            let answer = tokio::time::timeout(limit, feed.subscribe(wants)).instrument(span.clone()).await;
            let answers = answer.unwrap_or_else(|_| {
                let late = Refusal::new(
                    ErrorCode::ProcessingError,
                    "The feed did not answer in time; subscribe again",
                );
                vec![Err(late); count]
            });
            let granted = answers.iter().filter(|answer| answer.is_ok()).count();
            let refused = answers.iter().find_map(|answer| Some(answer.as_ref().err()?.code.as_str()));
            span.record("tickhost.granted", granted);
            // What was granted in part worked.
            span::end(&span, refused.filter(|_| granted == 0).map_or(Ok(()), Err));
            Done::Subscribed(asked, answers)
        }));
    }

    fn finish_subscribe(&mut self, asked: Subscribing, answers: Vec<Result<Grant, Refusal>>) {
        let broker = self.identity.broker();
        let mut answers = answers.into_iter();
        let mut granted = Vec::new();
        let delivery = self.applied(asked.delivery);
        let entries: Vec<Subscribed<'_>> = asked
            .entries
            .iter()
            .map(|entry| match entry {
                Ok(entry) => {
                    let outcome = match answers.next() {
                        Some(Ok(grant)) => {
                            granted.push((entry, grant));
                            let requested = entry.depth(asked.depth);
                            let levels =
                                grant.levels.map_or(requested, |levels| DepthClass::at_least(levels.into()));
                            Ok(Granted { mode: asked.mode, depth: levels, delivery })
                        }
                        Some(Err(refusal)) => {
                            Err(Failure { code: refusal.code, message: Cow::Owned(refusal.message) })
                        }
                        None => Err(self.too_many_subscriptions()),
                    };
                    Subscribed { symbol: entry.written_symbol(), exchange: &entry.exchange, outcome }
                }
                Err(refused) => Subscribed {
                    symbol: Cow::Borrowed(refused.symbol.as_str()),
                    exchange: &refused.exchange,
                    outcome: Err(Failure {
                        code: ErrorCode::InvalidParameters,
                        message: Cow::Borrowed(&refused.message),
                    }),
                },
            })
            .collect();
        // The acknowledgement first, then the snapshots that attaching brings.
        self.send(reply::subscribe_ack(&entries, &broker, &asked.request_id));
        let rate = asked.delivery.rate();
        let granted: Vec<Granting> = granted
            .into_iter()
            .map(|(entry, grant)| Granting {
                name: name(&entry.exchange, &entry.symbol, entry.suffix),
                key: Key { instrument: grant.instrument, variant: asked.variant(entry) },
                rate,
            })
            .collect();
        self.begin(Rest::Hold(granted.into_iter(), Rc::new(asked.request_id)));
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

    // ---- unsubscribe ----

    fn unsubscribe(&mut self, entries: &[Result<UnsubscribeEntry, RefusedEntry>], request_id: &RequestId) {
        if self.identity.feed().is_none() {
            self.refuse(&self.no_feed());
            return;
        }
        let mut gone = Vec::new();
        let answers: Vec<Unsubscribed<'_>> = entries
            .iter()
            .map(|entry| match entry {
                Ok(entry) => {
                    let name = name(&entry.exchange, &entry.symbol, entry.suffix);
                    gone.extend(self.held.remove(&name, entry.mode));
                    Unsubscribed {
                        symbol: entry.written_symbol(),
                        exchange: &entry.exchange,
                        outcome: Ok(()),
                    }
                }
                Err(refused) => Unsubscribed {
                    symbol: Cow::Borrowed(refused.symbol.as_str()),
                    exchange: &refused.exchange,
                    outcome: Err(Failure {
                        code: ErrorCode::InvalidParameters,
                        message: Cow::Borrowed(&refused.message),
                    }),
                },
            })
            .collect();
        let ack = reply::unsubscribe_ack(&answers, &self.identity.broker(), request_id);
        self.begin(Rest::GiveUp(gone.into_iter(), ack));
    }

    fn unsubscribe_all(&mut self, request_id: &RequestId) {
        if self.identity.feed().is_none() {
            self.refuse(&self.no_feed());
            return;
        }
        let all = self.held.remove_all();
        let mut answers: Vec<Unsubscribed<'_>> = Vec::new();
        for (name, keys) in &all {
            for _ in keys {
                answers.push(Unsubscribed {
                    symbol: Cow::Owned(name.full_symbol()),
                    exchange: &name.exchange,
                    outcome: Ok(()),
                });
            }
        }
        let ack = reply::unsubscribe_ack(&answers, &self.identity.broker(), request_id);
        let gone: Vec<Key> = all.into_iter().flat_map(|(_, keys)| keys).collect();
        self.begin(Rest::GiveUp(gone.into_iter(), ack));
    }

    // ---- what the feed brings about ----

    /// The broker refused an instrument after all: the client is told for each mode it holds.
    pub(super) fn drop_failed(&mut self, instrument: InstrumentId, mode: Option<Mode>, message: &Arc<str>) {
        for (name, keys) in self.held.remove_instrument(instrument, mode) {
            for key in &keys {
                let request = self.news.request_of(*key);
                self.tell_failed((*key, name.clone()), request, ErrorCode::SubscriptionError, message);
            }
            self.detach(&keys);
        }
    }

    fn finish_rejoin(&mut self, outcome: Result<Membership, String>) {
        let membership = match outcome {
            Ok(membership) => membership,
            Err(message) => {
                let session_id = self.me.id().0;
                outside_line!(warn, session_id, error = message, "Could not follow the account");
                return;
            }
        };
        let Identity::LoggedIn(login) = &mut self.identity else { return };
        if login.membership.feed().is(membership.feed()) {
            return;
        }
        let all = self.held.remove_all();
        let wanted: Vec<Moving> = all
            .iter()
            .flat_map(|(name, keys)| keys.iter().map(move |key| (name.clone(), key)))
            .map(|(name, key)| Moving {
                name,
                variant: key.variant,
                rate: self.shard.rate_of(*key, &self.me),
                request: self.news.request_of(*key),
            })
            .collect();
        self.give_up(all.into_iter().flat_map(|(_, keys)| keys).collect());
        let Identity::LoggedIn(login) = &mut self.identity else { return };
        login.membership = membership;
        let feed = login.membership.feed().clone();
        self.me.belong_to(&feed);
        if self.me.is_follower() {
            self.shard.follow(&self.me, Some(&feed));
        }
        let wants = wanted
            .iter()
            .map(|Moving { name, variant, .. }| Want {
                exchange: Arc::clone(&name.exchange),
                symbol: Arc::clone(&name.symbol),
                variant: *variant,
            })
            .collect();
        self.pending = Some(Box::pin(async move { Done::Moved(wanted, feed.subscribe(wants).await) }));
    }

    fn finish_move(&mut self, wanted: Vec<Moving>, answers: Vec<Result<Grant, Refusal>>) {
        for (Moving { name, variant, rate, request }, answer) in wanted.into_iter().zip(answers) {
            match answer {
                Ok(grant) => {
                    let key = Key { instrument: grant.instrument, variant };
                    self.await_tick(key, &name, &request.unwrap_or_default());
                    self.hold(name, key, rate);
                }
                Err(Refusal { code, message }) => {
                    // It has no number at the new feed; nothing is found under this one.
                    let key = Key { instrument: InstrumentId(0), variant };
                    self.tell_failed((key, name), Some(request.unwrap_or_default()), code, &message.into());
                }
            }
        }
    }

    // ---- small replies ----

    fn broker_info(&mut self) {
        let (Some(feed), Some(user)) = (self.identity.feed(), self.identity.user()) else {
            let unavailable = ErrorReply::new(ErrorCode::BrokerError, "Broker information not available");
            self.refuse(&if self.identity.is_authenticated() { unavailable } else { self.no_feed() });
            return;
        };
        let now_ns = clock::unix_nanos();
        let view = feed.view(now_ns);
        let facts = view.facts(&feed.spec().broker, now_ns, Instant::now());
        let frame = reply::broker_info(
            user.as_str(),
            view.is_connected(),
            view.last_error.as_deref(),
            &facts,
            feed.counts(),
        );
        self.send(frame);
    }

    pub(super) fn send(&self, frame: bytes::Bytes) {
        self.me.push_control(text(frame));
    }

    pub(super) fn refuse(&self, error: &ErrorReply) {
        self.context.counters.errors.count(error.code);
        self.send(error.to_bytes());
    }
}

impl Subscribing {
    /// The frames that an entry asks for.
    fn variant(&self, entry: &Entry) -> Variant {
        let variant = Variant::new(self.mode, entry.depth(self.depth), entry.suffix.is_some());
        if self.delivery == Delivery::EveryTick { variant.lossless() } else { variant }
    }
}

fn name(exchange: &str, symbol: &str, suffix: Option<DepthClass>) -> Name {
    Name { exchange: exchange.into(), symbol: symbol.into(), suffix }
}
