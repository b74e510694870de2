//! A socket beside the first one of a connection, which comes and goes without it.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use super::{Message, WebSocket};
use crate::{AdapterError, Backoff, Pauses, abi::ErrorCode};

type Opening = Pin<Box<dyn Future<Output = Result<WebSocket, AdapterError>>>>;

/// Longest time for a goodbye.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

/// A second socket, for what the broker does not send on the first: deep books, order updates. It is open
/// while something is wanted of it, and opened again after pauses that grow when it was lost: the first one
/// does not notice. After an error that trying again does not mend, such as a refused token, the pause is the
/// longest.
///
/// Keep it in the [`Protocol`](crate::session::Protocol), and call [`Self::next`] in its `wait`.
pub struct Beside {
    open: Box<dyn Fn() -> Opening>,
    pauses: Pauses,
    /// Least time between two attempts, however fast it is wanted and left.
    spacing: Duration,
    /// Least pause after an error that trying again does not mend.
    patience: Duration,
    not_before: Instant,
    state: State,
}

enum State {
    Idle,
    Waiting(Instant),
    Opening(Opening),
    /// Since then.
    Open(Box<WebSocket>, Instant),
    /// And whether it is to be opened again.
    Parting(Pin<Box<dyn Future<Output = ()>>>, bool),
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
    /// Nothing is wanted yet. `open` is called each time that it is to be opened, and no sooner than
    /// `backoff.first` after the last time.
    pub fn new<F>(backoff: Backoff, open: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = Result<WebSocket, AdapterError>> + 'static,
    {
        let open = Box::new(move || -> Opening { Box::pin(open()) });
        let (spacing, not_before) = (backoff.first, Instant::now());
        let (pauses, patience) = (Pauses::new(backoff), Duration::ZERO);
        Self { open, pauses, spacing, patience, not_before, state: State::Idle }
    }

    /// Pauses so long at least after an error that trying again does not mend, where the longest pause is too
    /// short for that: a broker that finds too many sockets may end another one next time.
    #[must_use]
    pub const fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Something is wanted of it: it is opened, unless it is open or about to be.
    pub fn want(&mut self) {
        match &mut self.state {
            State::Idle => self.state = State::Waiting(self.not_before),
            State::Parting(_, is_wanted) => *is_wanted = true,
            State::Waiting(_) | State::Opening(_) | State::Open(..) => {}
        }
    }

    /// Nothing is wanted of it any more: it is dropped, since brokers count sockets.
    pub fn leave(&mut self) {
        self.state = State::Idle;
    }

    /// Nothing is wanted of it any more, or nothing that it can still bring: if it is open, the broker is
    /// told so, and it is closed while [`Self::next`] runs. If it is wanted again, it is opened after that:
    /// brokers count sockets, and go on counting one that was only dropped.
    pub fn part(&mut self, goodbye: impl Into<Message>) {
        self.state = match std::mem::replace(&mut self.state, State::Idle) {
            State::Open(socket, _) => State::Parting(Box::pin(say_goodbye(socket, goodbye.into())), false),
            State::Parting(work, _) => State::Parting(work, false),
            State::Idle | State::Waiting(_) | State::Opening(_) => State::Idle,
        };
    }

    /// The broker has said on the socket that it ends it, and this is why: it is dropped, and opened again
    /// after the pause that follows such an error. Nothing happens when it is not open.
    pub fn lose(&mut self, error: &AdapterError) {
        if let State::Open(_, since) = &self.state {
            let lasted = since.elapsed();
            self.pause(error, lasted);
        }
    }

    fn pause(&mut self, error: &AdapterError, lasted: Duration) {
        let is_in_vain = !error.is_retryable() || error.code() == ErrorCode::RATE_LIMITED;
        let pause = self.pauses.after_failure(lasted, is_in_vain);
        self.not_before = Instant::now() + if is_in_vain { pause.max(self.patience) } else { pause };
        self.state = State::Waiting(self.not_before);
    }

    /// Says goodbye, if it is open: brokers that count sockets go on counting one that was only dropped.
    pub async fn close(self) {
        match self.state {
            State::Open(socket, _) => socket.close().await,
            State::Parting(work, _) => work.await,
            State::Idle | State::Waiting(_) | State::Opening(_) => {}
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
                State::Parting(work, is_wanted) => {
                    work.await;
                    self.state = if *is_wanted { State::Waiting(self.not_before) } else { State::Idle };
                    continue;
                }
            };
            self.pause(&error, lasted);
            return BesideEvent::Lost(error);
        }
    }
}

async fn say_goodbye(mut socket: Box<WebSocket>, goodbye: Message) {
    socket.send(goodbye);
    // The broker may be gone, or read no more.
    _ = timeout(GOODBYE_LIMIT, async {
        // It goes out in one turn, or not at all.
        tokio::select! {
            biased;
            _ = socket.next() => {}
            () = std::future::ready(()) => {}
        }
        socket.close().await;
    })
    .await;
}

impl fmt::Debug for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beside")
            .field("is_open", &matches!(self.state, State::Open(..)))
            .finish_non_exhaustive()
    }
}
