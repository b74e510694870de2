//! Where a mistake is made: a folder of its own, the real program in it, and a record of what was done and said.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use integration_tests::{Client, Host, HostBuilder, SOON, bus::Publisher, http, wait_until};
use rusqlite::Connection;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, runtime::Runtime};
use tokio_tungstenite::tungstenite::Message;

/// A user without rights, for tests that root runs: nothing is forbidden to root.
const NOBODY: u32 = 65_534;

/// Settings that the harness chooses, so that hosts do not meet.
const PORTS: [(&str, &str); 3] =
    [("WEBSOCKET_PORT", "websocket_port"), ("TICKHOST_ADMIN_PORT", "admin_port"), ("ZMQ_PORT", "zmq_port")];

/// What stands for a secret in every case that has one. No answer may show it.
pub(super) const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2";

/// Longest line of a log that the record shows with its fields; what is longer is a mistake by itself.
const MAX_LINE_CHARS: usize = 2_000;

/// One command, or one message of a client, and what came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// None for what a running host said.
    pub(super) code: Option<i32>,
    pub(super) text: String,
}

/// A folder with a program to misconfigure.
pub(super) struct Bench {
    builder: Option<HostBuilder>,
    host: Option<Host>,
    dir: PathBuf,
    env: BTreeMap<String, String>,
    /// What an answer has, and what stands for it in the record.
    masks: Vec<(String, String)>,
    held: Vec<TcpListener>,
    is_unprivileged: bool,
    record: String,
    answers: Vec<Answer>,
    runtime: Runtime,
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let builder = HostBuilder::new();
        let dir = builder.dir().to_owned();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(builder.plugins_path(), integration_tests::PLUGINS).unwrap();
        let program = integration_tests::sim_library().parent().unwrap().display().to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self {
            masks: vec![(dir.display().to_string(), "DIR".to_owned()), (program, "PROGRAM_DIR".to_owned())],
            builder: Some(builder),
            host: None,
            dir,
            env: BTreeMap::new(),
            held: Vec::new(),
            is_unprivileged: false,
            record: String::new(),
            answers: Vec::new(),
            runtime,
        }
    }

    /// The answers in their order.
    pub(super) fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// The record.
    pub(super) fn finish(mut self) -> String {
        std::mem::take(&mut self.record)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A file with this text, which the record shows.
    pub(super) fn file(&mut self, name: &str, text: &str) {
        let text = format!("{}\n", text.trim_end());
        fs::write(self.path(name), &text).unwrap();
        let shown = self.masked(&text);
        _ = writeln!(self.record, "$ cat {name}\n{}", shown.trim_end());
    }

    /// As [`Self::file`], for what does not belong to the mistake and is not shown.
    pub(super) fn quiet_file(&mut self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// A file that cannot be shown; `what` says what it holds.
    pub(super) fn bytes(&mut self, name: &str, what: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
        _ = writeln!(self.record, "$ file {name}\n{what}");
    }

    /// A line of a shell, done in the folder.
    pub(super) fn shell(&mut self, line: &str) {
        self.settle(line);
        let shown = self.masked(line);
        _ = writeln!(self.record, "$ {shown}");
    }

    /// As [`Self::shell`], for what does not belong to the mistake and is not shown.
    pub(super) fn settle(&mut self, line: &str) {
        let done = Command::new("sh").args(["-c", line]).current_dir(&self.dir).status().unwrap();
        assert!(done.success(), "{line}");
    }

    /// A change of a database.
    pub(super) fn sql(&mut self, name: &str, statement: &str) {
        self.settle_sql(name, statement);
        _ = writeln!(self.record, "$ sqlite3 {name} \"{statement}\"");
    }

    /// As [`Self::sql`], for what does not belong to the mistake and is not shown.
    pub(super) fn settle_sql(&mut self, name: &str, statements: &str) {
        Connection::open(self.path(name)).unwrap().execute_batch(statements).unwrap();
    }

    /// Holds a database until it is dropped.
    pub(super) fn lock(&mut self, name: &str) -> Connection {
        let connection = Connection::open(self.path(name)).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        _ = writeln!(self.record, "$ sqlite3 {name} \"BEGIN IMMEDIATE\" # and nothing after it");
        connection
    }

    /// A variable of the environment of every command from here on.
    pub(super) fn env(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
        let shown = self.masked(value);
        _ = writeln!(self.record, "$ export {name}='{shown}'");
    }

    /// A variable that the record does not show: what the mistake is not about.
    pub(super) fn quietly(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// A port that another program has; the record calls it `PORT`.
    pub(super) fn taken_port(&mut self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        self.held.push(listener);
        self.mask(&address.port().to_string(), "PORT");
        address
    }

    /// What the record shows instead of this text.
    pub(super) fn mask(&mut self, text: &str, instead: &str) {
        self.masks.insert(0, (text.to_owned(), instead.to_owned()));
    }

    /// From here on commands are those of a user without rights.
    pub(super) fn as_nobody(&mut self) {
        self.is_unprivileged = true;
    }

    /// Runs the program to its end, and gives its exit code.
    pub(super) fn run(&mut self, args: &[&str]) -> i32 {
        self.run_with(args, "")
    }

    /// As [`Self::run`], with something at its standard input, which the record does not show.
    pub(super) fn run_with(&mut self, args: &[&str], input: &str) -> i32 {
        let output = self.output(args, input);
        let text = self.said(&output);
        let code = output.status.code().unwrap_or(-1);
        let shown: Vec<String> = args.iter().map(|arg| quoted(&self.masked(arg))).collect();
        _ = writeln!(self.record, "$ tickhost {}", shown.join(" "));
        for line in text.lines() {
            _ = writeln!(self.record, "{line}");
        }
        _ = writeln!(self.record, "[exit code {code}]");
        self.answers.push(Answer { code: Some(code), text });
        code
    }

    /// `tickhost check`, which finds it, and then `tickhost run`, which does not start because of the same.
    pub(super) fn refused(&mut self) {
        self.refused_with(&[]);
    }

    /// As [`Self::refused`], with these flags.
    pub(super) fn refused_with(&mut self, flags: &[&str]) {
        let args = |command: &'static str| -> Vec<&str> { [&[command], flags].concat() };
        assert_eq!(self.run(&args("check")), 1, "check finds nothing:\n{}", self.record);
        let checked = self.answers.last().map(|answer| answer.text.clone()).unwrap_or_default();
        let output = self.output(&args("run"), "");
        let text = self.said(&output);
        let code = output.status.code().unwrap_or(-1);
        assert_eq!(code, 1, "run must not start:\n{}\n{text}", self.record);
        let problems: Vec<&str> = checked.lines().filter_map(|line| line.strip_prefix("problem  ")).collect();
        let is_same = problems.iter().all(|problem| text.contains(problem));
        let shown = args("run").iter().map(|arg| quoted(&self.masked(arg))).collect::<Vec<_>>().join(" ");
        if is_same {
            _ = writeln!(
                self.record,
                "$ tickhost {shown}\n[the same, nothing was started, exit code {code}]"
            );
        } else {
            _ = writeln!(self.record, "$ tickhost {shown}\n{}\n[exit code {code}]", text.trim_end());
        }
        self.answers.push(Answer { code: Some(code), text });
    }

    /// `tickhost check`, which has something to say and finds no problem.
    pub(super) fn warned(&mut self) {
        assert_eq!(self.run(&["check"]), 0, "a warning is no problem:\n{}", self.record);
    }

    /// Runs a command that is no part of the case, such as one that makes a user, and gives what it printed.
    pub(super) fn prepare(&mut self, args: &[&str], input: &str) -> String {
        let output = self.output(args, input);
        integration_tests::host::assert_ok(&output);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Starts the host. With mistakes that stop it the test fails.
    pub(super) fn start(&mut self) {
        let mut builder = self.builder.take().unwrap();
        for (name, value) in &self.env {
            builder = builder.env(name, value);
        }
        let plugins = fs::read_to_string(self.path("plugins.toml")).unwrap();
        self.host = Some(builder.env("TICKHOST_CONFIG", self.config()).plugins(&plugins).start());
        _ = writeln!(self.record, "$ tickhost run &");
    }

    fn config(&self) -> String {
        let path = self.path("tickhost.toml");
        if path.exists() { path.display().to_string() } else { String::new() }
    }

    pub(super) fn host(&self) -> &Host {
        self.host.as_ref().expect("the host was started")
    }

    /// Waits until the running host logs this message, and records the first such line.
    pub(super) fn logged(&mut self, message: &str) {
        let host = self.host.as_ref().unwrap();
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
    pub(super) fn reload(&mut self) {
        let host = self.host.as_ref().unwrap();
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
    pub(super) fn client(&mut self, says: &[&str]) {
        self.converse(says.iter().map(|text| Message::text((*text).to_owned())).collect());
    }

    /// As [`Self::client`], with any messages.
    pub(super) fn converse(&mut self, says: Vec<Message>) {
        let address = self.host().websocket;
        let mut told = Vec::new();
        self.runtime.block_on(async {
            let mut client = Client::connect(address).await;
            for message in says {
                let shown = match &message {
                    Message::Text(text) if text.len() <= 400 => text.to_string(),
                    Message::Text(text) => format!("{}… ({} bytes)", &text[..20], text.len()),
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
    pub(super) fn url(&mut self) -> String {
        let address = self.host().websocket;
        self.mask(&address.port().to_string(), "PORT");
        format!("ws://{address}")
    }

    /// A browser opens a connection for a page of this origin.
    pub(super) fn page(&mut self, origin: &str) {
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

    /// A program publishes this on the bus until the counter of the host moves, which is how it is told.
    pub(super) fn publish(&mut self, topic: &str, body: &str) {
        let host = self.host.as_ref().unwrap();
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
    pub(super) fn feed_fails(&mut self, key: &str) {
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

    /// The answer of the operator's port.
    pub(super) fn ask(&mut self, path: &str) {
        let host = self.host.as_ref().unwrap();
        let answer = self.runtime.block_on(host.get(path));
        let text = self.masked(answer.body.trim_end());
        _ = writeln!(self.record, "$ curl http://OPERATOR{path}\n{text}\n[HTTP {}]", answer.status);
        self.answers.push(Answer { code: None, text });
    }

    /// Does something with the running host and waits for what it should lead to.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn output(&self, args: &[&str], input: &str) -> Output {
        let mut command = match &self.host {
            Some(host) => host.command(args),
            None => self.builder.as_ref().unwrap().command(args),
        };
        // What is said to people, and not more of the log than they have to read.
        command.env("TICKHOST_LOG_FORMAT", "text").env("TICKHOST_LOG", "warn").envs(&self.env);
        // What stands in the file of a case is to count.
        if self.host.is_none() {
            let settings = fs::read_to_string(self.path("tickhost.toml")).unwrap_or_default();
            for (variable, key) in PORTS.iter().filter(|(_, key)| settings.contains(key)) {
                command.env_remove(variable);
            }
            if settings.contains("log_format") {
                command.env_remove("TICKHOST_LOG_FORMAT");
            }
        }
        command.envs(&self.env).current_dir(&self.dir);
        if self.is_unprivileged && fs::metadata(&self.dir).unwrap().uid() == 0 {
            own(&self.dir);
        }
        if self.is_unprivileged && is_nobodys(&self.dir) {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let ended = self.runtime.block_on(async {
            let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
            // A command that does not read its input closes the pipe.
            let _unread = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
            tokio::time::timeout(SOON, child.wait_with_output()).await
        });
        ended
            .unwrap_or_else(|_| panic!("`tickhost {}` did not end:\n{}", args.join(" "), self.record))
            .unwrap()
    }

    /// Both streams, with placeholders, and without what does not belong to the mistake.
    fn said(&self, output: &Output) -> String {
        let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let text = String::from_utf8(both).expect("commands say UTF-8 text");
        let mut kept = String::new();
        for line in text.lines().filter(|line| !is_aside(line)) {
            _ = writeln!(kept, "{}", self.masked(without_time(line)).trim_end());
        }
        kept.trim().to_owned()
    }

    fn masked(&self, text: &str) -> String {
        let text = self.masks.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        without_moments(&without_hashes(&text))
    }
}

/// What `check` found good, and its word on a calendar that changes with the day.
fn is_aside(line: &str) -> bool {
    line.starts_with("ok       ") || line.starts_with("warning  calendar of the exchanges (the built-in one)")
}

/// A line of a log without the moment in front.
fn without_time(line: &str) -> &str {
    let is_time = |word: &str| word.len() > 20 && word.ends_with('Z') && word.starts_with("20");
    match line.split_once(' ') {
        Some((first, rest)) if is_time(first) => rest.trim_start(),
        _ => line,
    }
}

/// Hashes differ from build to build.
fn without_hashes(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut word = String::new();
    for letter in text.chars().chain(std::iter::once('\n')) {
        if letter.is_ascii_hexdigit() {
            word.push(letter);
            continue;
        }
        masked.push_str(if word.len() == 64 { "HASH" } else { &word });
        word.clear();
        masked.push(letter);
    }
    masked.pop();
    masked
}

/// Dates with times of day, as lists show when something was changed, without those.
fn without_moments(text: &str) -> String {
    const FORM: &[u8] = b"0000-00-00 00:00:00";
    let mut rest = text;
    let mut masked = String::with_capacity(text.len());
    while let Some(letter) = rest.chars().next() {
        let is_moment = rest.len() >= FORM.len()
            && rest.bytes().zip(FORM).all(
                |(byte, form)| {
                    if *form == b'0' { byte.is_ascii_digit() } else { byte == *form }
                },
            );
        let (shown, taken) =
            if is_moment { ("YYYY-MM-DD HH:MM:SS", FORM.len()) } else { ("", letter.len_utf8()) };
        masked.push_str(if is_moment { shown } else { &rest[..taken] });
        rest = &rest[taken..];
    }
    masked
}

/// A line of the log as people read it.
fn line_of(line: &Value) -> String {
    let mut text =
        format!("{} {}", line["level"].as_str().unwrap(), line["fields"]["message"].as_str().unwrap());
    for (name, value) in line["fields"].as_object().unwrap().iter().filter(|(name, _)| *name != "message") {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        _ = write!(text, " {name}={value}");
    }
    text
}

/// An argument as a shell wants it.
fn quoted(arg: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,@".contains(letter);
    if !arg.is_empty() && arg.chars().all(is_plain) { arg.to_owned() } else { format!("'{arg}'") }
}

fn is_nobodys(path: &Path) -> bool {
    fs::metadata(path).unwrap().uid() == NOBODY
}

/// Gives a folder and what is in it to the user without rights, as if that user had made it.
fn own(path: &Path) {
    let meta = fs::symlink_metadata(path).unwrap();
    if meta.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| own(&entry.unwrap().path()));
    }
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
}

/// Longest time that the whole list may take, builds aside.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
