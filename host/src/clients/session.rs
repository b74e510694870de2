//! One client connection, from its handshake to its close frame.
//!
//! A session is one task on its shard's thread. Frames of a client are handled strictly in order: while a log-in or a
//! subscribe is under way, nothing more is read from this client (ticks flow on). Everything that a session waits for
//! has a deadline, and a session ends with exactly one [`CloseReason`].

mod budget;
mod held;
mod login;
mod news;
mod requests;
mod socket;
mod telling;
mod timers;
mod turns;

use std::{
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tickhost_core::{
    metrics::ServerCounters,
    outbox::OutboxLimits,
    protocol::{
        codes::CloseReason,
        refusal::UpgradeRefusal,
        request::{self, Request},
    },
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Message,
        error::{CapacityError, ProtocolError},
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use self::{
    budget::{Budget, Overdrawn, entries_of},
    held::Held,
    login::Identity,
    news::News,
    requests::{Done, Pending},
    socket::{Gate, Gated, Socket, SocketEvent, websocket_config},
    timers::{Due, Timers},
    turns::Rest,
};
pub use crate::accounts::key_share::KeyTotal;
use crate::{
    accounts::{KeyId, UserName},
    base::clock,
    clients::{
        admissions::{Admission, HASTE, Signal},
        memory::WaitingMemory,
        seat::{Notice, Seat},
        shard::{Arrival, Shard},
        tls::Transport,
        upgrade::{self, Refusals},
    },
    config::Origins,
    feeds::hub::Hub,
};

/// Bytes of replies that may wait for a client without a key.
const STRANGERS_CONTROL_BYTES: usize = 64 * 1_024;

/// Longest wait for a client to take the close frame and answer it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Limits and times of every session.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// From the connect to a verified key.
    pub auth_grace: Duration,
    /// Between pings; zero for none.
    pub ping_interval: Duration,
    /// From a ping to its pong.
    pub ping_timeout: Duration,
    /// Longest time in which the kernel takes nothing of what waits; zero for ever.
    pub write_timeout: Duration,
    /// Silence after a log-in before the frame with the word `authenticated`; zero for never.
    pub nudge_after: Duration,
    /// Longest message.
    pub max_frame_bytes: usize,
    /// Longest message before a key was verified.
    pub max_frame_bytes_before_auth: usize,
    /// Messages of one client, on average.
    pub messages_per_second: u32,
    /// Messages of one client at once.
    pub message_burst: u32,
    /// Subscriptions that one client may begin and end each second, on average.
    pub entries_per_second: u32,
    /// Subscriptions that one client may begin and end at once.
    pub entry_burst: u32,
    /// Subscriptions of one client; each mode of a symbol counts.
    pub max_subscriptions: usize,
    /// Subscriptions of all clients of one key together.
    pub max_subscriptions_per_key: usize,
    /// Longest wait for the answer to a subscribe.
    pub subscribe_timeout: Duration,
    /// Time without a tick after which a subscription counts as silent, for clients that want to know.
    pub silent_after: Duration,
    /// What may wait for a client.
    pub outbox: OutboxLimits,
}

/// Who may have lossless subscriptions: they cost memory that conflation does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LosslessPolicy {
    /// Nobody.
    #[default]
    Nobody,
    /// Keys with one of these identities, and every key of users with one of these names.
    These(Vec<String>),
    /// Everybody.
    Everybody,
}

impl LosslessPolicy {
    /// Whether a session with this key may.
    pub fn allows(&self, key: &KeyId, user: &UserName) -> bool {
        match self {
            Self::Nobody => false,
            Self::These(names) => names.iter().any(|name| name == key.as_str() || name == user.as_str()),
            Self::Everybody => true,
        }
    }
}

/// What the operator decides about sessions. One keeps to its end what it began with.
#[derive(Clone, Debug)]
pub struct SessionPolicy {
    /// Limits and times.
    pub settings: SessionSettings,
    /// Who may have lossless subscriptions.
    pub lossless: LosslessPolicy,
    /// Pages that may connect.
    pub origins: Origins,
}

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

/// Runs a session from its handshake to its end.
pub async fn run(shard: Rc<Shard>, context: Arc<SessionContext>, arrival: Arrival) {
    let Arrival { stream, peer, since: started, admission, refusal: _told } = arrival;
    let policy = context.policy.load_full();
    let Ok(mut stream) = stream.attach() else { return };
    // Who is only told that there is no room has no place that the next one could take, and so less time.
    let (mut admission, grace, refused) = match admission {
        Ok(admission) => (Some(admission), policy.settings.auth_grace, None),
        Err(reason) => (None, policy.settings.auth_grace.min(HASTE), Some(reason)),
    };
    let begun = {
        let mut opening = pin!(open(&mut stream, &context, &policy, peer, started + grace));
        unless_told_to_go(admission.as_ref(), opening.as_mut()).await
    };
    let begun = match begun {
        Ok(Some(begun)) => begun,
        Ok(None) => return,
        Err(_) => {
            context.refusals.note(UpgradeRefusal::NoRoom, peer);
            if admission.as_mut().is_some_and(Admission::part) {
                upgrade::refuse(&mut stream, UpgradeRefusal::NoRoom.into()).await;
            }
            return;
        }
    };
    let refused = refused.or_else(|| shard.is_draining().then_some(CloseReason::ShuttingDown));
    // What came behind the request counts as read.
    let settings = &policy.settings;
    let gate = Gate::new(settings.max_frame_bytes_before_auth, begun.len());
    let websocket = WebSocketStream::from_partially_read(
        Gated::new(stream, Rc::clone(&gate)),
        begun,
        Role::Server,
        Some(websocket_config(settings.max_frame_bytes)),
    )
    .await;
    let mut socket = Socket::new(websocket);
    let admission = match (admission, refused) {
        (Some(admission), None) => admission,
        (admission, reason) => {
            let reason = reason.unwrap_or(CloseReason::TooManyConnections);
            return end(&mut socket, admission, reason).await;
        }
    };
    let signal = admission.signal().unwrap_or_default();
    let outbox = OutboxLimits {
        control_bytes: settings.outbox.control_bytes.min(STRANGERS_CONTROL_BYTES),
        ..settings.outbox
    };
    let share = context.memory.share(Arc::clone(&signal));
    let me = Seat::new(shard.next_session_id(), peer, outbox, share, clock::unix_nanos());
    shard.enter(&me);
    context.counters.sessions.add(1);
    let mut session = Session {
        me: me.clone(),
        peer,
        socket,
        gate,
        timers: Timers::new(settings, started),
        budget: Budget::of_stranger(settings, started),
        identity: Identity::Unknown,
        wrong_keys: 0,
        held: Held::default(),
        news: News::default(),
        pending: None,
        rest: Rest::Nothing,
        moves_after_pending: false,
        signal,
        admission,
        shard: Rc::clone(&shard),
        policy: Arc::clone(&policy),
        context: Arc::clone(&context),
    };
    let reason = session.serve().await;
    session.leave().await;
    context.counters.closes.count(reason);
    tracing::debug!(session_id = me.id().0, %peer, %reason, "A session has ended");
    session.account_sent();
    shard.leave(&me);
    // What waited is nobody's any more, and its memory is free while the client says goodbye.
    let Session { mut socket, admission, .. } = session;
    me.discard_all();
    end(&mut socket, Some(admission), reason).await;
}

/// Makes the upgrade. None when it was refused, and told so.
async fn open(
    stream: &mut Transport,
    context: &SessionContext,
    policy: &SessionPolicy,
    peer: SocketAddr,
    until: Instant,
) -> Option<Vec<u8>> {
    match upgrade::accept(stream, until, &policy.origins).await {
        Ok(begun) => Some(begun),
        Err(refused) => {
            context.counters.handshakes_failed.add(1);
            if refused.reason == UpgradeRefusal::Origin {
                context.counters.refused_origin.add(1);
            }
            context.refusals.note(refused.reason, peer);
            upgrade::refuse(stream, refused).await;
            None
        }
    }
}

/// Runs `future` to its end, unless the connection is told to go before.
async fn unless_told_to_go<F: Future>(
    admission: Option<&Admission>,
    future: F,
) -> Result<F::Output, CloseReason> {
    let Some(signal) = admission.and_then(Admission::signal) else { return Ok(future.await) };
    tokio::select! {
        biased;
        reason = signal.wait() => Err(reason),
        output = future => Ok(output),
    }
}

/// Ends a connection. One that was told to go because its place is needed is told why only while few are; and who takes long to
/// go is told to go at once when its place is needed.
async fn end(socket: &mut Socket, mut admission: Option<Admission>, reason: CloseReason) {
    if let Some(admission) = &mut admission
        && admission.signal().is_some_and(|signal| signal.raised().is_some())
        && !admission.part()
    {
        return;
    }
    // There is no place to give back any more when it is told to go.
    _ = unless_told_to_go(admission.as_ref(), close(socket, reason)).await;
}

async fn close(socket: &mut Socket, reason: CloseReason) {
    let closing = async {
        match reason {
            // Nobody is there to read it.
            CloseReason::ConnectionLost => {}
            CloseReason::ClientClosed => socket.answer_close().await,
            reason => {
                let code = CloseCode::from(reason.code());
                socket.close(CloseFrame { code, reason: reason.text().into() }).await;
            }
        }
    };
    // A client that takes too long is left to the kernel.
    let _timed_out = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
}

/// State of one client.
struct Session {
    me: Seat,
    peer: SocketAddr,
    socket: Socket,
    gate: Rc<Gate>,
    timers: Timers,
    budget: Budget,
    identity: Identity,
    /// Wrong keys since the last good one.
    wrong_keys: u32,
    held: Held,
    news: News,
    /// The request that is being answered; while there is one, nothing is read.
    pending: Option<Pending>,
    /// What the present request still has to do; `pending` gives the others their turn meanwhile.
    rest: Rest,
    /// The account moved while a request was being answered.
    moves_after_pending: bool,
    /// Tells the session from elsewhere to end.
    signal: Arc<Signal>,
    admission: Admission,
    shard: Rc<Shard>,
    policy: Arc<SessionPolicy>,
    context: Arc<SessionContext>,
}

enum Event {
    Socket(SocketEvent),
    Done(Done),
    Timer,
    ToldToGo(CloseReason),
}

impl Session {
    async fn serve(&mut self) -> CloseReason {
        let alarm = tokio::time::sleep_until(self.timers.next().into());
        tokio::pin!(alarm);
        loop {
            let next =
                self.news.next().map_or_else(|| self.timers.next(), |news| news.min(self.timers.next()));
            if alarm.deadline().into_std() != next {
                alarm.as_mut().reset(next.into());
            }
            let may_read = self.pending.is_none() && !self.budget.is_exhausted();
            let event = {
                let Self { socket, me, pending, signal, .. } = &mut *self;
                tokio::select! {
                    biased;
                    reason = signal.wait() => Event::ToldToGo(reason),
                    done = async {
                        match pending {
                            Some(pending) => pending.await,
                            None => std::future::pending().await,
                        }
                    } => Event::Done(done),
                    event = std::future::poll_fn(|cx| socket.poll(cx, me, may_read)) => Event::Socket(event),
                    () = &mut alarm => Event::Timer,
                }
            };
            self.account_sent();
            let outcome = match event {
                Event::Done(done) => {
                    self.pending = None;
                    self.finish(done)
                }
                Event::Socket(SocketEvent::Message(message)) => self.read(&message),
                Event::Socket(SocketEvent::Noticed) => self.heed_notices(),
                Event::Socket(SocketEvent::Ended(error)) => Err(self.reason_of(error.as_ref())),
                Event::Timer => Ok(()),
                Event::ToldToGo(reason) => Err(reason),
            };
            if let Err(reason) = outcome.and_then(|()| self.heed_timers(Instant::now())) {
                return reason;
            }
            self.tell_news(Instant::now());
        }
    }

    fn read(&mut self, message: &Message) -> Result<(), CloseReason> {
        let now = Instant::now();
        let is_answer = message.is_pong() && self.timers.expects_pong();
        self.timers.heard();
        let spent = match message {
            Message::Ping(_) | Message::Pong(_) if is_answer => Ok(()),
            Message::Ping(_) | Message::Pong(_) => self.budget.spend_control(now),
            message => self.budget.spend_message(message.len(), now),
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
        self.timers.spoken();
        match request::parse(bytes, self.identity.is_authenticated()) {
            Ok(request) => {
                let entries = match &request {
                    Request::UnsubscribeAll { .. } => self.held.len(),
                    request => entries_of(request),
                };
                let spent = self.budget.spend_entries(entries, now);
                spent.map_err(|Overdrawn| CloseReason::TooManyMessages)?;
                self.handle(request);
            }
            Err(error) => self.refuse(&error),
        }
        Ok(())
    }

    fn heed_notices(&mut self) -> Result<(), CloseReason> {
        self.news.heard(self.me.take_heard(), Instant::now());
        while let Some(notice) = self.me.take_notice() {
            // A notice may be about what is not held yet.
            self.finish_turns();
            match notice {
                Notice::Close(reason) => return Err(reason),
                Notice::Failed(instrument, mode, message) => self.drop_failed(instrument, mode, &message),
                Notice::Lost(instrument, message) => self.note_lost(instrument, &message),
                Notice::Waiting(instruments, why) => self.note_waiting(&instruments, &why),
                Notice::Moved => self.follow_account(),
            }
        }
        Ok(())
    }

    fn heed_timers(&mut self, now: Instant) -> Result<(), CloseReason> {
        self.budget.refill(now);
        self.timers.note_blocked(self.socket.is_blocked(), self.gate.written(), now);
        self.timers.note_readable(self.budget.ready_at());
        match self.timers.due(now) {
            Some(Due::Close(reason)) => return Err(reason),
            Some(Due::Ping) => self.socket.ping(),
            Some(Due::Nudge) => self.nudge(),
            None => {}
        }
        Ok(())
    }

    fn reason_of(&self, error: Option<&tungstenite::Error>) -> CloseReason {
        if self.gate.is_exceeded() {
            return CloseReason::FrameTooLarge;
        }
        match error {
            Some(tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                CloseReason::FrameTooLarge
            }
            Some(tungstenite::Error::Utf8(_)) => CloseReason::InvalidUtf8,
            Some(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                CloseReason::ConnectionLost
            }
            Some(tungstenite::Error::Protocol(_) | tungstenite::Error::Capacity(_)) => {
                CloseReason::ProtocolError
            }
            Some(_) => CloseReason::ConnectionLost,
            None => CloseReason::ClientClosed,
        }
    }

    /// Adds what the socket took to the counters, once per wake-up.
    fn account_sent(&mut self) {
        let frames = self.socket.take_sent();
        if frames > 0 {
            self.context.counters.frames_written.add(frames);
            if let Some(feed) = self.identity.counters() {
                feed.lossless_missed.add(self.me.take_missed());
            }
        }
    }
}
