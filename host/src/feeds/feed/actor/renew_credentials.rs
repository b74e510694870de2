//! The credentials of the account: read, and told to the instances when they differ.

use std::{sync::Arc, time::Instant};

use super::{Actor, Effect};
use crate::{
    base::{clock::Moment, secret::is_same},
    feeds::feed::{
        connection::Link,
        renewal_pauses::Renewal,
        shared_credentials::{CurrentCredentials, Fields},
    },
};

/// Credentials of the feed: what is known of them, and when they are read and told.
pub(super) struct Credentials {
    current: Arc<CurrentCredentials>,
    renewal: Renewal,
    read: Read,
    /// A log-in that began with these has stored what it gave, which was not read yet. If that is the same,
    /// it is told all the same: the broker takes it from now on.
    logged_in_from: Option<Fields>,
}

/// Whether the credentials are being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Read {
    #[default]
    Idle,
    UnderWay,
    /// Somebody has asked since it began: what it finds may be older than what was asked for.
    Again,
}

impl Credentials {
    /// Those of an account whose adapter has these settings; nothing was read yet.
    pub(super) fn new(current: Arc<CurrentCredentials>) -> Self {
        Self { current, renewal: Renewal::default(), read: Read::default(), logged_in_from: None }
    }

    /// As instances see them.
    pub(super) const fn current(&self) -> &Arc<CurrentCredentials> {
        &self.current
    }

    /// What is stored, as far as it was read.
    pub(super) fn fields(&self) -> Fields {
        Fields(self.current.json())
    }

    /// Whether others may be stored than those that are known: they are being read, or what a log-in stored
    /// could not be.
    pub(super) const fn are_outdated(&self) -> bool {
        self.logged_in_from.is_some() || !matches!(self.read, Read::Idle)
    }

    /// The first instances are about to begin, with what was read: nothing, if that failed.
    pub(super) fn begin(&mut self, read: Option<Fields>, has_account: bool, now: Instant) {
        if has_account {
            self.note(read, now);
        }
        self.renewal.begin(self.current.json());
    }

    /// A log-in that began with these has stored what it gave.
    pub(super) fn note_login(&mut self, fields: Fields) {
        self.logged_in_from = Some(fields);
    }

    /// Somebody says that they may have changed. Says whether to begin to read them: one that is under way is
    /// repeated when it has ended.
    pub(super) const fn want_read(&mut self) -> bool {
        let is_idle = matches!(self.read, Read::Idle);
        self.read = if is_idle { Read::UnderWay } else { Read::Again };
        is_idle
    }

    /// A read has ended. Says whether to begin another.
    pub(super) fn note_read(&mut self, read: Option<Fields>, now: Instant) -> bool {
        let again = std::mem::take(&mut self.read) == Read::Again;
        // What a log-in stored after this read had begun is found by the next one.
        let logged_in_from = self.logged_in_from.take_if(|_| again);
        self.note(read, now);
        if again {
            (self.read, self.logged_in_from) = (Read::UnderWay, logged_in_from);
        }
        again
    }

    fn note(&mut self, read: Option<Fields>, now: Instant) {
        match read {
            Some(Fields(json)) => {
                let is_from_login =
                    self.logged_in_from.take().is_some_and(|Fields(before)| is_same(&before, &json));
                self.current.replace(json);
                self.renewal.note_read(is_from_login);
            }
            // A database that cannot be read for a while is no reason to connect with nothing.
            None => self.renewal.note_unread(now),
        }
    }

    /// Whether it is time to read again what could not be read.
    pub(super) fn is_to_be_read(&mut self, now: Instant) -> bool {
        self.renewal.is_to_be_read(now)
    }

    /// The broker took what instances were told.
    pub(super) const fn note_taken(&mut self) {
        self.renewal.note_taken();
    }

    /// Whether instances are to be told of what was read last, now.
    fn is_due(&mut self, now: Instant) -> bool {
        self.renewal.is_due(&self.current.json(), now)
    }

    /// When there may be something to tell or to read.
    pub(super) fn due(&self) -> Option<Instant> {
        self.renewal.next()
    }
}

impl Actor {
    /// Reads the credentials, if there is an account.
    pub(super) fn read_credentials(&mut self) {
        if self.spec().account.is_some() && self.credentials.want_read() {
            self.effects.push(Effect::ReadCredentials);
        }
    }

    pub(super) fn note_credentials(&mut self, read: Option<Fields>, now: Moment) {
        if self.credentials.note_read(read, now.at) {
            self.effects.push(Effect::ReadCredentials);
        }
    }

    /// Lets the instances connect again, if there are other credentials and it is time.
    pub(super) fn renew_when_due(&mut self, now: Moment) {
        if !self.credentials.is_due(now.at) {
            return;
        }
        tracing::info!(adapter = %self.spec().adapter, feed = self.feed.id().0, "Connecting again with new credentials");
        for connection in &mut self.connections {
            // What the broker refused is no longer what it is going to be offered.
            if connection.link() == Link::AuthFailed {
                connection.set_link(Link::Connecting, now);
            }
            connection.instances().for_each(|instance| instance.credentials_changed());
        }
    }
}
