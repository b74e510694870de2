//! One client connection, from its handshake to its close frame.
//!
//! `Session` is what is decided: it takes one `Event` at a time with the time at which it came, and says in
//! its `Effects` what it asks of others and whether a ping is due. It waits for nothing and reads no clock.
//! [`run`] is the task around it, on its shard's thread, which owns the socket, the timer and whatever is
//! being waited for.
//!
//! Frames of a client are handled strictly in order: while a log-in or a subscribe is under way, nothing more
//! is read from this client (ticks flow on). Everything that a session waits for has a deadline, and a
//! session ends with exactly one [`CloseReason`].

mod ask;
mod budget;
mod gate;
mod login;
mod moving;
mod news;
mod policy;
mod reports;
mod requests;
mod run;
mod socket;
mod subscribing;
mod timers;
mod turns;

#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, rc::Rc, sync::Arc, time::Instant};

use arc_swap::ArcSwap;
use tickhost_core::{
    metrics::ServerCounters,
    outbox::OutboxLimits,
    protocol::{
        codes::CloseReason,
        request::{self, Request},
    },
};
use tokio_tungstenite::tungstenite::Message;

use self::{
    ask::{Answer, Ask, Awaited},
    budget::{Budget, Overdrawn, entries_of},
    gate::Gate,
    login::Identity,
    news::News,
    timers::{Due, Timers},
    turns::Rest,
};
pub use self::{
    policy::{LosslessPolicy, SessionPolicy, SessionSettings},
    run::run,
};
use crate::{
    base::clock::Moment,
    clients::{
        admissions::Admission,
        memory::WaitingMemory,
        seat::{Notice, Seat},
        shard::Shard,
        upgrade::Refusals,
    },
    feeds::hub::Hub,
};

/// Bytes of replies that may wait for a client without a key.
const STRANGERS_CONTROL_BYTES: usize = 64 * 1_024;

/// Notices of instruments that a request may be about to begin, kept until it has. One more, and all of the
/// request is begun at once.
const MAX_DEFERRED: usize = 1_024;

/// What all sessions share.
#[derive(Debug)]
pub struct SessionContext {
    /// Log-ins and feeds.
    pub hub: Arc<Hub>,
    /// What new sessions begin with.
    pub policy: ArcSwap<SessionPolicy>,
    /// Counters.
    pub counters: Arc<ServerCounters>,
    /// What waits for all clients together.
    pub memory: Arc<WaitingMemory>,
    /// Where it is noted who was refused.
    pub refusals: Arc<Refusals>,
}

/// What happened to a session.
#[derive(Debug)]
enum Event {
    /// A message of the client, which is read only while [`Session::may_read`].
    Message(Message),
    /// Somebody left a notice in its seat.
    Noticed,
    /// What it asked for is answered.
    Answered(Answer),
    /// Nothing but that time has passed.
    Elapsed,
}

/// What a step of a session calls for.
#[derive(Debug, Default)]
struct Effects {
    /// A question, whose answer is to come back as an event. There is one at a time.
    ask: Option<Ask>,
    /// A ping is due.
    ping: bool,
}

/// State of one client.
#[derive(Debug)]
struct Session {
    seat: Seat,
    peer: SocketAddr,
    gate: Rc<Gate>,
    timers: Timers,
    budget: Budget,
    identity: Identity,
    /// Wrong keys since the last good one.
    wrong_keys: u32,
    news: News,
    /// What was asked for and is not answered; while there is something, nothing is read.
    awaited: Option<Awaited>,
    /// What the present request still has to do; a turn that is `awaited` gives the others theirs meanwhile.
    rest: Rest,
    /// What was said of instruments that may be among those which the rest begins; at most [`MAX_DEFERRED`].
    deferred: Vec<Notice>,
    /// The account moved while a request was being answered.
    moves_after_answer: bool,
    admission: Admission,
    shard: Rc<Shard>,
    policy: Arc<SessionPolicy>,
    counters: Arc<ServerCounters>,
    effects: Effects,
}

/// What a session begins with.
struct Beginning {
    peer: SocketAddr,
    /// When the connection was accepted.
    since: Instant,
    gate: Rc<Gate>,
    admission: Admission,
    policy: Arc<SessionPolicy>,
    counters: Arc<ServerCounters>,
}

impl Session {
    /// A session takes its seat at a shard.
    fn begin(now: Moment, shard: &Rc<Shard>, memory: &Arc<WaitingMemory>, beginning: Beginning) -> Self {
        let Beginning { peer, since, gate, admission, policy, counters } = beginning;
        let settings = &policy.settings;
        let outbox = OutboxLimits {
            control_bytes: settings.outbox.control_bytes.min(STRANGERS_CONTROL_BYTES),
            ..settings.outbox
        };
        let share = memory.share(admission.signal().unwrap_or_default());
        let seat = Seat::new(shard.next_session_id(), peer, outbox, share, now.unix_ns);
        shard.enter(&seat);
        counters.sessions.add(1);
        Self {
            seat,
            peer,
            gate,
            timers: Timers::new(settings, since),
            budget: Budget::of_stranger(settings, since),
            identity: Identity::Unknown,
            wrong_keys: 0,
            news: News::default(),
            awaited: None,
            rest: Rest::Nothing,
            deferred: Vec::new(),
            moves_after_answer: false,
            admission,
            shard: Rc::clone(shard),
            policy,
            counters,
            effects: Effects::default(),
        }
    }

    /// Handles what happened at `now`. `is_blocked` says whether the kernel takes nothing at the moment
    /// although something waits.
    ///
    /// # Errors
    /// Why the session ends.
    fn step(&mut self, now: Moment, event: Event, is_blocked: bool) -> Result<Effects, CloseReason> {
        match event {
            Event::Message(message) => self.read(now, &message)?,
            Event::Noticed => self.handle_notices(now)?,
            Event::Answered(answer) => self.apply(now, answer)?,
            Event::Elapsed => {}
        }
        self.handle_timers(now, is_blocked)?;
        self.send_reports(now);
        Ok(std::mem::take(&mut self.effects))
    }

    /// When [`Self::step`] has to be called next although nothing happens.
    fn next_due(&self) -> Instant {
        let timers = self.timers.next();
        self.news.next().map_or(timers, |news| news.min(timers))
    }

    /// Whether the next message of the client may be read.
    fn may_read(&self) -> bool {
        self.awaited.is_none() && !self.budget.is_exhausted()
    }

    /// Asks, and reads nothing of the client until the answer is there.
    fn ask(&mut self, ask: Ask, awaited: Awaited) {
        self.effects.ask = Some(ask);
        self.awaited = Some(awaited);
    }

    fn read(&mut self, now: Moment, message: &Message) -> Result<(), CloseReason> {
        let is_answer = message.is_pong() && self.timers.expects_pong();
        self.timers.received();
        let spent = match message {
            Message::Ping(_) | Message::Pong(_) if is_answer => Ok(()),
            Message::Ping(_) | Message::Pong(_) => self.budget.spend_control(now.at),
            message => self.budget.spend_message(message.len(), now.at),
        };
        spent.map_err(|Overdrawn| CloseReason::TooManyMessages)?;
        let bytes = match message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return Err(CloseReason::ClientClosed),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {
                self.gate.allow_control();
                return Ok(());
            }
        };
        self.gate.renew();
        self.timers.requested();
        match request::parse(bytes, self.identity.is_authenticated()) {
            Ok(request) => {
                let entries = match &request {
                    Request::UnsubscribeAll { .. } => self.seat.holdings().len(),
                    request => entries_of(request),
                };
                let spent = self.budget.spend_entries(entries, now.at);
                spent.map_err(|Overdrawn| CloseReason::TooManyMessages)?;
                self.handle(now, request);
            }
            Err(error) => self.refuse(&error),
        }
        Ok(())
    }

    fn handle_notices(&mut self, now: Moment) -> Result<(), CloseReason> {
        self.news.activated(self.seat.take_first_ticks(), now.at);
        while let Some(notice) = self.seat.take_notice() {
            match notice {
                Notice::Close(reason) => return Err(reason),
                // Most such are about instruments of others, and a few about what is granted and not begun
                // yet: not worth to do all turns at once.
                Notice::Failed(instrument, ..) | Notice::Lost(instrument, _)
                    if self.seat.is_beginning()
                        && self.deferred.len() < MAX_DEFERRED
                        && !self.seat.holdings().has(instrument) =>
                {
                    self.deferred.push(notice);
                }
                notice => {
                    // It may be about what is not held yet, too.
                    self.finish_turns(now);
                    self.apply_notice(now, notice);
                }
            }
        }
        Ok(())
    }

    fn apply_notice(&mut self, now: Moment, notice: Notice) {
        match notice {
            Notice::Failed(instrument, mode, number, message) => {
                self.drop_failed(now, (instrument, mode), number, &message);
            }
            Notice::Lost(instrument, message) => self.report_lost(now, instrument, &message),
            Notice::Waiting(instruments, why) => self.report_pending(now, &instruments, &why),
            Notice::Moved => self.follow_account(),
            // It ends the session before it comes here.
            Notice::Close(_) => {}
        }
    }

    /// All that was granted is held: what was said of it meanwhile applies.
    fn apply_deferred(&mut self, now: Moment) {
        for notice in std::mem::take(&mut self.deferred) {
            self.apply_notice(now, notice);
        }
    }

    fn handle_timers(&mut self, now: Moment, is_blocked: bool) -> Result<(), CloseReason> {
        self.budget.refill(now.at);
        self.timers.note_blocked(is_blocked, self.gate.written(), now.at);
        self.timers.note_readable(self.budget.ready_at());
        match self.timers.due(now.at) {
            Some(Due::Close(reason)) => return Err(reason),
            Some(Due::Ping) => self.effects.ping = true,
            Some(Due::Nudge) => self.nudge(),
            None => {}
        }
        Ok(())
    }

    /// Adds what the socket took to the counters, once per wake-up.
    fn account_sent(&self, frames: u64) {
        if frames > 0 {
            self.counters.frames_written.add(frames);
            if let Some(feed) = self.identity.counters() {
                feed.lossless_missed.add(self.seat.take_missed());
            }
        }
    }
}
