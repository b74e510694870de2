//! The list of instruments over time: what is on disk, what is in memory, and when to get it anew.
//!
//! A broker's numbers may mean something else from one day to the next. So a list is good until the broker makes its next
//! one; after that nothing is subscribed by it, unless the operator says otherwise ([`Outdated`]). While the new one cannot
//! be had, the adapter does not connect, and its feed says why.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use super::{
    Cached, InstrumentFile,
    file::{Fresh, read_aside},
    names::{has_names_since, publish_names},
};
use crate::{
    AdapterError,
    abi::ErrorCode,
    ist,
    net::{Http, HttpRequest},
};

/// First and longest pause after a download that failed while a connection is up.
const PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_mins(5));

/// Downloads of the day are spread over so many seconds, since everybody's are due at the same moment.
const SPREAD_SECONDS: u64 = 300;

/// How long a connection that is up goes on by the last list when that of today does not come. The exchanges open half an
/// hour and more after the brokers' lists are made.
const GRACE: Duration = Duration::from_mins(15);

/// With [`Outdated::Use`], how long a connect waits for the list of today when there is another.
const USE_AFTER: Duration = Duration::from_secs(15);

/// Pause between two looks at whether another connection has finished its download.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What an adapter makes of a broker's files.
pub trait List: fmt::Debug + Send + Sync + Sized + 'static {
    /// Reads the files, which stand in the order of [`ListSource::urls`]. Called on a thread where it may take its time.
    ///
    /// # Errors
    /// When they are no list: then the last good one stays.
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError>;

    /// What is in it, for the log.
    fn summary(&self) -> Summary;

    /// Exchange and symbol of everything in it, for the search of the host's console; nothing unless it is implemented.
    fn names(&self) -> Box<dyn Iterator<Item = (&str, &str)> + '_> {
        Box::new(std::iter::empty())
    }
}

/// What is in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Instruments that can be subscribed.
    pub instruments: usize,
    /// Rows that were left out.
    pub skipped: usize,
    /// Memory that it takes, in bytes.
    pub bytes: usize,
}

/// What is to be done when the broker does not give the list of today. The setting `outdated_list` of adapters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outdated {
    /// The feed does not connect, says why, and goes on trying: no price of one instrument is shown for another.
    #[default]
    Refuse,
    /// The last good list is used, whatever its age.
    Use,
}

/// Where a list comes from.
#[derive(Clone, Debug)]
pub struct ListSource {
    /// Name of the adapter.
    pub adapter: &'static str,
    /// Where copies are kept; see [`InstrumentFile::new`].
    pub cache_dir: Option<PathBuf>,
    /// Addresses of the files. A list is all of them together.
    pub urls: Vec<String>,
    /// Longest file that is taken, in bytes.
    pub max_bytes: u64,
    /// Longest time for the download of one file.
    pub timeout: Duration,
    /// Hour and minute in India by which the broker has made the list of the day.
    pub renewed_at: (u8, u8),
    /// What is to be done when it cannot be had.
    pub outdated: Outdated,
}

/// Who may get the list.
#[derive(Clone)]
pub enum Access {
    /// Everybody: a refusal says nothing about the account.
    Public,
    /// Who has an account: the function signs the request.
    Signed(Arc<dyn Fn(HttpRequest) -> HttpRequest + Send + Sync>),
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "Public",
            Self::Signed(_) => "Signed",
        })
    }
}

impl Access {
    fn sign(&self, request: HttpRequest) -> HttpRequest {
        match self {
            Self::Public => request,
            Self::Signed(sign) => sign(request),
        }
    }

    fn blames(&self, error: AdapterError) -> AdapterError {
        match (self, error.code()) {
            (Self::Public, ErrorCode::AUTH) => AdapterError::network(error),
            _ => error,
        }
    }
}

/// The list of one instance of an adapter. Instances of one machine share the copies on disk, and one downloads for all.
#[derive(Debug)]
pub struct Master<L> {
    http: Http,
    source: ListSource,
    files: Vec<InstrumentFile>,
    state: Mutex<State<L>>,
}

#[derive(Debug)]
struct State<L> {
    list: Option<(Arc<L>, SystemTime)>,
    /// When the broker was last seen to have a list of later than this.
    invalid_before: Option<SystemTime>,
}

impl<L: List> Master<L> {
    /// There is no list yet.
    pub fn new(http: Http, source: ListSource) -> Self {
        let file = |url: &String| InstrumentFile::new(source.cache_dir.as_deref(), source.adapter, url);
        let files = source.urls.iter().map(file).collect();
        Self { http, files, source, state: Mutex::new(State { list: None, invalid_before: None }) }
    }

    /// The list in memory.
    pub fn list(&self) -> Option<Arc<L>> {
        self.state.lock().list.as_ref().map(|(list, _)| Arc::clone(list))
    }

    /// The folder of the copies on disk.
    pub fn directory(&self) -> Option<PathBuf> {
        Some(self.files.first()?.path().parent()?.to_owned())
    }

    /// Whether the list is the broker's present one, as far as is known.
    pub fn is_current(&self) -> bool {
        let required = self.required();
        self.state.lock().list.as_ref().is_some_and(|(_, fetched_at)| *fetched_at >= required)
    }

    /// Notes that the broker has another list now.
    pub fn invalidate(&self) {
        self.state.lock().invalid_before = Some(SystemTime::now());
    }

    /// Makes sure that there is a list that may be subscribed by: that of today, or with [`Outdated::Use`] any. For
    /// [`Adapter::prepare`](crate::Adapter::prepare).
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn prepare(&self, access: &Access) -> Result<(), AdapterError> {
        if self.is_current() {
            return Ok(());
        }
        let has_another = self.list().is_some() || self.cached().is_some();
        let renewed = if self.source.outdated == Outdated::Use && has_another {
            // A server that says nothing must not keep the feed down.
            match timeout(USE_AFTER, self.renew(access)).await {
                Ok(renewed) => renewed,
                Err(_) => Err(AdapterError::network("the broker's list of instruments takes too long")),
            }
        } else {
            self.renew(access).await
        };
        let Err(error) = renewed else { return Ok(()) };
        if error.code() == ErrorCode::AUTH || self.source.outdated == Outdated::Refuse {
            return Err(error);
        }
        if self.list().is_none() {
            let Some(cached) = self.cached() else { return Err(error) };
            self.load(cached).await?;
        }
        warn!(%error, "The list of instruments of today cannot be had; an older one is used, as outdated_list says");
        Ok(())
    }

    /// Renews the list while a connection is up.
    pub fn renewal(self: &Arc<Self>, access: Access) -> Renewal<L> {
        let due = if self.is_current() { self.tomorrow() } else { Instant::now() };
        Renewal { master: Arc::clone(self), access, due, limit: due + GRACE, pause: PAUSES.0, work: None }
    }

    /// A list must have been made after this.
    fn required(&self) -> SystemTime {
        let (hour, minute) = self.source.renewed_at;
        let made = ist::last(hour, minute, SystemTime::now());
        self.state.lock().invalid_before.map_or(made, |invalid| made.max(invalid))
    }

    fn tomorrow(&self) -> Instant {
        let (hour, minute) = self.source.renewed_at;
        let next = ist::last(hour, minute, SystemTime::now()) + Duration::from_hours(24);
        let until = next.duration_since(SystemTime::now()).unwrap_or_default();
        Instant::now() + until + Duration::from_secs(rand::random_range(1..=SPREAD_SECONDS))
    }

    /// The copies on disk, with the age of the oldest.
    fn cached(&self) -> Option<(Vec<PathBuf>, SystemTime)> {
        let copies: Option<Vec<Cached>> = self.files.iter().map(InstrumentFile::cached).collect();
        let copies = copies?;
        let oldest = copies.iter().map(|copy| copy.fetched_at).min()?;
        Some((copies.into_iter().map(|copy| copy.path).collect(), oldest))
    }

    /// Takes the copies on disk if they are of today and those in memory are not, or else gets the list from the broker.
    async fn renew(&self, access: &Access) -> Result<Arc<L>, AdapterError> {
        if let Some(list) = self.load_current().await {
            return Ok(list);
        }
        let _turn = self.turn().await;
        // Another one may have got it meanwhile.
        if let Some(list) = self.load_current().await {
            return Ok(list);
        }
        self.download(access).await.map_err(|error| access.blames(error))
    }

    async fn load_current(&self) -> Option<Arc<L>> {
        let (paths, fetched_at) = self.cached().filter(|(_, fetched_at)| *fetched_at >= self.required())?;
        match self.load((paths, fetched_at)).await {
            Ok(list) => Some(list),
            Err(error) => {
                warn!(%error, "The list of instruments on disk is no good; getting it anew");
                None
            }
        }
    }

    async fn load(&self, (paths, fetched_at): (Vec<PathBuf>, SystemTime)) -> Result<Arc<L>, AdapterError> {
        let list = self.read(paths, fetched_at).await?;
        Ok(self.take(list, fetched_at))
    }

    async fn download(&self, access: &Access) -> Result<Arc<L>, AdapterError> {
        let began_at = SystemTime::now();
        let mut downloads: Vec<Fresh> = Vec::with_capacity(self.files.len());
        for (file, url) in self.files.iter().zip(&self.source.urls) {
            let request = access.sign(self.http.get(url)).timeout(self.source.timeout);
            downloads.push(file.fetch(request, self.source.max_bytes).await?);
        }
        let paths: Vec<PathBuf> = downloads.iter().map(|fresh| fresh.path.clone()).collect();
        let list = self.read(paths, began_at).await?;
        for (file, fresh) in self.files.iter().zip(downloads) {
            file.keep(fresh).await?;
        }
        Ok(self.take(list, began_at))
    }

    async fn read(&self, paths: Vec<PathBuf>, fetched_at: SystemTime) -> Result<L, AdapterError> {
        let adapter = self.source.adapter;
        read_aside(move || {
            let list = L::read(&paths)?;
            // Of several connections and of a restart only the first writes them.
            if !has_names_since(adapter, fetched_at)
                && let Err(error) = publish_names(adapter, list.names())
            {
                warn!(%error, "The names of the list of instruments could not be written for the console");
            }
            Ok(list)
        })
        .await
    }

    fn take(&self, list: L, fetched_at: SystemTime) -> Arc<L> {
        let Summary { instruments, skipped, bytes } = list.summary();
        info!(instruments, skipped, bytes, "Read the list of instruments");
        let list = Arc::new(list);
        self.state.lock().list = Some((Arc::clone(&list), fetched_at));
        list
    }

    /// Waits until no other connection downloads the same, for as long as a download may take. Where files cannot be
    /// locked, everybody downloads.
    async fn turn(&self) -> Option<File> {
        let path = self.files.first()?.lock_path();
        let file = fs::create_dir_all(path.parent()?).and_then(|()| File::create(&path)).ok()?;
        let until = Instant::now() + self.source.timeout;
        loop {
            match file.try_lock() {
                Ok(()) => return Some(file),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(LOCK_PAUSE).await,
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return None,
            }
        }
    }
}

type Work<L> = Pin<Box<dyn Future<Output = Result<Arc<L>, AdapterError>>>>;

/// Renews the list while a connection is up.
pub struct Renewal<L> {
    master: Arc<Master<L>>,
    access: Access,
    due: Instant,
    /// Until when a connection may go on without it.
    limit: Instant,
    pause: Duration,
    work: Option<Work<L>>,
}

impl<L: List> Renewal<L> {
    /// The broker has another list, without which this connection can go on for so long.
    pub fn hurry(&mut self, limit: Duration) {
        self.master.invalidate();
        let now = Instant::now();
        (self.due, self.limit) = (now, now + limit);
    }

    /// Waits for the next list, which may take a day. A download that fails is tried again.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the list cannot be had and the last one is too old to go on with: the connection has to end.
    pub async fn next(&mut self) -> Result<Arc<L>, AdapterError> {
        let mut error = AdapterError::network("the broker's list of instruments takes too long");
        loop {
            let work = match &mut self.work {
                Some(work) => work,
                none => {
                    sleep_until(self.due).await;
                    let (master, access) = (Arc::clone(&self.master), self.access.clone());
                    none.insert(Box::pin(async move { master.renew(&access).await }))
                }
            };
            let is_bound = self.master.source.outdated == Outdated::Refuse;
            let outcome = tokio::select! {
                biased;
                outcome = work.as_mut() => Some(outcome),
                () = sleep_until(self.limit), if is_bound => None,
            };
            // What is given up too: it may hold the turn, which others wait for.
            self.work = None;
            let Some(outcome) = outcome else { return Err(error) };
            match outcome {
                Ok(list) => {
                    self.pause = PAUSES.0;
                    self.due = if self.master.is_current() { self.master.tomorrow() } else { Instant::now() };
                    self.limit = self.due + GRACE;
                    return Ok(list);
                }
                Err(failed) => {
                    warn!(error = %failed, "The list of instruments could not be renewed; trying again");
                    error = failed;
                    self.due = Instant::now() + self.pause;
                    if is_bound {
                        self.due = self.due.min(self.limit);
                        if Instant::now() >= self.limit {
                            return Err(error);
                        }
                    }
                    self.pause = (self.pause * 2).min(PAUSES.1);
                }
            }
        }
    }
}

impl<L> fmt::Debug for Renewal<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("due", &self.due).finish_non_exhaustive()
    }
}
