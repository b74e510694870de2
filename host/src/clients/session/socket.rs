//! The socket of a session: one poll moves frames both ways, so that a client that does not read is still heard.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Bytes, Message, protocol::WebSocketConfig},
};

use crate::{
    base::clock,
    clients::{seat::Seat, tls::Transport},
};

/// Frames written before others on the thread get their turn.
const FRAMES_PER_TURN: usize = 2_048;

/// Bytes gathered for one write to the kernel.
const WRITE_BUFFER_BYTES: usize = 16 * 1_024;

/// Bytes behind a client's close frame that are read and thrown away.
const CLOSE_REST_BYTES: usize = 64 * 1_024;

/// Buffer for reading; requests are small and rare.
const READ_BUFFER_BYTES: usize = 2 * 1_024;

/// Longest control frame of a client.
const CONTROL_FRAME_BYTES: usize = 131;

/// What may be read of the messages behind the one that a client is known by, on top of its own.
const READ_AHEAD_BYTES: usize = 64 * 1_024;

/// How a WebSocket is set up: frames up to `max_frame_bytes`, small buffers.
pub(super) fn websocket_config(max_frame_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(Some(max_frame_bytes))
        .max_frame_size(Some(max_frame_bytes))
}

/// What the bytes of a connection are allowed, shared between the stream below the WebSocket and the session above it.
#[derive(Debug)]
pub(super) struct Gate {
    /// Bytes that may be read from one whole message to the next. A message may come in many frames, even empty ones.
    limit: Cell<usize>,
    /// Of them, those that have been read.
    read: Cell<usize>,
    is_exceeded: Cell<bool>,
    written: Cell<u64>,
}

impl Gate {
    /// So many bytes at most up to the first message, of which `read` have come.
    pub(super) fn new(limit: usize, read: usize) -> Rc<Self> {
        Rc::new(Self {
            limit: Cell::new(limit),
            read: Cell::new(read),
            is_exceeded: Cell::new(false),
            written: Cell::new(0),
        })
    }

    /// A whole message came: the next one has the full allowance.
    pub(super) fn renew(&self) {
        self.read.set(0);
    }

    /// A control frame came. It counts for itself, and does not prolong the message that it may have come within.
    pub(super) fn allow_control(&self) {
        self.read.set(self.read.get().saturating_sub(CONTROL_FRAME_BYTES));
    }

    /// The client is known: messages may have `max_message` bytes, and as many again for the frames around them.
    pub(super) fn open(&self, max_message: usize) {
        self.limit.set(max_message.saturating_mul(2).saturating_add(READ_AHEAD_BYTES));
    }

    /// Bytes that were read since the last whole message.
    pub(super) fn partial(&self) -> usize {
        self.read.get()
    }

    /// Whether more was sent than may be.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded.get()
    }

    /// Bytes that the kernel took.
    pub(super) fn written(&self) -> u64 {
        self.written.get()
    }
}

/// A connection that counts: what is read as the client meant it, what is written as the kernel took it.
#[derive(Debug)]
pub(super) struct Gated {
    stream: Transport,
    gate: Rc<Gate>,
}

impl Gated {
    pub(super) fn new(stream: Transport, gate: Rc<Gate>) -> Self {
        Self { stream, gate }
    }
}

impl AsyncRead for Gated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        self.gate.read.set(self.gate.read.get() + read);
        if self.gate.read.get() > self.gate.limit.get() {
            self.gate.is_exceeded.set(true);
            return Poll::Ready(Err(io::Error::other("message too large")));
        }
        polled
    }
}

impl AsyncWrite for Gated {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        match (self.stream.written_below(), &polled) {
            (Some(written), _) => self.gate.written.set(written),
            (None, Poll::Ready(Ok(count))) => self.gate.written.set(self.gate.written.get() + *count as u64),
            (None, _) => {}
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        // What waited in the encryption is written now.
        if let Some(written) = self.stream.written_below() {
            self.gate.written.set(written);
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
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

    /// Writes what waits, all of it in as few writes as the kernel allows, then reads one message if `may_read`.
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

    /// Sends the answer to the client's close frame, which the library has ready: the same code, or 1002 for one that may
    /// not be sent. Then waits until the client is gone.
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
        // What comes behind a close frame counts for nothing, but unread it would make the kernel throw our answer away.
        let (mut rest, mut left) = ([0; 1_024], CLOSE_REST_BYTES);
        while left > 0 {
            match stream.read(&mut rest).await {
                Ok(count) if count > 0 => left = left.saturating_sub(count),
                Ok(_) | Err(_) => return,
            }
        }
    }
}
