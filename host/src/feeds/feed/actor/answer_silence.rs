//! Notices connections that are silent when they should be heard, and makes them connect again.

use std::time::Duration;

use tickhost_core::silence::{Answer, Rules};

use super::Actor;
use crate::{
    base::clock::Moment,
    feeds::feed::connection::{Heard, Link},
};

/// Pause between two looks at how often connections are heard.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

impl Actor {
    /// Answers the silence of each connection, when it is due. The bus has no connection that could be made again.
    pub(super) fn look_at_silence(&mut self, now: Moment) {
        if self.spec().repeats_modes {
            return;
        }
        let Ok(serving) = &self.serving else { return };
        let (hours, stale_after) = (serving.hours, self.host.settings.stale_after);
        let calendar = self.host.calendars.present();
        let rules = Rules { hours, calendar: &calendar, stale_after };
        let mut answers = Vec::new();
        self.listen_at = None;
        for (number, connection) in self.connections.iter_mut().enumerate() {
            let Heard { is_audible, answer, patience } = connection.listen(number, rules, now);
            if is_audible {
                self.listen_at = Some(now.at + LISTEN_PAUSE);
            }
            answers.extend(answer.map(|answer| (number, answer, patience)));
        }
        for (number, answer, patience) in answers {
            self.answer_silence(number, answer, patience, now);
        }
    }

    fn answer_silence(&mut self, number: usize, answer: Answer, patience: Duration, now: Moment) {
        self.feed.counters().silences_answered.add(1);
        tracing::warn!(
            adapter = %self.spec().adapter,
            feed = self.feed.id().0,
            connection = number,
            silence_s = patience.as_secs(),
            "A connection is silent although its exchanges trade; connecting again"
        );
        match (answer, self.instance(number)) {
            // The SDK gives up its connection for a new one; what is subscribed stays.
            (Answer::Reconnect, Some(instance)) => instance.credentials_changed(),
            (Answer::Replace, Some(_)) => {
                self.end_instance(number);
                if let Some(connection) = self.connections.get_mut(number) {
                    connection.set_link(Link::Connecting, now);
                }
                self.restarts += 1;
                self.connect(number, now);
            }
            (_, None) => {}
        }
    }
}
