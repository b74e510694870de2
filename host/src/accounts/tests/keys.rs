//! Many clients, wrong keys and locked databases, with real hashes that cost little.

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use futures_util::future::join_all;

use super::*;

/// A database with these users, each with the key `key-of-USER`, which is there as a hash alone.
fn with_users(users: &[String]) -> (tempfile::TempDir, Accounts, rusqlite::Connection) {
    let (dir, accounts, connection) = openalgo(None, "pending");
    connection.execute("DELETE FROM api_keys", []).unwrap();
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
    for user in users {
        let peppered = format!("key-of-{user}{}", vectors::PEPPER);
        let hash = cheap.hash_password_with_salt(peppered.as_bytes(), b"0123456789abcdef").unwrap();
        connection
            .execute(
                "INSERT INTO api_keys (user_id, api_key_hash) VALUES (?1, ?2)",
                [user, &hash.to_string()],
            )
            .unwrap();
    }
    (dir, accounts, connection)
}

/// Stores the key of each user encrypted too, as OpenAlgo does.
fn encrypt_keys(connection: &rusqlite::Connection, users: &[String]) {
    let fernet = openalgo::fernet_of(&SecretString::from(vectors::PEPPER), None);
    for user in users {
        let encrypted = fernet.encrypt(format!("key-of-{user}").as_bytes());
        connection
            .execute("UPDATE api_keys SET api_key_encrypted = ?1 WHERE user_id = ?2", [&encrypted, user])
            .unwrap();
    }
}

fn users(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user{number}")).collect()
}

async fn verify(accounts: &Accounts, key: String) -> Result<Verified, VerifyError> {
    accounts.verify_key(&SecretString::from(key), Caller::HOST).await
}

#[tokio::test]
async fn a_thousand_clients_of_twenty_users_get_in_after_a_restart() {
    let users = users(20);
    let (_dir, accounts, _connection) = with_users(&users);
    let clients = (0..1_000).map(|number| {
        let (accounts, user) = (accounts.clone(), users[number % users.len()].clone());
        async move { (verify(&accounts, format!("key-of-{user}")).await, user) }
    });
    for (verified, user) in join_all(clients).await {
        assert_eq!(verified.unwrap().user.as_str(), user);
    }
    let counters = accounts.counters();
    let without_check = counters.joined.get() + counters.remembered.get();
    assert_eq!((counters.checked.get(), without_check, counters.sent_away.get()), (20, 980, 0));
}

#[tokio::test]
async fn a_locked_database_holds_up_no_known_key_and_no_thread_that_serves() {
    let (_dir, accounts, connection) = with_users(&users(2));
    assert!(verify(&accounts, "key-of-user0".to_owned()).await.is_ok());
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    // This runtime has one thread: what waited on it would hold up everything below.
    let waiting = tokio::spawn({
        let accounts = accounts.clone();
        async move { verify(&accounts, "key-of-user1".to_owned()).await }
    });
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
        assert!(verify(&accounts, "key-of-user0".to_owned()).await.is_ok());
    }
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(!waiting.is_finished());
    connection.execute_batch("COMMIT").unwrap();
    assert!(waiting.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_lock_is_no_change_and_a_change_costs_no_hash() {
    let (_dir, accounts, connection) = with_users(&users(1));
    assert!(verify(&accounts, "key-of-user0".to_owned()).await.is_ok());
    let mut changes = accounts.changes();
    changes.borrow_and_update();
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(600), changes.changed()).await.is_err());
    connection.execute_batch("UPDATE auth SET broker = 'other', name = 'user0'; COMMIT").unwrap();
    changes.changed().await.unwrap();
    let verified = verify(&accounts, "key-of-user0".to_owned()).await.unwrap();
    assert_eq!(verified.account.as_ref().map(|account| &*account.broker), Some("other"));
    assert!(accounts.is_current(&verified));
    assert_eq!(accounts.counters().checked.get(), 1);
    // A key that was replaced is checked again, and is wrong.
    changes.borrow_and_update();
    connection.execute("UPDATE api_keys SET api_key_hash = 'another'", []).unwrap();
    changes.changed().await.unwrap();
    assert!(!accounts.is_current(&verified));
    assert!(matches!(verify(&accounts, "key-of-user0".to_owned()).await, Err(VerifyError::Unknown)));
    assert_eq!(accounts.counters().checked.get(), 2);
}

#[tokio::test]
async fn wrong_keys_are_checked_once_and_against_no_hash_whose_key_is_known() {
    let (_dir, accounts, _connection) = with_users(&users(3));
    for _ in 0..5 {
        assert!(matches!(verify(&accounts, "wrong".to_owned()).await, Err(VerifyError::Unknown)));
    }
    assert_eq!(accounts.counters().checked.get(), 1);
    assert_eq!(accounts.counters().wrong.get(), 5);
    // A key that comes into being is not refused for what it was before.
    let (_dir, accounts, connection) = with_users(&[]);
    assert!(verify(&accounts, "key-of-late".to_owned()).await.is_err());
    let mut changes = accounts.changes();
    changes.borrow_and_update();
    let (_other, _, from) = with_users(&["late".to_owned()]);
    let hash: String = from.query_row("SELECT api_key_hash FROM api_keys", [], |row| row.get(0)).unwrap();
    connection.execute("INSERT INTO api_keys (user_id, api_key_hash) VALUES ('late', ?1)", [hash]).unwrap();
    changes.changed().await.unwrap();
    assert!(verify(&accounts, "key-of-late".to_owned()).await.is_ok());
}

#[tokio::test]
async fn a_key_that_is_stored_encrypted_costs_one_hash_and_a_wrong_one_none() {
    let users = users(20);
    let (_dir, accounts, connection) = with_users(&users);
    encrypt_keys(&connection, &users);
    let hashes = || accounts.counters().hashes.get();
    for number in 0..100 {
        let wrong = verify(&accounts, format!("wrong-{number}")).await;
        assert!(matches!(wrong, Err(VerifyError::Unknown)), "{wrong:?}");
    }
    assert_eq!(hashes(), 0);
    let last = users.last().unwrap();
    assert_eq!(verify(&accounts, format!("key-of-{last}")).await.unwrap().user.as_str(), last);
    assert_eq!(hashes(), 1);
    // The encrypted key opens nothing by itself: the hash has to be its own.
    connection
        .execute("UPDATE api_keys SET api_key_hash = ?1 WHERE user_id = 'user0'", [vectors::HASH])
        .unwrap();
    let forged = verify(&accounts, "key-of-user0".to_owned()).await;
    assert!(matches!(forged, Err(VerifyError::Unknown)), "{forged:?}");
    // Where it cannot be read, the hashes decide.
    connection.execute("UPDATE api_keys SET api_key_encrypted = 'under another salt'", []).unwrap();
    assert_eq!(verify(&accounts, "key-of-user1".to_owned()).await.unwrap().user.as_str(), "user1");
}

#[cfg(unix)]
#[tokio::test]
async fn another_file_in_the_place_of_the_database_is_opened() {
    let (dir, accounts) = embedded();
    let store = accounts.store().unwrap();
    store.create_user("alice").unwrap();
    let gone = store.create_key("alice", "").unwrap();
    let (other_dir, other) = embedded();
    other.store().unwrap().create_user("bob").unwrap();
    let key = other.store().unwrap().create_key("bob", "").unwrap();
    drop(other);
    let mut changes = accounts.changes();
    let known = accounts.verify_key(&gone, Caller::HOST).await.unwrap();
    changes.borrow_and_update();
    let path = dir.path().join("data/tickhost.db");
    std::fs::rename(other_dir.path().join("data/tickhost.db"), &path).unwrap();
    let bob = async {
        while accounts.verify_key(&key, Caller::HOST).await.is_err() {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(5), bob).await.unwrap();
    assert!(!accounts.is_current(&known));
    assert!(matches!(accounts.verify_key(&gone, Caller::HOST).await, Err(VerifyError::Unknown)));
    // What another program writes there counts from now on.
    let revoking = Accounts::open_embedded(&dir.path().join("data")).unwrap();
    let verified = accounts.verify_key(&key, Caller::HOST).await.unwrap();
    revoking.store().unwrap().revoke_key(verified.key.as_str()).unwrap();
    assert_eq!(accounts.check_keys(vec![verified.key]).await.unwrap(), [false]);
    changes.changed().await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_cannot_be_opened_is_no_news_and_forgets_nobody() {
    let (dir, accounts, connection) = with_users(&users(1));
    let known = verify(&accounts, "key-of-user0".to_owned()).await.unwrap();
    drop(connection);
    let path = dir.path().join("openalgo.db");
    let aside = dir.path().join("aside.db");
    let mut changes = accounts.changes();
    changes.borrow_and_update();
    std::fs::rename(&path, &aside).unwrap();
    std::fs::write(&path, "no database").unwrap();
    // What is new there cannot be known.
    let broken = async {
        for number in 0.. {
            let unknown = verify(&accounts, format!("wrong-{number}")).await;
            if matches!(unknown, Err(VerifyError::Storage(_))) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), broken).await.unwrap();
    assert!(accounts.is_current(&known) && !changes.has_changed().unwrap());
    assert!(verify(&accounts, "key-of-user0".to_owned()).await.is_ok());
    assert!(accounts.check_keys(vec![known.key.clone()]).await.is_err());
    std::fs::rename(&aside, &path).unwrap();
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    assert_eq!(accounts.check_keys(vec![known.key]).await.unwrap(), [true]);
}

#[tokio::test]
async fn what_could_not_be_read_after_a_change_is_news_again() {
    let (_dir, accounts, connection) = with_users(&users(1));
    let known = verify(&accounts, "key-of-user0".to_owned()).await.unwrap();
    let mut changes = accounts.changes();
    changes.borrow_and_update();
    connection.execute("DELETE FROM api_keys", []).unwrap();
    changes.changed().await.unwrap();
    // Another program is quicker than the look at the keys.
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let failed = accounts.check_keys(vec![known.key.clone()]).await;
    assert!(failed.is_err_and(|error| error.to_string().contains("another program has held it")));
    connection.execute_batch("COMMIT").unwrap();
    tokio::time::timeout(Duration::from_secs(5), changes.changed()).await.unwrap().unwrap();
    assert_eq!(accounts.check_keys(vec![known.key]).await.unwrap(), [false]);
}

#[tokio::test]
async fn identities_that_the_own_database_does_not_know_take_no_place() {
    let (_dir, accounts) = embedded();
    let store = accounts.store().unwrap();
    store.create_user("alice").unwrap();
    let key = store.create_key("alice", "").unwrap();
    let flood = (0..2_000).map(|number| verify(&accounts, format!("th_{number:08x}_{}", "0".repeat(64))));
    let (flood, good) = tokio::join!(join_all(flood), accounts.verify_key(&key, Caller::HOST));
    assert!(good.is_ok());
    assert!(flood.iter().all(|outcome| matches!(outcome, Err(VerifyError::Unknown))));
    assert_eq!((accounts.counters().checked.get(), accounts.counters().sent_away.get()), (0, 0));
}
