//! The socket of a session: one poll moves frames both ways, so that a client that does not read is still
//! heard.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Bytes, Message, protocol::WebSocketConfig},
};

use super::gate::Gated;
use crate::{base::clock, clients::seat::Seat};

/// Frames written before others on the thread get their turn.
const FRAMES_PER_TURN: usize = 2_048;

/// Bytes gathered for one write to the kernel.
const WRITE_BUFFER_BYTES: usize = 16 * 1_024;

/// Bytes behind a client's close frame that are read and thrown away.
const CLOSE_REST_BYTES: usize = 64 * 1_024;

/// Buffer for reading; requests are small and rare.
const READ_BUFFER_BYTES: usize = 2 * 1_024;

/// How a WebSocket is set up: frames up to `max_frame_bytes`, small buffers.
pub(super) fn websocket_config(max_frame_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(max_frame_bytes))
        .max_frame_size(Some(max_frame_bytes))
}

/// What a poll of the socket brought.
#[derive(Debug)]
pub(super) enum SocketEvent {
    /// A message from the client.
    Message(Message),
    /// The client is gone, or broke the rules.
    Ended(Option<tungstenite::Error>),
    /// Somebody left a notice for the session.
    Noticed,
}

/// A WebSocket, and what still has to be pushed through it.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four things that are so or not, independent of each other"
)]
pub(super) struct Socket {
    websocket: WebSocketStream<Gated>,
    needs_flush: bool,
    ping_due: bool,
    is_blocked: bool,
    /// The WebSocket may hold a message that was read before, or has not been asked for one yet.
    may_hold_message: bool,
    /// Frames handed to the socket since [`Self::take_sent`].
    sent_frames: u64,
}

impl Socket {
    pub(super) fn new(websocket: WebSocketStream<Gated>) -> Self {
        // Replies of the handshake's machinery may wait for the first flush.
        Self {
            websocket,
            needs_flush: true,
            ping_due: false,
            is_blocked: false,
            may_hold_message: true,
            sent_frames: 0,
        }
    }

    /// Sends a ping as soon as the socket takes one.
    pub(super) fn ping(&mut self) {
        self.ping_due = true;
    }

    /// Whether the kernel takes nothing at the moment although something waits.
    pub(super) const fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Frames sent since the last call.
    pub(super) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent_frames)
    }

    /// Writes what waits, all of it in as few writes as the kernel allows, then reads one message if
    /// `may_read`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, session: &Seat, may_read: bool) -> Poll<SocketEvent> {
        // Before looking: what is pushed while this runs wakes the task again.
        session.register(cx.waker());
        if session.has_notice() {
            return Poll::Ready(SocketEvent::Noticed);
        }
        let written = self.poll_write(cx, session);
        session.account_written();
        if let Err(error) = written {
            return Poll::Ready(SocketEvent::Ended(Some(error)));
        }
        if !may_read {
            return Poll::Pending;
        }
        // Most wake-ups are for ticks: the WebSocket need not be asked when the kernel has nothing for it.
        if !self.may_hold_message && self.websocket.get_ref().stream.poll_read_ready(cx).is_pending() {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.websocket).poll_next(cx);
        self.may_hold_message = polled.is_ready();
        match polled {
            Poll::Ready(Some(Ok(message))) => {
                session.note_partial(0);
                // A ping or a close frame has queued its answer.
                self.needs_flush |= message.is_ping() || message.is_close();
                Poll::Ready(SocketEvent::Message(message))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(SocketEvent::Ended(Some(error))),
            Poll::Ready(None) => Poll::Ready(SocketEvent::Ended(None)),
            Poll::Pending => {
                session.note_partial(self.websocket.get_ref().gate.partial());
                Poll::Pending
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, session: &Seat) -> Result<(), tungstenite::Error> {
        for turn in 0.. {
            match Pin::new(&mut self.websocket).poll_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    self.is_blocked = true;
                    return Ok(());
                }
            }
            if turn == FRAMES_PER_TURN {
                cx.waker().wake_by_ref();
                break;
            }
            let message = if std::mem::take(&mut self.ping_due) {
                Message::Ping(Bytes::new())
            } else if let Some(frame) = session.next_frame() {
                self.sent_frames += 1;
                Message::Text(frame)
            } else {
                break;
            };
            Pin::new(&mut self.websocket).start_send(message)?;
            self.needs_flush = true;
        }
        self.is_blocked = false;
        if self.needs_flush {
            match Pin::new(&mut self.websocket).poll_flush(cx) {
                Poll::Ready(flushed) => {
                    flushed?;
                    self.needs_flush = false;
                }
                Poll::Pending => self.is_blocked = true,
            }
        }
        if !self.is_blocked {
            session.flushed(clock::unix_nanos);
        }
        Ok(())
    }

    /// Sends the close frame and waits until the client answered or is gone.
    pub(super) async fn close(&mut self, frame: tungstenite::protocol::CloseFrame) {
        if self.websocket.close(Some(frame)).await.is_err() {
            return;
        }
        // Reading on lets the client's answer arrive, so that the kernel does not throw away our last frames.
        while let Some(Ok(_)) = std::future::poll_fn(|cx| Pin::new(&mut self.websocket).poll_next(cx)).await {
        }
    }

    /// Sends the answer to the client's close frame, which the library has ready: the same code, or 1002 for
    /// one that may not be sent. Then waits until the client is gone.
    pub(super) async fn answer_close(&mut self) {
        // The library says that the connection is closed when the answer is on its way.
        match std::future::poll_fn(|cx| Pin::new(&mut self.websocket).poll_flush(cx)).await {
            Ok(()) | Err(tungstenite::Error::ConnectionClosed) => {}
            Err(_) => return,
        }
        let stream = self.websocket.get_mut();
        if stream.shutdown().await.is_err() {
            return;
        }
        // What comes behind a close frame counts for nothing, but unread it would make the kernel throw our
        // answer away.
        let (mut rest, mut left) = ([0; 1_024], CLOSE_REST_BYTES);
        while left > 0 {
            match stream.read(&mut rest).await {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                Ok(_) | Err(_) => return,
            }
        }
    }
}
