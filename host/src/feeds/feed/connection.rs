//! One connection of a feed: an adapter instance, replaced by a new one when it fails.

mod attempt;
mod ear;
mod link;
mod load;
mod restarts;
mod succession;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, StatusEvent, StatusKind};
use tickhost_core::{
    intake::Intake,
    silence::{ConnectionStatus, Rules},
};

pub(super) use self::{
    attempt::Attempt,
    ear::Heard,
    link::Link,
    succession::{Settling, Succession},
};
use self::{attempt::Attempts, ear::Ear, link::Uptime, load::Load, restarts::Restarts};
use super::{events::Events, list_report::ListReport, standby::Standby};
use crate::{adapters::AdapterInstance, base::clock::Moment};

/// What the feed has to do after a status event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    Nothing,
    /// The instance is dead: take it away, note the failure, and start another when it is time.
    Replace,
}

/// The list of instruments of one connection.
#[derive(Debug, Default)]
pub(super) struct List {
    /// What the instance says of it; none before it says anything.
    pub(super) said: Option<Arc<ListReport>>,
    /// The next instance is to be asked for a new one.
    pub(super) is_wanted: bool,
}

impl List {
    /// Asks a new instance for another list, if that is wanted.
    pub(super) fn ask(&mut self, instance: &dyn AdapterInstance) {
        if std::mem::take(&mut self.is_wanted) {
            instance.renew_list();
        }
    }
}

/// An instance that serves.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) instance: Arc<dyn AdapterInstance>,
    pub(super) events: Arc<Events>,
}

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Connection {
    running: Option<Running>,
    uptime: Uptime,
    attempts: Attempts,
    restarts: Restarts,
    /// When the instance itself will try again, by its own word.
    retry_at: Option<Instant>,
    last_error: Option<Arc<str>>,
    disconnects: u64,
    /// Its list of instruments.
    pub(super) list: List,
    /// What it carries.
    load: Load,
    /// How it is heard.
    ear: Ear,
    /// The instances before and after the one that serves.
    pub(super) succession: Succession,
}

impl Connection {
    /// A connection that begins while this still ends of the one before.
    pub(super) fn after(succession: Succession) -> Self {
        Self { succession, ..Self::default() }
    }

    /// An instance is being made.
    pub(super) fn start(&mut self, attempt: Attempt) {
        self.attempts.start(attempt);
    }

    /// An instance begins.
    pub(super) fn begin(&mut self, running: Running, now: Moment) {
        self.running = Some(running);
        self.set_link(Link::Connecting, now);
        self.attempts.begin();
        self.restarts.begin(now.at);
        self.retry_at = None;
        self.succession.is_due = false;
    }

    /// The instance whose place the one that serves has taken.
    pub(super) fn succeed(&mut self, running: Running, link: Link, now: Moment) {
        self.begin(running, now);
        self.forgive();
        self.set_link(link, now);
        self.last_error = None;
    }

    /// The instance that serves, if there is one.
    pub(super) const fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// Its instances, the one that stands by included.
    pub(super) fn instances(&self) -> impl Iterator<Item = &Arc<dyn AdapterInstance>> {
        let standby = self.standby().into_iter().map(|standby| &standby.instance);
        self.running.iter().map(|running| &running.instance).chain(standby)
    }

    /// What is to take the instance's place.
    pub(super) const fn standby(&self) -> Option<&Standby> {
        self.succession.standby.as_ref()
    }

    /// Number of the instance that serves; none without one.
    pub(super) fn epoch(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.events.epoch)
    }

    /// The link.
    pub(super) const fn link(&self) -> Link {
        self.uptime.link()
    }

    /// Notes what the link has become.
    pub(super) fn set_link(&mut self, link: Link, now: Moment) {
        self.uptime.set(link, now);
    }

    /// Whether it is up, and may carry more.
    pub(super) fn is_usable(&self) -> bool {
        self.link() == Link::Up && !self.uptime.is_left()
    }

    /// Whether it stays down, and what others have room for has moved there.
    pub(super) const fn is_left(&self) -> bool {
        self.uptime.is_left()
    }

    /// What others have room for moves there; says whether that is news.
    pub(super) const fn leave(&mut self) -> bool {
        self.uptime.leave()
    }

    /// Forgets that it was down, once it has been up for long enough.
    pub(super) fn note_steady(&mut self, now: Instant) {
        self.uptime.note_steady(now);
    }

    /// When [`Self::note_steady`] changes whether it is used.
    pub(super) fn steady_at(&self) -> Option<Instant> {
        self.uptime.steady_at()
    }

    /// Since when it is not up, short times excepted; none while it is.
    pub(super) fn down_since(&self) -> Option<Instant> {
        self.uptime.down_since()
    }

    /// Attempts to connect since the last that succeeded; the one that is under way counts.
    pub(super) const fn attempts(&self) -> u32 {
        self.attempts.count()
    }

    /// The last thing that went wrong, for people.
    pub(super) const fn last_error(&self) -> Option<&Arc<str>> {
        self.last_error.as_ref()
    }

    /// Connections lost.
    pub(super) const fn disconnects(&self) -> u64 {
        self.disconnects
    }

    /// When the next attempt is made after a failure, by whomever.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.restarts.due().or(self.retry_at)
    }

    /// Instruments that it carries.
    pub(super) const fn instruments(&self) -> usize {
        self.load.instruments
    }

    /// It carries an instrument of this exchange from `now` on.
    pub(super) fn carry(&mut self, exchange: &Arc<str>, now: Moment) {
        self.load.add(exchange, now.unix_ns);
    }

    /// It carries one less of them.
    pub(super) fn drop_one(&mut self, exchange: &str) {
        self.load.remove(exchange);
    }

    /// What it says of itself.
    pub(super) fn status(&self, number: usize) -> ConnectionStatus {
        ConnectionStatus {
            number,
            state: self.link().feed_state(),
            since_ns: self.uptime.since_ns(),
            instruments: self.load.instruments,
            listening_since_ns: self.load.since_ns,
            exchanges: Arc::clone(&self.load.exchanges),
            last_tick_ns: self.running().map(|running| Arc::clone(&running.events.last_tick_ns)),
            patience: self.ear.patience(),
            suspect_since_ns: self.ear.suspect_since_ns(),
            attempts: self.attempts(),
            last_error: self.last_error.clone(),
            retry_at: self.retry_at(),
        }
    }

    /// Judges how it is heard.
    pub(super) fn listen(&mut self, number: usize, rules: Rules<'_>, now: Moment) -> Heard {
        let status = self.status(number);
        self.ear.listen(&status, self.standby().is_some(), rules, now)
    }

    /// Takes the instance away; nothing that it still says counts.
    pub(super) fn end(&mut self) -> Option<Arc<dyn AdapterInstance>> {
        self.list.said = None;
        self.attempts.abandon();
        let Running { instance, events } = self.running.take()?;
        events.retire();
        Some(instance)
    }

    /// Ends the search that followed the last handover.
    pub(super) fn settle(&mut self, intake: &Arc<Intake>) {
        if let Some(settling) = self.succession.settling.take() {
            settling.handover.settle(intake);
            if let Some(running) = &self.running {
                running.events.leave(&settling.handover);
            }
        }
    }

    /// When the next attempt is made; none while it waits for something else.
    pub(super) fn next_attempt(&self) -> Option<Instant> {
        self.restarts.due().filter(|_| !self.succession.is_awaiting_end())
    }

    /// Whether the next attempt is to be made now.
    pub(super) fn take_attempt(&mut self, now: Instant) -> bool {
        !self.succession.is_awaiting_end() && self.restarts.take_due(now)
    }

    /// Whether it has no instance, and none is about to be started after a pause.
    pub(super) const fn is_vacant(&self) -> bool {
        self.running.is_none() && self.restarts.due().is_none()
    }

    /// Forgets the failures of a build that another one replaces.
    pub(super) fn forgive(&mut self) {
        self.restarts.forgive();
    }

    /// Nothing serves the feed, for this reason.
    pub(super) fn close(&mut self, why: &Arc<str>, now: Moment) {
        self.forgive();
        self.set_link(Link::Unserved, now);
        self.last_error = Some(Arc::clone(why));
    }

    /// The instance could not be made, or has died: plans the next attempt.
    pub(super) fn fail(&mut self, message: &str, now: Moment) {
        self.attempts.end(Err("failed"));
        let failure = self.restarts.fail(now.at);
        if !failure.was_made {
            self.attempts.note_unmade();
        }
        self.set_link(Link::Failed, now);
        let error = failure.circuit_pause.map(|pause| {
            let seconds = pause.as_secs();
            format!("{message} (it fails again and again; next attempt in {seconds} s)").into()
        });
        self.last_error = Some(error.unwrap_or_else(|| message.into()));
    }

    /// Takes a status event of the present instance.
    pub(super) fn observe(&mut self, event: &StatusEvent, now: Moment) -> Consequence {
        let tells_of_retry = event.kind == StatusKind::DISCONNECTED && event.retry_in_ms > 0;
        self.retry_at =
            now.at.checked_add(Duration::from_millis(event.retry_in_ms)).filter(|_| tells_of_retry);
        match event.kind {
            StatusKind::CONNECTING => {
                self.attempts.note_connecting();
                self.set_link(Link::Connecting, now);
            }
            StatusKind::CONNECTED => {
                self.attempts.note_connected();
                self.set_link(Link::Up, now);
                self.last_error = None;
            }
            StatusKind::DISCONNECTED => {
                self.attempts.end(Err("disconnected"));
                self.disconnects += u64::from(self.link() == Link::Up);
                self.set_link(Link::Connecting, now);
                self.last_error = Some(describe(event));
            }
            StatusKind::AUTH_FAILED => {
                self.attempts.end(Err("auth_failed"));
                self.set_link(Link::AuthFailed, now);
                self.last_error = Some(describe(event));
            }
            StatusKind::FAILED | StatusKind::STOPPED => return Consequence::Replace,
            _ => {}
        }
        Consequence::Nothing
    }
}

/// What a status says, for people.
pub(super) fn describe(event: &StatusEvent) -> Arc<str> {
    if !event.message.is_empty() {
        return event.message.as_str().into();
    }
    match event.code {
        ErrorCode::NETWORK => "network error",
        ErrorCode::PROTOCOL => "the broker sent something unreadable",
        ErrorCode::AUTH => "the broker refused the credentials",
        ErrorCode::CONFIG => "the adapter's settings are wrong",
        ErrorCode::RATE_LIMITED => "the broker asks for fewer requests",
        ErrorCode::PANICKED => "the adapter panicked",
        _ => "the adapter gave no reason",
    }
    .into()
}

#[cfg(test)]
mod tests;
