//! Where a mistake is made: a folder of its own, the real program in it, and a record of what was done and
//! said.

mod mask;
mod running;

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
    sync::Arc,
};

use integration_tests::{Host, HostBuilder, SOON};
use rusqlite::Connection;
use tokio::{io::AsyncWriteExt as _, runtime::Runtime};

use self::mask::{is_aside, quoted, without_hashes, without_moments, without_time};

/// A user without rights, for tests that root runs: nothing is forbidden to root.
const NOBODY: u32 = 65_534;

/// Settings that the harness chooses, so that hosts do not meet.
const PORTS: [(&str, &str); 3] =
    [("WEBSOCKET_PORT", "websocket_port"), ("TICKHOST_ADMIN_PORT", "admin_port"), ("ZMQ_PORT", "zmq_port")];

/// What stands for a secret in every case that has one. No answer may show it.
pub(super) const SECRET: &str = "hunter2-hunter2-hunter2-hunter2-hunter2";

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
    host: Option<Arc<Host>>,
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

/// A host that is as it should be, for all cases that are the fault of a client.
pub(super) struct Shared {
    host: Arc<Host>,
    /// Key of a user at the synthetic exchange.
    pub(super) key: String,
}

impl Shared {
    /// Starts it.
    pub(super) fn start() -> Self {
        let host = Host::start();
        let key = host.add_user("alice", "sim");
        Self { host: Arc::new(host), key }
    }
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

    fn config(&self) -> String {
        let path = self.path("tickhost.toml");
        if path.exists() { path.display().to_string() } else { String::new() }
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
            for (variable, _) in PORTS.iter().filter(|(_, key)| settings.contains(*key)) {
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
        assert!(!text.contains(SECRET), "a secret is shown:\n{text}");
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

/// Whether commands can be those of a user without rights, who can run the program and may not open low
/// ports.
pub(super) fn can_be_nobody() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let from = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    let is_root = fs::metadata(dir.path()).unwrap().uid() == 0;
    let program = integration_tests::sim_library().with_file_name("tickhost");
    let mut asked = Command::new(program);
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if is_root {
        asked.uid(NOBODY).gid(NOBODY);
    }
    from.trim() == "1024" && asked.status().is_ok_and(|status| status.success())
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
