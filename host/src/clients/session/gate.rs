//! How much of a connection may be read, and how much of it was written.

use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clients::tls::Transport;

/// Longest control frame of a client.
const CONTROL_FRAME_BYTES: usize = 131;

/// What may be read of the messages behind the one that a client is known by, on top of its own.
const READ_AHEAD_BYTES: usize = 64 * 1_024;

/// What the bytes of a connection are allowed, shared between the stream below the WebSocket and the session
/// above it.
#[derive(Debug)]
pub(super) struct Gate {
    /// Bytes that may be read from one whole message to the next. A message may come in many frames, even
    /// empty ones.
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

    /// A control frame came. It counts for itself, and does not prolong the message that it may have come
    /// within.
    pub(super) fn allow_control(&self) {
        self.read.set(self.read.get().saturating_sub(CONTROL_FRAME_BYTES));
    }

    /// The client is known: messages may have `max_message` bytes, and as many again for the frames around
    /// them.
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
    pub(super) stream: Transport,
    pub(super) gate: Rc<Gate>,
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
