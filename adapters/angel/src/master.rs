//! The list of instruments over time: from disk, from the broker, and renewed while the connection is up.

use std::{cell::RefCell, rc::Rc, time::SystemTime};

use adapter_sdk::{
    AdapterError,
    abi::ErrorCode,
    instruments::{Cached, InstrumentFile, Table},
    net::{Http, RateLimit},
    tracing::{info, warn},
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Duration, Interval, MissedTickBehavior, interval},
};

use crate::{config::Settings, list::List, segment::Key};

/// Longest list that is taken; it has some 30 MiB.
const MAX_BYTES: u64 = 256 << 20;

/// Longest time for the download.
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(3);

/// The broker makes a new list each morning; by this time of India it is there.
const RENEWED_AT: (u8, u8) = (8, 30);

/// Pause between two looks at the age of the list, and between two attempts to renew it.
const CHECK_EVERY: Duration = Duration::from_mins(5);

type Loading = JoinHandle<Result<(Cached, List), AdapterError>>;

/// The list that is in force.
#[derive(Debug)]
pub(crate) struct Master {
    file: InstrumentFile,
    http: Http,
    url: String,
    loaded: RefCell<Option<(Cached, Rc<Table<Key>>)>>,
}

impl Master {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            file: InstrumentFile::new(settings.cache_dir.as_deref(), "angel", &settings.instruments_url),
            http: settings.network.http(RateLimit::per_second(1.0)),
            url: settings.instruments_url.clone(),
            loaded: RefCell::default(),
        }
    }

    /// The list, once there is one.
    pub(crate) fn table(&self) -> Option<Rc<Table<Key>>> {
        self.loaded.borrow().as_ref().map(|(_, table)| Rc::clone(table))
    }

    /// The file of the list, once there is one.
    pub(crate) fn cached(&self) -> Option<Cached> {
        self.loaded.borrow().as_ref().map(|(cached, _)| cached.clone())
    }

    /// Whether the list was made after the broker's last daily renewal.
    pub(crate) fn is_of_today(&self) -> bool {
        let (hour, minute) = RENEWED_AT;
        self.cached().is_some_and(|cached| cached.is_of(hour, minute, SystemTime::now()))
    }

    /// Makes sure that there is a list: the copy on disk, whatever its age, or else the broker's.
    pub(crate) async fn prepare(&self) -> Result<(), AdapterError> {
        if self.loaded.borrow().is_some() {
            return Ok(());
        }
        if let Some(cached) = self.file.cached() {
            match finished(Self::read(cached).await) {
                Ok(read) => {
                    self.put(read);
                    return Ok(());
                }
                Err(error) => warn!(%error, "The copy of the list of instruments is no good"),
            }
        }
        let fresh = finished(self.download().await)?;
        self.put(fresh);
        Ok(())
    }

    /// Begins to renew the list if it is of yesterday. Another connection of the account may have done it already.
    fn renew(&self, now: SystemTime) -> Option<Loading> {
        let (hour, minute) = RENEWED_AT;
        let loaded = self.cached()?;
        let newer = self.file.cached().filter(|cached| cached.fetched_at > loaded.fetched_at);
        match newer {
            Some(cached) => Some(Self::read(cached)),
            None if loaded.is_of(hour, minute, now) => None,
            None => Some(self.download()),
        }
    }

    fn read(cached: Cached) -> Loading {
        spawn_blocking(move || List::read(&cached.path).map(|list| (cached, list)))
    }

    fn download(&self) -> Loading {
        let (file, request) = (self.file.clone(), self.http.get(&self.url).timeout(DOWNLOAD_LIMIT));
        tokio::spawn(async move { file.download(request, MAX_BYTES, List::read).await })
    }

    fn put(&self, (cached, list): (Cached, List)) {
        info!(
            instruments = list.table.len(),
            of_other_exchanges = list.of_other_exchanges,
            unreadable = list.unreadable,
            kib = list.table.bytes() / 1_024,
            "List of instruments loaded"
        );
        *self.loaded.borrow_mut() = Some((cached, Rc::new(list.table)));
    }
}

/// Whoever asks for the list is nobody in particular: a refusal says nothing about the account.
fn finished<T>(outcome: Result<Result<T, AdapterError>, tokio::task::JoinError>) -> Result<T, AdapterError> {
    let done = outcome.map_err(|_| AdapterError::protocol("the list of instruments could not be read"))?;
    done.map_err(|error| match error.code() {
        ErrorCode::AUTH => AdapterError::network(error),
        _ => error,
    })
}

/// Renews the list beside a connection.
#[derive(Debug)]
pub(crate) struct Renewal {
    master: Rc<Master>,
    checks: Interval,
    loading: Option<Loading>,
}

impl Renewal {
    pub(crate) fn new(master: Rc<Master>) -> Self {
        let mut checks = interval(CHECK_EVERY);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { master, checks, loading: None }
    }

    /// Waits until another list is in force.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) {
        loop {
            let Some(loading) = &mut self.loading else {
                self.checks.tick().await;
                self.loading = self.master.renew(SystemTime::now());
                continue;
            };
            let outcome = loading.await;
            self.loading = None;
            match finished(outcome) {
                Ok(fresh) => {
                    self.master.put(fresh);
                    return;
                }
                Err(error) => {
                    warn!(%error, "The list of instruments could not be renewed: the old one stays");
                }
            }
        }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        if let Some(loading) = &self.loading {
            loading.abort();
        }
    }
}
