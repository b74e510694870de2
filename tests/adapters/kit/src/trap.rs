//! When the fault happens: once after each connect, or each time that somebody makes the trigger file.

use std::{fs, path::PathBuf, time::Duration};

use tokio::time::Instant;

use crate::config::{Fault, Settings, When};

/// Between two looks for the trigger file.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Lets the fault loose.
#[derive(Debug)]
pub(crate) struct Trap(State);

#[derive(Debug)]
enum State {
    /// There is no fault, or it happened.
    Idle,
    At(Instant),
    WhenExists {
        file: PathBuf,
        look_at: Instant,
        keeps_file: bool,
    },
}

impl Trap {
    /// Sets the trap of a connection that begins now.
    pub(crate) fn set(settings: &Settings, now: Instant) -> Self {
        let Some(fault) = settings.fault.filter(|fault| fault.is_in_next()) else { return Self(State::Idle) };
        Self(match &settings.when {
            When::After(delay) => State::At(now + *delay),
            When::Triggered(file) => {
                State::WhenExists { file: file.clone(), look_at: now, keeps_file: fault == Fault::TickFlood }
            }
        })
    }

    /// Waits until [`Self::springs`] is to be asked. Cancel safe.
    pub(crate) async fn wait(&self) {
        match &self.0 {
            State::Idle => std::future::pending().await,
            State::At(at) | State::WhenExists { look_at: at, .. } => tokio::time::sleep_until(*at).await,
        }
    }

    /// Whether the fault is to happen now. Removes the trigger file, unless it says how long the fault is to
    /// last.
    pub(crate) fn springs(&mut self, now: Instant) -> bool {
        match &mut self.0 {
            State::Idle => false,
            State::At(at) => {
                let springs = now >= *at;
                if springs {
                    self.0 = State::Idle;
                }
                springs
            }
            State::WhenExists { file, look_at, keeps_file } => {
                *look_at = now + LOOK_EVERY;
                if *keeps_file { file.exists() } else { fs::remove_file(file).is_ok() }
            }
        }
    }

    /// The same for a fault that happens where there is no connection: without a trigger it always happens.
    ///
    /// Of several instances that look for one file, the one that could remove it has the fault.
    pub(crate) fn springs_now(when: &When) -> bool {
        match when {
            When::After(_) => true,
            When::Triggered(file) => fs::remove_file(file).is_ok(),
        }
    }
}
