//! Where work may wait: for a disk, a lock of a database, or a hash.
//!
//! Databases and hashes are reached only with a [`Blocking`], and this module alone makes one: for work of
//! the blocking pool, for a thread of its own, and for commands. So the compiler refuses such a call on a
//! thread that serves. Where it cannot see the thread, debug builds do, and with them all tests: a thread
//! that serves says so with [`serve_here`], and what reads or writes files, or starts programs, begins with
//! `may_wait`.

use std::{cell::Cell, marker::PhantomData, thread};

use tokio::task::JoinHandle;

/// A thread of this niceness gets a third of the time of one that serves, when both want it.
#[cfg(target_os = "linux")]
const BACKGROUND_NICENESS: i32 = 5;

thread_local! {
    static SERVES: Cell<bool> = const { Cell::new(false) };
}

/// Says that ticks or clients wait for this thread, from now on: work that can wait is not done here.
pub fn serve_here() {
    SERVES.set(true);
}

/// Work was not done: it panicked, or the host stops before its turn came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host is stopping")]
pub struct Stopping;

/// Proof that this thread may wait. Cannot be sent to another one.
#[derive(Debug)]
pub struct Blocking(PhantomData<*const ()>);

impl Blocking {
    fn here() -> Self {
        may_wait();
        Self(PhantomData)
    }

    /// For a command, and for the host before it serves.
    pub(crate) fn of_command() -> Self {
        Self::here()
    }
}

/// Does work that takes the processor for long, on a thread that gives way to those that serve, and waits for
/// it.
pub(crate) fn give_way<T: Send>(_blocking: &Blocking, work: impl Fn() -> T + Sync) -> T {
    let in_background = || {
        lower_priority();
        work()
    };
    let done = thread::scope(|scope| {
        let begun =
            thread::Builder::new().name("background".to_owned()).spawn_scoped(scope, in_background).ok()?;
        Some(begun.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    // Where the system gives no thread, it is done here.
    done.unwrap_or_else(work)
}

/// Lets the other threads of this process go first. On Linux this concerns one thread; elsewhere it would
/// concern all.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        // Refused, the work is done all the same.
        let _refused = rustix::process::nice(BACKGROUND_NICENESS);
    }
}

/// Says that the caller is about to wait, perhaps for long. In debug builds a thread that serves panics here.
pub(crate) fn may_wait() {
    debug_assert!(!SERVES.get(), "a thread that serves is about to wait for a disk, a lock or a hash");
}

/// Does work on the blocking pool.
///
/// # Errors
/// When the work panicked, or the host stops before it is done.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce(&Blocking) -> T + Send + 'static,
) -> Result<T, Stopping> {
    begin(work).await.map_err(|_| Stopping)
}

/// Begins work on the blocking pool, to be waited for or not.
#[expect(clippy::disallowed_methods, reason = "the one place from which the pool is reached")]
pub(crate) fn begin<T: Send + 'static>(work: impl FnOnce(&Blocking) -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(move || on_the_pool(work))
}

/// Begins work on the blocking pool, and does not wait for it.
pub(crate) fn begin_off_thread(work: impl FnOnce(&Blocking) + Send + 'static) {
    drop(begin(work));
}

/// Does work that nobody waits for where it may wait: here, if nobody waits for this thread, and else on the
/// blocking pool. For what is left to do when something is dropped.
pub(crate) fn soon(work: impl FnOnce() + Send + 'static) {
    if SERVES.get() && tokio::runtime::Handle::try_current().is_ok() {
        begin_off_thread(move |_| work());
    } else {
        work();
    }
}

/// Does work on a new thread.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn on_own_thread(
    name: &str,
    work: impl FnOnce(&Blocking) + Send + 'static,
) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(move || work(&Blocking::here())).map(drop)
}

/// A runtime marks all of its threads when it starts them, those of its pool too.
fn on_the_pool<T>(work: impl FnOnce(&Blocking) -> T) -> T {
    SERVES.set(false);
    work(&Blocking::here())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_that_serves_may_not_wait_and_its_pool_may() {
        let serving = thread::spawn(|| {
            serve_here();
            std::panic::catch_unwind(Blocking::of_command).is_err()
        });
        assert_eq!(serving.join().unwrap(), cfg!(debug_assertions));
        let runtime =
            tokio::runtime::Builder::new_current_thread().on_thread_start(serve_here).build().unwrap();
        let done = thread::spawn(move || {
            serve_here();
            runtime.block_on(off_thread(|_| true))
        });
        assert!(done.join().unwrap().unwrap());
    }

    #[test]
    fn work_in_the_background_gives_its_outcome_and_its_panic() {
        let blocking = Blocking::of_command();
        let (here, borrowed) = (thread::current().id(), "borrowed".to_owned());
        let (there, said) = give_way(&blocking, || (thread::current().id(), borrowed.as_str()));
        assert!(there != here && said == "borrowed");
        let panicked =
            std::panic::catch_unwind(|| give_way(&Blocking::of_command(), || panic!("on purpose")));
        assert!(panicked.is_err());
    }
}
