//! A list that comes page by page.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use adapter_sdk::{
    ListReporter,
    instruments::{Access, Catalog, Layout, ListSource, Master, Names, Outdated, Pages, Sheet},
    ist::Day,
};

use super::{http::http, server};

struct Rows;

impl Sheet<1> for Rows {
    type Key = u32;

    const COLUMNS: [&'static str; 1] = ["id"];
    const LAYOUT: Layout = Layout::JsonObjectsAt("result");

    fn begin(_: Day) -> Self {
        Self
    }

    fn row(&mut self, [id]: [Option<&str>; 1], names: &mut Names<u32>) -> Option<()> {
        names.add("CRYPTO", id?, id?.parse().ok()?);
        Some(())
    }
}

type List = Catalog<Rows, 1>;

/// A broker with pages of one instrument each, by the cursor; a page that is not there is a 503.
struct Broker {
    address: String,
    pages: Arc<Mutex<Vec<String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Broker {
    async fn start() -> Self {
        let (pages, asked) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<Vec<String>>>::default());
        let state = (Arc::clone(&pages), Arc::clone(&asked));
        let address = server::serve(move |mut stream| {
            let (pages, asked) = state.clone();
            async move {
                let request = server::request(&mut stream).await;
                let address = request.split(' ').nth(1).unwrap().to_owned();
                let place: usize =
                    address.split_once("after=").map_or(0, |(_, after)| after.parse().unwrap());
                asked.lock().unwrap().push(address);
                let page = pages.lock().unwrap().get(place).cloned();
                let status = if page.is_some() { "200 OK" } else { "503 Service Unavailable" };
                let body = page.unwrap_or_default();
                server::answer(&mut stream, status, "Connection: close\r\n", body.as_bytes()).await;
            }
        })
        .await;
        Self { address: format!("http://{address}"), pages, asked }
    }

    fn serve(&self, afters: &[&str]) {
        let page = |(id, after): (usize, &&str)| {
            format!(r#"{{"result":[{{"id":{id}}}],"meta":{{"after":{after}}}}}"#)
        };
        *self.pages.lock().unwrap() = afters.iter().enumerate().map(page).collect();
    }

    fn master(&self, dir: &Path, pages: Pages) -> Master<List> {
        let source = ListSource {
            cache_dir: Some(dir.to_owned()),
            segments: &[],
            max_bytes: 300,
            timeout: Duration::from_mins(1),
            outdated: Outdated::Use,
            ..List::source("acme", vec![format!("{}/products?size=1", self.address)])
        };
        Master::new(http(1_000.0), source, ListReporter::default()).paged(pages)
    }
}

fn by_cursor() -> Pages {
    Pages::of_cursor(3, "meta.after", "after")
}

#[tokio::test]
async fn pages_are_one_list_that_is_kept_like_any_other() {
    let (broker, dir) = (Broker::start().await, tempfile::tempdir().unwrap());
    broker.serve(&["1", "2", "null"]);
    let master = broker.master(dir.path(), by_cursor());
    master.prepare(&Access::Public).await.unwrap();
    assert_eq!(master.list().unwrap().len(), 3);
    let wanted = ["/products?size=1", "/products?size=1&after=1", "/products?size=1&after=2"];
    assert_eq!(*broker.asked.lock().unwrap(), wanted);
    let later = broker.master(dir.path(), by_cursor());
    later.prepare(&Access::Public).await.unwrap();
    assert_eq!((later.list().unwrap().len(), broker.asked.lock().unwrap().len()), (3, 3), "from disk");
}

#[tokio::test]
async fn what_is_not_all_pages_is_no_list_and_leaves_nothing_behind() {
    let (broker, dir) = (Broker::start().await, tempfile::tempdir().unwrap());
    let elsewhere = || Pages::new(3, |address, _| Ok(Some(address.replace("127.0.0.1", "localhost"))));
    let long = format!("\"{}\"", "x".repeat(400));
    let same = || Pages::new(3, |address, _| Ok(Some(address.to_owned())));
    for (afters, pages, said) in [
        (&["1", "2", "3", "null"][..], by_cursor(), "it has more than 3 pages"),
        (&["1", "2"], by_cursor(), "503"),
        (&["1", "[]"], by_cursor(), "odd cursor"),
        (&["1", &long], by_cursor(), "longer than"),
        (&["1"], elsewhere(), "an address that cannot be"),
        (&["1"], same(), "an address that cannot be"),
    ] {
        broker.serve(afters);
        let master = broker.master(dir.path(), pages);
        let refused = master.prepare(&Access::Public).await.unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
        assert!(!refused.contains("after="), "{refused}");
        let left = std::fs::read_dir(master.directory().unwrap()).unwrap();
        let left = left
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| !name.to_string_lossy().ends_with("lock"));
        assert_eq!(left.collect::<Vec<_>>(), Vec::<std::ffi::OsString>::new());
    }
}
