//! The broker, on loopback: says what the test says, and tells what it was told.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use adapter_sdk::testing::{Bench, FileServer, SOON};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::TcpListener,
    runtime::Runtime,
    sync::{mpsc, watch},
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use crate::acme::Acme;

pub(crate) struct Venue {
    said: Receiver<String>,
    say: mpsc::Sender<String>,
    reads: watch::Sender<bool>,
    pub(crate) files: FileServer,
    address: String,
    cache: tempfile::TempDir,
    _runtime: Runtime,
}

impl Venue {
    pub(crate) fn start(list: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, said) = channel();
        let (say, mut to_say) = mpsc::channel::<String>(1_000);
        let (reads, mut is_reading) = watch::channel(true);
        // One connection after the other: what is not said yet is said to the next.
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let socket = accept_async(stream).await.unwrap();
                serve(socket, &tell, &mut to_say, &mut is_reading).await;
            }
        });
        let files = FileServer::start().unwrap();
        let cache = tempfile::tempdir().unwrap();
        let venue = Self { said, say, reads, files, address, cache, _runtime: runtime };
        venue.list(list);
        venue
    }

    /// Lines such as `NSE,SBIN,1` are the broker's list from now on.
    pub(crate) fn list(&self, lines: &str) {
        self.files.show("/list", format!("exchange,symbol,token\n{lines}"));
    }

    pub(crate) fn connect(&self, credentials: &str, settings: serde_json::Value) -> Bench {
        let mut config = settings;
        config["ws_url"] = format!("ws://{}", self.address).into();
        config["list_url"] = self.files.url("/list").into();
        config["cache_dir"] = self.cache.path().to_str().unwrap().into();
        Bench::start_with::<Acme>(&config.to_string(), credentials).unwrap()
    }

    pub(crate) fn say(&self, word: &str) {
        self.say.blocking_send(word.to_owned()).unwrap();
    }

    /// From now on the broker reads, or does not.
    pub(crate) fn reads(&self, reads: bool) {
        self.reads.send(reads).unwrap();
    }

    /// What the broker is told next.
    pub(crate) fn told(&self) -> String {
        self.said.recv_timeout(SOON).unwrap()
    }

    /// The same, unless it is told nothing for a while.
    pub(crate) fn told_within(&self, limit: Duration) -> Option<String> {
        self.said.recv_timeout(limit).ok()
    }
}

async fn serve(
    mut socket: tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>,
    tell: &Sender<String>,
    to_say: &mut mpsc::Receiver<String>,
    is_reading: &mut watch::Receiver<bool>,
) {
    loop {
        let reads = *is_reading.borrow_and_update();
        tokio::select! {
            _ = is_reading.changed() => {}
            message = socket.next(), if reads => match message {
                Some(Ok(Message::Text(text))) => _ = tell.send(text.trim_end().to_owned()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            word = to_say.recv() => {
                let Some(word) = word else { return };
                if word == "bye" {
                    _ = socket.close(None).await;
                    return;
                }
                if socket.send(Message::text(word)).await.is_err() {
                    return;
                }
            }
        }
    }
}
