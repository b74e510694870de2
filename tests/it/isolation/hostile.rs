//! A library that means harm, in a process of its own: what it tries, and what it gains.
#![cfg(target_os = "linux")]

use std::{fmt::Write as _, path::Path};

use integration_tests::{Client, Host, HostBuilder, host::assert_ok, process, wait_until};
use serde_json::{Value, json};

/// A part of the sibling's credential, which the library looks for.
const SECRET: &str = "sibling-secret-5f1c";

/// Attacks on the memory and the descriptors of other processes.
const ATTACKS_ON_PROCESSES: [&str; 8] = [
    "read_host_memory",
    "read_sibling_credential",
    "peek_sibling",
    "trace_host",
    "trace_sibling",
    "take_descriptor",
    "forge_through_pipe",
    "read_environment",
];

/// The others that need another process as their victim, or a file, or a call that no broker's adapter has a
/// use for.
const OTHER_ATTACKS: [&str; 31] = [
    "list_processes",
    "read_key_file",
    "read_database",
    "list_data",
    "read_settings",
    "write_beside_cache",
    "write_temporary",
    "write_library",
    "link_out_of_cache",
    "hide_a_file",
    "open_terminal",
    "stop_host",
    "stop_host_by_descriptor",
    "stop_host_by_socket",
    "stop_host_by_group",
    "stop_host_by_old_call",
    "stop_sibling",
    "limit_host",
    "slow_host",
    "start_program",
    "leave_a_child",
    "outlive_the_host",
    "new_namespace",
    "queue_of_calls",
    "shared_memory",
    "uncounted_memory",
    "watch_files",
    "keyring",
    "unix_socket",
    "raw_socket",
    "listen",
];

/// `plugins.toml`: a sibling with a credential, and the hostile library with these lines in its entry and its
/// settings.
fn plugins(more: &str, attacks: &[&str], config: &str) -> String {
    let mut text =
        "[bus]\nbrokers = [\"bus\"]\n\n[[adapter]]\nname = \"sibling\"\nlibrary = \"adapter_faulty\"\n\
                    calendar = \"always\"\n"
            .to_owned();
    _ = write!(
        text,
        "\n[[adapter]]\nname = \"hostile\"\nlibrary = \"adapter_hostile\"\ncalendar = \"always\"\n{more}\n\
         [adapter.config]\nattacks = {attacks:?}\n{config}\n"
    );
    text
}

/// A client of the sibling, whose adapter runs and has its credential.
async fn sibling(host: &Host) -> (Client, process::Process) {
    let key = host.add_user("victim", "sibling");
    let credentials = json!({"access_token": format!("{SECRET}-{}", host.pid())}).to_string();
    assert_ok(&host.run(&["account", "set", "victim", "sibling"], &credentials));
    let mut client = Client::login(host.websocket, &key).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    let process = process::adapters_of(host.pid()).into_iter().next().expect("the sibling's process");
    (client, process)
}

/// A client of the hostile library, which has tried its attacks when this returns.
async fn attacker(host: &Host, sibling: u32) -> Client {
    let key = host.add_user("mallory", "hostile");
    let credentials = json!({"host": host.pid().to_string(), "sibling": sibling.to_string()}).to_string();
    assert_ok(&host.run(&["account", "set", "mallory", "hostile"], &credentials));
    let mut client = Client::login(host.websocket, &key).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    client
}

/// What became of each attack: its name, and what it gained, if anything.
fn attempts(host: &Host) -> Vec<(String, Option<String>)> {
    let log = host.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_attacks = lines
        .map(|line| line["fields"].clone())
        .filter(|fields| fields["message"].as_str().is_some_and(|message| message.starts_with("An attack")));
    of_attacks
        .map(|fields| {
            let told: Value =
                serde_json::from_str(fields["fields"].as_str().unwrap_or("{}")).unwrap_or_default();
            let gained = told["gained"].as_str().map(str::to_owned);
            (told["attack"].as_str().unwrap_or_default().to_owned(), gained)
        })
        .collect()
}

/// Waits until every attack was tried, and gives those that gained something.
async fn successes(host: &Host, attacks: &[&str]) -> Vec<String> {
    wait_until("every attack was tried", || async { attempts(host).len() >= attacks.len() }).await;
    let tried = attempts(host);
    for attack in attacks {
        assert!(tried.iter().any(|(name, _)| name == attack), "{attack} was not tried: {tried:?}");
    }
    tried.into_iter().filter_map(|(name, gained)| gained.map(|gained| format!("{name}: {gained}"))).collect()
}

#[tokio::test]
async fn a_hostile_library_gains_nothing_from_the_host_and_its_siblings() {
    let attacks = [&ATTACKS_ON_PROCESSES[..], &OTHER_ATTACKS].concat();
    let host = HostBuilder::new().plugins(&plugins("", &attacks, "")).start();
    let (mut client, process) = sibling(&host).await;
    let mut hostile = attacker(&host, process.pid).await;
    let gained = successes(&host, &attacks).await;
    assert!(gained.is_empty(), "gained: {gained:#?}");
    // Nobody was harmed, and the library is served as every other.
    client.tick().await;
    hostile.tick().await;
    assert!(process.is_alive());
}

#[tokio::test]
async fn a_step_of_logging_in_is_as_confined_as_a_connection() {
    let attacks = [
        "list_processes",
        "list_data",
        "read_key_file",
        "write_temporary",
        "stop_host",
        "start_program",
        "unix_socket",
        "listen",
        "resolve",
    ];
    let host = HostBuilder::new().plugins(&plugins("", &attacks, "")).start();
    host.add_user("mallory", "hostile");
    let output = host.run(&["account", "login", "mallory", "hostile"], "");
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    // What an honest adapter does is possible there, and nothing else.
    assert!(said.contains("gained: resolve."), "{said}");
}

#[tokio::test]
async fn what_an_adapter_may_start_ends_with_it_in_whatever_session_it_is() {
    let attacks = [
        "start_program",
        "leave_a_child",
        "leave_a_grandchild",
        "stop_host",
        "stop_sibling",
        "trace_sibling",
    ];
    let host = HostBuilder::new().plugins(&plugins("allow = [\"processes\"]", &attacks, "")).start();
    let (_client, process) = sibling(&host).await;
    let mut client = attacker(&host, process.pid).await;
    let gained = successes(&host, &attacks).await;
    assert_eq!(
        gained,
        ["start_program: a program", "leave_a_child: a child", "leave_a_grandchild: a grandchild"]
    );
    wait_until("its children run", || async { !left_behind(&host).is_empty() }).await;
    let adapters = process::adapters_of(host.pid());
    let hostile = adapters.iter().find(|process| process.arguments.ends_with("hostile")).expect("it runs");
    kill(hostile.pid);
    wait_until("another process serves", || async {
        process::adapters_of(host.pid())
            .iter()
            .any(|process| process.arguments.ends_with("hostile") && process.pid != hostile.pid)
    })
    .await;
    client.tick().await;
    // The new one has children of its own: those of the old one are gone when there are no more than one
    // would leave.
    wait_until("those of the old one are gone", || async { left_behind(&host).len() <= 2 }).await;
    let mut host = host;
    assert!(host.terminate().await.success());
    wait_until("nothing is left", || async { left_behind(&host).is_empty() }).await;
}

/// Processes that the library has left, of this host's.
fn left_behind(host: &Host) -> Vec<u32> {
    process::started_in(&host.data_dir().join("cache/hostile"))
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_cache_folder_holds_no_more_than_it_may() {
    let host = HostBuilder::new().plugins(&plugins("cache_mb = 8", &["long_file", "fill_cache"], "")).start();
    let key = host.add_user("mallory", "hostile");
    let cache = host.data_dir().join("cache/hostile");
    let mut client = Client::login_for_feed_status(host.websocket, &key).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    let words = "held more than 8 MiB, and was emptied";
    client.find(|message| message["message"].as_str().is_some_and(|text| text.contains(words))).await;
    // One file is bounded by the kernel, before anybody looks.
    let tried = attempts(&host);
    let long = tried.iter().find(|(name, _)| name == "long_file").expect("it was tried");
    assert_eq!(long.1, None);
    assert!(host.log().contains("File too large"));
    wait_until("it is emptied", || async { bytes_in(&cache) <= 8 * 1_024 * 1_024 || !cache.exists() }).await;
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

#[tokio::test]
async fn an_adapter_reaches_the_ports_that_it_may_and_no_others() {
    let listen = || std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port_of = |listener: &std::net::TcpListener| listener.local_addr().unwrap().port();
    let (open, shut) = (listen(), listen());
    for (port, is_reached) in [(port_of(&open), true), (port_of(&shut), false)] {
        let more = format!("ports = [{}]", port_of(&open));
        let host =
            HostBuilder::new().plugins(&plugins(&more, &["connect"], &format!("port = {port}"))).start();
        let _client = attacker(&host, 0).await;
        assert_eq!(successes(&host, &["connect"]).await.len(), usize::from(is_reached));
    }
}

#[tokio::test]
async fn every_thread_is_locked_in_and_no_descriptor_of_the_host_is_open() {
    let host = HostBuilder::new().plugins(&plugins("confine = \"required\"", &["resolve"], "")).start();
    let (_client, process) = sibling(&host).await;
    let _hostile = attacker(&host, process.pid).await;
    assert_eq!(successes(&host, &["resolve"]).await.len(), 1, "names are found in the cage");
    for process in process::adapters_of(host.pid()) {
        let statuses = process.statuses_of_threads();
        assert!(statuses.len() > 3, "{statuses:?}");
        for status in &statuses {
            for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "CapEff:\t0000000000000000"] {
                assert!(status.contains(line), "{line} is missing in {status}");
            }
        }
        let sockets = process.descriptors();
        let of_host = |name: &&String| name.contains("tickhost.db") || name.contains("master.key");
        assert_eq!(sockets.iter().find(of_host), None, "{sockets:?}");
    }
}

/// What holds on a kernel without Landlock and seccomp, for a host that is not root's: a process of the same
/// user reads neither memory nor descriptors of the others.
#[tokio::test]
async fn without_any_cage_the_memory_of_others_is_still_theirs() {
    let text = plugins("confine = \"off\"", &ATTACKS_ON_PROCESSES, "");
    let Some(host) = HostBuilder::new()
        .plugins(&text.replacen("calendar", "confine = \"off\"\ncalendar", 1))
        .start_as_nobody()
    else {
        return;
    };
    let (mut client, process) = sibling(&host).await;
    let _hostile = attacker(&host, process.pid).await;
    let gained = successes(&host, &ATTACKS_ON_PROCESSES).await;
    assert!(gained.is_empty(), "gained: {gained:#?}");
    client.tick().await;
}

/// What a unit of systemd with `Accept=yes` and `StandardInput=socket` does, for as long as the test runs.
fn stand_in_for_systemd(
    socket: &Path,
    program: std::path::PathBuf,
    cache: std::path::PathBuf,
    user: Option<u32>,
) {
    use std::os::{fd::OwnedFd, unix::process::CommandExt as _};

    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let streams = [stream.as_ref().unwrap().try_clone().unwrap(), stream.unwrap()];
            let [input, output] = streams.map(|stream| std::process::Stdio::from(OwnedFd::from(stream)));
            let mut command = std::process::Command::new(&program);
            command.args(["run-adapter", "hostile"]).env_clear().env("TICKHOST_CACHE_DIR", &cache);
            command.stdin(input).stdout(output);
            if let Some(user) = user {
                command.uid(user).gid(user);
            }
            let mut child = command.spawn().unwrap();
            std::thread::spawn(move || child.wait());
        }
    });
}

#[tokio::test]
async fn an_adapter_may_be_a_process_of_another_user() {
    let attacks = ["read_host_memory", "stop_host", "stop_sibling", "read_key_file", "unix_socket"];
    let (cache, builder) = (tempfile::tempdir().unwrap(), HostBuilder::new());
    let socket = builder.dir().join("hostile.sock");
    // A test without the right to start other users' processes tries the way alone.
    let other = 65_533;
    let user = std::os::unix::fs::chown(cache.path(), Some(other), None).is_ok().then_some(other);
    stand_in_for_systemd(&socket, builder.program(), cache.path().to_owned(), user);
    // Not confined, so that it is the user that makes the difference.
    let confine = if user.is_some() { "off" } else { "auto" };
    let more = format!("socket = {socket:?}\nconfine = \"{confine}\"");
    let host = builder.plugins(&plugins(&more, &attacks, "")).start();
    let (mut victim, process) = sibling(&host).await;
    let mut client = attacker(&host, process.pid).await;
    let gained = successes(&host, &attacks).await;
    // The user of its own does not keep it from local sockets.
    let expected = if user.is_some() { vec!["unix_socket: a local socket"] } else { Vec::new() };
    assert_eq!(gained, expected);
    assert_eq!(process::adapters_of(host.pid()).len(), 1, "the host started the sibling alone");
    victim.tick().await;
    client.tick().await;
    // It ends with its connection: the host goes, and so does it.
    let mut host = host;
    assert!(host.terminate().await.success());
    let own = std::process::id();
    wait_until("it is gone", || async {
        process::adapters_of(own).iter().all(|one| !one.arguments.ends_with("hostile"))
    })
    .await;
}
