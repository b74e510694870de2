//! Logs in at the broker when it has refused the credentials.

use std::{sync::Arc, time::Instant};

use adapter_abi::ErrorCode;
use tracing::{Instrument as _, Span};

use super::Actor;
use crate::{
    adapters::{AdapterFailure, LoginStep},
    base::{
        blocking::off_thread,
        span::{self, operation},
    },
    feeds::feed::{
        Command,
        connection::Link,
        login::{Asked, DEADLINE, LoginOutcome},
    },
};

impl Actor {
    /// Begins to log in, if the broker has refused the credentials and that can help.
    pub(super) fn log_in_when_due(&mut self, now: Instant) {
        if !self.connections.iter().any(|connection| connection.link() == Link::AuthFailed) {
            if self.connections.iter().any(|connection| connection.link() == Link::Up) {
                self.logins.note_accepted(now);
            }
            return;
        }
        let Some(account) = self.spec().account.clone() else { return };
        let Ok(serving) = &self.serving else { return };
        if !serving.logs_in || !self.context.accounts.keeps_logins() {
            return;
        }
        let fields = Asked(self.credentials.json());
        if !self.logins.begin(&fields, now) {
            return;
        }
        let spec = self.spec();
        tracing::info!(adapter = %spec.adapter, broker = %spec.broker, user = %account.user, "Logging in at the broker");
        let connector = Arc::clone(&serving.connector);
        let (accounts, feed) = (self.context.accounts.clone(), self.feed.clone());
        let span = operation!(
            "feed.login",
            "client",
            tickhost.adapter = %spec.adapter,
            tickhost.broker = %spec.broker,
            tickhost.feed = self.feed.id().0
        );
        let assignment = spec.assignment();
        let work = async move {
            let asked = fields.clone();
            let step = off_thread(move |_| connector.log_in(&assignment, &asked.0, DEADLINE)).await;
            let outcome = match step {
                Ok(Ok(LoginStep::Done(fresh))) => match accounts.store_login(&account, fresh).await {
                    Ok(()) => LoginOutcome::Stored,
                    Err(error) => LoginOutcome::Failed(AdapterFailure {
                        code: ErrorCode::OTHER,
                        message: error.to_string(),
                    }),
                },
                Ok(Ok(LoginStep::Ask(question))) => LoginOutcome::NeedsPerson(question.field),
                Ok(Err(failure)) => LoginOutcome::Failed(failure),
                Err(_) => LoginOutcome::Failed(AdapterFailure {
                    code: ErrorCode::PANICKED,
                    message: "the adapter panicked".to_owned(),
                }),
            };
            span::end(&Span::current(), outcome.result());
            feed.0.commands.push(Command::LoggedIn { outcome, fields });
        };
        tokio::spawn(work.instrument(span));
    }

    /// A log-in has ended; says whether there are new credentials.
    pub(super) fn note_login(&mut self, mut outcome: LoginOutcome, fields: Asked) -> bool {
        if let LoginOutcome::Failed(failure) = &mut outcome {
            failure.message = self.credentials.redacted(&failure.message).into_owned();
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
        self.logins.end(&outcome, fields, &command);
        is_stored
    }
}
