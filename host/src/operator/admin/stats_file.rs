//! A file with a few numbers, which OpenAlgo's health page reads (`WS_PROXY_STATS_FILE`).

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{StatusReport, StatusSource};
use crate::base::{blocking::off_thread, clock, files};

/// Time between two writes. The reader takes what is older than a minute for that of a host that is gone.
const EVERY: Duration = Duration::from_secs(10);

/// What is in it, under the names that OpenAlgo reads.
#[derive(Debug, PartialEq, Serialize)]
struct Stats {
    /// Seconds since the Unix epoch.
    timestamp: f64,
    /// Feeds.
    total_connections: usize,
    /// Subscribed instruments: of each, every mode that somebody holds counts.
    total_symbols: u64,
    clients_connected: usize,
    brokers: BTreeSet<String>,
}

impl Stats {
    fn new(status: &StatusReport, total_symbols: u64, now_ms: u64) -> Self {
        Self {
            timestamp: Duration::from_millis(now_ms).as_secs_f64(),
            total_connections: status.feeds.len(),
            total_symbols,
            clients_connected: status.sessions.total,
            brokers: status.feeds.iter().map(|feed| feed.broker.clone()).collect(),
        }
    }
}

/// Writes the file until `shutdown`, and removes it then. A file that cannot be written is said once, until
/// it can.
pub async fn keep_stats_file(path: PathBuf, source: Arc<dyn StatusSource>, shutdown: CancellationToken) {
    let mut beat = tokio::time::interval(EVERY);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_failing = false;
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = shutdown.cancelled() => break,
        }
        let stats = Stats::new(&source.status(), source.streams(), clock::unix_millis());
        let to = path.clone();
        let written = off_thread(move |_| write(&to, &stats)).await.map_err(io::Error::other);
        match written.flatten() {
            Ok(()) => is_failing = false,
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(path = %path.display(), %error, "Could not write WS_PROXY_STATS_FILE");
            }
            Err(_) => {}
        }
    }
    // Old numbers would be taken for those of a host that runs, for a minute.
    _ = off_thread(move |_| remove(&path)).await;
}

/// Readers see the old file or the new one, never half of one. Others may write to the folder, as to `/tmp`,
/// and put links in the way of the file: none is followed.
fn write(path: &Path, stats: &Stats) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::require_unshared(folder)?;
        fs::create_dir_all(folder)?;
    }
    let ending = format!(".{}", std::process::id());
    let wanted = files::Wanted { mode: 0o644, is_durable: false, ending: &ending };
    files::replace(path, &serde_json::to_vec(stats)?, wanted)
}

/// Removes the file, if it can be only that.
fn remove(path: &Path) -> io::Result<()> {
    files::require_unshared(path.parent().unwrap_or(Path::new("")))?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_what_openalgo_reads_and_is_replaced_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log").join("stats.json");
        let stats = |clients_connected| Stats {
            timestamp: 1_700_000_000.5,
            total_connections: 1,
            total_symbols: 7,
            clients_connected,
            brokers: ["zerodha".to_owned()].into(),
        };
        write(&path, &stats(1)).unwrap();
        write(&path, &stats(2)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let expected = r#"{"timestamp":1700000000.5,"total_connections":1,"total_symbols":7,"clients_connected":2,"brokers":["zerodha"]}"#;
        assert_eq!(text, expected);
        assert_eq!(fs::read_dir(dir.path().join("log")).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_somebody_laid_in_a_shared_folder_is_not_followed() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let dir = tempfile::tempdir().unwrap();
        let (shared, victim) = (dir.path().join("shared"), dir.path().join("victim"));
        fs::create_dir(&shared).unwrap();
        fs::write(&victim, "precious").unwrap();
        let (path, pid) = (shared.join("stats.json"), std::process::id());
        for name in ["stats.json".to_owned(), format!("stats.json.{pid}"), format!(".stats.json.{pid}")] {
            symlink(&victim, shared.join(name)).unwrap();
        }
        let stats = Stats {
            timestamp: 0.0,
            total_connections: 0,
            total_symbols: 0,
            clients_connected: 0,
            brokers: BTreeSet::new(),
        };
        // As /tmp is: the sticky bit keeps others from what is the host's own.
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        write(&path, &stats).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        remove(&path).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(write(&path, &stats).unwrap_err().to_string().contains("everybody may write"));
        assert!(!path.exists());
    }
}
