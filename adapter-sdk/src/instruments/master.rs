//! The list of instruments over time: what is on disk, what is in memory, and when to get it again.
//!
//! A broker's numbers may mean something else from one day to the next. So a list is good until the broker
//! makes its next one; after that nothing is subscribed by it, unless the operator says otherwise
//! ([`Outdated`]). While the new one cannot be had, the adapter does not connect, and its feed says why.
//!
//! A list that came but is incomplete is another matter: it proves that the broker has renewed its numbers,
//! and its own rows are believed. For what it lacks, the rows of the last good list serve on, for some days
//! at most, unless the new list gives their number to something else. That risk is small beside a feed
//! without derivatives: exchanges give the number of an expired contract away, and what has expired is not
//! taken over.

use std::{
    fmt,
    fs::{self, File, TryLockError},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::{
    Access, InstrumentFile, List, ListSource, Outdated, Pages, Renewal,
    list::is_over,
    report::{Held, Taken},
};
use crate::{
    AdapterError, Backoff, ListReporter, ListState, Refusal, Subscription,
    abi::ErrorCode,
    ist,
    net::{Http, HttpRequest},
};

/// Before a list is asked for again that did not come, or came incomplete.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(30), Duration::from_mins(5));

/// Downloads of the day are spread over so many seconds, since everybody's are due at the same moment.
const SPREAD_SECONDS: u64 = 300;

/// How long a connect waits for a list when there is one that will do: with [`Outdated::Use`] an older one,
/// or an incomplete one.
const USE_AFTER: Duration = Duration::from_secs(15);

/// Connects that follow each other faster than this do not each ask for an incomplete list again.
const CONNECT_PAUSE: Duration = Duration::from_secs(10);

/// Pause between two looks at whether another connection has finished its download.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

type Request = dyn Fn(&Http, &str) -> HttpRequest + Send + Sync;

/// How files are asked for.
#[derive(Clone, Default)]
pub(super) struct Requests(Option<Arc<Request>>);

impl Requests {
    pub(super) fn of(&self, http: &Http, address: &str) -> HttpRequest {
        self.0.as_ref().map_or_else(|| http.get(address), |request| request(http, address))
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("is_own", &self.0.is_some()).finish()
    }
}

/// The list of one instance of an adapter. Instances of one machine share the copies on disk, and one
/// downloads for all.
#[derive(Debug)]
pub struct Master<L> {
    pub(super) http: Http,
    pub(super) source: ListSource,
    pub(super) files: Vec<InstrumentFile>,
    pub(super) pages: Option<Pages>,
    pub(super) requests: Requests,
    pub(super) lists: ListReporter,
    pub(super) pauses: Backoff,
    pub(super) state: Mutex<State<L>>,
}

#[derive(Debug)]
pub(super) struct State<L> {
    pub(super) list: Option<Held<L>>,
    /// When the broker was last seen to have a list of later than this.
    invalid_before: Option<SystemTime>,
    /// When a download was last begun.
    pub(super) tried_at: Option<Instant>,
    /// Why the broker's list could not be had when it was last asked for, if that makes the one in force
    /// doubtful.
    pub(super) failure: Option<AdapterError>,
    pub(super) said: Option<ListState>,
}

impl<L: List> Master<L> {
    /// There is no list yet. Its state will be said to `lists`: [`Context::lists`](crate::Context::lists).
    pub fn new(http: Http, source: ListSource, lists: ListReporter) -> Self {
        let file = |url: &String| InstrumentFile::new(source.cache_dir.as_deref(), source.adapter, url);
        let files = source.urls.iter().map(file).collect();
        let state = State { list: None, invalid_before: None, tried_at: None, failure: None, said: None };
        Self {
            http,
            files,
            source,
            pages: None,
            requests: Requests::default(),
            lists,
            pauses: PAUSES,
            state: Mutex::new(state),
        }
    }

    /// With another first and longest pause before a list is asked for again than 30 seconds and 5 minutes.
    #[must_use]
    pub fn pausing(self, first: Duration, longest: Duration) -> Self {
        Self { pauses: Backoff::new(first, longest), ..self }
    }

    /// With files that come page by page.
    #[must_use]
    pub fn paged(self, pages: Pages) -> Self {
        Self { pages: Some(pages), ..self }
    }

    /// With files that are asked for in another way than by a GET request of their address, such as by one
    /// with a body. Where several have one address, a fragment (`#NSE`) tells them apart and names them for
    /// people; it is not sent.
    #[must_use]
    pub fn asked_by(self, request: impl Fn(&Http, &str) -> HttpRequest + Send + Sync + 'static) -> Self {
        Self { requests: Requests(Some(Arc::new(request))), ..self }
    }

    /// The list in memory.
    pub fn list(&self) -> Option<Arc<L>> {
        self.state.lock().list.as_ref().map(|held| Arc::clone(&held.list))
    }

    /// Finds what is wanted in the list in memory, for [`Adapter::resolve`](crate::Adapter::resolve).
    /// `Ok(None)` when that is not of today and does not have it, but that of today may: it comes with the
    /// connection, and the client is told then when it is not there.
    ///
    /// # Errors
    /// What `find` says, with a word on a list that is incomplete; and when there is no list at all.
    pub fn look_up<T>(
        &self,
        wanted: &Subscription,
        find: impl FnOnce(&L) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        let Some(list) = self.list() else {
            return Err(Refusal::Refused("The list of instruments is not there yet".to_owned()));
        };
        let (exchange, symbol) = (&wanted.exchange, &wanted.symbol);
        match find(&list) {
            Ok(found) => Ok(Some(found)),
            Err(Refusal::UnknownInstrument(_))
                if !self.is_current() && !is_over(exchange, symbol, SystemTime::now()) =>
            {
                Ok(None)
            }
            Err(refusal) => Err(self.explain(exchange, symbol, refusal)),
        }
    }

    /// How the list in memory is.
    pub fn state(&self) -> ListState {
        self.describe(&self.state.lock())
    }

    /// Whether there is a list from which nothing is missing, as far as is known, and none that could not be
    /// had since.
    pub fn is_whole(&self) -> bool {
        let state = self.state.lock();
        state.failure.is_none() && state.list.as_ref().is_some_and(|held| held.troubles.is_empty())
    }

    /// The folder of the copies on disk.
    pub fn directory(&self) -> Option<PathBuf> {
        Some(self.files.first()?.path().parent()?.to_owned())
    }

    /// Whether the list is the broker's present one, as far as is known.
    pub fn is_current(&self) -> bool {
        let required = self.required();
        self.state.lock().list.as_ref().is_some_and(|held| held.fetched_at >= required)
    }

    /// Notes that the broker has another list now.
    pub fn invalidate(&self) {
        self.state.lock().invalid_before = Some(SystemTime::now());
    }

    /// Adds to the refusal of an instrument that the list does not have that the list is incomplete, if it
    /// is.
    pub fn explain(&self, exchange: &str, symbol: &str, refusal: Refusal) -> Refusal {
        let Refusal::UnknownInstrument(reason) = refusal else { return refusal };
        let state = self.state.lock();
        let troubles = state.list.as_ref().map(|held| held.troubles.as_slice()).unwrap_or_default();
        if is_over(exchange, symbol, SystemTime::now()) {
            return Refusal::UnknownInstrument(reason);
        }
        if troubles.is_empty() {
            return Refusal::UnknownInstrument(match state.failure {
                Some(_) => format!(
                    "{reason}; the broker's list of instruments cannot be renewed at the moment, it is asked for again"
                ),
                None => reason,
            });
        }
        let named: Vec<&str> = troubles.iter().map(|trouble| trouble.segment.as_str()).collect();
        Refusal::UnknownInstrument(format!(
            "{reason}; the broker's list of instruments is incomplete at the moment ({}), it is asked for again",
            named.join(", ")
        ))
    }

    /// Makes sure that there is a list that may be subscribed by: that of today, or with [`Outdated::Use`]
    /// any. For [`Adapter::prepare`](crate::Adapter::prepare). One that is known to be incomplete is asked
    /// for again, and serves when it does not come in time.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn prepare(&self, access: &Access) -> Result<(), AdapterError> {
        let (is_asked, begun) = (self.lists.asked().now_or_never().is_some(), Instant::now());
        if !self.is_current() {
            self.get_current(access).await?;
        }
        let tried_at = self.state.lock().tried_at;
        let is_tried_now = tried_at.is_some_and(|at| at >= begun);
        let is_tried_of_late = tried_at.is_some_and(|at| at.elapsed() < CONNECT_PAUSE);
        let is_due = is_asked || (!self.is_whole() && !is_tried_of_late);
        if is_due
            && !is_tried_now
            && let Err(error) = self.renew_soon(access, SystemTime::now()).await
        {
            warn!(%error, "The list of instruments could not be completed; it serves as it is");
        }
        Ok(())
    }

    /// Renews it if that does not take long: a server that says nothing must not keep the feed down.
    async fn renew_soon(&self, access: &Access, newer_than: SystemTime) -> Result<(), AdapterError> {
        if let Ok(renewed) = timeout(USE_AFTER, self.renew(access, newer_than)).await {
            return renewed.map(drop);
        }
        let error = AdapterError::network("the broker's list of instruments takes too long");
        self.failed(&error);
        Err(error)
    }

    async fn get_current(&self, access: &Access) -> Result<(), AdapterError> {
        let has_another = self.list().is_some() || self.copies().is_some();
        let renewed = if self.source.outdated == Outdated::Use && has_another {
            self.renew_soon(access, self.required()).await
        } else {
            self.renew(access, self.required()).await.map(drop)
        };
        let Err(error) = renewed else { return Ok(()) };
        if error.code() == ErrorCode::AUTH || self.source.outdated == Outdated::Refuse {
            return Err(error);
        }
        if self.list().is_none() {
            self.load_any().await.ok_or_else(|| error.clone())?;
            self.failed(&error);
        }
        warn!(%error, "The list of instruments of today cannot be had; an older one is used, as outdated_list says");
        Ok(())
    }

    /// Renews the list while a connection is up.
    pub fn renewal(self: &Arc<Self>, access: Access) -> Renewal<L> {
        Renewal::new(Arc::clone(self), access)
    }

    /// A list must have been made after this.
    pub(super) fn required(&self) -> SystemTime {
        let (hour, minute) = self.source.renewed_at;
        let made = ist::last(hour, minute, SystemTime::now());
        self.state.lock().invalid_before.map_or(made, |invalid| made.max(invalid))
    }

    pub(super) fn tomorrow(&self) -> Instant {
        let (hour, minute) = self.source.renewed_at;
        let next = ist::last(hour, minute, SystemTime::now()) + Duration::from_hours(24);
        let until = next.duration_since(SystemTime::now()).unwrap_or_default();
        Instant::now() + until + Duration::from_secs(rand::random_range(1..=SPREAD_SECONDS))
    }

    /// Takes the copies on disk if they are new enough and those in memory are not, or else gets the list
    /// from the broker.
    pub(super) async fn renew(
        &self,
        access: &Access,
        newer_than: SystemTime,
    ) -> Result<Taken<L>, AdapterError> {
        if let Some(taken) = self.load_current(newer_than).await {
            return Ok(taken);
        }
        let _turn = self.turn().await;
        // Another one may have got it meanwhile.
        if let Some(taken) = self.load_current(newer_than).await {
            return Ok(taken);
        }
        self.state.lock().tried_at = Some(Instant::now());
        self.download(access).await.map_err(|error| {
            let error = access.blames(error);
            self.failed(&error);
            error
        })
    }

    /// Waits until no other connection downloads the same, for as long as a download may take. Where files
    /// cannot be locked, everybody downloads.
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
