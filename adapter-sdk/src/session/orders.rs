//! A second socket, for the order updates of the account.

use std::{
    fmt,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::{
    AdapterError, Backoff,
    abi::ErrorCode,
    fingerprint,
    net::{Beside, BesideEvent, HandshakeError, Message, Network, WebSocket, WebSocketRequest},
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
/// The host may run several connections of an account, each an instance of its own, often in a process of its
/// own. The updates must come once. So each connection tries to lock one file in a folder that they share,
/// and the one that gets the lock opens the socket. The system frees the lock when its holder ends, however
/// that happens, and another connection takes over within five seconds. What the broker says meanwhile is
/// lost.
///
/// A socket that is refused or lost is reopened after a pause, from two seconds up to five minutes.
/// Trouble here is logged, and never ends the market feed.
pub struct OrderSocket {
    socket: Beside,
    lock_path: PathBuf,
    /// Held while this connection is the one that asks.
    lock: Option<File>,
    /// When to look whether the lock is free.
    look_at: Instant,
    /// Whether it was said that the lock cannot be tried.
    is_lock_trouble_known: bool,
    /// What has come, and was not taken yet.
    kept: Option<Message>,
    /// Answers in a row that made no sense, and how many of them are enough.
    senseless: u8,
    enough: Option<u8>,
}

impl OrderSocket {
    /// The order socket of one connection, which is opened while it is waited for. `folder` is one that the
    /// account's connections share, such as [`Master::directory`](crate::instruments::Master::directory);
    /// `explain` says what a refused handshake means.
    pub fn new(
        network: &Network,
        request: WebSocketRequest,
        explain: fn(HandshakeError) -> AdapterError,
        folder: &Path,
        account: &str,
    ) -> Self {
        let network = network.clone();
        let open = move || {
            let (network, request) = (network.clone(), request.clone());
            async move { network.websocket(request).await.map_err(explain) }
        };
        Self::opened_by(open, folder, account)
    }

    /// The same where more has to be done than to open it, each time: a token to be asked for, or a log-in to
    /// be queued as its first message.
    pub fn opened_by<F>(open: impl Fn() -> F + 'static, folder: &Path, account: &str) -> Self
    where
        F: Future<Output = Result<WebSocket, AdapterError>> + 'static,
    {
        Self {
            socket: Beside::new(BACKOFF, open),
            // A file's name is no place for what an account is called.
            lock_path: folder.join(format!("orders-{:016x}.lock", fingerprint(account))),
            lock: None,
            look_at: Instant::now(),
            is_lock_trouble_known: false,
            kept: None,
            senseless: 0,
            enough: None,
        }
    }

    /// Does not try any more after so many answers in a row that make no sense, which are errors of the
    /// protocol: some brokers answer so to accounts without order updates.
    #[must_use]
    pub const fn giving_up_after(mut self, senseless: u8) -> Self {
        self.enough = Some(senseless);
        self
    }

    /// Waits for the next message.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Message {
        while self.lock.is_none() {
            sleep_until(self.look_at).await;
            self.look_at = Instant::now() + LOCK_EVERY;
            self.take_lock();
        }
        if self.enough.is_none_or(|enough| self.senseless < enough) {
            self.socket.want();
        }
        loop {
            match self.socket.next().await {
                BesideEvent::Opened => {
                    self.senseless = 0;
                    info!("Order updates are on");
                }
                BesideEvent::Message(message) => return message,
                BesideEvent::Lost(error) => self.lose(&error),
            }
        }
    }

    /// Queues a message, such as the answer to a ping of the broker's own; nothing happens while the socket
    /// is not open.
    pub fn send(&mut self, message: impl Into<Message>) {
        if let Some(socket) = self.socket.socket() {
            socket.send(message.into());
        }
    }

    /// Waits for the next message and keeps it, for [`Protocol::wait`](super::Protocol::wait); [`Self::take`]
    /// gives it in [`Protocol::advance`](super::Protocol::advance). For ever where there is no such socket.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub async fn wait(orders: &mut Option<Self>) {
        match orders {
            Some(orders) if orders.kept.is_none() => orders.kept = Some(orders.next().await),
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    /// The message that [`Self::wait`] has kept.
    pub fn take(orders: &mut Option<Self>) -> Option<Message> {
        orders.as_mut()?.kept.take()
    }

    fn lose(&mut self, error: &AdapterError) {
        self.senseless = self.senseless.saturating_add(u8::from(error.code() == ErrorCode::PROTOCOL));
        if self.enough.is_some_and(|enough| self.senseless >= enough) {
            info!(%error, "No order updates: the broker seems to have none for this account");
            self.socket.leave();
        } else {
            warn!(%error, "No order updates; trying again");
        }
    }

    fn take_lock(&mut self) {
        let opened = File::options().create(true).truncate(false).write(true).open(&self.lock_path);
        match opened.map(|file| (file.try_lock(), file)) {
            Ok((Ok(()), file)) => self.lock = Some(file),
            Ok((Err(TryLockError::WouldBlock), _)) => {}
            Ok((Err(TryLockError::Error(error)), _)) | Err(error) => {
                if !std::mem::replace(&mut self.is_lock_trouble_known, true) {
                    warn!(%error, file = %self.lock_path.display(), "No order updates: set cache_dir");
                }
            }
        }
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.socket.close().await;
    }
}

impl fmt::Debug for OrderSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderSocket").field("is_locked", &self.lock.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

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
        let has = |socket: &mut OrderSocket| {
            socket.take_lock();
            socket.lock.is_some()
        };
        assert_eq!((has(&mut first), has(&mut second), has(&mut other)), (true, false, true));
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(names.map(|name| name.into_string().unwrap()).all(|name| !name.contains("A123456")));
        drop(first);
        assert!(has(&mut second));
        let mut nowhere = socket(&folder.path().join("missing"), "A123456");
        assert_eq!((has(&mut nowhere), nowhere.is_lock_trouble_known), (false, true));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_that_make_no_sense_are_enough_at_some_time_and_other_trouble_never_is() {
        for (error, most) in
            [(AdapterError::protocol("no token"), 3), (AdapterError::network("away"), usize::MAX)]
        {
            let folder = tempfile::tempdir().unwrap();
            let tries = Rc::new(Cell::new(0));
            let count = Rc::clone(&tries);
            let open = move || {
                count.set(count.get() + 1);
                std::future::ready(Err(error.clone()))
            };
            let mut socket = OrderSocket::opened_by(open, folder.path(), "A").giving_up_after(3);
            // The future is dropped and begun again all the time.
            for _ in 0..1_000 {
                _ = tokio::time::timeout(Duration::from_mins(1), socket.next()).await;
            }
            assert!(tries.get() == most || (most == usize::MAX && tries.get() > 100), "{}", tries.get());
        }
    }
}
