//! A data folder that several programs use, and files in it that others have touched.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
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

/// Fills a table with rows, then puts 8 KiB of zeros into the middle of the file, as a bad disk leaves them.
fn fill_and_damage(file: &Path, fill: &str) {
    let database = rusqlite::Connection::open(file).unwrap();
    for number in 0..200 {
        database.execute(fill, [format!("{number}{}", "x".repeat(900))]).unwrap();
    }
    // All of it in the file, and none in a journal.
    database.pragma_update(None, "journal_mode", "DELETE").unwrap();
    drop(database);
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() * 3 / 4;
    bytes[middle - 4_096..middle + 4_096].fill(0);
    fs::write(file, bytes).unwrap();
}

fn checked(builder: &HostBuilder) -> (Option<i32>, String) {
    let checked = builder.run(&["check"], "");
    (checked.status.code(), String::from_utf8_lossy(&checked.stdout).into_owned())
}

#[test]
fn a_check_finds_a_damaged_database() {
    let builder = HostBuilder::new();
    assert_ok(&builder.run(&["user", "add", "alice"], ""));
    assert_eq!(checked(&builder).0, Some(0));
    let file = builder.dir().join("data/tickhost.db");
    fill_and_damage(&file, "INSERT INTO api_keys (id, user, label, hash) VALUES (?1, 1, '', x'00')");
    let (code, said) = checked(&builder);
    assert_eq!(code, Some(1), "{said}");
    for needle in ["data/tickhost.db", "is damaged", "backup"] {
        assert!(said.contains(needle), "nothing about {needle} in: {said}");
    }
}

#[test]
fn a_check_finds_a_damaged_database_of_openalgo() {
    for (table, code, word) in [("api_keys", Some(1), "problem"), ("orders", Some(0), "warning")] {
        let builder = HostBuilder::new();
        let file = builder.dir().join("openalgo.db");
        let database = rusqlite::Connection::open(&file).unwrap();
        database
            .execute_batch(
                "CREATE TABLE api_keys (id INTEGER PRIMARY KEY, user_id TEXT, api_key_hash TEXT, note TEXT);
                 CREATE TABLE auth (name TEXT, auth TEXT, feed_token TEXT, broker TEXT, user_id TEXT, is_revoked BOOLEAN);
                 CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT);",
            )
            .unwrap();
        drop(database);
        let builder = builder
            .env("DATABASE_URL", format!("sqlite:///{}", file.display()))
            .env("API_KEY_PEPPER", "0123456789abcdef0123456789abcdef");
        assert_eq!(checked(&builder).0, Some(0), "{}", checked(&builder).1);
        fill_and_damage(&file, &format!("INSERT INTO {table} (note) VALUES (?1)"));
        let (exit, said) = checked(&builder);
        assert_eq!(exit, code, "{said}");
        let line = said.lines().find(|line| line.contains("is damaged")).unwrap_or_default();
        assert!(line.starts_with(word) && line.contains("openalgo.db"), "{said}");
    }
}
