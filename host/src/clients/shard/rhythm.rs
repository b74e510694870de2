//! When sessions write: at once while the thread has time, together at the beat when it has none.
//!
//! A write to a socket costs the kernel several microseconds, however little is in it. A thread that is busy
//! all the time and writes each tick as it comes spends itself on small writes; with a beat of a millisecond
//! each write takes along what came meanwhile, and what a tick waits for the beat it would otherwise have
//! waited for other sessions' writes.

use std::{
    cell::{Cell, RefCell},
    task::Waker,
};

use tickhost_core::throttle::Nanos;

/// Between two beats.
const BEAT: Nanos = 1_000_000;

/// Over which the thread's idle time is looked at.
const WINDOW: Nanos = 10_000_000;

/// Idle share of a window, in percent, below which the thread has no time.
const PRESSED_BELOW: u64 = 10;

/// Idle share above which it is tried without the beat.
const RELAXED_ABOVE: u64 = 50;

/// Windows in a row before the thread counts as pressed.
const WINDOWS_TO_PRESS: u32 = 3;

/// Windows in a row before it counts as relaxed: a second, so that a load which only the beat makes light
/// does not change the rhythm all the time.
const WINDOWS_TO_RELAX: u32 = 100;

/// The beat of one shard.
#[derive(Debug, Default)]
pub(super) struct Rhythm {
    is_pressed: Cell<bool>,
    /// Sessions that have something to write at the next beat.
    waiting: RefCell<Vec<Waker>>,
    next_beat: Cell<Nanos>,
    window: Cell<Window>,
}

/// The window that is being looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    began: Nanos,
    /// Idle time of the thread when it began.
    idle_before: Nanos,
    /// Windows before it, in a row, that spoke for a change.
    for_change: u32,
}

impl Rhythm {
    /// Wakes a session now, or at the next beat.
    pub(super) fn wake(&self, waker: Waker) {
        if self.is_pressed.get() {
            self.waiting.borrow_mut().push(waker);
        } else {
            waker.wake();
        }
    }

    /// When the next beat is due, if somebody waits for it.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        (!self.waiting.borrow().is_empty()).then(|| self.next_beat.get())
    }

    /// Beats when it is time, and looks how busy the thread is: `idle` is how long it had nothing to do since
    /// it began.
    pub(super) fn turn(&self, now: Nanos, idle: Nanos) {
        self.judge(now, idle);
        if now >= self.next_beat.get() || !self.is_pressed.get() {
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.is_empty() {
                self.next_beat.set(now + BEAT);
                waiting.drain(..).for_each(Waker::wake);
            }
        }
    }

    fn judge(&self, now: Nanos, idle: Nanos) {
        let window = self.window.get();
        let lasted = now.saturating_sub(window.began);
        if lasted < WINDOW {
            return;
        }
        let idle_percent = idle.saturating_sub(window.idle_before).saturating_mul(100) / lasted;
        let is_pressed = self.is_pressed.get();
        let (speaks_for_change, windows) = if is_pressed {
            (idle_percent > RELAXED_ABOVE, WINDOWS_TO_RELAX)
        } else {
            (idle_percent < PRESSED_BELOW, WINDOWS_TO_PRESS)
        };
        let mut for_change = if speaks_for_change { window.for_change + 1 } else { 0 };
        if for_change >= windows {
            self.is_pressed.set(!is_pressed);
            for_change = 0;
        }
        self.window.set(Window { began: now, idle_before: idle, for_change });
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets windows pass with this idle share.
    fn pass(rhythm: &Rhythm, now: &mut Nanos, idle: &mut Nanos, windows: u32, idle_percent: u64) {
        for _ in 0..windows {
            *now += WINDOW;
            *idle += WINDOW * idle_percent / 100;
            rhythm.turn(*now, *idle);
        }
    }

    #[test]
    fn a_thread_with_time_wakes_sessions_at_once_and_a_busy_one_at_the_beat() {
        let rhythm = Rhythm::default();
        let woken = Arc::<Woken>::default();
        let count = || woken.0.load(Ordering::Relaxed);
        let (mut now, mut idle) = (0, 0);
        pass(&rhythm, &mut now, &mut idle, 10, 50);
        rhythm.wake(Arc::clone(&woken).into());
        assert_eq!((count(), rhythm.next_due()), (1, None));

        pass(&rhythm, &mut now, &mut idle, WINDOWS_TO_PRESS, 2);
        rhythm.wake(Arc::clone(&woken).into());
        assert!(rhythm.next_due().is_some_and(|due| due <= now), "the first after a pause is due at once");
        rhythm.turn(now, idle);
        assert_eq!((count(), rhythm.next_due()), (2, None));
        rhythm.wake(Arc::clone(&woken).into());
        rhythm.wake(Arc::clone(&woken).into());
        rhythm.turn(now + BEAT - 1, idle);
        assert_eq!((count(), rhythm.next_due()), (2, Some(now + BEAT)));
        rhythm.turn(now + BEAT, idle);
        assert_eq!((count(), rhythm.next_due()), (4, None));
    }

    #[test]
    fn the_beat_ends_when_there_is_time_for_all_without_it_and_forgets_nobody() {
        let rhythm = Rhythm::default();
        let woken = Arc::<Woken>::default();
        let (mut now, mut idle) = (0, 0);
        pass(&rhythm, &mut now, &mut idle, WINDOWS_TO_PRESS + 1, 0);
        assert!(rhythm.is_pressed.get());
        pass(&rhythm, &mut now, &mut idle, 3 * WINDOWS_TO_RELAX, 40);
        assert!(rhythm.is_pressed.get(), "the beat may be what leaves it time");
        pass(&rhythm, &mut now, &mut idle, WINDOWS_TO_RELAX - 1, 90);
        rhythm.next_beat.set(now + 100 * WINDOW);
        rhythm.wake(Arc::clone(&woken).into());
        pass(&rhythm, &mut now, &mut idle, 1, 90);
        assert!(!rhythm.is_pressed.get());
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_single_busy_moment_changes_nothing() {
        let rhythm = Rhythm::default();
        let (mut now, mut idle) = (0, 0);
        for _ in 0..50 {
            pass(&rhythm, &mut now, &mut idle, WINDOWS_TO_PRESS - 1, 0);
            pass(&rhythm, &mut now, &mut idle, 1, 30);
        }
        assert!(!rhythm.is_pressed.get());
    }
}
