//! What a session asks of others, and what it is told: the only things that it waits for.

use std::{pin::Pin, sync::Arc, time::Duration};

use secrecy::SecretString;
use tickhost_core::{
    mailbox::SessionId,
    model::Mode,
    protocol::{codes::ErrorCode, request::Wishes},
};
use tracing::Instrument as _;

use super::{moving::Moving, subscribing::Subscribing};
use crate::{
    accounts::{Caller, UserName},
    base::span::{self, operation},
    feeds::{
        feed::{Feed, Grant, Membership, Refusal, Want},
        hub::{Hub, Login, LoginError},
    },
};

/// Beyond the feed's own limit on the wait for an answer: only a fault of the host lasts that long.
pub(super) const ANSWER_MARGIN: Duration = Duration::from_secs(2);

/// A question. What is dropped before its answer came has asked for nothing: a feed takes back what it
/// granted.
#[derive(Debug)]
pub(super) enum Ask {
    /// Whose key is this?
    Login { api_key: SecretString, caller: Caller },
    /// May a wrong key be answered by now? After the last one that may be tried, the session ends.
    Penalty { wait: Duration, is_last: bool },
    /// What does the feed grant? The request had so many entries, of this mode.
    Subscribe { feed: Feed, wants: Vec<Want>, mode: Mode, requested: usize, limit: Duration },
    /// What does another feed grant of what was held?
    Move { feed: Feed, wants: Vec<Want> },
    /// Have the other sessions had their turn?
    Turn,
    /// Which feed serves this user's account?
    Rejoin { user: UserName },
    /// Which brokers does the host serve?
    Brokers,
}

/// An answer, by the question.
#[derive(Debug)]
pub(super) enum Answer {
    Login(Result<Box<Login>, LoginError>),
    Penalty,
    /// For each instrument, in order.
    Granted(Vec<Result<Grant, Refusal>>),
    Turn,
    Rejoined(Result<Membership, String>),
    Brokers(Vec<String>),
}

/// What a session does with the answer.
#[derive(Debug)]
pub(super) enum Awaited {
    Login(Wishes),
    Penalty { is_last: bool },
    Subscribe(Subscribing),
    Move(Moving),
    Turn,
    Rejoin,
    Brokers,
}

/// An answer on its way.
pub(super) type Pending = Pin<Box<dyn Future<Output = Answer>>>;

/// Puts a question.
pub(super) fn put(ask: Ask, hub: &Arc<Hub>, session: SessionId) -> Pending {
    match ask {
        Ask::Login { api_key, caller } => {
            let hub = Arc::clone(hub);
            let span = operation!("session.login", "server", tickhost.session_id = session.0);
            Box::pin(async move {
                let outcome = hub.login(&api_key, caller).instrument(span.clone()).await;
                span::end(&span, outcome.as_ref().map(drop).map_err(LoginError::label));
                Answer::Login(outcome.map(Box::new))
            })
        }
        Ask::Penalty { wait, is_last } => {
            let hub = Arc::clone(hub);
            Box::pin(async move {
                if !wait.is_zero() {
                    tokio::time::sleep(wait).await;
                }
                if is_last {
                    hub.note_tries_spent();
                }
                Answer::Penalty
            })
        }
        Ask::Subscribe { feed, wants, mode, requested, limit } => {
            let span = operation!(
                "session.subscribe",
                "server",
                tickhost.session_id = session.0,
                tickhost.mode = mode.label(),
                tickhost.requested = requested,
                tickhost.granted = tracing::field::Empty
            );
            Box::pin(async move {
                let answers = subscribe(&feed, wants, limit).instrument(span.clone()).await;
                let granted = answers.iter().filter(|answer| answer.is_ok()).count();
                let refused = answers.iter().find_map(|answer| Some(answer.as_ref().err()?.code.as_str()));
                span.record("tickhost.granted", granted);
                // What was granted in part worked.
                span::end(&span, refused.filter(|_| granted == 0).map_or(Ok(()), Err));
                Answer::Granted(answers)
            })
        }
        Ask::Move { feed, wants } => Box::pin(async move { Answer::Granted(feed.subscribe(wants).await) }),
        Ask::Turn => Box::pin(async {
            tokio::task::yield_now().await;
            Answer::Turn
        }),
        Ask::Rejoin { user } => {
            let hub = Arc::clone(hub);
            Box::pin(async move { Answer::Rejoined(hub.rejoin(&user).await) })
        }
        Ask::Brokers => Box::pin(std::future::ready(Answer::Brokers(hub.supported_brokers()))),
    }
}

async fn subscribe(feed: &Feed, wants: Vec<Want>, limit: Duration) -> Vec<Result<Grant, Refusal>> {
    let count = wants.len();
    tokio::time::timeout(limit, feed.subscribe(wants)).await.unwrap_or_else(|_| {
        let late =
            Refusal::new(ErrorCode::ProcessingError, "The feed did not answer in time; subscribe again");
        vec![Err(late); count]
    })
}
