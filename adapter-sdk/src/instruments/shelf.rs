//! Lists that one process has read and all processes of the adapter use, as files in its cache folder.
//!
//! A list of a hundred thousand instruments costs as much memory as everything else in an adapter's process,
//! and some hundred milliseconds to read. So who reads it first writes what came of it to a file, and
//! everybody maps that file: the system keeps its pages once, whoever uses them.
//!
//! A file is named by what it was made of: the broker's files, byte for byte, the day, the library that read
//! them, and the form of these files. It is never wrong for want of being renewed, then; at worst nobody asks
//! for it any more.
//!
//! What is mapped must not change or become shorter: the first is undefined behaviour, the second a signal
//! that ends the process. Nobody does either. A file is written under a name that nobody else has, synced,
//! and then given its own name; nobody opens it for writing after that, its mode says that nobody may, and it
//! is removed by name, which leaves what is mapped as it is. Its folder is the adapter's own: the cage keeps
//! other adapters out, and a file of another user is not taken. A process that would break this is the
//! adapter's own, and can end itself without it. Within the host's process nothing is mapped, so that not
//! even a disk that fails ends it.
//!
//! A file that is torn, damaged, of another version or of something else is not used, whatever its name says:
//! its length, what it is made of and a hash of all of it are looked at each time that it is mapped.

mod mapped;

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    hash::Hasher as _,
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};

use rustc_hash::FxHasher;
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};
use tracing::debug;

pub(super) use self::mapped::Mapped;
use crate::{ist::Day, read::Packed};

/// Changes with everything that is in the files but the bytes of a table's keys.
const FORMAT: u32 = 1;

const MAGIC: [u8; 8] = *b"TICKLIST";

/// How names of these files begin.
const NAME: &str = "list-";

/// Files that stay: others may just begin with the one before.
const KEPT: usize = 4;

/// A file without its own name that is older than this was left behind.
const LEFT_BEHIND: Duration = Duration::from_mins(10);

/// Longest file.
const MAX_BYTES: u64 = 512 << 20;

/// How long to wait for another process that reads the same list, before it is read here too.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at whether it has.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 16;

crate::packed! {
    /// What a file begins with.
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Head {
        magic: [u8; 8],
        format: u32,
        /// What it was made of.
        origin: [u8; 32],
        /// Bytes that follow, and their hash.
        length: u64,
        hash: [u8; 32],
    }
}

/// Where the list is, if a process has put it there, that is made of certain files on a certain day.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    origin: [u8; 32],
}

impl Shelf {
    /// Of what a sheet makes of files on a day. None where lists are not shared: outside of processes that a
    /// host has started for an adapter alone, and when something that the list is made of cannot be told.
    pub(super) fn of(files: &[PathBuf], sheet: &str, today: Day) -> Option<Self> {
        // Set by the host for processes of adapters, and for nobody else.
        env::var_os("TICKHOST_CACHE_DIR").filter(|folder| !folder.is_empty())?;
        Self::made_of(files, sheet, today).inspect_err(|error| debug!(%error, "The list is not shared")).ok()
    }

    pub(super) fn made_of(files: &[PathBuf], sheet: &str, today: Day) -> io::Result<Self> {
        let folder = files.first().and_then(|file| file.parent()).ok_or(io::ErrorKind::NotFound)?.to_owned();
        let library = own_library().ok_or_else(|| io::Error::other("the library's file is not known"))?;
        let mut hasher = Sha256::new();
        hasher.update(FORMAT.to_le_bytes());
        library.iter().for_each(|number| hasher.update(number.to_le_bytes()));
        hasher.update(today.seconds_at(0, 0, 0).to_le_bytes());
        hasher.update((sheet.len() as u64).to_le_bytes());
        hasher.update(sheet);
        for file in files {
            hasher.update(hash_of(file)?);
        }
        Ok(Self { folder, origin: hasher.finalize().into() })
    }

    /// The list, if it is there and whole.
    pub(super) fn open(&self) -> Option<Arc<Mapped>> {
        let opened = self.try_open();
        if let Err(error) = &opened
            && error.kind() != io::ErrorKind::NotFound
        {
            debug!(%error, "A shared list is no good and made again");
        }
        opened.ok().map(Arc::new)
    }

    fn try_open(&self) -> io::Result<Mapped> {
        let path = self.path();
        let mut file = File::open(&path)?;
        let (opened, named) = (file.metadata()?, fs::symlink_metadata(&path)?);
        // Links lead elsewhere; whoever may write to a file may change it while it is mapped.
        let is_ours = opened.is_file()
            && (opened.dev(), opened.ino()) == (named.dev(), named.ino())
            && opened.nlink() == 1
            && opened.mode() & 0o777 == 0o400
            && opened.uid() == geteuid().as_raw();
        if !is_ours {
            return Err(io::Error::other("a file of somebody else"));
        }
        let mut head = [0; Head::BYTES];
        file.read_exact(&mut head)?;
        let damaged = || io::Error::other("a damaged file");
        let head = Head::take(&mut &head[..]).ok_or_else(damaged)?;
        let length = head.length.checked_add(Head::BYTES as u64).filter(|length| *length <= MAX_BYTES);
        let is_this = (head.magic, head.format, head.origin) == (MAGIC, FORMAT, self.origin);
        if !is_this || length != Some(opened.len()) || hash(&mut file)? != head.hash {
            return Err(damaged());
        }
        Mapped::of(&file, Head::BYTES)
    }

    /// Puts the list there, which consists of these parts.
    ///
    /// # Errors
    /// When it cannot be written. Then nothing is there.
    pub(super) fn put(&self, parts: &[&[u8]]) -> io::Result<()> {
        let mut hasher = Sha256::new();
        parts.iter().for_each(|part| hasher.update(part));
        let length: u64 = parts.iter().map(|part| part.len() as u64).sum();
        if length.saturating_add(Head::BYTES as u64) > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut head = Vec::with_capacity(Head::BYTES);
        Head { magic: MAGIC, format: FORMAT, origin: self.origin, length, hash: hasher.finalize().into() }
            .put(&mut head);
        let aside =
            self.path().with_extension(format!("{}-{:08x}.new", std::process::id(), rand::random::<u32>()));
        let written = self.write(&aside, &head, parts);
        if written.is_err() {
            // It only takes space.
            _ = fs::remove_file(&aside);
        }
        self.tidy();
        written
    }

    fn write(&self, aside: &Path, head: &[u8], parts: &[&[u8]]) -> io::Result<()> {
        // The mode is for those who open it later.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o400).open(aside)?;
        file.write_all(head)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        fs::rename(aside, self.path())
    }

    /// Removes the oldest lists, and what was left behind by a process that ended while it wrote. What is
    /// mapped stays as it is.
    fn tidy(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut lists: Vec<(SystemTime, PathBuf)> = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(NAME))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        lists.sort();
        let is_new = |path: &Path| path.extension().is_some_and(|end| end == "new");
        let (unfinished, lists): (Vec<_>, Vec<_>) = lists.into_iter().partition(|(_, path)| is_new(path));
        let left_behind = unfinished.iter().filter(|(at, _)| at.elapsed().is_ok_and(|age| age > LEFT_BEHIND));
        let outdated = lists.iter().rev().filter(|(_, path)| *path != self.path()).skip(KEPT - 1);
        for (_, path) in left_behind.chain(outdated) {
            // Another process may have done so.
            _ = fs::remove_file(path);
        }
    }

    /// Waits until no other process reads a list of this folder. None when that takes too long, or files
    /// cannot be locked: then everybody reads.
    #[expect(clippy::disallowed_methods, reason = "lists are read on a thread that does nothing else")]
    pub(super) fn turn(&self) -> Option<File> {
        let file = File::create(self.folder.join("lists.lock")).ok()?;
        let until = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Some(file),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(LOOK_EVERY),
                Err(TryLockError::WouldBlock | TryLockError::Error(_)) => return None,
            }
        }
    }

    fn path(&self) -> PathBuf {
        // The rest stands within.
        let [begin, _] = self.origin.as_chunks().0 else { return self.folder.join(NAME) };
        self.folder.join(format!("{NAME}{:032x}", u128::from_be_bytes(*begin)))
    }
}

fn hash_of(path: &Path) -> io::Result<[u8; 32]> {
    hash(&mut File::open(path)?)
}

/// The hash of what is not read yet.
fn hash(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    read_all(file, |bytes| hasher.update(bytes))?;
    Ok(hasher.finalize().into())
}

/// Reads what is not read yet, and gives how many bytes that was.
fn read_all(file: &mut File, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let (mut buffer, mut length) = (vec![0; BUFFER_BYTES], 0);
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        take(buffer.get(..read).unwrap_or_default());
        length += read as u64;
    }
}

/// Length and hash of the library, or the program, that this function is in: another build may make something
/// else of the same list. None when its file is gone, since the system then has something else of that name,
/// or nothing.
///
/// Nobody gains anything by a library with the hash of another, and a library of a debug build is large: so
/// it is a fast hash.
fn own_library() -> Option<[u64; 2]> {
    static LIBRARY: OnceLock<Option<[u64; 2]>> = OnceLock::new();
    *LIBRARY.get_or_init(|| {
        let here = own_library as fn() -> Option<[u64; 2]> as usize as u64;
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let path = maps.lines().find_map(|line| file_at(line, here))?;
        let mut hasher = FxHasher::default();
        let length = read_all(&mut File::open(path).ok()?, |bytes| hasher.write(bytes)).ok()?;
        Some([length, hasher.finish()])
    })
}

/// The file of a line of `/proc/self/maps`, if it is mapped at this address.
fn file_at(line: &str, address: u64) -> Option<&str> {
    // Addresses, permissions, offset, device, number of the file, and its path, before which there are
    // several spaces.
    let mut fields = line.splitn(6, ' ');
    let (begin, end) = fields.next()?.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    let is_there = (number(begin)?..number(end)?).contains(&address);
    fields.nth(4).map(str::trim_start).filter(|path| is_there && path.starts_with('/'))
}

#[cfg(test)]
mod tests;
