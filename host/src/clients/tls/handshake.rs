//! Handshakes, on a thread of their own between the accept loop and the shards.
//!
//! A signature costs up to a millisecond. On a shard it would hold up the ticks of everybody there, and a
//! flood of connections would hold them up for long; here a flood only delays other handshakes. Each has
//! [`HANDSHAKE_TIMEOUT`]; how many there are is bounded by the places of strangers
//! ([`crate::clients::admissions`]), some 30 KiB each.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tickhost_core::protocol::refusal::UpgradeRefusal;
use tokio::{net::TcpStream, runtime::Handle};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Incoming, Tls, wire::Wire};
use crate::clients::{
    admissions::Signal,
    upgrade::{self, Refusals},
};

/// Longest handshake, from the connect to its last message.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that wait in the encryption of one connection when the kernel takes no more. Two records: less would
/// stall a client between them, more would be old prices.
const UNSENT_BYTES: usize = 32 * 1_024;

/// First byte of every handshake. Whoever sends another speaks plain HTTP, most often.
const HANDSHAKE_RECORD: u8 = 0x16;

/// Makes handshakes.
#[derive(Clone, Debug)]
pub struct Handshakes {
    tls: Tls,
    runtime: Handle,
    refusals: Arc<Refusals>,
    stop: CancellationToken,
}

impl Handshakes {
    /// Makes them on this runtime until `stop`.
    pub fn new(tls: Tls, runtime: Handle, refusals: Arc<Refusals>, stop: CancellationToken) -> Self {
        Self { tls, runtime, refusals, stop }
    }

    /// Makes the handshake of a connection, and gives it to `done` afterwards. One that is told by `signal`
    /// to go, or whose handshake fails, is closed and counted.
    pub fn begin(
        &self,
        socket: std::net::TcpStream,
        peer: SocketAddr,
        signal: Option<Arc<Signal>>,
        done: impl FnOnce(Incoming) + Send + 'static,
    ) {
        let this = self.clone();
        // Ends with its runtime, at the latest.
        self.runtime.spawn(async move {
            let made = tokio::select! {
                made = tokio::time::timeout(HANDSHAKE_TIMEOUT, this.handshake(socket, peer)) => made,
                () = told(signal.as_deref()) => return this.refusals.counters().tls_handshakes_refused.add(1),
                () = this.stop.cancelled() => return,
            };
            match made {
                Ok(Ok(Some(incoming))) => done(incoming),
                // It was refused, and counted before it had its answer.
                Ok(Ok(None)) => {}
                failed => {
                    this.refusals.counters().tls_handshakes_failed.add(1);
                    if let Ok(Err(error)) = failed {
                        tracing::debug!(%peer, %error, "A TLS handshake has failed");
                    }
                }
            }
        });
    }

    /// None for who speaks no TLS, and was told so.
    async fn handshake(&self, socket: std::net::TcpStream, peer: SocketAddr) -> io::Result<Option<Incoming>> {
        let mut socket = TcpStream::from_std(socket)?;
        let mut first = [0];
        if socket.peek(&mut first).await? == 1 && first != [HANDSHAKE_RECORD] {
            self.refusals.counters().tls_handshakes_failed.add(1);
            self.refusals.note(UpgradeRefusal::NotEncrypted, peer);
            upgrade::refuse(&mut socket, UpgradeRefusal::NotEncrypted.into()).await;
            return Ok(None);
        }
        let acceptor = TlsAcceptor::from(self.tls.config());
        let bounded = |connection: &mut rustls::ServerConnection| {
            connection.set_buffer_limit(Some(UNSENT_BYTES));
        };
        Incoming::detach(acceptor.accept_with(Wire::new(socket), bounded).await?).map(Some)
    }
}

/// Waits until a connection is told to go.
async fn told(signal: Option<&Signal>) {
    match signal {
        Some(signal) => _ = signal.wait().await,
        None => std::future::pending().await,
    }
}
