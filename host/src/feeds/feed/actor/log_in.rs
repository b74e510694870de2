//! Logs in at the broker when it has refused the credentials.

use std::{sync::Arc, time::Instant};

use super::{Actor, Effect, LoginAttempt};
use crate::{
    base::clock::Moment,
    feeds::feed::{connection::Link, login_policy::LoginOutcome, shared_credentials::Fields},
};

impl Actor {
    /// Begins to log in, if the broker has refused the credentials and that can help.
    pub(super) fn log_in_when_due(&mut self, now: Moment) {
        if !self.connections.iter().any(|connection| connection.link() == Link::AuthFailed) {
            if self.connections.iter().any(|connection| connection.link() == Link::Up) {
                self.logins.note_accepted(now.at);
            }
            return;
        }
        let Some(account) = self.spec().account.clone() else { return };
        let Ok(serving) = self.builds.present() else { return };
        // What is not known yet may be what an earlier log-in has stored.
        if !serving.logs_in || !self.host.keeps_logins || self.credentials.are_outdated() {
            return;
        }
        let fields = self.credentials.fields();
        if !self.logins.begin(&fields, now.at) {
            return;
        }
        let connector = Arc::clone(&serving.connector);
        let spec = self.spec();
        tracing::info!(adapter = %spec.adapter, broker = %spec.broker, user = %account.user, "Logging in at the broker");
        self.effects.push(Effect::LogIn(LoginAttempt { account, connector, fields }));
    }

    /// When [`Self::log_in_when_due`] has something to do although nothing happens.
    pub(super) fn next_login(&self) -> Option<Instant> {
        let is_refused = self.connections.iter().any(|connection| connection.link() == Link::AuthFailed);
        self.logins.due().filter(|_| is_refused && !self.credentials.are_outdated())
    }

    /// A log-in has ended: new credentials are read.
    pub(super) fn note_login(&mut self, mut outcome: LoginOutcome, fields: Fields) {
        if let LoginOutcome::Failed(failure) = &mut outcome {
            failure.message = self.credentials.current().redacted(&failure.message).into_owned();
        }
        let spec = self.spec();
        let user = spec.account.as_ref().map_or("USER", |account| account.user.as_str());
        let command = format!("tickhost account login {user} {}", spec.broker);
        let is_stored = matches!(outcome, LoginOutcome::Stored);
        if is_stored {
            tracing::info!(adapter = %spec.adapter, user, "Logged in at the broker");
        } else {
            tracing::warn!(adapter = %spec.adapter, user, ?outcome, "Could not log in at the broker");
        }
        self.logins.end(&outcome, fields.clone(), &command);
        if is_stored {
            self.credentials.note_login(fields);
            self.read_credentials();
        }
    }
}
