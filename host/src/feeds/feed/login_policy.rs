//! When the host logs in at a broker by itself: the broker has refused the token, and the account has all
//! that a log-in takes. Brokers lock accounts that insist, so what a broker refused is not tried again before
//! something has changed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_time::Backoff;

use super::shared_credentials::Fields;
use crate::{adapters::AdapterFailure, base::secret::is_same};

/// Longest time for one log-in.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// Pause after the first log-in, or attempt at one; doubles with each that did not lead to a feed that lives.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// A feed that was accepted for so long had recovered: the next log-in counts as the first.
const STABLE_AFTER: Duration = Duration::from_mins(1);

/// How a log-in ended.
#[derive(Debug)]
pub(super) enum LoginOutcome {
    /// New credentials are stored.
    Stored,
    /// A person has to give this field.
    NeedsPerson(String),
    /// It failed.
    Failed(AdapterFailure),
}

impl LoginOutcome {
    /// The kind of it, for spans.
    pub(super) const fn result(&self) -> Result<(), &'static str> {
        match self {
            Self::Stored => Ok(()),
            Self::NeedsPerson(_) => Err("needs_person"),
            Self::Failed(_) => Err("failed"),
        }
    }
}

/// Log-ins of one feed.
#[derive(Debug, Default)]
pub(super) struct Logins {
    is_under_way: bool,
    /// Attempts since the feed lived last.
    attempts: u32,
    not_before: Option<Instant>,
    /// Credentials that another attempt would be useless with, and what people are told then.
    useless: Option<(Fields, Arc<str>)>,
    accepted_since: Option<Instant>,
    message: Option<Arc<str>>,
}

impl Logins {
    /// The broker accepts the credentials.
    pub(super) fn note_accepted(&mut self, now: Instant) {
        let since = *self.accepted_since.get_or_insert(now);
        if now.duration_since(since) >= STABLE_AFTER {
            self.attempts = 0;
        }
        self.message = None;
    }

    /// The broker refuses these credentials: whether to log in now.
    pub(super) fn begin(&mut self, fields: &Fields, now: Instant) -> bool {
        if let Some(since) = self.accepted_since.take()
            && now.duration_since(since) >= STABLE_AFTER
        {
            (self.attempts, self.not_before) = (0, None);
        }
        if let Some((_, message)) =
            self.useless.as_ref().filter(|(useless, _)| is_same(&useless.0, &fields.0))
        {
            self.message = Some(Arc::clone(message));
            return false;
        }
        if self.is_under_way || self.not_before.is_some_and(|at| now < at) {
            return false;
        }
        self.is_under_way = true;
        self.message = Some("logging in".into());
        let pause = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE).whole(self.attempts);
        self.not_before = Some(now + pause);
        self.attempts = self.attempts.saturating_add(1);
        // Whatever comes of it: the same again is useless until it has ended.
        self.useless = None;
        true
    }

    /// A log-in with these credentials has ended. `command` is what a person can do.
    pub(super) fn end(&mut self, outcome: &LoginOutcome, fields: Fields, command: &str) {
        self.is_under_way = false;
        let had_pause = self.not_before.take();
        let message: Option<Arc<str>> = match outcome {
            LoginOutcome::Stored => None,
            LoginOutcome::NeedsPerson(field) => {
                Some(format!("the log-in needs {field} from you: {command}").into())
            }
            LoginOutcome::Failed(failure) if failure.code.is_retryable() => {
                Some(format!("the log-in failed and will be tried again: {failure}").into())
            }
            LoginOutcome::Failed(failure) => {
                Some(format!("the log-in failed: {failure}; when you have mended that: {command}").into())
            }
        };
        let is_useless = match outcome {
            LoginOutcome::Stored => false,
            LoginOutcome::NeedsPerson(_) => true,
            LoginOutcome::Failed(failure) => !failure.code.is_retryable(),
        };
        self.useless = message.clone().filter(|_| is_useless).map(|message| (fields, message));
        // Whoever changes something is not to wait.
        self.not_before = had_pause.filter(|_| !is_useless);
        self.message = message;
    }

    /// What people are told beside the broker's refusal.
    pub(super) const fn message(&self) -> Option<&Arc<str>> {
        self.message.as_ref()
    }

    /// When the next attempt may be made.
    pub(super) fn due(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.is_under_way && self.useless.is_none())
    }
}

#[cfg(test)]
mod tests {
    use adapter_abi::ErrorCode;
    use secrecy::SecretString;

    use super::*;

    const COMMAND: &str = "tickhost account login alice angel";

    fn fields(text: &str) -> Fields {
        Fields(SecretString::from(text))
    }

    fn failed(code: ErrorCode) -> LoginOutcome {
        LoginOutcome::Failed(AdapterFailure { code, message: "no".to_owned() })
    }

    #[test]
    fn what_the_broker_refused_is_not_tried_again_before_something_has_changed() {
        let now = Instant::now();
        for outcome in [failed(ErrorCode::AUTH), LoginOutcome::NeedsPerson("otp".to_owned())] {
            let mut logins = Logins::default();
            assert!(logins.begin(&fields("old"), now));
            assert!(!logins.begin(&fields("old"), now), "it is under way");
            logins.end(&outcome, fields("old"), COMMAND);
            assert!(logins.message().unwrap().contains(COMMAND));
            assert_eq!(logins.due(), None);
            for days in 0..30 {
                assert!(!logins.begin(&fields("old"), now + Duration::from_hours(24 * days)));
            }
            assert!(logins.begin(&fields("new"), now), "somebody has changed something");
        }
    }

    #[test]
    fn trouble_on_the_way_is_tried_again_later_and_later() {
        let start = Instant::now();
        let (mut logins, mut now, mut attempts) = (Logins::default(), start, 0);
        while now < start + Duration::from_hours(24) {
            if logins.begin(&fields("same"), now) {
                attempts += 1;
                logins.end(&failed(ErrorCode::NETWORK), fields("same"), COMMAND);
                assert!(logins.message().unwrap().contains("tried again"));
            }
            now += Duration::from_secs(1);
        }
        assert!((24..=36).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_broker_that_refuses_what_it_has_just_given_is_not_asked_again_and_again() {
        let start = Instant::now();
        let (mut logins, mut now, mut attempts) = (Logins::default(), start, 0);
        while now < start + Duration::from_hours(2) {
            if logins.begin(&fields(&attempts.to_string()), now) {
                attempts += 1;
                logins.end(&LoginOutcome::Stored, fields(""), COMMAND);
                assert!(logins.message().is_none());
            }
            now += Duration::from_secs(1);
        }
        assert!(attempts <= 12, "{attempts}");
    }

    #[test]
    fn each_night_is_a_first_time() {
        let mut now = Instant::now();
        let mut logins = Logins::default();
        for night in 0..30 {
            assert!(logins.begin(&fields(&night.to_string()), now), "{night}");
            logins.end(&LoginOutcome::Stored, fields(&night.to_string()), COMMAND);
            logins.note_accepted(now);
            now += Duration::from_hours(24);
        }
    }
}
