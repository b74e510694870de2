//! `tickhost adapters new` and `adapters dev`, as somebody uses them who has the program and Rust, and no
//! checkout.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use adapter_conformance::as_by_hand;
use integration_tests::{
    HostBuilder,
    process::{Process, adapters_of},
};
use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for a build, on a machine with other things to do.
const BUILT: Duration = Duration::from_mins(15);

/// Longest wait for everything else.
const SOON: Duration = Duration::from_mins(1);

/// What is built, in the folder where the workspace is built, so that what both need is there already; with
/// the packages that were fetched for the workspace.
fn built_here(command: &mut Command) -> &mut Command {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().find(|dir| dir.ends_with("debug") || dir.ends_with("release")).unwrap();
    command
        .env("CARGO_TARGET_DIR", target.parent().unwrap())
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
}

/// A new adapter in a folder of the test.
fn new(host: &HostBuilder, name: &str) -> PathBuf {
    let into = host.dir().join("work");
    let made = host.run(&["adapters", "new", name, "--into", into.to_str().unwrap()], "");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    into.join(format!("adapter-{name}"))
}

#[test]
fn a_new_adapter_is_built_and_passes_the_suite_without_a_checkout() {
    let host = HostBuilder::new();
    let folder = new(&host, "fresh");
    for file in [
        "Cargo.lock",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        ".github/workflows/ci.yml",
        "vendor/tickhost/README.md",
    ] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let mut cargo = Command::new(env!("CARGO"));
    as_by_hand(&mut cargo).args(["test", "--locked", "--offline"]).current_dir(&folder);
    let tested = built_here(&mut cargo).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&tested.stdout), String::from_utf8_lossy(&tested.stderr));
    assert!(tested.status.success(), "{said}");
    assert!(said.contains("test every_case_passes_that_has_a_meaning_for_this_broker ... ok"), "{said}");
    let formatted =
        Command::new(env!("CARGO")).args(["fmt", "--check"]).current_dir(&folder).output().unwrap();
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stdout));
}

/// `tickhost adapters dev` in a process, with what it prints. Dropping it ends it.
struct Dev {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Dev {
    fn start(host: &HostBuilder, folder: &Path) -> Self {
        let mut command = host.command(&["adapters", "dev", folder.to_str().unwrap(), "--no-test"]);
        let command =
            built_here(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line that is new and has all of these in it.
    fn wait_for(&mut self, wanted: &[&str], limit: Duration) -> String {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("waited {limit:?} for {wanted:?}; it said:\n{}", self.said.join("\n"));
            };
            self.said.push(line.clone());
            if wanted.iter().all(|wanted| line.contains(wanted)) {
                return line;
            }
        }
    }

    /// Waits for a line of each of these, in any order: what goes to the two outputs is not ordered.
    fn wait_for_each(&mut self, wanted: &[&str], limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut left = wanted.to_vec();
        while !left.is_empty() {
            let line = self.wait_for(&[], deadline.saturating_duration_since(Instant::now()));
            left.retain(|wanted| !line.contains(wanted));
        }
    }

    /// Waits for a tick that arrives from now on.
    fn wait_for_tick(&mut self, price: &str) {
        self.said.extend(self.lines.try_iter());
        self.wait_for(&["NSE:SBIN", price], SOON);
    }
}

fn forward(output: impl Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
}

impl Drop for Dev {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Saves a file as an editor does, with something else in it.
fn save(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text.matches(from).count(), 1, "`{from}` must be there once");
    let fresh = file.with_extension("rs.saved");
    fs::write(&fresh, text.replace(from, to)).unwrap();
    fs::rename(fresh, file).unwrap();
}

#[test]
fn a_save_is_on_screen_a_broken_one_leaves_the_last_build_and_an_interrupt_ends_all() {
    let host = HostBuilder::new();
    let folder = new(&host, "saved");
    let decode = folder.join("src/decode.rs");
    let mut dev = Dev::start(&host, &folder);
    let loaded = dev.wait_for(&["== loaded into a host at "], BUILT);
    let address: SocketAddr = loaded.rsplit(' ').next().unwrap().parse().unwrap();
    // The first instrument of the profile costs about 1,000 at its venue, in paise.
    dev.wait_for_tick("ltp 1000.");

    // Prices in tenths of paise: what is on screen can only come from the new build.
    save(&decode, "const DECIMALS: u32 = 2;", "const DECIMALS: u32 = 3;");
    dev.wait_for(&["Loaded saved"], BUILT);
    dev.wait_for_tick("ltp 100.0");

    save(&decode, "const DECIMALS: u32 = 3;", "const DECIMALS: u32 = ;");
    dev.wait_for_each(
        &["error: expected expression", "== does not build", "== the build before it goes on"],
        BUILT,
    );
    dev.wait_for_tick("ltp 100.0");

    save(&decode, "const DECIMALS: u32 = ;", "const DECIMALS: u32 = 2;");
    dev.wait_for(&["Loaded saved"], BUILT);
    dev.wait_for_tick("ltp 1000.");

    let children = adapters_of(dev.child.id());
    assert!(!children.is_empty(), "the adapter has a process of its own");
    kill_process(Pid::from_child(&dev.child), Signal::INT).unwrap();
    let deadline = Instant::now() + SOON;
    let status = loop {
        if let Some(status) = dev.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::park_timeout(Duration::from_millis(10));
    };
    assert!(status.success(), "{status}");
    assert!(TcpStream::connect(address).is_err(), "the host still listens");
    while children.iter().any(Process::is_alive) {
        assert!(Instant::now() < deadline, "left behind: {children:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}
