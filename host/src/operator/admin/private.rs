//! The way of the host's own commands to it: a local socket in the folder of the host, which nobody else can
//! enter. What strangers do at the operator's port does not keep a command from it.

use std::path::{Path, PathBuf};

/// Name of the socket, in the run directory of the data folder.
const FILE: &str = "control.sock";

/// Where the socket of the host of this data folder is.
pub(super) fn path(run_dir: &Path) -> PathBuf {
    run_dir.join(FILE)
}

/// A socket that listens. Dropping it removes it.
#[cfg(unix)]
#[derive(Debug)]
pub struct PrivateSocket {
    pub(super) listener: tokio::net::UnixListener,
    path: PathBuf,
}

#[cfg(unix)]
impl PrivateSocket {
    /// Listens in the run directory, which belongs to this host alone. Without it commands use the operator's
    /// port, so a file system without sockets, or a path that is too long for one, is no reason not to start.
    pub fn listen(run_dir: &Path) -> Option<Self> {
        use std::{fs, io, os::unix::fs::PermissionsExt as _};

        let path = path(run_dir);
        let listening = || {
            // One that a killed host left: whoever is here has the data folder.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = tokio::net::UnixListener::bind(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match listening() {
            Ok(listener) => Some(Self { listener, path }),
            Err(error) => {
                tracing::warn!(
                    path = %path.display(),
                    %error,
                    "No socket for commands; they use the operator's port, which others may fill"
                );
                None
            }
        }
    }
}

#[cfg(unix)]
impl Drop for PrivateSocket {
    fn drop(&mut self) {
        // Left behind, nobody answers there, and commands try the operator's port.
        _ = std::fs::remove_file(&self.path);
    }
}

/// There are none on this platform.
#[cfg(not(unix))]
#[derive(Debug)]
pub enum PrivateSocket {}

#[cfg(not(unix))]
impl PrivateSocket {
    /// None on this platform; commands use the operator's port.
    pub fn listen(_run_dir: &Path) -> Option<Self> {
        None
    }
}
