//! The way to another feed: the user's account is served by another one, and everything that is held goes
//! there.

use tickhost_core::model::{InstrumentId, Key};

use super::{
    Session,
    ask::{Ask, Awaited},
    login::Identity,
};
use crate::{
    base::{clock::Moment, log_rate::outside_line},
    clients::seat::Holding,
    feeds::feed::{Grant, Membership, Refusal},
};

/// What was held at the feed before, in the order in which the new one is asked for it.
pub(super) type Moving = Vec<Holding>;

impl Session {
    /// The user's account is now served by another feed: everything that is held moves there.
    pub(super) fn follow_account(&mut self) {
        let Identity::LoggedIn(login) = &self.identity else { return };
        if self.awaited.is_some() {
            // After the present request; the notice is cheap, and the request has a deadline.
            self.moves_after_answer = true;
            return;
        }
        let user = login.user.clone();
        self.ask(Ask::Rejoin { user }, Awaited::Rejoin);
    }

    pub(super) fn finish_rejoin(&mut self, now: Moment, outcome: Result<Membership, String>) {
        let membership = match outcome {
            Ok(membership) => membership,
            Err(message) => {
                let session_id = self.seat.id().0;
                outside_line!(warn, session_id, error = message, "Could not follow the account");
                return;
            }
        };
        let Identity::LoggedIn(login) = &mut self.identity else { return };
        if login.membership.feed().is(membership.feed()) {
            return;
        }
        let all = self.seat.holdings().remove_all();
        let moving: Moving = all
            .iter()
            .flat_map(|(name, keys)| keys.iter().map(move |key| (name.clone(), key)))
            .map(|(name, key)| Holding {
                name,
                variant: key.variant,
                rate: self.shard.rate_of(*key, &self.seat),
                request: self.news.request_of(*key).unwrap_or_default(),
            })
            .collect();
        self.release(all.into_iter().flat_map(|(_, keys)| keys).collect());
        let Identity::LoggedIn(login) = &mut self.identity else { return };
        login.membership = membership;
        let feed = login.membership.feed().clone();
        self.seat.belong_to(&feed);
        if self.seat.is_follower() {
            self.shard.follow(&self.seat, Some((&feed, now)));
        }
        let wants = moving.iter().map(Holding::want).collect();
        self.ask(Ask::Move { feed, wants }, Awaited::Move(moving));
    }

    pub(super) fn finish_move(&mut self, now: Moment, moving: Moving, answers: Vec<Result<Grant, Refusal>>) {
        for (holding, answer) in moving.into_iter().zip(answers) {
            match answer {
                Ok(grant) => self.hold(now, holding, grant),
                Err(Refusal { code, message }) => {
                    // It has no number at the new feed; nothing is found under this one.
                    let Holding { name, variant, request, .. } = holding;
                    let key = Key { instrument: InstrumentId(0), variant };
                    self.report_failed(now, (key, name), Some(request), code, &message.into());
                }
            }
        }
    }
}
