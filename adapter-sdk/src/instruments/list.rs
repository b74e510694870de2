//! What an adapter makes of a broker's files, and where they come from.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::Deserialize;

use crate::{AdapterError, abi::ErrorCode, net::HttpRequest, symbol};

/// What an adapter makes of a broker's files. Two of them are equal when clients would not notice which one
/// is in force.
pub trait List: fmt::Debug + PartialEq + Send + Sync + Sized + 'static {
    /// Reads the files, which stand in the order of [`ListSource::urls`]; of several, one that cannot be had
    /// is left out. Called on a thread where it may take its time. A row that makes no sense costs itself and
    /// is counted.
    ///
    /// # Errors
    /// When they are no list: then the last good one stays.
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError>;

    /// The same, for a list that other processes of the adapter may have read already:
    /// [`Catalog`](super::Catalog) takes it from them, and they from it, so that its memory is there once.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn read_shared(files: &[PathBuf]) -> Result<Self, AdapterError> {
        Self::read(files)
    }

    /// What is in it, for the log. One without instruments is no list.
    fn summary(&self) -> Summary;

    /// Whether a file ends where no whole file can, such as within a row: then what is behind is missing.
    /// [`Rows::is_cut_off`] tells it of a CSV file.
    ///
    /// [`Rows::is_cut_off`]: super::Rows::is_cut_off
    fn is_cut_off(&self) -> bool {
        false
    }

    /// Exchange and symbol of everything in it. The exchanges are the segments by which a list is compared
    /// with the last good one; the host's console searches the names.
    fn names(&self) -> Box<dyn Iterator<Item = (&str, &str)> + '_> {
        Box::new(std::iter::empty())
    }

    /// Takes what is missing here from the last good list, where `is_held` says so of its exchange and
    /// symbol, and gives how many instruments that were. Where the broker's key of one means something here,
    /// it is not taken: it would show the price of another instrument.
    /// [`Table::with_missing_of`](super::Table::with_missing_of) does all of it.
    fn hold(&mut self, last: &Self, is_held: &dyn Fn(&str, &str) -> bool) -> usize;
}

/// What is in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Instruments that can be subscribed.
    pub instruments: usize,
    /// Rows that were left out.
    pub skipped: usize,
    /// Memory that it takes, in bytes.
    pub bytes: usize,
}

impl Summary {
    /// Of so many instruments, with nothing left out.
    pub const fn of(instruments: usize) -> Self {
        Self { instruments, skipped: 0, bytes: 0 }
    }

    /// The same with rows that were left out.
    #[must_use]
    pub const fn skipped(self, skipped: usize) -> Self {
        Self { skipped, ..self }
    }

    /// The same with the memory that it takes, in bytes.
    #[must_use]
    pub const fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }
}

/// What is to be done when the broker does not give the list of today. The setting `outdated_list` of
/// adapters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outdated {
    /// The feed does not connect, says why, and goes on trying: no price of one instrument is shown for
    /// another.
    #[default]
    Refuse,
    /// The last good list is used, whatever its age.
    Use,
}

/// What the list of every broker of India has. Others come and go with a broker's offer.
pub const SEGMENTS: &[&str] = &["NSE", "NSE_INDEX", "NFO", "BSE", "BSE_INDEX", "BFO", "MCX"];

/// Where a list comes from.
#[derive(Clone, Debug)]
pub struct ListSource {
    /// Name of the adapter.
    pub adapter: &'static str,
    /// Where copies are kept; see [`InstrumentFile::new`](super::InstrumentFile::new).
    pub cache_dir: Option<PathBuf>,
    /// Addresses of the files. A list is all of them together.
    pub urls: Vec<String>,
    /// Exchanges of which the list always has something, such as [`SEGMENTS`]: one without is incomplete,
    /// also the first that there ever was. None where the files say it, one for each segment.
    pub segments: &'static [&'static str],
    /// Longest file that is taken, in bytes.
    pub max_bytes: u64,
    /// Longest time for the download of one file.
    pub timeout: Duration,
    /// Hour and minute in India by which the broker has made the list of the day.
    pub renewed_at: (u8, u8),
    /// What is to be done when it cannot be had.
    pub outdated: Outdated,
}

impl ListSource {
    /// What a file is called for people: its fragment, if it has one, or else the last part of its path,
    /// without what follows a question mark, where keys may be.
    pub(super) fn file_name(&self, place: usize) -> &str {
        let url = self.urls.get(place).map_or("", String::as_str);
        if let Some((_, name)) = url.split_once('#') {
            return name;
        }
        let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        path.rsplit('/').next().unwrap_or_default()
    }
}

/// Who may get the list.
#[derive(Clone)]
#[non_exhaustive]
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
    pub(super) fn sign(&self, request: HttpRequest) -> HttpRequest {
        match self {
            Self::Public => request,
            Self::Signed(sign) => sign(request),
        }
    }

    pub(super) fn blames(&self, error: AdapterError) -> AdapterError {
        match (self, error.code()) {
            (Self::Public, ErrorCode::AUTH) => AdapterError::network(error),
            _ => error,
        }
    }
}

/// Reads files; those without a single instrument are no list, whoever reads them.
pub(super) fn read_list<L: List>(files: &[PathBuf]) -> Result<L, AdapterError> {
    with_instruments(L::read(files)?)
}

/// The same, of a list that serves: processes share it.
pub(super) fn read_shared<L: List>(files: &[PathBuf]) -> Result<L, AdapterError> {
    with_instruments(L::read_shared(files)?)
}

fn with_instruments<L: List>(list: L) -> Result<L, AdapterError> {
    if list.summary().instruments == 0 {
        return Err(AdapterError::protocol("the broker's list of instruments has none"));
    }
    Ok(list)
}

/// Whether an instrument is of a derivative that has expired: the broker has no reason to list it any more.
pub(super) fn is_over(exchange: &str, symbol: &str, now: SystemTime) -> bool {
    symbol::has_expired(exchange, symbol, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_called_by_its_fragment_or_the_end_of_its_path_and_never_by_a_key() {
        let urls =
            ["https://x/a/nse.csv?key=canary", "https://x/master#NSECM", "https://x/list?key=canary#NSE", ""];
        let source = ListSource {
            adapter: "acme",
            cache_dir: None,
            urls: urls.map(str::to_owned).to_vec(),
            segments: &[],
            max_bytes: 1,
            timeout: Duration::ZERO,
            renewed_at: (8, 0),
            outdated: Outdated::Refuse,
        };
        assert_eq!([0, 1, 2, 3, 4].map(|place| source.file_name(place)), ["nse.csv", "NSECM", "NSE", "", ""]);
    }
}
