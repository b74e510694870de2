//! The connection that runs a protocol.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};
use tracing::info;

use super::{Batches, Listed, Live, Protocol, Replan, Welcome};
use crate::{
    AdapterError, Connection, Subscription, TickSink,
    net::{Closed, Message, WebSocket},
};

/// A connection that is up, around a broker's [`Protocol`].
pub struct Session<P: Protocol> {
    protocol: P,
    opened_at: Instant,
    /// What it means that the broker closes it soon.
    replaced: Option<(Duration, &'static str)>,
    live: Live<P>,
}

/// What came first.
enum Event<L> {
    Message(Result<Message, AdapterError>),
    List(Arc<L>, bool),
    /// Something has come beside the socket.
    Beside,
    /// A time has come.
    Wake,
}

impl<P: Protocol> Session<P> {
    /// Says hello on a socket, waits until the broker accepts, and takes subscriptions from then on.
    ///
    /// # Errors
    /// What [`Protocol::welcome`] says, and when the broker does not answer in time.
    pub async fn open(
        mut protocol: P,
        mut socket: WebSocket,
        listed: Listed<P::List>,
        batches: Batches,
    ) -> Result<Self, AdapterError> {
        let hello = protocol.hello();
        if !hello.is_empty() {
            hello.into_iter().for_each(|message| socket.send(message));
            let limit = batches.welcome_within;
            let greeted = timeout(limit, greet(&mut protocol, &mut socket)).await;
            greeted.unwrap_or_else(|_| {
                if let Some(meaning) = batches.unanswered {
                    return Err(AdapterError::auth(meaning));
                }
                let late = format!("the broker did not accept the log-in within {limit:?}");
                Err(protocol.lost(AdapterError::network(late)))
            })?;
        }
        let (opened_at, replaced) = (Instant::now(), batches.replaced);
        Ok(Self { protocol, opened_at, replaced, live: Live::new(socket, listed, batches) })
    }

    /// Plans an instrument by what its name means in the present list, or lets it wait for the broker's word
    /// on that.
    fn place(&mut self, instrument: u32, sink: &mut TickSink) {
        let Self { protocol, live, .. } = self;
        let Some(wanted) = live.wanted.get(&instrument) else { return };
        if !protocol.must_ask(&live.listed.list, wanted) {
            live.waiting.remove(&instrument);
            self.settle(instrument, sink);
            return;
        }
        if live.plan.key(instrument).is_some() {
            protocol.release(instrument, live.leave(instrument).as_ref());
        }
        live.begin_wait(instrument, Instant::now());
    }

    /// Plans an instrument by the key that it has by all that is known.
    fn settle(&mut self, instrument: u32, sink: &mut TickSink) {
        let Self { protocol, live, .. } = self;
        let Some(wanted) = live.wanted.get_mut(&instrument) else { return };
        match protocol.find(&live.listed.list, wanted) {
            Ok(key) => {
                if live.plan.key(instrument).is_some_and(|known| known != key) {
                    // Its room first, which it may need itself.
                    protocol.release(instrument, live.leave(instrument).as_ref());
                }
                if let Some(wanted) = live.wanted.get_mut(&instrument) {
                    let asked = protocol.ask(wanted, &key, sink);
                    live.plan.want(instrument, key, asked);
                }
            }
            Err(refusal) => {
                let refusal = live.listed.explain(wanted, refusal);
                self.forget(instrument);
                sink.outcome(instrument, Err(refusal));
            }
        }
    }

    fn place_all(&mut self, sink: &mut TickSink) {
        let instruments: Vec<u32> = self.live.wanted.keys().copied().collect();
        for instrument in instruments {
            self.place(instrument, sink);
        }
    }

    fn forget(&mut self, instrument: u32) {
        self.live.wanted.remove(&instrument);
        self.live.waiting.remove(&instrument);
        self.protocol.release(instrument, self.live.leave(instrument).as_ref());
    }

    /// Another list is in force: keys that mean something else now are left in the same turn in which the new
    /// ones are taken.
    fn take_list(&mut self, list: Arc<P::List>, is_repair: bool, sink: &mut TickSink) {
        let Self { protocol, live, .. } = self;
        live.listed.list = list;
        live.is_held = false;
        live.waiting.clear();
        if protocol.list_changed(&live.listed.list, is_repair) == Replan::Everything {
            info!("Subscribing again by the new list of instruments");
            live.end_all(protocol);
        }
        self.place_all(sink);
    }

    /// What the loss of the socket means.
    fn lost(&mut self, error: AdapterError) -> AdapterError {
        let is_young = |(age, _): &(Duration, _)| self.opened_at.elapsed() < *age;
        let replaced = self.replaced.filter(is_young).filter(|_| Closed::of(&error).is_some());
        let error = self.protocol.lost(error);
        match replaced {
            Some((_, meaning)) => AdapterError::rate_limited(meaning).caused_by(error),
            None => error,
        }
    }

    /// Does what is due, and says when to come back.
    fn advance(&mut self, sink: &mut TickSink) -> Result<Option<Instant>, AdapterError> {
        let now = Instant::now();
        self.protocol.advance(now, &mut self.live, sink)?;
        let wait_ends_at = self.live.end_waits(now);
        for instrument in std::mem::take(&mut self.live.answered) {
            self.settle(instrument, sink);
        }
        let Self { protocol, live, .. } = self;
        let batch_at = live.send_batch(protocol, now);
        Ok([batch_at, wait_ends_at, protocol.wake_at()].into_iter().flatten().min())
    }
}

async fn greet<P: Protocol>(protocol: &mut P, socket: &mut WebSocket) -> Result<(), AdapterError> {
    loop {
        let message = socket.next().await.map_err(|error| protocol.lost(error))?;
        let (answers, is_accepted) = match protocol.welcome(&message)? {
            Welcome::Continue(answers) => (answers, false),
            Welcome::Accepted(answers) => (answers, true),
        };
        answers.into_iter().for_each(|answer| socket.send(answer));
        if is_accepted {
            return Ok(());
        }
    }
}

impl<P: Protocol> Connection for Session<P> {
    async fn subscribe(&mut self, wanted: &[Subscription], sink: &mut TickSink) -> Result<(), AdapterError> {
        for one in wanted {
            self.live.wanted.insert(one.instrument, one.clone());
            if !self.live.is_held {
                self.place(one.instrument, sink);
            }
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        instruments.iter().for_each(|instrument| self.forget(*instrument));
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        loop {
            let before = sink.count();
            let wake_at = self.advance(sink)?;
            if sink.count() != before {
                // There may be no message for a while that would take it along.
                sink.flush();
            }
            let wake = async {
                match wake_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let Self { protocol, live: Live { socket, listed, .. }, .. } = self;
            let event = tokio::select! {
                biased;
                list = listed.next() => {
                    let (list, is_repair) = list?;
                    Event::List(list, is_repair)
                }
                // The socket and what stands beside it get their turns, however busy one of them is.
                event = async {
                    tokio::select! {
                        message = socket.next() => Event::Message(message),
                        () = protocol.wait() => Event::Beside,
                    }
                } => event,
                () = wake => Event::Wake,
            };
            match event {
                Event::Message(Ok(message)) => return self.protocol.receive(message, &mut self.live, sink),
                Event::Message(Err(error)) => return Err(self.lost(error)),
                Event::List(list, is_repair) => self.take_list(list, is_repair, sink),
                Event::Beside => return self.advance(sink).map(drop),
                Event::Wake => {}
            }
        }
    }

    async fn close(mut self) {
        let goodbye = self.protocol.goodbye();
        let mut socket = self.live.socket;
        let farewell = async move {
            if !goodbye.is_empty() {
                goodbye.into_iter().for_each(|message| socket.send(message));
                // It goes out in one turn, or not at all.
                tokio::select! {
                    biased;
                    _ = socket.next() => {}
                    () = std::future::ready(()) => {}
                }
            }
            socket.close().await;
        };
        tokio::join!(farewell, self.protocol.close());
    }
}

impl<P: Protocol> fmt::Debug for Session<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("live", &self.live).finish_non_exhaustive()
    }
}
