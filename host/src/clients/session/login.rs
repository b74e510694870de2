//! Who the client is.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;
use tickhost_core::{
    metrics::FeedCounters,
    protocol::{
        codes::{CloseReason, ErrorCode},
        reply::{self, ErrorReply},
        request::Wishes,
    },
};

use super::{
    Session,
    ask::{Ask, Awaited},
    budget::Budget,
};
use crate::{
    accounts::{Caller, Penalty, UserName},
    base::clock::Moment,
    feeds::{
        feed::Feed,
        hub::{Login, LoginError},
    },
};

/// What is known of a client.
#[derive(Debug)]
pub(super) enum Identity {
    /// Nothing yet.
    Unknown,
    /// The key was good, but no feed can serve its user.
    WithoutFeed(UserName),
    /// Everything.
    LoggedIn(Login),
}

impl Identity {
    pub(super) const fn is_authenticated(&self) -> bool {
        !matches!(self, Self::Unknown)
    }

    pub(super) const fn feed(&self) -> Option<&Feed> {
        match self {
            Self::LoggedIn(login) => Some(login.membership.feed()),
            Self::Unknown | Self::WithoutFeed(_) => None,
        }
    }

    pub(super) const fn user(&self) -> Option<&UserName> {
        match self {
            Self::LoggedIn(login) => Some(&login.user),
            Self::WithoutFeed(user) => Some(user),
            Self::Unknown => None,
        }
    }

    pub(super) fn counters(&self) -> Option<&Arc<FeedCounters>> {
        self.feed().map(Feed::counters)
    }

    /// Broker of the client's feed, as frames name it.
    pub(super) fn broker(&self) -> Arc<str> {
        self.feed().map_or_else(|| "".into(), |feed| Arc::clone(&feed.spec().broker))
    }
}

impl Session {
    pub(super) fn authenticate(&mut self, now: Moment, api_key: SecretString, wishes: Wishes) {
        self.timers.checking(now.at);
        self.admission.begin_check();
        let caller = Caller::at(self.peer.ip(), self.wrong_keys > 0);
        self.ask(Ask::Login { api_key, caller }, Awaited::Login(wishes));
    }

    pub(super) fn finish_login(
        &mut self,
        now: Moment,
        outcome: Result<Box<Login>, LoginError>,
        wishes: Wishes,
    ) -> Result<(), CloseReason> {
        self.timers.checked(now.at);
        if matches!(outcome, Ok(_) | Err(LoginError::NoFeed { .. })) {
            self.admission.join()?;
        } else {
            self.admission.end_check();
        }
        match outcome {
            Ok(login) => {
                self.wrong_keys = 0;
                let spec = login.membership.feed().spec();
                self.send(reply::auth_success(&spec.broker, login.user.as_str(), wishes));
                tracing::debug!(session_id = self.seat.id().0, peer = %self.peer, user = login.user.as_str(), "Logged in");
                self.adopt(now, *login);
                let feed = self.identity.feed().filter(|_| wishes.feed_status);
                self.shard.follow(&self.seat, feed.map(|feed| (feed, now)));
                self.set_reports(wishes.subscription_status);
                self.timers.logged_in(now.at);
            }
            Err(LoginError::Refused { code, message, retry_after }) => {
                self.refuse(&ErrorReply { retry_after, ..ErrorReply::new(code, message) });
            }
            Err(LoginError::WrongKey(penalty)) => self.punish(penalty),
            Err(LoginError::NoFeed { user, code, message }) => {
                // The key is good: the client is not closed for want of one, and may try again when the
                // account is set up.
                self.refuse(&ErrorReply::new(code, message));
                if matches!(self.identity, Identity::Unknown) {
                    self.welcome(now);
                    self.identity = Identity::WithoutFeed(user);
                }
            }
            Err(LoginError::TooManyForKey) => return Err(CloseReason::TooManyForKey),
        }
        Ok(())
    }

    /// Lets the client wait for the answer to a wrong key; nothing more is read of it meanwhile. After the
    /// last one that it may try, there is no answer but the end.
    fn punish(&mut self, penalty: Penalty) {
        self.wrong_keys = self.wrong_keys.saturating_add(1);
        let is_last = self.wrong_keys >= penalty.tries;
        let wait = penalty.wait_of(self.wrong_keys);
        if is_last || wait > Duration::ZERO {
            self.ask(Ask::Penalty { wait, is_last }, Awaited::Penalty { is_last });
        } else {
            self.refuse_key();
        }
    }

    pub(super) fn refuse_key(&self) {
        self.refuse(&ErrorReply::new(ErrorCode::AuthenticationError, "Invalid API key"));
    }

    /// Takes an identity. The same feed again changes nothing else; another one begins without subscriptions.
    fn adopt(&mut self, now: Moment, login: Login) {
        if self.identity.feed().is_some_and(|feed| !feed.is(login.membership.feed())) {
            self.release_everything(now);
        }
        self.welcome(now);
        self.seat.set_identity(Some((login.user.clone(), login.key.clone())));
        self.seat.belong_to(login.membership.feed());
        self.seat.holdings().belong_to(login.key_total());
        self.identity = Identity::LoggedIn(login);
    }

    /// The client has shown a good key, so it may have and cost more. A second time changes nothing.
    fn welcome(&mut self, now: Moment) {
        if !self.identity.is_authenticated() {
            let settings = &self.policy.settings;
            self.gate.open(settings.max_frame_bytes);
            self.budget = Budget::new(settings, now.at);
            self.seat.limit_control(settings.outbox.control_bytes);
            self.timers.authenticated();
        }
    }

    /// The word that some clients wait for before they subscribe.
    pub(super) fn nudge(&mut self) {
        if let Identity::LoggedIn(login) = &self.identity {
            let broker = &login.membership.feed().spec().broker;
            self.send(reply::auth_status(broker, login.user.as_str()));
        }
    }

    pub(super) fn no_feed(&self) -> ErrorReply {
        match self.identity {
            Identity::Unknown => ErrorReply::new(ErrorCode::NotAuthenticated, "You must authenticate first"),
            _ => ErrorReply::new(ErrorCode::BrokerError, "Broker adapter not found"),
        }
    }
}
