//! One connection, as the rest of a venue sees it, and its byte stream.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::mpsc,
};

use crate::Message;

/// Messages that may wait for one connection; one that is further behind misses what follows.
pub(crate) const WAITING: usize = 50_000;

/// What the task of a connection is told.
#[derive(Debug)]
pub(crate) enum Out {
    Send(Message),
    /// Read nothing more.
    Deaf,
    /// Send this, and hang up.
    End(Message),
}

/// What is said on one connection. Clones are the same; the connection ends when the last of them is dropped.
#[derive(Clone, Debug)]
pub struct Line {
    out: mpsc::Sender<Out>,
    is_mute: Mute,
}

/// Whether nothing more is to be heard of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mute(Arc<AtomicBool>);

impl Mute {
    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Line {
    pub(crate) fn new(is_mute: Mute) -> (Self, mpsc::Receiver<Out>) {
        let (out, receiver) = mpsc::channel(WAITING);
        (Self { out, is_mute }, receiver)
    }

    /// Says something. A connection that has just ended, or is far behind, misses it.
    pub fn send(&self, message: Message) {
        _ = self.out.try_send(Out::Send(message));
    }

    /// Says something, and hangs up without a close frame.
    pub fn end(&self, message: Message) {
        _ = self.out.try_send(Out::End(message));
    }

    /// Nothing more is read from the client.
    pub fn deafen(&self) {
        _ = self.out.try_send(Out::Deaf);
    }

    /// Nothing more reaches the client, not even pongs, and the connection stays open.
    pub fn mute(&self) {
        self.is_mute.0.store(true, Ordering::Relaxed);
    }
}

/// A byte stream that falls silent, or writes in small pieces, when it is told to.
pub(crate) struct Controlled {
    stream: TcpStream,
    is_mute: Mute,
    /// Most bytes of one write; 0 for no limit.
    split_bytes: usize,
}

impl Controlled {
    pub(crate) const fn new(stream: TcpStream, is_mute: Mute, split_bytes: usize) -> Self {
        Self { stream, is_mute, split_bytes }
    }
}

impl AsyncRead for Controlled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Controlled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_mute.is_on() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let most = if self.split_bytes == 0 { bytes.len() } else { self.split_bytes.min(bytes.len()) };
        let piece = bytes.get(..most).unwrap_or(bytes);
        Pin::new(&mut self.stream).poll_write(context, piece)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
