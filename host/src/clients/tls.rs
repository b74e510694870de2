//! Encryption of the client port: what comes from the certificate's files, and the handshakes made with it.
//!
//! A certificate that was loaded stays in force until a better one has been read: files that are half
//! written, do not belong together or are gone change nothing but the log. Connections that are up keep what
//! they began with.

mod files;
mod follow;
mod handshake;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::ServerConfig;
use secrecy::SecretString;

use self::files::Loaded;
pub use self::{
    files::TlsError,
    follow::follow,
    handshake::Handshakes,
    wire::{Incoming, Transport},
};
pub use crate::config::TlsFiles;

/// The certificate that new connections are shown. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ArcSwap<ServerConfig>,
    /// One look at a time.
    looking: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    files: TlsFiles,
    /// Contents of the files that are in force.
    in_force: Contents,
    /// Why the present files are not in force.
    error: Option<TlsError>,
}

/// The text of both files. The key is kept to be compared, and shows nowhere.
#[derive(Clone, Debug)]
struct Contents {
    certificate: Vec<u8>,
    key: SecretString,
}

/// What a look at the files came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The files are those in force.
    Same,
    /// New files are in force.
    Changed,
    /// The files cannot be used; those before stay in force.
    Refused,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let Loaded { config, contents } = files.load()?;
        let state = State { files, in_force: contents, error: None };
        Ok(Self(Arc::new(Inner {
            config: ArcSwap::new(config),
            state: Mutex::new(state),
            looking: Mutex::default(),
        })))
    }

    /// What the next handshake uses.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.0.config.load_full()
    }

    /// Why the present files are not in force, if they are not.
    pub fn error(&self) -> Option<TlsError> {
        self.0.state.lock().error.clone()
    }

    /// Looks at the files again, or at others if `elsewhere` names them, and takes them if they can be used.
    /// Blocks while it reads. Says in the log what is news.
    pub fn look(&self, elsewhere: Option<TlsFiles>) -> Looked {
        let _turn = self.0.looking.lock();
        let files = elsewhere.unwrap_or_else(|| self.0.state.lock().files.clone());
        // Before the lock: whoever asks for the state does not wait for the disk.
        let loaded = files.load();
        let mut state = self.0.state.lock();
        match loaded {
            Ok(loaded) => {
                let is_same = loaded.contents.is_same(&state.in_force);
                let was_wrong = state.error.take().is_some();
                state.files = files;
                if is_same {
                    if was_wrong {
                        tracing::info!("The certificate of the client port is again the one in force");
                    }
                    return Looked::Same;
                }
                self.0.config.store(loaded.config);
                state.in_force = loaded.contents;
                tracing::info!(
                    certificate = %state.files.certificate.display(),
                    "New connections are shown a new certificate"
                );
                Looked::Changed
            }
            Err(error) => {
                if state.error.as_ref() != Some(&error) {
                    tracing::error!(
                        %error,
                        "The certificate of the client port cannot be used; the one before stays in force"
                    );
                }
                state.error = Some(error);
                Looked::Refused
            }
        }
    }
}
