//! Tells a client what becomes of its subscriptions: news, if it asked for them, else only what failed.

use std::{borrow::Cow, rc::Rc, sync::Arc};

use rustc_hash::FxHashSet;
use tickhost_core::{
    model::{InstrumentId, Key, Mode},
    protocol::{
        codes::ErrorCode,
        reply::{self, Failure},
        request::RequestId,
    },
};

use super::Session;
use crate::{base::clock::Moment, clients::seat::SymbolName, feeds::feed::Feed};

impl Session {
    /// The client wants to hear what becomes of subscriptions from now on, or not any more.
    pub(super) fn set_reports(&mut self, is_wanted: bool) {
        self.news.want(is_wanted);
        self.seat.set_wants_news(is_wanted);
        if !is_wanted {
            self.seat.unwatch_all();
        }
    }

    /// Says what there is to say of subscriptions by now.
    pub(super) fn send_reports(&mut self, now: Moment) {
        let Moment { at: instant, unix_ns } = now;
        if self.news.next().is_none_or(|at| instant < at) {
            return;
        }
        let silent_after = self.policy.settings.silent_after;
        let broker = self.identity.broker();
        let feed = self.identity.feed();
        let frames = self.news.due(instant, unix_ns, silent_after, &broker, || feed.and_then(Feed::audience));
        frames.into_iter().for_each(|frame| self.send(frame));
    }

    /// These instruments wait for a connection to the broker.
    pub(super) fn report_pending(
        &mut self,
        now: Moment,
        instruments: &FxHashSet<InstrumentId>,
        why: &Arc<str>,
    ) {
        let waiting = self.news.pending(|key| instruments.contains(&key.instrument), why, now.at);
        waiting.into_iter().for_each(|key| self.seat.watch(key));
    }

    /// The broker refused an instrument after all: the client is told for each mode it holds.
    pub(super) fn drop_failed(
        &mut self,
        now: Moment,
        (instrument, mode): (InstrumentId, Option<Mode>),
        number: u64,
        message: &Arc<str>,
    ) {
        let gone = self.seat.holdings().remove_failed(instrument, mode, number);
        for (name, keys) in gone {
            for key in &keys {
                let request = self.news.request_of(*key);
                self.report_failed(now, (*key, name.clone()), request, ErrorCode::SubscriptionError, message);
            }
            self.detach(&keys);
        }
    }

    /// The broker's list does not have an instrument any more: the client is told for each mode it holds, and
    /// goes on to hold them.
    pub(super) fn report_lost(&mut self, now: Moment, instrument: InstrumentId, message: &Arc<str>) {
        let keys = self.seat.holdings().keys_of(instrument);
        for (name, key) in keys {
            if self.news.is_wanted() {
                if self.news.lost((key, name), message, now.at) {
                    self.seat.watch(key);
                }
            } else {
                self.send_failed(key, &name, ErrorCode::SymbolNotFound, message, true);
            }
        }
    }

    /// A granted subscription waits for its first tick, if the client wants to know of it.
    pub(super) fn track(&mut self, now: Moment, key: Key, name: &SymbolName, request: &Rc<RequestId>) {
        if self.news.is_wanted() {
            let silent_after = self.policy.settings.silent_after;
            self.news.track(key, name.clone(), request, now.at, silent_after);
            self.seat.watch(key);
        }
    }

    pub(super) fn untrack(&mut self, key: Key) {
        if self.news.is_wanted() {
            self.news.untrack(key);
            self.seat.unwatch(key);
        }
    }

    /// A subscription is over, and the client did not ask for that.
    pub(super) fn report_failed(
        &mut self,
        now: Moment,
        (key, name): (Key, SymbolName),
        request: Option<Rc<RequestId>>,
        code: ErrorCode,
        message: &Arc<str>,
    ) {
        if self.news.is_wanted() {
            self.news.failed((key, name), request, (code, Arc::clone(message)), now.at);
            return;
        }
        self.send_failed(key, &name, code, message, false);
    }

    fn send_failed(&self, key: Key, name: &SymbolName, code: ErrorCode, message: &Arc<str>, is_kept: bool) {
        let failure = Failure { code, message: Cow::Borrowed(&**message) };
        let (symbol, mode, broker) = (name.full_symbol(), key.variant.mode(), self.identity.broker());
        self.send(reply::subscription_failed(&symbol, &name.exchange, mode, &broker, &failure, is_kept));
    }
}
