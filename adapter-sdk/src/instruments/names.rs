//! The names of everything that an adapter can subscribe, in a file where the host finds them: its console
//! searches them.

use std::{
    env, fs,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

/// Name of the file, in the adapter's folder of the cache directory.
const FILE: &str = "names.txt";

/// Writes the names, given as exchange and symbol, one `EXCHANGE:SYMBOL` a line, to `names.txt` in the folder
/// of `adapter` below `TICKHOST_CACHE_DIR`, in the place of those written before. Names that hold a control
/// character are left out. Does nothing where a host has set no such directory. `Master` calls it for the
/// lists that it keeps.
///
/// # Errors
/// When the file cannot be written. Nothing but the search of the console depends on it.
pub fn publish_names<'a>(
    adapter: &str,
    names: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> io::Result<()> {
    match env::var_os("TICKHOST_CACHE_DIR").filter(|value| !value.is_empty()) {
        Some(directory) => write_names(&PathBuf::from(directory).join(adapter), names),
        None => Ok(()),
    }
}

/// Whether names were written at this time or later. Where no host wants any that is so.
#[cfg(feature = "net")]
pub(super) fn has_names_since(adapter: &str, since: std::time::SystemTime) -> bool {
    let Some(directory) = env::var_os("TICKHOST_CACHE_DIR").filter(|value| !value.is_empty()) else {
        return true;
    };
    let written = fs::metadata(PathBuf::from(directory).join(adapter).join(FILE));
    written.and_then(|file| file.modified()).is_ok_and(|written| written >= since)
}

pub(super) fn write_names<'a>(
    folder: &Path,
    names: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // Several connections of one account may do this at the same time, in processes of their own.
    let aside = folder.join(format!("{FILE}.{}", std::process::id()));
    let mut out = BufWriter::new(fs::File::create(&aside)?);
    for (exchange, symbol) in names {
        if !exchange.contains(char::is_control) && !symbol.contains(char::is_control) {
            writeln!(out, "{exchange}:{symbol}")?;
        }
    }
    let written = out.into_inner().map(drop).map_err(io::IntoInnerError::into_error);
    let kept = written.and_then(|()| fs::rename(&aside, folder.join(FILE)));
    if kept.is_err() {
        // It only takes space.
        _ = fs::remove_file(&aside);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_names_stand_in_the_file_alone() {
        let folder = env::temp_dir().join(format!("names-{}", std::process::id()));
        write_names(&folder, [("NSE", "OLD")]).unwrap();
        write_names(&folder, [("NSE", "SBIN"), ("NSE", "A\nNSE:B"), ("CRYPTO", "BTC_INR")]).unwrap();
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let text = fs::read_to_string(folder.join(FILE)).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((files, text.as_str()), (vec![FILE.into()], "NSE:SBIN\nCRYPTO:BTC_INR\n"));
    }
}
