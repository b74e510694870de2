//! Runs the checks of keys that cost a hash: [`Queue`] says which is next, a few threads of the blocking pool
//! run them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use secrecy::SecretString;
use tickhost_core::metrics::KeyCounters;
use tokio::sync::oneshot;

use super::{
    Verified, VerifyError,
    blocking::{Blocking, Stopping, begin_off_thread},
    fingerprint::Fingerprint,
    memory::VALID_LIMIT,
    queue::{Asked, Queue},
    strikes::{Caller, Strikes},
};
use crate::accounts::AccountsError;

/// Checks at one time. Argon2, which OpenAlgo uses, takes 64 MiB and tens of milliseconds for each stored
/// hash.
const AT_ONCE: usize = 2;

/// Keys that may wait for their turn: as many as are remembered. Clients that wait for the same key need one
/// place.
const PLACES: usize = VALID_LIMIT;

/// Longest wait: longer than a hundred users need to be known again after a restart.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a check takes, before one has been measured.
const FIRST_GUESS: Duration = Duration::from_millis(100);

/// Bounds of what clients are told about when to come back.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_mins(1);

pub(super) type Outcome = Result<Verified, VerifyError>;

type Check = dyn Fn(&Blocking, &Fingerprint, &SecretString) -> Outcome + Send + Sync;

/// Checks of keys.
pub(super) struct Checks {
    state: Mutex<State>,
    check: Box<Check>,
    strikes: Arc<Mutex<Strikes>>,
    counters: Arc<KeyCounters>,
}

struct State {
    queue: Queue<Fingerprint, Caller, SecretString, oneshot::Sender<Outcome>>,
    running: usize,
    /// What a check takes, smoothed.
    pace: Duration,
}

impl std::fmt::Debug for Checks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

impl Checks {
    /// `check` says whose key it is, at the cost of a hash.
    pub(super) fn new(
        counters: Arc<KeyCounters>,
        strikes: Arc<Mutex<Strikes>>,
        check: impl Fn(&Blocking, &Fingerprint, &SecretString) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        let state = State { queue: Queue::new(PLACES), running: 0, pace: FIRST_GUESS };
        Self { state: Mutex::new(state), check: Box::new(check), strikes, counters }
    }

    /// Whose key it is, when its turn has come.
    pub(super) async fn ask(
        self: &Arc<Self>,
        fingerprint: Fingerprint,
        key: &SecretString,
        caller: Caller,
    ) -> Outcome {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state.lock();
            let doubt = |caller: &Caller| self.strikes.lock().doubt(*caller, Instant::now());
            let asked = state.queue.ask(fingerprint, &caller, || key.clone(), answer, is_there, doubt);
            let busy = state.busy();
            match asked {
                Asked::Joined => self.counters.joined.add(1),
                Asked::Queued { displaced } => {
                    for waiter in displaced {
                        // One that has gone is not sorry.
                        let _gone = waiter.send(Err(busy.clone()));
                    }
                }
                Asked::Full(_) => return Err(busy),
            }
            self.counters.waiting.set(state.queue.waiting() as u64);
            if state.running < AT_ONCE {
                state.running += 1;
                let worker = Worker { checks: Arc::clone(self), has_place: true };
                begin_off_thread(move |blocking| worker.run(blocking));
            }
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(outcome) => outcome.unwrap_or_else(|_| Err(AccountsError::from(Stopping).into())),
            Err(_) => Err(self.state.lock().busy()),
        }
    }
}

impl State {
    fn busy(&self) -> VerifyError {
        let waiting = u32::try_from(self.queue.waiting()).unwrap_or(u32::MAX);
        let until_idle = self.pace.saturating_mul(waiting) / 2;
        VerifyError::Busy { retry_after: until_idle.clamp(SOONEST, LATEST) }
    }
}

fn is_there(waiter: &oneshot::Sender<Outcome>) -> bool {
    !waiter.is_closed()
}

/// A thread that works the queue off. Its place is free again when it ends, however it does.
struct Worker {
    checks: Arc<Checks>,
    has_place: bool,
}

impl Worker {
    fn run(mut self, blocking: &Blocking) {
        let checks = &Arc::clone(&self.checks);
        loop {
            let (fingerprint, key) = {
                let mut state = checks.state.lock();
                let next = {
                    let (strikes, now) = (checks.strikes.lock(), Instant::now());
                    state.queue.next(is_there, |caller| strikes.doubt(*caller, now))
                };
                checks.counters.waiting.set(state.queue.waiting() as u64);
                let Some(next) = next else {
                    // Under the lock that found nothing: who asks from now on starts another.
                    state.running -= 1;
                    self.has_place = false;
                    return;
                };
                next
            };
            let began = Instant::now();
            let running = Running { checks, fingerprint: &fingerprint };
            let outcome = (checks.check)(blocking, &fingerprint, &key);
            let waiters = running.finish(began.elapsed());
            for waiter in waiters {
                let _gone = waiter.send(outcome.clone());
            }
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.has_place {
            self.checks.state.lock().running -= 1;
        }
    }
}

/// A check that ends without an outcome answers nobody, and is no check that others may join.
struct Running<'a> {
    checks: &'a Checks,
    fingerprint: &'a Fingerprint,
}

impl Running<'_> {
    fn finish(self, took: Duration) -> Vec<oneshot::Sender<Outcome>> {
        let mut state = self.checks.state.lock();
        state.pace = (state.pace * 7 + took) / 8;
        state.queue.finish(self.fingerprint)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(self.checks.state.lock().queue.finish(self.fingerprint));
        }
    }
}

#[cfg(test)]
mod tests;
