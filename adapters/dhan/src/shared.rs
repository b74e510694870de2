//! What the connections of an instance have in common, one after the other.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use adapter_sdk::{AdapterError, abi::ErrorCode, tracing::warn};
use tokio::time::Instant;

use crate::{
    allotment::Places,
    auth::{TOO_MANY_SOCKETS, disconnected},
    wire::depth::Tier,
};

/// A connection that ends so soon without a packet may have been refused: the broker closes sockets whose
/// token is dead without a word.
const EARLY: Duration = Duration::from_secs(15);

/// How long no sockets for deep books are opened after the broker had found too many sockets of the account.
/// The live feed is worth more: another one too many would end it again.
const CROWDED: Duration = Duration::from_hours(1);

/// What the connections of an instance have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Who has a place on the depth feeds.
    pub(crate) places: RefCell<Places>,
    /// Why the token may be dead, if there is a reason to believe so.
    pub(crate) suspicion: Cell<Option<Suspicion>>,
    crowded_until: Cell<Option<Instant>>,
}

/// Why a token may be dead. It is asked over REST before the next connection: a feed must not be given up for
/// the day because of one packet that was damaged, or a socket that was lost early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// The connection ended before any packet.
    EarlyEnd,
    /// The broker gave this reason.
    Reason(u16),
}

impl Shared {
    pub(crate) const fn new(places: Places) -> Self {
        Self { places: RefCell::new(places), suspicion: Cell::new(None), crowded_until: Cell::new(None) }
    }

    /// There is a new connection, on which places on the depth feeds are taken again.
    pub(crate) fn begin(&self) {
        let mut places = self.places.borrow_mut();
        places.clear();
        if self.crowded_until.get().is_some_and(|until| Instant::now() < until) {
            warn!(
                "The account had too many sockets: for an hour this connection has books of five levels only"
            );
            Tier::ALL.into_iter().for_each(|tier| places.close(tier));
        }
    }

    /// What an opening means that failed: too many requests may be those of an account without the Data API.
    pub(crate) fn not_opened(&self, error: &AdapterError) {
        if error.code() == ErrorCode::RATE_LIMITED {
            self.suspicion.set(Some(Suspicion::EarlyEnd));
        }
    }

    /// What a disconnect's reason means. One that is about the account is not believed before it was asked
    /// about, or came twice.
    pub(crate) fn disconnected(&self, reason: u16) -> AdapterError {
        let error = disconnected(reason);
        if reason == TOO_MANY_SOCKETS {
            self.crowded_until.set(Some(Instant::now() + CROWDED));
        }
        if error.code() != ErrorCode::AUTH {
            return error;
        }
        match self.suspicion.replace(Some(Suspicion::Reason(reason))) {
            Some(Suspicion::Reason(_)) => error,
            Some(Suspicion::EarlyEnd) | None => AdapterError::network(error),
        }
    }

    /// What the loss of a connection means that was open for so long and brought no packet.
    pub(crate) fn lost_unheard(&self, error: AdapterError, age: Duration) -> AdapterError {
        // A TCP connection that ends without a close frame is an error of the protocol.
        let is_loss = matches!(error.code(), ErrorCode::NETWORK | ErrorCode::PROTOCOL);
        if !is_loss || age > EARLY {
            return error;
        }
        self.suspicion.set(Some(Suspicion::EarlyEnd));
        AdapterError::network(format!(
            "{error}, before any packet: its usual way to refuse a token, or an account without the Data API"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        allotment,
        segment::{Key, Segment},
    };

    fn shared() -> Shared {
        Shared::new(Places::new([]))
    }

    #[test]
    fn a_reason_about_the_account_is_believed_when_it_comes_again() {
        let shared = shared();
        assert_eq!(shared.disconnected(800).code(), ErrorCode::NETWORK);
        assert_eq!(shared.suspicion.get(), None);
        assert_eq!(shared.disconnected(807).code(), ErrorCode::NETWORK);
        assert_eq!(shared.suspicion.get(), Some(Suspicion::Reason(807)));
        assert_eq!(shared.disconnected(807).code(), ErrorCode::AUTH);
        shared.suspicion.set(None);
        assert_eq!((shared.suspicion.get(), shared.disconnected(810).code()), (None, ErrorCode::NETWORK));
    }

    #[tokio::test(start_paused = true)]
    async fn after_too_many_sockets_there_are_no_deep_books_for_an_hour() {
        let key = Key { segment: Segment::NseEquity, id: 1 };
        let shared = Shared::new(Places::new([(Tier::Twenty, 1)]));
        let granted = || {
            shared.begin();
            allotment::grant(&mut shared.places.borrow_mut(), 1, key, 20)
        };
        assert_eq!(granted(), 20);
        assert_eq!(shared.disconnected(TOO_MANY_SOCKETS).code(), ErrorCode::RATE_LIMITED);
        assert_eq!(granted(), 5);
        tokio::time::advance(CROWDED).await;
        assert_eq!(granted(), 20);
    }

    #[test]
    fn a_connection_that_ends_at_once_makes_its_token_suspect() {
        let shared = shared();
        let stalled = AdapterError::network("the broker said nothing");
        assert_eq!(shared.lost_unheard(stalled.clone(), EARLY * 2), stalled);
        assert_eq!(shared.suspicion.get(), None);
        let cut = shared.lost_unheard(AdapterError::protocol("reset"), Duration::ZERO);
        assert_eq!((cut.code(), shared.suspicion.get()), (ErrorCode::NETWORK, Some(Suspicion::EarlyEnd)));
    }
}
