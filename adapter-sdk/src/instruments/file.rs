//! The list of instruments as the broker wrote it, on disk.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{AdapterError, ist, net::HttpRequest};

/// Where a list of instruments is kept. A download that fails, or brings something else, leaves the last good copy.
#[derive(Clone, Debug)]
pub struct InstrumentFile {
    directory: PathBuf,
    name: String,
}

/// A copy on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The list that an adapter gets from `url`, in `cache_dir` if that is set, or else in `TICKHOST_CACHE_DIR`, in
    /// `XDG_CACHE_HOME/tickhost`, in `.cache/tickhost` of the home directory, or among the temporary files.
    ///
    /// Lists of different addresses are different files: the numbers of a simulator must not be taken for the broker's.
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

    /// Downloads the list to a temporary file beside the copy, lets `read` make something of it on a thread where that
    /// may take its time, and puts it in the copy's place.
    ///
    /// # Errors
    /// When the broker does not give it, it is longer than `max_bytes`, or `read` finds fault with it. The copy stays.
    pub async fn download<T: Send + 'static>(
        &self,
        request: HttpRequest,
        max_bytes: u64,
        read: impl FnOnce(&Path) -> Result<T, AdapterError> + Send + 'static,
    ) -> Result<(Cached, T), AdapterError> {
        let failed = |error: io::Error| {
            AdapterError::network(format!(
                "the list of instruments cannot be kept in {}: {error}; set cache_dir",
                self.directory.display()
            ))
        };
        tokio::fs::create_dir_all(&self.directory).await.map_err(failed)?;
        let response = request.send().await?;
        if !response.is_success() {
            return Err(response.refusal("the request for its list of instruments"));
        }
        // Several connections of one account may do this at the same time.
        let name = format!("{}.{}-{:08x}.new", self.name, std::process::id(), rand::random::<u32>());
        let fresh = Temporary(self.directory.join(name));
        response.save(&fresh.0, max_bytes).await?;
        let path = fresh.0.clone();
        let made = tokio::task::spawn_blocking(move || read(&path))
            .await
            .map_err(|_| AdapterError::protocol("the list of instruments could not be read"))??;
        let target = self.path();
        tokio::fs::rename(&fresh.0, &target).await.map_err(failed)?;
        Ok((Cached { path: target, fetched_at: SystemTime::now() }, made))
    }
}

fn default_directory() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("TICKHOST_CACHE_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|directory| directory.join("tickhost")))
        .or_else(|| set("HOME").map(|home| home.join(".cache").join("tickhost")))
        .unwrap_or_else(|| env::temp_dir().join("tickhost"))
}

/// The same in every version and on every machine: FNV-1a, 64 bits.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A file that is gone with this value, unless it was renamed.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // After the renaming there is nothing to remove.
        _ = fs::remove_file(&self.0);
    }
}
