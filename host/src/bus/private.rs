//! The private socket behind the guard, where the SUB socket listens and only this user can connect.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// What names of private sockets begin with.
pub(super) const SOCKET_PREFIX: &str = "bus-";

/// The two directions of a connection.
pub(super) type Halves = (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>);

/// Where the SUB socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Private {
    #[cfg(unix)]
    Path(PathBuf),
    #[cfg_attr(unix, expect(dead_code, reason = "for systems without local sockets"))]
    Loopback(u16),
}

impl Private {
    /// From the endpoint that was bound.
    pub(super) fn bound(endpoint: &zeromq::Endpoint) -> Option<Self> {
        match endpoint {
            #[cfg(unix)]
            zeromq::Endpoint::Ipc(Some(path)) => Some(Self::Path(path.clone())),
            #[cfg(not(unix))]
            zeromq::Endpoint::Tcp(_, port) => Some(Self::Loopback(*port)),
            _ => None,
        }
    }

    /// Removes what a bound socket leaves in the file system.
    pub(super) fn remove(&self) {
        #[cfg(unix)]
        if let Self::Path(path) = self {
            // It may be gone already, with its directory.
            _ = std::fs::remove_file(path);
        }
    }

    pub(super) async fn connect(&self) -> io::Result<Halves> {
        match self {
            #[cfg(unix)]
            Self::Path(path) => {
                let (read, write) = tokio::net::UnixStream::connect(path).await?.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
            Self::Loopback(port) => {
                let (read, write) = TcpStream::connect(("127.0.0.1", *port)).await?.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
        }
    }
}

/// Removes sockets that nobody listens on any more: what killed hosts left behind.
pub(super) fn remove_stale(run_dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    for entry in std::fs::read_dir(run_dir)? {
        let path = entry?.path();
        let is_ours = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(SOCKET_PREFIX));
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if is_ours && std::os::unix::net::UnixStream::connect(&path).is_err_and(|error| refused(&error)) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_killed_hosts_are_removed_and_those_in_use_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let [dead, live, other] = ["bus-1.sock", "bus-2.sock", "notes"].map(|name| dir.path().join(name));
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let _listening = std::os::unix::net::UnixListener::bind(&live).unwrap();
        std::fs::write(&other, "").unwrap();
        remove_stale(dir.path()).unwrap();
        assert_eq!([dead, live, other].map(|path| path.exists()), [false, true, true]);
    }
}
