//! A second socket, for the order updates of the account.

use std::{
    fmt,
    fs::{File, TryLockError},
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::{
    AdapterError, Backoff, Pauses,
    abi::ErrorCode,
    fingerprint,
    net::{HandshakeError, Message, Network, WebSocket, WebSocketRequest},
};

/// Pause between two looks whether the lock is free.
const LOCK_EVERY: Duration = Duration::from_secs(5);

/// Pauses between two attempts to connect.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(2),
    longest: Duration::from_mins(5),
    stable_after: Duration::from_mins(1),
};

/// The socket of a broker that tells order updates apart from the market feed. Wait for it in
/// [`Protocol::wait`](super::Protocol::wait).
///
/// The host may run several connections of an account, each an instance of its own, often in a process of its own. The
/// updates must come once. So each connection tries to lock one file in a folder that they share, and the one that gets the
/// lock opens the socket. The system frees the lock when its holder ends, however that happens, and another connection takes
/// over within five seconds. What the broker says meanwhile is lost.
///
/// A socket that is refused or lost is opened anew after a pause, from two seconds up to five minutes. Trouble here is logged,
/// and never ends the market feed.
pub struct OrderSocket {
    request: WebSocketRequest,
    network: Network,
    explain: fn(HandshakeError) -> AdapterError,
    lock_path: PathBuf,
    /// Held while this connection is the one that asks.
    lock: Option<File>,
    /// Whether it was said that the lock cannot be tried.
    is_lock_trouble_known: bool,
    state: State,
    pauses: Pauses,
}

type Opening = Pin<Box<dyn Future<Output = Result<WebSocket, HandshakeError>>>>;

enum State {
    Waiting(Instant),
    Opening(Opening),
    /// Since then.
    Open(Box<WebSocket>, Instant),
}

impl OrderSocket {
    /// The order socket of one connection, which is opened while it is waited for. `folder` is one that the account's connections
    /// share, such as [`Master::directory`](crate::instruments::Master::directory); `explain` says what a refused handshake
    /// means.
    pub fn new(
        network: &Network,
        request: WebSocketRequest,
        explain: fn(HandshakeError) -> AdapterError,
        folder: &Path,
        account: &str,
    ) -> Self {
        // A file's name is no place for what an account is called.
        let lock_path = folder.join(format!("orders-{:016x}.lock", fingerprint(account)));
        Self {
            request,
            network: network.clone(),
            explain,
            lock_path,
            lock: None,
            is_lock_trouble_known: false,
            state: State::Waiting(Instant::now()),
            pauses: Pauses::new(BACKOFF),
        }
    }

    /// Waits for the next message.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Message {
        loop {
            match &mut self.state {
                State::Waiting(until) => {
                    sleep_until(*until).await;
                    self.state = if self.take_lock() {
                        let (network, request) = (self.network.clone(), self.request.clone());
                        State::Opening(Box::pin(async move { network.websocket(request).await }))
                    } else {
                        State::Waiting(Instant::now() + LOCK_EVERY)
                    };
                }
                State::Opening(opening) => match opening.await {
                    Ok(socket) => {
                        info!("Order updates are on");
                        self.state = State::Open(Box::new(socket), Instant::now());
                    }
                    Err(error) => self.retry(&(self.explain)(error), Duration::ZERO),
                },
                State::Open(socket, since) => match socket.next().await {
                    Ok(message) => return message,
                    Err(error) => {
                        let lasted = since.elapsed();
                        self.retry(&error, lasted);
                    }
                },
            }
        }
    }

    fn retry(&mut self, error: &AdapterError, lasted: Duration) {
        let pause = self.pauses.after_failure(lasted, error.code() == ErrorCode::RATE_LIMITED);
        warn!(%error, retry_in_ms = pause.as_millis(), "No order updates");
        self.state = State::Waiting(Instant::now() + pause);
    }

    fn take_lock(&mut self) -> bool {
        if self.lock.is_some() {
            return true;
        }
        let opened = File::options().create(true).truncate(false).write(true).open(&self.lock_path);
        match opened.map(|file| (file.try_lock(), file)) {
            Ok((Ok(()), file)) => {
                self.lock = Some(file);
                true
            }
            Ok((Err(TryLockError::WouldBlock), _)) => false,
            Ok((Err(TryLockError::Error(error)), _)) | Err(error) => {
                if !std::mem::replace(&mut self.is_lock_trouble_known, true) {
                    warn!(%error, file = %self.lock_path.display(), "No order updates: set cache_dir");
                }
                false
            }
        }
    }

    /// Says goodbye.
    pub async fn close(self) {
        if let State::Open(socket, _) = self.state {
            socket.close().await;
        }
    }
}

impl fmt::Debug for OrderSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderSocket").field("is_locked", &self.lock.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::NetworkConfig;

    #[tokio::test]
    async fn one_connection_of_an_account_has_the_lock_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let socket = |folder: &Path, account: &str| {
            let network = Network::new(NetworkConfig::default()).unwrap();
            OrderSocket::new(&network, WebSocketRequest::new("ws://x"), AdapterError::from, folder, account)
        };
        let [mut first, mut second] = [(), ()].map(|()| socket(folder.path(), "A123456"));
        let mut other = socket(folder.path(), "B");
        assert_eq!((first.take_lock(), second.take_lock(), other.take_lock()), (true, false, true));
        assert!(first.take_lock(), "it has it");
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.map(|name| name.into_string().unwrap()).all(|name| !name.contains("A123456")));
        drop(first);
        assert!(second.take_lock());
        let mut nowhere = socket(&folder.path().join("missing"), "A123456");
        assert_eq!((nowhere.take_lock(), nowhere.is_lock_trouble_known), (false, true));
    }
}
