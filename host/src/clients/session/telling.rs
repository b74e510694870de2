//! Tells a client what becomes of its subscriptions: news, if it asked for them, else only what failed.

use std::{borrow::Cow, rc::Rc, sync::Arc, time::Instant};

use rustc_hash::FxHashSet;
use tickhost_core::{
    model::{InstrumentId, Key},
    protocol::{
        codes::ErrorCode,
        reply::{self, Failure},
        request::RequestId,
    },
};

use super::{Session, held::Name};
use crate::{base::clock, feeds::feed::Feed};

impl Session {
    /// The client wants to hear what becomes of subscriptions from now on, or not any more.
    pub(super) fn want_news(&mut self, is_wanted: bool) {
        self.news.want(is_wanted);
        self.me.set_wants_news(is_wanted);
        if !is_wanted {
            self.me.listen_to_nothing();
        }
    }

    /// Says what there is to say of subscriptions by now.
    pub(super) fn tell_news(&mut self, now: Instant) {
        if self.news.next().is_none_or(|at| now < at) {
            return;
        }
        let (now_ns, silent_after) = (clock::unix_nanos(), self.policy.settings.silent_after);
        let broker = self.identity.broker();
        let feed = self.identity.feed();
        let frames = self.news.due(now, now_ns, silent_after, &broker, || feed.and_then(Feed::audience));
        frames.into_iter().for_each(|frame| self.send(frame));
    }

    /// These instruments wait for a connection to the broker.
    pub(super) fn note_waiting(&mut self, instruments: &FxHashSet<InstrumentId>, why: &Arc<str>) {
        let waiting = self.news.wait(|key| instruments.contains(&key.instrument), why, Instant::now());
        waiting.into_iter().for_each(|key| self.me.listen(key));
    }

    /// The broker's list does not have an instrument any more: the client is told for each mode it holds, and goes on to hold
    /// them.
    pub(super) fn note_lost(&mut self, instrument: InstrumentId, message: &Arc<str>) {
        for (name, key) in self.held.keys_of(instrument) {
            if self.news.is_wanted() {
                if self.news.lost((key, name), message, Instant::now()) {
                    self.me.listen(key);
                }
            } else {
                self.send_failed(key, &name, ErrorCode::SymbolNotFound, message, true);
            }
        }
    }

    /// A granted subscription waits for its first tick, if the client wants to know of it.
    pub(super) fn await_tick(&mut self, key: Key, name: &Name, request: &Rc<RequestId>) {
        if self.news.is_wanted() {
            self.news.ask(key, name.clone(), request, Instant::now(), self.policy.settings.silent_after);
            self.me.listen(key);
        }
    }

    pub(super) fn forget_news(&mut self, key: Key) {
        if self.news.is_wanted() {
            self.news.forget(key);
            self.me.stop_listening(key);
        }
    }

    /// A subscription is over, and the client did not ask for that.
    pub(super) fn tell_failed(
        &mut self,
        (key, name): (Key, Name),
        request: Option<Rc<RequestId>>,
        code: ErrorCode,
        message: &Arc<str>,
    ) {
        if self.news.is_wanted() {
            self.news.failed((key, name), request, (code, Arc::clone(message)), Instant::now());
            return;
        }
        self.send_failed(key, &name, code, message, false);
    }

    fn send_failed(&self, key: Key, name: &Name, code: ErrorCode, message: &Arc<str>, is_kept: bool) {
        let failure = Failure { code, message: Cow::Borrowed(&**message) };
        let (symbol, mode, broker) = (name.full_symbol(), key.variant.mode(), self.identity.broker());
        self.send(reply::subscription_failed(&symbol, &name.exchange, mode, &broker, &failure, is_kept));
    }
}
