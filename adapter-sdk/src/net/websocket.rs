//! A WebSocket that keeps itself alive, and says when it is dead.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use reqwest::Upgraded;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::{WebSocketStream, tungstenite};

use super::{Closed, Message, Text, error::lost};
use crate::AdapterError;

/// What to open. Make it with [`WebSocketRequest::new`] and the methods that follow.
#[derive(Clone)]
pub struct WebSocketRequest {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    heartbeat: Option<Heartbeat>,
    stall_after: Duration,
    pace: Duration,
    pub(super) max_message_bytes: usize,
}

impl fmt::Debug for WebSocketRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither address nor headers: brokers put tokens into both.
        f.debug_struct("WebSocketRequest").field("heartbeat", &self.heartbeat).finish_non_exhaustive()
    }
}

/// What this side says to show that it lives, and how often: at most once in 10 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heartbeat {
    /// Pings of the WebSocket protocol, so far apart.
    Ping(Duration),
    /// A text of the broker's own, so far apart.
    Text(&'static str, Duration),
    /// A message that is no constant, such as one with an account's number in it, or that is binary, so far
    /// apart.
    Message(Message, Duration),
    /// A message of the broker's own, and a ping with each: for brokers that want the one and answer nothing
    /// but the other.
    WithPing(Message, Duration),
}

impl Heartbeat {
    /// Shortest time between two: none would keep this side busy with nothing else.
    const LEAST: Duration = Duration::from_millis(10);

    fn every(&self) -> Duration {
        match self {
            Self::Ping(every) | Self::Text(_, every) | Self::Message(_, every) | Self::WithPing(_, every) => {
                (*every).max(Self::LEAST)
            }
        }
    }

    fn frame(&self) -> tungstenite::Message {
        match self {
            Self::Ping(_) | Self::WithPing(..) => tungstenite::Message::Ping(Bytes::new()),
            Self::Text(text, _) => Message::from(*text).into_frame(),
            Self::Message(message, _) => message.clone().into_frame(),
        }
    }
}

/// Most messages that wait to be sent. There are never so many, unless the broker does not read.
const MAX_QUEUED: usize = 16_384;

impl WebSocketRequest {
    /// An address, `ws://…` or `wss://…`, with whatever the broker wants in its query.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Vec::new(),
            heartbeat: None,
            stall_after: Duration::from_secs(30),
            pace: Duration::ZERO,
            max_message_bytes: 1 << 20,
        }
    }

    /// Adds a header, which replaces an earlier one of the same name.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// What this side sends to show that it lives; nothing if not set. Pings of the broker are answered in
    /// any case.
    #[must_use]
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// Silence after which the connection counts as dead; 30 seconds if not set. Every frame breaks it, pongs
    /// too.
    #[must_use]
    pub const fn stall_after(mut self, silence: Duration) -> Self {
        self.stall_after = silence;
        self
    }

    /// Shortest time between two queued messages; none if not set.
    #[must_use]
    pub const fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// Longest message of the broker; 1 MiB if not set. A longer one ends the connection.
    #[must_use]
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }
}

/// An open WebSocket. It sends what is queued, answers pings, beats, and notices silence, all while
/// [`Self::next`] is waited for.
pub struct WebSocket {
    stream: WebSocketStream<Upgraded>,
    waiting: VecDeque<Message>,
    /// When the next queued message may go.
    send_at: Instant,
    pace: Duration,
    is_flushed: bool,
    heartbeat: Option<(Heartbeat, Instant)>,
    is_beating: bool,
    stall_after: Duration,
    heard: Instant,
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl WebSocket {
    pub(super) fn new(stream: WebSocketStream<Upgraded>, request: &WebSocketRequest) -> Self {
        let now = Instant::now();
        Self {
            stream,
            waiting: VecDeque::new(),
            send_at: now,
            pace: request.pace,
            is_flushed: true,
            heartbeat: request.heartbeat.clone().map(|heartbeat| {
                let first_at = now + heartbeat.every();
                (heartbeat, first_at)
            }),
            is_beating: false,
            stall_after: request.stall_after,
            heard: now,
        }
    }

    /// Queues a text message. They go in this order, and as far apart as the broker wants, while
    /// [`Self::next`] runs: so that a long list of subscriptions never keeps the ticks of the first ones
    /// waiting.
    pub fn queue(&mut self, text: impl Into<Text>) {
        self.send(Message::Text(text.into()));
    }

    /// Queues a binary message.
    pub fn queue_binary(&mut self, bytes: impl Into<Bytes>) {
        self.send(Message::Binary(bytes.into()));
    }

    /// Queues a message of either kind.
    pub fn send(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    /// Messages that are queued and not sent yet.
    pub fn queued(&self) -> usize {
        self.waiting.len()
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// When the connection is lost, closed, or silent for too long, and when too many queued messages wait
    /// for the broker to read them.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Message, AdapterError> {
        loop {
            if self.waiting.len() > MAX_QUEUED {
                return Err(AdapterError::network(format!(
                    "the broker does not read any more: {MAX_QUEUED} messages wait for it"
                )));
            }
            let wake_at = self.wake_at();
            let frame = tokio::select! {
                biased;
                frame = poll_fn(|context| self.poll(context)) => frame?,
                () = sleep_until(wake_at) => {
                    self.on_time()?;
                    continue;
                }
            };
            self.heard = Instant::now();
            match frame {
                tungstenite::Message::Text(text) => return Ok(Message::Text(Text::of_frame(text))),
                tungstenite::Message::Binary(bytes) => return Ok(Message::Binary(bytes)),
                tungstenite::Message::Close(frame) => {
                    // Its text stays out: nobody knows whether it repeats a token.
                    let closed = Closed::new(frame.map(|frame| frame.code.into()));
                    return Err(AdapterError::network(closed).caused_by(closed));
                }
                // The answer to a ping waits in the socket.
                tungstenite::Message::Ping(_) => self.is_flushed = false,
                tungstenite::Message::Pong(_) | tungstenite::Message::Frame(_) => {}
            }
        }
    }

    /// Says goodbye. What is queued is not sent any more.
    pub async fn close(mut self) {
        // The broker may be gone already, which is as good.
        _ = self.stream.close(None).await;
    }

    fn wake_at(&self) -> Instant {
        let beat_at = self.heartbeat.as_ref().filter(|_| !self.is_beating).map(|(_, at)| *at);
        let send_at = (!self.waiting.is_empty() && self.send_at > Instant::now()).then_some(self.send_at);
        let stalled_at = self.heard + self.stall_after;
        [beat_at, send_at].into_iter().flatten().fold(stalled_at, Instant::min)
    }

    fn on_time(&mut self) -> Result<(), AdapterError> {
        let now = Instant::now();
        if now >= self.heard + self.stall_after {
            return Err(AdapterError::network(format!(
                "the broker said nothing for {:?}, not even a heartbeat",
                self.stall_after
            )));
        }
        if let Some((heartbeat, at)) = &mut self.heartbeat
            && *at <= now
        {
            *at = now + heartbeat.every();
            if let Heartbeat::WithPing(message, _) = heartbeat {
                self.waiting.push_front(message.clone());
            }
            self.is_beating = true;
        }
        Ok(())
    }

    /// Sends what is due, and looks for a frame.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<tungstenite::Message, AdapterError>> {
        // That nothing can be sent now does not matter here: the socket wakes this task when it can.
        if let Poll::Ready(Err(error)) = self.poll_send(context) {
            return Poll::Ready(Err(lost(error)));
        }
        match Pin::new(&mut self.stream).poll_next(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Ok(frame)),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(lost(error))),
            Poll::Ready(None) => Poll::Ready(Err(AdapterError::network("the broker closed the connection"))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        loop {
            let now = Instant::now();
            let is_due = self.is_beating || (!self.waiting.is_empty() && self.send_at <= now);
            if !is_due {
                break;
            }
            std::task::ready!(Pin::new(&mut self.stream).poll_ready(context))?;
            let beat =
                self.heartbeat.as_ref().filter(|_| self.is_beating).map(|(heartbeat, _)| heartbeat.frame());
            let message = if beat.is_some() {
                self.is_beating = false;
                beat
            } else {
                self.send_at = now + self.pace;
                self.waiting.pop_front().map(Message::into_frame)
            };
            if let Some(message) = message {
                Pin::new(&mut self.stream).start_send(message)?;
                self.is_flushed = false;
            }
        }
        if !self.is_flushed {
            std::task::ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.is_flushed = true;
        }
        Poll::Ready(Ok(()))
    }
}
