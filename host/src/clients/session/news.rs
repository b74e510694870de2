//! What became of each subscription after its acknowledgement, for clients that asked to be told.
//!
//! A key *waits* from its acknowledgement to its first tick. The shard notes first ticks in the session's
//! [`Seat`](crate::clients::seat::Seat), the feed tells of failures, and silence is looked for when it is due. What there is to
//! say gathers for [`GATHER`], so that thousands of symbols make a few frames.
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
    asked: FxHashMap<Key, Asked>,
    /// What is to be said, in order.
    gathered: Vec<Item>,
    say_at: Option<Instant>,
    look_at: Option<Instant>,
}

/// A subscription whose client wants to know.
#[derive(Debug)]
struct Asked {
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
struct Item {
    key: Key,
    name: SymbolName,
    request: Rc<RequestId>,
    state: OutcomeState,
    code: Option<ErrorCode>,
    message: Option<Arc<str>>,
    is_kept: bool,
}

impl Item {
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
    pub(super) fn ask(
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
        self.asked.insert(key, Asked { name, request: Rc::clone(request), waits: Waits::Since(now) });
        self.look_at.get_or_insert(now + silent_after);
    }

    /// The request that a key came from, for one that moves to another feed.
    pub(super) fn request_of(&self, key: Key) -> Option<Rc<RequestId>> {
        Some(Rc::clone(&self.asked.get(&key)?.request))
    }

    /// A subscription has ended, because the client said so.
    pub(super) fn forget(&mut self, key: Key) {
        self.asked.remove(&key);
    }

    /// Keys whose first tick has come.
    pub(super) fn heard(&mut self, keys: Vec<Key>, now: Instant) {
        for key in keys {
            let Some(asked) = self.asked.get_mut(&key) else { continue };
            asked.waits = Waits::No;
            let (name, request) = (asked.name.clone(), Rc::clone(&asked.request));
            self.gather(Item::plain(key, name, request, OutcomeState::Active), now);
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
        let request = request.or_else(|| Some(self.asked.remove(&key)?.request)).unwrap_or_default();
        let item = Item::plain(key, name, request, OutcomeState::Failed);
        self.gather(Item { code: Some(code), message: Some(message), ..item }, now);
    }

    /// The broker's list does not have the instrument of a subscription any more, which goes on; whether its next tick is news.
    pub(super) fn lost(&mut self, (key, name): (Key, SymbolName), message: &Arc<str>, now: Instant) -> bool {
        let asked = self.asked.get_mut(&key);
        let is_followed = asked.is_some();
        // That nothing comes is said by this; only the next tick is news.
        let request = asked.map_or_else(Rc::default, |asked| {
            asked.waits = Waits::Told;
            Rc::clone(&asked.request)
        });
        let item = Item::plain(key, name, request, OutcomeState::Failed);
        let (code, message) = (Some(ErrorCode::SymbolNotFound), Some(Arc::clone(message)));
        self.gather(Item { code, message, is_kept: true, ..item }, now);
        is_followed
    }

    /// Subscriptions wait for a connection to the broker, for this reason; gives the keys whose next tick is news.
    pub(super) fn wait(
        &mut self,
        is_waiting: impl Fn(Key) -> bool,
        why: &Arc<str>,
        now: Instant,
    ) -> Vec<Key> {
        let mut waiting = Vec::new();
        for (key, asked) in self.asked.iter_mut().filter(|(key, _)| is_waiting(**key)) {
            // That nothing comes is said by this; only the next tick is news.
            asked.waits = Waits::Told;
            waiting.push((Rc::clone(&asked.request), asked.name.clone(), *key));
        }
        in_order(&mut waiting);
        let keys = waiting.iter().map(|(_, _, key)| *key).collect();
        for (request, name, key) in waiting {
            let item = Item::plain(key, name, request, OutcomeState::Pending);
            self.gather(Item { message: Some(Arc::clone(why)), ..item }, now);
        }
        keys
    }

    fn gather(&mut self, item: Item, now: Instant) {
        self.gathered.push(item);
        self.say_at.get_or_insert(now + GATHER);
    }

    /// When [`Self::due`] has something to do.
    pub(super) fn next(&self) -> Option<Instant> {
        [self.say_at, self.look_at].into_iter().flatten().min()
    }

    /// The frames that are due at `now`, which is `now_ns` since the Unix epoch. `audience` is asked for when somebody
    /// may be silent for too long.
    pub(super) fn due(
        &mut self,
        now: Instant,
        now_ns: u64,
        silent_after: Duration,
        broker: &str,
        audience: impl FnOnce() -> Option<Audience>,
    ) -> Vec<Bytes> {
        if self.look_at.is_some_and(|at| at <= now) {
            self.look(now, now_ns, silent_after, audience().as_ref());
        }
        if self.say_at.is_none_or(|at| now < at) {
            return Vec::new();
        }
        self.say_at = None;
        let items = std::mem::take(&mut self.gathered);
        // One frame speaks of one request, and requests come in order.
        items
            .chunk_by(|one, other| Rc::ptr_eq(&one.request, &other.request))
            .flat_map(|items| items.chunks(ENTRIES_PER_FRAME))
            .map(|items| frame(items, broker))
            .collect()
    }

    /// Finds what waits for too long although it should be heard, and plans the next look.
    fn look(&mut self, now: Instant, now_ns: u64, silent_after: Duration, audience: Option<&Audience>) {
        let mut audible: FxHashMap<Arc<str>, bool> = FxHashMap::default();
        let mut is_audible = |exchange: &Arc<str>| {
            let Some(audience) = audience else { return false };
            *audible
                .entry(Arc::clone(exchange))
                .or_insert_with(|| audience.is_audible_for(exchange, silent_after, now_ns))
        };
        let (mut silent, mut next) = (Vec::new(), None::<Instant>);
        #[expect(clippy::iter_over_hash_type, reason = "sorted below")]
        for (key, asked) in &mut self.asked {
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
            self.gather(Item::plain(key, name, request, OutcomeState::Silent), now);
        }
    }

    /// Keys that still wait, when the client wants news.
    #[cfg(test)]
    fn waiting(&self) -> usize {
        self.asked.values().filter(|asked| asked.waits != Waits::No).count()
    }
}

/// Sorts by request, so that each has few frames, and by name.
fn in_order(entries: &mut [(Rc<RequestId>, SymbolName, Key)]) {
    entries.sort_by(|(one, one_name, _), (other, other_name, _)| {
        let names = (&one_name.exchange, &one_name.symbol).cmp(&(&other_name.exchange, &other_name.symbol));
        Rc::as_ptr(one).cmp(&Rc::as_ptr(other)).then(names)
    });
}

fn frame(items: &[Item], broker: &str) -> Bytes {
    let outcomes: Vec<Outcome<'_>> = items
        .iter()
        .map(|item| Outcome {
            symbol: item.name.full_symbol(),
            exchange: &item.name.exchange,
            mode: item.key.variant.mode(),
            state: item.state,
            code: item.code,
            message: item.message.as_deref(),
            is_kept: item.is_kept,
        })
        .collect();
    let none = RequestId::default();
    let request = items.first().map_or(&none, |item| &*item.request);
    reply::subscription_status(&outcomes, broker, request)
}

#[cfg(test)]
mod tests;
