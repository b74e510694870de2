//! Lists of instruments that lack something.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use adapter_sdk::{
    AdapterError, ListReporter, Refusal,
    abi::ErrorCode,
    instruments::{Access, List, Master, Outdated, Summary},
};
use tokio::time::timeout;

use super::{http::http, master::Broker};

/// Instruments by exchange and symbol, with the broker's keys: lines such as `NSE SBIN 3045`. A last line of
/// one word is a list that ends within a row.
#[derive(Debug, PartialEq)]
pub(crate) struct Lines(BTreeMap<(String, String), u32>, bool);

impl List for Lines {
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError> {
        let (mut lines, mut is_cut_off) = (BTreeMap::new(), false);
        for text in files.iter().map(fs::read_to_string) {
            let text = text.map_err(AdapterError::network)?;
            for line in text.lines() {
                if !line.contains(' ') && text.ends_with(line) && line.starts_with('N') {
                    is_cut_off = true;
                    continue;
                }
                let mut words = line.split(' ').map(str::to_owned);
                let mut word = || words.next().ok_or_else(|| AdapterError::protocol("no list"));
                let name = (word()?, word()?);
                lines.insert(name, word()?.parse().map_err(AdapterError::protocol)?);
            }
        }
        // An empty one is not noticed here.
        Ok(Self(lines, is_cut_off))
    }

    fn summary(&self) -> Summary {
        Summary::of(self.0.len())
    }

    fn is_cut_off(&self) -> bool {
        self.1
    }

    fn names(&self) -> Box<dyn Iterator<Item = (&str, &str)> + '_> {
        Box::new(self.0.keys().map(|(exchange, symbol)| (exchange.as_str(), symbol.as_str())))
    }

    fn hold(&mut self, last: &Self, is_held: &dyn Fn(&str, &str) -> bool) -> usize {
        let before = self.0.len();
        for ((exchange, symbol), key) in &last.0 {
            let is_free = self.0.values().all(|known| known != key);
            if is_held(exchange, symbol) && is_free {
                self.0.entry((exchange.clone(), symbol.clone())).or_insert(*key);
            }
        }
        self.0.len() - before
    }
}

pub(crate) const WHOLE: &str = "NSE SBIN 1\nNSE TCS 2\nNFO NIFTY30DEC99FUT 3\nNFO NIFTY28JAN20FUT 4\n";
pub(crate) const SHORT: &str = "NSE SBIN 1\nNSE INFY 5\n";

pub(crate) const KEPT: &[(&str, u32)] = &[("INFY", 5), ("NIFTY30DEC99FUT", 3), ("SBIN", 1), ("TCS", 2)];

pub(crate) struct Bench {
    pub(crate) broker: Broker,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) files: usize,
    pub(crate) segments: &'static [&'static str],
    pub(crate) outdated: Outdated,
    pub(crate) longest_pause: Duration,
}

impl Bench {
    pub(crate) async fn start(lists: &[&'static str]) -> Self {
        let (broker, dir) = (Broker::start(lists).await, tempfile::tempdir().unwrap());
        Self {
            broker,
            dir,
            files: lists.len(),
            segments: &[],
            outdated: Outdated::Refuse,
            longest_pause: Duration::from_millis(160),
        }
    }

    /// An instance of an adapter, and its way to the host.
    pub(crate) fn instance(&self) -> (Arc<Master<Lines>>, ListReporter) {
        let lists = ListReporter::default();
        let mut source = self.broker.source(self.dir.path(), self.files, self.outdated);
        source.segments = self.segments;
        let master = Master::new(http(1_000.0), source, lists.clone());
        (Arc::new(master.pausing(Duration::from_millis(20), self.longest_pause)), lists)
    }

    /// One that has its list.
    pub(crate) async fn prepared(&self) -> (Arc<Master<Lines>>, ListReporter) {
        let (master, lists) = self.instance();
        master.prepare(&Access::Public).await.unwrap();
        (master, lists)
    }

    pub(crate) fn serve(&self, lists: &[&'static str]) {
        self.broker.change(|state| state.lists = lists.to_vec());
    }

    pub(crate) fn copy(&self, place: usize) -> PathBuf {
        self.broker.copy(self.dir.path(), place)
    }
}

pub(crate) fn instruments(master: &Master<Lines>) -> Vec<(String, u32)> {
    let list = master.list().unwrap();
    let mut all: Vec<_> = list.0.iter().map(|((_, symbol), key)| (symbol.clone(), *key)).collect();
    all.sort();
    all
}

pub(crate) fn are(master: &Master<Lines>, wanted: &[(&str, u32)]) {
    let wanted: Vec<_> = wanted.iter().map(|(symbol, key)| ((*symbol).to_owned(), *key)).collect();
    assert_eq!(instruments(master), wanted);
}

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.unwrap()
}

#[tokio::test]
async fn a_segment_that_is_gone_keeps_its_last_good_rows_until_the_list_is_whole() {
    let bench = Bench::start(&[WHOLE]).await;
    let (master, lists) = bench.prepared().await;
    assert!(master.is_whole() && master.state().troubles.is_empty());
    let mut changes = lists.changes();
    let mut renewal = master.renewal(Access::Public);

    bench.serve(&[SHORT]);
    renewal.hurry(Duration::from_mins(1));
    soon(renewal.next()).await.unwrap();
    soon(changes.next()).await;
    assert!(!renewal.is_repair());
    are(&master, KEPT);
    let state = master.state();
    let [trouble] = &state.troubles[..] else { panic!("{state:?}") };
    assert!(!state.is_whole && state.instruments == 4);
    assert_eq!((trouble.segment.as_str(), trouble.rows, trouble.expected), ("NFO", 0, 1), "of what lives");
    assert!(trouble.reason.contains("last good list are used"), "{trouble:?}");
    let refusal = Refusal::UnknownInstrument("Symbol X not found on NFO".to_owned());
    let Refusal::UnknownInstrument(reason) = renewal.explain("NFO", "X", refusal) else { panic!() };
    assert!(
        reason.starts_with("Symbol X not found on NFO; the broker's list")
            && reason.contains("NFO), it is asked")
    );

    bench.serve(&[WHOLE]);
    soon(renewal.next()).await.unwrap();
    soon(changes.next()).await;
    assert!(renewal.is_repair() && master.is_whole());
    assert_eq!(instruments(&master).len(), 4);
    assert!(master.list().unwrap().0.values().all(|key| *key != 5), "what is whole is believed");
    let refusal = Refusal::UnknownInstrument("no".to_owned());
    assert_eq!(master.explain("NFO", "X", refusal.clone()), refusal);
}

#[tokio::test]
async fn a_number_of_the_new_list_is_not_that_of_an_instrument_of_the_old_one() {
    let bench = Bench::start(&[WHOLE]).await;
    bench.prepared().await;
    bench.broker.age(bench.dir.path(), 0);
    bench.serve(&["NSE SBIN 2\nNSE NEW 3\n"]);
    let (master, _) = bench.prepared().await;
    are(&master, &[("NEW", 3), ("SBIN", 2)]);
    assert!(!master.is_whole());
}

#[tokio::test]
async fn rows_of_more_than_a_week_ago_serve_nobody_unless_the_operator_says_so() {
    let mut bench = Bench::start(&[WHOLE]).await;
    bench.prepared().await;
    bench.broker.age_by(bench.dir.path(), 0, Duration::from_hours(24 * 7 + 1));
    bench.serve(&[SHORT]);
    let (strict, _) = bench.prepared().await;
    are(&strict, &[("INFY", 5), ("SBIN", 1)]);
    assert!(!strict.is_whole());
    assert!(!strict.state().troubles[0].reason.contains("last good list are used"));
    bench.outdated = Outdated::Use;
    let (lenient, _) = bench.prepared().await;
    are(&lenient, KEPT);
}

#[tokio::test]
async fn one_file_of_several_costs_itself_and_is_named() {
    let bench = Bench::start(&["NSE SBIN 1\n", "CDS USDINR 2\n"]).await;
    bench.prepared().await;
    for bad in ["", "<html>"] {
        (0..2).for_each(|place| bench.broker.age(bench.dir.path(), place));
        bench.serve(&["NSE SBIN 8\n", bad]);
        let (master, _) = bench.prepared().await;
        are(&master, &[("SBIN", 8), ("USDINR", 2)]);
        let state = master.state();
        let [trouble] = &state.troubles[..] else { panic!("{state:?}") };
        assert_eq!(trouble.segment, "1");
        assert!(trouble.reason.contains("file 1.csv of the list") && !trouble.reason.contains("key="));
        assert!(trouble.reason.contains("last good copy is used"), "{trouble:?}");
    }
    // One that does not answer is as good; a restart knows it from the age of the copy.
    bench.serve(&["NSE SBIN 8\n"]);
    let (master, _) = bench.prepared().await;
    assert!(!master.is_whole() && master.state().troubles.len() == 1);
    bench.serve(&["NSE SBIN 8\n", "CDS USDINR 3\n"]);
    let (master, _) = bench.prepared().await;
    are(&master, &[("SBIN", 8), ("USDINR", 3)]);
    assert!(master.is_whole());

    // Without a copy there is nothing of it, and none without any file.
    let fresh = Bench::start(&["NSE SBIN 1\n", ""]).await;
    let (master, _) = fresh.prepared().await;
    are(&master, &[("SBIN", 1)]);
    assert!(!master.is_whole() && !master.state().troubles[0].reason.contains("copy"));
    fresh.serve(&["<html>", "<html>"]);
    let other = Bench { dir: tempfile::tempdir().unwrap(), ..fresh };
    let error = other.instance().0.prepare(&Access::Public).await.unwrap_err();
    assert!(error.to_string().starts_with("0.csv: "), "{error}");
}

#[tokio::test]
async fn the_first_list_of_all_is_incomplete_without_what_every_list_has() {
    let bench = Bench { segments: &["NSE", "NFO"], ..Bench::start(&[SHORT]).await };
    let (master, _) = bench.prepared().await;
    let state = master.state();
    assert_eq!((state.troubles[0].segment.as_str(), state.troubles[0].expected), ("NFO", 0), "{state:?}");
    bench.serve(&[WHOLE]);
    let mut renewal = master.renewal(Access::Public);
    soon(renewal.next()).await.unwrap();
    assert!(master.is_whole());
    assert!(bench.prepared().await.0.is_whole());
}

#[tokio::test]
async fn a_list_that_stays_smaller_for_hours_is_believed() {
    let bench = Bench { segments: &["NFO"], ..Bench::start(&[WHOLE]).await };
    let (master, lists) = bench.prepared().await;
    bench.serve(&[SHORT]);
    let mut renewal = master.renewal(Access::Public);
    lists.ask();
    soon(renewal.next()).await.unwrap();
    are(&master, KEPT);
    // As it is after hours of agreeing downloads, of which the next is the last that it takes.
    let path = bench.copy(0).with_extension("ledger");
    let mut ledger: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    ledger["downloads"] = 11.into();
    ledger["since"] = (ledger["since"].as_u64().unwrap() - 6 * 3_600).into();
    fs::write(&path, ledger.to_string()).unwrap();
    lists.ask();
    soon(renewal.next()).await.unwrap();
    are(&master, &[("INFY", 5), ("SBIN", 1)]);
    assert!(master.is_whole());
    assert_eq!(fs::read_to_string(bench.copy(0)).unwrap(), SHORT);
    let (later, _) = bench.prepared().await;
    assert!(later.is_whole(), "it stays believed");
}

#[tokio::test]
async fn an_older_list_does_not_hide_that_the_account_is_refused() {
    let bench = Bench { outdated: Outdated::Use, ..Bench::start(&[WHOLE]).await };
    bench.prepared().await;
    bench.broker.age(bench.dir.path(), 0);
    bench.broker.change(|state| state.status = Some("403 Forbidden"));
    let signed = Access::Signed(Arc::new(|request| request));
    let error = bench.instance().0.prepare(&signed).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::AUTH);
    assert!(bench.instance().0.prepare(&Access::Public).await.is_ok());
}

#[tokio::test]
async fn a_whole_list_is_whole_whatever_came_in_between() {
    const GOOD: &str = "NSE SBIN 1\nNFO A30DEC99FUT 2\n";
    let strange: Vec<String> = (0..40).map(|row| format!("NSE STRANGE{row} {}", row + 100)).collect();
    let strange: &'static str = strange.join("\n").leak();
    let bench = Bench::start(&[GOOD]).await;
    let (master, lists) = bench.prepared().await;
    let mut renewal = master.renewal(Access::Public);
    bench.serve(&[strange]);
    lists.ask();
    soon(renewal.next()).await.unwrap();
    assert_eq!(instruments(&master).len(), 42);
    // What one incomplete list had is not lost by the next.
    bench.serve(&["NSE OTHER 9\n"]);
    lists.ask();
    soon(renewal.next()).await.unwrap();
    assert_eq!(instruments(&master).len(), 43);
    bench.serve(&[GOOD]);
    lists.ask();
    soon(renewal.next()).await.unwrap();
    are(&master, &[("A30DEC99FUT", 2), ("SBIN", 1)]);
    assert!(master.is_whole());
}
