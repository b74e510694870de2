mod keys;

use std::time::{Duration, Instant};

use super::{
    openalgo::{OpenAlgoSettings, path_of_url, vectors},
    *,
};

fn embedded() -> (tempfile::TempDir, Accounts) {
    let dir = tempfile::tempdir().unwrap();
    let accounts = Accounts::open_embedded(&dir.path().join("data")).unwrap();
    (dir, accounts)
}

fn credentials(pairs: &[(&str, &str)]) -> Credentials {
    let mut credentials = Credentials::default();
    pairs.iter().for_each(|(name, value)| credentials.set(name, *value));
    credentials
}

#[tokio::test]
async fn a_key_opens_its_users_account_until_it_is_revoked() {
    let (_dir, accounts) = embedded();
    let store = accounts.store().unwrap();
    store.create_user("alice").unwrap();
    let key = store.create_key("alice", "laptop").unwrap();
    let verified = accounts.verify_key(&key, Caller::HOST).await.unwrap();
    assert_eq!((verified.user.as_str(), verified.account), ("alice", None));
    store.set_account("alice", "sim", &credentials(&[])).unwrap();
    let account = accounts.verify_key(&key, Caller::HOST).await.unwrap().account.unwrap();
    assert_eq!(&*account.broker, "sim");
    assert_eq!(accounts.check_keys(vec![verified.key.clone()]).await.unwrap(), [true]);
    let rotated = store.rotate_key(verified.key.as_str()).unwrap();
    assert!(matches!(accounts.verify_key(&key, Caller::HOST).await, Err(VerifyError::Revoked)));
    assert_eq!(accounts.check_keys(vec![verified.key]).await.unwrap(), [false]);
    assert!(accounts.verify_key(&rotated, Caller::HOST).await.is_ok());
}

#[tokio::test]
async fn wrong_keys_are_all_alike() {
    let (_dir, accounts) = embedded();
    accounts.store().unwrap().create_user("alice").unwrap();
    let key = accounts.store().unwrap().create_key("alice", "").unwrap();
    let key = secrecy::ExposeSecret::expose_secret(&key).to_owned();
    let (head, _) = key.rsplit_once('_').unwrap();
    for wrong in ["", "th", "th_x", "nonsense", &format!("{head}_{}", "0".repeat(64)), &format!("{key}0")] {
        let outcome = accounts.verify_key(&SecretString::from(wrong), Caller::HOST).await;
        assert!(matches!(outcome, Err(VerifyError::Unknown)), "{wrong}: {outcome:?}");
    }
}

#[tokio::test]
async fn credentials_are_sealed_and_bound_to_their_row() {
    let (dir, accounts) = embedded();
    let store = accounts.store().unwrap();
    store.create_user("alice").unwrap();
    store.set_account("alice", "zerodha", &credentials(&[("auth_token", "canary-4711")])).unwrap();
    let account = accounts.current_account(&"alice".into()).await.unwrap().unwrap();
    let read = accounts.credentials(&account).await.unwrap();
    assert_eq!(read.get("auth_token"), Some("canary-4711"));
    assert_eq!(read.to_json().expose_secret(), r#"{"auth_token":"canary-4711"}"#);
    assert_eq!(format!("{read:?} {accounts:?} {account:?}").matches("canary").count(), 0);
    assert_eq!(store.accounts().unwrap()[0].credentials, ["auth_token"]);
    for file in std::fs::read_dir(dir.path().join("data")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
    }
    // Another master key cannot read them, and says so.
    drop(accounts);
    std::fs::remove_file(dir.path().join("data/master.key")).unwrap();
    let accounts = Accounts::open_embedded(&dir.path().join("data")).unwrap();
    let said = accounts.credentials(&account).await.unwrap_err().to_string();
    assert!(said.contains("alice at zerodha") && said.contains("master.key"), "{said}");
}

#[tokio::test]
async fn another_process_is_noticed_within_a_second() {
    let (dir, accounts) = embedded();
    let mut changes = accounts.changes();
    let other = Accounts::open_embedded(&dir.path().join("data")).unwrap();
    changes.borrow_and_update();
    let changed = Instant::now();
    other.store().unwrap().create_user("bob").unwrap();
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    assert!(changed.elapsed() < Duration::from_secs(1), "{:?}", changed.elapsed());
}

#[tokio::test]
async fn one_account_serves_a_user_at_a_time() {
    let (_dir, accounts) = embedded();
    let store = accounts.store().unwrap();
    store.create_user("alice").unwrap();
    store.set_account("alice", "sim", &credentials(&[])).unwrap();
    store.set_account("alice", "bus", &credentials(&[])).unwrap();
    let broker =
        async || accounts.current_account(&"alice".into()).await.unwrap().map(|account| account.broker);
    assert_eq!(broker().await.as_deref(), Some("bus"));
    store.activate_account("alice", "sim").unwrap();
    assert_eq!(broker().await.as_deref(), Some("sim"));
    assert!(store.activate_account("alice", "nowhere").is_err());
    assert_eq!(broker().await.as_deref(), Some("sim"));
    store.delete_user("alice").unwrap();
    assert_eq!(broker().await, None);
}

#[test]
fn mistakes_are_refused_with_a_sentence() {
    let (_dir, accounts) = embedded();
    let store = accounts.store().unwrap();
    store.create_user("alice").unwrap();
    let said = |outcome: Result<(), AccountsError>| outcome.unwrap_err().to_string();
    assert_eq!(said(store.create_user("alice")), "there is a user alice already");
    assert!(said(store.create_user("no name")).contains("is no user name"));
    assert!(said(store.create_key("bob", "").map(drop)).contains("tickhost user add bob"));
    assert!(said(store.revoke_key("x")).contains("tickhost key list"));
    assert!(said(store.remove_account("alice", "sim")).contains("tickhost account list"));
}

#[cfg(unix)]
#[test]
fn files_that_others_can_read_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, accounts) = embedded();
    drop(accounts);
    let data = dir.path().join("data");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&data), mode(&data.join("tickhost.db")), mode(&data.join("master.key"))),
        (0o700, 0o600, 0o600)
    );
    std::fs::set_permissions(data.join("master.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = Accounts::open_embedded(&data).unwrap_err().to_string();
    assert!(said.contains("chmod 600"), "{said}");
}

#[test]
fn a_file_that_is_no_database_is_named() {
    let (dir, accounts) = embedded();
    drop(accounts);
    let file = dir.path().join("data/tickhost.db");
    std::fs::write(&file, vec![b'x'; 8_192]).unwrap();
    let said = Accounts::open_embedded(&dir.path().join("data")).unwrap_err().to_string();
    assert!(said.contains("tickhost.db") && said.contains("it is no database"), "{said}");
}

#[test]
fn a_database_of_a_newer_host_is_refused_and_left_as_it_is() {
    let (dir, accounts) = embedded();
    drop(accounts);
    let data = dir.path().join("data");
    let layout = |change: &str| {
        let connection = rusqlite::Connection::open(data.join("tickhost.db")).unwrap();
        connection.execute_batch(change).unwrap();
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    layout("PRAGMA user_version = 99");
    let said = Accounts::open_embedded(&data).unwrap_err().to_string();
    assert!(said.contains("a newer tickhost has written it (layout 99"), "{said}");
    assert_eq!(look::look_at_embedded(&data).unwrap_err().to_string(), said);
    assert_eq!(layout(""), 99);
}

#[test]
fn a_look_finds_what_cannot_be_decrypted_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    assert!(look::look_at_embedded(&dir.path().join("nowhere")).unwrap().is_empty());
    let (dir, accounts) = embedded();
    let data = dir.path().join("data");
    let store = accounts.store().unwrap();
    store.create_user("alice").unwrap();
    store.set_account("alice", "zerodha", &credentials(&[("auth_token", "canary")])).unwrap();
    // While a host runs, what it wrote last is in its journal.
    assert!(look::look_at_embedded(&data).unwrap().is_empty());
    drop(accounts);
    let files = || {
        let mut names: Vec<_> =
            std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    // Who watches for changes may hold the database for a moment longer.
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_open = || files().iter().any(|name| name.to_string_lossy().ends_with("-wal"));
    while is_open() {
        assert!(Instant::now() < deadline, "the database is closed in time");
        std::thread::yield_now();
    }
    let before = files();
    assert!(look::look_at_embedded(&data).unwrap().is_empty());
    std::fs::remove_file(data.join("master.key")).unwrap();
    let doubts = look::look_at_embedded(&data).unwrap();
    assert!(doubts.len() == 1 && doubts[0].contains("alice at zerodha"), "{doubts:?}");
    assert_eq!(files().len(), before.len() - 1);
}

// ---- OpenAlgo ----

/// A database as OpenAlgo writes it, an older one without the trailing columns.
fn openalgo(salt: Option<&str>, token: &str) -> (tempfile::TempDir, Accounts, rusqlite::Connection) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("openalgo.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE api_keys (id INTEGER PRIMARY KEY, user_id TEXT UNIQUE, api_key_hash TEXT,
                                    api_key_encrypted TEXT, created_at TEXT, order_mode TEXT);
             CREATE TABLE auth (id INTEGER PRIMARY KEY, name VARCHAR UNIQUE, auth TEXT, feed_token TEXT,
                                broker VARCHAR(20), user_id VARCHAR, is_revoked BOOLEAN);",
        )
        .unwrap();
    connection
        .execute("INSERT INTO api_keys (user_id, api_key_hash) VALUES ('alice', ?1)", [vectors::HASH])
        .unwrap();
    connection
        .execute(
            "INSERT INTO auth (name, auth, feed_token, broker, user_id, is_revoked)
             VALUES ('alice', ?1, '', 'zerodha', 'AB1234', 0)",
            [token],
        )
        .unwrap();
    let accounts = Accounts::open_openalgo(OpenAlgoSettings {
        path,
        pepper: SecretString::from(vectors::PEPPER),
        fernet_salt: salt.map(SecretString::from),
        broker_keys: vec![("api_key", SecretString::from("kitekey"))],
    })
    .unwrap();
    (dir, accounts, connection)
}

#[tokio::test]
async fn the_vectors_of_both_salts_decrypt() {
    for (salt, token) in [
        (Some(vectors::SALT), vectors::SALTED_TOKEN),
        (None, vectors::LEGACY_TOKEN),
        (Some("change-me-to-something-that-is-not-hex"), vectors::LEGACY_TOKEN),
    ] {
        let (_dir, accounts, _) = openalgo(salt, token);
        let account = accounts.current_account(&"alice".into()).await.unwrap().unwrap();
        let credentials = accounts.credentials(&account).await.unwrap();
        assert_eq!(credentials.get("auth_token"), Some(vectors::PLAIN));
        assert_eq!((credentials.get("user_id"), credentials.get("feed_token")), (Some("AB1234"), None));
        assert_eq!(credentials.get("api_key"), Some("kitekey"));
    }
}

#[tokio::test]
async fn a_token_under_another_pepper_is_no_token() {
    let (_dir, accounts, _) = openalgo(None, vectors::SALTED_TOKEN);
    let account = accounts.current_account(&"alice".into()).await.unwrap().unwrap();
    assert_eq!(accounts.credentials(&account).await.unwrap().get("auth_token"), None);
}

#[test]
fn a_pepper_that_opens_no_token_is_doubted() {
    let doubts = |token: &str| {
        let (dir, _accounts, _connection) = openalgo(None, token);
        Accounts::look_at_openalgo(OpenAlgoSettings {
            path: dir.path().join("openalgo.db"),
            pepper: SecretString::from(vectors::PEPPER),
            fernet_salt: None,
            broker_keys: Vec::new(),
        })
        .unwrap()
    };
    assert!(doubts(vectors::LEGACY_TOKEN).is_empty() && doubts("pending").is_empty());
    let said = doubts(vectors::SALTED_TOKEN).join("\n");
    assert!(said.contains("FERNET_SALT") && !said.contains(vectors::PEPPER), "{said}");
}

#[tokio::test]
async fn the_key_of_the_vector_opens_and_others_do_not() {
    let (_dir, accounts, connection) = openalgo(None, vectors::LEGACY_TOKEN);
    let key = SecretString::from(vectors::KEY);
    let verified = accounts.verify_key(&key, Caller::HOST).await.unwrap();
    assert_eq!(verified.user.as_str(), "alice");
    assert_eq!(&*verified.account.unwrap().broker, "zerodha");
    let wrong = SecretString::from("testkey-0123456789abcdee");
    for _ in 0..3 {
        assert!(matches!(accounts.verify_key(&wrong, Caller::HOST).await, Err(VerifyError::Unknown)));
    }
    // A revoked account is none, although the key is remembered, as soon as the change is noticed.
    let mut changes = accounts.changes();
    changes.borrow_and_update();
    connection.execute("UPDATE auth SET is_revoked = 1", []).unwrap();
    changes.changed().await.unwrap();
    assert_eq!(accounts.verify_key(&key, Caller::HOST).await.unwrap().account, None);
    connection.execute("DELETE FROM api_keys", []).unwrap();
    assert_eq!(accounts.check_keys(vec![verified.key]).await.unwrap(), [false]);
    changes.changed().await.unwrap();
    assert!(matches!(accounts.verify_key(&key, Caller::HOST).await, Err(VerifyError::Unknown)));
}

#[test]
fn the_database_is_never_written_and_managed_elsewhere() {
    let (_dir, accounts, _) = openalgo(None, vectors::LEGACY_TOKEN);
    assert!(accounts.store().unwrap_err().to_string().contains("DATABASE_URL"));
}

#[test]
fn database_urls_are_those_of_sqlalchemy() {
    let dir = Path::new("/srv");
    assert_eq!(path_of_url("sqlite:///db/openalgo.db", dir), Some("/srv/db/openalgo.db".into()));
    assert_eq!(path_of_url("sqlite:////var/db/openalgo.db", dir), Some("/var/db/openalgo.db".into()));
    assert_eq!(path_of_url("postgresql://x", dir), None);
}
