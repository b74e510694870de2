//! From the broker and from disk into memory: which copies make a list, and which of its rows are those of
//! the last good one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tracing::{debug, info, warn};

use super::{
    Access, Cached, InstrumentFile, List, ListSource, Master, Outdated,
    ages::{Ages, spoken},
    file::{Fresh, read_aside},
    judge::{ALL, Ledger, count, cut_off, judge},
    list::{is_over, read_list, read_shared},
    names::{has_names_since, publish_names},
    report::{Made, Taken},
};
use crate::{AdapterError, ListTrouble, abi::ErrorCode};

/// How long the rows of an older list serve for what a newer one lacks, unless [`Outdated::Use`] says that
/// age is no matter. It covers the longest holidays of the exchanges; the older a row, the likelier its
/// number means something else by now.
const SERVES_FOR: Duration = Duration::from_hours(7 * 24);

/// The copies on disk that make a list.
pub(super) struct Copies {
    parts: Vec<Cached>,
    /// When the newest was downloaded.
    pub(super) fetched_at: SystemTime,
    /// What is wrong with some of several files.
    troubles: Vec<ListTrouble>,
    /// Whether there is one that did not become the good one.
    is_incomplete: bool,
}

/// The list before a new one.
enum Last<L> {
    /// That in force with the ages of its rows, and the good one that it is compared with.
    Memory(Arc<L>, Ages, Arc<L>),
    Files(Vec<Cached>),
}

/// A list to be made.
struct Plan<L> {
    parts: Vec<Cached>,
    fetched_at: SystemTime,
    /// Hour and minute in India by which the broker has made the list of the day.
    renewed_at: (u8, u8),
    last: Option<Last<L>>,
    /// Rows that were fetched then or later are young enough to serve for what is missing.
    serves_since: SystemTime,
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
    ages: Ages,
    troubles: Vec<ListTrouble>,
    ledger: Ledger,
}

impl<L: List> Master<L> {
    /// The copies on disk, if there is any. Of each file the newest.
    pub(super) fn copies(&self) -> Option<Copies> {
        self.copies_of(|file| file.incomplete().or_else(|| file.cached()))
    }

    fn copies_of(&self, newest: impl Fn(&InstrumentFile) -> Option<Cached>) -> Option<Copies> {
        let found: Vec<Option<Cached>> = self.files.iter().map(newest).collect();
        let fetched_at = found.iter().flatten().map(|copy| copy.fetched_at).max()?;
        let is_incomplete =
            self.files.iter().zip(&found).any(|(file, copy)| copy.is_some() && *copy == file.incomplete());
        let required = self.required();
        let mut troubles = Vec::new();
        let mut parts = Vec::new();
        for (place, copy) in found.into_iter().enumerate() {
            // A file of yesterday beside those of today is one that did not come.
            let is_late =
                copy.as_ref().is_none_or(|copy| copy.fetched_at < required && fetched_at >= required);
            let part = copy.filter(|copy| !is_late || copy.fetched_at >= self.serves_since());
            if is_late {
                troubles.push(self.file_trouble(place, part.as_ref(), "it did not come"));
            }
            parts.extend(part);
        }
        (!parts.is_empty()).then_some(Copies { parts, fetched_at, troubles, is_incomplete })
    }

    /// Puts the copies on disk in force, if they were fetched then or later.
    pub(super) async fn load_current(&self, newer_than: SystemTime) -> Option<Taken<L>> {
        let all = self.copies()?;
        let is_incomplete = all.is_incomplete;
        if all.fetched_at < newer_than {
            return None;
        }
        let taken = self.load(all).await;
        if taken.is_some() || !is_incomplete {
            return taken;
        }
        // A damaged copy does not hide the good one beside it.
        let good = self.copies_of(InstrumentFile::cached).filter(|copies| copies.fetched_at >= newer_than)?;
        self.load(good).await
    }

    /// Puts the copies on disk in force, however old they are.
    pub(super) async fn load_any(&self) -> Option<Taken<L>> {
        self.load_current(UNIX_EPOCH).await
    }

    /// Puts copies on disk in force, if they are any good.
    async fn load(&self, copies: Copies) -> Option<Taken<L>> {
        let Copies { parts, fetched_at, troubles, is_incomplete } = copies;
        // What became the good copy was judged then.
        let last = if is_incomplete { self.last() } else { None };
        let plan = self.plan(parts, fetched_at, last, self.read_ledger(), false);
        match read_aside(move || plan.make()).await {
            Ok(Outcome { list, good, ages, troubles: shorts, .. }) => {
                let troubles = troubles.into_iter().chain(shorts).collect();
                Some(self.take(Made { list, good, fetched_at, ages, troubles }))
            }
            Err(error) => {
                warn!(%error, "The list of instruments on disk is no good");
                None
            }
        }
    }

    /// Gets the list from the broker.
    ///
    /// # Errors
    /// When none of its files is one, or the account is refused.
    pub(super) async fn download(&self, access: &Access) -> Result<Taken<L>, AdapterError> {
        let began_at = SystemTime::now();
        let (mut downloads, mut parts, mut troubles) = (Vec::new(), Vec::new(), Vec::new());
        let mut failure = None;
        for place in 0..self.files.len() {
            match self.fetch(place, access).await {
                Ok(fresh) => {
                    parts.push(Cached { path: fresh.path.clone(), fetched_at: began_at });
                    downloads.push((place, fresh));
                }
                Err(error) if error.code() == ErrorCode::AUTH => return Err(error),
                Err(error) => {
                    let file = self.files.get(place);
                    let copy = file.and_then(|file| file.incomplete().or_else(|| file.cached()));
                    let copy = copy.filter(|copy| copy.fetched_at >= self.serves_since());
                    troubles.push(self.file_trouble(place, copy.as_ref(), &error.to_string()));
                    parts.extend(copy);
                    failure = failure.or(Some(error));
                }
            }
        }
        if downloads.is_empty() {
            return Err(
                failure.unwrap_or_else(|| AdapterError::config("the list of instruments has no file"))
            );
        }
        let before = self.read_ledger();
        let plan = self.plan(parts, began_at, self.last(), before.clone(), true);
        let Outcome { list, is_good, good, ages, troubles: shorts, ledger } =
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
        Ok(self.take(Made { list, good, fetched_at: began_at, ages, troubles }))
    }

    /// Downloads a file. One of several must be a list by itself, or it would be missed in the whole only if
    /// it is long.
    async fn fetch(&self, place: usize, access: &Access) -> Result<Fresh, AdapterError> {
        let (Some(file), Some(url)) = (self.files.get(place), self.source.urls.get(place)) else {
            return Err(AdapterError::config("the list of instruments has no such file"));
        };
        let request = access.sign(self.requests.of(&self.http, url)).timeout(self.source.timeout);
        let named = |error: AdapterError| match error.code() {
            _ if self.files.len() == 1 => error,
            ErrorCode::AUTH => access.blames(error),
            ErrorCode::NETWORK => AdapterError::network(format!("{}: {error}", self.source.file_name(place))),
            _ => AdapterError::protocol(format!("{}: {error}", self.source.file_name(place))),
        };
        let fresh = file.fetch(request, self.source.max_bytes).await.map_err(named)?;
        if let Some(pages) = &self.pages {
            let all = pages.follow((&self.http, access), &self.source, (file, url), &fresh);
            all.await.map_err(named)?;
        }
        if self.files.len() > 1 {
            let path = fresh.path.clone();
            read_aside(move || read_list::<L>(&[path]).map(drop)).await.map_err(named)?;
        }
        Ok(fresh)
    }

    fn file_trouble(&self, place: usize, copy: Option<&Cached>, reason: &str) -> ListTrouble {
        let name = self.source.file_name(place);
        let reason = reason.strip_prefix(&format!("{name}: ")).unwrap_or(reason);
        let instead = match copy {
            Some(copy) => {
                let at = spoken(copy.fetched_at);
                format!("; its last good copy is used (of {at}), and it is asked for again")
            }
            None => "; it is asked for again".to_owned(),
        };
        ListTrouble {
            segment: name.trim_end_matches(".csv").to_owned(),
            rows: 0,
            expected: 0,
            reason: format!("the broker's file {name} of the list cannot be had: {reason}{instead}"),
        }
    }

    /// The list that a new one is compared with.
    fn last(&self) -> Option<Last<L>> {
        if let Some(held) = &self.state.lock().list {
            let good = held.good.as_ref().unwrap_or(&held.list);
            return Some(Last::Memory(Arc::clone(&held.list), held.ages.clone(), Arc::clone(good)));
        }
        let good: Vec<Cached> = self.files.iter().filter_map(InstrumentFile::cached).collect();
        (!good.is_empty()).then_some(Last::Files(good))
    }

    /// What was good then or later is young enough to serve for what is missing.
    fn serves_since(&self) -> SystemTime {
        let since = SystemTime::now().checked_sub(SERVES_FOR);
        since.filter(|_| self.source.outdated != Outdated::Use).unwrap_or(UNIX_EPOCH)
    }

    fn plan(
        &self,
        parts: Vec<Cached>,
        fetched_at: SystemTime,
        last: Option<Last<L>>,
        ledger: Ledger,
        is_download: bool,
    ) -> Plan<L> {
        let ListSource { segments: required, adapter, renewed_at, .. } = self.source;
        let serves_since = self.serves_since();
        Plan { parts, fetched_at, renewed_at, last, serves_since, required, ledger, is_download, adapter }
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
        let mut list: L = read(&self.parts)?;
        let mut ages = Ages::of(&list, &self.parts, self.renewed_at);
        let before = self.last.and_then(|last| last.read(self.renewed_at));
        let (mut ledger, now) = (self.ledger, SystemTime::now());
        let required: BTreeSet<&str> =
            self.required.iter().copied().filter(|segment| !ledger.accepted.contains(*segment)).collect();
        let mut shorts = judge(&list, before.as_ref().map(|before| &*before.good), &required, now);
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
        if list.is_cut_off() {
            shorts.push(cut_off(&list, before.as_ref().map(|before| &*before.good), now));
        }
        // A segment that every list has may be missing in the last one too.
        let is_good = shorts.iter().all(|short| short.expected == 0);
        let held = match before.as_ref().filter(|_| !is_good) {
            Some(before) => hold(&mut list, &mut ages, before, self.serves_since, now),
            None => BTreeSet::new(),
        };
        let held_at = |segment: &str| match segment {
            ALL => held.iter().map(|segment| ages.at(segment)).min(),
            _ => held.contains(segment).then(|| ages.at(segment)),
        };
        let troubles = shorts
            .into_iter()
            .map(|short| {
                let at = held_at(&short.segment);
                short.trouble(at)
            })
            .collect();
        // Of several connections and of a restart only the first writes them.
        if !has_names_since(self.adapter, self.fetched_at)
            && let Err(error) = publish_names(self.adapter, list.names())
        {
            warn!(%error, "The names of the list of instruments could not be written for the console");
        }
        let good = before.filter(|_| !is_good).map(|before| before.good);
        Ok(Outcome { list, is_good, good, ages, troubles, ledger })
    }
}

/// The list before a new one, read.
struct Before<L> {
    list: Arc<L>,
    ages: Ages,
    good: Arc<L>,
}

impl<L: List> Last<L> {
    /// None when a copy cannot be read any more.
    fn read(self, renewed_at: (u8, u8)) -> Option<Before<L>> {
        match self {
            Self::Memory(list, ages, good) => Some(Before { list, ages, good }),
            Self::Files(parts) => {
                let good = Arc::new(read::<L>(&parts).ok()?);
                let ages = Ages::of(&*good, &parts, renewed_at);
                Some(Before { list: Arc::clone(&good), ages, good })
            }
        }
    }
}

fn read<L: List>(parts: &[Cached]) -> Result<L, AdapterError> {
    let paths: Vec<PathBuf> = parts.iter().map(|part| part.path.clone()).collect();
    read_shared(&paths)
}

/// Takes what is missing from the list before, of segments whose rows are young enough. Gives the segments of
/// which it took some.
fn hold<L: List>(
    list: &mut L,
    ages: &mut Ages,
    before: &Before<L>,
    serves_since: SystemTime,
    now: SystemTime,
) -> BTreeSet<String> {
    let rows = |list: &L| -> BTreeMap<String, usize> {
        count(list, |_, _| true).into_iter().map(|(segment, rows)| (segment.to_owned(), rows)).collect()
    };
    let own = rows(list);
    let is_held = |exchange: &str, symbol: &str| {
        before.ages.at(exchange) >= serves_since && !is_over(exchange, symbol, now)
    };
    let held = list.hold(&before.list, &is_held);
    debug!(held, "Took what is missing from the last good list of instruments");
    if held == 0 {
        return BTreeSet::new();
    }
    let grown: BTreeSet<String> = rows(list)
        .into_iter()
        .filter(|(segment, rows)| own.get(segment).is_none_or(|own| own < rows))
        .map(|(segment, _)| segment)
        .collect();
    grown.iter().for_each(|segment| ages.take(segment, &before.ages));
    grown
}
