//! Damage inside of a database: what a bad disk or a program that wrote over it has left. `SQLite` itself
//! meets it only when it reads the very page.

use std::{sync::mpsc, thread, time::Duration};

use rusqlite::{Connection, ErrorCode};

/// Longest look. Of a database that others write, a look keeps them waiting.
const LONGEST: Duration = Duration::from_secs(2);

/// What a look has found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// No damage.
    Whole,
    /// Damage; what `SQLite` says of the first.
    Damaged(String),
    /// None so far, and no time for more.
    Unfinished,
}

/// Looks through a database, or one table of it with its indices, for 2 s at most.
///
/// # Errors
/// When it cannot be read for another reason than damage.
pub(super) fn look(connection: &Connection, table: Option<&str>) -> rusqlite::Result<Looked> {
    let (done, over) = mpsc::channel::<()>();
    let interrupt = connection.get_interrupt_handle();
    let found: rusqlite::Result<String> = thread::scope(|scope| {
        scope.spawn(move || {
            if over.recv_timeout(LONGEST) == Err(mpsc::RecvTimeoutError::Timeout) {
                interrupt.interrupt();
            }
        });
        let argument = table.map_or_else(|| "1".to_owned(), |table| format!("'{table}'"));
        let found =
            connection.query_row(&format!("PRAGMA integrity_check({argument})"), [], |row| row.get(0));
        drop(done);
        found
    });
    match found {
        Ok(said) if said == "ok" => Ok(Looked::Whole),
        Ok(said) => Ok(Looked::Damaged(said.split_whitespace().collect::<Vec<_>>().join(" "))),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Ok(Looked::Unfinished),
            Some(ErrorCode::DatabaseCorrupt) => Ok(Looked::Damaged(error.to_string())),
            _ => Err(error),
        },
    }
}

/// What to say of damage.
pub(super) fn reason(what: &str) -> String {
    format!("it is damaged ({what}); restore it from a backup")
}

/// What to say of a look that did not come to its end.
pub(super) fn unfinished(path: &dyn std::fmt::Display) -> String {
    format!(
        "the database {path} is too large to be looked through for damage in {} s; sqlite3 can, with PRAGMA integrity_check",
        LONGEST.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_found_in_the_table_that_has_it_and_what_takes_too_long_is_left_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE early (text); CREATE TABLE late (text);
                 WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 200)
                 INSERT INTO late SELECT hex(zeroblob(400)) || n FROM n;",
            )
            .unwrap();
        assert_eq!(look(&connection, None).unwrap(), Looked::Whole);
        drop(connection);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() * 3 / 4;
        bytes[middle - 4_096..middle + 4_096].fill(0);
        std::fs::write(&path, bytes).unwrap();
        let connection = Connection::open(&path).unwrap();
        assert!(matches!(look(&connection, None).unwrap(), Looked::Damaged(_)));
        assert!(matches!(look(&connection, Some("late")).unwrap(), Looked::Damaged(_)));
        assert_eq!(look(&connection, Some("early")).unwrap(), Looked::Whole);
    }
}
