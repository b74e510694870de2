//! The task of a session: makes the upgrade, waits with the socket, the timer and what was asked for, and
//! says goodbye.

use std::{
    net::SocketAddr,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tickhost_core::protocol::{codes::CloseReason, refusal::UpgradeRefusal};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        error::{CapacityError, ProtocolError},
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use super::{
    Beginning, Effects, Event, Session, SessionContext, SessionPolicy,
    ask::{self, Pending},
    gate::{Gate, Gated},
    socket::{Socket, SocketEvent, websocket_config},
};
use crate::{
    base::clock::Moment,
    clients::{
        admissions::{Admission, HASTE, Signal},
        shard::{Arrival, Shard},
        tls::Transport,
        upgrade,
    },
    feeds::hub::Hub,
};

/// Longest wait for a client to take the close frame and answer it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves a connection from its handshake to its end.
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
    let beginning = Beginning {
        peer,
        since: started,
        gate: Rc::clone(&gate),
        admission,
        policy: Arc::clone(&policy),
        counters: Arc::clone(&context.counters),
    };
    let mut session = Session::begin(Moment::now(), &shard, &context.memory, beginning);
    let mut connection = Connection { socket, gate, signal };
    let reason = connection.serve(&mut session, &context.hub).await;
    // Given back in turns, between which the others are served.
    session.leave();
    while session.take_turn(Moment::now()) {
        tokio::task::yield_now().await;
    }
    context.counters.closes.count(reason);
    tracing::debug!(session_id = session.seat.id().0, %peer, %reason, "A session has ended");
    connection.account_sent(&session);
    shard.leave(&session.seat);
    // What waited is nobody's any more, and its memory is free while the client says goodbye.
    session.seat.discard_all();
    let Session { admission, .. } = session;
    end(&mut connection.socket, Some(admission), reason).await;
}

/// What a session waits with.
struct Connection {
    socket: Socket,
    gate: Rc<Gate>,
    /// Tells the session from elsewhere to end.
    signal: Arc<Signal>,
}

impl Connection {
    /// Brings events to a session, and does what it calls for, until it ends.
    async fn serve(&mut self, session: &mut Session, hub: &Arc<Hub>) -> CloseReason {
        let mut pending: Option<Pending> = None;
        let alarm = tokio::time::sleep_until(session.next_due().into());
        tokio::pin!(alarm);
        loop {
            let next = session.next_due();
            if alarm.deadline().into_std() != next {
                alarm.as_mut().reset(next.into());
            }
            let may_read = session.may_read();
            let event = {
                let Self { socket, signal, .. } = &mut *self;
                tokio::select! {
                    biased;
                    reason = signal.wait() => Err(reason),
                    answer = async {
                        match &mut pending {
                            Some(pending) => pending.await,
                            None => std::future::pending().await,
                        }
                    } => {
                        pending = None;
                        Ok(Event::Answered(answer))
                    }
                    event = std::future::poll_fn(|cx| socket.poll(cx, &session.seat, may_read)) => match event {
                        SocketEvent::Message(message) => Ok(Event::Message(message)),
                        SocketEvent::Noticed => Ok(Event::Noticed),
                        SocketEvent::Ended(error) => Err(reason_of(&self.gate, error.as_ref())),
                    },
                    () = &mut alarm => Ok(Event::Elapsed),
                }
            };
            self.account_sent(session);
            let stepped =
                event.and_then(|event| session.step(Moment::now(), event, self.socket.is_blocked()));
            match stepped {
                Ok(Effects { ask, ping }) => {
                    if let Some(ask) = ask {
                        pending = Some(ask::put(ask, hub, session.seat.id()));
                    }
                    if ping {
                        self.socket.ping();
                    }
                }
                Err(reason) => return reason,
            }
        }
    }

    fn account_sent(&mut self, session: &Session) {
        session.account_sent(self.socket.take_sent());
    }
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

/// Ends a connection. One that was told to go because its place is needed is told why only while few are; and
/// who takes long to go is told to go at once when its place is needed.
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

/// Why a session ends whose socket has.
fn reason_of(gate: &Gate, error: Option<&tungstenite::Error>) -> CloseReason {
    if gate.is_exceeded() {
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
        Some(tungstenite::Error::Protocol(_) | tungstenite::Error::Capacity(_)) => CloseReason::ProtocolError,
        Some(_) => CloseReason::ConnectionLost,
        None => CloseReason::ClientClosed,
    }
}
