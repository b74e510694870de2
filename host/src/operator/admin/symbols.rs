//! Symbols that adapters can subscribe, by a part of their names. Adapters leave the names of everything that
//! they know in `names.txt`, in their folder of what they take for the cache directory, which is the one that
//! the host gives each of them in its own; the SDK does it for them. Adapters within the host leave it
//! directly in a folder of the host's.
//!
//! The files are read when somebody searches, line by line, so that the host holds none of it. Who wrote them
//! is not trusted: links are not followed, and nothing but a file is opened. Bounds: [`MAX_FOLDERS`],
//! [`MAX_FILE_BYTES`], [`MOST`].

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use serde::Serialize;

/// Name of the file in the folder of an adapter.
const FILE: &str = "names.txt";

/// Folders that are looked into, and in each of them.
const MAX_FOLDERS: usize = 64;

/// What is read of one file: 32 MiB are more than a million names.
const MAX_FILE_BYTES: u64 = 32 * 1_024 * 1_024;

/// Longest name that is taken, in bytes: clients can subscribe to none that is longer.
const MAX_NAME_BYTES: usize = 192;

/// Symbols that are given.
const MOST: usize = 20;

/// Longest text that is searched for, in bytes; of a longer one the beginning counts.
const MAX_TEXT_BYTES: usize = 128;

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Whether any adapter has left names at all.
    pub listed: bool,
    /// The best of them, best first.
    pub symbols: Vec<Symbol>,
}

/// A symbol that an adapter knows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Symbol {
    /// Exchange code.
    pub exchange: String,
    /// Symbol.
    pub symbol: String,
    /// Folder of the adapter that has it; of several, one.
    pub adapter: String,
}

/// Searches the names below this cache directory: those that are `text`, begin with it or hold it, in this
/// order, and shorter ones first. `EXCHANGE:` before the text takes only those of exchanges that begin so.
/// Blocks.
pub fn find_symbols(cache_dir: &Path, text: &str) -> Found {
    crate::base::blocking::may_wait();
    let wanted = Wanted::parse(text);
    let (mut found, mut best) = (Found::default(), Best::default());
    for (adapter, path) in lists(cache_dir) {
        let Some(file) = open(&path) else { continue };
        found.listed = true;
        // A line that is no text ends the file: the rest is not to be trusted.
        for line in BufReader::new(file.take(MAX_FILE_BYTES)).lines().map_while(Result::ok) {
            let name = line.split_once(':').filter(|_| line.len() <= MAX_NAME_BYTES);
            let Some((exchange, symbol)) = name else { continue };
            if let Some(rank) = wanted.rank(exchange, symbol) {
                best.add(rank, exchange, symbol, &adapter);
            }
        }
    }
    found.symbols = best.0.into_iter().map(|(_, symbol)| symbol).collect();
    found
}

/// The lists of adapters, with their names, in the order of these.
fn lists(cache_dir: &Path) -> Vec<(String, PathBuf)> {
    let mut lists = Vec::new();
    for (adapter, folder) in folders_in(cache_dir) {
        let below = folders_in(&folder).into_iter().map(|(_, folder)| folder.join(FILE));
        let below: Vec<PathBuf> = below.filter(|file| file.exists()).collect();
        // One beside newer ones below is of a host that gave all adapters one folder.
        let files = if below.is_empty() { vec![folder.join(FILE)] } else { below };
        lists.extend(files.into_iter().map(|file| (adapter.clone(), file)));
    }
    lists
}

fn folders_in(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let named = folders.map(|folder| (folder.file_name().to_string_lossy().into_owned(), folder.path()));
    let mut folders: Vec<_> = named.take(MAX_FOLDERS).collect();
    folders.sort();
    folders
}

/// Opens what is a file, and neither a link nor anything on which an open waits.
fn open(path: &Path) -> Option<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    options.open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))
}

/// Lower is better: how well it fits, then its length.
type Rank = (u8, usize);

#[derive(Debug)]
struct Wanted {
    exchange: Option<String>,
    symbol: String,
}

impl Wanted {
    fn parse(text: &str) -> Self {
        let end =
            text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_TEXT_BYTES);
        let text = text.get(..end.last().unwrap_or(0)).unwrap_or_default();
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_uppercase();
        match text.split_once(':') {
            Some((exchange, symbol)) => {
                Self { exchange: Some(exchange.to_owned()), symbol: symbol.to_owned() }
            }
            None => Self { exchange: None, symbol: text },
        }
    }

    fn rank(&self, exchange: &str, symbol: &str) -> Option<Rank> {
        if self.exchange.as_ref().is_some_and(|wanted| !exchange.starts_with(wanted.as_str())) {
            return None;
        }
        let fit = match symbol.find(self.symbol.as_str())? {
            0 if symbol.len() == self.symbol.len() => 0,
            0 => 1,
            _ => 2,
        };
        Some((fit, symbol.len()))
    }
}

/// The best so far, in order.
#[derive(Debug, Default)]
struct Best(Vec<(Rank, Symbol)>);

impl Best {
    fn add(&mut self, rank: Rank, exchange: &str, symbol: &str, adapter: &str) {
        let place = self.0.partition_point(|(known, other)| {
            (*known, other.symbol.as_str(), other.exchange.as_str()) < (rank, symbol, exchange)
        });
        let is_known =
            self.0.get(place).is_some_and(|(_, other)| other.symbol == symbol && other.exchange == exchange);
        if place >= MOST || is_known {
            return;
        }
        let symbol = Symbol { exchange: exchange.into(), symbol: symbol.into(), adapter: adapter.into() };
        self.0.insert(place, (rank, symbol));
        self.0.truncate(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let cache = tempfile::tempdir().unwrap();
        for (adapter, bytes) in files {
            fs::create_dir(cache.path().join(adapter)).unwrap();
            fs::write(cache.path().join(adapter).join(FILE), bytes).unwrap();
        }
        cache
    }

    fn names(found: &Found) -> Vec<String> {
        found.symbols.iter().map(|symbol| format!("{}:{}", symbol.exchange, symbol.symbol)).collect()
    }

    #[test]
    fn the_symbol_itself_comes_first_and_then_what_begins_with_it() {
        let one = b"NSE:SBIN\nNSE:SBICARD\nNFO:SBIN28DEC26FUT\nNSE:LICSBI\nNSE:INFY\n";
        let cache = cache(&[("one", one), ("two", b"BSE:SBIN\nNSE:SBIN\nno name at all\n")]);
        let found = find_symbols(cache.path(), " sbi n");
        assert_eq!(names(&found), ["BSE:SBIN", "NSE:SBIN", "NFO:SBIN28DEC26FUT"]);
        let found = find_symbols(cache.path(), "NSE:SBI");
        assert_eq!(names(&found), ["NSE:SBIN", "NSE:SBICARD", "NSE:LICSBI"]);
        assert!(find_symbols(cache.path(), "nothing").symbols.is_empty());
    }

    #[test]
    fn no_more_are_given_than_fit_and_a_file_that_is_no_text_ends_where_it_is_none() {
        let many = (0..5_000).map(|number| format!("NFO:NIFTY{number}")).collect::<Vec<_>>().join("\n");
        let cache = cache(&[("many", many.as_bytes()), ("odd", b"NSE:GOOD\n\xff\xfe\nNSE:AFTER\n")]);
        assert_eq!(find_symbols(cache.path(), "NIFTY").symbols.len(), MOST);
        assert_eq!(names(&find_symbols(cache.path(), "good")), ["NSE:GOOD"]);
        assert!(find_symbols(cache.path(), "AFTER").symbols.is_empty());
        let endless = format!("NSE:{}\n", "X".repeat(1_000_000));
        fs::write(cache.path().join("odd").join(FILE), endless).unwrap();
        assert!(find_symbols(cache.path(), "XXXX").symbols.is_empty());
        let long = "N".repeat(100_000);
        assert!(find_symbols(cache.path(), &long).symbols.is_empty());
    }

    #[test]
    fn lists_are_found_where_the_host_and_the_adapter_put_their_folders() {
        let cache = cache(&[("acme", b"NSE:OLD\n"), ("within", b"NSE:WITHIN\n")]);
        let own = cache.path().join("acme/acme-sdk");
        fs::create_dir(&own).unwrap();
        fs::write(own.join(FILE), "NSE:NEW\n").unwrap();
        let found = find_symbols(cache.path(), "NSE:");
        assert_eq!(names(&found), ["NSE:NEW", "NSE:WITHIN"]);
        assert_eq!(found.symbols[0].adapter, "acme");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_of_the_adapter_is_not_read() {
        let secret = tempfile::tempdir().unwrap();
        fs::write(secret.path().join(FILE), "NSE:SECRET\n").unwrap();
        let cache = cache(&[("good", b"NSE:GOOD\n"), ("link", b"")]);
        std::os::unix::fs::symlink(secret.path(), cache.path().join("folder")).unwrap();
        fs::remove_file(cache.path().join("link").join(FILE)).unwrap();
        std::os::unix::fs::symlink(secret.path().join(FILE), cache.path().join("link").join(FILE)).unwrap();
        // Whoever opens a pipe waits for somebody to write to it.
        fs::create_dir(cache.path().join("pipe")).unwrap();
        let pipe = cache.path().join("pipe").join(FILE);
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(names(&find_symbols(cache.path(), "NSE:")), ["NSE:GOOD"]);
    }

    #[test]
    fn without_a_list_the_page_is_told_so() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(find_symbols(cache.path(), "SBIN"), Found::default());
        assert_eq!(find_symbols(&cache.path().join("missing"), "SBIN"), Found::default());
    }
}
