//! A client's connection, plain or encrypted, and its way from the thread that made it to the one that serves
//! it.

use std::{
    io,
    net::TcpStream as StdTcpStream,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

/// A connection on its way to a shard. It belongs to no runtime.
#[derive(Debug)]
pub enum Incoming {
    /// Nothing was said yet.
    Plain(StdTcpStream),
    /// The handshake is done.
    Tls(Box<Detached>),
}

/// An encrypted connection without its socket, and the socket.
#[derive(Debug)]
pub struct Detached {
    tls: TlsStream<Wire>,
    socket: StdTcpStream,
}

/// A connection that is served.
#[derive(Debug)]
pub enum Transport {
    /// As it comes.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<Wire>>),
}

/// The socket below an encrypted connection, which can be taken out to be moved to another runtime. It counts
/// what the kernel took: above the encryption that cannot be seen.
#[derive(Debug)]
pub struct Wire {
    socket: Option<TcpStream>,
    written: u64,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket: Some(socket), written: 0 }
    }

    fn socket(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.socket.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Incoming {
    /// Takes an encrypted connection off the runtime that made its handshake.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn detach(mut tls: TlsStream<Wire>) -> io::Result<Self> {
        let socket = tls.get_mut().0.socket.take().ok_or(io::ErrorKind::NotConnected)?.into_std()?;
        Ok(Self::Tls(Box::new(Detached { tls, socket })))
    }

    /// Takes the connection onto the runtime that this is called in.
    ///
    /// # Errors
    /// The system's.
    pub fn attach(self) -> io::Result<Transport> {
        match self {
            Self::Plain(socket) => Ok(Transport::Plain(TcpStream::from_std(socket)?)),
            Self::Tls(detached) => {
                let Detached { mut tls, socket } = *detached;
                tls.get_mut().0.socket = Some(TcpStream::from_std(socket)?);
                Ok(Transport::Tls(Box::new(tls)))
            }
        }
    }
}

impl Transport {
    /// Whether the kernel has something to read, or the connection has ended. What was decrypted and not read
    /// yet does not count: a reader that was told to wait has read all of it.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_ready(cx),
            Self::Tls(tls) => match &tls.get_ref().0.socket {
                Some(socket) => socket.poll_read_ready(cx),
                None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            },
        }
    }

    /// Bytes that the kernel took of an encrypted connection; none for a plain one, where every write says
    /// it.
    pub fn written_below(&self) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls.get_ref().0.written),
        }
    }
}

macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Plain(socket) => {
                let $stream = Pin::new(socket);
                $call
            }
            Self::Tls(tls) => {
                let $stream = Pin::new(&mut **tls);
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.socket() {
            Ok(socket) => socket.poll_read(cx, buf),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = match self.socket() {
            Ok(socket) => socket.poll_write(cx, buf),
            Err(error) => return Poll::Ready(Err(error)),
        };
        if let Poll::Ready(Ok(count)) = &polled {
            self.written += *count as u64;
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket() {
            Ok(socket) => socket.poll_flush(cx),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.socket() {
            Ok(socket) => socket.poll_shutdown(cx),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
