//! Sockets that lead elsewhere than to a broker.
#![expect(unsafe_code, reason = "attacks are system calls that no safe interface has")]

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs as _},
    os::unix::net::UnixDatagram,
};

use super::{Outcome, said};

/// The buses and daemons of the machine, whose doors are files.
pub(super) fn unix() -> Outcome {
    UnixDatagram::unbound().map(|_| "a local socket".to_owned()).map_err(|error| error.to_string())
}

/// The kernel's ciphers, as one of the many families that nobody needs.
pub(super) fn odd_family() -> Outcome {
    // SAFETY: the call takes numbers.
    said(unsafe { libc::socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0) }.into())?;
    Ok("a socket".to_owned())
}

/// A port that others take for somebody else's.
pub(super) fn listen() -> Outcome {
    // One that the system gives would tell nothing: it is what a client has too.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let port = free.map_or(48_765, |address| address.port());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    listener.map(|_| "a port".to_owned()).map_err(|error| error.to_string())
}

pub(super) fn connect(port: u16) -> Outcome {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    stream.map(|_| "a connection".to_owned()).map_err(|error| error.to_string())
}

/// No attack: what an honest adapter does.
pub(super) fn resolve() -> Outcome {
    let found = ("localhost", 80).to_socket_addrs().map_err(|error| error.to_string())?;
    found.map(|address| address.ip().to_string()).next().ok_or_else(|| "nothing".to_owned())
}
