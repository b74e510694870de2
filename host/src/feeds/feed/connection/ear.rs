//! How often a connection is heard, and what is done about its silence.

use std::time::Duration;

use tickhost_core::{
    pace::{Crowd, Pace},
    silence::{Answer, Answers, ConnectionStatus, Hearing, Rules},
};

use crate::base::clock::Moment;

/// What is known of a connection's silences.
#[derive(Debug, Default)]
pub(in crate::feeds::feed) struct Ear {
    /// How often it is heard.
    pace: Pace,
    /// Longest silence that means nothing; none while its pace is not known.
    patience: Option<Duration>,
    /// What was done about its silence.
    answers: Answers,
}

/// How a connection is heard at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::feeds::feed) struct Heard {
    /// It may not be silent, so it is to be listened to again.
    pub(in crate::feeds::feed) is_audible: bool,
    /// What is to be done about its silence.
    pub(in crate::feeds::feed) answer: Option<Answer>,
    /// The silence that is too long.
    pub(in crate::feeds::feed) patience: Duration,
}

impl Ear {
    /// Judges the connection that says this of itself. One that is being replaced anyway is left in peace.
    pub(in crate::feeds::feed) fn listen(
        &mut self,
        status: &ConnectionStatus,
        is_being_replaced: bool,
        rules: Rules<'_>,
        now: Moment,
    ) -> Heard {
        let last_tick_ns = status.last_tick_ns.as_ref().map_or(0, |last| last.get());
        let hearing = rules.hearing(status, last_tick_ns, now.unix_ns);
        let open_exchanges = rules.open_exchanges(status, now.unix_ns);
        let crowd = Crowd { instruments: status.instruments, open_exchanges };
        self.pace.observe(hearing, status.suspect_since_ns > 0, last_tick_ns, crowd);
        let patience = self.pace.patience(now.unix_ns, rules.stale_after);
        self.patience = Some(patience);
        let answer = if is_being_replaced {
            None
        } else {
            self.answers.handle(hearing, last_tick_ns, patience, (now.at, now.unix_ns))
        };
        let is_audible = matches!(hearing, Hearing::Heard { .. } | Hearing::Silent { .. });
        Heard { is_audible, answer, patience }
    }

    /// Longest silence that means nothing; none while that is not known.
    pub(super) const fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// When the present silence was answered first, in nanoseconds since the Unix epoch; 0 when there is
    /// none.
    pub(super) const fn suspect_since_ns(&self) -> u64 {
        self.answers.since_ns
    }
}
