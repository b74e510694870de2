//! What a client asks, and what it is answered. What becomes of subscribe requests stands in
//! `subscribing.rs`.

use std::borrow::Cow;

use tickhost_core::{
    metrics::Action,
    model::Key,
    protocol::{
        codes::{CloseReason, ErrorCode},
        reply::{self, ErrorReply, Unsubscribed},
        request::{RefusedEntry, Request, RequestId, UnsubscribeEntry},
        text,
    },
};

use super::{
    Session,
    ask::{Answer, Ask, Awaited},
    subscribing::Subscribing,
    turns::Rest,
};
use crate::{base::clock::Moment, clients::seat::SymbolName};

impl Session {
    /// Answers a request, or begins to.
    pub(super) fn handle(&mut self, now: Moment, request: Request) {
        self.counters.requests.count(Action::from(&request));
        match request {
            Request::Authenticate { api_key, wishes } => self.authenticate(now, api_key, wishes),
            Request::Subscribe { entries, mode, depth, delivery, request_id } => {
                self.subscribe(Subscribing::new(entries, mode, depth, delivery, request_id));
            }
            Request::Unsubscribe { entries, request_id } => self.unsubscribe(now, &entries, &request_id),
            Request::UnsubscribeAll { request_id } => self.unsubscribe_all(now, &request_id),
            Request::SubscribeOrders { request_id } => {
                self.seat.set_wants_orders(true);
                self.send(reply::subscribe_orders_ack(&request_id));
            }
            Request::UnsubscribeOrders { request_id } => {
                self.seat.set_wants_orders(false);
                self.send(reply::unsubscribe_orders_ack(&request_id));
            }
            Request::BrokerInfo => self.broker_info(now),
            Request::SupportedBrokers => self.ask(Ask::Brokers, Awaited::Brokers),
            Request::Ping { timestamp, ping_id } => {
                let now_ms = now.unix_ns / 1_000_000;
                self.send(reply::pong(now_ms, timestamp.as_deref(), ping_id.as_deref()));
            }
            Request::Pong => {}
        }
    }

    /// Goes on with what waited for this answer.
    ///
    /// # Errors
    /// Why the session ends.
    pub(super) fn apply(&mut self, now: Moment, answer: Answer) -> Result<(), CloseReason> {
        match (self.awaited.take(), answer) {
            (Some(Awaited::Login(wishes)), Answer::Login(outcome)) => {
                self.finish_login(now, outcome, wishes)?;
            }
            (Some(Awaited::Penalty { is_last: true }), Answer::Penalty) => {
                return Err(CloseReason::AuthTimeout);
            }
            (Some(Awaited::Penalty { is_last: false }), Answer::Penalty) => self.refuse_key(),
            (Some(Awaited::Subscribe(asked)), Answer::Granted(answers)) => {
                self.finish_subscribe(now, asked, answers);
            }
            (Some(Awaited::Move(moving)), Answer::Granted(answers)) => {
                self.finish_move(now, moving, answers);
            }
            (Some(Awaited::Turn), Answer::Turn) => self.go_on(now),
            (Some(Awaited::Rejoin), Answer::Rejoined(outcome)) => self.finish_rejoin(now, outcome),
            (Some(Awaited::Brokers), Answer::Brokers(brokers)) => {
                self.send(reply::supported_brokers(&brokers));
            }
            // Nobody answers what was not asked; what was asked is still waited for.
            (awaited, _) => self.awaited = awaited,
        }
        if self.awaited.is_none() && std::mem::take(&mut self.moves_after_answer) {
            self.follow_account();
        }
        Ok(())
    }

    fn unsubscribe(
        &mut self,
        now: Moment,
        entries: &[Result<UnsubscribeEntry, RefusedEntry>],
        request_id: &RequestId,
    ) {
        if self.identity.feed().is_none() {
            self.refuse(&self.no_feed());
            return;
        }
        let mut gone = Vec::new();
        let answers: Vec<Unsubscribed<'_>> = entries
            .iter()
            .map(|entry| match entry {
                Ok(entry) => {
                    let name = SymbolName::new(&entry.exchange, &entry.symbol, entry.suffix);
                    gone.extend(self.seat.holdings().remove(&name, entry.mode));
                    Unsubscribed {
                        symbol: entry.written_symbol(),
                        exchange: &entry.exchange,
                        outcome: Ok(()),
                    }
                }
                Err(refused) => refused.into(),
            })
            .collect();
        let ack = reply::unsubscribe_ack(&answers, &self.identity.broker(), request_id);
        self.begin_turns(now, Rest::Release(gone.into_iter(), Some(ack)));
    }

    fn unsubscribe_all(&mut self, now: Moment, request_id: &RequestId) {
        if self.identity.feed().is_none() {
            self.refuse(&self.no_feed());
            return;
        }
        let all = self.seat.holdings().remove_all();
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
        self.begin_turns(now, Rest::Release(gone.into_iter(), Some(ack)));
    }

    fn broker_info(&self, now: Moment) {
        let (Some(feed), Some(user)) = (self.identity.feed(), self.identity.user()) else {
            let unavailable = ErrorReply::new(ErrorCode::BrokerError, "Broker information not available");
            self.refuse(&if self.identity.is_authenticated() { unavailable } else { self.no_feed() });
            return;
        };
        let view = feed.view(now.unix_ns);
        let facts = view.facts(&feed.spec().broker, now.unix_ns, now.at);
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
        self.seat.push_control(text(frame));
    }

    pub(super) fn refuse(&self, error: &ErrorReply) {
        self.counters.errors.count(error.code);
        self.send(error.to_bytes());
    }
}
