//! A key that can be handed out. The host keeps only hashes of keys, so this is one that stands in a private
//! file of the data folder because somebody put it there: the operator, or the first run.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{accounts::AccountsError, base::private::read_private};

/// Files that may hold it, the first that exists counts: the operator's choice, then that of the first run.
pub const KEY_FILES: [&str; 2] = ["console.key", "demo.key"];

/// What a page that asks for a key gets.
#[derive(Clone, Debug)]
pub enum KeptKey {
    /// A key that is valid at this moment.
    Found(SecretString),
    /// There is no file with one.
    None,
    /// There is one, and it cannot be used: why, and what to do.
    Unusable(String),
}

/// The key in a file of the data folder, and the name of the file; none when there is no such file, or it is
/// empty.
///
/// # Errors
/// When the file cannot be read, or others can read it.
pub fn read_kept_key(data_dir: &Path) -> Result<Option<(&'static str, SecretString)>, AccountsError> {
    for name in KEY_FILES {
        if let Some(text) = read_private(&data_dir.join(name))? {
            return Ok(Some((name, text.expose_secret().trim().into())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {

    use std::fs;

    use super::*;
    use crate::base::private::write_private;

    #[test]
    fn the_operators_choice_goes_before_that_of_the_first_run() {
        let data_dir = tempfile::tempdir().unwrap();
        assert!(read_kept_key(data_dir.path()).unwrap().is_none());
        for (file, key) in [("demo.key", "th_demo"), ("console.key", "th_mine")] {
            write_private(&data_dir.path().join(file), format!("{key}\n").as_bytes()).unwrap();
            let (name, found) = read_kept_key(data_dir.path()).unwrap().unwrap();
            assert_eq!((name, found.expose_secret()), (file, key));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let data_dir = tempfile::tempdir().unwrap();
        let path = data_dir.path().join("console.key");
        fs::write(&path, "th_mine").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        let error = read_kept_key(data_dir.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && !error.contains("th_mine"), "{error}");
    }
}
