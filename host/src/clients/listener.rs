//! The client port: accepts connections within the limits and spreads them over the shards.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tickhost_core::protocol::{codes::CloseReason, refusal::UpgradeRefusal};
use tokio::{net::TcpListener, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    base::{descriptors, log_rate::outside_line},
    clients::{
        admissions::{Admission, Admissions},
        shard::{Arrival, ShardCommand, ShardHandle},
        tls::{Handshakes, Incoming},
        upgrade::{self, Refusals},
    },
};

/// Pause after the system refuses a connection, most often for want of descriptors: without it the loop would
/// spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Between two looks for strangers that have had their time.
const TIDY_INTERVAL: Duration = Duration::from_secs(1);

/// Unsent bytes that the kernel takes for one connection before it says that the client is slow. What waits
/// in the kernel cannot conflate any more, so a slow client would read old prices out of megabytes of buffer.
const UNSENT_LOW_WATER_BYTES: u32 = 128 * 1_024;

/// Accepts connections until `shutdown`. With `handshakes` the port is encrypted.
pub async fn accept(
    listener: TcpListener,
    shards: Vec<Arc<ShardHandle>>,
    admissions: Arc<Admissions>,
    handshakes: Option<Handshakes>,
    refusals: Arc<Refusals>,
    shutdown: CancellationToken,
) {
    let counters = refusals.counters();
    let mut next = 0_usize;
    let mut tidy = tokio::time::interval(TIDY_INTERVAL);
    tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            // First: in a flood there is always somebody to be accepted.
            biased;
            () = shutdown.cancelled() => return,
            _ = tidy.tick() => {
                admissions.tidy(Instant::now());
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                counters.accept_errors.add(1);
                outside_line!(warn, %error, "Could not accept a connection");
                tokio::select! {
                    () = tokio::time::sleep(ACCEPT_PAUSE) => continue,
                    () = shutdown.cancelled() => return,
                }
            }
        };
        counters.connections.add(1);
        if !descriptors::has_room_for(&stream) {
            counters.refused_without_descriptors.add(1);
            refusals.note(UpgradeRefusal::NoRoom, peer);
            continue;
        }
        let since = Instant::now();
        let admission = admissions.admit(peer.ip(), since);
        let Ok(stream) = prepare(stream) else { continue };
        let mut refusal = None;
        if let Err(reason) = &admission {
            match reason {
                CloseReason::TooManyFromAddress => counters.refused_per_address.add(1),
                _ => counters.refused_total.add(1),
            }
            let Some(place) = admissions.refuse() else {
                refusals.note(UpgradeRefusal::NoRoom, peer);
                // To tell it through encryption would cost what there is no room for.
                if handshakes.is_none()
                    && let Some(place) = admissions.turn_away()
                {
                    tokio::spawn(turn_away(stream, place));
                }
                continue;
            };
            refusal = Some(place);
        }
        next = next.wrapping_add(1);
        let Some(shard) = shards.get(next % shards.len().max(1)) else { continue };
        let signal = admission.as_ref().ok().and_then(Admission::signal);
        let arrive = {
            let shard = Arc::clone(shard);
            move |stream| {
                let arrival = Arrival { stream, peer, since, admission, refusal };
                shard.commands.push(ShardCommand::Accept(arrival));
            }
        };
        match &handshakes {
            None => arrive(Incoming::Plain(stream)),
            Some(handshakes) => handshakes.begin(stream, peer, signal, arrive),
        }
    }
}

/// Tells a connection that there is no room for it, in its status.
async fn turn_away(stream: std::net::TcpStream, _place: Admission) {
    if let Ok(mut stream) = tokio::net::TcpStream::from_std(stream) {
        upgrade::refuse(&mut stream, UpgradeRefusal::NoRoom.into()).await;
    }
}

fn prepare(stream: tokio::net::TcpStream) -> io::Result<std::net::TcpStream> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    if let Err(error) = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_LOW_WATER_BYTES) {
        tracing::debug!(%error, "Could not bound unsent bytes");
    }
    Ok(stream)
}

/// Opens the client port.
///
/// # Errors
/// The system's error, when the address is taken or not ours.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    }?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4_096)
}
