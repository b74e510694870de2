//! Where publishers come in: the TCP port, and the Unix socket if there is one.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::net::TcpListener;

use super::{BusError, places::Origin, private::Halves};
use crate::base::descriptors;

/// Somebody who has connected.
pub(super) struct Arrival {
    pub(super) halves: Halves,
    pub(super) origin: Origin,
    /// What logs call it.
    pub(super) peer: String,
}

/// What became of a connection that was accepted.
pub(super) enum Accepted {
    /// Somebody who may speak.
    Arrival(Arrival),
    /// Nobody: a program of another user came to the Unix socket.
    OtherUser,
    /// Nobody: the descriptors that are left are kept for others.
    NoRoom,
}

/// A port or a socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

/// The Unix socket. Whatever the rights on its file and folder are, only programs of the host's own user come
/// in.
#[cfg(unix)]
#[derive(Debug)]
pub(super) struct UnixListener {
    listener: tokio::net::UnixListener,
    path: PathBuf,
    owner: u32,
}

impl Listener {
    /// Whoever comes next.
    ///
    /// # Errors
    /// Those of the system.
    ///
    /// # Cancel Safety
    /// Nobody is lost.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                if !descriptors::has_room_for(&stream) {
                    return Ok(Accepted::NoRoom);
                }
                // It only delays the answer to a PING.
                _ = stream.set_nodelay(true);
                let (from, to) = stream.into_split();
                let halves: Halves = (Box::new(from), Box::new(to));
                Ok(Accepted::Arrival(Arrival {
                    halves,
                    origin: Origin::of(peer.ip()),
                    peer: peer.to_string(),
                }))
            }
            #[cfg(unix)]
            Self::Unix(socket) => {
                let (stream, _) = socket.listener.accept().await?;
                let user = stream.peer_cred()?.uid();
                if user != socket.owner && user != 0 {
                    return Ok(Accepted::OtherUser);
                }
                if !descriptors::has_room_for(&stream) {
                    return Ok(Accepted::NoRoom);
                }
                let (from, to) = stream.into_split();
                let halves: Halves = (Box::new(from), Box::new(to));
                let peer = socket.path.display().to_string();
                Ok(Accepted::Arrival(Arrival { halves, origin: Origin::Socket, peer }))
            }
        }
    }
}

#[cfg(unix)]
impl Drop for UnixListener {
    fn drop(&mut self) {
        // It may be gone already, with its folder.
        _ = std::fs::remove_file(&self.path);
    }
}

/// Opens the TCP port.
pub(super) fn bind(address: SocketAddr) -> Result<std::net::TcpListener, BusError> {
    let failed = |reason| BusError::Listen { address, reason };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Opens the Unix socket.
#[cfg(unix)]
pub(super) fn bind_unix(path: &Path) -> Result<Listener, BusError> {
    let bind = || {
        let (listener, owner) = open_unix(path)?;
        Ok(Listener::Unix(UnixListener {
            listener: tokio::net::UnixListener::from_std(listener)?,
            path: path.to_owned(),
            owner,
        }))
    };
    bind().map_err(|reason| BusError::Socket { path: path.to_owned(), reason })
}

/// Opens the Unix socket, and gives the user whose it is. What a killed host left at the path is removed;
/// what anybody listens on, and what is no socket, stays.
#[cfg(unix)]
fn open_unix(path: &Path) -> io::Result<(std::os::unix::net::UnixListener, u32)> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket"));
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there")),
        },
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    let owner = std::fs::symlink_metadata(path)?.uid();
    Ok((listener, owner))
}

/// There are none here.
#[cfg(not(unix))]
pub(super) fn bind_unix(path: &Path) -> Result<Listener, BusError> {
    Err(BusError::Socket { path: path.to_owned(), reason: io::ErrorKind::Unsupported.into() })
}

/// Opens the Unix socket and closes it at once.
///
/// # Errors
/// Why it cannot be opened.
pub fn probe_unix(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        drop(open_unix(path)?);
        std::fs::remove_file(path)
    }
    #[cfg(not(unix))]
    {
        _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }
}
