//! Where work may wait: for a disk, a lock of a database, or a hash.
//!
//! Databases and hashes are reached only with a [`Blocking`], and this module alone makes one: for work of the blocking
//! pool, for a thread of its own, and for commands. So the compiler refuses such a call on a thread that serves. Where it
//! cannot see the thread, debug builds do: a thread that serves says so with [`serve_here`].

use std::{cell::Cell, marker::PhantomData, sync::Arc, thread};

use parking_lot::Mutex;

use super::AccountsError;

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

/// Proof that this thread may wait. Cannot be sent to another one.
#[derive(Debug)]
pub struct Blocking(PhantomData<*const ()>);

impl Blocking {
    fn here() -> Self {
        debug_assert!(!SERVES.get(), "a thread that serves is about to wait for a disk, a lock or a hash");
        Self(PhantomData)
    }

    /// For a command, and for the host before it serves.
    pub(super) fn of_command() -> Self {
        Self::here()
    }
}

/// Does work on the blocking pool.
///
/// # Errors
/// When the host stops before the work is done.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce(&Blocking) -> T + Send + 'static,
) -> Result<T, AccountsError> {
    tokio::task::spawn_blocking(move || on_the_pool(work)).await.map_err(|_| stopping())
}

/// Begins work on the blocking pool, and does not wait for it.
pub(super) fn begin_off_thread(work: impl FnOnce(&Blocking) + Send + 'static) {
    drop(tokio::task::spawn_blocking(move || on_the_pool(work)));
}

/// Does work on a new thread.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn on_own_thread(
    name: &str,
    work: impl FnOnce(&Blocking) + Send + 'static,
) -> std::io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(move || work(&Blocking::here())).map(drop)
}

/// Begins work that takes the processor for long: on a thread of its own that gives way to all others, or on the blocking
/// pool where the system gives no thread. Does not wait for it.
pub(super) fn begin_in_background(name: &str, work: impl FnOnce(&Blocking) + Send + 'static) {
    // A thread that is refused takes its work with it.
    let work = Arc::new(Mutex::new(Some(work)));
    let kept = Arc::clone(&work);
    let begun = on_own_thread(name, move |blocking| {
        give_way();
        if let Some(work) = kept.lock().take() {
            work(blocking);
        }
    });
    if begun.is_err()
        && let Some(work) = work.lock().take()
    {
        begin_off_thread(work);
    }
}

/// Lets the other threads of this process go first. On Linux this concerns one thread; elsewhere it would concern all.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        // Refused, the work is done all the same.
        let _refused = rustix::process::nice(BACKGROUND_NICENESS);
    }
}

/// A runtime marks all of its threads when it starts them, those of its pool too.
fn on_the_pool<T>(work: impl FnOnce(&Blocking) -> T) -> T {
    SERVES.set(false);
    work(&Blocking::here())
}

pub(super) fn stopping() -> AccountsError {
    AccountsError::Refused("the host is stopping".to_owned())
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
}
