//! What is wrong with the host's own database, found without changing it: for `tickhost check`.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{
    AccountsError,
    damage::{self, Looked},
    database::database_error,
    secrets::Vault,
    store::{DATABASE_FILE, require_known_layout, row_of},
};
use crate::base::private::require_private;

/// Looks at the database in `data_dir`, if there is one. Gives what works and needs attention, a sentence
/// each.
///
/// # Errors
/// Why the host would not start with it.
pub fn look_at_embedded(data_dir: &Path) -> Result<Vec<String>, AccountsError> {
    let path = data_dir.join(DATABASE_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    require_private(&path)?;
    let vault = Vault::read(data_dir)?;
    let failed = |error: rusqlite::Error| database_error(&path.display(), &error);
    let connection = open_unchanged(&path).map_err(failed)?;
    if require_known_layout(&path.display(), &connection)? == 0 {
        return Ok(Vec::new());
    }
    let unfinished = match damage::look(&connection, None).map_err(failed)? {
        Looked::Whole => None,
        Looked::Unfinished => Some(damage::unfinished(&path.display())),
        Looked::Damaged(what) => {
            let reason = damage::reason(&what);
            return Err(AccountsError::Database { path: path.display().to_string(), reason });
        }
    };
    let accounts: Vec<(String, String, Vec<u8>)> = connection
        .prepare(
            "SELECT u.name, a.broker, a.credentials FROM accounts a JOIN users u ON u.id = a.user ORDER BY u.name, a.broker",
        )
        .and_then(|mut statement| {
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        })
        .map_err(failed)?;
    let is_sealed_otherwise = |(user, broker, sealed): &&(String, String, Vec<u8>)| {
        vault.as_ref().and_then(|vault| vault.unseal(sealed, &row_of(user, broker))).is_none()
    };
    let undecryptable = accounts.iter().filter(is_sealed_otherwise);
    Ok(undecryptable
        .map(|(user, broker, _)| {
            format!("{}: {}", path.display(), AccountsError::undecryptable(user, broker))
        })
        .chain(unfinished)
        .collect())
}

/// Opens it so that nothing is left beside it. A host that runs, or did not end in order, has left its
/// journal there, which has to be read too.
fn open_unchanged(path: &Path) -> rusqlite::Result<Connection> {
    let journal = path.with_extension("db-wal");
    if journal.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        return Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    }
    let mut escaped = String::new();
    for letter in path.display().to_string().chars() {
        match letter {
            '%' => escaped.push_str("%25"),
            '?' => escaped.push_str("%3f"),
            '#' => escaped.push_str("%23"),
            letter => escaped.push(letter),
        }
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)
}
