//! From the broker and from disk into memory: which copies make a list, and which of its rows are those of the last good one.

use std::{
    collections::BTreeSet,
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tracing::{debug, info, warn};

use super::{
    Access, Cached, InstrumentFile, List, Master, Outdated,
    file::{Fresh, read_aside},
    judge::{Ledger, judge},
    list::is_over,
    master::{Made, Taken},
    names::{has_names_since, publish_names},
};
use crate::{AdapterError, ListTrouble, abi::ErrorCode};

/// How long the rows of an older list serve for what a newer one lacks, unless [`Outdated::Use`] says that age is no matter.
/// It covers the longest holidays of the exchanges; the older a row, the likelier its number means something else by now.
const SERVES_FOR: Duration = Duration::from_hours(7 * 24);

/// The copies on disk that make a list.
pub(super) struct Copies {
    paths: Vec<PathBuf>,
    /// When the newest was downloaded.
    pub(super) fetched_at: SystemTime,
    /// What is wrong with some of several files.
    troubles: Vec<ListTrouble>,
    /// Whether there is one that did not become the good one.
    is_incomplete: bool,
}

/// The list before a new one.
enum Last<L> {
    /// That in force, and the good one that it is compared with.
    Memory(Arc<L>, Arc<L>),
    Files(Vec<PathBuf>),
}

/// A list to be made.
struct Plan<L> {
    paths: Vec<PathBuf>,
    fetched_at: SystemTime,
    last: Option<Last<L>>,
    /// Whether that one is young enough to serve for what is missing.
    serves: bool,
    required: &'static [&'static str],
    ledger: Ledger,
    /// Whether it comes from the broker, and counts.
    is_download: bool,
    adapter: &'static str,
}

/// What became of it.
struct Outcome<L> {
    list: L,
    /// Whether it may take the place of the last good one, which has no more.
    is_good: bool,
    /// The last good one, if this is none.
    good: Option<Arc<L>>,
    troubles: Vec<ListTrouble>,
    ledger: Ledger,
}

impl<L: List> Master<L> {
    /// The copies on disk, if there is any. Of each file the newest.
    pub(super) fn copies(&self) -> Option<Copies> {
        let newest = |file: &InstrumentFile| file.incomplete().or_else(|| file.cached());
        let found: Vec<Option<Cached>> = self.files.iter().map(newest).collect();
        let fetched_at = found.iter().flatten().map(|copy| copy.fetched_at).max()?;
        let is_incomplete = self.files.iter().any(|file| file.incomplete().is_some());
        let required = self.required();
        let mut troubles = Vec::new();
        let mut paths = Vec::new();
        for (place, copy) in found.into_iter().enumerate() {
            // A file of yesterday beside those of today is one that did not come.
            let is_late =
                copy.as_ref().is_none_or(|copy| copy.fetched_at < required && fetched_at >= required);
            if is_late {
                troubles.push(self.file_trouble(place, copy.as_ref(), "it did not come"));
            }
            paths.extend(copy.filter(|copy| !is_late || self.serves(copy.fetched_at)).map(|copy| copy.path));
        }
        (!paths.is_empty()).then_some(Copies { paths, fetched_at, troubles, is_incomplete })
    }

    /// Puts the copies on disk in force.
    pub(super) async fn load(&self, copies: Copies) -> Result<Taken<L>, AdapterError> {
        let Copies { paths, fetched_at, troubles, is_incomplete } = copies;
        let ledger = self.read_ledger();
        // What became the good copy was judged then.
        let (last, whole_at) = if is_incomplete {
            self.last()
        } else {
            (None, if troubles.is_empty() { fetched_at } else { self.good_at() })
        };
        let plan = self.plan(paths, fetched_at, (last, whole_at), ledger, false);
        let Outcome { list, good, troubles: shorts, .. } = read_aside(move || plan.make()).await?;
        let troubles: Vec<_> = troubles.into_iter().chain(shorts).collect();
        let whole_at = if troubles.is_empty() { fetched_at } else { whole_at };
        Ok(self.take(Made { list, good, fetched_at, whole_at, troubles }))
    }

    /// Gets the list from the broker.
    ///
    /// # Errors
    /// When none of its files is one, or the account is refused.
    pub(super) async fn download(&self, access: &Access) -> Result<Taken<L>, AdapterError> {
        let began_at = SystemTime::now();
        let (mut downloads, mut paths, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
        let mut failure = None;
        for place in 0..self.files.len() {
            match self.fetch(place, access).await {
                Ok(fresh) => {
                    paths.push(fresh.path.clone());
                    downloads.push((place, fresh));
                }
                Err(error) if error.code() == ErrorCode::AUTH => return Err(error),
                Err(error) => {
                    let file = self.files.get(place);
                    let copy = file.and_then(|file| file.incomplete().or_else(|| file.cached()));
                    let copy = copy.filter(|copy| self.serves(copy.fetched_at));
                    troubles.push(self.file_trouble(place, copy.as_ref(), &error.to_string()));
                    paths.extend(copy.map(|copy| copy.path));
                    failure = failure.or(Some(error));
                }
            }
        }
        if downloads.is_empty() {
            return Err(
                failure.unwrap_or_else(|| AdapterError::config("the list of instruments has no file"))
            );
        }
        let (last, whole_at) = self.last();
        let before = self.read_ledger();
        let plan = self.plan(paths, began_at, (last, whole_at), before.clone(), true);
        let Outcome { list, is_good, good, troubles: shorts, ledger } =
            read_aside(move || plan.make()).await?;
        for (place, fresh) in downloads {
            let Some(file) = self.files.get(place) else { continue };
            if is_good {
                file.keep(fresh).await?;
            } else {
                file.keep_beside(fresh).await?;
            }
        }
        if ledger != before
            && let Err(error) = self.write_ledger(&ledger)
        {
            warn!(%error, "What is known of an incomplete list of instruments cannot be kept");
        }
        troubles.extend(shorts);
        let whole_at = if troubles.is_empty() { began_at } else { whole_at };
        Ok(self.take(Made { list, good, fetched_at: began_at, whole_at, troubles }))
    }

    /// Downloads a file. One of several must be a list by itself, or it would be missed in the whole only if it is long.
    async fn fetch(&self, place: usize, access: &Access) -> Result<Fresh, AdapterError> {
        let (Some(file), Some(url)) = (self.files.get(place), self.source.urls.get(place)) else {
            return Err(AdapterError::config("the list of instruments has no such file"));
        };
        let request = access.sign(self.http.get(url)).timeout(self.source.timeout);
        let named = |error: AdapterError| match error.code() {
            _ if self.files.len() == 1 => error,
            ErrorCode::AUTH => access.blames(error),
            ErrorCode::NETWORK => AdapterError::network(format!("{}: {error}", self.source.file_name(place))),
            _ => AdapterError::protocol(format!("{}: {error}", self.source.file_name(place))),
        };
        let fresh = file.fetch(request, self.source.max_bytes).await.map_err(named)?;
        if self.files.len() > 1 {
            let path = fresh.path.clone();
            read_aside(move || L::read(&[path]).map(drop)).await.map_err(named)?;
        }
        Ok(fresh)
    }

    fn file_trouble(&self, place: usize, copy: Option<&Cached>, reason: &str) -> ListTrouble {
        let name = self.source.file_name(place);
        let reason = reason.strip_prefix(&format!("{name}: ")).unwrap_or(reason);
        let instead = match copy {
            Some(_) => "; its last good copy is used, and it is asked for again",
            None => "; it is asked for again",
        };
        ListTrouble {
            segment: name.trim_end_matches(".csv").to_owned(),
            rows: 0,
            expected: 0,
            reason: format!("the broker's file {name} of the list cannot be had: {reason}{instead}"),
        }
    }

    /// The list that a new one is compared with, and when it was whole.
    fn last(&self) -> (Option<Last<L>>, SystemTime) {
        if let Some(held) = &self.state.lock().list {
            let good = held.good.as_ref().unwrap_or(&held.list);
            return (Some(Last::Memory(Arc::clone(&held.list), Arc::clone(good))), held.whole_at);
        }
        let good: Vec<PathBuf> =
            self.files.iter().filter_map(InstrumentFile::cached).map(|copy| copy.path).collect();
        ((!good.is_empty()).then_some(Last::Files(good)), self.good_at())
    }

    /// When the oldest of the good copies was downloaded.
    fn good_at(&self) -> SystemTime {
        let good = self.files.iter().filter_map(InstrumentFile::cached);
        good.map(|copy| copy.fetched_at).min().unwrap_or(UNIX_EPOCH)
    }

    /// Whether what was good at a time is young enough to serve for what is missing.
    fn serves(&self, at: SystemTime) -> bool {
        self.source.outdated == Outdated::Use
            || SystemTime::now().duration_since(at).unwrap_or_default() <= SERVES_FOR
    }

    fn plan(
        &self,
        paths: Vec<PathBuf>,
        fetched_at: SystemTime,
        (last, whole_at): (Option<Last<L>>, SystemTime),
        ledger: Ledger,
        is_download: bool,
    ) -> Plan<L> {
        let (required, adapter) = (self.source.segments, self.source.adapter);
        let serves = self.serves(whole_at);
        Plan { paths, fetched_at, last, serves, required, ledger, is_download, adapter }
    }

    fn ledger_path(&self) -> Option<PathBuf> {
        self.files.first().map(|file| file.beside("ledger"))
    }

    fn read_ledger(&self) -> Ledger {
        let text = self.ledger_path().and_then(|path| fs::read(path).ok()).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn write_ledger(&self, ledger: &Ledger) -> io::Result<()> {
        let Some(path) = self.ledger_path() else { return Ok(()) };
        let aside = path.with_extension(format!("ledger.{}", std::process::id()));
        fs::write(&aside, serde_json::to_vec(ledger)?)?;
        fs::rename(&aside, path)
    }
}

impl<L: List> Plan<L> {
    /// Reads the files, and fills what they lack. Takes its time.
    fn make(self) -> Result<Outcome<L>, AdapterError> {
        let mut list = L::read(&self.paths)?;
        let last = match self.last {
            Some(Last::Memory(list, good)) => Some((list, good)),
            // A copy that cannot be read any more is none.
            Some(Last::Files(paths)) => {
                let good = L::read(&paths).ok().map(Arc::new);
                good.map(|good| (Arc::clone(&good), good))
            }
            None => None,
        };
        let (last, good) = last.unzip();
        let (mut ledger, now) = (self.ledger, SystemTime::now());
        let required: BTreeSet<&str> =
            self.required.iter().copied().filter(|segment| !ledger.accepted.contains(*segment)).collect();
        let mut shorts = judge(&list, good.as_deref(), &required, now);
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.is_download {
            if shorts.is_empty() {
                ledger.settle(&shorts);
            } else if ledger.note(&shorts, seconds) {
                for short in &shorts {
                    info!(
                        segment = short.segment,
                        rows = short.rows,
                        expected = short.expected,
                        "The smaller list of instruments has been the same for hours; it is believed"
                    );
                }
                ledger.settle(&shorts);
                shorts.clear();
            }
        }
        // A segment that every list has may be missing in the last one too.
        let is_good = shorts.iter().all(|short| short.expected == 0);
        let mut held = 0;
        if let Some(last) = last.filter(|_| !is_good && self.serves) {
            held = list.hold(&last, &|exchange, symbol| !is_over(exchange, symbol, now));
            debug!(held, "Took what is missing from the last good list of instruments");
        }
        let troubles = shorts.into_iter().map(|short| short.trouble(held > 0)).collect();
        // Of several connections and of a restart only the first writes them.
        if !has_names_since(self.adapter, self.fetched_at)
            && let Err(error) = publish_names(self.adapter, list.names())
        {
            warn!(%error, "The names of the list of instruments could not be written for the console");
        }
        let good = good.filter(|_| !is_good);
        Ok(Outcome { list, is_good, good, troubles, ledger })
    }
}
