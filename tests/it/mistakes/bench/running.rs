//! A host that runs with a mistake, and what its log, its clients and its operator are told.

use std::{
    fmt::Write as _,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use integration_tests::{Client, Host, SOON, bus::Publisher, http, wait_until};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::{Answer, Bench, Shared, mask::line_of};

/// Longest line of a log; what is longer is a mistake by itself.
const MAX_LINE_CHARS: usize = 2_000;

impl Bench {
    /// Starts the host. With mistakes that stop it the test fails.
    pub(in crate::mistakes) fn start(&mut self) {
        let mut builder = self.builder.take().unwrap();
        for (name, value) in &self.env {
            builder = builder.env(name, value);
        }
        let plugins = fs::read_to_string(self.path("plugins.toml")).unwrap();
        self.host = Some(Arc::new(builder.env("TICKHOST_CONFIG", self.config()).plugins(&plugins).start()));
        let host = self.host();
        for address in [host.websocket, host.admin, host.bus].map(|address| address.to_string()) {
            self.mask(&address, "127.0.0.1:PORT");
        }
        _ = writeln!(self.record, "$ tickhost run &");
    }

    /// Lets clients of this bench connect to a host that runs already.
    pub(in crate::mistakes) fn serve(&mut self, shared: &Shared) {
        self.host = Some(Arc::clone(&shared.host));
        self.mask(&shared.key, "KEY");
    }

    pub(in crate::mistakes) fn host(&self) -> &Host {
        self.host.as_ref().expect("the host was started")
    }

    /// Waits until the running host logs this message, and records the first such line.
    pub(in crate::mistakes) fn logged(&mut self, message: &str) {
        let host = Arc::clone(self.host.as_ref().unwrap());
        self.runtime.block_on(wait_until(message, || async { !host.messages(message).is_empty() }));
        let log = host.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let line = lines.into_iter().find(|line| line["fields"]["message"] == message).unwrap();
        let text = self.masked(&line_of(&line));
        assert!(text.len() <= MAX_LINE_CHARS, "{text}");
        _ = writeln!(self.record, "{text}");
        self.answers.push(Answer { code: None, text });
    }

    /// Makes the running host read everything again.
    pub(in crate::mistakes) fn reload(&mut self) {
        let host = Arc::clone(self.host.as_ref().unwrap());
        let before = host.log().lines().count();
        self.runtime.block_on(host.reload());
        _ = writeln!(self.record, "$ kill -HUP HOST");
        let log = host.log();
        let lines = log.lines().skip(before).filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut text = String::new();
        for line in lines.filter(|line| line["level"] != "INFO" || line["fields"]["message"] == "Reloaded") {
            _ = writeln!(text, "{}", self.masked(&line_of(&line)));
        }
        self.record.push_str(&text);
        self.answers.push(Answer { code: None, text });
    }

    /// A new client says all of this, and the record shows each answer.
    pub(in crate::mistakes) fn client(&mut self, says: &[&str]) {
        self.converse(says.iter().map(|text| Message::text((*text).to_owned())).collect());
    }

    /// As [`Self::client`], with any messages.
    pub(in crate::mistakes) fn converse(&mut self, says: Vec<Message>) {
        let address = self.host().websocket;
        let mut told = Vec::new();
        self.runtime.block_on(async {
            let mut client = Client::connect(address).await;
            for message in says {
                let shown = match &message {
                    Message::Text(text) if text.len() <= 400 => text.to_string(),
                    Message::Text(text) => {
                        format!("{}… ({} bytes)", text.chars().take(20).collect::<String>(), text.len())
                    }
                    other => format!("{} bytes that are no text", other.len()),
                };
                client.send_raw(message).await;
                let heard = tokio::time::timeout(SOON, client.heard()).await.expect("an answer in time");
                told.push((shown, heard));
            }
        });
        for (shown, heard) in told {
            let (shown, text) = (self.masked(&shown), self.masked(&heard));
            _ = writeln!(self.record, "> {shown}\n< {text}");
            self.answers.push(Answer { code: None, text });
        }
    }

    /// Where clients connect to the running host; the record calls its port `PORT`.
    pub(in crate::mistakes) fn url(&mut self) -> String {
        let address = self.host().websocket;
        self.mask(&address.port().to_string(), "PORT");
        format!("ws://{address}")
    }

    /// A browser opens a connection for a page of this origin.
    pub(in crate::mistakes) fn page(&mut self, origin: &str) {
        let address = self.host().websocket;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        let answer = self.runtime.block_on(http::request(address, &request));
        let text = format!("{} {}", answer.status, self.masked(answer.body.trim_end()));
        _ = writeln!(
            self.record,
            "$ curl -H 'Origin: {origin}' -H 'Upgrade: websocket' … http://CLIENT_PORT\n{text}"
        );
        self.answers.push(Answer { code: None, text });
    }

    /// Somebody takes the client port for a web site.
    pub(in crate::mistakes) fn visit(&mut self) {
        let address = self.host().websocket;
        let answer = self.runtime.block_on(http::get(address, "/"));
        let text = format!("{} {}", answer.status, self.masked(answer.body.trim_end()));
        _ = writeln!(self.record, "$ curl http://CLIENT_PORT\n{text}");
        self.answers.push(Answer { code: None, text });
    }

    /// A program publishes this on the bus until the counter of the host moves, which is how it is told.
    pub(in crate::mistakes) fn publish(&mut self, topic: &str, body: &str) {
        let host = Arc::clone(self.host.as_ref().unwrap());
        let parts = || vec![topic.as_bytes().to_vec(), body.as_bytes().to_vec()];
        let text = self.runtime.block_on(async {
            let mut publisher = Publisher::connect(host.bus).await;
            let deadline = Instant::now() + SOON;
            loop {
                // What is published before the host's subscription came through is lost.
                publisher.send_raw(parts()).await;
                let metrics = host.get("/metrics").await.body;
                let moved: Vec<&str> = metrics
                    .lines()
                    .filter(|line| line.starts_with("tickhost_bus_") && !line.ends_with(" 0"))
                    .filter_map(|line| line.rsplit_once(' '))
                    .map(|(name, _)| name)
                    .filter(|name| ["malformed", "dropped", "unknown"].iter().any(|word| name.contains(word)))
                    .collect();
                if !moved.is_empty() {
                    return moved.join("\n");
                }
                assert!(Instant::now() < deadline, "nothing was counted:\n{metrics}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        _ = writeln!(
            self.record,
            "> {topic} {body}\n$ curl http://OPERATOR/metrics | grep tickhost_bus # what has grown\n{text}"
        );
        self.answers.push(Answer { code: None, text });
    }

    /// A client with this key asks for news of its feed, and the record shows the first that says what helps.
    pub(in crate::mistakes) fn feed_fails(&mut self, key: &str) {
        let address = self.host().websocket;
        let news = self.runtime.block_on(async {
            let mut client = Client::login_for_feed_status(address, key).await;
            client.subscribe(&["NSE:SBIN"], "LTP").await;
            let helps = |message: &Value| {
                message["message"].as_str().is_some_and(|text| text.contains("account login"))
            };
            client.find(|message| message["type"] == "feed_status" && helps(message)).await
        });
        let text = self.masked(&format!(
            "{}: {}",
            news["state"].as_str().unwrap(),
            news["message"].as_str().unwrap()
        ));
        _ = writeln!(self.record, "# feed_status of a client: {text}");
        self.answers.push(Answer { code: None, text });
    }

    /// Does something with the running host and waits for what it should lead to.
    pub(in crate::mistakes) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }
}
