//! Order updates: a second WebSocket of the broker's, beside the market feed of one connection of the account.
//!
//! The host may run several connections of an account, each an instance of its own, often in a process of its own. The
//! updates must come once. So each connection tries to lock one file beside the list of instruments, and the one that
//! gets the lock asks for updates. The system frees the lock when its holder ends, however that happens, and another
//! connection takes over within [`LOCK_EVERY`].

mod message;

use std::{
    fs::{File, TryLockError},
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
};

use adapter_sdk::{
    AdapterError, Backoff, Credentials, Pauses,
    abi::ErrorCode,
    fingerprint,
    instruments::Master,
    net::{HandshakeError, Heartbeat, Message, Network, WebSocket, WebSocketRequest},
    read::Odd,
    tracing::{info, warn},
};
use tokio::time::{Duration, Instant, sleep_until};

pub(crate) use self::message::Said;
use crate::{
    auth,
    config::Settings,
    list::List,
    login::{client_code, jwt},
};

/// Longest message.
const MESSAGE_BYTES: usize = 256 << 10;

/// Pause between two looks whether the lock is free.
const LOCK_EVERY: Duration = Duration::from_secs(5);

/// Pauses between two attempts to connect.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_secs(2),
    longest: Duration::from_mins(5),
    stable_after: Duration::from_mins(1),
};

/// The order socket of one connection.
pub(crate) struct Orders {
    request: WebSocketRequest,
    network: Network,
    lock_path: PathBuf,
    /// Held while this connection is the one that asks.
    lock: Option<File>,
    /// Whether it was said that the lock cannot be tried.
    is_lock_trouble_known: bool,
    state: State,
    pauses: Pauses,
    master: Arc<Master<List>>,
    /// Members of updates that made no sense.
    odd: Odd,
    has_complained: bool,
}

type Opening = Pin<Box<dyn Future<Output = Result<WebSocket, HandshakeError>>>>;

enum State {
    Waiting(Instant),
    Opening(Opening),
    /// Since then.
    Open(Box<WebSocket>, Instant),
}

impl std::fmt::Debug for Orders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Orders").field("is_locked", &self.lock.is_some()).finish_non_exhaustive()
    }
}

impl Orders {
    /// None when order updates are switched off.
    pub(crate) fn new(
        settings: &Settings,
        credentials: &Credentials,
        master: Arc<Master<List>>,
    ) -> Result<Option<Self>, AdapterError> {
        let (Some(url), Some(directory)) = (&settings.order_ws_url, master.directory()) else {
            return Ok(None);
        };
        // A file's name is no place for a client code.
        let name = format!("orders-{:016x}.lock", fingerprint(client_code(credentials)?));
        let request = WebSocketRequest::new(url.as_str())
            .header("Authorization", format!("Bearer {}", jwt(credentials)?))
            .heartbeat(Heartbeat::Ping(settings.heartbeat))
            .stall_after(settings.stall)
            .max_message_bytes(MESSAGE_BYTES);
        Ok(Some(Self {
            request,
            network: settings.network.clone(),
            lock_path: directory.join(name),
            lock: None,
            is_lock_trouble_known: false,
            state: State::Waiting(Instant::now()),
            pauses: Pauses::new(BACKOFF),
            master,
            odd: Odd::new(),
            has_complained: false,
        }))
    }

    /// Waits for the next update. Trouble here is logged, and never ends the market feed.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Said {
        loop {
            match &mut self.state {
                State::Waiting(until) => {
                    sleep_until(*until).await;
                    if self.take_lock() {
                        let (network, request) = (self.network.clone(), self.request.clone());
                        self.state =
                            State::Opening(Box::pin(async move { network.websocket(request).await }));
                    } else {
                        self.state = State::Waiting(Instant::now() + LOCK_EVERY);
                    }
                }
                State::Opening(opening) => match opening.await {
                    Ok(socket) => {
                        info!("Order updates are on");
                        self.state = State::Open(Box::new(socket), Instant::now());
                    }
                    Err(error) => self.retry(&auth::refused(error), Duration::ZERO),
                },
                State::Open(socket, since) => match socket.next().await {
                    Ok(Message::Text(text)) => {
                        let list = self.master.list();
                        match message::read(&text, list.as_deref().map(|list| &list.table), &self.odd) {
                            Said::Nothing => {}
                            Said::Undecodable => return self.complain(),
                            update @ Said::Update(_) => return update,
                        }
                    }
                    Ok(Message::Binary(_)) => return self.complain(),
                    Err(error) => {
                        let lasted = since.elapsed();
                        self.retry(&error, lasted);
                    }
                },
            }
        }
    }

    fn complain(&mut self) -> Said {
        if !std::mem::replace(&mut self.has_complained, true) {
            warn!(
                "A message of an order that makes no sense, or has no number; more of them are only counted"
            );
        }
        Said::Undecodable
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
    pub(crate) async fn close(self) {
        if let State::Open(socket, _) = self.state {
            socket.close().await;
        }
    }
}
