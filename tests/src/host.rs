//! The daemon as a child process.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read as _},
    net::SocketAddr,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{SOON, binary, http, secrets::Secrets};

/// `plugins.toml` of most tests: the bus, and the synthetic exchange as it comes, both at all hours.
pub const PLUGINS: &str = r#"
[bus]
brokers = ["bus"]
calendar = "always"

[[adapter]]
name = "sim"
library = "adapter_sim"
calendar = "always"

[adapter.config]
seed = 42
rate_hz = 20.0
"#;

/// What is to be started.
#[derive(Debug)]
pub struct HostBuilder {
    plugins: String,
    env: BTreeMap<String, String>,
    descriptors: Option<u32>,
    dir: TempDir,
}

/// A running daemon. Dropping it kills it.
#[derive(Debug)]
pub struct Host {
    child: Child,
    dir: TempDir,
    env: BTreeMap<String, String>,
    secrets: Secrets,
    log: Arc<Log>,
    /// Where clients connect.
    pub websocket: SocketAddr,
    /// Where the operator looks.
    pub admin: SocketAddr,
    /// Where publishers connect.
    pub bus: SocketAddr,
}

#[derive(Debug, Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Default for HostBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl HostBuilder {
    /// A daemon on free ports with its own data directory.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("data");
        let env = [
            ("WEBSOCKET_PORT", "0"),
            ("ZMQ_PORT", "0"),
            ("TICKHOST_ADMIN_PORT", "0"),
            ("TICKHOST_LOG_FORMAT", "json"),
            ("TICKHOST_LOG", "info"),
            ("TICKHOST_SHARDS", "2"),
        ];
        let mut env: BTreeMap<String, String> = env.map(|(name, value)| (name.into(), value.into())).into();
        env.insert("TICKHOST_DATA_DIR".into(), data.display().to_string());
        Self { plugins: PLUGINS.to_owned(), env, descriptors: None, dir }
    }

    /// Another `plugins.toml`.
    #[must_use]
    pub fn plugins(mut self, text: &str) -> Self {
        text.clone_into(&mut self.plugins);
        self
    }

    /// Settings of the synthetic exchange beside its seed, as lines of TOML.
    #[must_use]
    pub fn sim(mut self, config: &str) -> Self {
        self.plugins = format!("{}\n{config}\n", PLUGINS.replace("rate_hz = 20.0\n", ""));
        self
    }

    /// A setting from the environment.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a number at the call reads better than a borrowed one"
    )]
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.insert(name.into(), value.to_string());
        self
    }

    /// The most files and sockets that the daemon, and commands before it starts, may have open. They cannot
    /// raise it.
    #[must_use]
    pub fn descriptors(mut self, limit: u32) -> Self {
        self.descriptors = Some(limit);
        self
    }

    /// The directory of this test, which ends with it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str], input: &str) -> Output {
        self.write_plugins();
        run_to_end(self.limited(command(&self.env, args)), input)
    }

    /// As [`Self::run`], with the `plugins.toml` that is there.
    pub fn run_as_is(&self, args: &[&str], input: &str) -> Output {
        run(&self.env, args, input)
    }

    /// A command with the settings of this test, to be run by the test with the `plugins.toml` that is there.
    pub fn command(&self, args: &[&str]) -> Command {
        command(&self.env, args)
    }

    /// The program.
    pub fn program(&self) -> PathBuf {
        binary::tickhost()
    }

    /// Starts the daemon as a user without rights, and its commands with it. Where the test has no right to
    /// do that, its own user has none either, and is who runs it. None where that user cannot reach the
    /// program.
    pub fn start_as_nobody(self) -> Option<Host> {
        const NOBODY: u32 = 65_534;
        if std::os::unix::fs::chown(self.dir.path(), Some(NOBODY), None).is_ok() {
            let program = binary::tickhost();
            let is_open = |dir: &Path| dir.metadata().is_ok_and(|dir| dir.permissions().mode() & 0o1 != 0);
            if !program.ancestors().all(is_open) {
                #[expect(clippy::print_stderr, reason = "shown with the test")]
                {
                    eprintln!("SKIPPED: nobody cannot reach {}", program.display());
                }
                return None;
            }
        }
        Some(self.start())
    }

    /// Starts the daemon and waits until it serves.
    pub fn start(self) -> Host {
        self.write_plugins();
        let mut child = self
            .limited(command(&self.env, &["run"]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("tickhost starts");
        let log = Arc::<Log>::default();
        let streams: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("standard output")),
            Box::new(child.stderr.take().expect("standard error")),
        ];
        for stream in streams {
            let log = Arc::clone(&log);
            std::thread::spawn(move || log.follow(stream));
        }
        let ready = log.wait_for(&mut child, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["fields"]["message"] == "Serving").then(|| line["fields"].clone())
        });
        let address = |name: &str| {
            ready[name]
                .as_str()
                .and_then(|text| text.parse().ok())
                .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
        };
        Host {
            websocket: address("websocket"),
            admin: address("admin"),
            bus: address("bus"),
            child,
            dir: self.dir,
            env: self.env,
            secrets: Secrets::default(),
            log,
        }
    }

    fn limited(&self, command: Command) -> Command {
        match self.descriptors {
            Some(limit) => within(limit, &command),
            None => command,
        }
    }

    fn write_plugins(&self) {
        std::fs::write(self.dir.path().join("plugins.toml"), &self.plugins).expect("plugins.toml is written");
    }

    /// Where `plugins.toml` will be.
    pub fn plugins_path(&self) -> PathBuf {
        self.dir.path().join("plugins.toml")
    }
}

impl Host {
    /// A daemon as a newcomer has it, on free ports.
    pub fn start() -> Self {
        HostBuilder::new().start()
    }

    /// The key that the first run made.
    pub fn key(&self) -> String {
        let path = self.data_dir().join("demo.key");
        std::fs::read_to_string(path).expect("the first run left a key").trim().to_owned()
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The directory of this test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs another command of the same binary with the same settings, to its end.
    pub fn run(&self, args: &[&str], input: &str) -> Output {
        self.secrets.note(args, input);
        run(&self.env, args, input)
    }

    /// Another command of the same binary with the same settings, to be run by the test.
    pub fn command(&self, args: &[&str]) -> Command {
        command(&self.env, args)
    }

    /// Runs a command that writes the database, and asserts that it succeeds. It gives up after five seconds
    /// and asks for another try; while other tests build, the disk makes the host's own write last that long.
    fn run_again_while_busy(&self, args: &[&str], input: &str) -> Output {
        let deadline = Instant::now() + SOON;
        loop {
            let output = self.run(args, input);
            let is_busy = String::from_utf8_lossy(&output.stderr).contains("another program has held it");
            if !is_busy || Instant::now() >= deadline {
                assert_ok(&output);
                return output;
            }
        }
    }

    /// Makes a user with an account at `broker`, and gives the key.
    pub fn add_user(&self, user: &str, broker: &str) -> String {
        self.run_again_while_busy(&["user", "add", user], "");
        self.run_again_while_busy(&["account", "set", user, broker], "{}");
        let created = self.run_again_while_busy(&["key", "create", user], "");
        let key = String::from_utf8_lossy(&created.stdout).lines().last().expect("a key").trim().to_owned();
        self.secrets.add(&key);
        key
    }

    /// The answer of the operator's port.
    pub async fn get(&self, path: &str) -> http::Response {
        http::get(self.admin, path).await
    }

    /// The status page.
    pub async fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").await.body).expect("status is JSON")
    }

    /// Sum of a metric over its labels; 0 when it does not appear.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.body;
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Everything that the daemon printed so far.
    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().join("\n")
    }

    /// Resident memory in bytes.
    pub fn memory_bytes(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap_or_default();
        let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
        pages * 4_096
    }

    /// Process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the daemon still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("the child is ours").is_none()
    }

    /// Kills the daemon, so that it can say goodbye to nobody, and waits for its end.
    pub fn kill(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }

    /// Asks the daemon to read its settings again, as a service manager does, and waits until it has. Gives
    /// the fields of what it then says.
    pub async fn reload(&self) -> Value {
        let count = || self.messages("Reloaded").len();
        let before = count();
        self.signal(libc::SIGHUP);
        crate::wait_until("the daemon has reloaded", || async { count() > before }).await;
        self.messages("Reloaded").swap_remove(before)
    }

    /// The fields of every line of the log with this message.
    pub fn messages(&self, message: &str) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.map(|line| line["fields"].clone()).filter(|fields| fields["message"] == message).collect()
    }

    fn signal(&self, signal: libc::c_int) {
        let pid = i32::try_from(self.child.id()).expect("a process number");
        #[expect(unsafe_code, reason = "the standard library cannot send signals")]
        // SAFETY: the process is a child that was not waited for, so the number is its own.
        let sent = unsafe { libc::kill(pid, signal) };
        assert_eq!(sent, 0, "the signal is sent");
    }

    /// Asks the daemon to stop, as a service manager does, and waits for its end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "the daemon does not stop:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if !std::thread::panicking() {
            self.secrets.add_those_of(&self.data_dir());
            self.secrets.assert_absent(&self.log());
            return;
        }
        {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            #[expect(clippy::print_stderr, reason = "shown with the failed test")]
            {
                eprintln!("--- the daemon's last words ---\n{}", tail.join("\n"));
            }
        }
    }
}

impl Log {
    fn follow(&self, stream: impl std::io::Read) {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            self.lines.lock().unwrap().push(line);
            self.grown.notify_all();
        }
    }

    fn wait_for<T>(&self, child: &mut Child, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        let mut lines = self.lines.lock().unwrap();
        loop {
            if let Some(found) = lines.iter().find_map(|line| find(line)) {
                return found;
            }
            let has_ended = child.try_wait().expect("the child is ours").is_some();
            assert!(
                !has_ended && Instant::now() < deadline,
                "the daemon does not serve:\n{}",
                lines.join("\n")
            );
            lines = self.grown.wait_timeout(lines, Duration::from_millis(100)).unwrap().0;
        }
    }
}

/// Asserts that a command succeeded, and shows what it said if not.
pub fn assert_ok(output: &Output) {
    assert!(
        output.status.success(),
        "{}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A command, run by the owner of the test's directory, who is another than the test's for
/// [`HostBuilder::start_as_nobody`].
fn command(env: &BTreeMap<String, String>, args: &[&str]) -> Command {
    let mut command = Command::new(binary::tickhost());
    let owner = Path::new(&env["TICKHOST_DATA_DIR"]).parent().and_then(|dir| dir.metadata().ok());
    let own = std::fs::metadata("/proc/self").ok();
    if let (Some(owner), Some(own)) = (owner, own)
        && owner.uid() != own.uid()
    {
        command.uid(owner.uid()).gid(owner.uid());
    }
    command.args(args).env_clear();
    for kept in ["PATH", "HOME", "SYSTEMROOT", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    let plugins =
        Path::new(&env["TICKHOST_DATA_DIR"]).parent().expect("the test's directory").join("plugins.toml");
    command.env("TICKHOST_PLUGINS", plugins).envs(env);
    command
}

/// The same command, with this limit of open files.
fn within(descriptors: u32, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited
}

fn run(env: &BTreeMap<String, String>, args: &[&str], input: &str) -> Output {
    run_to_end(command(env, args), input)
}

fn run_to_end(mut command: Command, input: &str) -> Output {
    use std::io::Write as _;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tickhost starts");
    // A command that does not read its input closes the pipe.
    let _unread = child.stdin.take().expect("standard input").write_all(input.as_bytes());
    let mut stdout = child.stdout.take().expect("standard output");
    let mut stderr = child.stderr.take().expect("standard error");
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _end = stderr.read_to_end(&mut text);
        text
    });
    let mut out = Vec::new();
    let _end = stdout.read_to_end(&mut out);
    let status = child.wait().expect("the child is ours");
    Output { status, stdout: out, stderr: reader.join().expect("the reader ends") }
}
