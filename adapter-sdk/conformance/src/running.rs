//! One running instance on the recording host.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use adapter_abi::{
    AdapterBox, HealthSnapshot, StatusKind, Subscription, SubscriptionOutcome,
    abi_stable::std_types::{RResult, RSlice},
};

use crate::{
    host::{Heard, Kind, Record, Recorder},
    picture::Picture,
    profile::{CredentialSet, Instrument, credentials_json},
    stage::{SOON, ltp_of, packet, price},
    value::nanos,
    venue::{Packet, Venue},
    verdict::{Check, fail},
};

/// Number of the first instrument. Large, so that an adapter which confuses numbers and places is found.
const FIRST_NUMBER: u32 = 70_001;

/// Steps between numbers.
const NUMBER_STEP: usize = 17;

/// An instrument that is to be subscribed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) number: u32,
    pub(crate) instrument: &'a Instrument,
    pub(crate) kind: Kind,
    /// Levels on each side; 0 below mode depth.
    pub(crate) depth: u16,
}

impl<'a> Wanted<'a> {
    /// An instrument with the number of a place, in a mode; with as many levels as a book usually has.
    pub(crate) fn at(place: usize, instrument: &'a Instrument, kind: Kind) -> Self {
        let number = FIRST_NUMBER.saturating_add(u32::try_from(place * NUMBER_STEP).unwrap_or(u32::MAX / 2));
        Self { number, instrument, kind, depth: if kind == Kind::Depth { 5 } else { 0 } }
    }
}

/// A running instance, which is shut down when dropped.
pub(crate) struct Running {
    pub(crate) recorder: Arc<Recorder>,
    adapter: AdapterBox,
    requests: AtomicU64,
}

impl Running {
    pub(crate) fn new(recorder: Arc<Recorder>, adapter: AdapterBox) -> Self {
        Self { recorder, adapter, requests: AtomicU64::new(0) }
    }

    pub(crate) fn connect(&self) -> Check {
        taken("connect", self.adapter.connect(self.request()))
    }

    /// Subscribes in one call and gives the outcome of each, in the order asked.
    pub(crate) fn subscribe(&self, wanted: &[Wanted<'_>]) -> Check<Vec<SubscriptionOutcome>> {
        let request = self.send_subscribe(wanted)?;
        self.wait("the outcome of a subscription", SOON, |heard| {
            let of = |number| {
                let mut answers = heard.outcomes.iter().filter(|(answered, _)| *answered == request);
                answers.find(|(_, outcome)| outcome.instrument == number).map(|(_, outcome)| outcome.clone())
            };
            wanted.iter().map(|one| of(one.number)).collect()
        })
    }

    /// Subscribes in one call, without waiting; gives the number of the request.
    pub(crate) fn send_subscribe(&self, wanted: &[Wanted<'_>]) -> Check<u64> {
        let subscriptions: Vec<Subscription> = wanted
            .iter()
            .map(|one| Subscription {
                instrument: one.number,
                mode: match one.kind {
                    Kind::Ltp => 1,
                    Kind::Quote => 2,
                    Kind::Depth => 3,
                },
                reserved: 0,
                depth: one.depth,
                exchange: one.instrument.exchange.as_str().into(),
                symbol: one.instrument.symbol.as_str().into(),
            })
            .collect();
        wanted.iter().for_each(|one| self.recorder.hold(one.number));
        let request = self.request();
        taken("subscribe", self.adapter.subscribe(request, RSlice::from_slice(&subscriptions)))?;
        Ok(request)
    }

    pub(crate) fn unsubscribe(&self, numbers: &[u32]) -> Check {
        numbers.iter().for_each(|number| self.recorder.release(*number));
        taken("unsubscribe", self.adapter.unsubscribe(self.request(), RSlice::from_slice(numbers)))
    }

    /// Puts other credentials in their place, as the host does each night. Without `tell` the instance learns
    /// of it only when it asks.
    pub(crate) fn renew(&self, set: &CredentialSet, tell: bool) {
        self.recorder.set_credentials(credentials_json(set));
        if tell {
            self.adapter.credentials_changed();
        }
    }

    pub(crate) fn health(&self) -> HealthSnapshot {
        self.adapter.health()
    }

    /// Shuts the instance down; gives how long that took.
    pub(crate) fn shut_down(&self, deadline: Duration) -> Duration {
        let started = Instant::now();
        self.adapter.shutdown(u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX));
        started.elapsed()
    }

    /// Waits until `find` finds something in what the instance said.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        find: impl Fn(&Heard) -> Option<T>,
    ) -> Check<T> {
        self.recorder.wait(what, limit, find)
    }

    /// Waits until it said so often that it is in a state.
    pub(crate) fn wait_status(&self, kind: StatusKind, what: &str, count: usize, limit: Duration) -> Check {
        self.wait(what, limit, |heard| (heard.count(kind) >= count).then_some(()))
    }

    /// Waits until it has been connected so often.
    pub(crate) fn wait_connected(&self, count: usize) -> Check {
        let what = if count == 1 { "a connection" } else { "a new connection" };
        self.wait_status(StatusKind::CONNECTED, what, count, SOON)
    }

    /// How many records there are, to look only at later ones.
    pub(crate) fn mark(&self) -> usize {
        self.recorder.look(|heard| heard.records.len())
    }

    /// Waits for a record of an instrument after a mark.
    pub(crate) fn record_after(
        &self,
        mark: usize,
        number: u32,
        what: &str,
        is_it: impl Fn(&Record) -> bool,
    ) -> Check<Record> {
        self.wait(what, SOON, |heard| {
            let mut later = heard.records.iter().skip(mark);
            later.find(|record| record.quote.instrument == number && is_it(record)).cloned()
        })
    }

    /// What a host shows of an instrument by the records after a mark.
    pub(crate) fn picture_after(&self, mark: usize, number: u32) -> Picture {
        self.recorder.look(|heard| Picture::of(heard.records.iter().skip(mark), number))
    }

    /// Waits until the records after a mark show something of an instrument.
    pub(crate) fn wait_picture(
        &self,
        mark: usize,
        number: u32,
        what: &str,
        is_it: impl Fn(&Picture) -> bool,
    ) -> Check<Picture> {
        self.wait(what, SOON, |heard| {
            let picture = Picture::of(heard.records.iter().skip(mark), number);
            is_it(&picture).then_some(picture)
        })
    }

    /// Sends a packet, and waits until its last price is shown, and its book if it is sent as one. Gives what
    /// is shown by it alone; with another book when that of the packet did not come.
    pub(crate) fn send(&self, venue: &Venue, one: Wanted<'_>, sent: &Packet) -> Check<Picture> {
        let expected = sent.values.get("ltp").and_then(|ltp| nanos(ltp));
        let mark = self.mark();
        venue.tick(sent)?;
        let what = format!("a {} packet of {}", sent.kind, one.instrument.name());
        let has_price = |shown: &Picture| shown.value("ltp") == expected;
        let arrived = self.wait_picture(mark, one.number, &what, |shown| {
            has_price(shown) && (one.kind < Kind::Depth || shown.has_book_of(sent))
        });
        arrived.or_else(|stop| {
            let shown = self.picture_after(mark, one.number);
            if has_price(&shown) { Ok(shown) } else { Err(stop) }
        })
    }

    /// Asks for the list of instruments again, as the operator does.
    pub(crate) fn renew_list(&self) {
        self.adapter.renew_list();
    }

    /// Sends a packet with a last price and waits until it is published.
    pub(crate) fn tick(&self, venue: &Venue, one: Wanted<'_>, ltp: &str) -> Check {
        let mark = self.mark();
        venue.tick(&packet(one, [("ltp", ltp)]))?;
        let expected = price(ltp)?;
        let what = format!("a tick of {} at {ltp}", one.instrument.name());
        self.record_after(mark, one.number, &what, |record| ltp_of(record) == Some(expected)).map(drop)
    }

    /// What must hold at the end of every case.
    pub(crate) fn settle(&self) -> Check {
        self.recorder.look(|heard| {
            if let Some(reason) = &heard.malformed {
                return fail(reason.clone());
            }
            match heard.statuses.iter().find(|event| event.kind == StatusKind::FAILED) {
                Some(event) => fail(format!("the instance failed for good: {}", event.message)),
                None => Ok(()),
            }
        })
    }

    /// All records after a mark.
    pub(crate) fn records_after(&self, mark: usize) -> Vec<Record> {
        self.recorder.look(|heard| heard.records.iter().skip(mark).cloned().collect())
    }

    /// Whether there were greeks of an instrument after a mark.
    pub(crate) fn has_greeks_after(&self, mark: usize, number: u32) -> bool {
        self.recorder
            .look(|heard| heard.greeks.iter().any(|(at, greeks)| *at >= mark && greeks.instrument == number))
    }

    fn request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.adapter.shutdown(2_000);
    }
}

fn taken(call: &str, answer: RResult<(), adapter_abi::AdapterError>) -> Check {
    match answer.into_result() {
        Ok(()) => Ok(()),
        Err(error) => fail(format!("`{call}` was refused: {}", error.message)),
    }
}
