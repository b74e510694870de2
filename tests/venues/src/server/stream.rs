//! A byte stream that falls silent, or writes in small pieces, when it is told to.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::state::Wire;

pub(super) struct Controlled {
    stream: TcpStream,
    wire: Arc<Wire>,
    /// Most bytes of one write; 0 for no limit.
    split_bytes: usize,
}

impl Controlled {
    pub(super) const fn new(stream: TcpStream, wire: Arc<Wire>, split_bytes: usize) -> Self {
        Self { stream, wire, split_bytes }
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
        if self.wire.is_mute() {
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
