//! The list of instruments as the broker wrote it, on disk.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{AdapterError, fingerprint, ist, net::HttpRequest};

/// Where a list of instruments is kept. A download that fails, or brings something else, leaves the last good
/// copy.
#[derive(Clone, Debug)]
pub struct InstrumentFile {
    directory: PathBuf,
    name: String,
}

/// A copy on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cached {
    /// The file, as the broker wrote it, uncompressed.
    pub path: PathBuf,
    /// When it was downloaded.
    pub fetched_at: SystemTime,
}

impl Cached {
    /// Whether it was downloaded after the broker's last daily renewal, which is at this time of India.
    pub fn is_of(&self, hour: u8, minute: u8, now: SystemTime) -> bool {
        self.fetched_at >= ist::last(hour, minute, now)
    }
}

impl InstrumentFile {
    /// The list that an adapter gets from `url`, in `cache_dir` if that is set, or else in
    /// `TICKHOST_CACHE_DIR`, in `XDG_CACHE_HOME/tickhost`, in `.cache/tickhost` of the home directory, or
    /// among the temporary files.
    ///
    /// Lists of different addresses are different files: the numbers of a simulator must not be taken for the
    /// broker's.
    pub fn new(cache_dir: Option<&Path>, adapter: &str, url: &str) -> Self {
        let directory = cache_dir.map_or_else(default_directory, Path::to_owned).join(adapter);
        Self { directory, name: format!("instruments-{:016x}", fingerprint(url)) }
    }

    /// Where the copy is, if there is one.
    pub fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// The copy on disk, however old it is.
    pub fn cached(&self) -> Option<Cached> {
        let path = self.path();
        let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        Some(Cached { path, fetched_at: metadata.modified().ok()? })
    }

    /// The copy on disk of an incomplete list, which is newer than the last good one. [`Self::cached`] stays
    /// beside it.
    pub(super) fn incomplete(&self) -> Option<Cached> {
        let path = self.beside("incomplete");
        let fetched_at = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?.modified().ok()?;
        let is_newer = self.cached().is_none_or(|good| good.fetched_at <= fetched_at);
        is_newer.then_some(Cached { path, fetched_at })
    }

    /// Downloads the list to a temporary file beside the copy, lets `read` make something of it on a thread
    /// where that may take its time, and puts it in the copy's place.
    ///
    /// # Errors
    /// When the broker does not give it, it is longer than `max_bytes`, or `read` finds fault with it. The
    /// copy stays.
    pub async fn download<T: Send + 'static>(
        &self,
        request: HttpRequest,
        max_bytes: u64,
        read: impl FnOnce(&Path) -> Result<T, AdapterError> + Send + 'static,
    ) -> Result<(Cached, T), AdapterError> {
        let fresh = self.fetch(request, max_bytes).await?;
        let path = fresh.path.clone();
        let made = read_aside(move || read(&path)).await?;
        Ok((self.keep(fresh).await?, made))
    }

    /// Downloads the list to a file that goes when it is not kept.
    pub(super) async fn fetch(&self, request: HttpRequest, max_bytes: u64) -> Result<Fresh, AdapterError> {
        tokio::fs::create_dir_all(&self.directory).await.map_err(|error| self.unwritable(error))?;
        let response = request.send().await?;
        if !response.is_success() {
            return Err(response.refusal("the request for its list of instruments"));
        }
        // Several connections of one account may do this at the same time.
        let name = format!("{}.{}-{:08x}.new", self.name, std::process::id(), rand::random::<u32>());
        let fresh = Fresh { path: self.directory.join(name) };
        response.save(&fresh.path, max_bytes).await?;
        Ok(fresh)
    }

    /// Puts a download in the copy's place.
    pub(super) async fn keep(&self, fresh: Fresh) -> Result<Cached, AdapterError> {
        let path = self.path();
        tokio::fs::rename(&fresh.path, &path).await.map_err(|error| self.unwritable(error))?;
        // It is older, and only takes space.
        _ = tokio::fs::remove_file(self.beside("incomplete")).await;
        Ok(Cached { path, fetched_at: SystemTime::now() })
    }

    /// Puts a download that is incomplete beside the last good copy.
    pub(super) async fn keep_beside(&self, fresh: Fresh) -> Result<(), AdapterError> {
        let kept = tokio::fs::rename(&fresh.path, self.beside("incomplete")).await;
        kept.map_err(|error| self.unwritable(error))
    }

    /// Where the one that downloads is known to the others that want the same.
    pub(super) fn lock_path(&self) -> PathBuf {
        self.beside("lock")
    }

    /// A file with another end to its name.
    pub(super) fn beside(&self, end: &str) -> PathBuf {
        self.directory.join(format!("{}.{end}", self.name))
    }

    fn unwritable(&self, error: io::Error) -> AdapterError {
        AdapterError::network(format!(
            "the list of instruments cannot be kept in {}: {error}; set cache_dir",
            self.directory.display()
        ))
        .caused_by(error)
    }
}

/// Reads where that may take its time.
#[expect(clippy::disallowed_methods, reason = "an adapter's threads serve nobody but its own tasks")]
pub(super) async fn read_aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, AdapterError> + Send + 'static,
) -> Result<T, AdapterError> {
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|_| AdapterError::protocol("the list of instruments could not be read"))?
}

fn default_directory() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("TICKHOST_CACHE_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|directory| directory.join("tickhost")))
        .or_else(|| set("HOME").map(|home| home.join(".cache").join("tickhost")))
        .unwrap_or_else(|| env::temp_dir().join("tickhost"))
}

/// A download that is gone with this value, unless it was kept.
pub(super) struct Fresh {
    pub(super) path: PathBuf,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // After the renaming there is nothing to remove.
        _ = fs::remove_file(&self.path);
    }
}
