//! The client port: accepts connections within the limits and spreads them over the shards.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    descriptors,
    protocol::codes::CloseReason,
    shard::{Arrival, ShardCommand, ShardHandle},
    tls::{Handshakes, Incoming},
    upgrade::{self, Refusal, Refusals},
};

/// Pause after the system refuses a connection, most often for want of descriptors: without it the loop would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections over the limit whose upgrade is answered, to be told so with a close code, at one time.
const REFUSALS_AT_ONCE: usize = 64;

/// Connections beyond those that are told so with an HTTP status, at one time; the rest is dropped without a word.
const TURNED_AWAY_AT_ONCE: usize = 256;

/// Unsent bytes that the kernel takes for one connection before it says that the client is slow. What waits in the
/// kernel cannot conflate any more, so a slow client would read old prices out of megabytes of buffer.
const UNSENT_LOW_WATER_BYTES: u32 = 128 * 1_024;

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// In total.
    pub total: usize,
    /// From one address.
    pub per_address: usize,
}

/// Places that are taken.
#[derive(Debug)]
pub struct Admissions {
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    limits: ConnectionLimits,
    total: usize,
    by_address: FxHashMap<IpAddr, usize>,
    refusals: usize,
    turned_away: usize,
}

/// A place among the connections, given back when dropped.
#[derive(Debug)]
pub struct Admission {
    admissions: Arc<Admissions>,
    place: Place,
}

/// Among which connections a place is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Those that are served, from this address.
    Served(IpAddr),
    /// Those that are told with a close code that they are refused.
    Refused,
    /// Those that are told so with a status.
    TurnedAway,
}

impl Admissions {
    /// Nobody is connected.
    pub fn new(limits: ConnectionLimits) -> Arc<Self> {
        let taken = Taken { limits, total: 0, by_address: FxHashMap::default(), refusals: 0, turned_away: 0 };
        Arc::new(Self { taken: Mutex::new(taken) })
    }

    /// Other limits from now on. Who is connected stays, even if that is more than they allow.
    pub fn limit(&self, limits: ConnectionLimits) {
        self.taken.lock().limits = limits;
    }

    /// Takes a place.
    ///
    /// # Errors
    /// Which limit was reached.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, CloseReason> {
        let mut taken = self.taken.lock();
        let limits = taken.limits;
        if taken.total >= limits.total {
            return Err(CloseReason::TooManyConnections);
        }
        let from_address = taken.by_address.entry(address).or_default();
        if *from_address >= limits.per_address {
            return Err(CloseReason::TooManyFromAddress);
        }
        *from_address += 1;
        taken.total += 1;
        Ok(Admission { admissions: Arc::clone(self), place: Place::Served(address) })
    }

    /// Takes one of the few places of those who are told why they are refused.
    pub fn refuse(self: &Arc<Self>) -> Option<Admission> {
        let mut taken = self.taken.lock();
        if taken.refusals >= REFUSALS_AT_ONCE {
            return None;
        }
        taken.refusals += 1;
        Some(Admission { admissions: Arc::clone(self), place: Place::Refused })
    }

    /// Takes one of the places of those who are told so for less.
    pub fn turn_away(self: &Arc<Self>) -> Option<Admission> {
        let mut taken = self.taken.lock();
        if taken.turned_away >= TURNED_AWAY_AT_ONCE {
            return None;
        }
        taken.turned_away += 1;
        Some(Admission { admissions: Arc::clone(self), place: Place::TurnedAway })
    }

    /// The limits in force.
    pub fn limits(&self) -> ConnectionLimits {
        self.taken.lock().limits
    }

    /// Connections at the moment.
    pub fn open(&self) -> usize {
        self.taken.lock().total
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut taken = self.admissions.taken.lock();
        let address = match self.place {
            Place::Served(address) => address,
            Place::Refused => {
                taken.refusals = taken.refusals.saturating_sub(1);
                return;
            }
            Place::TurnedAway => {
                taken.turned_away = taken.turned_away.saturating_sub(1);
                return;
            }
        };
        taken.total = taken.total.saturating_sub(1);
        if let Some(count) = taken.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

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
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                counters.accept_errors.add(1);
                tracing::warn!(%error, "Could not accept a connection");
                tokio::select! {
                    () = tokio::time::sleep(ACCEPT_PAUSE) => continue,
                    () = shutdown.cancelled() => return,
                }
            }
        };
        counters.connections.add(1);
        if !descriptors::has_room_for(&stream) {
            counters.refused_without_descriptors.add(1);
            refusals.note(Refusal::NoRoom, peer);
            continue;
        }
        let since = Instant::now();
        let admission = admissions.admit(peer.ip());
        let Ok(stream) = prepare(stream) else { continue };
        let mut refusal = None;
        if let Err(reason) = &admission {
            match reason {
                CloseReason::TooManyFromAddress => counters.refused_per_address.add(1),
                _ => counters.refused_total.add(1),
            }
            let Some(place) = admissions.refuse() else {
                refusals.note(Refusal::NoRoom, peer);
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
        let arrive = {
            let shard = Arc::clone(shard);
            move |stream| {
                let arrival = Arrival { stream, peer, since, admission, refusal };
                shard.commands.push(ShardCommand::Accept(arrival));
            }
        };
        match &handshakes {
            None => arrive(Incoming::Plain(stream)),
            Some(handshakes) => handshakes.begin(stream, peer, arrive),
        }
    }
}

/// Tells a connection that there is no room for it, in its status.
async fn turn_away(stream: std::net::TcpStream, _place: Admission) {
    if let Ok(mut stream) = tokio::net::TcpStream::from_std(stream) {
        upgrade::refuse(&mut stream, Refusal::NoRoom.into()).await;
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn each_limit_is_named_and_a_place_is_given_back() {
        let admissions = Admissions::new(ConnectionLimits { total: 3, per_address: 2 });
        let first = admissions.admit(A).unwrap();
        let _second = admissions.admit(A).unwrap();
        assert_eq!(admissions.admit(A).unwrap_err(), CloseReason::TooManyFromAddress);
        let _third = admissions.admit(B).unwrap();
        assert_eq!(admissions.admit(B).unwrap_err(), CloseReason::TooManyConnections);
        drop(first);
        assert_eq!(admissions.open(), 2);
        assert!(admissions.admit(A).is_ok());
    }

    #[test]
    fn smaller_limits_keep_new_ones_out_and_nobody_in() {
        let admissions = Admissions::new(ConnectionLimits { total: 3, per_address: 3 });
        let held = [admissions.admit(A).unwrap(), admissions.admit(A).unwrap()];
        admissions.limit(ConnectionLimits { total: 1, per_address: 1 });
        assert_eq!(admissions.open(), 2);
        assert!(admissions.admit(B).is_err());
        drop(held);
        assert!(admissions.admit(B).is_ok());
    }

    #[test]
    fn only_so_many_are_told_why_they_are_refused() {
        let admissions = Admissions::new(ConnectionLimits { total: 0, per_address: 0 });
        let told: Vec<_> = std::iter::from_fn(|| admissions.refuse()).collect();
        assert_eq!(told.len(), REFUSALS_AT_ONCE);
        drop(told);
        assert!(admissions.refuse().is_some());
        let turned_away: Vec<_> = std::iter::from_fn(|| admissions.turn_away()).collect();
        assert_eq!(turned_away.len(), TURNED_AWAY_AT_ONCE);
        drop(turned_away);
        assert!(admissions.turn_away().is_some());
    }
}
