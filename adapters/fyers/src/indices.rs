//! What topics call indices. It is not their number, and not always what their symbol says.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read as _},
    path::Path,
    time::{Duration, SystemTime},
};

use adapter_sdk::{
    AdapterError,
    instruments::InstrumentFile,
    net::Http,
    tracing::{info, warn},
};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;

use crate::{
    config::Settings,
    topic::{Segment, Topic},
};

/// Names that are known without asking, one in a line: the broker's own packages have such a list for when
/// its page is not to be had.
const BUNDLED: &str = include_str!("indices.txt");

/// Longest list that is taken, in bytes. It has some 10 KB.
const MAX_BYTES: u64 = 256 << 10;

/// Longest time for its download. A list that does not come is no reason to keep everything else waiting.
const TIMEOUT: Duration = Duration::from_secs(10);

/// By when the list of the day is there, in India.
const RENEWED_AT: (u8, u8) = (8, 0);

/// Names by the broker's symbols.
#[derive(Clone, Debug)]
pub struct Indices(FxHashMap<Box<str>, Topic>);

impl Indices {
    /// Those that are known without asking.
    pub fn bundled() -> Self {
        Self(bundled().collect())
    }

    /// Reads the broker's list, an object of names by symbol. What is bundled stays known, unless the broker
    /// gives its name to something else now.
    ///
    /// # Errors
    /// When it is something else, or is too long.
    pub fn read(path: &Path) -> Result<Self, AdapterError> {
        let file = File::open(path)
            .map_err(|error| AdapterError::network(format!("{}: {error}", path.display())))?;
        let names: BTreeMap<String, Value> = serde_json::from_reader(BufReader::new(file).take(MAX_BYTES))
            .map_err(|_| AdapterError::protocol("the broker's list of indices is no list of names"))?;
        let mut indices: FxHashMap<Box<str>, Topic> =
            names.iter().filter_map(|(ticker, name)| named(ticker, name.as_str()?)).collect();
        let taken: FxHashSet<Topic> = indices.values().copied().collect();
        for (ticker, topic) in bundled().filter(|(_, topic)| !taken.contains(topic)) {
            indices.entry(ticker).or_insert(topic);
        }
        Ok(Self(indices))
    }

    /// The topic of an index, by its symbol. One that no list has is called what its symbol says, unless
    /// something else is.
    pub fn topic(&self, ticker: &str) -> Option<Topic> {
        if let Some(topic) = self.0.get(ticker) {
            return Some(*topic);
        }
        let (_, symbol) = ticker.split_once(':')?;
        let topic = Topic::new(segment(ticker)?, true, symbol.strip_suffix("-INDEX")?)?;
        let is_taken = self.0.values().any(|known| *known == topic);
        (!is_taken).then_some(topic)
    }
}

fn bundled() -> impl Iterator<Item = (Box<str>, Topic)> {
    BUNDLED.lines().filter_map(|line| line.split_once('=')).filter_map(|(ticker, name)| named(ticker, name))
}

fn named(ticker: &str, name: &str) -> Option<(Box<str>, Topic)> {
    Some((ticker.into(), Topic::new(segment(ticker)?, true, name)?))
}

fn segment(ticker: &str) -> Option<Segment> {
    match ticker.split_once(':')?.0 {
        "NSE" => Some(Segment::NseCash),
        "BSE" => Some(Segment::BseCash),
        _ => None,
    }
}

/// Keeps the broker's list, and renews it when a connection is made.
#[derive(Debug)]
pub(crate) struct IndexList {
    http: Http,
    url: String,
    file: InstrumentFile,
}

impl IndexList {
    pub(crate) fn new(http: Http, settings: &Settings) -> Self {
        let url = settings.index_map_url();
        let file = InstrumentFile::new(settings.cache_dir.as_deref(), "fyers", &url);
        Self { http, url, file }
    }

    /// The list of today if it can be had, or else the last one, or else the bundled one: a name that is
    /// wrong brings nothing, never something else.
    pub(crate) async fn get(&self) -> Indices {
        let cached = self.file.cached();
        let now = SystemTime::now();
        if let Some(cached) = cached.as_ref().filter(|cached| cached.is_of(RENEWED_AT.0, RENEWED_AT.1, now))
            && let Ok(indices) = Indices::read(&cached.path)
        {
            return indices;
        }
        let request = self.http.get(&self.url).timeout(TIMEOUT);
        match self.file.download(request, MAX_BYTES, Indices::read).await {
            Ok((_, indices)) => {
                info!(names = indices.0.len(), "Got the broker's names of indices");
                indices
            }
            Err(error) => {
                warn!(%error, "The broker's names of indices cannot be had; older ones are used");
                cached.and_then(|cached| Indices::read(&cached.path).ok()).unwrap_or_else(Indices::bundled)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::topic::Feed;

    fn read(json: &str) -> Result<Indices, AdapterError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(json.as_bytes()).unwrap();
        Indices::read(file.path())
    }

    fn name(indices: &Indices, ticker: &str) -> Option<String> {
        indices.topic(ticker).map(|topic| topic.of(Feed::Index))
    }

    #[test]
    fn indices_have_names_even_without_the_brokers_list() {
        let indices = Indices::bundled();
        assert_eq!(indices.0.len(), BUNDLED.lines().count());
        for (ticker, wanted) in [
            ("NSE:NIFTY50-INDEX", Some("if|nse_cm|Nifty 50")),
            ("NSE:NIFTYBANK-INDEX", Some("if|nse_cm|Nifty Bank")),
            ("NSE:FINNIFTY-INDEX", Some("if|nse_cm|Nifty Fin Service")),
            ("NSE:MIDCPNIFTY-INDEX", Some("if|nse_cm|NIFTY MID SELECT")),
            ("NSE:NIFTYNXT50-INDEX", Some("if|nse_cm|Nifty Next 50")),
            ("NSE:INDIAVIX-INDEX", Some("if|nse_cm|India VIX")),
            ("BSE:SENSEX-INDEX", Some("if|bse_cm|SENSEX")),
            ("BSE:NEWONE-INDEX", Some("if|bse_cm|NEWONE")),
            ("NSE:SBIN-EQ", None),
            ("MCX:X-INDEX", None),
            ("X", None),
        ] {
            assert_eq!(name(&indices, ticker).as_deref(), wanted, "{ticker}");
        }
    }

    #[test]
    fn the_brokers_list_comes_first() {
        let indices =
            read(r#"{"NSE:NIFTY50-INDEX":"Nifty Fifty","BSE:NEWONE-INDEX":"New","MCX:X-INDEX":"X","NSE:A-INDEX":7}"#)
                .unwrap();
        assert_eq!(name(&indices, "NSE:NIFTY50-INDEX").as_deref(), Some("if|nse_cm|Nifty Fifty"));
        assert_eq!(name(&indices, "BSE:NEWONE-INDEX").as_deref(), Some("if|bse_cm|New"));
        assert_eq!(name(&indices, "BSE:SENSEX-INDEX").as_deref(), Some("if|bse_cm|SENSEX"));
        // A name that is somebody's is nobody else's, whoever had it before.
        let moved = read(r#"{"NSE:A-INDEX":"Nifty 50","NSE:B-INDEX":"C"}"#).unwrap();
        assert_eq!(name(&moved, "NSE:A-INDEX").as_deref(), Some("if|nse_cm|Nifty 50"));
        assert_eq!(name(&moved, "NSE:C-INDEX"), None);
        assert_eq!(name(&moved, "NSE:NIFTY50-INDEX").as_deref(), Some("if|nse_cm|NIFTY50"));
        for no_list in ["", "[]", "{", "<html>"] {
            assert!(read(no_list).is_err(), "{no_list}");
        }
    }
}
