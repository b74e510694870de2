//! How many files and sockets the system lets the host have open, and how they are shared out.
//!
//! ```text
//! 0 ........................................ ceiling ........................ limit
//!   the host's own, clients, publishers              reserve: adapters, files, database, operator
//! ```
//!
//! The system gives the lowest free number to what is opened. So a connection of a stranger whose number is
//! not below the ceiling has come when everything below was in use, and is closed at once: what strangers
//! open never takes from the reserve, whatever port they come to.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Most that are asked for. More would not be used, and programs that walk through all numbers would take
/// long.
const MOST: usize = 1_048_576;

/// Connections of the operator's port that are served at one time. When one more comes, the oldest makes room
/// that has not finished its request; when all have, the newcomer is told to come back.
pub const OPERATOR_CONNECTIONS_AT_ONCE: usize = 64;

/// As [`OPERATOR_CONNECTIONS_AT_ONCE`], of the host's own commands.
pub const COMMANDS_AT_ONCE: usize = 16;

/// Most sockets of the client port that are open at one time beside those of clients with and without a key:
/// of those who are on their way out.
pub const LEAVING_CLIENTS: usize = 1_408;

/// What the operator's port and the socket for commands may hold.
const OPERATOR: usize = OPERATOR_CONNECTIONS_AT_ONCE + COMMANDS_AT_ONCE;

/// Databases with their journals, files that are read and written, the log.
const FILES: usize = 32;

/// Least for adapters' processes, each of which takes some of the host's: pipes, sockets, and those of its
/// start.
const LEAST_FOR_ADAPTERS: usize = 64;

/// The part of all that adapters have when there are many.
const ADAPTERS_SHARE: usize = 8;

/// What a host has open that serves nobody: ports, and what its threads wait with.
const AT_REST: usize = 64;

/// Each publisher has its connection and both ends of a private one.
const PER_PUBLISHER: usize = 3;

/// The part of the clients' that those without a key may take, as far as their own limit lets them.
const STRANGERS_SHARE: usize = 4;

/// Where the reserve begins; 0 while nobody has looked.
static CEILING: AtomicUsize = AtomicUsize::new(0);

/// How the descriptors of a host are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many the system lets it have.
    pub limit: usize,
    /// Of them, kept for adapters, files, databases and the operator.
    pub reserve: usize,
    /// Clients that fit beside that, and beside publishers; with a key or without one.
    pub clients: usize,
}

impl Budget {
    /// Shares out as many as this; `publishers` is how many may connect to the bus.
    pub fn of(limit: usize, publishers: usize) -> Self {
        let adapters = LEAST_FOR_ADAPTERS.max(limit / ADAPTERS_SHARE);
        // Where there are hardly any, half of them.
        let reserve = (OPERATOR + FILES + adapters).min(limit / 2);
        let ceiling = limit - reserve;
        let shared = (publishers * PER_PUBLISHER).min(ceiling / 4) + LEAVING_CLIENTS.min(ceiling / 8);
        let clients = ceiling.saturating_sub(AT_REST.min(ceiling / 2) + shared).max(1);
        Self { limit, reserve, clients }
    }

    /// How many fit with a key and without one, of so many that are allowed of each.
    pub fn fitting(&self, with_key: usize, without: usize) -> (usize, usize) {
        // What the others do not want is left to these.
        let share = (self.clients / STRANGERS_SHARE).max(self.clients.saturating_sub(with_key));
        let without = without.min(share).max(1);
        (with_key.min(self.clients.saturating_sub(without)).max(1), without)
    }

    /// Of this process, once it has [raised](raise) its limit.
    pub fn attainable(publishers: usize) -> Self {
        Self::of(system::attainable(), publishers)
    }
}

/// Raises the limit of this process to what the system allows it without more rights, most of all 1,048,576.
/// Adapters' processes set limits of their own.
pub fn raise() {
    let reached = system::raise();
    CEILING.store(ceiling_of(reached), Ordering::Relaxed);
}

/// Whether a connection of a stranger, which was just accepted, leaves the reserve alone. Otherwise it is to
/// be closed.
pub(crate) fn has_room_for(stream: &impl system::Numbered) -> bool {
    let mut ceiling = CEILING.load(Ordering::Relaxed);
    if ceiling == 0 {
        ceiling = ceiling_of(system::present());
        CEILING.store(ceiling, Ordering::Relaxed);
    }
    system::number_of(stream) < ceiling
}

fn ceiling_of(limit: usize) -> usize {
    limit - Budget::of(limit, 0).reserve
}

#[cfg(unix)]
mod system {
    /// What has a descriptor.
    pub(crate) use std::os::fd::AsRawFd as Numbered;

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::MOST;

    pub(super) fn present() -> usize {
        bounded(getrlimit(Resource::Nofile).current)
    }

    pub(super) fn attainable() -> usize {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        bounded(maximum).max(bounded(current))
    }

    /// None is no limit.
    fn bounded(limit: Option<u64>) -> usize {
        limit.and_then(|limit| usize::try_from(limit).ok()).map_or(MOST, |limit| limit.min(MOST))
    }

    pub(super) fn raise() -> usize {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let wanted = attainable() as u64;
        if current.is_some_and(|current| current < wanted)
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        {
            tracing::warn!(%error, wanted, "Could not raise the limit of open files");
        }
        present()
    }

    pub(super) fn number_of(stream: &impl Numbered) -> usize {
        usize::try_from(stream.as_raw_fd()).unwrap_or(0)
    }
}

/// Sockets are no files there, and have no such limit.
#[cfg(not(unix))]
mod system {
    use super::MOST;

    /// Nothing has a descriptor there.
    pub(crate) trait Numbered {}

    impl<T> Numbered for T {}

    pub(super) fn present() -> usize {
        MOST
    }

    pub(super) fn attainable() -> usize {
        MOST
    }

    pub(super) fn raise() -> usize {
        MOST
    }

    pub(super) fn number_of<T>(_stream: &T) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_share_and_the_shares_fit() {
        for limit in [3, 64, 256, 1_024, 4_096, 65_536, MOST] {
            for publishers in [0, 256] {
                let Budget { reserve, clients, .. } = Budget::of(limit, publishers);
                assert!(clients >= 1 && reserve + clients <= limit.max(2), "{limit}: {reserve} {clients}");
                assert!(limit < 1_024 || reserve >= OPERATOR + FILES + LEAST_FOR_ADAPTERS);
            }
        }
        let small = Budget::of(1_024, 256);
        let (with_key, without) = small.fitting(10_000, 1_024);
        assert!(with_key + without <= small.clients && with_key > 2 * without, "{with_key} {without}");
        assert_eq!(small.fitting(100, 200), (100, 200));
        assert_eq!(Budget::of(65_536, 256).fitting(10_000, 1_024), (10_000, 1_024));
        // The default number of clients fits into what the unit for systemd asks for, and a good part into
        // the usual least.
        assert!(Budget::of(65_536, 256).clients > 10_000);
        assert!(Budget::of(1_024, 256).clients > 400);
    }

    #[cfg(unix)]
    #[test]
    fn a_limit_is_raised_to_what_is_attainable() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        let lowered = Some(system::attainable() as u64 - 1);
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: lowered, maximum }).unwrap();
        assert!(system::present() < system::attainable());
        raise();
        assert_eq!(system::present(), system::attainable());
        assert_eq!(Budget::attainable(0).limit, system::present());
    }
}
