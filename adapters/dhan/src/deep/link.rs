//! One socket of a depth feed, in a task of its own, so that it is dialled and lost without the live feed's noticing.

use std::{collections::BTreeSet, sync::Arc};

use adapter_sdk::{
    AdapterError, Backoff, Pauses,
    abi::ErrorCode,
    net::{Message, WebSocket},
    tracing::debug,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Duration, Instant, sleep, sleep_until, timeout_at},
};

use crate::{
    auth::{Keys, disconnected},
    config::Settings,
    request,
    segment::Key,
    session::say_goodbye,
    wire::depth::{Packet, Packets, Tier},
};

/// Pause after the broker has found that there are too many sockets. To insist would end the live feed of a sibling.
const CROWDED_PAUSE: Duration = Duration::from_mins(10);

/// Least time between two dials, however fast clients come and go.
const DIAL_SPACING: Duration = Duration::from_secs(2);

/// What happens on a link.
#[derive(Debug)]
pub(super) enum Event {
    /// A message came.
    Message(Tier, bytes::Bytes),
    /// The socket at this place was lost, or could not be had. It is dialled again when the error can be retried.
    Lost(usize, AdapterError),
}

/// A socket of a depth feed. It is open while something is wanted of it.
#[derive(Debug)]
pub(super) struct Link {
    tier: Tier,
    wanted: watch::Sender<BTreeSet<Key>>,
    task: JoinHandle<()>,
}

impl Link {
    pub(super) fn start(
        place: usize,
        tier: Tier,
        keys: Keys,
        settings: Arc<Settings>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let (sender, wanted) = watch::channel(BTreeSet::new());
        let work = Work { place, tier, keys, settings, wanted, events };
        Self { tier, wanted: sender, task: tokio::spawn(work.run()) }
    }

    pub(super) const fn tier(&self) -> Tier {
        self.tier
    }

    /// Says what is wanted. There may be no more of it than the feed takes on one connection.
    pub(super) fn want(&self, keys: BTreeSet<Key>) {
        self.wanted.send_replace(keys);
    }

    /// Lets the broker know that nothing is wanted any more, and ends.
    pub(super) fn release(&mut self) {
        // The task ends when nobody can want anything.
        self.wanted = watch::channel(BTreeSet::new()).0;
    }

    /// Waits for that.
    pub(super) async fn ended(&mut self, until: Instant) {
        // What is not done by then is dropped.
        _ = timeout_at(until, &mut self.task).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Work {
    place: usize,
    tier: Tier,
    keys: Keys,
    settings: Arc<Settings>,
    wanted: watch::Receiver<BTreeSet<Key>>,
    events: mpsc::Sender<Event>,
}

/// Why a socket was left.
enum Ended {
    /// Nothing is wanted, or so much that is new that a new socket is needed.
    Left,
    /// The connection to which it belongs is over.
    Over,
    Failed(AdapterError),
}

impl Drop for Work {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = AdapterError::config("the task of a socket for deep books has panicked");
            // When the queue is full the books stand still, as they would without a word.
            _ = self.events.try_send(Event::Lost(self.place, error));
        }
    }
}

impl Work {
    async fn run(mut self) {
        let mut pauses = Pauses::new(Backoff { first: Duration::from_secs(1), ..Backoff::default() });
        let mut dial_at = Instant::now();
        while self.wanted.wait_for(|keys| !keys.is_empty()).await.is_ok() {
            sleep_until(dial_at).await;
            let dialled = Instant::now();
            dial_at = dialled + DIAL_SPACING;
            let error = match self.serve().await {
                Ended::Left => continue,
                Ended::Over => return,
                Ended::Failed(error) => error,
            };
            let (is_final, is_limited) = (!error.is_retryable(), error.code() == ErrorCode::RATE_LIMITED);
            if self.events.send(Event::Lost(self.place, error)).await.is_err() || is_final {
                return;
            }
            let pause = pauses.after_failure(dialled.elapsed(), false);
            sleep(if is_limited { CROWDED_PAUSE } else { pause }).await;
        }
    }

    async fn serve(&mut self) -> Ended {
        let mut socket = match self.keys.open_depth(&self.settings, self.tier).await {
            Ok(socket) => socket,
            Err(error) => return Ended::Failed(error),
        };
        let mut told = BTreeSet::new();
        self.wanted.mark_changed();
        loop {
            tokio::select! {
                changed = self.wanted.changed() => {
                    let ended = if changed.is_err() {
                        Some(Ended::Over)
                    } else {
                        (!self.subscribe(&mut socket, &mut told)).then_some(Ended::Left)
                    };
                    if let Some(ended) = ended {
                        // It is closed before another one is opened: one too many would end a sibling.
                        say_goodbye(socket).await;
                        return ended;
                    }
                }
                message = socket.next() => match message {
                    Ok(Message::Binary(bytes)) => {
                        let reason = reason(self.tier, &bytes);
                        if self.events.send(Event::Message(self.tier, bytes)).await.is_err() {
                            return Ended::Over;
                        }
                        if let Some(reason) = reason {
                            return Ended::Failed(disconnected(reason));
                        }
                    }
                    Ok(Message::Text(_)) => debug!("A text on a depth feed"),
                    Err(error) => return Ended::Failed(error),
                },
            }
        }
    }

    /// Subscribes what is new. False when the socket has to be left.
    fn subscribe(&mut self, socket: &mut WebSocket, told: &mut BTreeSet<Key>) -> bool {
        let wanted = self.wanted.borrow_and_update().clone();
        let new: Vec<Key> = wanted.difference(told).copied().collect();
        // What is not wanted any more cannot be unsubscribed for certain, and counts against the broker's limit.
        if wanted.is_empty() || told.len() + new.len() > self.tier.instruments() {
            return false;
        }
        request::books(self.tier, &new).into_iter().for_each(|text| socket.queue(text));
        told.extend(new);
        true
    }
}

/// The reason for which the broker is about to hang up, if it says so.
fn reason(tier: Tier, message: &[u8]) -> Option<u16> {
    Packets::new(tier, message).find_map(|packet| match packet {
        Ok(Packet::Disconnect(reason)) => Some(reason),
        _ => None,
    })
}
