//! What became of each subscription after its acknowledgement, for clients that asked to be told.
//!
//! A key *waits* from its acknowledgement to its first tick. The shard notes first ticks in the session's
//! [`Seat`](crate::clients::seat::Seat), the feed tells of failures, and silence is looked for when it is
//! due. What there is to say gathers for [`GATHER`], so that thousands of symbols make a few frames.
//!
//! Bound: one entry for each key that the client holds, [`ENTRIES_PER_FRAME`] entries in a frame.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustc_hash::FxHashMap;
use tickhost_core::{
    model::Key,
    protocol::{
        codes::ErrorCode,
        reply::{self, Outcome, OutcomeState},
        request::RequestId,
    },
};

use crate::{clients::seat::SymbolName, feeds::feed::Audience};

/// From the first thing that there is to say to the frame.
const GATHER: Duration = Duration::from_millis(100);

/// Entries of one frame: some ten kilobytes, that no client has to read in one piece.
const ENTRIES_PER_FRAME: usize = 250;

/// Shortest pause between two looks for silence.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// The news of one session. One that did not ask for them holds nothing and costs nothing.
#[derive(Debug, Default)]
pub(super) struct News {
    is_wanted: bool,
    tracked: FxHashMap<Key, Tracked>,
    /// What is to be said, in order.
    gathered: Vec<Report>,
    say_at: Option<Instant>,
    look_at: Option<Instant>,
}

/// A subscription whose client wants to know.
#[derive(Debug)]
struct Tracked {
    name: SymbolName,
    request: Rc<RequestId>,
    waits: Waits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// For its first tick, since then.
    Since(Instant),
    /// As before, and the client was told that nothing came.
    Told,
    No,
}

#[derive(Debug)]
struct Report {
    key: Key,
    name: SymbolName,
    request: Rc<RequestId>,
    state: OutcomeState,
    code: Option<ErrorCode>,
    message: Option<Arc<str>>,
    is_kept: bool,
}

impl Report {
    const fn plain(key: Key, name: SymbolName, request: Rc<RequestId>, state: OutcomeState) -> Self {
        Self { key, name, request, state, code: None, message: None, is_kept: false }
    }
}

impl News {
    /// Whether the client asked.
    pub(super) const fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// The client wants news from now on, or none any more. What it held before is not spoken of.
    pub(super) fn want(&mut self, is_wanted: bool) {
        if !is_wanted {
            *self = Self::default();
        }
        self.is_wanted = is_wanted;
    }

    /// A subscription was acknowledged, and waits for its first tick.
    pub(super) fn track(
        &mut self,
        key: Key,
        name: SymbolName,
        request: &Rc<RequestId>,
        now: Instant,
        silent_after: Duration,
    ) {
        if !self.is_wanted {
            return;
        }
        self.tracked.insert(key, Tracked { name, request: Rc::clone(request), waits: Waits::Since(now) });
        self.look_at.get_or_insert(now + silent_after);
    }

    /// The request that a key came from, for one that moves to another feed.
    pub(super) fn request_of(&self, key: Key) -> Option<Rc<RequestId>> {
        Some(Rc::clone(&self.tracked.get(&key)?.request))
    }

    /// A subscription has ended, because the client said so.
    pub(super) fn untrack(&mut self, key: Key) {
        self.tracked.remove(&key);
    }

    /// Keys whose first tick has come.
    pub(super) fn activated(&mut self, keys: Vec<Key>, now: Instant) {
        for key in keys {
            let Some(asked) = self.tracked.get_mut(&key) else { continue };
            asked.waits = Waits::No;
            let (name, request) = (asked.name.clone(), Rc::clone(&asked.request));
            self.gather(Report::plain(key, name, request, OutcomeState::Active), now);
        }
    }

    /// A subscription has failed. `request` is that of one whose key is forgotten already.
    pub(super) fn failed(
        &mut self,
        (key, name): (Key, SymbolName),
        request: Option<Rc<RequestId>>,
        (code, message): (ErrorCode, Arc<str>),
        now: Instant,
    ) {
        let request = request.or_else(|| Some(self.tracked.remove(&key)?.request)).unwrap_or_default();
        let report = Report::plain(key, name, request, OutcomeState::Failed);
        self.gather(Report { code: Some(code), message: Some(message), ..report }, now);
    }

    /// The broker's list does not have the instrument of a subscription any more, which goes on; whether its
    /// next tick is news.
    pub(super) fn lost(&mut self, (key, name): (Key, SymbolName), message: &Arc<str>, now: Instant) -> bool {
        let asked = self.tracked.get_mut(&key);
        let is_followed = asked.is_some();
        // That nothing comes is said by this; only the next tick is news.
        let request = asked.map_or_else(Rc::default, |asked| {
            asked.waits = Waits::Told;
            Rc::clone(&asked.request)
        });
        let report = Report::plain(key, name, request, OutcomeState::Failed);
        let (code, message) = (Some(ErrorCode::SymbolNotFound), Some(Arc::clone(message)));
        self.gather(Report { code, message, is_kept: true, ..report }, now);
        is_followed
    }

    /// Subscriptions wait for a connection to the broker, for this reason; gives the keys whose next tick is
    /// news.
    pub(super) fn pending(
        &mut self,
        is_waiting: impl Fn(Key) -> bool,
        why: &Arc<str>,
        now: Instant,
    ) -> Vec<Key> {
        let mut waiting = Vec::new();
        for (key, asked) in self.tracked.iter_mut().filter(|(key, _)| is_waiting(**key)) {
            // That nothing comes is said by this; only the next tick is news.
            asked.waits = Waits::Told;
            waiting.push((Rc::clone(&asked.request), asked.name.clone(), *key));
        }
        in_order(&mut waiting);
        let keys = waiting.iter().map(|(_, _, key)| *key).collect();
        for (request, name, key) in waiting {
            let report = Report::plain(key, name, request, OutcomeState::Pending);
            self.gather(Report { message: Some(Arc::clone(why)), ..report }, now);
        }
        keys
    }

    fn gather(&mut self, report: Report, now: Instant) {
        self.gathered.push(report);
        self.say_at.get_or_insert(now + GATHER);
    }

    /// When [`Self::due`] has something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.say_at, self.look_at].into_iter().flatten().min()
    }

    /// The frames that are due at `now`, which is `now_ns` since the Unix epoch. `audience` is asked for when
    /// somebody may be silent for too long.
    pub(super) fn due(
        &mut self,
        now: Instant,
        now_ns: u64,
        silent_after: Duration,
        broker: &str,
        audience: impl FnOnce() -> Option<Audience>,
    ) -> Vec<Bytes> {
        if self.look_at.is_some_and(|at| at <= now) {
            self.find_silent(now, now_ns, silent_after, audience().as_ref());
        }
        if self.say_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.say_at = None;
        let reports = std::mem::take(&mut self.gathered);
        // One frame speaks of one request, and requests come in order.
        reports
            .chunk_by(|one, other| Rc::ptr_eq(&one.request, &other.request))
            .flat_map(|reports| reports.chunks(ENTRIES_PER_FRAME))
            .map(|reports| frame(reports, broker))
            .collect()
    }

    /// Finds what waits for too long although it should be heard, and plans the next look.
    fn find_silent(
        &mut self,
        now: Instant,
        now_ns: u64,
        silent_after: Duration,
        audience: Option<&Audience>,
    ) {
        let mut audible: FxHashMap<Arc<str>, bool> = FxHashMap::default();
        let mut is_audible = |exchange: &Arc<str>| {
            let Some(audience) = audience else { return false };
            *audible
                .entry(Arc::clone(exchange))
                .or_insert_with(|| audience.is_audible_for(exchange, silent_after, now_ns))
        };
        let (mut silent, mut next) = (Vec::new(), None::<Instant>);
        #[expect(clippy::iter_over_hash_type, reason = "sorted below")]
        for (key, asked) in &mut self.tracked {
            let Waits::Since(since) = asked.waits else { continue };
            let due = since + silent_after;
            if due > now {
                next = Some(next.map_or(due, |known| known.min(due)));
            } else if is_audible(&asked.name.exchange) {
                asked.waits = Waits::Told;
                silent.push((asked.request.clone(), asked.name.clone(), *key));
            } else {
                // Its exchange is closed, or the feed is down: a matter of the feed, not of this symbol.
                let later = now + silent_after;
                next = Some(next.map_or(later, |known| known.min(later)));
            }
        }
        self.look_at = next.map(|next| next.max(now + LOOK_PAUSE));
        in_order(&mut silent);
        for (request, name, key) in silent {
            self.gather(Report::plain(key, name, request, OutcomeState::Silent), now);
        }
    }

    /// Keys that still wait, when the client wants news.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.tracked.values().filter(|asked| asked.waits != Waits::No).count()
    }
}

/// Sorts by request, so that each has few frames, and by name.
fn in_order(entries: &mut [(Rc<RequestId>, SymbolName, Key)]) {
    entries.sort_by(|(one, one_name, _), (other, other_name, _)| {
        let names = (&one_name.exchange, &one_name.symbol).cmp(&(&other_name.exchange, &other_name.symbol));
        Rc::as_ptr(one).cmp(&Rc::as_ptr(other)).then(names)
    });
}

fn frame(reports: &[Report], broker: &str) -> Bytes {
    let outcomes: Vec<Outcome<'_>> = reports
        .iter()
        .map(|report| Outcome {
            symbol: report.name.full_symbol(),
            exchange: &report.name.exchange,
            mode: report.key.variant.mode(),
            state: report.state,
            code: report.code,
            message: report.message.as_deref(),
            is_kept: report.is_kept,
        })
        .collect();
    let none = RequestId::default();
    let request = reports.first().map_or(&none, |report| &*report.request);
    reply::subscription_status(&outcomes, broker, request)
}

#[cfg(test)]
mod tests;
