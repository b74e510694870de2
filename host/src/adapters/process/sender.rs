//! The child's end of the connection for ticks, behind an [`Intake`].
//!
//! The intake is what the router has in front of it too: while the host keeps up every tick passes, and when
//! it does not, ticks of one instrument merge there. The kernel's buffer of the connection is small, and a
//! write that finds no room in it waits.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use secrecy::{ExposeSecret as _, SecretString};
use tickhost_core::intake::{Doorbell, Intake};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::codec::{Encoder as _, LengthDelimitedCodec};

use super::{
    batch,
    link::{self, Address, MAX_FRAME_BYTES, Stream},
};

/// Longest wait for the host to take the connection. It listens before it starts the process.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of frames that are gathered for one write.
const WRITE_BYTES: usize = 64 * 1_024;

/// Where ticks go, and what is shown there first.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) address: Address,
    pub(super) token: SecretString,
}

/// A connection on which the host has been shown that this is the process.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    codec: LengthDelimitedCodec,
    /// Frames that are to be written together.
    waiting: BytesMut,
}

/// Connects to the host, and shows that this is the process. Afterwards it may be impossible: a locked-in
/// process makes no local connections.
///
/// # Errors
/// When the host cannot be reached.
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Connection> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the host does not take the connection for ticks");
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, open(&endpoint.address)).await.map_err(late)??;
    let mut connection =
        Connection { stream, codec: link::frames(MAX_FRAME_BYTES), waiting: BytesMut::new() };
    connection.add(endpoint.token.expose_secret().as_bytes())?;
    connection.write().await?;
    Ok(connection)
}

async fn open(address: &Address) -> io::Result<Box<dyn Stream>> {
    match address {
        #[cfg(unix)]
        Address::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await?;
            link::bound(&stream);
            Ok(Box::new(stream))
        }
        #[cfg(not(unix))]
        Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        Address::Tcp(address) => {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            link::bound(&stream);
            Ok(Box::new(stream))
        }
    }
}

impl Connection {
    fn add(&mut self, frame: &[u8]) -> io::Result<()> {
        self.codec.encode(frame, &mut self.waiting)
    }

    async fn write(&mut self) -> io::Result<()> {
        self.stream.write_all_buf(&mut self.waiting).await
    }

    /// Sends what the intake has, until it is closed and empty and the host has taken all of it. Must not run
    /// on the adapter's thread.
    ///
    /// # Errors
    /// When the connection is lost: the process has to end then.
    pub(super) async fn run(mut self, intake: Arc<Intake>, doorbell: Arc<Doorbell>) -> io::Result<()> {
        let (mut ready, mut batches, mut frames) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            // What was offered before the intake was closed may have been taken with an earlier ring.
            if !intake.is_closed() {
                doorbell.rung().await;
            }
            doorbell.take_ready(&mut ready);
            ready.clear();
            intake.take(&mut batches);
            let is_last = batches.is_empty() && intake.is_closed();
            for taken in batches.drain(..) {
                batch::encode(&taken, |frame| frames.push(frame));
                for frame in frames.drain(..) {
                    self.add(&frame)?;
                    if self.waiting.len() >= WRITE_BYTES {
                        self.write().await?;
                    }
                }
            }
            self.write().await?;
            if is_last {
                return self.close().await;
            }
        }
    }

    /// Says that this was all, and waits until the host has read that far, which it says by closing its half.
    async fn close(mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        match self.stream.read(&mut [0]).await? {
            0 => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the host says something on the connection for ticks",
            )),
        }
    }
}
