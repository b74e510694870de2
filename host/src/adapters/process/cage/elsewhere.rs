//! Systems that have no cage: nothing holds there but the limits of the process.

use super::Inside;
use crate::config::{Cage, Confine};

/// What the system has of a cage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Support;

impl Support {
    /// Asks the system.
    pub const fn of_system() -> Self {
        Self
    }

    /// In a sentence, what holds.
    pub fn holds(self) -> String {
        "nothing but limits of the process".to_owned()
    }

    /// What does not hold, one sentence each.
    pub fn lacks(self) -> Vec<String> {
        vec!["this system has no means to confine a library: it can do what the host's user can".to_owned()]
    }
}

/// Does nothing here.
pub const fn guard_host() {}

/// Does nothing here.
pub(in super::super) const fn begin() {}

/// Locks nobody in.
///
/// # Errors
/// When that is required.
pub(in super::super) fn enter(cage: &Cage, _inside: &Inside<'_>) -> Result<Vec<String>, String> {
    match cage.confine {
        Confine::Off => Ok(Vec::new()),
        Confine::Auto => Ok(Support.lacks()),
        Confine::Required => Err(Support.lacks().join("; ")),
    }
}
