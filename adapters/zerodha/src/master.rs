//! The list of instruments over time: what is on disk, what is in memory, and when to get it anew.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use adapter_sdk::{
    AdapterError,
    instruments::{Cached, InstrumentFile},
    ist,
    net::Http,
    tracing::{info, warn},
};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::{
    auth::Keys,
    config::Settings,
    instruments::{Instruments, MAX_BYTES},
};

/// When the broker makes its list anew, in India.
const RENEWED_AT: (u8, u8) = (8, 30);

/// Longest time for a download.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(2);

/// First and longest pause after a download that failed.
const PAUSES: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));

/// Downloads of the day are spread over so many seconds, since everybody's are due at the same moment.
const SPREAD_SECONDS: u64 = 300;

/// The list of one instance.
#[derive(Debug)]
pub(crate) struct Master {
    file: InstrumentFile,
    http: Http,
    url: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    list: Option<(Arc<Instruments>, SystemTime)>,
    /// What the broker last said to be the present list.
    etag: Option<String>,
}

impl Master {
    pub(crate) fn new(http: Http, settings: &Settings) -> Self {
        Self {
            file: InstrumentFile::new(settings.cache_dir.as_deref(), "zerodha", &settings.instruments_url),
            http,
            url: settings.instruments_url.clone(),
            state: Mutex::default(),
        }
    }

    /// The list in memory.
    pub(crate) fn list(&self) -> Option<Arc<Instruments>> {
        self.state.lock().list.as_ref().map(|(list, _)| Arc::clone(list))
    }

    /// Whether the list was made after the broker's last daily renewal.
    pub(crate) fn is_of_today(&self) -> bool {
        let renewed_at = last_renewal();
        self.state.lock().list.as_ref().is_some_and(|(_, fetched_at)| *fetched_at >= renewed_at)
    }

    /// Makes sure that there is a list, and be it an old one.
    pub(crate) async fn prepare(&self, keys: &Keys) -> Result<(), AdapterError> {
        if self.list().is_some() {
            return Ok(());
        }
        if let Some(cached) = self.file.cached() {
            match self.load(cached).await {
                Ok(_) => return Ok(()),
                Err(error) => warn!(%error, "The list of instruments on disk is no good; getting it anew"),
            }
        }
        self.download(keys).await.map(|_| ())
    }

    /// Notes what the broker says to be the present list. True when it has become another one.
    pub(crate) fn is_new(&self, etag: &str) -> bool {
        let before = self.state.lock().etag.replace(etag.to_owned());
        before.is_some_and(|before| before != etag)
    }

    /// Gets the list anew, unless another connection has put one on disk that was made since then.
    async fn renew(&self, keys: &Keys, since: SystemTime) -> Result<Arc<Instruments>, AdapterError> {
        let known = self.state.lock().list.as_ref().map(|(_, fetched_at)| *fetched_at);
        if let Some(cached) = self.file.cached()
            && cached.fetched_at >= since
            && known.is_none_or(|known| cached.fetched_at > known)
            && let Ok(list) = self.load(cached).await
        {
            return Ok(list);
        }
        self.download(keys).await
    }

    async fn load(&self, cached: Cached) -> Result<Arc<Instruments>, AdapterError> {
        let path = cached.path;
        let list = tokio::task::spawn_blocking(move || Instruments::load(&path))
            .await
            .map_err(|_| AdapterError::protocol("the list of instruments could not be read"))??;
        Ok(self.take(list, cached.fetched_at))
    }

    async fn download(&self, keys: &Keys) -> Result<Arc<Instruments>, AdapterError> {
        let request = keys.sign(self.http.get(&self.url)).timeout(DOWNLOAD_TIMEOUT);
        let (cached, list) = self.file.download(request, MAX_BYTES, Instruments::load).await?;
        Ok(self.take(list, cached.fetched_at))
    }

    fn take(&self, list: Instruments, fetched_at: SystemTime) -> Arc<Instruments> {
        info!(
            instruments = list.len(),
            skipped = list.skipped(),
            bytes = list.bytes(),
            "Read the list of instruments"
        );
        let list = Arc::new(list);
        self.state.lock().list = Some((Arc::clone(&list), fetched_at));
        list
    }
}

fn last_renewal() -> SystemTime {
    ist::last(RENEWED_AT.0, RENEWED_AT.1, SystemTime::now())
}

type Work = Pin<Box<dyn Future<Output = Result<Arc<Instruments>, AdapterError>>>>;

/// Renews the list while a connection is up, which has proven the keys.
pub(crate) struct Renewal {
    master: Arc<Master>,
    keys: Keys,
    due: Instant,
    /// A list that was made after this will do.
    since: SystemTime,
    pause: Duration,
    work: Option<Work>,
    /// Something newer became known while a list was on its way.
    is_outdated: bool,
}

impl Renewal {
    /// At once if the list is not of today, or else when the next one is due.
    pub(crate) fn new(master: Arc<Master>, keys: Keys) -> Self {
        let mut renewal = Self {
            due: Instant::now(),
            since: last_renewal(),
            pause: PAUSES.0,
            work: None,
            is_outdated: false,
            keys,
            master,
        };
        if renewal.master.is_of_today() {
            renewal.wait_for_tomorrow();
        }
        renewal
    }

    /// The broker has another list.
    pub(crate) fn hurry(&mut self) {
        (self.due, self.since) = (Instant::now(), SystemTime::now());
        self.is_outdated = self.work.is_some();
    }

    /// Waits for the next list, which may take a day. An error is tried again by itself, later.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Result<Arc<Instruments>, AdapterError> {
        let work = match &mut self.work {
            Some(work) => work,
            none => {
                sleep_until(self.due).await;
                let (master, keys, since) = (Arc::clone(&self.master), self.keys.clone(), self.since);
                none.insert(Box::pin(async move { master.renew(&keys, since).await }))
            }
        };
        let outcome = work.as_mut().await;
        self.work = None;
        if outcome.is_ok() {
            self.pause = PAUSES.0;
            if !std::mem::take(&mut self.is_outdated) {
                self.wait_for_tomorrow();
            }
        } else {
            self.due = Instant::now() + self.pause;
            self.pause = (self.pause * 2).min(PAUSES.1);
        }
        outcome
    }

    fn wait_for_tomorrow(&mut self) {
        let next = last_renewal() + Duration::from_hours(24);
        let until = next.duration_since(SystemTime::now()).unwrap_or_default();
        self.due = Instant::now() + until + Duration::from_secs(rand::random_range(1..=SPREAD_SECONDS));
        self.since = next;
    }
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewal").field("due", &self.due).finish_non_exhaustive()
    }
}
