//! What becomes of the instruments that an adapter was asked for.

use std::sync::Arc;

use adapter_abi::{OutcomeCode, SubscriptionOutcome};
use tickhost_core::{
    model::{InstrumentId, Mode},
    protocol::codes::ErrorCode,
};

use super::{Actor, subscribe::grant};
use crate::{
    base::clock::Moment,
    feeds::{bulletin::Bulletin, feed::Refusal},
};

impl Actor {
    /// Takes what a connection says of an instrument: upon a request, or of its own accord where that is 0.
    pub(super) fn conclude(
        &mut self,
        (connection, request): (usize, u64),
        outcome: &SubscriptionOutcome,
        now: Moment,
    ) {
        let instrument = InstrumentId(outcome.instrument);
        let Some(held) = self.subscriptions.get(instrument) else { return };
        // Nor does a connection that does not carry it any more decide what becomes of it.
        if request != 0 && request < held.asked || held.connection != Some(connection) {
            return;
        }
        if outcome.code.is_taken() {
            // Of its own accord the adapter says what comes for a while, and may say otherwise soon.
            if request != 0 {
                self.placement.note_granted(connection, instrument, outcome.depth);
            }
            self.conclude_taken(instrument, outcome.depth, now);
        } else {
            self.conclude_refused(instrument, outcome, request);
        }
    }

    /// The adapter takes an instrument, with so many levels of its book.
    fn conclude_taken(&mut self, instrument: InstrumentId, levels: u16, now: Moment) {
        self.subscriptions.grant(instrument, levels);
        let Some(held) = self.subscriptions.get_mut(instrument) else { return };
        held.was_there = true;
        if std::mem::take(&mut held.is_lost) {
            self.lists.found();
            self.feed.0.counters.instruments_returned.add(1);
        }
        let has_no_book = levels == 0 && held.upstream.mode == Mode::Depth;
        let no_book = has_no_book.then(|| no_book(&held.symbol));
        for (ticket, variant) in std::mem::take(&mut held.waiters) {
            let answer = match &no_book {
                Some(why) if variant.mode() == Mode::Depth => {
                    Err(Refusal::new(ErrorCode::SubscriptionError, why.clone()))
                }
                _ => Ok(grant(instrument, variant, levels)),
            };
            self.subscriptions.requests.answer(ticket, answer);
        }
        if let Some(why) = no_book {
            self.end_depth(instrument, &why.into(), now);
        }
    }

    /// The adapter does not take an instrument.
    fn conclude_refused(&mut self, instrument: InstrumentId, outcome: &SubscriptionOutcome, request: u64) {
        let Some(held) = self.subscriptions.get_mut(instrument) else { return };
        let code = match outcome.code {
            OutcomeCode::UNKNOWN_INSTRUMENT => ErrorCode::SymbolNotFound,
            OutcomeCode::CAPACITY => ErrorCode::MaxCapacityReached,
            _ => ErrorCode::SubscriptionError,
        };
        let message = if outcome.message.is_empty() {
            format!("Symbol {} not found", held.symbol)
        } else {
            outcome.message.to_string()
        };
        let mut refused = Vec::new();
        for (ticket, variant) in std::mem::take(&mut held.waiters) {
            // Whoever was told before that it is pending holds it, and hears that it is over below.
            if self.subscriptions.requests.answer(ticket, Err(Refusal::new(code, message.clone()))) {
                refused.push(variant);
            }
        }
        let Some(held) = self.subscriptions.get_mut(instrument) else { return };
        refused.into_iter().for_each(|variant| held.demand.remove(variant));
        if held.demand.upstream().is_some() {
            let message: Arc<str> = message.into();
            if self.is_only_lost(instrument, outcome.code) {
                // What was not asked came from the connection: the adapter has it among what is subscribed.
                return self.lose(instrument, &message, request == 0);
            }
            // Others hold it already: they have to hear that it is over.
            self.tell_failed(instrument, None, &message);
        }
        self.forget(instrument);
    }

    /// The broker has no book for this instrument: whoever holds it in mode DEPTH would wait for ever.
    fn end_depth(&mut self, instrument: InstrumentId, why: &Arc<str>, now: Moment) {
        let Some(held) = self.subscriptions.get_mut(instrument) else { return };
        if held.demand.remove_mode(Mode::Depth) {
            self.tell_failed(instrument, Some(Mode::Depth), why);
            self.follow_demand([instrument], now);
        }
    }

    fn tell_failed(&mut self, instrument: InstrumentId, mode: Option<Mode>, why: &Arc<str>) {
        let number = self.subscriptions.requests.next_failure();
        for recipient in &self.host.recipients {
            recipient.tell(Bulletin::Failed { instrument, mode, number, message: Arc::clone(why) });
        }
    }
}

fn no_book(symbol: &str) -> String {
    format!("Symbol {symbol} has no market depth; subscribe to it in mode Quote")
}
