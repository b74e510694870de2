//! The list of instruments over time.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use adapter_sdk::{
    AdapterError, ListReporter,
    abi::ErrorCode,
    instruments::{Access, InstrumentFile, List, ListSource, Master, Outdated, Summary},
};
use tokio::time::timeout;

use super::{http::http, server};

/// How long the broker takes to answer.
pub(crate) const ANSWER_MS: u64 = 50;

/// A status with which the broker never answers.
const SILENT: &str = "silent";

/// A status with which the broker answers when it has another one.
pub(crate) const HELD: &str = "held";

/// What the files say, one after the other.
#[derive(Debug, PartialEq)]
struct Texts(Vec<String>);

impl List for Texts {
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError> {
        let texts: Vec<String> =
            files.iter().map(fs::read_to_string).collect::<Result<_, _>>().map_err(AdapterError::network)?;
        if texts.iter().any(|text| text.contains("html")) {
            return Err(AdapterError::protocol("no list"));
        }
        Ok(Self(texts))
    }

    fn summary(&self) -> Summary {
        Summary::of(self.0.len())
    }

    fn hold(&mut self, _: &Self, _: &dyn Fn(&str, &str) -> bool) -> usize {
        0
    }
}

/// A broker with lists below `/0`, `/1` and so on.
pub(crate) struct Broker {
    address: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Answers by path; a missing one is a 503.
    pub(crate) lists: Vec<&'static str>,
    pub(crate) status: Option<&'static str>,
    requests: Vec<String>,
    times: Vec<Instant>,
}

impl Broker {
    pub(crate) async fn start(lists: &[&'static str]) -> Self {
        let state = Arc::new(Mutex::new(State { lists: lists.to_vec(), ..State::default() }));
        let shown = Arc::clone(&state);
        let address = server::serve(move |mut stream| {
            let state = Arc::clone(&shown);
            async move {
                let request = server::request(&mut stream).await;
                let place: usize = request.split(['/', ' ', '.']).nth(2).unwrap().parse().unwrap();
                let is_held = || state.lock().unwrap().status == Some(HELD);
                {
                    let mut state = state.lock().unwrap();
                    state.requests.push(request);
                    state.times.push(Instant::now());
                }
                while is_held() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let (status, body) = {
                    let state = state.lock().unwrap();
                    match (state.status, state.lists.get(place)) {
                        (Some(status), _) => (status, ""),
                        (None, Some(list)) => ("200 OK", *list),
                        (None, None) => ("503 Service Unavailable", ""),
                    }
                };
                if status == SILENT {
                    return std::future::pending().await;
                }
                // Long enough for all of those that want it to come.
                tokio::time::sleep(Duration::from_millis(ANSWER_MS)).await;
                server::answer(&mut stream, status, "Connection: close\r\n", body.as_bytes()).await;
            }
        })
        .await;
        Self { address: format!("http://{address}"), state }
    }

    pub(crate) fn source(&self, dir: &Path, files: usize, outdated: Outdated) -> ListSource {
        ListSource {
            adapter: "acme",
            cache_dir: Some(dir.to_owned()),
            segments: &[],
            urls: (0..files).map(|place| self.url(place)).collect(),
            max_bytes: 1_000,
            timeout: Duration::from_mins(2),
            renewed_at: (8, 30),
            outdated,
        }
    }

    fn master(&self, dir: &Path, files: usize, outdated: Outdated) -> Arc<Master<Texts>> {
        let source = self.source(dir, files, outdated);
        Arc::new(Master::new(http(1_000.0), source, ListReporter::default()))
    }

    fn url(&self, place: usize) -> String {
        format!("{}/{place}.csv?key=canary", self.address)
    }

    /// When requests came.
    pub(crate) fn times(&self) -> Vec<Instant> {
        self.state.lock().unwrap().times.clone()
    }

    pub(crate) fn copy(&self, dir: &Path, place: usize) -> PathBuf {
        InstrumentFile::new(Some(dir), "acme", &self.url(place)).path()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.lock().unwrap().requests.len()
    }

    /// Makes the copy of a list one of the day before yesterday.
    pub(crate) fn age(&self, dir: &Path, place: usize) {
        self.age_by(dir, place, Duration::from_hours(48));
    }

    pub(crate) fn age_by(&self, dir: &Path, place: usize, age: Duration) {
        let file = fs::File::options().write(true).open(self.copy(dir, place)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
}

fn texts(master: &Master<Texts>) -> Vec<String> {
    master.list().unwrap().0.clone()
}

#[tokio::test]
async fn several_connections_download_a_list_once_and_a_restart_not_at_all() {
    let (broker, dir) = (Broker::start(&["a", "b"]).await, tempfile::tempdir().unwrap());
    let masters: Vec<_> = (0..3).map(|_| broker.master(dir.path(), 2, Outdated::Refuse)).collect();
    let [one, two, three] = &masters[..] else { panic!() };
    let access = Access::Public;
    let done = tokio::join!(one.prepare(&access), two.prepare(&access), three.prepare(&access));
    assert_eq!(done, (Ok(()), Ok(()), Ok(())));
    assert_eq!(broker.requests(), 2, "one for each file");
    for master in &masters {
        assert!(master.is_current());
        assert_eq!(texts(master), ["a", "b"]);
    }
    let later = broker.master(dir.path(), 2, Outdated::Refuse);
    assert!(later.list().is_none() && !later.is_current());
    later.prepare(&access).await.unwrap();
    later.prepare(&access).await.unwrap();
    assert_eq!(broker.requests(), 2);
}

#[tokio::test]
async fn a_list_of_yesterday_serves_nobody_unless_the_operator_says_so() {
    let (broker, dir) = (Broker::start(&["old", "old"]).await, tempfile::tempdir().unwrap());
    broker.master(dir.path(), 2, Outdated::Refuse).prepare(&Access::Public).await.unwrap();
    broker.age(dir.path(), 1);
    broker.change(|state| state.lists = vec!["new"]);
    broker.age(dir.path(), 0);
    let strict = broker.master(dir.path(), 2, Outdated::Refuse);
    broker.change(|state| state.lists = vec![]);
    let error = strict.prepare(&Access::Public).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NETWORK);
    assert!(
        error.to_string().contains("list of instruments") && error.to_string().contains("503"),
        "{error}"
    );
    assert!(strict.list().is_none());

    let lenient = broker.master(dir.path(), 2, Outdated::Use);
    lenient.prepare(&Access::Public).await.unwrap();
    assert_eq!(texts(&lenient), ["old", "old"]);
    assert!(!lenient.is_current());

    broker.change(|state| state.lists = vec!["<html>", "<html>"]);
    assert_eq!(strict.prepare(&Access::Public).await.unwrap_err().code(), ErrorCode::PROTOCOL);
    broker.change(|state| state.lists = vec!["new", "new"]);
    strict.prepare(&Access::Public).await.unwrap();
    assert_eq!(texts(&strict), ["new", "new"]);
    let left = fs::read_dir(dir.path().join("acme")).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| !name.contains(".new")), "no halves are left");
}

#[tokio::test]
async fn only_a_list_that_needs_the_account_says_something_about_it() {
    let (broker, dir) = (Broker::start(&["a"]).await, tempfile::tempdir().unwrap());
    broker.change(|state| state.status = Some("403 Forbidden"));
    let master = broker.master(dir.path(), 1, Outdated::Use);
    assert_eq!(master.prepare(&Access::Public).await.unwrap_err().code(), ErrorCode::NETWORK);
    let signed = Access::Signed(Arc::new(|request| request.header("x-key", "k / 1")));
    assert_eq!(master.prepare(&signed).await.unwrap_err().code(), ErrorCode::AUTH);
    let state = broker.state.lock().unwrap();
    assert!(state.requests.last().unwrap().to_lowercase().contains("x-key: k / 1"));
}

#[tokio::test]
async fn a_connection_ends_when_the_new_list_does_not_come_in_time() {
    let (broker, dir) = (Broker::start(&["a"]).await, tempfile::tempdir().unwrap());
    let master = broker.master(dir.path(), 1, Outdated::Refuse);
    master.prepare(&Access::Public).await.unwrap();
    let mut renewal = master.renewal(Access::Public);
    assert!(timeout(Duration::from_millis(50), renewal.next()).await.is_err(), "that of today is there");

    broker.change(|state| state.lists = vec!["b"]);
    renewal.hurry(Duration::from_secs(5));
    assert!(!master.is_current());
    assert_eq!(renewal.next().await.unwrap().0, ["b"]);
    assert!(master.is_current());

    broker.change(|state| state.lists = vec![]);
    renewal.hurry(Duration::from_millis(200));
    let error = renewal.next().await.unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
    // The attempt that was given up keeps nobody from the next one.
    let prepared = timeout(Duration::from_secs(5), master.prepare(&Access::Public)).await.unwrap();
    assert_eq!(prepared.unwrap_err().code(), ErrorCode::NETWORK);

    let lenient = broker.master(dir.path(), 1, Outdated::Use);
    lenient.prepare(&Access::Public).await.unwrap();
    let mut renewal = lenient.renewal(Access::Public);
    renewal.hurry(Duration::ZERO);
    assert!(
        timeout(Duration::from_millis(500), renewal.next()).await.is_err(),
        "it goes on with the old one"
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_keeps_nobody_from_a_list_that_will_do() {
    let (broker, dir) = (Broker::start(&["a"]).await, tempfile::tempdir().unwrap());
    broker.master(dir.path(), 1, Outdated::Use).prepare(&Access::Public).await.unwrap();
    broker.age(dir.path(), 0);
    broker.change(|state| state.status = Some(SILENT));
    let lenient = broker.master(dir.path(), 1, Outdated::Use);
    timeout(Duration::from_secs(25), lenient.prepare(&Access::Public)).await.unwrap().unwrap();
    assert_eq!(texts(&lenient), ["a"]);
}
