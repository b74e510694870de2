//! A socket beside the first one of a connection, which comes and goes without it.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::{Message, WebSocket};
use crate::{AdapterError, Backoff, Pauses, abi::ErrorCode};

type Opening = Pin<Box<dyn Future<Output = Result<WebSocket, AdapterError>>>>;

/// A second socket, for what the broker does not send on the first: deep books, order updates. It is open while something is
/// wanted of it, and opened again after pauses that grow when it was lost: the first one does not notice. After an error that
/// trying again does not mend, such as a refused token, the pause is the longest.
///
/// Keep it in the [`Protocol`](crate::session::Protocol), and call [`Self::next`] in its `wait`.
pub struct Beside {
    open: Box<dyn Fn() -> Opening>,
    pauses: Pauses,
    /// Least time between two attempts, however fast it is wanted and left.
    spacing: Duration,
    not_before: Instant,
    state: State,
}

enum State {
    Idle,
    Waiting(Instant),
    Opening(Opening),
    /// Since then.
    Open(Box<WebSocket>, Instant),
}

/// What happens to a socket beside the first.
#[derive(Debug)]
#[non_exhaustive]
pub enum BesideEvent {
    /// It is open: [`Beside::socket`] takes what is to be said first.
    Opened,
    /// A message came.
    Message(Message),
    /// It could not be had, or was lost. It is opened again by itself.
    Lost(AdapterError),
}

impl Beside {
    /// Nothing is wanted yet. `open` is called each time that it is to be opened, and no sooner than `backoff.first` after the last
    /// time.
    pub fn new<F>(backoff: Backoff, open: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = Result<WebSocket, AdapterError>> + 'static,
    {
        let open = Box::new(move || -> Opening { Box::pin(open()) });
        let (spacing, not_before) = (backoff.first, Instant::now());
        Self { open, pauses: Pauses::new(backoff), spacing, not_before, state: State::Idle }
    }

    /// Something is wanted of it: it is opened, unless it is open or about to be.
    pub fn want(&mut self) {
        if matches!(self.state, State::Idle) {
            self.state = State::Waiting(self.not_before);
        }
    }

    /// Nothing is wanted of it any more: it is dropped, since brokers count sockets.
    pub fn leave(&mut self) {
        self.state = State::Idle;
    }

    /// Says goodbye, if it is open: brokers that count sockets go on counting one that was only dropped.
    pub async fn close(self) {
        if let State::Open(socket, _) = self.state {
            socket.close().await;
        }
    }

    /// The socket, while it is open.
    pub fn socket(&mut self) -> Option<&mut WebSocket> {
        match &mut self.state {
            State::Open(socket, _) => Some(socket),
            _ => None,
        }
    }

    /// Waits for what comes next; for ever when nothing is wanted.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> BesideEvent {
        loop {
            let (error, lasted) = match &mut self.state {
                State::Idle => std::future::pending().await,
                State::Waiting(at) => {
                    sleep_until(*at).await;
                    self.not_before = Instant::now() + self.spacing;
                    self.state = State::Opening((self.open)());
                    continue;
                }
                State::Opening(work) => match work.as_mut().await {
                    Ok(socket) => {
                        self.state = State::Open(Box::new(socket), Instant::now());
                        return BesideEvent::Opened;
                    }
                    Err(error) => (error, Duration::ZERO),
                },
                State::Open(socket, since) => match socket.next().await {
                    Ok(message) => return BesideEvent::Message(message),
                    Err(error) => (error, since.elapsed()),
                },
            };
            let is_in_vain = !error.is_retryable() || error.code() == ErrorCode::RATE_LIMITED;
            self.not_before = Instant::now() + self.pauses.after_failure(lasted, is_in_vain);
            self.state = State::Waiting(self.not_before);
            return BesideEvent::Lost(error);
        }
    }
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside")
            .field("is_open", &matches!(self.state, State::Open(..)))
            .finish_non_exhaustive()
    }
}
