//! Replaces a file of the operator in one step.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::Write as _,
    path::Path,
};

use anyhow::{Context as _, ensure};

/// Puts `new` in the place of `old`. Readers see one or the other, whole; owner and permissions stay. A link
/// is followed, so that it goes on to point to the file.
///
/// # Errors
/// When it cannot be done, or the file does not hold `old` any more.
pub(super) fn replace(path: &Path, old: &str, new: &str) -> anyhow::Result<()> {
    let path = path.canonicalize()?;
    let dir = path.parent().context("it has no folder")?;
    let metadata = fs::metadata(&path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let written = Written(dir.join(format!(".{name}-{:016x}", rand::random::<u64>())));
    let shown = written.0.display();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&written.0).with_context(|| format!("cannot write {shown}"))?;
    file.write_all(new.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
    keep_access(&file, &metadata)?;
    file.sync_all().with_context(|| format!("cannot write {shown}"))?;
    drop(file);
    let now = fs::read(&path)?;
    ensure!(now == old.as_bytes(), "somebody else changed it meanwhile; try again");
    fs::rename(&written.0, &path)?;
    // The rename itself must last, too. Not every system can do that with a folder.
    #[cfg(unix)]
    File::open(dir).and_then(|dir| dir.sync_all())?;
    Ok(())
}

/// Gives the new file the owner and the permissions of the old one.
fn keep_access(file: &File, old: &Metadata) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, fchown};
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))
                .context("its owner cannot be kept; run this as its owner")?;
        }
    }
    // After the owner: a change of it may take permissions away.
    file.set_permissions(old.permissions())?;
    Ok(())
}

/// A file that goes unless it was renamed.
struct Written(std::path::PathBuf);

impl Drop for Written {
    fn drop(&mut self) {
        // After the rename there is nothing under this name.
        _ = fs::remove_file(&self.0);
    }
}
