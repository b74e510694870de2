//! The child's end of the private endpoint: a ZeroMQ PUSH socket behind an [`Intake`].
//!
//! The intake is what the router has in front of it too: while the host keeps up every tick passes, and when it does not,
//! ticks of one instrument merge. The socket itself would queue without a bound that helps, so no more than
//! [`WINDOW_BYTES`] are on their way that the host has not acknowledged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tickhost_core::intake::{Doorbell, Intake};
use tokio::sync::Notify;
use zeromq::{PushSocket, Socket as _, SocketSend as _, ZmqError};

use super::batch;

/// Bytes that may be on their way.
pub(super) const WINDOW_BYTES: u64 = 1024 * 1024;

/// Longest wait for the host to take the connection. It listens before it starts the process.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the host said that it has taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    bytes: AtomicU64,
    grown: Notify,
}

impl Taken {
    /// Notes what the host took since the start.
    pub(super) fn set(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Release);
        self.grown.notify_one();
    }

    async fn at_least(&self, bytes: u64) {
        while self.bytes.load(Ordering::Acquire) < bytes {
            self.grown.notified().await;
        }
    }
}

/// Where ticks go, and what is shown there first.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) address: String,
    pub(super) token: zeroize::Zeroizing<String>,
}

/// Connects to the host, and shows that this is the process. Afterwards it may be impossible: a locked-in process makes no
/// local connections.
///
/// # Errors
/// When the host cannot be reached.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<PushSocket, ZmqError> {
    let mut socket = PushSocket::new();
    let late = || ZmqError::Other("the host does not take the connection for ticks");
    tokio::time::timeout(CONNECT_TIMEOUT, socket.connect(&endpoint.address)).await.map_err(|_| late())??;
    socket.send(endpoint.token.as_bytes().to_vec().into()).await?;
    Ok(socket)
}

/// Sends what the intake has, until it is closed and empty. Must not run on the adapter's thread.
///
/// # Errors
/// When the connection is lost: the process has to end then.
pub(super) async fn run(
    mut socket: PushSocket,
    intake: Arc<Intake>,
    doorbell: Arc<Doorbell>,
    taken: Arc<Taken>,
) -> Result<(), ZmqError> {
    let mut sent = 0_u64;
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
        for taken_batch in batches.drain(..) {
            batch::encode(&taken_batch, |frame| frames.push(frame));
            for frame in frames.drain(..) {
                sent += frame.len() as u64;
                socket.send(frame.into()).await?;
                taken.at_least(sent.saturating_sub(WINDOW_BYTES)).await;
            }
        }
        if is_last {
            // All of it has to be taken before the socket goes, which forgets what it still holds. An empty frame asks
            // the host to say at once how far it is.
            socket.send(Vec::new().into()).await?;
            taken.at_least(sent).await;
            return Ok(());
        }
    }
}
