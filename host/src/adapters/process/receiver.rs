//! The host's end of the private endpoint: a ZeroMQ PULL socket for one peer, over [`Frame`].
//!
//! The sockets of the zeromq crate trust their peers: a frame that claims gigabytes would end the host. A process that
//! runs a stranger's library deserves no such trust, so this end reads the few things that its peer may say, and ends the
//! connection at the first byte that is something else.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use adapter_abi::PublishOutcome;
use tickhost_core::model::Mode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{batch::Decoded, sender::WINDOW_BYTES};
use crate::{
    adapters::AdapterEvents,
    base::blocking,
    bus::zmtp::frame::{Frame, GREETING, Mechanism, fits_greeting, greeting, push_ready, ready_type},
};

/// From the start of the process to its first frame.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// From a connection to its token. The process says all of it at once.
const GREETING_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest path of a socket: systems allow 104 to 108 bytes.
#[cfg(unix)]
const MAX_SOCKET_PATH_BYTES: usize = 100;

/// Bytes read at once, several frames.
const READ_BYTES: usize = 256 * 1_024;

/// Bytes after which the sender is told that they were taken.
const TELL_EVERY: u64 = WINDOW_BYTES / 4;

/// Why a connection for ticks ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    /// Nobody came.
    #[error("it did not connect for its ticks within {} s", CONNECT_TIMEOUT.as_secs())]
    Late,
    /// Somebody else, or nonsense.
    #[error("what it sent instead of ticks makes no sense")]
    Nonsense,
    /// The system.
    #[error("its connection for ticks failed: {0}")]
    Io(#[from] io::Error),
}

/// A place where one process can connect.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    address: String,
    /// Removed when nobody listens any more.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
    Tcp(tokio::net::TcpListener),
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        // It was made by the bind; without it there is nothing to remove.
        blocking::soon(move || _ = std::fs::remove_file(path));
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    /// Listens on a new socket in `run_dir`, which only this user can enter, or on loopback where that cannot be. Must be
    /// called in the runtime that will read.
    pub(super) fn bind(run_dir: &std::path::Path) -> io::Result<Self> {
        #[cfg(unix)]
        {
            let path = run_dir.join(format!("{:016x}.ipc", rand::random::<u64>()));
            if path.as_os_str().len() <= MAX_SOCKET_PATH_BYTES {
                return Self::bind_private(path);
            }
        }
        #[cfg(not(unix))]
        let _no_ipc_here = run_dir;
        Self::bind_loopback()
    }

    #[cfg(unix)]
    fn bind_private(path: PathBuf) -> io::Result<Self> {
        let socket = tokio::net::UnixListener::bind(&path)?;
        let address = format!("ipc://{}", path.display());
        Ok(Self { socket: Socket::Unix(socket), address, _file: Some(SocketFile(path)) })
    }

    /// Listens on loopback, where only a peer that knows the token is heard.
    pub(super) fn bind_loopback() -> io::Result<Self> {
        let socket = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = format!("tcp://{}", socket.local_addr()?);
        Ok(Self { socket: Socket::Tcp(tokio::net::TcpListener::from_std(socket)?), address, _file: None })
    }

    /// What the process has to connect to.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match &self.socket {
            #[cfg(unix)]
            Socket::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
        }
    }
}

/// Takes the ticks of one process, until it ends or sends something else. `tell` is called with the bytes taken so far
/// when the sender may have to know.
pub(super) async fn run(
    listener: Listener,
    token: &str,
    events: Arc<dyn AdapterEvents>,
    tell: impl Fn(u64),
) -> Result<(), ReceiveError> {
    let connecting = async {
        loop {
            let mut stream = listener.accept().await?;
            // Whoever does not know the token is not the process; its place stays free.
            let greeted = tokio::time::timeout(GREETING_TIMEOUT, greet(&mut stream, token)).await;
            if let Ok(Ok(Some(rest))) = greeted {
                return Ok::<_, ReceiveError>((stream, rest));
            }
        }
    };
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
    let (mut stream, mut bytes) = connected.map_err(|_| ReceiveError::Late)??;
    drop(listener);
    let mut decoded = Decoded::default();
    let (mut taken, mut told) = (0_u64, 0_u64);
    loop {
        let start = take(&bytes, &mut decoded, &*events, |length| {
            taken += length;
            let is_question = length == 0;
            if taken - told >= TELL_EVERY || is_question {
                told = taken;
                tell(taken);
            }
        })?;
        bytes.drain(..start);
        bytes.reserve(READ_BYTES);
        // One read of a flood, and the others on this thread have their turn.
        tokio::task::consume_budget().await;
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

/// Publishes every whole frame at the front of `bytes`, and tells the length of each body; gives the bytes of them all.
pub(super) fn take(
    bytes: &[u8],
    decoded: &mut Decoded,
    events: &dyn AdapterEvents,
    mut took: impl FnMut(u64),
) -> Result<usize, ReceiveError> {
    let mut start = 0;
    while let Some(frame) = next_frame(bytes.get(start..).unwrap_or_default())? {
        start += frame.length;
        if !frame.body.is_empty() {
            let kind = decoded.read(frame.body).map_err(|_| ReceiveError::Nonsense)?;
            // Refused ticks are counted where they are refused, and read on, or the other end would fill up.
            let _counted = publish(events, kind, decoded);
            events.replaced(decoded.missed);
        }
        took(frame.body.len() as u64);
    }
    Ok(start)
}

fn publish(events: &dyn AdapterEvents, kind: Mode, decoded: &Decoded) -> PublishOutcome {
    match kind {
        Mode::Ltp => events.ltp(&decoded.ltp),
        Mode::Quote => events.quote(&decoded.quote),
        Mode::Depth => events.depth(&decoded.depth, &decoded.levels),
    }
}

fn next_frame(bytes: &[u8]) -> Result<Option<Frame<'_>>, ReceiveError> {
    let frame = Frame::read(bytes).map_err(|_| ReceiveError::Nonsense)?;
    match frame {
        Some(frame) if frame.is_command() || frame.has_more() => Err(ReceiveError::Nonsense),
        frame => Ok(frame),
    }
}

/// Exchanges the greetings of ZMTP and hears the token; gives what was read beyond it. None when it is another peer.
async fn greet(stream: &mut Box<dyn Stream>, token: &str) -> Result<Option<Vec<u8>>, ReceiveError> {
    let mut bytes = Vec::with_capacity(READ_BYTES);
    let mut ready = Vec::new();
    push_ready(&mut ready, b"PULL");
    stream.write_all(&greeting()).await?;
    if !read_at_least(stream, &mut bytes, GREETING).await? || !fits_greeting(&bytes, Mechanism::Null) {
        return Ok(None);
    }
    bytes.drain(..GREETING);
    stream.write_all(&ready).await?;
    // A READY command, then one frame with the token.
    for is_ready in [true, false] {
        let length = loop {
            match Frame::read(&bytes) {
                Err(_) => return Ok(None),
                Ok(Some(frame)) => {
                    let fits = if is_ready {
                        frame.is_command() && ready_type(frame.body) == Some(b"PUSH")
                    } else {
                        !frame.is_command()
                            && !frame.has_more()
                            && bool::from(subtle::ConstantTimeEq::ct_eq(frame.body, token.as_bytes()))
                    };
                    if !fits {
                        return Ok(None);
                    }
                    break frame.length;
                }
                Ok(None) => {
                    let more = bytes.len() + 1;
                    if !read_at_least(stream, &mut bytes, more).await? {
                        return Ok(None);
                    }
                }
            }
        };
        bytes.drain(..length);
    }
    Ok(Some(bytes))
}

async fn read_at_least(
    stream: &mut Box<dyn Stream>,
    bytes: &mut Vec<u8>,
    length: usize,
) -> Result<bool, ReceiveError> {
    while bytes.len() < length {
        if stream.read_buf(bytes).await? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
