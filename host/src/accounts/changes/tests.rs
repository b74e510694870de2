use std::sync::atomic::AtomicU32;

use rusqlite::Connection;

use super::{super::database::Ownership, *};

/// A database that counts how often somebody looks at it.
struct Counted {
    database: Database,
    looks: AtomicU32,
}

impl Watched for Counted {
    fn database(&self) -> &Database {
        self.looks.fetch_add(1, Ordering::Relaxed);
        &self.database
    }

    fn outdated(&self) {}
}

#[test]
fn who_is_woken_looks_at_once_and_not_more_often_than_it_should() {
    let dir = tempfile::tempdir().unwrap();
    let blocking = Blocking::of_command();
    let open = |path: &std::path::Path| Ok(Connection::open(path).unwrap());
    let database = Database::open(&dir.path().join("some.db"), open, Ownership::Other, &blocking).unwrap();
    let counted = Arc::new(Counted { database, looks: AtomicU32::new(0) });
    let changes = watch("counted", &counted, &blocking);
    let (begun, first) = (Instant::now(), counted.looks.load(Ordering::Relaxed));
    while counted.looks.load(Ordering::Relaxed) < first + 10 {
        changes.look_now();
        thread::yield_now();
    }
    let took = begun.elapsed();
    // The first of them may have been due.
    assert!(took >= SHORTEST_INTERVAL * 8 && took < INTERVAL * 8, "{took:?}");
}
