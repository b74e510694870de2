//! The host's end of the connection for ticks.
//!
//! The process at the other end runs a stranger's library, which deserves no trust: nothing is kept for what
//! it only claims, and the connection ends at the first frame that is too long or no batch.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use adapter_abi::PublishOutcome;
use bytes::BytesMut;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::io::AsyncReadExt as _;
use tokio_util::codec::{Decoder as _, LengthDelimitedCodec};

use super::{
    batch::{Decoded, Kind},
    link::{self, Address, MAX_FRAME_BYTES, Stream},
};
use crate::{adapters::AdapterEvents, base::blocking};

/// From the start of the process to its token.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// From a connection to its token. The process says it at once.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that may be about to show a token. On loopback everybody can connect.
const MAX_STRANGERS: usize = 16;

/// Longest path of a socket: systems allow 104 to 108 bytes.
#[cfg(unix)]
const MAX_SOCKET_PATH_BYTES: usize = 100;

/// Bytes read at once, several frames.
const READ_BYTES: usize = 256 * 1_024;

/// Why a connection for ticks ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    /// Nobody came.
    #[error("it did not connect for its ticks within {} s", CONNECT_TIMEOUT.as_secs())]
    Late,
    /// Somebody else, or nonsense.
    #[error("what it sent instead of ticks makes no sense")]
    Nonsense,
    /// The connection ended within a frame.
    #[error("its connection for ticks ended within a frame")]
    Cut,
    /// The system.
    #[error("its connection for ticks failed: {0}")]
    Io(#[from] io::Error),
}

/// A place where one process can connect.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    address: Address,
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

impl Listener {
    /// Listens on a new socket in `run_dir`, which only this user can enter, or on loopback where that cannot
    /// be. Must be called in the runtime that will read.
    pub(super) fn bind(run_dir: &std::path::Path) -> io::Result<Self> {
        #[cfg(unix)]
        {
            let path = run_dir.join(format!("{:016x}.sock", rand::random::<u64>()));
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
        Ok(Self {
            socket: Socket::Unix(socket),
            address: Address::Unix(path.clone()),
            _file: Some(SocketFile(path)),
        })
    }

    /// Listens on loopback, where only a peer that knows the token is heard.
    pub(super) fn bind_loopback() -> io::Result<Self> {
        let socket = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = Address::Tcp(socket.local_addr()?);
        Ok(Self { socket: Socket::Tcp(tokio::net::TcpListener::from_std(socket)?), address, _file: None })
    }

    /// What the process has to connect to.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match &self.socket {
            #[cfg(unix)]
            Socket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                link::bound(&stream);
                Ok(Box::new(stream))
            }
            Socket::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                link::bound(&stream);
                Ok(Box::new(stream))
            }
        }
    }
}

/// Takes the ticks of one process, until it closes the connection or sends something else.
///
/// # Errors
/// [`ReceiveError`]. Whatever came whole before it has been published.
pub(super) async fn run(
    listener: Listener,
    token: &str,
    events: Arc<dyn AdapterEvents>,
) -> Result<(), ReceiveError> {
    let accepted = tokio::time::timeout(CONNECT_TIMEOUT, accept(&listener, token)).await;
    let (mut stream, mut bytes) = accepted.map_err(|_| ReceiveError::Late)??;
    drop(listener);
    let mut ticks = Ticks::default();
    let mut taken = 0;
    loop {
        taken += ticks.take(&mut bytes, &*events)?;
        if taken >= READ_BYTES {
            // So much of a flood, and the others on this thread have their turn.
            taken = 0;
            tokio::task::yield_now().await;
        }
        bytes.reserve(READ_BYTES);
        if stream.read_buf(&mut bytes).await? == 0 {
            return if ticks.is_whole(&bytes) { Ok(()) } else { Err(ReceiveError::Cut) };
        }
    }
}

/// The connection of the process, with what it has sent behind its token. Whoever does not know the token is
/// not the process; it is heard beside such strangers, not behind them.
async fn accept(listener: &Listener, token: &str) -> Result<(Box<dyn Stream>, BytesMut), ReceiveError> {
    let mut strangers = FuturesUnordered::new();
    loop {
        tokio::select! {
            stream = listener.accept(), if strangers.len() < MAX_STRANGERS => {
                let stream = stream?;
                strangers.push(tokio::time::timeout(TOKEN_TIMEOUT, show_token(stream, token)));
            }
            Some(shown) = strangers.next() => if let Ok(Some(known)) = shown {
                return Ok(known);
            },
        }
    }
}

/// Hears the token; none when it is another one, or none.
async fn show_token(mut stream: Box<dyn Stream>, token: &str) -> Option<(Box<dyn Stream>, BytesMut)> {
    let mut codec = link::frames(token.len());
    // What a stranger sends costs no more than this.
    let mut bytes = BytesMut::with_capacity(size_of::<u32>() + token.len());
    let shown = loop {
        if let Some(frame) = codec.decode(&mut bytes).ok()? {
            break frame;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    bool::from(subtle::ConstantTimeEq::ct_eq(&*shown, token.as_bytes())).then_some((stream, bytes))
}

/// Takes frames of ticks apart, in any pieces.
#[derive(Debug)]
pub(super) struct Ticks {
    codec: LengthDelimitedCodec,
    decoded: Decoded,
    /// Whether the codec has the length of a frame that is not there yet.
    is_within_frame: bool,
}

impl Default for Ticks {
    fn default() -> Self {
        Self { codec: link::frames(MAX_FRAME_BYTES), decoded: Decoded::default(), is_within_frame: false }
    }
}

impl Ticks {
    /// Publishes every whole frame at the front of `bytes`, and takes it from there; gives the bytes of them
    /// all.
    ///
    /// # Errors
    /// At a frame that is too long or no batch; what comes behind it cannot be read any more.
    pub(super) fn take(
        &mut self,
        bytes: &mut BytesMut,
        events: &dyn AdapterEvents,
    ) -> Result<usize, ReceiveError> {
        let mut taken = 0;
        loop {
            let before = bytes.len();
            let Some(frame) = self.codec.decode(bytes).map_err(|_| ReceiveError::Nonsense)? else {
                self.is_within_frame |= bytes.len() < before;
                return Ok(taken);
            };
            self.is_within_frame = false;
            let kind = self.decoded.read(&frame).map_err(|_| ReceiveError::Nonsense)?;
            // Refused ticks are counted where they are refused, and read on, or the other end would fill up.
            let _counted = publish(events, kind, &self.decoded);
            events.replaced(self.decoded.missed);
            taken += frame.len();
        }
    }

    /// Whether everything was whole, of which these bytes are left.
    fn is_whole(&self, left: &[u8]) -> bool {
        left.is_empty() && !self.is_within_frame
    }
}

fn publish(events: &dyn AdapterEvents, kind: Kind, decoded: &Decoded) -> PublishOutcome {
    match kind {
        Kind::Ltp => events.ltp(&decoded.ltp),
        Kind::Quote => events.quote(&decoded.quote),
        Kind::Depth => events.depth(&decoded.depth, &decoded.levels),
        Kind::Greeks => events.greeks(&decoded.greeks),
    }
}

#[cfg(test)]
mod tests;
