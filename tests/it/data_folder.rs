//! A data folder that several programs use, and files in it that others have touched.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Stdio},
};

use integration_tests::{Host, HostBuilder, host::assert_ok, wait_until};

/// Starts a command whose end is waited for elsewhere.
fn begin(mut command: Command) -> std::process::Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a program said that ends by itself; one that goes on is killed.
async fn end_of(mut child: std::process::Child) -> std::process::Output {
    let deadline = std::time::Instant::now() + integration_tests::SOON;
    while child.try_wait().unwrap().is_none() && std::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // It may have ended by itself.
    let _ended = child.kill();
    child.wait_with_output().unwrap()
}

#[test]
fn programs_that_open_a_new_data_folder_at_once_all_succeed() {
    for _ in 0..6 {
        let builder = HostBuilder::new();
        let started: Vec<_> =
            (0..5).map(|number| begin(builder.command(&["user", "add", &format!("user{number}")]))).collect();
        for child in started {
            assert_ok(&child.wait_with_output().unwrap());
        }
        let listed = builder.run(&["user", "list", "--json"], "");
        let users: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(users.len(), 5);
        // They agree on the key of the database: what one seals the next can read.
        assert_ok(&builder.run(&["account", "set", "user0", "sim"], "{\"pin\":\"1\"}"));
        let checked = builder.run(&["check"], "");
        assert!(!String::from_utf8_lossy(&checked.stdout).contains("master.key"), "{checked:?}");
    }
}

#[tokio::test]
async fn a_second_host_on_a_data_folder_is_refused_and_the_first_serves_on() {
    let mut host = Host::start();
    let second = end_of(begin(host.command(&["run"]))).await;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{said}");
    for needle in ["TICKHOST_DATA_DIR", "another host", &format!("process {}", host.pid()), "of its own"] {
        assert!(said.contains(needle), "nothing about {needle} in: {said}");
    }
    assert_ok(&host.run(&["alive"], ""));
    assert_eq!(host.get("/livez").await.status, 200);

    // The kernel gives the lock back, however the host ended.
    host.kill();
    let mut next = begin(host.command(&["run"]));
    wait_until("the next host answers", || async { host.run(&["alive"], "").status.success() }).await;
    next.kill().unwrap();
    next.wait().unwrap();
}

#[tokio::test]
async fn a_key_file_that_was_there_does_not_keep_a_mode_that_others_can_read() {
    let builder = HostBuilder::new();
    let data = builder.dir().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("demo.key"), "").unwrap();
    fs::set_permissions(data.join("demo.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let host = builder.start();
    let mode = fs::metadata(data.join("demo.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(host.key().starts_with("th_"));
}

#[tokio::test]
async fn empty_files_are_taken_for_absent_ones() {
    let builder = HostBuilder::new();
    let data = builder.dir().join("data");
    fs::create_dir(&data).unwrap();
    // As a full disk, or a program that was killed between making and writing, leaves them.
    for name in ["master.key", "console.token", "tickhost.db", "demo.key", "console.key"] {
        fs::write(data.join(name), "").unwrap();
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_ok(&builder.run(&["check"], ""));
    let host = builder.start();
    assert!(host.key().starts_with("th_"));
    assert_ok(&host.run(&["console"], ""));
}

/// Zeros in the middle of a file, as a bad disk leaves them.
fn damage(file: &std::path::Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle - 4_096..middle + 4_096].fill(0);
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_check_finds_a_damaged_database() {
    let builder = HostBuilder::new();
    for number in 0..60 {
        let store = rusqlite::Connection::open(builder.dir().join("data/tickhost.db"));
        if number == 0 {
            assert_ok(&builder.run(&["user", "add", "alice"], ""));
            continue;
        }
        let store = store.unwrap();
        let name = format!("user{number}{}", "x".repeat(900));
        store.execute("INSERT INTO users (name) VALUES (?1)", [name]).unwrap();
    }
    assert_ok(&builder.run(&["check"], ""));
    damage(&builder.dir().join("data/tickhost.db"));
    let checked = builder.run(&["check"], "");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    for needle in ["data/tickhost.db", "is damaged", "backup"] {
        assert!(said.contains(needle), "nothing about {needle} in: {said}");
    }
}
