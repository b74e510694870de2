//! Notices connections that are silent when they should be heard, and makes them connect again.

use std::time::{Duration, Instant};

use tickhost_core::silence::{Answer, Rules};

use super::Actor;
use crate::{
    base::clock::Moment,
    feeds::feed::connection::{Connection, Heard, Link},
};

/// Pause between two looks at how often connections are heard.
const LISTEN_PAUSE: Duration = Duration::from_secs(1);

/// When connections are listened to.
#[derive(Debug, Default)]
pub(super) struct Listening {
    due: Option<Instant>,
}

/// A silence that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence {
    connection: usize,
    answer: Answer,
    /// How long it has lasted at least.
    patience: Duration,
}

impl Listening {
    /// Listens to all connections; returns the silences that mean something.
    fn listen(&mut self, connections: &mut [Connection], rules: Rules<'_>, now: Moment) -> Vec<Silence> {
        let mut silences = Vec::new();
        self.due = None;
        for (number, connection) in connections.iter_mut().enumerate() {
            let Heard { is_audible, answer, patience } = connection.listen(number, rules, now);
            if is_audible {
                self.due = Some(now.at + LISTEN_PAUSE);
            }
            silences.extend(answer.map(|answer| Silence { connection: number, answer, patience }));
        }
        silences
    }

    /// When to listen again, though nothing happens; none while every connection may be silent.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }
}

impl Actor {
    /// Answers the silence of each connection, when it is due. The bus has no connection that could be made
    /// again.
    pub(super) fn look_at_silence(&mut self, now: Moment) {
        if self.spec().repeats_modes {
            return;
        }
        let Ok(serving) = self.builds.present() else { return };
        let (hours, stale_after) = (serving.hours, self.host.settings.stale_after);
        let calendar = self.host.calendars.present();
        let rules = Rules { hours, calendar: &calendar, stale_after };
        for silence in self.listening.listen(&mut self.connections, rules, now) {
            self.answer_silence(silence, now);
        }
    }

    fn answer_silence(&mut self, silence: Silence, now: Moment) {
        let Silence { connection: number, answer, patience } = silence;
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
                self.instances.note_restart();
                self.connect(number, now);
            }
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tickhost_core::calendar::{Calendar, Hours};

    use super::*;

    #[test]
    fn connections_are_listened_to_while_one_may_not_be_silent_and_each_answers_for_itself() {
        let stale_after = Duration::from_secs(15);
        let calendar = Calendar::built_in();
        let rules = Rules { hours: Hours::Always, calendar: &calendar, stale_after };
        let start = Moment::now();
        let mut connections: Vec<Connection> = (0..3).map(|_| Connection::default()).collect();
        let mut listening = Listening::default();
        connections[1].set_link(Link::Up, start);
        assert_eq!((listening.listen(&mut connections, rules, start), listening.due()), (Vec::new(), None));
        for number in [0, 1] {
            connections[number].carry(&"NSE".into(), start);
        }
        assert_eq!(listening.listen(&mut connections, rules, start), []);
        assert_eq!(listening.due(), Some(start.at + LISTEN_PAUSE), "one carries something and is up");
        let mut answers = Vec::new();
        for second in 1..=50 {
            let now = start + Duration::from_secs(second);
            let silences = listening.listen(&mut connections, rules, now);
            answers.extend(silences.iter().map(|silence| (second, silence.connection, silence.answer)));
        }
        assert_eq!(answers, [(16, 1, Answer::Reconnect), (46, 1, Answer::Replace)]);
    }
}
