//! Reads of a database that clients wait for and that cost no hash: whoever asks while one thread reads is
//! served in the next turn of the same thread. So any number of clients has one thread of the pool, and no
//! bound is needed but that of the connections, each of which asks one thing at a time.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    AccountsError,
    blocking::{Blocking, Stopping, begin_off_thread},
};

type Read<Q, A> = dyn Fn(&Blocking, &Q) -> Result<A, AccountsError> + Send + Sync;

/// What waits for an answer.
type Waiting<Q, A> = Vec<(Q, oneshot::Sender<Result<A, AccountsError>>)>;

/// Questions to a database.
pub(super) struct Lookups<Q, A> {
    state: Mutex<State<Q, A>>,
    read: Box<Read<Q, A>>,
}

struct State<Q, A> {
    waiting: Waiting<Q, A>,
    is_reading: bool,
}

impl<Q, A> std::fmt::Debug for Lookups<Q, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

impl<Q: Send + 'static, A: Send + 'static> Lookups<Q, A> {
    pub(super) fn new(
        read: impl Fn(&Blocking, &Q) -> Result<A, AccountsError> + Send + Sync + 'static,
    ) -> Self {
        Self { state: Mutex::new(State { waiting: Vec::new(), is_reading: false }), read: Box::new(read) }
    }

    pub(super) async fn ask(self: &Arc<Self>, question: Q) -> Result<A, AccountsError> {
        let (answer, answered) = oneshot::channel();
        {
            let mut state = self.state.lock();
            state.waiting.push((question, answer));
            if !std::mem::replace(&mut state.is_reading, true) {
                let reader = Reader(Arc::clone(self));
                begin_off_thread(move |blocking| while reader.turn(blocking) {});
            }
        }
        answered.await.unwrap_or_else(|_| Err(Stopping.into()))
    }
}

/// A thread that answers. When it ends without having said so, the next question starts another.
struct Reader<Q, A>(Arc<Lookups<Q, A>>);

impl<Q, A> Reader<Q, A> {
    /// Answers what waits; false when nothing did.
    fn turn(&self, blocking: &Blocking) -> bool {
        let waiting = {
            let mut state = self.0.state.lock();
            state.is_reading = !state.waiting.is_empty();
            std::mem::take(&mut state.waiting)
        };
        let is_any = !waiting.is_empty();
        let mut failure: Option<AccountsError> = None;
        for (question, answer) in waiting {
            // A database that was waited for in vain is not waited for once more for each client.
            let outcome = match &failure {
                Some(error) => Err(error.clone()),
                None => (self.0.read)(blocking, &question),
            };
            failure = outcome.as_ref().err().cloned();
            // One that has gone is not sorry.
            let _gone = answer.send(outcome);
        }
        is_any
    }
}

impl<Q, A> Drop for Reader<Q, A> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.state.lock();
            state.is_reading = false;
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn everybody_is_answered_and_a_failure_is_waited_for_once() {
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let (go, may_go) = std::sync::mpsc::channel::<()>();
        let may_go = Mutex::new(may_go);
        let lookups = Arc::new(Lookups::new(move |_, question: &u32| {
            counted.fetch_add(1, Ordering::Relaxed);
            if *question == 0 {
                may_go.lock().recv().unwrap();
                return Ok(0);
            }
            Err(AccountsError::Refused(question.to_string()))
        }));
        let first = tokio::spawn({
            let lookups = Arc::clone(&lookups);
            async move { lookups.ask(0).await }
        });
        while reads.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let mut others: Vec<_> = (1..=50).map(|number| Box::pin(lookups.ask(number))).collect();
        // All of them have asked before the first is answered.
        for other in &mut others {
            assert!(futures_util::poll!(other).is_pending());
        }
        go.send(()).unwrap();
        assert!(first.await.unwrap().is_ok());
        for other in others {
            assert_eq!(other.await.unwrap_err().to_string(), "1");
        }
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }
}
