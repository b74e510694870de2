//! What an adapter's cache folder may hold. The kernel bounds each file; what all of them are is looked at
//! once a second, so that a library that writes as fast as the disk takes it can be beyond the bound for that
//! time.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files and folders in a cache folder.
const MOST_ENTRIES: u64 = 10_000;

/// Makes the folder, for nobody else, if it is not there.
///
/// # Errors
/// What the system says against it.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Waits until the folder holds more than it may, and gives a sentence about it; for ever when it never does,
/// or there is none.
pub(super) async fn exceeded(folder: Option<PathBuf>, most_mb: u32) -> String {
    let Some(folder) = folder else { return std::future::pending().await };
    let most = u64::from(most_mb) * 1_024 * 1_024;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let looked_at = folder.clone();
        // A look that failed in the host says nothing; there is another one soon.
        let held =
            crate::base::blocking::off_thread(move |_| measure(&looked_at, most)).await.unwrap_or_default();
        if held.bytes > most {
            return format!(
                "its cache folder {} held more than {most_mb} MiB, and was emptied: it leaks files, or needs a higher \
                 `cache_mb`",
                folder.display()
            );
        }
        if held.entries > MOST_ENTRIES {
            return format!(
                "its cache folder {} held more than {MOST_ENTRIES} files, and was emptied",
                folder.display()
            );
        }
    }
}

/// Empties the folder, which stays: the cages of others that run are about this very one.
pub(super) fn empty(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        // Links are not followed. What cannot be removed is seen at the next look.
        _ = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()),
            _ => fs::remove_file(entry.path()),
        };
    }
}

/// What a folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    bytes: u64,
    entries: u64,
}

/// Counts what is in the folder, until one of the bounds is exceeded. Links are not followed.
fn measure(folder: &Path, most_bytes: u64) -> Held {
    let mut held = Held::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            held.entries += 1;
            if held.bytes > most_bytes || held.entries > MOST_ENTRIES {
                return held;
            }
            // A file that has gone in the meantime holds nothing.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                held.bytes = held.bytes.saturating_add(bytes_of(&metadata));
            }
        }
    }
    held
}

/// What a file takes on the disk, or would if it had no holes.
fn bytes_of(metadata: &fs::Metadata) -> u64 {
    #[cfg(unix)]
    let on_disk = std::os::unix::fs::MetadataExt::blocks(metadata).saturating_mul(512);
    #[cfg(not(unix))]
    let on_disk = 0;
    metadata.len().max(on_disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_below_a_folder_counts_and_links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (dir.path().join("own"), dir.path().join("other"));
        make(&own.join("sub")).unwrap();
        make(&other).unwrap();
        fs::write(other.join("kept"), vec![0; 100_000]).unwrap();
        fs::write(own.join("a"), vec![1; 10_000]).unwrap();
        fs::write(own.join("sub/b"), vec![1; 10_000]).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&other, own.join("link")).unwrap();
        let held = measure(&own, 1_000_000);
        assert!((20_000..60_000).contains(&held.bytes) && held.entries >= 3, "{held:?}");
        assert!(measure(&own, 5_000).bytes > 5_000);
        empty(&own);
        assert_eq!(measure(&own, 1), Held::default());
        assert!(own.is_dir() && other.join("kept").is_file());
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_files_and_too_many_bytes_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        fs::File::create(dir.path().join("hole")).unwrap().set_len(3 * 1_024 * 1_024).unwrap();
        let said = exceeded(Some(dir.path().to_owned()), 2).await;
        assert!(said.contains("more than 2 MiB"), "{said}");
        empty(dir.path());
        for number in 0..=MOST_ENTRIES {
            fs::write(dir.path().join(number.to_string()), "").unwrap();
        }
        let said = exceeded(Some(dir.path().to_owned()), 2).await;
        assert!(said.contains("more than 10000 files"), "{said}");
    }
}
