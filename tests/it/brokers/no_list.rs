//! A broker that answers with something else where its list of instruments was.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use integration_tests::{
    HostBuilder,
    chain::{self, Chain, Profile},
    host::assert_ok,
    wait_until,
};
use serde_json::{Value, json};
use venues::{Mode, Options, Venue, angel::Smart, dhan::Dhan, fyers::Fyers, zerodha::Kite};

/// What is answered instead of lists; none for the broker's own.
type Instead = Arc<Mutex<Option<&'static str>>>;

/// A way to a venue's files, on which something else may stand.
fn way_to(venue: SocketAddr) -> (SocketAddr, Instead) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, instead) = (listener.local_addr().unwrap(), Instead::default());
    let answers = Arc::clone(&instead);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that has gone is no matter.
            _ = answer(stream, venue, *answers.lock().unwrap());
        }
    });
    (address, instead)
}

fn answer(mut stream: TcpStream, venue: SocketAddr, instead: Option<&str>) -> std::io::Result<()> {
    let mut head = String::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        // The end of the answer is that of the connection.
        if !line.to_lowercase().starts_with("connection:") {
            head.push_str(&line);
            head.push_str("\r\n");
        }
    }
    if let Some(body) = instead {
        let length = body.len();
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
    }
    let mut broker = TcpStream::connect(venue)?;
    write!(broker, "{head}Connection: close\r\n\r\n")?;
    std::io::copy(&mut broker, &mut stream).map(drop)
}

async fn what_is_no_list_changes_nothing_and_is_said<B: Profile>() {
    let options = Options { rate_hz: 0.0, instruments: 500, ..Options::default() };
    let venue = Venue::<B>::start(options.accepting(B::CREDENTIALS)).await.unwrap();
    let (way, instead) = way_to(venue.address());
    let builder = HostBuilder::new();
    let plugins = chain::plugins::<B>(venue.address(), &builder.dir().join("cache"));
    let own = format!("instruments_url = \"http://{}", venue.address());
    assert!(plugins.contains(&own), "{plugins}");
    let host = builder.plugins(&plugins.replace(&own, &format!("instruments_url = \"http://{way}"))).start();
    let key = chain::add_user(&host, "alice", B::NAME);
    let chain = Chain { venue, host, key };
    chain.set_credentials(B::CREDENTIALS);
    let names = chain.instruments(8);
    let (mut watcher, _) = chain.watch(&names[..4], Mode::Ltp).await;
    let list = || async { chain.host.status().await["feeds"][0]["list"].clone() };
    let whole = list().await;
    assert_eq!(whole["is_whole"], true, "{whole}");

    for body in ["", "<html><body>Down for maintenance</body></html>"] {
        *instead.lock().unwrap() = Some(body);
        assert_ok(&chain.host.run(&["adapters", "reload", B::NAME], ""));
        wait_until("it is said", || async { list().await["is_whole"] == false }).await;
        let said = list().await;
        assert_eq!(said["instruments"], whole["instruments"], "{said}");
        let reasons: Vec<Value> =
            said["troubles"].as_array().unwrap().iter().map(|trouble| trouble["reason"].clone()).collect();
        let is_said = |reason: &Value| reason.as_str().is_some_and(|reason| reason.contains("cannot be had"));
        assert!(!reasons.is_empty() && reasons.iter().all(is_said), "{reasons:?}");
        // What was subscribed goes on, what the list has can be, and what it has not is not invented.
        chain.venue.trade();
        assert_eq!(chain.compare(&mut watcher).await.mismatches, [""; 0]);
        let (mut more, _) = chain.watch(&names, Mode::Ltp).await;
        assert_eq!(chain.compare(&mut more).await.mismatches, [""; 0]);
        more.client
            .send(
                &json!({"action": "subscribe", "symbols": ["NSE:NOSUCHSHARE"], "mode": 1, "request_id": "x"}),
            )
            .await;
        let refused = more.client.find(|message| message["request_id"] == "x").await;
        assert_eq!(refused["subscriptions"][0]["code"], "SYMBOL_NOT_FOUND", "{refused}");

        *instead.lock().unwrap() = None;
        assert_ok(&chain.host.run(&["adapters", "reload", B::NAME], ""));
        wait_until("it is whole again", || async { list().await["is_whole"] == true }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_list_changes_nothing_at_angel() {
    what_is_no_list_changes_nothing_and_is_said::<Smart>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_list_changes_nothing_at_dhan() {
    what_is_no_list_changes_nothing_and_is_said::<Dhan>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_list_changes_nothing_at_fyers() {
    what_is_no_list_changes_nothing_and_is_said::<Fyers>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_list_changes_nothing_at_zerodha() {
    what_is_no_list_changes_nothing_and_is_said::<Kite>().await;
}
